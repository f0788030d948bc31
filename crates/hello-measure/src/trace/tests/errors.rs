use super::*;

#[test]
fn rejection_ends_a_path_only_if_no_probe_gets_farther() {
    let mut tracer = PathTracer::new(TARGET, FIRST, TracePlan::default());
    tracer.add_flow(0);
    let mut now = Duration::ZERO;
    let mut probe = |tracer: &mut PathTracer, ttl| {
        now = tracer.poll_timeout().expect("not done");
        let probe = tracer.poll_probe(now).expect("a probe");
        assert_eq!(probe.ttl, ttl);
        (probe.token, now)
    };
    let cause = |kind| Cause { kind, reporter: Some(Network::address(1)) };
    let (passed, rejected) = (cause(CauseKind::TtlExceeded), cause(CauseKind::Prohibited));
    // Of three probes to each hop, one gets farther.
    for ttl in 1..=2 {
        for cause in [rejected, rejected, passed] {
            let (token, now) = probe(&mut tracer, ttl);
            assert!(tracer.handle_error(0, Some(token), cause, now));
        }
    }
    let mut replying = tracer.clone();
    let (token, now) = probe(&mut replying, 3);
    assert!(replying.handle_reply(0, token, now));
    let end = replying.poll_path().map(|path| path.end);
    assert_eq!(end, Some(PathEnd::Reached { greeted: true }));
    // A rejection that arrives late counts, too, and so does silence.
    let (late, _) = probe(&mut tracer, 3);
    probe(&mut tracer, 3);
    let (last, now) = probe(&mut tracer, 3);
    assert!(tracer.handle_error(0, Some(late), rejected, now));
    assert!(tracer.handle_error(0, Some(last), rejected, now));
    let path = tracer.poll_path().expect("ended");
    assert_eq!((path.end, path.hops.len()), (PathEnd::Unreachable(rejected), 2));
}

#[test]
fn error_without_a_token_ends_no_path() {
    let mut tracer = PathTracer::new(TARGET, FIRST, TracePlan::default());
    tracer.add_flow(0);
    let probe = tracer.poll_probe(Duration::ZERO).expect("hop 1");
    for kind in [CauseKind::Refused, CauseKind::Prohibited, CauseKind::TooBig { mtu: Some(68) }] {
        for reporter in [TARGET, Network::address(1)] {
            let cause = Cause { kind, reporter: Some(reporter) };
            for _ in 0..3 {
                assert!(tracer.handle_error(0, None, cause, Duration::ZERO));
            }
        }
    }
    assert_eq!(tracer.poll_path(), None);
    let cause = Cause { kind: CauseKind::TtlExceeded, reporter: Some(Network::address(1)) };
    assert!(tracer.handle_error(0, Some(probe.token), cause, Duration::ZERO));
    let path = tracer.paths().next().expect("one");
    assert_eq!(path.hops[0].routers[0].mtu, None);
    assert_eq!(path.hops[0].routers[0].address, Network::address(1));
}

#[test]
fn greeting_stays_at_the_hop_it_came_from() {
    let samples = NonZeroU8::new(2).expect("not zero");
    let plan = TracePlan { samples, ..TracePlan::default() };
    let mut tracer = PathTracer::new(TARGET, FIRST, plan);
    tracer.add_flow(0);
    let exceeded = Cause { kind: CauseKind::TtlExceeded, reporter: Some(Network::address(1)) };
    let refused = Cause { kind: CauseKind::Refused, reporter: Some(TARGET) };
    for (ttl, answer) in [(1, Some(exceeded)), (2, None), (1, Some(refused)), (2, Some(refused))] {
        let now = tracer.poll_timeout().expect("not done");
        let probe = tracer.poll_probe(now).expect("a probe");
        assert_eq!(probe.ttl, ttl);
        let token = probe.token;
        assert!(match answer {
            Some(cause) => tracer.handle_error(0, Some(token), cause, now),
            None => tracer.handle_reply(0, token, now),
        });
    }
    let path = tracer.poll_path().expect("ended");
    assert_eq!((path.end, path.hops.len()), (PathEnd::Reached { greeted: true }, 2));
    assert_eq!(path.hops[0].routers[0].address, Network::address(1));
}

#[test]
fn short_timeout_hides_no_router_that_limits_its_rate() {
    let timeout = Duration::from_millis(50);
    let mut network = Network::new(vec![Router::LINUX; 2], vec![vec![0, 1]; 12]);
    let (tracer, _) = network.trace(TracePlan { timeout, ..TracePlan::default() });
    for path in tracer.paths() {
        network.check(path);
        assert!(network.is_complete(path), "{path:?}");
    }
}

#[test]
fn mtu_belongs_to_the_router_that_reports_it_and_the_hop_is_asked_again() {
    let mut tracer = PathTracer::new(TARGET, FIRST, TracePlan::default());
    tracer.add_flow(0);
    let mut now = Duration::ZERO;
    let mut answer = |tracer: &mut PathTracer, ttl, kind| {
        now = tracer.poll_timeout().expect("not done");
        let probe = tracer.poll_probe(now).expect("a probe");
        assert_eq!(probe.ttl, ttl);
        let cause = Cause { kind, reporter: Some(Network::address(1)) };
        assert!(tracer.handle_error(0, Some(probe.token), cause, now));
        cause
    };
    let mtu = Some(1400);
    answer(&mut tracer, 1, CauseKind::TtlExceeded);
    answer(&mut tracer, 2, CauseKind::TooBig { mtu });
    answer(&mut tracer, 2, CauseKind::TooBig { mtu });
    assert_eq!(tracer.paths().next().expect("one").hops[0].routers[0].mtu, mtu);
    let cause = answer(&mut tracer, 2, CauseKind::TooBig { mtu });
    let path = tracer.poll_path().expect("three tries");
    assert_eq!((path.end, path.hops.len()), (PathEnd::Unreachable(cause), 1));
}

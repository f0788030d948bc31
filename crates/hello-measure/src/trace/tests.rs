mod errors;

use std::collections::BTreeSet;
use std::num::NonZeroU8;

use proptest::collection::vec;
use proptest::prelude::*;

use super::network::{FIRST, Network, Router, Server, TARGET};
use super::path::{HopRouter, PathEnd};
use super::table::PathTable;
use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn each_hop_of_each_flow_is_asked_once_if_it_answers() {
    let mut network = Network::new(vec![Router::PLAIN; 4], vec![vec![0, 1, 3], vec![0, 2, 3]]);
    let (tracer, took) = network.trace(TracePlan::default());
    assert!(tracer.paths().all(|path| network.is_complete(path)));
    tracer.paths().for_each(|path| network.check(path));
    assert_eq!(network.sent, 8);
    let rtts = tracer.paths().flat_map(|path| &path.hops).map(|hop| {
        assert_eq!(hop.unanswered, 0);
        hop.routers[0].rtts[..] == [Duration::from_millis(2 * u64::from(hop.ttl))]
    });
    assert!(rtts.into_iter().all(|is_true| is_true));
    assert!(took < SECOND / 2, "{took:?}");
}

#[test]
#[cfg_attr(miri, ignore = "traces of 94 flows")]
fn many_flows_are_traced_through_routers_that_limit_their_rate() {
    for flows in [1, 6, 7, 16, 64] {
        // Two equal paths between a first and a last router, which all flows share.
        let paths = Vec::from_iter((0..flows).map(|flow| vec![0, 1 + flow % 2, 3]));
        let mut network = Network::new(vec![Router::LINUX; 4], paths);
        let (tracer, took) = network.trace(TracePlan::default());
        for path in tracer.paths() {
            network.check(path);
            assert!(network.is_complete(path), "{flows} flows: {path:?}");
        }
        let seconds = u64::try_from(flows).expect("few").saturating_sub(6);
        assert!(took <= Duration::from_secs(2 * seconds + 1), "{flows} flows: {took:?}");
    }
}

#[test]
fn samples_are_taken_once_all_paths_are_known() {
    let samples = NonZeroU8::new(4).expect("not zero");
    let plan = TracePlan { samples, ..TracePlan::default() };
    let mut network = Network::new(vec![Router::PLAIN; 3], vec![vec![0, 1], vec![0, 2]]);
    let (mut tracer, _) = network.trace(plan);
    for path in tracer.paths() {
        network.check(path);
        assert!(path.hops.iter().all(|hop| hop.routers[0].rtts.len() == 4), "{path:?}");
    }
    assert_eq!(network.sent, 2 * 3 * 4);
    assert_eq!(std::iter::from_fn(|| tracer.poll_path().map(|path| path.flow)).count(), 2);

    // Where routers limit their rate, samples cost no path.
    let mut network = Network::new(vec![Router::LINUX; 2], vec![vec![0, 1]; 12]);
    let (tracer, _) = network.trace(plan);
    assert!(tracer.paths().all(|path| network.is_complete(path)));
}

#[test]
fn silent_hop_is_asked_three_times_and_one_that_answered_another_flow_twelve_times() {
    let silent = Router { silent: true, ..Router::PLAIN };
    let mut network = Network::new(vec![Router::PLAIN, silent, Router::PLAIN], vec![vec![0, 1, 2]]);
    let (tracer, _) = network.trace(TracePlan::default());
    let path = tracer.paths().next().expect("one");
    network.check(path);
    assert!(path.hops[1].is_silent() && !path.is_complete());
    assert_eq!((path.hops[1].unanswered, network.sent), (3, 6));

    network.paths.push(vec![0, 2, 2]);
    let (tracer, _) = network.trace(TracePlan::default());
    let tries = tracer.paths().map(|path| path.hops[1].unanswered);
    assert_eq!(Vec::from_iter(tries), [12, 0]);
}

#[test]
fn five_silent_hops_in_a_row_or_the_highest_hop_end_a_path() {
    let mut network = Network::new(vec![Router::PLAIN; 2], vec![vec![0, 1]]);
    network.server = Server::Silent;
    let (tracer, took) = network.trace(TracePlan::default());
    let path = tracer.paths().next().expect("one");
    assert_eq!((path.end, path.hops.len()), (PathEnd::Silent, 7));
    assert_eq!((network.sent, took.as_secs()), (2 + 5 * 3, 15));

    let mut network = Network::new(vec![Router::PLAIN; 40], vec![(0..40).collect()]);
    let (tracer, _) = network.trace(TracePlan::default());
    let path = tracer.paths().next().expect("one");
    assert_eq!((path.end, path.hops.len(), network.sent), (PathEnd::MaxHops, 30, 30));
    network.check(path);
}

#[test]
fn port_unreachable_from_the_server_is_its_end_and_from_a_firewall_is_none() {
    let mut network = Network::new(vec![Router::PLAIN; 2], vec![vec![0, 1]]);
    network.server = Server::Refuses;
    let (tracer, _) = network.trace(TracePlan::default());
    let path = tracer.paths().next().expect("one");
    assert_eq!((path.end, path.hops.len()), (PathEnd::Reached { greeted: false }, 3));
    network.check(path);

    network.routers[0].rejects = Some(CauseKind::Refused);
    let (tracer, _) = network.trace(TracePlan::default());
    let path = tracer.paths().next().expect("one");
    let refused = Cause { kind: CauseKind::Refused, reporter: Some(Network::address(0)) };
    // The firewall is hop 1, although it rejects what has a TTL of 2.
    assert_eq!((path.end, path.hops.len()), (PathEnd::Unreachable(refused), 1));
    network.check(path);
}

#[test]
fn router_that_rejects_behind_a_silent_hop_is_at_no_certain_hop() {
    let firewall = Router { rejects: Some(CauseKind::Prohibited), ..Router::PLAIN };
    let silent = Router { silent: true, ..Router::PLAIN };
    let mut tracer = PathTracer::new(TARGET, FIRST, TracePlan::default());
    tracer.add_flow(0);
    let mut now = Duration::ZERO;
    let reporter = Some(Network::address(7));
    for _ in 0..3 {
        assert_eq!(tracer.poll_probe(now).map(|probe| probe.ttl), Some(1));
        now += SECOND;
    }
    let cause = Cause { kind: CauseKind::Prohibited, reporter };
    for _ in 0..3 {
        now = tracer.poll_timeout().expect("not done");
        let probe = tracer.poll_probe(now).expect("hop 2");
        assert_eq!(probe.ttl, 2);
        assert!(tracer.handle_error(0, Some(probe.token), cause, now));
    }
    let path = tracer.poll_path().expect("ended");
    assert_eq!((path.end, path.hops.len()), (PathEnd::Unreachable(cause), 1));
    assert!(path.hops[0].is_silent());

    let mut network = Network::new(vec![silent, firewall], vec![vec![0, 1]]);
    let (tracer, _) = network.trace(TracePlan::default());
    network.check(tracer.paths().next().expect("one"));
}

#[test]
fn late_greeting_ends_the_path_at_the_hop_it_answers() {
    let mut tracer = PathTracer::new(TARGET, FIRST, TracePlan::default());
    tracer.add_flow(0);
    let mut now = Duration::ZERO;
    let first = tracer.poll_probe(now).expect("hop 1").token;
    let mut last = first;
    for _ in 0..3 {
        now += SECOND;
        last = tracer.poll_probe(now).expect("further tries").token;
    }
    assert!(tracer.handle_reply(0, first, now));
    let path = tracer.poll_path().expect("ended");
    assert_eq!((path.end, path.hops.len()), (PathEnd::Reached { greeted: true }, 1));
    assert_eq!(path.hops[0].routers[0].rtts, [3 * SECOND]);
    // The probe to hop 2 is of no interest any more, but still the tracer's.
    assert!(tracer.handle_reply(0, last, now));
    assert_eq!(tracer.paths().next().expect("one").hops.len(), 1);
}

#[test]
fn token_of_another_run_or_not_sent_yet_belongs_to_no_probe() {
    let mut tracer = PathTracer::new(TARGET, FIRST, TracePlan::default());
    tracer.add_flow(0);
    let probe = tracer.poll_probe(Duration::ZERO).expect("hop 1");
    let before = tracer.clone().paths().next().expect("one").clone();
    let Token { run_id, seq } = probe.token;
    let cause = Cause { kind: CauseKind::TtlExceeded, reporter: Some(Network::address(1)) };
    for token in [
        Token { run_id: run_id ^ 1, seq },
        Token { run_id, seq: seq.wrapping_add(1) },
        Token { run_id, seq: seq.wrapping_sub(1) },
    ] {
        assert!(!tracer.handle_reply(0, token, SECOND));
        assert!(!tracer.handle_error(0, Some(token), cause, SECOND));
    }
    // An answer to another flow's port is no answer to this one.
    assert!(tracer.handle_reply(1, probe.token, SECOND));
    assert_eq!(tracer.paths().next(), Some(&before));
}

#[test]
fn error_without_a_token_is_of_the_only_probe_that_it_can_be_about() {
    let mut tracer = PathTracer::new(TARGET, FIRST, TracePlan::default());
    tracer.add_flow(0);
    let cause =
        |router| Cause { kind: CauseKind::TtlExceeded, reporter: Some(Network::address(router)) };
    assert!(!tracer.handle_error(0, None, cause(1), Duration::ZERO), "no probe is in flight");
    let hop = |tracer: &PathTracer, ttl: usize| {
        let path = tracer.paths().next().expect("one");
        path.hops.get(ttl - 1).map(|hop| hop.routers.clone()).unwrap_or_default()
    };
    let mut now = Duration::ZERO;
    // The second try at hop 1: the error may be about the first, so its time is not known.
    for _ in 0..2 {
        assert_eq!(tracer.poll_probe(now).map(|probe| probe.ttl), Some(1));
        now += SECOND;
    }
    now -= SECOND / 2;
    assert!(tracer.handle_error(0, None, cause(1), now));
    assert_eq!(hop(&tracer, 1), [HopRouter::new(Network::address(1))]);
    // At hop 2, an error may still be about either of them; later, it may not.
    for wait in [SECOND, SECOND / 2] {
        assert_eq!(tracer.poll_probe(now).map(|probe| probe.ttl), Some(2));
        assert!(!tracer.handle_error(0, None, cause(1), now));
        now += wait;
    }
    assert!(hop(&tracer, 2).is_empty());
    assert!(tracer.handle_error(0, None, cause(2), now));
    assert_eq!(hop(&tracer, 2), [HopRouter::new(Network::address(2))]);
    // Nothing else can be meant at hop 3, two timeouts later.
    now += 2 * SECOND;
    assert_eq!(tracer.poll_probe(now).map(|probe| probe.ttl), Some(3));
    now += SECOND / 2;
    assert!(tracer.handle_error(0, None, cause(3), now));
    assert_eq!(hop(&tracer, 3)[0].rtts, [SECOND / 2]);
}

#[test]
fn probes_that_the_system_does_not_send_end_the_trace() {
    let mut tracer = PathTracer::new(TARGET, FIRST, TracePlan::default());
    tracer.add_flow(0);
    let mut now = Duration::ZERO;
    for failures in 1..=3 {
        let probe = tracer.poll_probe(now).expect("a probe");
        assert_eq!(probe.ttl, 1);
        tracer.handle_not_sent(probe, now);
        assert_eq!(tracer.poll_probe(now), None);
        assert_eq!(tracer.is_done(), failures == 3);
        now = tracer.poll_timeout().unwrap_or(now);
    }
    assert_eq!(now, 2 * SECOND);
    assert_eq!(tracer.poll_path().map(|path| path.end), Some(PathEnd::NotSent));
}

#[test]
fn round_trip_time_counts_from_when_the_probe_left() {
    let mut tracer = PathTracer::new(TARGET, FIRST, TracePlan::default());
    tracer.add_flow(0);
    let probe = tracer.poll_probe(Duration::ZERO).expect("hop 1");
    tracer.handle_sent(probe, SECOND / 4);
    assert_eq!(tracer.poll_timeout(), Some(SECOND + SECOND / 4));
    assert!(tracer.handle_reply(0, probe.token, SECOND));
    assert_eq!(tracer.poll_path().expect("ended").hops[0].routers[0].rtts, [3 * SECOND / 4]);
}

#[test]
fn flow_is_traced_once_and_may_be_added_during_the_trace() {
    let mut tracer = PathTracer::new(TARGET, FIRST, TracePlan::default());
    assert!(tracer.is_done());
    assert_eq!((tracer.poll_probe(Duration::ZERO), tracer.poll_timeout()), (None, None));
    assert!(tracer.add_flow(4));
    assert!(!tracer.add_flow(4));
    for flow in [4, 2] {
        let now = tracer.poll_timeout().expect("a flow to trace");
        let probe = tracer.poll_probe(now).expect("hop 1");
        assert_eq!((probe.flow, probe.ttl), (flow, 1));
        assert_eq!(tracer.add_flow(2), flow == 4);
        tracer.handle_reply(flow, probe.token, now);
        assert_eq!(tracer.poll_path().map(|path| path.flow), Some(flow));
    }
    assert!(tracer.is_done() && tracer.poll_path().is_none());
}

#[test]
fn traces_that_end_early_yield_every_path_that_was_not_polled() {
    let (samples, concurrent) = (NonZeroU8::MAX, NonZeroU8::MIN);
    let plan = TracePlan { samples, concurrent, ..TracePlan::default() };
    let mut tracer = PathTracer::new(TARGET, FIRST, plan);
    let greet = |tracer: &mut PathTracer, flow| {
        tracer.add_flow(flow);
        let now = tracer.poll_timeout().expect("a flow to trace");
        tracer.poll_probe(now).is_some_and(|probe| tracer.handle_reply(flow, probe.token, now))
    };
    // Two known paths that wait for samples, one that is traced, and one that waits.
    assert!([3, 1].into_iter().all(|flow| greet(&mut tracer, flow)));
    assert!(tracer.add_flow(2) && tracer.add_flow(0) && tracer.poll_probe(SECOND).is_some());
    tracer.finish();
    assert!(tracer.is_done() && tracer.poll_probe(2 * SECOND).is_none());
    let ends = std::iter::from_fn(|| tracer.poll_path().map(|path| (path.flow, path.end)));
    let (known, open) = (PathEnd::Reached { greeted: true }, PathEnd::Unfinished);
    assert_eq!(Vec::from_iter(ends), [(0, open), (1, known), (2, open), (3, known)]);
}

/// A network of up to eight routers, each of them with faults or without.
fn networks() -> impl Strategy<Value = Network> {
    let router = (0..6_u8, any::<[bool; 3]>(), prop_oneof![3 => Just(0), 1 => 0..40_u64]);
    let router = router.prop_map(|(kind, [silent, quotes_little, limited], loss)| Router {
        silent: silent && kind < 2,
        quotes_little: quotes_little && kind < 3,
        limited,
        loss,
        rejects: (kind == 5 && loss > 20).then_some(CauseKind::Prohibited),
        ..Router::PLAIN
    });
    let server = prop_oneof![
        3 => Just(Server::Greets),
        1 => Just(Server::Refuses),
        1 => Just(Server::Silent),
    ];
    // Each layer has one router or two, and paths skip layers.
    let flows = vec(vec((0..3_u8, any::<bool>()), 4), 1..12);
    let faults = (prop_oneof![Just(0), 0..30_u64], prop_oneof![Just(0), 0..30_u64], 1..u64::MAX);
    (vec(router, 8), flows, server, faults).prop_map(|(routers, flows, server, faults)| {
        let path = |choices: Vec<(u8, bool)>| {
            let layer =
                |(layer, (kind, second))| (kind > 0).then_some(2 * layer + usize::from(second));
            choices.into_iter().enumerate().filter_map(layer).collect()
        };
        let (duplicated, delayed, random) = faults;
        let network = Network::new(routers, flows.into_iter().map(path).collect());
        Network { server, duplicated, delayed, random, ..network }
    })
}

proptest! {
    #![proptest_config(crate::proptest_config())]

    #[test]
    fn paths_are_true_whatever_routers_lose_limit_delay_or_duplicate(
        mut network in networks(),
        samples in 1..3_u8,
    ) {
        let samples = NonZeroU8::new(samples).expect("not zero");
        let (mut tracer, _) = network.trace(TracePlan { samples, ..TracePlan::default() });
        let paths = Vec::from_iter(tracer.paths().cloned());
        for path in &paths {
            network.check(path);
        }
        let polled = std::iter::from_fn(|| tracer.poll_path().map(|path| path.flow));
        prop_assert_eq!(BTreeSet::from_iter(polled).len(), network.paths.len());
        let most = 30 * (12 + usize::from(samples.get()));
        prop_assert!(network.sent <= most * network.paths.len());
    }

    #[test]
    fn suspects_are_on_the_paths_of_all_losing_flows_and_no_others(
        mut network in networks(),
        guilty in 0..8_usize,
    ) {
        let (tracer, _) = network.trace(TracePlan::default());
        let is_losing = |flow: &usize| network.paths[*flow].contains(&guilty);
        let (losing, clean) = (0..network.paths.len()).partition::<Vec<_>, _>(is_losing);
        for suspect in PathTable::new(tracer.paths()).suspects(&losing, &clean) {
            let passes = |flow: &usize| {
                network.paths[*flow].iter().any(|it| Network::address(*it) == suspect.address)
            };
            prop_assert!(losing.iter().all(passes));
            prop_assert!(!suspect.is_certain || !clean.iter().any(passes), "{suspect:?}");
        }
    }

    #[test]
    fn guilty_router_is_named_if_all_routers_answer(
        mut network in networks(),
        guilty in 0..8_usize,
    ) {
        for router in &mut network.routers {
            *router = Router { limited: router.limited, ..Router::PLAIN };
        }
        (network.server, network.delayed) = (Server::Greets, 0);
        let (tracer, _) = network.trace(TracePlan::default());
        for path in tracer.paths() {
            prop_assert!(network.is_complete(path), "{path:?}");
        }
        let is_losing = |flow: &usize| network.paths[*flow].contains(&guilty);
        let (losing, clean) = (0..network.paths.len()).partition::<Vec<_>, _>(is_losing);
        let suspects = PathTable::new(tracer.paths()).suspects(&losing, &clean);
        let named = suspects.iter().any(|it| it.address == Network::address(guilty));
        prop_assert_eq!(named, !losing.is_empty() && !clean.is_empty());
        prop_assert!(suspects.iter().all(|suspect| suspect.is_certain));
    }
}

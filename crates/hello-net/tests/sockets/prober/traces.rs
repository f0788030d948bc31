//! Traces of paths, over the loopback: the server is the first hop. Paths with routers have tests in
//! network namespaces.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::{NonZeroU8, NonZeroU16};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use hello_measure::{Counts, Path, PathEnd, TracePlan};
use hello_net::{ProbeEvent, ProbeEventKind, Prober, ProberBuilder};
use hello_proto::Peer;

use super::{connect, greeting, plan, serve};
use crate::network::{have_ipv6, peer, peer_at, receive};
use crate::server::BACK_ENDS;

fn traced(plan: ProberBuilder) -> ProberBuilder {
    plan.trace(TracePlan { timeout: Duration::from_secs(20), ..TracePlan::default() })
}

/// Runs a prober, and returns its counts, the paths, and the number of its other events but `Sent`.
fn run(prober: Prober) -> (Counts, Vec<Path>, usize) {
    let (paths, others) = (Mutex::new(Vec::new()), Mutex::new(0));
    let observe = |event: &ProbeEvent<'_>| match event.kind {
        ProbeEventKind::Traced(path) => {
            assert_eq!(event.flow, path.flow);
            paths.lock().expect("no panic").push(path.clone());
        }
        ProbeEventKind::Sent { .. } => {}
        _ => *others.lock().expect("no panic") += 1,
    };
    let counts = prober.run(observe).expect("no broken socket");
    (counts, paths.into_inner().expect("no panic"), others.into_inner().expect("no panic"))
}

const GREETED: PathEnd = PathEnd::Reached { greeted: true };

#[test]
fn trace_without_probes_ends_at_the_server_that_greets() {
    for address in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
        if address.is_ipv6() && !have_ipv6("trace_without_probes_ends_at_the_server_that_greets") {
            continue;
        }
        for (peer, backend) in [Peer::Hello, Peer::Echo].into_iter().zip(BACK_ENDS) {
            let server = peer_at((address, 0).into());
            let prober = connect(&server, traced(plan(0)).peer(peer).backend(*backend));
            prober.trace_handle().expect("a plan").trace(0);
            let (counts, paths, others) = thread::scope(|scope| {
                scope.spawn(|| {
                    serve(&server, 1, |_, name| match peer {
                        Peer::Hello => vec![greeting(name)],
                        _ => vec![name.to_vec()],
                    });
                });
                run(prober)
            });
            assert_eq!((counts, others), (Counts::default(), 0));
            let [path] = &paths[..] else { panic!("{paths:?}") };
            assert_eq!((path.end, path.hops.len()), (GREETED, 1));
            assert_eq!(path.hops[0].routers[0].address, address);
            assert_eq!(path.hops[0].routers[0].rtts.len(), 1);
        }
    }
}

#[test]
fn trace_to_a_port_without_a_server_reaches_the_host() {
    for address in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
        if address.is_ipv6() && !have_ipv6("trace_to_a_port_without_a_server_reaches_the_host") {
            continue;
        }
        let server = peer_at((address, 0).into());
        let prober = connect(&server, traced(plan(0)));
        drop(server);
        prober.trace_handle().expect("a plan").trace(0);
        let (_, paths, others) = run(prober);
        assert_eq!((paths[0].end, others), (PathEnd::Reached { greeted: false }, 0));
        assert_eq!(paths[0].hops[0].routers[0].address, address);
    }
}

#[test]
fn trace_beside_probes_is_in_no_count_of_theirs_and_the_others_follow_at_the_end() {
    const PROBES: u64 = 40;
    let server = peer();
    let flows = NonZeroU16::new(4).expect("not zero");
    let prober = connect(&server, traced(plan(PROBES)).flows(flows));
    let handle = prober.trace_handle().expect("a plan");
    handle.trace(2);
    handle.trace(7);
    handle.trace_others_at_end();
    let (counts, paths, others) = thread::scope(|scope| {
        scope.spawn(|| serve(&server, PROBES + 4, |_, name| vec![greeting(name)]));
        run(prober)
    });
    let expected = Counts::default();
    assert_eq!((counts.sent, counts.answered, others), (PROBES, PROBES, 40));
    assert_eq!((counts.unsolicited, counts.corrupt), (expected.unsolicited, expected.corrupt));
    assert!(paths.iter().all(|path| path.end == GREETED), "{paths:?}");
    let flows = Vec::from_iter(paths.iter().map(|path| path.flow));
    assert_eq!(flows[0], 2, "it was requested before");
    let mut sorted = flows.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [0, 1, 2, 3]);
}

#[test]
fn abort_ends_traces_and_shows_what_is_known() {
    let server = peer();
    // The second flow begins once the path of the first one is known, which then waits for samples.
    let (samples, concurrent) = (NonZeroU8::MAX, NonZeroU8::MIN);
    let timeout = Duration::from_secs(20);
    let trace = TracePlan { samples, concurrent, timeout, ..TracePlan::default() };
    let flows = NonZeroU16::new(2).expect("not zero");
    let prober = connect(&server, plan(0).flows(flows).trace(trace));
    let handle = prober.trace_handle().expect("a plan");
    (0..2).for_each(|flow| handle.trace(flow));
    let stopper = prober.stopper();
    let (_, paths, _) = thread::scope(|scope| {
        scope.spawn(|| {
            serve(&server, 1, |_, name| vec![greeting(name)]);
            receive(&server);
            stopper.stop();
            // Only an abort ends it.
            stopper.abort();
        });
        run(prober)
    });
    let ends = paths.iter().map(|path| (path.flow, path.end));
    assert_eq!(Vec::from_iter(ends), [(0, GREETED), (1, PathEnd::Unfinished)]);
}

#[test]
fn run_without_a_request_traces_nothing() {
    let server = peer();
    let prober = connect(&server, plan(0));
    assert!(prober.trace_handle().is_none());
    let (counts, paths, others) = run(connect(&server, traced(plan(0))));
    assert_eq!((counts, paths.len(), others), (Counts::default(), 0, 0));
}

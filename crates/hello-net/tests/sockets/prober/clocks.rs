//! The clocks between which round-trip times are measured.

use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use hello_measure::{Clock, Clocks, ReplyKind};
use hello_net::{Backend, ProbeEventKind, ProbePlan};

use super::{connect, greeting, plan, serve};
use crate::network::{have_ipv6, peer_at};

/// Returns the clocks of each answer to probes this far apart.
fn clocks(address: &str, interval: Duration, backend: Backend) -> Vec<Clocks> {
    let server = peer_at(address.parse().expect("an address"));
    let flows = 2.try_into().expect("not zero");
    let prober = connect(&server, plan(6).interval(interval).flows(flows).backend(backend));
    let clocks = Mutex::new(Vec::new());
    thread::scope(|scope| {
        scope.spawn(|| serve(&server, 6, |_, name| vec![greeting(name)]));
        let ran = prober.run(|event| match event.kind {
            ProbeEventKind::Received { reply, clocks: of_reply, .. } => {
                assert!(matches!(reply, ReplyKind::Answered { .. }), "{event:?}");
                clocks.lock().expect("no panic").push(of_reply);
            }
            ProbeEventKind::NetworkError { .. } | ProbeEventKind::SocketError(_) => {
                panic!("{event:?}");
            }
            _ => {}
        });
        ran.expect("no broken socket")
    });
    clocks.into_inner().expect("no panic")
}

#[test]
fn round_trip_times_start_when_the_kernel_sends_unless_probes_are_many() {
    let (kernel, process) = (Clock::Kernel, Clock::Process);
    for address in ["127.0.0.1:0", "[::1]:0"] {
        if address.starts_with('[')
            && !have_ipv6("round_trip_times_start_when_the_kernel_sends_unless_probes_are_many")
        {
            continue;
        }
        let apart = ProbePlan::TRANSMIT_TIMES;
        for (interval, backend, sent, received) in [
            (apart, Backend::Native, kernel, kernel),
            (apart - Duration::from_nanos(1), Backend::Native, process, kernel),
            (apart, Backend::Portable, process, process),
        ] {
            let expected = vec![Clocks { sent, received }; 6];
            assert_eq!(clocks(address, interval, backend), expected, "{address}, {backend:?}");
        }
    }
}

#![no_main]

use std::time::Duration;

use hello_cli::ping::join::capture::read;
use hello_measure::{Join, JoinPlan, ProbeOutcome};
use hello_proto::Peer;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let second = Duration::from_secs(1);
    let mut joins = [Peer::Hello, Peer::Echo].map(|peer| {
        let mut join = Join::new(JoinPlan {
            run_id: 0,
            peer,
            name_len: 16,
            timeout: second,
            server: ([192, 0, 2, 2], 9999).into(),
            local: vec![([192, 0, 2, 1], 50_000).into()],
        });
        join.set_epoch(second);
        join.handle_probe(1, 0, second, ProbeOutcome::Answered { rtt: second / 50 });
        join.handle_probe(2, 0, 2 * second, ProbeOutcome::Lost);
        join.handle_probe(3, 0, 3 * second, ProbeOutcome::Late { rtt: 2 * second });
        join
    });
    let mut datagrams = 0;
    let capture = read(bytes, |datagram| {
        datagrams += 1;
        assert!(datagram.payload.len() <= datagram.len);
        for join in &mut joins {
            join.handle_datagram(datagram);
        }
    });
    let Ok(capture) = capture else { return };
    assert!(datagrams <= capture.packets);
    for join in joins {
        let joined = join.finish(&capture.span);
        let known = joined.summary.lost.total() + joined.summary.late.total();
        assert_eq!((joined.verdicts.len(), known), (2, 2));
        assert!(joined.summary.complete || joined.summary.lost.there == 0);
    }
});

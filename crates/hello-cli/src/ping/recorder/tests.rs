use std::num::NonZeroU32;

use super::*;
use crate::ping::fixtures::{KERNEL, answered, events, lost, received, sent, target};
use hello_measure::{Counts, Jitter, Ledger, Lost};
use hello_net::{ErrorClass, NotSent};
use hello_proto::{Request, Token};
use proptest::prelude::*;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn jitter_compares_consecutive_replies_in_order_of_arrival() {
    let mut recorder = Recorder::new(target());
    events(&mut recorder, [answered(ms(10))]);
    assert_eq!(recorder.summary(ms(0)).jitter_ms, None);
    events(&mut recorder, [14, 11, 11].map(|millis| answered(ms(millis))));
    let jitter = recorder.summary(ms(0)).jitter_ms.expect("four replies");
    assert_eq!(jitter.mean, 2.333333);
    // RFC 3550: from 0 by a sixteenth of the way to 4, 3 and 0.
    assert_eq!(jitter.rfc3550, 0.395508);
}

#[test]
fn differences_between_flows_are_not_jitter() {
    let mut recorder = Recorder::new(Target { flows: 2, ..target() });
    for turn in 0..10 {
        for (flow, rtt) in [ms(10), ms(90)].into_iter().enumerate() {
            recorder.observe(&ProbeEvent::new(ms(turn), flow, answered(rtt)));
        }
    }
    let summary = recorder.summary(ms(0));
    assert_eq!(summary.jitter_ms, Some(Jitter { mean: 0.0, rfc3550: 0.0 }));
    let flows = Vec::from_iter(summary.flows.iter().map(|flow| (flow.flow, flow.p50_ms)));
    assert_eq!(flows, [(0, Some(10.0)), (1, Some(90.0))]);
}

#[test]
fn loss_excludes_probes_in_flight() {
    let mut recorder = Recorder::new(target());
    events(&mut recorder, [0, 1, 2, 3, 4].map(sent));
    assert_eq!(
        (recorder.summary(ms(0)).common.loss, recorder.summary(ms(0)).common.in_flight),
        (None, 5)
    );
    events(&mut recorder, [answered(ms(1)), answered(ms(1)), answered(ms(1)), lost(3)]);
    let summary = recorder.summary(ms(0));
    assert_eq!((summary.common.loss, summary.common.in_flight), (Some(0.25), 1));
    // Its reply arrives late, and it remains lost.
    events(&mut recorder, [received(ReplyKind::Late { seq: 3, rtt: ms(2000) })]);
    let summary = recorder.summary(ms(0));
    assert_eq!((summary.common.lost, summary.common.late, summary.common.answered), (1, 1, 3));
    assert_eq!(summary.common.rtt_ms.map(|rtt| rtt.max), Some(1.0));
}

#[test]
fn reply_recorded_before_its_probe_does_not_make_in_flight_negative() {
    let mut recorder = Recorder::new(target());
    events(&mut recorder, [answered(ms(1))]);
    assert_eq!(recorder.summary(ms(0)).common.in_flight, 0);
    events(&mut recorder, [sent(0), sent(1)]);
    assert_eq!(recorder.summary(ms(0)).common.in_flight, 1);
}

#[test]
fn errors_unsent_probes_and_timer_errors_are_separate() {
    let mut recorder = Recorder::new(target());
    events(
        &mut recorder,
        [
            sent(0),
            ProbeEventKind::SocketError(ErrorClass::ConnectionRefused.into()),
            ProbeEventKind::SocketError(ErrorClass::ConnectionRefused.into()),
            ProbeEventKind::NotSent(NotSent::Late),
            ProbeEventKind::NotSent(NotSent::Failed(ErrorClass::Denied.into())),
        ],
    );
    let summary = recorder.summary(ms(5000));
    assert_eq!(summary.common.errors, [("refused", 2)].into());
    assert_eq!(summary.common.not_sent, [("denied", 1), ("late", 1)].into());
    assert_eq!(summary.common.timer_error_ms.map(|error| error.max), Some(0.05));
    assert_eq!(summary.common.duration_s, 5.0);
}

#[test]
fn parts_add_up_to_the_whole() {
    let mut whole = Recorder::new(target());
    let refused = ProbeEventKind::SocketError(ErrorClass::ConnectionRefused.into());
    let first = [sent(0), sent(1), answered(ms(10)), refused];
    let mut before = whole.clone();
    events(&mut before, first);
    let mut part = before.next_part(ms(1000));
    let summary = part.summary(ms(3000));
    let nothing = whole.summary(ms(0));
    let common = hello_measure::Summary { in_flight: 1, duration_s: 2.0, ..nothing.common.clone() };
    assert_eq!(summary, Summary { common, ..nothing });

    events(&mut part, [answered(ms(14))]);
    let summary = part.summary(ms(3000));
    assert_eq!((summary.common.sent, summary.common.answered, summary.common.in_flight), (0, 1, 0));
    assert_eq!(summary.jitter_ms.map(|jitter| jitter.mean), Some(4.0));

    events(&mut whole, first);
    events(&mut whole, [answered(ms(14))]);
    before.append(&part);
    assert_eq!(before.summary(ms(3000)), whole.summary(ms(3000)));
}

/// A step of a prober. A reply is to a probe this many sends ago.
#[derive(Clone, Debug)]
enum Step {
    Send,
    Wait(u64),
    Reply(u32),
    Garbage,
    Stranger,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Send),
        2 => (1..400_u64).prop_map(Step::Wait),
        6 => (1..24_u32).prop_map(Step::Reply),
        1 => Just(Step::Garbage),
        1 => Just(Step::Stranger),
    ];
    prop::collection::vec(step, 1..300)
}

const WINDOW: NonZeroU32 = NonZeroU32::new(16).expect("not zero");

proptest! {
    #[test]
    fn recorded_counts_equal_the_ledgers(steps in steps()) {
        let first = Token { run_id: 0xbeef, seq: u32::MAX - 20 };
        let mut ledger = Ledger::new(first, WINDOW, ms(1000));
        let mut recorder = Recorder::new(target());
        let (mut now, mut next, mut rtts) = (ms(0), first, Vec::new());
        for step in steps.into_iter().chain([Step::Wait(1000)]) {
            let mut receive = |recorder: &mut Recorder, ledger: &mut Ledger, name: &[u8]| {
                let datagram = Request::new(name).expect("short").reply().parts().concat();
                let reply = ledger.handle_datagram(&datagram, now);
                if let ReplyKind::Answered { rtt, .. } = reply {
                    rtts.push(rtt);
                }
                let kind = ProbeEventKind::Received { reply, datagram: &datagram, ttl: None, tos: None, clocks: KERNEL };
                recorder.observe(&ProbeEvent::new(now, 0, kind));
            };
            let mut name = [0; 16];
            match step {
                Step::Send => {
                    if ledger.tokens().next().is_some() {
                        ledger.handle_sent(name.len(), now);
                        recorder.observe(&ProbeEvent::new(now, 0, sent(next.seq)));
                        next.seq = next.seq.wrapping_add(1);
                    }
                }
                Step::Wait(millis) => now += ms(millis),
                Step::Reply(back) => {
                    let seq = next.seq.wrapping_sub(back);
                    Token { seq, ..next }.encode(&mut name).expect("long enough");
                    receive(&mut recorder, &mut ledger, &name);
                }
                Step::Garbage => receive(&mut recorder, &mut ledger, b"no token at all."),
                Step::Stranger => receive(&mut recorder, &mut ledger, b"somebody else"),
            }
            while let Some(Lost { seq, .. }) = ledger.poll_lost(now) {
                recorder.observe(&ProbeEvent::new(now, 0, lost(seq)));
            }
            prop_assert_eq!(recorder.record().counts(), ledger.counts());
            prop_assert_eq!(recorder.record().in_flight(), ledger.counts().in_flight());
        }
        prop_assert_eq!(recorder.record().in_flight(), 0);
        prop_assert_eq!(recorder.rtts().count(), rtts.len() as u64);
        prop_assert_eq!(recorder.rtts().sum(), rtts.iter().sum::<Duration>());
        let flow = &recorder.summary(now).flows[0];
        let Counts { sent, answered, lost, .. } = ledger.counts();
        prop_assert_eq!((flow.sent, flow.answered, flow.lost), (sent, answered, lost));
    }
}

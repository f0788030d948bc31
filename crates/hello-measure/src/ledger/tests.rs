use hello_proto::{MAX_DATAGRAM_LEN, Request};

use super::*;

const RUN: u16 = 0xbeef;
const TIMEOUT: Duration = ms(100);

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A ledger with a window of four probes, whose first sequence number is `first`.
fn ledger(first: u32) -> Ledger {
    let window = NonZeroU32::new(4).expect("not zero");
    Ledger::new(Token { run_id: RUN, seq: first }, window, TIMEOUT)
}

/// Sends a probe of 16 bytes at each of the times, in milliseconds.
fn send<const N: usize>(ledger: &mut Ledger, times: [u64; N]) {
    for time in times {
        ledger.handle_sent(16, ms(time));
    }
}

fn reply(run_id: u16, seq: u32, name_len: usize) -> Vec<u8> {
    let mut name = [0xa5; 64];
    let name = &mut name[..name_len];
    Token { run_id, seq }.encode(name).expect("long enough");
    Request::new(name).expect("short").reply().parts().concat()
}

/// Passes in a reply to a probe of 16 bytes.
fn receive(ledger: &mut Ledger, seq: u32, millis: u64) -> ReplyKind {
    ledger.handle_datagram(&reply(RUN, seq, 16), ms(millis))
}

fn lost(ledger: &mut Ledger, millis: u64) -> Vec<u32> {
    std::iter::from_fn(|| ledger.poll_lost(ms(millis))).map(|lost| lost.seq).collect()
}

#[test]
fn probes_in_flight_are_not_lost() {
    let mut ledger = ledger(0);
    assert_eq!(ledger.counts().loss(), None);
    send(&mut ledger, [0, 10, 20, 30]);
    assert_eq!((ledger.counts().in_flight(), ledger.counts().loss()), (4, None));
    receive(&mut ledger, 1, 40);
    assert_eq!(ledger.counts().loss(), Some(0.0));
    assert_eq!(lost(&mut ledger, 100), [0]);
    assert_eq!((ledger.counts().in_flight(), ledger.counts().loss()), (2, Some(0.5)));
    assert_eq!(lost(&mut ledger, 130), [2, 3]);
    assert_eq!((ledger.counts().in_flight(), ledger.counts().loss()), (0, Some(0.75)));
}

#[test]
fn reply_is_in_time_until_the_last_nanosecond_before_the_timeout() {
    let rtt = TIMEOUT - Duration::from_nanos(1);
    for polled in [false, true] {
        let mut ledger = ledger(0);
        send(&mut ledger, [0, 0]);
        if polled {
            assert_eq!(ledger.poll_lost(rtt), None);
        }
        let answered = ReplyKind::Answered { seq: 0, rtt, reordered: false };
        assert_eq!(ledger.handle_datagram(&reply(RUN, 0, 16), rtt), answered);
        if polled {
            assert_eq!(lost(&mut ledger, 100), [1]);
        }
        assert_eq!(receive(&mut ledger, 1, 100), ReplyKind::Late { seq: 1, rtt: TIMEOUT });
        assert_eq!((ledger.counts().lost, ledger.counts().late), (1, 1));
    }
}

#[test]
fn each_loss_is_polled_once_and_in_order_despite_late_replies() {
    let mut ledger = ledger(0);
    send(&mut ledger, [0, 1, 2, 3]);
    for seq in [3, 1] {
        assert!(matches!(receive(&mut ledger, seq, 200), ReplyKind::Late { .. }));
        assert_eq!(receive(&mut ledger, seq, 200), ReplyKind::Duplicate { seq });
    }
    assert_eq!((ledger.counts().lost, ledger.counts().in_flight()), (2, 2));
    assert_eq!(lost(&mut ledger, 200), [0, 1, 2, 3]);
    assert_eq!((ledger.counts().lost, ledger.counts().in_flight()), (4, 0));
    assert_eq!(lost(&mut ledger, 999), []);
    assert_eq!(receive(&mut ledger, 0, 300), ReplyKind::Late { seq: 0, rtt: ms(300) });
    assert_eq!(receive(&mut ledger, 0, 301), ReplyKind::Duplicate { seq: 0 });
    assert_eq!((ledger.counts().lost, ledger.counts().late), (4, 3));
}

#[test]
fn next_timeout_is_that_of_the_oldest_probe_in_flight() {
    let mut ledger = ledger(0);
    assert_eq!(ledger.poll_timeout(), None);
    send(&mut ledger, [5, 10, 20]);
    assert_eq!(ledger.poll_timeout(), Some(ms(105)));
    receive(&mut ledger, 1, 30);
    assert_eq!(ledger.poll_timeout(), Some(ms(105)));
    receive(&mut ledger, 0, 30);
    assert_eq!(ledger.poll_timeout(), Some(ms(120)));
    assert_eq!(lost(&mut ledger, 119), []);
    assert_eq!(lost(&mut ledger, 120), [2]);
    assert_eq!(ledger.poll_timeout(), None);
}

#[test]
fn no_probe_in_flight_leaves_the_window() {
    let mut ledger = ledger(u32::MAX - 1);
    let numbers = |ledger: &Ledger| Vec::from_iter(ledger.tokens().map(|token| token.seq));
    assert_eq!(numbers(&ledger), [u32::MAX - 1, u32::MAX, 0, 1]);
    send(&mut ledger, [0, 0, 0, 50]);
    assert_eq!(numbers(&ledger), []);
    receive(&mut ledger, u32::MAX, 1);
    assert_eq!(numbers(&ledger), []);
    receive(&mut ledger, u32::MAX - 1, 1);
    assert_eq!(numbers(&ledger), [2, 3]);
    assert_eq!(lost(&mut ledger, 100), [0]);
    assert_eq!(numbers(&ledger), [2, 3, 4]);
}

#[test]
#[should_panic(expected = "the oldest probe of the window is in flight")]
fn probe_beyond_the_window_panics() {
    send(&mut ledger(0), [0; 5]);
}

#[test]
fn replies_are_reordered_relative_to_the_latest_probe_answered() {
    let mut ledger = ledger(u32::MAX);
    send(&mut ledger, [0; 4]);
    for (seq, is_reordered) in [(0, false), (u32::MAX, true), (2, false), (1, true)] {
        let reply = receive(&mut ledger, seq, 7);
        assert_eq!(reply, ReplyKind::Answered { seq, rtt: ms(7), reordered: is_reordered });
    }
    assert_eq!((ledger.counts().answered, ledger.counts().reordered), (4, 2));
}

#[test]
fn reply_to_a_probe_older_than_the_window_is_out_of_window() {
    let mut ledger = ledger(u32::MAX - 1);
    for seq in [u32::MAX - 1, u32::MAX, 0, 1] {
        send(&mut ledger, [0]);
        receive(&mut ledger, seq, 1);
    }
    assert_eq!(receive(&mut ledger, u32::MAX - 1, 2), ReplyKind::Duplicate { seq: u32::MAX - 1 });
    send(&mut ledger, [2]);
    assert_eq!(receive(&mut ledger, u32::MAX - 1, 2), ReplyKind::OutOfWindow { seq: u32::MAX - 1 });
    // A probe in the window, and probes that were not sent.
    assert_eq!(receive(&mut ledger, u32::MAX, 3), ReplyKind::Duplicate { seq: u32::MAX });
    assert_eq!(receive(&mut ledger, 3, 3), ReplyKind::Unsolicited);
    assert_eq!(receive(&mut ledger, u32::MAX - 2, 3), ReplyKind::Unsolicited);
}

#[test]
fn sequence_numbers_wrap_around() {
    let mut ledger = ledger(0);
    assert_eq!(receive(&mut ledger, 0, 1), ReplyKind::Unsolicited);
    send(&mut ledger, [0]);
    ledger.counts.sent += 1 << u32::BITS;
    assert_eq!(receive(&mut ledger, 1, 1), ReplyKind::OutOfWindow { seq: 1 });
    let answered = ReplyKind::Answered { seq: 0, rtt: ms(1), reordered: false };
    assert_eq!(receive(&mut ledger, 0, 1), answered);
}

#[test]
fn other_datagrams_are_corrupt_or_unsolicited() {
    use ReplyKind::{Corrupt, Unsolicited};
    let nothing_sent: &[(&[u8], ReplyKind)] = &[
        (b"", Corrupt),
        (b"Hello, ", Corrupt),
        (b"Hello, !", Unsolicited),
        (b"Hello, you!", Unsolicited),
    ];
    let mut ledger = ledger(0);
    for (datagram, reply) in nothing_sent {
        assert_eq!(ledger.handle_datagram(datagram, ms(0)), *reply);
    }
    ledger.handle_sent(12, ms(0));
    ledger.handle_sent(16, ms(0));

    let too_long = [b'!'; MAX_DATAGRAM_LEN + 1];
    let cases: &[(&[u8], ReplyKind)] = &[
        (&too_long, Corrupt),
        (b"hello, vu8AAAAAvu8A!", Corrupt),
        // Names without a token: shorter than all names sent, as long as some, of a length between,
        // and longer than all.
        (b"Hello, eleven byte!", Unsolicited),
        (b"Hello, vu8AAAAAvu8B!", Corrupt),
        (b"Hello, vu8AAAAAvu8AB!", Corrupt),
        (b"Hello, vu8AAAAAvu8AAAAB!", Corrupt),
        (b"Hello, vu8AAAAAvu8AAAAAB!", Unsolicited),
        // Our tokens in names of another length, and tokens that were not sent.
        (&reply(RUN, 0, 16), Corrupt),
        (&reply(RUN, 1, 12), Corrupt),
        (&reply(RUN, 1, 64), Corrupt),
        (&reply(RUN, 2, 12), Unsolicited),
        (&reply(RUN - 1, 0, 12), Unsolicited),
    ];
    for (datagram, reply) in cases {
        let name = datagram.escape_ascii();
        assert_eq!(ledger.handle_datagram(datagram, ms(1)), *reply, "{name}");
    }
    assert_eq!((ledger.counts().corrupt, ledger.counts().unsolicited), (2 + 8, 2 + 4));
    assert_eq!(ledger.counts().in_flight(), 2);

    for _ in 2..6 {
        lost(&mut ledger, 100);
        ledger.handle_sent(16, ms(100));
    }
    assert_eq!(
        ledger.handle_datagram(&reply(RUN, 1, 16), ms(1)),
        ReplyKind::OutOfWindow { seq: 1 }
    );
    assert_eq!(ledger.handle_datagram(&reply(RUN, 1, 17), ms(1)), Corrupt);
}

#[test]
fn decreasing_and_extreme_times_break_nothing() {
    let mut ledger = ledger(0);
    ledger.handle_sent(16, ms(50));
    ledger.handle_sent(16, ms(50));
    let answered = ReplyKind::Answered { seq: 0, rtt: ms(0), reordered: false };
    assert_eq!(receive(&mut ledger, 0, 49), answered);
    assert_eq!(ledger.poll_lost(ms(49)), None);
    assert_eq!(ledger.poll_lost(Duration::MAX).map(|lost| lost.seq), Some(1));
    ledger.handle_sent(16, Duration::MAX);
    assert_eq!(ledger.poll_lost(Duration::MAX), None);
    assert!(ledger.poll_timeout() > Some(ms(50) + TIMEOUT));
}

#[test]
fn windows_are_powers_of_two() {
    for (asked, made) in [(1, 1), (2, 2), (3, 4), (1000, 1024), (1024, 1024)] {
        let window = NonZeroU32::new(asked).expect("not zero");
        let ledger = Ledger::new(Token { run_id: RUN, seq: 7 }, window, TIMEOUT);
        assert_eq!(ledger.tokens().len(), made);
    }
}

#[test]
#[cfg_attr(miri, ignore = "four thousand causes, each compared with a thousand")]
fn forged_reporters_take_bounded_memory_and_lost_causes_add_up() {
    use crate::{Attribution, Cause, CauseKind, Record};

    let (mut ledger, mut record) = (ledger(1), Record::new());
    send(&mut ledger, [0, 1]);
    let mut name = [0; 16];
    Token { run_id: RUN, seq: 1 }.encode(&mut name).expect("long enough");
    while let Some(lost) = ledger.poll_lost(ms(200)) {
        record.lost(lost.cause);
    }
    for host in 0..4000_u32 {
        let (kind, reporter) = (CauseKind::TooBig { mtu: Some(host) }, host.to_be_bytes().into());
        let cause = Cause { kind, reporter: Some(reporter) };
        let attribution = ledger.handle_error(&name, |_| false, cause);
        assert!(matches!(attribution, Attribution::Probe { seq: 1, .. }));
        record.network_error(cause, attribution);
    }
    let causes = record.summary(Duration::ZERO).lost_causes;
    let unnamed = Cause { kind: CauseKind::TooBig { mtu: None }, reporter: None };
    let found = causes.iter().map(|one| (one.cause, one.lost));
    assert!(found.eq([(Cause::SILENT, 1), (unnamed, 1)]), "{causes:?}");
}

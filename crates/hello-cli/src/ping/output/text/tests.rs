mod live;
mod outages;

use std::num::{NonZeroU64, NonZeroUsize};
use std::time::Duration;

use anstream::adapter::strip_str;
use hello_measure::FlowSummary;
use hello_net::ErrorClass;

use super::summary::{interval, packets, summary};
use super::tables::{comparison, flows};
use super::*;
use crate::args::peer::PeerArg;
use crate::output::layout::Layout;
use crate::ping::fixtures::{KERNEL, answered, events, lost, plan, received, sent, target};
use crate::ping::plan::Plan;
use crate::ping::recorder::Recorder;

const SECOND: Duration = Duration::from_secs(1);

fn line_for(target: &Target, kind: ProbeEventKind<'_>) -> String {
    let line = event(target, &ProbeEvent::new(Duration::ZERO, 0, kind)).unwrap_or_default();
    strip_str(&line).to_string()
}

fn line_of(kind: ProbeEventKind<'_>) -> String {
    line_for(&target(), kind)
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn named(name: &str, address: &str) -> Target {
    let address = hello_net::ZonedAddr(address.parse().expect("an address"));
    Target { name: name.into(), address, ..target() }
}

#[test]
fn header_has_the_form_of_ping_for_each_family() {
    for (name, address, expected) in [
        (
            "example.org:9999",
            "192.0.2.1:9999",
            "PING example.org:9999 (192.0.2.1) 16(44) bytes of data.",
        ),
        ("[2001:db8::1]:9", "[2001:db8::1]:9", "PING [2001:db8::1]:9(2001:db8::1) 16 data bytes"),
        ("a\x1bb:9", "[2001:db8::1]:9", r"PING a\u{1b}b:9(a\u{1b}b (2001:db8::1)) 16 data bytes"),
    ] {
        assert_eq!(header(&named(name, address)), expected);
    }
}

#[test]
fn each_event_has_a_line() {
    let rtt = Duration::from_nanos(41_499);
    let unsolicited = received_bytes(ReplyKind::Unsolicited, b"\x1b[2J");
    let from = "24 bytes from 192.0.2.1:9999: icmp_seq";
    for (kind, line) in [
        (sent(1), String::new()),
        (answered(rtt), format!("{from}=1 ttl=64 time=0.041 ms")),
        (
            received(ReplyKind::Answered { seq: 7, rtt, reordered: true }),
            format!("{from}=7 ttl=64 time=0.041 ms (reordered)"),
        ),
        (
            received(ReplyKind::Late { seq: 7, rtt: ms(1500) }),
            format!("{from}=7 ttl=64 time=1500.000 ms (late)"),
        ),
        (received(ReplyKind::Duplicate { seq: 7 }), format!("{from}=7 ttl=64 time=- ms (DUP!)")),
        (
            received(ReplyKind::OutOfWindow { seq: 7 }),
            format!("{from}=7 ttl=64 time=- ms (out of window)"),
        ),
        (
            received(ReplyKind::Corrupt),
            "From 192.0.2.1:9999: corrupt datagram of 24 bytes: Hello, AAAAAAAAAAAAAAAA!".into(),
        ),
        (unsolicited, r"From 192.0.2.1:9999: unsolicited datagram of 4 bytes: \u{1b}[2J".into()),
        (lost(7), "no answer yet for icmp_seq=7 from 192.0.2.1:9999: lost after 1s".into()),
        (
            ProbeEventKind::SocketError(ErrorClass::ConnectionRefused.into()),
            "To 192.0.2.1:9999: refused (no server on that port, or a firewall)".into(),
        ),
        (
            ProbeEventKind::Dropped { count: 1 },
            "From 192.0.2.1:9999: 1 datagram dropped by this host: receive buffer full, or bad \
             checksum"
                .into(),
        ),
        (
            ProbeEventKind::NotSent(NotSent::Failed(ErrorClass::WouldBlock.into())),
            "To 192.0.2.1:9999: not sent: send buffer full".into(),
        ),
        (
            ProbeEventKind::NotSent(NotSent::Late),
            "To 192.0.2.1:9999: not sent: too late, because this process was stalled or too slow"
                .into(),
        ),
    ] {
        assert_eq!(line_of(kind), line);
    }
    let two = Target { flows: 2, ..target() };
    let line = event(&two, &ProbeEvent::new(ms(0), 1, lost(7))).unwrap_or_default();
    let expected = "no answer yet for icmp_seq=7 from 192.0.2.1:9999 flow=1: lost after 1s";
    assert_eq!(strip_str(&line).to_string(), expected);
}

fn received_bytes(reply: ReplyKind, datagram: &[u8]) -> ProbeEventKind<'_> {
    match received(reply) {
        ProbeEventKind::Received { reply, ttl, .. } => {
            ProbeEventKind::Received { reply, datagram, ttl, tos: None, clocks: KERNEL }
        }
        other => other,
    }
}

#[test]
fn reply_to_a_named_target_has_its_name_and_its_address() {
    let line = line_for(&named("localhost:7", "[::1]:7"), answered(ms(1)));
    assert_eq!(line, "24 bytes from localhost ([::1]:7): icmp_seq=1 ttl=64 time=1.000 ms");
    for numeric in ["[::1]:7", "[fe80::1%eth0]:7", "127.0.0.1:7"] {
        let line = line_for(&named(numeric, "[::1]:7"), answered(ms(1)));
        assert!(line.starts_with("24 bytes from [::1]:7: icmp_seq="), "{line}");
    }
}

#[test]
fn losses_are_red_and_unusual_replies_yellow() {
    let line = |kind| event(&target(), &ProbeEvent::new(ms(0), 0, kind)).unwrap_or_default();
    let [red, yellow] = ["\u{1b}[31m", "\u{1b}[33m"];
    for (kind, color) in [
        (lost(7), Some(red)),
        (ProbeEventKind::SocketError(ErrorClass::Denied.into()), Some(red)),
        (ProbeEventKind::NotSent(NotSent::Late), Some(red)),
        (received(ReplyKind::Late { seq: 7, rtt: ms(1500) }), Some(yellow)),
        (received(ReplyKind::Duplicate { seq: 7 }), Some(yellow)),
        (received(ReplyKind::Answered { seq: 7, rtt: ms(1), reordered: true }), Some(yellow)),
        (answered(ms(1)), None),
    ] {
        let line = line(kind);
        assert!(
            color.is_some_and(|color| line.contains(color)) || !line.contains('\u{1b}'),
            "{line:?}"
        );
        assert_eq!(line.contains('\u{1b}'), color.is_some(), "{line:?}");
    }
}

/// Five probes, of which one is lost and one in flight, and other events.
fn eventful() -> Recorder {
    let mut recorder = Recorder::new(target());
    events(&mut recorder, [0, 1, 2, 3, 4].map(sent));
    events(&mut recorder, [40, 60, 50].map(Duration::from_micros).map(answered));
    let refused = ProbeEventKind::SocketError(ErrorClass::ConnectionRefused.into());
    let duplicate = received(ReplyKind::Duplicate { seq: 0 });
    let late = received(ReplyKind::Late { seq: 3, rtt: ms(1500) });
    let too_late = ProbeEventKind::NotSent(NotSent::Late);
    let corrupt = received(ReplyKind::Corrupt);
    events(&mut recorder, [lost(3), late, duplicate, corrupt, refused, refused, too_late]);
    recorder
}

/// Returns the summary in text, without colours.
fn printed(recorder: &Recorder, now: Duration) -> String {
    let text = summary(Layout::PLAIN, &plan(), &recorder.summary(now), &[]);
    strip_str(&text).to_string()
}

#[test]
fn summary_ends_like_pings_after_the_details() {
    let expected = "
192.0.2.1:9999
  1 in flight, 1 late
  errors: refused 2
  1 of 6 not sent: too late, because this process was stalled or too slow
  rtt p50 = 0.050 ms
  jitter mean/rfc3550 = 0.015/0.002 ms
  timer error p50/max = 0.050/0.050 ms
  clocks: sent by the driver, received by the kernel

--- 192.0.2.1:9999 ping statistics ---
5 packets transmitted, 3 received, +1 duplicates, +1 corrupted, +2 errors, 25% packet loss, \
time 4005ms, +1 not sent (loss up to 40% if the 1 in flight is lost)
rtt min/avg/max/mdev = 0.040/0.050/0.060/0.008 ms";
    assert_eq!(printed(&eventful(), ms(4005)), expected);
}

#[test]
fn percentiles_need_as_many_replies_as_they_tell_apart() {
    for (replies, line) in [
        (1, None),
        (2, Some("  rtt p50 = 1.00 ms\n")),
        (19, Some("  rtt p50/p90 = 1.00/1.00 ms\n")),
        (99, Some("  rtt p50/p90/p95 = 1.00/1.00/1.00 ms\n")),
        (1000, Some("  rtt p50/p90/p95/p99/p99.9 = 1.00/1.00/1.00/1.00/1.00 ms\n")),
    ] {
        let mut recorder = Recorder::new(target());
        events(&mut recorder, vec![answered(ms(1)); replies]);
        let text = printed(&recorder, SECOND);
        match line {
            Some(line) => assert!(text.contains(line), "{replies}: {text}"),
            None => assert!(!text.contains("p50"), "{text}"),
        }
    }
}

#[test]
fn loss_has_no_more_digits_than_the_counts_carry() {
    let mut recorder = Recorder::new(target());
    events(&mut recorder, [answered(ms(1)), answered(ms(1)), lost(3)]);
    assert!(printed(&recorder, SECOND).contains(", 33% packet loss, "));
}

#[test]
fn loss_says_how_large_it_may_become_and_how_small_if_it_is_total() {
    let mut recorder = Recorder::new(target());
    events(&mut recorder, (0..10).map(sent));
    assert!(printed(&recorder, SECOND).ends_with(" 1000ms (loss unknown: all in flight)\n"));
    let mut total = recorder.clone();
    events(&mut total, [lost(0)]);
    let end = " (loss only 10% if the 9 in flight are answered)\n";
    assert!(printed(&total, SECOND).ends_with(end));
    events(&mut recorder, [answered(ms(1)); 6]);
    let end = ", 0% packet loss, time 1000ms (loss up to 40% if the 4 in flight are lost)\n";
    assert!(printed(&recorder, SECOND).contains(end));
    events(&mut recorder, [lost(0); 4]);
    assert!(printed(&recorder, SECOND).contains(", 40% packet loss, time "));
}

#[test]
fn probes_not_sent_are_counted_with_their_reason() {
    let mut recorder = Recorder::new(target());
    events(&mut recorder, (0..10).map(sent));
    events(&mut recorder, [answered(ms(1)); 10]);
    let unreachable = ProbeEventKind::NotSent(NotSent::Failed(ErrorClass::Unreachable.into()));
    events(&mut recorder, [unreachable; 20]);
    let text = printed(&recorder, SECOND);
    assert!(text.contains("\n  20 of 30 not sent: network unreachable\n"), "{text}");
    assert!(text.contains(" 0% packet loss, time 1000ms, +20 not sent\n"), "{text}");
    events(&mut recorder, [ProbeEventKind::NotSent(NotSent::TooManyInFlight)]);
    let text = printed(&recorder, SECOND);
    let line = "\n  21 of 31 not sent: too many in flight 1, network unreachable 20\n";
    assert!(text.contains(line), "{text}");
}

#[test]
fn summary_without_a_reply_has_the_reason() {
    let mut recorder = Recorder::new(target());
    events(&mut recorder, [sent(0), lost(0)]);
    let silent = printed(&recorder, ms(1000));
    assert!(silent.contains("\n  no reply within 1s, and no error was reported; if the server is slower, use a longer -W\n"), "{silent}");
    let end = "\n1 packets transmitted, 0 received, 100% packet loss, time 1000ms\n";
    assert!(silent.ends_with(end), "{silent}");
    for (reply, why) in [
        (ReplyKind::Late { seq: 0, rtt: ms(1500) }, "no reply in time: some were late"),
        (ReplyKind::Corrupt, "no reply: only corrupt or unrelated datagrams"),
        (ReplyKind::Unsolicited, "no reply: only corrupt or unrelated datagrams"),
    ] {
        let mut recorder = recorder.clone();
        events(&mut recorder, [received(reply)]);
        let not_silent = printed(&recorder, ms(1000));
        assert!(not_silent.contains(&format!("\n  {why}\n")), "{not_silent}");
    }
    let mut denied = recorder.clone();
    events(&mut denied, [ProbeEventKind::SocketError(ErrorClass::Denied.into())]);
    let errors = printed(&denied, ms(1000));
    assert!(errors.contains("\n  no reply: only errors\n"), "{errors}");
    events(&mut recorder, [ProbeEventKind::SocketError(ErrorClass::ConnectionRefused.into())]);
    let refused = printed(&recorder, ms(1000));
    let line =
        "\n  no reply: refused (no server on that port, or a firewall)\n  errors: refused 1\n";
    assert!(refused.contains(line), "{refused}");
    let nothing = printed(&Recorder::new(target()), ms(0));
    assert!(nothing.ends_with("\n0 packets transmitted, 0 received, time 0ms\n"), "{nothing}");
}

#[test]
fn replies_of_the_other_kind_of_server_have_a_hint() {
    let [echo, hello] = [
        "; if this is an echo server, add --peer echo\n",
        "; if this is a Hello server, omit --peer echo\n",
    ];
    let of = |reply, datagram| match received(reply) {
        ProbeEventKind::Received { reply, ttl, tos, clocks, .. } => {
            ProbeEventKind::Received { reply, datagram, ttl, tos, clocks }
        }
        other => other,
    };
    let (name, greeting) = (&[b'A'; 16][..], &b"Hello, AAAAAAAAAAAAAAAA!"[..]);
    let (corrupt, unsolicited) = (ReplyKind::Corrupt, ReplyKind::Unsolicited);
    for (peer, received, hint) in [
        (PeerArg::Hello, vec![of(corrupt, name)], echo),
        (PeerArg::Hello, vec![of(unsolicited, greeting)], "\n"),
        (PeerArg::Hello, vec![of(corrupt, b"garbage")], "\n"),
        (PeerArg::Hello, vec![of(corrupt, b"garbage"), of(corrupt, name)], echo),
        (PeerArg::Echo, vec![of(unsolicited, name)], "\n"),
        (PeerArg::Echo, vec![of(unsolicited, greeting)], hello),
    ] {
        let mut recorder = Recorder::new(Target { peer, ..target() });
        events(&mut recorder, [sent(0)].into_iter().chain(received).chain([lost(0)]));
        let plan = Plan { peer, ..plan() };
        let text = summary(Layout::PLAIN, &plan, &recorder.summary(SECOND), &[]);
        let line = format!("\n  no reply: only corrupt or unrelated datagrams{hint}");
        assert!(text.contains(&line), "{text}");
        let mut whole = Recorder::new(Target { peer, ..target() });
        whole.append(&recorder);
        assert_eq!(whole.summary(SECOND).of_other_peer, u64::from(hint != "\n"));
        events(&mut recorder, [answered(ms(1))]);
        let text = summary(Layout::PLAIN, &plan, &recorder.summary(SECOND), &[]);
        assert!(!text.contains("if this is"), "{text}");
    }
}

#[test]
fn interval_has_one_line_and_the_last_says_how_short_it_is() {
    let summary = eventful().summary(ms(4005));
    let packets = packets(&summary, "");
    let times = "rtt p50/max = 0.050/0.060 ms, jitter mean = 0.015 ms";
    let rest = format!(": {packets}, 1 in flight, {times}");
    assert_eq!(interval(Layout::PLAIN, &summary, false), format!("192.0.2.1:9999{rest}"));
    let last = interval(Layout::PLAIN, &summary, true);
    assert_eq!(last, format!("192.0.2.1:9999 (partial: 4.005 s){rest}"));
}

fn terminal(width: usize) -> Layout {
    Layout { width: NonZeroUsize::new(width), unicode: false }
}

#[test]
fn tables_are_aligned() {
    let silent = Target { name: "[::1]:7".into(), ..target() };
    let mut many = eventful();
    events(&mut many, [sent(0); 1000]);
    let summaries = [many.summary(ms(0)), Recorder::new(silent).summary(ms(0))];
    let expected = "\
target           sent  not sent  lost  loss    min    p50  p90  p99    max  jitter  errors
192.0.2.1:9999  1,005         1     1   25%  0.040  0.050    -    -  0.060   0.015       2
[::1]:7             0         0     0     -      -      -    -    -      -       -       0";
    assert_eq!(comparison(Layout::PLAIN, &summaries, &[]), expected);
    let heads = comparison(Layout::PLAIN, &summaries[1..], &[]);
    assert!(!heads.contains("not sent"), "{heads}");
    let expected = "\
flow   sent  answered  lost  loss    p50  p99
   0  1,005         3     1   25%  0.050    -";
    assert_eq!(flows(Layout::PLAIN, &summaries[0].flows), expected);
    // They are known to two digits.
    let flow = FlowSummary { p50_ms: Some(0.2327), p99_ms: Some(1.234), ..summaries[0].flows[0] };
    assert!(flows(Layout::PLAIN, &[flow]).ends_with("  0.23  1.2"));
}

#[test]
fn details_and_intervals_fit_the_width() {
    let mut recorder = eventful();
    events(&mut recorder, vec![answered(ms(123)); 1000]);
    let recorded = recorder.summary(ms(4005));
    for width in [40, 60, 80] {
        let text = summary(terminal(width), &plan(), &recorded, &[]);
        let (details, _) = text.split_once("\n--- ").expect("ping's lines");
        let interval = interval(terminal(width), &recorded, true);
        for line in
            strip_str(details).to_string().lines().chain(strip_str(&interval).to_string().lines())
        {
            assert!(line.chars().count() <= width, "{width}: {line}");
        }
    }
}

#[test]
fn refusal_is_named_before_the_first_probe_is_lost() {
    let mut recorder = Recorder::new(target());
    let refused = ProbeEventKind::SocketError(ErrorClass::ConnectionRefused.into());
    events(&mut recorder, [sent(0), refused]);
    let text = printed(&recorder, ms(100));
    assert!(text.contains("\n  no reply: refused "), "{text}");
}

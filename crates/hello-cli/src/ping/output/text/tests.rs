use std::time::Duration;

use hello_net::{ErrorClass, ZonedAddr};

use super::*;
use crate::ping::fixtures::{answered, events, lost, received, sent, target};
use crate::ping::recorder::Recorder;

fn line_of(kind: ProbeEventKind<'_>) -> String {
    event(&target(), &ProbeEvent::new(Duration::ZERO, 0, kind)).unwrap_or_default()
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn header_has_the_sizes_of_the_name_and_of_the_packet() {
    let v4 = header(&Target { name: "example.org:9999".into(), ..target() });
    assert_eq!(v4, "PING example.org:9999 (192.0.2.1) 16(44) bytes of data.");
    let address = ZonedAddr("[2001:db8::1]:9999".parse().expect("an address"));
    let v6 = header(&Target { name: "a\x1bb".into(), address, ..target() });
    assert_eq!(v6, "PING a\\u{1b}b (2001:db8::1) 16(64) bytes of data.");
}

#[test]
fn each_event_has_a_line() {
    let rtt = Duration::from_nanos(41_499);
    let unsolicited =
        ProbeEventKind::Received { reply: ReplyKind::Unsolicited, datagram: b"\x1b[2J", ttl: None };
    for (kind, line) in [
        (sent(0), ""),
        (answered(rtt), "24 bytes from 192.0.2.1:9999: seq=1 time=0.041 ms"),
        (
            received(ReplyKind::Answered { seq: 7, rtt, reordered: true }),
            "24 bytes from 192.0.2.1:9999: seq=7 time=0.041 ms (reordered)",
        ),
        (
            received(ReplyKind::Late { seq: 7, rtt: ms(1500) }),
            "24 bytes from 192.0.2.1:9999: seq=7 time=1500.000 ms (late)",
        ),
        (received(ReplyKind::Duplicate { seq: 7 }), "24 bytes from 192.0.2.1:9999: seq=7 (DUP!)"),
        (
            received(ReplyKind::OutOfWindow { seq: 7 }),
            "24 bytes from 192.0.2.1:9999: seq=7 (out of window)",
        ),
        (
            received(ReplyKind::Corrupt),
            "24 bytes from 192.0.2.1:9999: (corrupt) Hello, AAAAAAAAAAAAAAAA!",
        ),
        (unsolicited, r"4 bytes from 192.0.2.1:9999: (unsolicited) \u{1b}[2J"),
        (lost(7), "192.0.2.1:9999: seq=7 lost"),
        (
            ProbeEventKind::SocketError(ErrorClass::ConnectionRefused.into()),
            "192.0.2.1:9999: refused (no server is listening on that port)",
        ),
        (
            ProbeEventKind::NotSent(NotSent::Failed(ErrorClass::WouldBlock.into())),
            "192.0.2.1:9999: not sent: send buffer full",
        ),
    ] {
        assert_eq!(line_of(kind), line);
    }
    let two = Target { flows: 2, ..target() };
    let line = event(&two, &ProbeEvent::new(ms(0), 1, lost(7)));
    assert_eq!(line.as_deref(), Some("192.0.2.1:9999: seq=7 flow=1 lost"));
}

/// Five probes, of which one is lost and one in flight, and other events.
fn eventful() -> Recorder {
    let mut recorder = Recorder::new(target());
    events(&mut recorder, [0, 1, 2, 3, 4].map(sent));
    events(&mut recorder, [40, 60, 50].map(Duration::from_micros).map(answered));
    let refused = ProbeEventKind::SocketError(ErrorClass::ConnectionRefused.into());
    let duplicate = received(ReplyKind::Duplicate { seq: 1 });
    let late = received(ReplyKind::Late { seq: 3, rtt: ms(1500) });
    let too_late = ProbeEventKind::NotSent(NotSent::Late);
    let corrupt = received(ReplyKind::Corrupt);
    events(&mut recorder, [lost(3), late, duplicate, corrupt, refused, refused, too_late]);
    recorder
}

#[test]
fn summary_ends_like_pings_after_the_details() {
    let expected = "
192.0.2.1:9999
  1 in flight, 1 late
  errors: connection-refused 2
  not sent: late 1
  rtt p50/p90/p95/p99/p99.9 = 0.050/-/-/-/- ms
  jitter mean/rfc3550 = 0.015/0.002 ms
  timer error p50/p99/max = 0.050/-/0.050 ms

--- 192.0.2.1:9999 ping statistics ---
5 packets transmitted, 3 received, +1 duplicates, +1 corrupted, +2 errors, 25% packet loss, time 4005ms
rtt min/avg/max/mdev = 0.040/0.050/0.060/0.008 ms";
    assert_eq!(summary(&eventful().summary(ms(4005)), &[]), expected);
}

#[test]
fn summary_without_a_reply_has_the_reason() {
    let mut recorder = Recorder::new(target());
    events(&mut recorder, [sent(0), lost(0)]);
    let silent = summary(&recorder.summary(ms(1000)), &[]);
    assert!(silent.contains("\n  no reply: silent (no error was reported)\n"), "{silent}");
    let end = "\n1 packets transmitted, 0 received, 100% packet loss, time 1000ms\n";
    assert!(silent.ends_with(end), "{silent}");
    for (reply, why) in [
        (ReplyKind::Late { seq: 1, rtt: ms(1500) }, "no reply in time: some were late"),
        (ReplyKind::Corrupt, "no reply: only unrelated datagrams"),
        (ReplyKind::Unsolicited, "no reply: only unrelated datagrams"),
    ] {
        let mut recorder = recorder.clone();
        events(&mut recorder, [received(reply)]);
        let not_silent = summary(&recorder.summary(ms(1000)), &[]);
        assert!(not_silent.contains(&format!("\n  {why}\n")), "{not_silent}");
    }
    let mut denied = recorder.clone();
    events(&mut denied, [ProbeEventKind::SocketError(ErrorClass::Denied.into())]);
    let errors = summary(&denied.summary(ms(1000)), &[]);
    assert!(errors.contains("\n  no reply: only errors\n"), "{errors}");
    events(&mut recorder, [ProbeEventKind::SocketError(ErrorClass::ConnectionRefused.into())]);
    let refused = summary(&recorder.summary(ms(1000)), &[]);
    let line = "\n  no reply: refused (no server is listening on that port)\n  errors: connection-refused 1\n";
    assert!(refused.contains(line), "{refused}");
    let nothing = summary(&Recorder::new(target()).summary(ms(0)), &[]);
    assert!(nothing.ends_with("\n0 packets transmitted, 0 received, time 0ms\n"), "{nothing}");
}

#[test]
fn interval_and_status_have_one_line() {
    let summary = eventful().summary(ms(4005));
    let packets = packets(&summary);
    let times = "rtt p50/p99/max = 0.050/-/0.060 ms, jitter mean = 0.015 ms";
    let expected = format!("192.0.2.1:9999: {packets}, 1 in flight, {times}");
    assert_eq!(interval(&summary), expected);
    let expected = "5 sent, 25% lost, 1 in flight, p50/p99/max 0.050/-/0.060 ms";
    assert_eq!(status(std::slice::from_ref(&summary)), expected);
    let expected = "192.0.2.1:9999 25% lost, p50 0.050 ms | 192.0.2.1:9999 - lost";
    assert_eq!(status(&[summary, Recorder::new(target()).summary(ms(0))]), expected);
}

#[test]
fn tables_are_aligned() {
    let silent = Target { name: "[::1]:7".into(), ..target() };
    let summaries = [eventful().summary(ms(0)), Recorder::new(silent).summary(ms(0))];
    let expected = "\
target          sent  lost  loss    min    p50  p90  p99    max  jitter  errors
192.0.2.1:9999     5     1   25%  0.040  0.050    -    -  0.060   0.015       2
[::1]:7            0     0     -      -      -    -    -      -       -       0";
    assert_eq!(comparison(Layout::PLAIN, &summaries, &[]), expected);
    let expected = "\
flow  sent  answered  lost  loss    p50  p99
   0     5         3     1   25%  0.050    -";
    assert_eq!(flows(Layout::PLAIN, &summaries[0].flows), expected);
}

#[test]
fn refusal_is_named_before_the_first_probe_is_lost() {
    let mut recorder = Recorder::new(target());
    let refused = ProbeEventKind::SocketError(ErrorClass::ConnectionRefused.into());
    events(&mut recorder, [sent(0), refused]);
    let text = summary(&recorder.summary(ms(100)), &[]);
    assert!(text.contains("\n  no reply: refused "), "{text}");
}

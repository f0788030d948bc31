use serde_json::Value;

use super::*;
use crate::output::fixtures::untimed;
use crate::output::json::SHOWN;

fn datagram(name: &[u8], outcome: Outcome) -> ServerEvent<'_> {
    let source = ([192, 0, 2, 7], 40_001).into();
    ServerEvent::new(source, ([192, 0, 2, 1], 9999).into(), name, outcome)
}

#[test]
fn listening_line_has_the_origin_the_plan_and_the_sizes_of_the_buffers() {
    let receive = Buffer { requested: 8192, is_default: true, actual: 4096 };
    let send = Buffer { requested: 1024, ..receive };
    let buffers = Buffers { receive, send };
    let (origin, plan) = (Origin::now("hello-server"), Plan::default());
    let address = ([192, 0, 2, 1], 9999).into();
    let line = |format| listening(format, address, &origin, &plan, &buffers, None);
    assert_eq!(line(Format::Text), "listening on 192.0.2.1:9999");
    let json: Value = serde_json::from_str(&line(Format::Json)).expect("JSON");
    assert_eq!((&json["event"], &json["tool"]), (&"listening".into(), &"hello-server".into()));
    assert_eq!((&json["address"], &json["limit"]), (&"192.0.2.1:9999".into(), &Value::Null));
    assert_eq!((&json["receive_buffer"], &json["send_buffer"]), (&4096.into(), &4096.into()));
    assert_eq!(json["receive_buffer_short"], true);
    assert_eq!(json["send_buffer_short"], Value::Null);
    assert_eq!(json["plan"]["workers"], 0);
    assert_eq!(json["schema_version"], 1);
}

#[test]
fn time_since_the_start_is_never_rounded_to_nothing() {
    for (uptime, text) in
        [(Duration::from_millis(250), "250ms"), (Duration::from_millis(61_250), "1m1s")]
    {
        assert_eq!(rounded(uptime), text);
    }
    let text = snapshot(Format::Text, &ServerCounters::default(), Duration::from_millis(7));
    assert!(text.starts_with("after 7ms: 0 received, "), "{text}");
}

#[test]
fn each_outcome_has_a_line_of_text() {
    for (name, outcome, line) in [
        (&b"Tracy"[..], Outcome::Answered, "192.0.2.7:40001 greeted as Tracy"),
        (b"\x1b[2J\n", Outcome::Answered, r"192.0.2.7:40001 greeted as \u{1b}[2J\n"),
        (
            b"Tracy",
            Outcome::Refused(Refusal::SourcePortZero),
            "192.0.2.7:40001 refused: source port is 0",
        ),
        (
            b"12345",
            Outcome::Refused(Refusal::NameTooLong),
            "192.0.2.7:40001 refused: name is too long (5 bytes)",
        ),
        (
            b"Tracy",
            Outcome::SendFailed(ErrorClass::Unreachable.into()),
            "192.0.2.7:40001 send failed: unreachable",
        ),
    ] {
        assert_eq!(event(Format::Text, &datagram(name, outcome), 0), line);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn lines_name_the_zone_of_a_link_local_address() {
    let ip = "fe80::1".parse().expect("an address");
    // The loopback has this index in every network namespace.
    let address = SocketAddr::from(std::net::SocketAddrV6::new(ip, 9999, 0, 1));
    let event_of =
        |format| event(format, &ServerEvent::new(address, address, b"", Outcome::OverLimit), 0);
    let buffer = Buffer { requested: 1, is_default: true, actual: 1 };
    let buffers = Buffers { receive: buffer, send: buffer };
    let (origin, plan) = (Origin::now("hello-server"), Plan::default());
    let listening = |format| listening(format, address, &origin, &plan, &buffers, None);
    for line in [
        event_of(Format::Text),
        event_of(Format::Json),
        listening(Format::Text),
        listening(Format::Json),
    ] {
        assert!(line.contains("[fe80::1%lo]:9999") && !line.contains("%1"), "{line}");
    }
}

#[test]
fn long_name_is_marked_as_truncated() {
    let event = |name: &[u8]| {
        untimed(&event(Format::Json, &datagram(name, Outcome::Answered), 0)).trim_end().to_owned()
    };
    let line = |len| event(&[b'x'; 2000][..len]);
    let name = "x".repeat(SHOWN);
    assert!(line(SHOWN).ends_with(&format!(r#""name":"{name}"}}"#)));
    assert!(line(SHOWN + 1).ends_with(&format!(r#""name":"{name}","truncated":true}}"#)));

    let long = "x".to_owned() + &"é".repeat(600);
    let line = event(long.as_bytes());
    let escaped = r"\u00e9".repeat((SHOWN - 1) / 2);
    assert!(line.ends_with(&format!(r#""name":"x{escaped}","truncated":true}}"#)), "{line}");
}

#[test]
fn each_outcome_has_a_line_of_json() {
    let line = |name, outcome| untimed(&event(Format::Json, &datagram(name, outcome), 0));
    let addresses = r#""source":"192.0.2.7:40001","local":"192.0.2.1:9999""#;
    assert_eq!(
        line(b"Tracy", Outcome::Answered),
        format!(r#"{{"event":"datagram","outcome":"answered",{addresses},"name":"Tracy"}}"#)
    );
    assert_eq!(
        line(b"\xff", Outcome::Refused(Refusal::SourcePortZero)),
        format!(
            r#"{{"event":"datagram","outcome":"refused","reason":"source-port-zero",{addresses},"name":null,"name_hex":"ff"}}"#
        )
    );
    assert_eq!(
        line(b"12345", Outcome::Refused(Refusal::NameTooLong)),
        format!(
            r#"{{"event":"datagram","outcome":"refused","reason":"name-too-long",{addresses},"name":"12345"}}"#
        )
    );
    assert_eq!(
        line(b"", Outcome::SendFailed(ErrorClass::Denied.into())),
        format!(
            r#"{{"event":"datagram","outcome":"send-failed","reason":"denied",{addresses},"name":""}}"#
        )
    );
}

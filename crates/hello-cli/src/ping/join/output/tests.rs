use std::num::NonZeroUsize;
use std::time::Duration;

use hello_measure::{CaptureSpan, Joined};

use super::*;

fn quantiles(max: f64) -> Quantiles {
    Quantiles {
        min: 0.0,
        mean: 1.0,
        max,
        stddev: 1.0,
        p50: Some(1.0),
        p90: None,
        p95: Some(2.0),
        p99: None,
        p999: None,
    }
}

fn summary(lost: [u64; 4], late: [u64; 4]) -> JoinSummary {
    let places = |[there, server, back, not_known]: [u64; 4]| {
        let mut places = Places::default();
        (places.there, places.server) = (there, server);
        (places.back, places.not_known) = (back, not_known);
        places
    };
    let mut summary = JoinSummary::default();
    (summary.lost, summary.late) = (places(lost), places(late));
    (summary.probes, summary.requests_seen, summary.replies_seen) = (1000, 988, 1);
    summary.complete = true;
    summary
}

fn capture() -> Capture {
    Capture { span: CaptureSpan::default(), packets: 1973, flaw: None }
}

fn joined(summary: JoinSummary, verdicts: Vec<JoinVerdict>) -> TargetJoin {
    let target = "a\u{1b}:9".into();
    TargetJoin { target, sent: Some(1002), joined: Joined { summary, verdicts } }
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

#[test]
fn headline_has_every_place_that_has_probes() {
    for (lost, late, expected) in [
        (
            [12, 0, 1, 1],
            [0; 4],
            &[
                "12 of 14 lost probes were lost on the way there, 1 lost on the way back, 1 not known",
            ][..],
        ),
        ([1, 0, 0, 0], [0; 4], &["1 of 1 lost probe was lost on the way there"]),
        ([0, 3, 0, 0], [0; 4], &["3 of 3 lost probes were not answered by the server"]),
        ([0, 0, 0, 2], [0; 4], &["2 of 2 lost probes were lost, and it is not known where"]),
        (
            [0, 0, 2000, 0],
            [1, 0, 2, 0],
            &[
                "2,000 of 2,000 lost probes were lost on the way back",
                "1 of 3 late probes was delayed on the way there, 2 on the way back",
            ],
        ),
        ([0; 4], [0; 4], &["no probe was lost or late"]),
    ] {
        assert_eq!(headlines(&summary(lost, late)), expected);
    }
}

#[test]
fn text_of_a_complete_capture_has_the_delays_of_each_direction() {
    let mut summary = summary([1, 0, 0, 0], [0; 4]);
    summary.there_pdv_ms = Some(quantiles(4.0));
    summary.back_pdv_ms = Some(quantiles(5.0));
    summary.server_ms = Some(quantiles(0.5));
    summary.clock_shift_ms = 1.5;
    let text = plain(&text(Layout::PLAIN, &joined(summary, vec![]), &capture()));
    let expected = "\
--- a\\u{1b}:9 joined with a capture ---
1 of 1 lost probe was lost on the way there
  1,000 probes, of which the capture has 988 requests and 1 reply
  2 probes without a line in the run, left out
  the capture has the request and the reply of every answered probe
  delay variation there p50/p95/max = 1.00/2.00/4.000 ms
  delay variation back p50/p95/max = 1.00/2.00/5.000 ms
  time at the server p50/p95/max = 1.00/2.00/0.500 ms
  the clocks moved against each other by at least 1.500 ms during the run, which the delay variation includes";
    assert_eq!(text, expected);
}

#[test]
fn text_of_a_flawed_capture_says_what_is_wrong_with_it() {
    let mut summary = summary([0, 0, 0, 9], [0; 4]);
    (summary.complete, summary.missing, summary.cut) = (false, 3, 1);
    summary.doubts.insert(Doubt::PacketsMissing.label(), 7);
    summary.doubts.insert(Doubt::OutsideCapture.label(), 2);
    let mut flawed = capture();
    flawed.span.handle_dropped(12);
    flawed.flaw = Some("it ends inside the packet at byte 7".into());
    let text = plain(&text(Layout::PLAIN, &joined(summary, vec![]), &flawed));
    for expected in [
        "absence from the capture proves nothing: it lacks packets of 3 answered probes, 1 packet cut \
         before the token (snapshot length), it counts 12 dropped packets, it ends inside the packet at \
         byte 7",
        "2 not known: the capture may not cover them and the timeout after them",
    ] {
        assert!(text.contains(expected), "{text}");
    }
    assert!(!text.contains("7 not known"), "{text}");
}

#[test]
fn every_line_fits_the_terminal() {
    let mut summary = summary([12, 1, 1, 1], [1; 4]);
    summary.negative_delay_ms = Some(3.25);
    summary.clock_shift_ms = 1.5;
    let layout = Layout { width: NonZeroUsize::new(40), unicode: false };
    let text = plain(&text(layout, &joined(summary, vec![]), &capture()));
    assert!(text.lines().all(|line| line.len() <= 40), "{text}");
    assert!(text.replace("\n    ", " ").contains("would be -3.250 ms"), "{text}");
}

#[test]
fn json_has_a_line_for_each_verdict_and_one_for_the_target() {
    let verdict = |seq, is_late, place| JoinVerdict {
        seq,
        flow: 0,
        sent: Duration::from_millis(1500),
        is_late,
        place,
    };
    let unknown = Place::Unknown(Doubt::PacketsMissing);
    let verdicts = vec![verdict(3, false, Place::There), verdict(4, true, unknown)];
    let joined = joined(summary([1, 0, 0, 0], [0, 0, 0, 1]), verdicts);
    let lines = json(&joined, &capture(), false);
    let expected = [
        r#"{"event":"verdict","target":"a\u001b:9","seq":3,"flow":0,"sent_s":1.5,"outcome":"lost","place":"there","doubt":null}"#,
        r#"{"event":"verdict","target":"a\u001b:9","seq":4,"flow":0,"sent_s":1.5,"outcome":"late","place":"not-known","doubt":"packets-missing"}"#,
    ];
    assert_eq!(lines[..2], expected);
    let [_, _, last] = &lines[..] else { panic!("{lines:?}") };
    let start = r#"{"event":"join","schema_version":1,"tool":"hello-ping","version":"#;
    assert!(last.starts_with(start), "{last}");
    for part in [
        r#""sent":1002,"probes":1000,"answered":0,"lost":{"there":1,"server":0,"back":0,"not_known":0},"outages":{"there":{"#,
        r#""there_pdv_ms":null"#,
        r#""capture":{"packets":1973,"dropped":0,"flaw":null}}"#,
    ] {
        assert!(last.contains(part), "{last}");
    }
    assert_eq!(json(&joined, &capture(), true), lines[2..]);
}

#[test]
fn every_doubt_about_single_probes_is_explained() {
    for doubt in [
        Doubt::OutsideCapture,
        Doubt::SilentFlow,
        Doubt::Fragmented,
        Doubt::Ambiguous,
        Doubt::NoDelay,
        Doubt::NoTypicalDelay,
        Doubt::NoMainPart,
    ] {
        assert!(explanation(doubt.label()).is_some(), "{doubt:?}");
    }
    assert_eq!(explanation(Doubt::PacketsMissing.label()), None, "said once for all");
}

use std::iter;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use hello_measure::{CaptureSpan, Joined, Outages};

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

fn places([there, server, back, not_known]: [u64; 4]) -> Places {
    let mut places = Places::default();
    (places.there, places.server) = (there, server);
    (places.back, places.not_known) = (back, not_known);
    places
}

fn summary(lost: [u64; 4], late: [u64; 4]) -> JoinSummary {
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
    let (suspicion, epoch) = (None, Some(Duration::from_secs(1_732_650_000)));
    let joined = Joined { summary, verdicts };
    let lost = Some(joined.summary.lost.total() + joined.summary.late.total());
    let (sent, causes) = (Some(1002), vec![]);
    TargetJoin { target, sent, lost, causes, suspicion, flows: 4, epoch, joined }
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
        assert_eq!(headlines(&joined(summary(lost, late), vec![])), expected);
    }
}

#[test]
fn headline_of_an_incomplete_run_says_so() {
    let headlines = |lost: [u64; 4], of_run| {
        let mut joined = joined(summary(lost, [0, 0, 1, 0]), vec![]);
        joined.lost = of_run;
        (joined.unlisted(), headlines(&joined).pop().expect("a headline"))
    };
    let lacking = "the run is incomplete: it lacks lines of 31 lost probes";
    assert_eq!(headlines([0; 4], Some(32)), (Some(31), lacking.into()));
    let cut = "the run is incomplete: it has no summary, so its file was cut";
    assert_eq!(headlines([0; 4], None), (None, cut.into()));
    assert_eq!(headlines([1, 0, 0, 0], None), (None, cut.into()));
    let mut without = joined(summary([0; 4], [0; 4]), vec![]);
    without.lost = Some(32);
    let lacking = "the run is incomplete: it lacks lines of 32 lost probes";
    assert_eq!(super::headlines(&without), [lacking]);
    let complete = "1 of 1 late probe was delayed on the way back";
    assert_eq!(headlines([0; 4], Some(1)), (Some(0), complete.into()));
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

/// Returns a summary with six outages on the way there, and a longer one on the way back.
fn interrupted() -> JoinSummary {
    let mut summary = summary([12, 0, 4, 0], [0; 4]);
    for (outages, lengths) in
        [(&mut summary.outages.there, &[2; 6][..]), (&mut summary.outages.back, &[4])]
    {
        let mut model = Outages::new(1);
        let lost = lengths.iter().flat_map(|&length| iter::repeat_n(true, length).chain([false]));
        for (seq, is_lost) in (1..).zip(lost) {
            model.sent(0, seq, Duration::from_millis(250) * seq);
            if is_lost { model.lost(seq) } else { model.answered(seq) }
        }
        *outages = model.summary();
    }
    summary
}

#[test]
fn outages_have_their_time_of_day_and_their_place() {
    let text = plain(&text(Layout::PLAIN, &joined(interrupted(), vec![]), &capture()));
    let expected = "
             outage at  lasted s  where  probes  icmp_seq  flow
  2024-11-26T19:40:00Z     1.000  back        4         1     0
  2024-11-26T19:40:00Z     0.500  there       2         1     0";
    assert!(text.contains(expected), "{text}");
    assert!(text.ends_with("\n  (and 2 more outages)"), "{text}");
}

#[test]
fn outages_of_a_run_without_a_time_of_day_have_seconds() {
    let mut joined = joined(interrupted(), vec![]);
    (joined.epoch, joined.flows) = (None, 1);
    let text = plain(&text(Layout::PLAIN, &joined, &capture()));
    assert!(text.contains("  0.250 s     1.000  back        4         1\n"), "{text}");
}

#[test]
fn causes_have_their_reporters_and_at_most_four_are_listed() {
    let mut joined = joined(summary([9, 0, 0, 0], [0; 4]), vec![]);
    let cause = |cause: &str, reporter: Option<[u8; 4]>, lost| LostBy {
        cause: cause.into(),
        reporter: reporter.map(IpAddr::from),
        lost,
    };
    joined.causes =
        vec![cause("prohibited", Some([10, 80, 2, 2]), 1200), cause("sil\u{1b}ent", None, 1)];
    let line = "  causes: 1,200 prohibited (reported by 10.80.2.2), 1 sil\\u{1b}ent\n";
    let text = |joined: &TargetJoin| plain(&text(Layout::PLAIN, joined, &capture()));
    assert!(text(&joined).contains(line), "{}", text(&joined));
    joined.causes = vec![cause("refused", None, 2); 6];
    assert!(text(&joined).contains("refused, 4 for 2 other causes\n"), "{}", text(&joined));
}

#[test]
fn routers_that_the_run_suspects_are_named() {
    let line = r#"{"target":"a","losing":[1,3],"clean":[0,2],"routers":[{"address":"10.80.2.2","ttl":2,"certain":true}]}"#;
    let mut joined = joined(summary([1, 0, 0, 0], [0; 4]), vec![]);
    joined.suspicion = Some(serde_json::from_str(line).expect("a suspicion"));
    let text = plain(&text(Layout::PLAIN, &joined, &capture()));
    let expected = "there\nAll 2 losing flows pass 10.80.2.2 (hop 2); no other flow does.\n  1,000";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn capture_at_a_router_has_what_is_before_and_what_is_beyond_it() {
    let mut summary = summary([2, 0, 0, 3], [1, 0, 0, 0]);
    (summary.at_server, summary.server_ms) = (Some(false), Some(quantiles(0.5)));
    summary.doubts.insert(Doubt::NotAtServer.label(), 3);
    let text = plain(&text(Layout::PLAIN, &joined(summary, vec![]), &capture()));
    for line in [
        "2 of 5 lost probes were lost before the capture, 3 not known",
        "1 of 1 late probe was delayed before the capture",
        "  the capture was not taken at the server: routers have changed the TTLs of its replies",
        "  3 not known: lost or delayed beyond the capture, or not answered",
        "  time beyond the capture p50/p95/max = 1.00/2.00/0.500 ms",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
}

#[test]
fn every_line_fits_the_terminal() {
    let mut summary = interrupted();
    (summary.lost, summary.late) = (places([12, 1, 1, 1]), places([1; 4]));
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
        r#""sent":1002,"unlisted":0,"probes":1000,"answered":0,"lost":{"there":1,"server":0,"back":0,"not_known":0},"outages":{"there":{"#,
        r#""there_pdv_ms":null"#,
        r#""capture":{"packets":1973,"dropped":null,"flaw":null}}"#,
    ] {
        assert!(last.contains(part), "{last}");
    }
    assert_eq!(json(&joined, &capture(), true), lines[2..]);
}

#[test]
fn every_doubt_about_single_probes_is_explained() {
    for doubt in [
        Doubt::NotAtServer,
        Doubt::OutsideCapture,
        Doubt::SilentFlow,
        Doubt::Fragmented,
        Doubt::LinesSuppressed,
        Doubt::Ambiguous,
        Doubt::NoDelay,
        Doubt::NoTypicalDelay,
        Doubt::NoMainPart,
    ] {
        assert!(explanation(doubt.label()).is_some(), "{doubt:?}");
    }
    assert_eq!(explanation(Doubt::PacketsMissing.label()), None, "said once for all");
}

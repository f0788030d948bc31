use std::num::{NonZeroU16, NonZeroU32};

use hello_measure::{Bound, SearchOutcome};
use hello_net::{LoadGenerator, LoadPlan, Pacing, Sources};

use super::*;
use crate::load::fixtures::{USAGE, plan, recorder, summary};
use crate::load::saturation::GeneratorLimit;
use crate::load::saturation::SuspectedLimit;
use crate::load::throughput::SearchEnd;
use hello_measure::REFUSED;

fn headed(plan: &LoadPlan, trials: bool) -> String {
    let head = header("example.org:9999", ([192, 0, 2, 1], 9999).into(), plan, trials);
    head.strip_prefix("LOAD example.org:9999 (192.0.2.1): ").expect("a header").into()
}

#[test]
fn header_has_the_plan() {
    assert_eq!(
        headed(&plan(), false),
        "1000 requests/s (constant), 16-byte names, 1 source port, 1 s"
    );
    assert_eq!(headed(&plan(), true), "constant loads, 16-byte names, 1 source port, 1 s each");
    let builder = LoadGenerator::builder()
        .pacing(Pacing::Closed { outstanding: NonZeroU32::new(32).expect("not zero") })
        .train(NonZeroU16::new(8).expect("not zero"))
        .threads(NonZeroU16::new(2).expect("not zero"))
        .sources(Sources::Addresses(NonZeroU32::new(9).expect("not zero")))
        .name_len(8..=64)
        .warm_up(Duration::from_millis(250))
        .duration(Duration::from_millis(1500));
    let mut plan = builder.check(([127, 0, 0, 1], 9999).into()).expect("a plan");
    let expected =
        "32 outstanding, names of 8 to 64 bytes, trains of 8, 9 source addresses, 2 threads";
    assert_eq!(headed(&plan, false), format!("{expected}, 1.5 s after 0.25 s of warm-up"));
    plan.count = Some(1);
    assert_eq!(headed(&plan, false), format!("{expected}, 1 request"));
}

#[test]
fn summary_has_every_number_once() {
    let expected = "
--- 192.0.2.1:9999 load statistics ---
3 requests sent (3.0/s), 2 answered (2.0/s), 1 lost (33.3333%), in 1.000 s
latency min/avg/p50/p90/p99/p99.9/max = 1.100/2.100/1.101/-/-/-/3.100 ms, since due
rtt     min/avg/p50/p90/p99/p99.9/max = 1.000/2.000/1.000/-/-/-/3.000 ms, since sent
timer error p50/p99/max = 0.100/-/0.100 ms
generator: 25% busy, 666.667 us of CPU per request, including busy-waiting; it was not the limit";
    assert_eq!(super::summary(&summary()), expected);
}

#[test]
fn other_counts_are_printed_unless_they_are_zero() {
    let mut summary = summary();
    (summary.common.answered, summary.common.in_flight) = (0, 2);
    (summary.common.late, summary.common.duplicate, summary.misdirected) = (1, 2, 3);
    summary.common.errors = [(REFUSED, 4)].into();
    summary.common.not_sent = [("late", 5)].into();
    summary.generator.limits =
        vec![GeneratorLimit::Late { requests: 5 }, GeneratorLimit::Busy { share: 0.99 }];
    let text = super::summary(&summary);
    for part in [
        ", 1 lost (33.3333%), 2 in flight, in 1.000 s\n1 late, 2 duplicates, 3 misdirected\n",
        "\nno reply: refused (no server is listening on that port)\nerrors: connection-refused 4\n",
        "\nnot sent: late 5\n",
        ", including busy-waiting\ngenerator limit: 5 requests not sent: too late\n",
        "\ngenerator limit: 99% busy",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    summary.common.errors.clear();
    (summary.common.late, summary.misdirected) = (0, 0);
    assert!(super::summary(&summary).contains("\nno reply: silent (no error was reported)\n"));
    summary.common.corrupt = 1;
    assert!(super::summary(&summary).contains("\nno reply: only unrelated datagrams\n"));
    (summary.common.lost, summary.common.corrupt) = (0, 0);
    assert!(!super::summary(&summary).contains("no reply"), "not known yet");
}

#[test]
fn run_that_ended_in_its_warm_up_measured_nothing() {
    let nothing = crate::load::recorder::Recorder::default().summary(
        "127.0.0.1:9999",
        ([127, 0, 0, 1], 9999).into(),
        &plan(),
        hello_net::GeneratorUsage::default(),
    );
    let expected = "
--- 127.0.0.1:9999 load statistics ---
0 requests sent, 0 answered, 0 lost, in 0.000 s
the run ended during the warm-up; nothing was measured";
    assert_eq!(super::summary(&nothing), expected);
    let closed = LoadGenerator::builder().check(([127, 0, 0, 1], 9999).into()).expect("a plan");
    let nothing = crate::load::recorder::Recorder::default().summary(
        "127.0.0.1:9999",
        ([127, 0, 0, 1], 9999).into(),
        &closed,
        USAGE,
    );
    let advice = " were not answered: use a --duration longer than --timeout";
    assert!(super::summary(&nothing).ends_with(advice));
}

#[test]
fn run_that_sent_nothing_has_the_generators_limit() {
    let mut summary = summary();
    (summary.common.sent, summary.common.answered, summary.common.lost) = (0, 0, 0);
    summary.common.not_sent = [("late", 5)].into();
    summary.generator.processor_time_per_request_us = None;
    summary.generator.limits = vec![GeneratorLimit::Late { requests: 5 }];
    let expected = "
not sent: late 5
timer error p50/p99/max = 0.100/-/0.100 ms
generator: 25% busy
generator limit: 5 requests not sent: too late";
    let text = {
        let common = hello_measure::Summary { rtt_ms: None, ..summary.common.clone() };
        super::summary(&Summary { latency_ms: None, common, ..summary })
    };
    assert!(text.ends_with(expected), "{text}");
}

#[test]
fn short_closed_loop_does_not_measure_the_servers_rate() {
    let closed =
        Summary { plan: Plan { outstanding: Some(3), rate: None, ..summary().plan }, ..summary() };
    let expected = "; too few requests for this --outstanding: the rates are not the server's";
    assert!(super::summary(&closed).ends_with(expected));
}

#[test]
fn suspected_rate_limit_is_the_last_line() {
    let mut summary = summary();
    summary.suspected_limit = Some(SuspectedLimit { rate: 1000, burst: 2000 });
    let text = super::summary(&summary);
    assert!(text.ends_with("\nthe losses look like a rate limit of 1000 requests/s per source network, hello-server's default: raise it with hello-server --limit"), "{text}");
    assert!(trial(&summary).ends_with("  [rate limit?]"));
}

#[test]
fn trial_has_one_line() {
    let mut summary = summary();
    summary.verdict = Some(TrialVerdict::Lost);
    summary.generator.limits =
        vec![GeneratorLimit::Dropped { datagrams: 7 }, GeneratorLimit::Timer { p99_ms: 2.0 }];
    assert_eq!(
        trial(&summary),
        "     1000/s   33.3333% lost  latency p50/p99 1.101/- ms        rtt 1.000/- ms        \
         too much lost  [generator: 7 dropped, timer p99 2.000 ms]"
    );
}

#[test]
fn sweep_has_a_table() {
    let recorder = recorder();
    let limited = recorder.summary(
        "x:1",
        ([127, 0, 0, 1], 1).into(),
        &plan(),
        hello_net::GeneratorUsage { busy: USAGE.measured, ..USAGE },
    );
    let text = sweep(Layout::PLAIN, &[summary(), limited], 2);
    let lines = Vec::from_iter(text.lines());
    assert_eq!(lines.len(), 3);
    assert!(lines[0].starts_with("load/s  sent/s  answered/s"), "{text}");
    assert!(lines[1].ends_with("   25%"), "{text}");
    assert!(lines[2].ends_with("  100%  generator"), "{text}");
    assert!(sweep(Layout::PLAIN, &[summary()], 2).ends_with("\nended after 1 of 2 loads"));
}

#[test]
fn search_ends_with_the_throughput_and_its_bound() {
    let load = |load| std::num::NonZeroU64::new(load).expect("not zero");
    let result = |carried: Option<u64>, bound, is_over| {
        let outcome = SearchOutcome { carried: carried.map(load), bound };
        let end = if is_over { SearchEnd::Found } else { SearchEnd::Open };
        let found = Throughput::new(outcome, end, (0.001, 0.02, 3), Duration::from_secs(2));
        throughput(&found)
    };
    let ends = |text: String, parts: [&str; 2]| {
        let expected = format!("\n{}\n{}; at most 3 trials of 2 s per load", parts[0], parts[1]);
        assert_eq!(text, expected);
    };
    let found = "throughput 70000 requests/s, with at most 0.1% loss";
    let known = "throughput at least 70000 requests/s, with at most 0.1% loss";
    ends(
        result(Some(70_000), Bound::Lost(load(71_000)), true),
        [found, "71000/s lost too much (resolution 2%)"],
    );
    ends(
        result(Some(70_000), Bound::NotOffered(load(71_000)), true),
        [
            known,
            "generator limit: 71000/s was not offered evenly, so the server may carry more (try \
             --train, more --threads, --sources or --trials)",
        ],
    );
    ends(result(Some(70_000), Bound::Max, true), [known, "no higher load was tried (--max-rate)"]);
    ends(
        result(Some(70_000), Bound::Lost(load(99_000)), false),
        [known, "interrupted; 99000/s was not carried"],
    );
    ends(result(Some(70_000), Bound::Open, false), [known, "interrupted before a load failed"]);
    let none = "no load was carried with at most 0.1% loss";
    ends(result(None, Bound::Lost(load(1)), true), [none, "1/s lost too much (resolution 2%)"]);
}

#[test]
fn status_of_a_fast_run_fits_80_columns() {
    let fast = Interval {
        at_s: 1.0,
        duration_s: 1.0,
        rate: Some(999_999),
        sent: 999_999,
        answered: 999_999,
        lost: 99_999,
        in_flight: 99_999,
        sent_per_s: Some(999_999.0),
        answered_per_s: Some(999_999.0),
    };
    let status = status(&fast);
    let end = status.find(" lost").expect("losses") + " lost".len();
    // After the progress bar.
    assert!("##########  100%  ".len() + end < 80, "{status}");
}

#[test]
fn interval_has_one_line() {
    let part = Interval {
        at_s: 2.5,
        duration_s: 0.5,
        rate: None,
        sent: 400,
        answered: 300,
        lost: 10,
        in_flight: 90,
        sent_per_s: Some(800.4),
        answered_per_s: Some(600.0),
    };
    let status = "800 sent/s, 600 answered/s, 10 lost, 90 in flight";
    assert_eq!(interval(&part), format!("   2.500 s  {status}"));
    let short = Interval { sent_per_s: None, answered_per_s: None, ..part };
    assert!(super::status(&short).starts_with("- sent/s, - answered/s, 10 "));
    let open = Interval { rate: Some(900), ..part };
    assert_eq!(super::status(&open), format!("900/s: {status}"));
}

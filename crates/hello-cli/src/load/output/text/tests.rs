use std::num::{NonZeroU16, NonZeroU32, NonZeroUsize};

use anstream::adapter::strip_str;
use hello_measure::{Bound, Interval, REFUSED, SearchOutcome};
use hello_net::{GeneratorUsage, LoadGenerator, LoadPlan, Pacing, Sources};

use super::progress::{interval, status};
use super::*;
use crate::load::fixtures::{START, USAGE, plan, recorder, summary};
use crate::load::progress::{Phase, Progress, Trial};
use crate::load::recorder::Recorder;
use crate::load::saturation::SuspectedLimit;
use crate::load::throughput::SearchEnd;

/// The widths at which layouts hold.
const WIDTHS: [usize; 3] = [40, 60, 80];

fn narrow(width: usize) -> Layout {
    Layout { width: NonZeroUsize::new(width), unicode: false }
}

fn load(load: u64) -> NonZeroU64 {
    NonZeroU64::new(load).expect("not zero")
}

/// Returns the text without colours.
fn plain(text: &str) -> String {
    strip_str(text).to_string()
}

fn assert_fits(width: usize, text: &str) {
    for line in plain(text).lines() {
        assert!(line.chars().count() <= width, "{width}: {line}");
    }
}

fn headed(plan: &LoadPlan, trials: bool) -> String {
    let address = ZonedAddr(([192, 0, 2, 1], 9999).into());
    let head = header(Layout::PLAIN, "example.org:9999", address, plan, trials);
    head.strip_prefix("LOAD example.org:9999 (192.0.2.1): ").expect("a header").into()
}

fn summarised(layout: Layout, summary: &Summary) -> String {
    plain(&summary::summary(layout, &Conclusion::of_run(summary), summary))
}

#[test]
fn header_has_the_plan() {
    assert_eq!(
        headed(&plan(), false),
        "1,000 requests/s (constant), 128 kbit/s of payload, 16-byte names, 1 source port, 1s"
    );
    assert_eq!(headed(&plan(), true), "constant loads, 16-byte names, 1 source port, 1s each");
    let builder = LoadGenerator::builder()
        .pacing(Pacing::Closed { outstanding: NonZeroU32::new(3200).expect("not zero") })
        .train(NonZeroU16::new(8).expect("not zero"))
        .threads(NonZeroU16::new(2).expect("not zero"))
        .sources(Sources::Addresses(NonZeroU32::new(9).expect("not zero")))
        .name_len(8..=64)
        .peer(hello_proto::Peer::Echo)
        .warm_up(Duration::from_millis(250))
        .duration(Duration::from_millis(1500));
    let mut plan = builder.check(([127, 0, 0, 1], 9999).into()).expect("a plan");
    let expected = "3,200 outstanding, names of 8 to 64 bytes, trains of 8, 9 source addresses, 2 \
                    threads, echo server";
    assert_eq!(headed(&plan, false), format!("{expected}, 1.5s after 250ms of warm-up"));
    plan.count = Some(1);
    assert_eq!(headed(&plan, false), format!("{expected}, 1 request after 250ms of warm-up"));
    (plan.count, plan.warm_up) = (Some(5000), Duration::ZERO);
    assert_eq!(headed(&plan, false), format!("{expected}, 5,000 requests"));
}

#[test]
fn plan_of_several_trials_has_the_time_that_they_may_take() {
    let search = hello_measure::SearchPlan {
        start: load(10_000),
        min: load(1),
        max: load(100_000_000),
        trials: NonZeroU32::new(3).expect("not zero"),
        resolution: 0.02,
    };
    let (goal, mut plan) =
        (|tolerance, plan: &LoadPlan| SearchGoal::new(&search, tolerance, plan), plan());
    (plan.warm_up, plan.duration) = (Duration::from_millis(200), Duration::from_secs(2));
    assert_eq!(
        search_plan(Layout::PLAIN, &goal(0.001, &plan)),
        "search from 10,000/s to at most 100,000,000/s, to within 2%; at most 0.1% loss by the \
         majority of 3 trials of each rate; at most 100 trials in 5m20s"
    );
    assert!(search_plan(Layout::PLAIN, &goal(0.0, &plan)).contains("; no loss by the majority "));
    let sweep = sweep_plan(Layout::PLAIN, &[load(1000), load(2000)], Duration::from_millis(6400));
    assert_eq!(sweep, "sweep of 2 rates from 1,000/s to 2,000/s, in at most 7s");
}

#[test]
fn summary_has_every_number_once_below_its_headline() {
    let expected = "
192.0.2.1:9999 loses 33% at 3 requests/s, and answers 2/s
--- 192.0.2.1:9999 load statistics ---
requests  count  share  requests/s    payload
sent          3                  3  384 bit/s
answered      2    67%           2  384 bit/s
lost          1    33%
in 1.000 s; payload: names sent and replies received, without headers
ms             min    avg    p50  p90  p99  p99.9    max
latency      1.100  2.100   1.10    -    -      -  3.100
rtt          1.000  2.000   1.00    -    -      -  3.000
timer error      -  0.100  0.100    -    -      -  0.100
generator: 25% busy, 666.667 us of CPU per request, including busy-waiting; no limit found";
    assert_eq!(summarised(Layout::PLAIN, &summary()), expected);
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
    let text = summarised(Layout::PLAIN, &summary);
    for part in [
        "\nlost           1   100%\nin flight      2\nnot sent       5    62%\nin 1.000 s; ",
        "\nloss: 100% is known, up to 100% if all in flight are lost\n\
         1 late, 2 duplicates, 3 misdirected\nerrors: refused 4\n5 of 8 not sent: too late, because this process was stalled or too slow\n",
        ", including busy-waiting\ngenerator limit: 5 requests not sent: too late\n",
        "\ngenerator limit: 99% busy",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn loss_of_an_interrupted_run_is_a_range() {
    let mut summary = summary();
    (summary.common.answered, summary.common.lost, summary.common.in_flight) = (6, 0, 4);
    summary.interrupted = true;
    let text = summarised(Layout::PLAIN, &summary);
    assert!(text.contains("\nloss: 0% is known, up to 40% if all in flight are lost\n"), "{text}");
    assert!(text.contains("; interrupted; up to 40% lost if all in flight are\n"), "{text}");
}

#[test]
fn run_that_ended_in_its_warm_up_measured_nothing() {
    let (target, address) = ("127.0.0.1:9999", ([127, 0, 0, 1], 9999).into());
    let usage = GeneratorUsage::default();
    let mut plan = plan();
    plan.warm_up = Duration::from_secs(1);
    let nothing = Recorder::default().summary(target, address, &plan, usage, START);
    let text = |what: &str| format!("\n{what}");
    let expected = text("no request was due after the warm-up");
    assert_eq!(summarised(Layout::PLAIN, &nothing), expected);
    let interrupted = Summary { interrupted: true, ..nothing };
    let expected = text("interrupted during the warm-up: nothing was measured");
    assert_eq!(summarised(Layout::PLAIN, &interrupted), expected);
}

#[test]
fn run_that_sent_nothing_has_the_generators_limit() {
    let mut summary = summary();
    (summary.common.sent, summary.common.answered, summary.common.lost) = (0, 0, 0);
    summary.common.not_sent = [("late", 5)].into();
    (summary.common.rtt_ms, summary.latency_ms) = (None, None);
    summary.generator.processor_time_per_request_us = None;
    summary.generator.limits = vec![GeneratorLimit::Late { requests: 5 }];
    let expected = "\ngenerator: 25% busy\ngenerator limit: 5 requests not sent: too late";
    let text = summarised(Layout::PLAIN, &summary);
    assert!(text.ends_with(expected), "{text}");
}

#[test]
fn suspected_rate_limit_is_the_last_line() {
    let mut summary = summary();
    summary.suspected_limit = Some(SuspectedLimit { rate: 1000, burst: 2000 });
    let text = summarised(Layout::PLAIN, &summary);
    assert!(text.ends_with("\nthe losses look like a rate limit of 1000 requests/s per source network, hello-server's default: raise it with hello-server --limit"), "{text}");
    assert!(plain(&trial(Layout::PLAIN, &summary)).ends_with("  [rate limit?]"));
}

#[test]
fn trials_are_aligned_and_continue_below_their_first_column() {
    let mut lossy = summary();
    lossy.verdict = Some(TrialVerdict::Lost);
    lossy.generator.limits =
        vec![GeneratorLimit::Dropped { datagrams: 7 }, GeneratorLimit::Timer { p99_ms: 2.0 }];
    let mut carried = summary();
    (carried.verdict, carried.plan.rate) = (Some(TrialVerdict::Carried), Some(1_000_000));
    carried.common.lost = 0;
    let rows = |layout| [&lossy, &carried].map(|summary| plain(&trial(layout, summary)));
    let expected = [
        "    1,000/s      33% lost  too much lost  p50   1.10  p99      - ms  [generator: 7 \
         dropped, timer p99 2.00 ms]",
        "1,000,000/s       0% lost  carried        p50   1.10  p99      - ms",
    ];
    assert_eq!(rows(Layout::PLAIN), expected);
    let expected = "1,000,000/s       0% lost  carried
             p50   1.10  p99      - ms";
    assert_eq!(rows(narrow(40))[1], expected);
    let interrupted = Summary { interrupted: true, verdict: None, ..carried };
    assert!(plain(&trial(Layout::PLAIN, &interrupted)).contains(" lost  interrupted  p50 "));
}

#[test]
fn sweep_has_a_table_below_its_headline() {
    let usage = GeneratorUsage { busy: USAGE.measured, ..USAGE };
    let limited = recorder().summary("x:1", ([127, 0, 0, 1], 1).into(), &plan(), usage, START);
    let both = [summary(), limited];
    let text = |layout, trials: &[Summary]| {
        plain(&sweep(layout, &Conclusion::of_sweep("x:1", trials, 2), trials))
    };
    let whole = text(Layout::PLAIN, &both);
    let lines = Vec::from_iter(whole.lines());
    assert_eq!((lines.len(), lines[1]), (5, "x:1 loses 33% at 1,000/s"));
    assert!(lines[2].starts_with("load/s  sent/s  answered/s"), "{whole}");
    assert!(lines[3].ends_with("   25%"), "{whole}");
    assert!(lines[4].ends_with("  100%  generator"), "{whole}");
    let part = text(Layout::PLAIN, &both[..1]);
    assert!(part.contains("; interrupted after 1 of 2 rates\n"), "{part}");
}

#[test]
fn search_ends_with_the_throughput_and_its_bound() {
    let result = |carried: Option<u64>, bound, is_over| {
        let outcome = SearchOutcome { carried: carried.map(load), bound };
        let end = if is_over { SearchEnd::Found } else { SearchEnd::Open };
        let found = Throughput::new(outcome, end, (0.001, 0.02, 3), Duration::from_secs(2));
        let conclusion = Conclusion::of_search("x:1", &found, &[]);
        plain(&throughput(Layout::PLAIN, &conclusion, &found))
    };
    for (carried, bound, is_over, expected) in [
        (Some(70_000), Bound::Lost(load(71_000)), true, "71,000/s lost too much (resolution 2%)"),
        (
            Some(70_000),
            Bound::NotOffered(load(71_000)),
            true,
            "generator limit: 71,000/s was not offered evenly, so the server may carry more (try \
             --train, more --threads, --sources or --trials)",
        ),
        (Some(70_000), Bound::Max, true, "no higher load was tried (--max-rate)"),
        (Some(70_000), Bound::Lost(load(99_000)), false, "interrupted; 99,000/s was not carried"),
        (Some(70_000), Bound::Open, false, "interrupted before a load failed"),
        (None, Bound::Lost(load(1)), true, "1/s lost too much (resolution 2%)"),
    ] {
        let text = result(carried, bound, is_over);
        let line = format!("{expected}; at most 3 trials of 2s per load");
        assert_eq!(text.lines().nth(2), Some(&*line), "{text}");
    }
}

#[test]
fn every_text_fits_narrow_terminals() {
    let mut summary = summary();
    summary.common.sent = 123_456_789;
    (summary.common.answered, summary.common.in_flight) = (123_456_000, 700);
    summary.verdict = Some(TrialVerdict::Lost);
    summary.generator.limits = vec![GeneratorLimit::Busy { share: 0.99 }];
    summary.suspected_limit = Some(SuspectedLimit { rate: 1000, burst: 2000 });
    let search = hello_measure::SearchPlan {
        start: load(1),
        min: load(1),
        max: load(2),
        trials: NonZeroU32::MIN,
        resolution: 0.0,
    };
    for width in WIDTHS {
        let layout = narrow(width);
        let address = ZonedAddr(([192, 0, 2, 1], 9999).into());
        assert_fits(width, &header(layout, "192.0.2.1:9999", address, &plan(), false));
        assert_fits(width, &search_plan(layout, &SearchGoal::new(&search, 0.0, &plan())));
        assert_fits(width, &summarised(layout, &summary));
        assert_fits(width, &trial(layout, &summary));
        let conclusion = Conclusion::of_sweep("x:1", std::slice::from_ref(&summary), 1);
        assert_fits(width, &sweep(layout, &conclusion, std::slice::from_ref(&summary)));
        assert_fits(width, &interval(layout, &part()));
    }
}

fn part() -> Interval {
    Interval {
        at_s: 2.5,
        duration_s: 0.5,
        partial: false,
        rate: None,
        sent: 400,
        answered: 300,
        lost: 10,
        in_flight: 90,
        sent_per_s: Some(800.4),
        answered_per_s: Some(600.0),
    }
}

#[test]
fn interval_has_one_line_and_a_partial_one_no_rates() {
    let text = |interval: &Interval| plain(&progress::interval(Layout::PLAIN, interval));
    let expected = "   2.500 s        800 sent/s        600 answered/s  10 lost  90 in flight";
    assert_eq!(text(&part()), expected);
    let expected = "   2.500 s        400 sent        300 answered  10 lost  90 in flight  \
                    (partial: 0.500 s)";
    assert_eq!(text(&part().cut_short()), expected);
    let waiting = text(&Interval { sent: 0, ..part().cut_short() });
    assert!(waiting.ends_with("  90 in flight  (waiting: 0.500 s)"), "{waiting}");
    let open = text(&Interval { rate: Some(90_000), ..part() });
    assert!(open.starts_with("   2.500 s  90,000/s:        800 sent/s  "), "{open}");
}

#[test]
fn status_has_the_time_left_and_what_is_awaited() {
    let of = |phase, trial| status(&Progress { trial, phase, interval: part() }, None);
    let seconds = Duration::from_secs;
    let left = Some(Duration::from_millis(64_100));
    for (phase, expected) in [
        (Phase::WarmUp { left: seconds(1) }, "warming up, 1s left"),
        (
            Phase::Measuring { left, of: None },
            "1m5s left, 600 answered/s, 10 lost, 800 sent/s, 90 in flight",
        ),
        (
            Phase::Measuring { left: None, of: Some((1200, 5000)) },
            "1,200 of 5,000, 600 answered/s, 10 lost, 800 sent/s, 90 in flight",
        ),
        (
            Phase::Waiting { at_most: seconds(1), is_stopped: false },
            "waiting 1s at most for 90 replies",
        ),
        (
            Phase::Waiting { at_most: seconds(1), is_stopped: true },
            "waiting 1s at most for 90 replies, Ctrl-C again ends at once",
        ),
    ] {
        assert_eq!(of(phase, None), expected);
    }
    let trial = Trial {
        number: 3,
        of: None,
        load: load(40_000),
        best: Some(load(20_000)),
        left_at_most: seconds(65),
    };
    let phase = Phase::WarmUp { left: seconds(1) };
    let expected = "trial 3 at 40,000/s, best 20,000/s, 1m5s left at most; warming up, 1s left";
    assert_eq!(of(phase, Some(trial)), expected);
    let swept = Trial { of: Some(9), best: None, ..trial };
    let expected = "3 of 9 at 40,000/s, 1m5s left at most; warming up, 1s left";
    assert_eq!(of(phase, Some(swept)), expected);
}

#[test]
fn status_has_no_half_numbers_in_a_narrow_terminal() {
    let phase = Phase::Measuring { left: None, of: Some((1200, 5000)) };
    for (width, expected) in [
        (65, "1,200 of 5,000, 600 answered/s, 10 lost, 800 sent/s, 90 in flight"),
        (64, "1,200 of 5,000, 600 answered/s, 10 lost, 800 sent/s"),
        (40, "1,200 of 5,000, 600 answered/s, 10 lost"),
        (38, "1,200 of 5,000, 600 answered/s"),
        (20, "1,200 of 5,000"),
        (5, "1,200 of 5,000"),
    ] {
        let progress = Progress { trial: None, phase, interval: part() };
        assert_eq!(status(&progress, NonZeroUsize::new(width)), expected, "{width}");
    }
}

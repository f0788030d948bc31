//! The plots of a run and of several trials.

use hello_measure::{TrialVerdict, medians};
use hello_net::LoadPlan;

use super::text;
use crate::load::recorder::Recorder;
use crate::load::summary::Summary;
use crate::load::throughput::Throughput;
use crate::output::cause;
use crate::output::escape::Escaped;
use crate::output::format::{duration, thousands};
use crate::output::plot::axis::{Axis, plain, short};
use crate::output::plot::canvas::{
    BLUE, Canvas, GREEN, Glyph, INK, LINE, MARGIN, MUTED, Mark, PALE_BLUE, PALE_VERMILLION, Pen,
    Point, Shape, Style, VERMILLION, WIDTH,
};
use crate::output::plot::runs::{self, Caption, Run};
use crate::output::wall_clock::WallClock;

/// Draws the latencies and losses over a run, and the distribution of the latencies.
pub(crate) fn run(
    target: &str,
    plan: &LoadPlan,
    recorder: &Recorder,
    summary: Option<&Summary>,
    start: WallClock,
) -> String {
    let run = Run {
        name: Escaped(target.as_bytes()).to_string(),
        counts: recorder.counts(),
        timeline: recorder.timeline(),
        times: recorder.latencies(),
        flows: Vec::new(),
        causes: summary.map_or(vec![], |summary| cause::lines(&summary.common, summary.address)),
        outages: &[],
    };
    let title = format!("Latency of {} under load", run.name);
    let parameters = parameters(plan, false);
    let (title, parameters) = (&title, &parameters);
    let (times, over) = ("latency since due", "time due, since the warm-up");
    let (canvas, y) = runs::draw(&Caption { title, parameters, start, times, over }, &[run]);
    canvas.finish(y + MARGIN)
}

/// Draws latencies and loss over the load, for a sweep or the trials of a search.
pub(crate) fn loads(
    target: &str,
    plan: &LoadPlan,
    summaries: &[Summary],
    throughput: Option<&Throughput>,
    start: WallClock,
) -> String {
    let mut summaries = Vec::from_iter(summaries);
    summaries.sort_by_key(|summary| summary.plan.rate);
    let mut paragraphs = vec![format!("{}; {}", parameters(plan, true), start.seconds())];
    paragraphs.extend(throughput.and_then(|found| {
        let load = thousands(found.throughput_per_s?);
        Some(format!("throughput {}{load} requests/s", found.at_least()))
    }));
    let mut canvas = Canvas::new();
    let title = format!("Latency and loss of {} over the load", Escaped(target.as_bytes()));
    let top = canvas.heading(&title, &paragraphs);
    let top = canvas.legend(top, &legend(&summaries));

    let most = summaries.iter().map(|summary| load(summary)).fold(0.0, f64::max);
    let series = SERIES.map(|(of, ..)| {
        let point = |summary: &&Summary| Some((load(summary), of(summary)?));
        Vec::from_iter(summaries.iter().filter_map(point))
    });
    let losses = summaries.iter().filter_map(|summary| Some((load(summary), percent(summary)?)));
    let losses = Vec::from_iter(losses);

    // The label of the throughput stands between the legend and the latencies.
    let (upper, lower) = (top + LINE + 8.0, top + LINE + 328.0);
    let (loss_upper, loss_lower) = (lower + 28.0, lower + 158.0);
    let latency = latency_axis(&series).between(lower, upper);
    let loss = Axis::rounded(0.0, losses.iter().map(|(_, loss)| *loss).fold(1.0, f64::max));
    let loss = loss.between(loss_lower, loss_upper);
    let (latency_ticks, loss_ticks) = (latency.ticks(10, plain), loss.ticks(5, plain));
    let labels = latency_ticks.iter().chain(&loss_ticks);
    let labels = labels.map(|(_, label)| Style::Plain.width(label)).fold(0.0, f64::max);
    let (left, right) = (MARGIN + 32.0 + labels, WIDTH - MARGIN);
    let x = Axis::linear(0.0, most).between(left, right);
    let ticks = x.ticks(9, short);
    for (panel, y, labels, name) in [
        ((upper, lower), latency, &latency_ticks, "latency, ms"),
        ((loss_upper, loss_lower), loss, &loss_ticks, "loss, %"),
    ] {
        Axis::draw_columns(&mut canvas, panel, &ticks);
        y.draw_rows(&mut canvas, (left, right), labels);
        canvas.upright_text((MARGIN + 12.0, (panel.0 + panel.1) / 2.0), name);
    }
    x.draw_labels(&mut canvas, loss_lower, &ticks, "load, requests per second");

    if let Some(found) = throughput.and_then(|found| Some((found, found.throughput_per_s?))) {
        draw_throughput(&mut canvas, found, &x, (upper, loss_lower));
    }
    let on = |y: Axis| move |(load, value): &(f64, f64)| (x.at(*load), y.at(*value));
    for ((_, _, pen, mark), points) in SERIES.iter().zip(&series) {
        canvas.polyline(&Vec::from_iter(medians(points).iter().map(on(latency))), *pen);
        canvas.marks(points.iter().map(on(latency)), *mark);
    }
    if losses.is_empty() {
        let middle = ((left + right) / 2.0, (upper + lower) / 2.0);
        canvas.text(middle, "middle", Style::Strong, "no replies");
    }
    canvas.polyline(&Vec::from_iter(medians(&losses).iter().map(on(loss))), Pen::new(MUTED, 1.4));
    for summary in &summaries {
        let point = percent(summary).map(|percent| on(loss)(&(load(summary), percent)));
        let hollow = is_limited(summary);
        canvas.marks(point, Mark { hollow, ..trial(summary.verdict).0 });
    }
    canvas.finish(loss_lower + 2.0 * LINE + MARGIN)
}

/// Draws the throughput as a line over all panels, with its name above.
fn draw_throughput(
    canvas: &mut Canvas,
    (found, load): (&Throughput, u64),
    x: &Axis,
    (upper, lower): (f64, f64),
) {
    let at_least = found.at_least();
    let text = format!("throughput {at_least}{}/s", short(load as f64, load as f64 / 100.0));
    let (at, half) = (x.at(load as f64), Style::Strong.width(&text) / 2.0);
    canvas.segments([((at, upper), (at, lower))], Pen { dashed: true, ..Pen::new(INK, 1.6) });
    let middle = at.min(WIDTH - MARGIN - half).max(MARGIN + half);
    canvas.text((middle, upper - 6.0), "middle", Style::Strong, &text);
}

fn legend(summaries: &[&Summary]) -> Vec<(Vec<Glyph>, &'static str)> {
    let mut legend = Vec::from_iter(
        SERIES
            .iter()
            .rev()
            .map(|(_, name, pen, mark)| (vec![Glyph::Line(*pen), Glyph::Mark(*mark)], *name)),
    );
    for verdict in [
        Some(TrialVerdict::Carried),
        Some(TrialVerdict::Lost),
        Some(TrialVerdict::NotOffered),
        None,
    ] {
        if summaries.iter().any(|summary| summary.verdict == verdict) {
            let (mark, name) = trial(verdict);
            legend.push((vec![Glyph::Mark(mark)], name));
        }
    }
    if summaries.iter().any(|summary| is_limited(summary)) {
        let mark = Mark { hollow: true, ..trial(None).0 };
        legend.push((vec![Glyph::Mark(mark)], "hollow: limited by the generator"));
    }
    legend
}

/// Returns the mark of a trial's loss, and its name.
fn trial(verdict: Option<TrialVerdict>) -> (Mark, &'static str) {
    match verdict {
        Some(TrialVerdict::Carried) => (Mark::new(Shape::Disc, 4.5, GREEN), "carried"),
        Some(TrialVerdict::Lost) => (Mark::new(Shape::Triangle, 4.5, VERMILLION), "too much lost"),
        Some(TrialVerdict::NotOffered) => (Mark::new(Shape::Square, 4.5, INK), "not offered"),
        None => (Mark::new(Shape::Disc, 4.5, INK), "loss"),
    }
}

fn parameters(plan: &LoadPlan, trials: bool) -> String {
    format!("{}, timeout {}", text::parameters(plan, trials), duration(plan.timeout))
}

fn latency_axis(series: &[Vec<Point>; 4]) -> Axis {
    let times = || series.iter().flatten().map(|(_, time)| *time);
    match times().reduce(f64::min).zip(times().reduce(f64::max)) {
        Some((min, max)) => Axis::log(min, max),
        None => Axis::log(0.1, 10.0),
    }
}

fn load(summary: &Summary) -> f64 {
    summary.plan.rate.unwrap_or_default() as f64
}

fn percent(summary: &Summary) -> Option<f64> {
    Some(summary.common.loss? * 100.0)
}

fn is_limited(summary: &Summary) -> bool {
    !summary.generator.limits.is_empty()
}

/// A series of latencies: its values, its name and its looks.
type Series = (fn(&Summary) -> Option<f64>, &'static str, Pen, Mark);

/// Those since sent are pale and wide, and drawn before those since due, which are often equal.
const SERIES: [Series; 4] = [
    (
        |trial| trial.common.rtt_ms?.p50,
        "p50 since sent",
        Pen { is_round: true, ..Pen::new(PALE_BLUE, 7.0) },
        Mark::new(Shape::Disc, 6.0, PALE_BLUE),
    ),
    (
        |trial| trial.common.rtt_ms?.p99,
        "p99 since sent",
        Pen { is_round: true, ..Pen::new(PALE_VERMILLION, 7.0) },
        Mark::new(Shape::Square, 6.0, PALE_VERMILLION),
    ),
    (
        |trial| trial.latency_ms?.p50,
        "p50 since due",
        Pen::new(BLUE, 2.0),
        Mark::new(Shape::Disc, 3.5, BLUE),
    ),
    (
        |trial| trial.latency_ms?.p99,
        "p99 since due",
        Pen { dashed: true, ..Pen::new(VERMILLION, 2.0) },
        Mark::new(Shape::Square, 3.5, VERMILLION),
    ),
];

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;
    use std::time::Duration;

    use hello_measure::{Bound, SearchOutcome};

    use super::*;
    use crate::load::fixtures::{plan, recorder, summary};
    use crate::load::saturation::GeneratorLimit;
    use crate::load::throughput::SearchEnd;
    use crate::output::plot::canvas::PAPER;
    use crate::output::plot::tests::texts;

    const START: WallClock = WallClock(std::time::UNIX_EPOCH);

    /// Returns a trial with loss and latencies that depend on its load.
    fn trial_at(rate: u64, verdict: Option<TrialVerdict>) -> Summary {
        let mut trial = summary();
        let millis = 0.3 + 20.0 * (rate as f64 / 1e4).powi(8).min(1.0);
        trial.plan.rate = Some(rate);
        trial.common.answered = 1000;
        trial.common.loss = Some((rate as f64 / 1e4 - 1.0).max(0.0) / 2.0);
        trial.verdict = verdict;
        for (times, more) in [(&mut trial.common.rtt_ms, 1.0), (&mut trial.latency_ms, 1.05)] {
            let times = times.as_mut().expect("answers");
            (times.p50, times.p99) = (Some(millis * more), Some(3.0 * millis * more));
        }
        trial
    }

    fn found(load: u64, bound: fn(NonZeroU64) -> Bound) -> Throughput {
        let load = NonZeroU64::new(load).expect("not zero");
        let outcome = SearchOutcome { carried: Some(load), bound: bound(load) };
        Throughput::new(outcome, SearchEnd::Found, (0.0, 0.02, 3), Duration::from_secs(2))
    }

    fn limited(rate: u64) -> Summary {
        let mut trial = trial_at(rate, None);
        trial.generator.limits.push(GeneratorLimit::Busy { share: 1.0 });
        trial
    }

    #[test]
    fn nothing_in_a_plot_of_loads_overlaps_or_is_cut_off_whatever_the_trials() {
        let sweep = |least: u64, most: u64| {
            let rates = (1..=16).map(|step| least + (most - least) * step / 16);
            Vec::from_iter(rates.map(|rate| trial_at(rate, None)))
        };
        let mut silent = trial_at(1000, None);
        (silent.common.rtt_ms, silent.latency_ms, silent.common.loss) = (None, None, None);
        let mut lost = silent.clone();
        lost.common.loss = Some(1.0);
        let search = [
            Some(TrialVerdict::Carried),
            Some(TrialVerdict::Lost),
            Some(TrialVerdict::NotOffered),
            None,
        ];
        let search = Vec::from_iter(
            (0..).zip(search).map(|(n, verdict)| trial_at(8000 + n * 1111, verdict)),
        );
        let name = format!("{}:9999", "W".repeat(253));
        for (name, trials, throughput) in [
            ("x:1", vec![], None),
            ("x:1", vec![silent], None),
            ("x:1", vec![lost], None),
            ("x:1", vec![trial_at(1, None)], Some(found(1, Bound::Lost))),
            ("fe80::1%enp0s31f6:9999", sweep(0, 20_000), None),
            ("x:1", sweep(0, 12_345_678), Some(found(12_345_678, Bound::NotOffered))),
            (&name, [search, vec![limited(9000)]].concat(), Some(found(8000, Bound::Lost))),
        ] {
            let svg = loads(name, &plan(), &trials, throughput.as_ref(), START);
            texts(&svg);
        }
    }

    #[test]
    fn plot_of_ten_million_requests_is_as_small_as_that_of_few() {
        let mut many = recorder();
        for _ in 0..22 {
            many.merge(&many.clone());
        }
        let [few, many] =
            [recorder(), many].map(|recorder| run("x:1", &plan(), &recorder, None, START));
        assert!(texts(&many).iter().any(|text| text.starts_with("12,582,912 sent, ")), "{many}");
        assert!(many.len() < few.len() + 1000);
    }

    #[test]
    fn plot_of_a_run_has_its_name_counts_and_date() {
        let texts = texts(&run("a<b>\x1b:1", &plan(), &recorder(), None, START));
        for text in [
            r"Latency of a<b>\u{1b}:1 under load",
            "3 sent, 2 answered, 1 lost (33%); p50\u{a0}1.10, max\u{a0}3.10\u{a0}ms",
            "latency since due, ms",
        ] {
            assert!(texts.iter().any(|other| other == text), "{text} {texts:?}");
        }
        assert!(texts.iter().any(|text| text.ends_with("; 1970-01-01T00:00:00Z")), "{texts:?}");
    }

    #[test]
    fn trials_are_marked_by_verdict_and_hollow_if_the_generator_limited_them() {
        let marks = |trials: &[Summary]| {
            let svg = loads("x:1", &plan(), trials, None, START);
            let names = texts(&svg);
            let of = |fill: &str, stroke: &str| {
                svg.matches(&format!("fill=\"{fill}\" stroke=\"{stroke}\"")).count()
            };
            (of(GREEN, GREEN), of(PAPER, INK), names)
        };
        // One is in the legend.
        let (green, hollow, names) = marks(&[trial_at(1, Some(TrialVerdict::Carried)), limited(2)]);
        assert_eq!((green, hollow), (2, 2));
        for name in ["carried", "hollow: limited by the generator"] {
            assert!(names.iter().any(|text| text == name), "{names:?}");
        }
        let (green, hollow, names) = marks(&[trial_at(1, None)]);
        assert_eq!((green, hollow), (0, 0));
        assert!(!names.iter().any(|text| text.contains("hollow")), "{names:?}");
    }

    #[test]
    fn throughput_is_a_labelled_line() {
        for (bound, label) in [
            (Bound::Lost as fn(_) -> _, "throughput 4.97k/s"),
            (Bound::NotOffered, "throughput at least 4.97k/s"),
        ] {
            let svg =
                loads("x:1", &plan(), &[trial_at(8000, None)], Some(&found(4968, bound)), START);
            assert!(texts(&svg).iter().any(|text| text == label), "{svg}");
        }
    }
}

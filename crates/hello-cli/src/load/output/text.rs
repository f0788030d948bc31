//! Text output of `hello-load`.

pub mod progress;
pub mod summary;
#[cfg(test)]
mod tests;

use std::num::NonZeroU64;
use std::time::Duration;

use hello_measure::TrialVerdict;
use hello_net::{LoadPlan, ZonedAddr};

use crate::args::peer::PeerArg;
use crate::load::conclusion::{Conclusion, LimitedBy, Outcome};
use crate::load::plan::{Plan, SearchGoal, names};
use crate::load::saturation::{GeneratorLimit, tenths};
use crate::load::summary::Summary;
use crate::load::throughput::{SearchBound, Throughput};
use crate::output::escape::Escaped;
use crate::output::format::{self, count, duration, known, thousands};
use crate::output::layout::Layout;
use crate::output::no_answer::describe;
use crate::output::percent::{self, percent};
use crate::output::style::{BAD, GOOD, WARNING, paint};
use crate::output::table::table;

/// Returns the first line: the target and the plan, or the common plan of several trials.
pub fn header(
    layout: Layout,
    target: &str,
    address: ZonedAddr,
    plan: &LoadPlan,
    trials: bool,
) -> String {
    let name = Escaped(target.as_bytes());
    layout.wrap(&format!("LOAD {name} ({}): {}", address.host(), parameters(plan, trials)))
}

/// Returns the plan, or the common plan of several trials.
pub(super) fn parameters(plan: &LoadPlan, trials: bool) -> String {
    let intended = Plan::from(plan);
    let mut parts = Vec::new();
    match (intended.outstanding, intended.rate) {
        (Some(outstanding), _) => {
            parts.push(format!("{} outstanding", thousands(outstanding.into())));
        }
        (_, Some(rate)) if !trials => {
            let arrivals = intended.arrivals.unwrap_or_default();
            parts.push(format!("{}/s ({arrivals})", count(rate, "request")));
            parts.push(format!(
                "{} of payload",
                format::bit_rate(rate as f64 * intended.mean_name_bits())
            ));
        }
        _ => parts.push(format!("{} loads", intended.arrivals.unwrap_or_default())),
    }
    parts.push(names(intended.name_bytes));
    if intended.train > 1 {
        parts.push(format!("trains of {}", intended.train));
    }
    let kind = if intended.sources_by == "ports" { "source port" } else { "source address" };
    parts.push(count(intended.sources.into(), kind));
    if intended.threads > 1 {
        parts.push(count(intended.threads.into(), "thread"));
    }
    if intended.peer == PeerArg::Echo {
        parts.push("echo server".into());
    }
    let each = if trials { " each" } else { "" };
    let measured = match plan.count {
        Some(requests) => count(requests, "request"),
        None => duration(plan.duration),
    };
    parts.push(match plan.warm_up.is_zero() {
        true => format!("{measured}{each}"),
        false => format!("{measured}{each} after {} of warm-up", duration(plan.warm_up)),
    });
    parts.join(", ")
}

/// Returns the plan of a search: what is tried, and how long it may take.
pub fn search_plan(layout: Layout, search: &SearchGoal) -> String {
    let trials = match search.trials {
        1 => "1 trial".to_owned(),
        trials => format!("the majority of {trials} trials"),
    };
    layout.wrap(&format!(
        "search from {}/s to at most {}/s, to within {}%; {} loss by {trials} of each rate; at most \
         {} trials in {}",
        thousands(search.start_per_s),
        thousands(search.max_per_s),
        percent(search.resolution),
        if search.tolerance == 0.0 {
            "no".to_owned()
        } else {
            format!("at most {}%", percent(search.tolerance))
        },
        thousands(search.max_trials),
        format::at_most(search.max_time()),
    ))
}

/// Returns the plan of a sweep: what is tried, and how long it may take.
pub fn sweep_plan(layout: Layout, loads: &[NonZeroU64], at_most: Duration) -> String {
    let [first, last] = [loads.first(), loads.last()]
        .map(|load| load.map_or_else(String::new, |load| thousands(load.get())));
    let number = thousands(loads.len() as u64);
    layout.wrap(&format!(
        "sweep of {number} rates from {first}/s to {last}/s, in at most {}",
        format::at_most(at_most)
    ))
}

/// Returns the summary of one of several trials, in one line if it fits.
pub fn trial(layout: Layout, summary: &Summary) -> String {
    let (common, limits) = (&summary.common, &summary.generator.limits);
    let loss = percent::loss(common);
    let loss = format!("{:>7} lost", loss);
    let mut parts = vec![
        format!("{:>9}/s", thousands(summary.plan.rate.unwrap_or_default())),
        match common.lost {
            0 => loss,
            _ => paint(BAD, loss),
        },
    ];
    parts.extend(summary.verdict.map(|verdict| {
        let (style, label) = label(verdict);
        // The longest label has 13 characters.
        format!("{}{:pad$}", paint(style, label), "", pad = 13_usize.saturating_sub(label.len()))
    }));
    if summary.interrupted {
        parts.push(paint(WARNING, "interrupted"));
    }
    let timeout = Duration::from_secs_f64(summary.plan.timeout_s);
    parts.extend(summary.no_answer().map(|no_answer| describe(no_answer, timeout)));
    if let Some(latency) = &summary.latency_ms {
        let [p50, p99] = [latency.p50, latency.p99].map(|millis| known(millis, format::percentile));
        parts.push(format!("p50 {p50:>6}  p99 {p99:>6} ms"));
    }
    if !limits.is_empty() {
        let limits = Vec::from_iter(limits.iter().map(GeneratorLimit::brief));
        parts.push(paint(WARNING, format!("[generator: {}]", limits.join(", "))));
    }
    if summary.suspected_limit.is_some() {
        parts.push(paint(WARNING, "[rate limit?]"));
    }
    layout.flow(&parts, 13).trim_end().into()
}

fn label(verdict: TrialVerdict) -> (anstyle::Style, &'static str) {
    match verdict {
        TrialVerdict::Carried => (GOOD, "carried"),
        TrialVerdict::Lost => (BAD, "too much lost"),
        TrialVerdict::NotOffered => (WARNING, "not offered"),
    }
}

/// Returns the conclusion from a sweep, and a table of its trials with times in milliseconds.
pub fn sweep(layout: Layout, conclusion: &Conclusion, summaries: &[Summary]) -> String {
    let heads = [
        ("load/s", 0),
        ("sent/s", 5),
        ("answered/s", 0),
        ("payload", 9),
        ("loss", 0),
        ("latency p50", 2),
        ("latency p99", 1),
        ("rtt p50", 6),
        ("rtt p99", 7),
        ("timer p99", 8),
        ("busy", 4),
        ("limit", 3),
    ];
    let (rate, time) =
        (|rate| known(rate, format::rate), |millis| known(millis, format::percentile));
    let rows = summaries.iter().map(|summary| {
        let (latency, rtt) = (summary.latency_ms, summary.common.rtt_ms);
        let limited = !summary.generator.limits.is_empty();
        vec![
            thousands(summary.plan.rate.unwrap_or_default()),
            rate(summary.sent_per_s),
            rate(summary.answered_per_s),
            known(summary.answered_bits_per_s, format::bit_rate),
            percent::loss(&summary.common),
            time(latency.and_then(|times| times.p50)),
            time(latency.and_then(|times| times.p99)),
            time(rtt.and_then(|times| times.p50)),
            time(rtt.and_then(|times| times.p99)),
            time(summary.common.timer_error_ms.and_then(|error| error.p99)),
            known(summary.generator.busy, |busy| format!("{}%", tenths(busy))),
            if limited { "generator".into() } else { String::new() },
        ]
    });
    let headline = paint_headline(layout, conclusion);
    match summaries.is_empty() {
        true => format!("\n{headline}"),
        false => format!("\n{headline}\n{}", table(layout, usize::MAX, &heads, rows)),
    }
}

/// Returns the conclusion from a search, and its bound.
pub fn throughput(layout: Layout, conclusion: &Conclusion, throughput: &Throughput) -> String {
    let resolution = percent(throughput.resolution);
    let above = throughput.not_carried_per_s.map(|load| format!("{}/s", thousands(load)));
    let bound = match (throughput.bound, above) {
        (SearchBound::Server, Some(load)) => {
            format!("{load} lost too much (resolution {resolution}%)")
        }
        (SearchBound::Generator, Some(load)) => format!(
            "generator limit: {load} was not offered evenly, so the server may carry more (try \
             --train, more --threads, --sources or --trials)"
        ),
        (SearchBound::Silence, _) => "the search ended at a trial without a reply".into(),
        (SearchBound::Interrupted, Some(load)) => format!("interrupted; {load} was not carried"),
        (SearchBound::Interrupted, None) => "interrupted before a load failed".into(),
        _ => "no higher load was tried (--max-rate)".into(),
    };
    let trials = count(throughput.trials.into(), "trial");
    let trial = duration(Duration::from_secs_f64(throughput.trial_s));
    let bound = format!("{bound}; at most {trials} of {trial} per load");
    format!("\n{}\n{}", paint_headline(layout, conclusion), layout.wrap(&bound))
}

/// Returns a conclusion alone.
pub fn conclusion(layout: Layout, conclusion: &Conclusion) -> String {
    format!("\n{}", paint_headline(layout, conclusion))
}

fn paint_headline(layout: Layout, conclusion: &Conclusion) -> String {
    let facts = &conclusion.conclusion;
    let style = match facts.outcome {
        Outcome::Carried if facts.limited_by != Some(LimitedBy::Generator) => GOOD,
        Outcome::Carried | Outcome::NotOffered | Outcome::Unknown => WARNING,
        Outcome::Lost | Outcome::NoAnswer => BAD,
    };
    paint(style.bold(), layout.wrap(&conclusion.headline))
}

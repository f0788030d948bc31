//! Text output of `hello-load`.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use hello_measure::{Interval, Quantiles, TrialVerdict};
use hello_net::{LoadPlan, ZonedAddr};

use crate::load::plan::Plan;
use crate::load::saturation::{GeneratorLimit, tenths};
use crate::load::summary::Summary;
use crate::load::throughput::Throughput;
use crate::output::escape::Escaped;
use crate::output::format::{self, by_reason, count, nonzero, slash_separated};
use crate::output::layout::Layout;
use crate::output::no_answer::describe;
use crate::output::percent::{self, percent};
use crate::output::table::table;

/// Returns the first line: the target and the plan, or the common plan of several trials.
pub fn header(target: &str, address: SocketAddr, plan: &LoadPlan, trials: bool) -> String {
    let intended = Plan::from(plan);
    let mut parts = Vec::new();
    match (intended.outstanding, intended.rate) {
        (Some(outstanding), _) => parts.push(format!("{outstanding} outstanding")),
        (_, Some(rate)) if !trials => {
            let arrivals = intended.arrivals.unwrap_or_default();
            parts.push(format!("{}/s ({arrivals})", count(rate, "request")));
        }
        _ => parts.push(format!("{} loads", intended.arrivals.unwrap_or_default())),
    }
    let [shortest, longest] = intended.name_bytes;
    parts.push(match longest - shortest {
        0 => format!("{shortest}-byte names"),
        _ => format!("names of {shortest} to {longest} bytes"),
    });
    if intended.train > 1 {
        parts.push(format!("trains of {}", intended.train));
    }
    let kind = if intended.sources_by == "ports" { "source port" } else { "source address" };
    parts.push(count(intended.sources.into(), kind));
    if intended.threads > 1 {
        parts.push(count(intended.threads.into(), "thread"));
    }
    let each = if trials { " each" } else { "" };
    parts.push(match (plan.count, plan.warm_up.is_zero()) {
        (Some(requests), _) => format!("{}{each}", count(requests, "request")),
        (None, true) => format!("{} s{each}", seconds(plan.duration)),
        (None, false) => {
            let (duration, warm_up) = (seconds(plan.duration), seconds(plan.warm_up));
            format!("{duration} s{each} after {warm_up} s of warm-up")
        }
    });
    format!(
        "LOAD {} ({}): {}",
        Escaped(target.as_bytes()),
        ZonedAddr(address).host(),
        parts.join(", ")
    )
}

/// Returns the summary of a run.
pub fn summary(summary: &Summary) -> String {
    let name = Escaped(summary.target.as_bytes());
    let mut text = format!("\n--- {name} load statistics ---\n{}\n", requests(summary));
    let mut line = |line: String| {
        let _ = writeln!(text, "{line}");
    };
    details(summary).into_iter().for_each(&mut line);
    let spread = |times: &Quantiles| {
        let [min, mean, max] = [times.min, times.mean, times.max].map(Some);
        slash_separated(&[min, mean, times.p50, times.p90, times.p99, times.p999, max])
    };
    if let Some(latency) = &summary.latency_ms {
        line(format!("latency min/avg/p50/p90/p99/p99.9/max = {}, since due", spread(latency)));
    }
    if let Some(rtt) = &summary.common.rtt_ms {
        line(format!("rtt     min/avg/p50/p90/p99/p99.9/max = {}, since sent", spread(rtt)));
    }
    if let Some(error) = &summary.common.timer_error_ms {
        let errors = slash_separated(&[error.p50, error.p99, Some(error.max)]);
        line(format!("timer error p50/p99/max = {errors}"));
    }
    text += &generator(summary);
    if let Some(limit) = &summary.suspected_limit {
        let _ = write!(text, "\n{limit}");
    }
    text
}

/// Returns the usage of the generator and its limits.
fn generator(summary: &Summary) -> String {
    let generator = &summary.generator;
    let Some(busy) = generator.busy.filter(|_| summary.common.due() > 0) else {
        return match summary.plan.outstanding {
            _ if summary.common.duration_s == 0.0 => {
                "the run ended during the warm-up; nothing was measured"
            }
            Some(_) => {
                "nothing was sent after the warm-up, because its requests were not answered: use a \
                 --duration longer than --timeout"
            }
            None => "no request was due after the warm-up",
        }
        .into();
    };
    let mut text = format!("generator: {}% busy", tenths(busy));
    if let Some(time) = generator.processor_time_per_request_us {
        let _ = write!(text, ", {time:.3} us of CPU per request");
        if summary.plan.rate.is_some() {
            text += ", including busy-waiting";
        }
    }
    if !summary.is_steady() {
        text += "; too few requests for this --outstanding: the rates are not the server's";
    } else if generator.limits.is_empty() && summary.common.answered > 0 {
        text += "; it was not the limit";
    }
    for limit in &generator.limits {
        let _ = write!(text, "\ngenerator limit: {limit}");
    }
    text
}

fn requests(summary: &Summary) -> String {
    let hello_measure::Summary { sent, answered, lost, .. } = &summary.common;
    let rate = |rate: Option<f64>| rate.map_or_else(String::new, |rate| format!(" ({rate:.1}/s)"));
    let mut text = format!(
        "{} sent{}, {answered} answered{}, {lost} lost",
        count(*sent, "request"),
        rate(summary.sent_per_s),
        rate(summary.answered_per_s),
    );
    if let Some(loss) = summary.common.loss {
        let _ = write!(text, " ({}%)", percent(loss));
    }
    if summary.common.in_flight > 0 {
        let _ = write!(text, ", {} in flight", summary.common.in_flight);
    }
    let _ = write!(text, ", in {:.3} s", summary.common.duration_s);
    text
}

fn details(summary: &Summary) -> Vec<String> {
    let counts = [
        ("late", summary.common.late),
        ("reordered", summary.common.reordered),
        ("duplicates", summary.common.duplicate),
        ("corrupt", summary.common.corrupt),
        ("unsolicited", summary.common.unsolicited),
        ("out of window", summary.common.out_of_window),
        ("misdirected", summary.misdirected),
    ];
    let mut lines = Vec::from_iter(nonzero(&counts));
    lines.extend(summary.no_answer().map(|no_answer| describe(no_answer).to_owned()));
    lines.extend(by_reason("errors", &summary.common.errors));
    lines.extend(by_reason("not sent", &summary.common.not_sent));
    lines
}

/// Returns the summary of one of several trials, in one line.
pub fn trial(summary: &Summary) -> String {
    let mut text = format!("{:>9}/s  ", summary.plan.rate.unwrap_or_default());
    let _ = write!(text, "{:>9} lost", percent::or_dash(summary.common.loss));
    if let Some(no_answer) = summary.no_answer() {
        let _ = write!(text, "  {}", describe(no_answer));
    }
    if let (Some(latency), Some(rtt)) = (&summary.latency_ms, &summary.common.rtt_ms) {
        let (latency, rtt) =
            (slash_separated(&[latency.p50, latency.p99]), slash_separated(&[rtt.p50, rtt.p99]));
        let _ = write!(text, "  latency p50/p99 {latency:<16}  rtt {rtt:<16}");
    }
    if let Some(verdict) = summary.verdict {
        let _ = write!(text, "  {}", label(verdict));
    }
    let limits = Vec::from_iter(summary.generator.limits.iter().map(GeneratorLimit::brief));
    if !limits.is_empty() {
        let _ = write!(text, "  [generator: {}]", limits.join(", "));
    }
    if summary.suspected_limit.is_some() {
        text += "  [rate limit?]";
    }
    text.trim_end().into()
}

fn label(verdict: TrialVerdict) -> &'static str {
    match verdict {
        TrialVerdict::Carried => "carried",
        TrialVerdict::Lost => "too much lost",
        TrialVerdict::NotOffered => "not offered",
    }
}

/// Returns a table of the trials of a sweep of `all` loads, with times in milliseconds.
pub fn sweep(layout: Layout, summaries: &[Summary], all: usize) -> String {
    let heads = [
        ("load/s", 0),
        ("sent/s", 4),
        ("answered/s", 0),
        ("loss", 0),
        ("latency p50", 0),
        ("p99", 1),
        ("rtt p50", 5),
        ("rtt p99", 6),
        ("timer p99", 7),
        ("busy", 3),
        ("limit", 2),
    ];
    let rate = |rate: Option<f64>| rate.map_or_else(|| "-".into(), |rate| format!("{rate:.0}"));
    let rows = summaries.iter().map(|summary| {
        let (latency, rtt) = (summary.latency_ms, summary.common.rtt_ms);
        let limited = !summary.generator.limits.is_empty();
        vec![
            summary.plan.rate.map_or_else(String::new, |rate| rate.to_string()),
            rate(summary.sent_per_s),
            rate(summary.answered_per_s),
            percent::or_dash(summary.common.loss),
            format::or_dash(latency.and_then(|times| times.p50)),
            format::or_dash(latency.and_then(|times| times.p99)),
            format::or_dash(rtt.and_then(|times| times.p50)),
            format::or_dash(rtt.and_then(|times| times.p99)),
            format::or_dash(summary.common.timer_error_ms.and_then(|error| error.p99)),
            summary.generator.busy.map_or_else(|| "-".into(), |busy| format!("{}%", tenths(busy))),
            if limited { "generator".into() } else { String::new() },
        ]
    });
    let table = table(layout, usize::MAX, &heads, rows);
    match summaries.len() {
        done if done < all => format!("{table}\nended after {done} of {all} loads"),
        _ => table,
    }
}

/// Returns the result of a search.
pub fn throughput(throughput: &Throughput) -> String {
    let loss = format!("at most {}% loss", percent(throughput.tolerance));
    let resolution = percent(throughput.resolution);
    let text = match headline(throughput) {
        Some(found) => format!("{found}, with {loss}"),
        None if throughput.bound == "interrupted" => "no load had a verdict".into(),
        None if throughput.bound == "silence" => "no load was carried: there was no reply".into(),
        None => format!("no load was carried with {loss}"),
    };
    let bound = match (throughput.bound, throughput.not_carried_per_s) {
        ("server", Some(load)) => {
            format!("{load}/s lost too much (resolution {resolution}%)")
        }
        ("generator", Some(load)) => {
            format!(
                "generator limit: {load}/s was not offered evenly, so the server may carry more (try \
                 --train, more --threads, --sources or --trials)"
            )
        }
        ("silence", _) => "the search ended after its first trial".into(),
        ("interrupted", Some(load)) => format!("interrupted; {load}/s was not carried"),
        ("interrupted", None) => "interrupted before a load failed".into(),
        _ => "no higher load was tried (--max-rate)".into(),
    };
    let trials = count(throughput.trials.into(), "trial");
    format!("\n{text}\n{bound}; at most {trials} of {} s per load", throughput.trial_s)
}

/// Returns the throughput in words, if a load was carried.
pub fn headline(throughput: &Throughput) -> Option<String> {
    let at_least = if throughput.is_exact() { "" } else { "at least " };
    throughput.throughput_per_s.map(|load| format!("throughput {at_least}{load} requests/s"))
}

/// Returns the status line.
pub fn status(interval: &Interval) -> String {
    let Interval { rate, in_flight, lost, .. } = interval;
    let load = rate.map_or_else(String::new, |rate| format!("{rate}/s: "));
    let [sent, answered] = [interval.sent_per_s, interval.answered_per_s]
        .map(|rate| rate.map_or_else(|| "-".into(), |rate| format!("{rate:.0}")));
    format!("{load}{sent} sent/s, {answered} answered/s, {lost} lost, {in_flight} in flight")
}

/// Returns the statistics of a part of a run, in one line.
pub fn interval(interval: &Interval) -> String {
    format!("{:8.3} s  {}", interval.at_s, status(interval))
}

fn seconds(duration: Duration) -> String {
    let text = format!("{:.3}", duration.as_secs_f64());
    text.trim_end_matches('0').trim_end_matches('.').into()
}

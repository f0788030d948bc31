//! What `hello-load` prints for people.

#[cfg(test)]
mod tests;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use hello_measure::{Interval, Quantiles, TrialVerdict};
use hello_net::LoadPlan;

use crate::load::plan::Plan;
use crate::load::saturation::{GeneratorLimit, tenths};
use crate::load::summary::Summary;
use crate::load::throughput::Throughput;
use crate::output::escape::Escaped;
use crate::output::format::{self, by_reason, count, nonzero, slash_separated};
use crate::output::no_answer::describe;
use crate::output::percent::{self, percent};
use crate::output::table::table;

/// Says who is asked, and how; of several trials, what is the same in all.
pub fn header(target: &str, address: SocketAddr, plan: &LoadPlan, trials: bool) -> String {
    let asked = Plan::from(plan);
    let mut parts = Vec::new();
    match (asked.outstanding, asked.rate) {
        (Some(outstanding), _) => parts.push(format!("{outstanding} outstanding")),
        (_, Some(rate)) if !trials => {
            let arrivals = asked.arrivals.unwrap_or_default();
            parts.push(format!("{}/s ({arrivals})", count(rate, "request")));
        }
        _ => parts.push(format!("{} loads", asked.arrivals.unwrap_or_default())),
    }
    let [shortest, longest] = asked.name_bytes;
    parts.push(match longest - shortest {
        0 => format!("{shortest} bytes"),
        _ => format!("{shortest} to {longest} bytes"),
    });
    if asked.train > 1 {
        parts.push(format!("trains of {}", asked.train));
    }
    let by = if asked.sources_by == "ports" { "port" } else { "address" };
    parts.push(count(asked.sources.into(), by));
    if asked.threads > 1 {
        parts.push(count(asked.threads.into(), "thread"));
    }
    let each = if trials { " each" } else { "" };
    parts.push(match (plan.count, plan.warm_up.is_zero()) {
        (Some(requests), _) => format!("{}{each}", count(requests, "request")),
        (None, true) => format!("{} s{each}", seconds(plan.duration)),
        (None, false) => {
            format!("{} s{each} after {} s", seconds(plan.duration), seconds(plan.warm_up))
        }
    });
    format!("LOAD {} ({}): {}", Escaped(target.as_bytes()), address.ip(), parts.join(", "))
}

/// Sums a run up.
pub fn summary(summary: &Summary) -> String {
    let name = Escaped(summary.target.as_bytes());
    let mut text = format!("\n--- {name} load statistics ---\n{}\n", requests(summary));
    let mut line = |line: String| {
        let _ = writeln!(text, "{line}");
    };
    details(summary).into_iter().for_each(&mut line);
    let spread = |times: &Quantiles| {
        slash_separated(&[
            times.min, times.mean, times.p50, times.p90, times.p99, times.p999, times.max,
        ])
    };
    if let Some(latency) = &summary.latency_ms {
        line(format!("latency min/avg/p50/p90/p99/p99.9/max = {}, since due", spread(latency)));
    }
    if let Some(rtt) = &summary.common.rtt_ms {
        line(format!("rtt     min/avg/p50/p90/p99/p99.9/max = {}, since sent", spread(rtt)));
    }
    if let Some(error) = &summary.common.timer_error_ms {
        let errors = slash_separated(&[error.p50, error.p99, error.max]);
        line(format!("timer error p50/p99/max = {errors}"));
    }
    text += &generator(summary);
    if let Some(limit) = &summary.suspected_limit {
        let _ = write!(text, "\n{limit}");
    }
    text
}

/// Says what the generator did, and whether it was the limit.
fn generator(summary: &Summary) -> String {
    let generator = &summary.generator;
    let Some(busy) = generator.busy.filter(|_| summary.common.due() > 0) else {
        return match summary.plan.outstanding {
            _ if summary.common.duration_s == 0.0 => "it ended in the warm-up, which is left out",
            Some(_) => {
                "nothing was sent after the warm-up, for what was sent in it is unanswered: \
                 give a --duration longer than --timeout"
            }
            None => "no request was due after the warm-up",
        }
        .into();
    };
    let mut text = format!("the generator was busy for {}% of the time", tenths(busy));
    if let Some(time) = generator.processor_time_per_request_us {
        let _ = write!(text, ", with {time:.3} us of a processor for each request");
        if summary.plan.rate.is_some() {
            text += ", punctual waiting included";
        }
    }
    if !summary.is_steady() {
        text += ": so few were sent for so many outstanding that the rates are not the server's";
    } else if generator.limits.is_empty() && summary.common.answered > 0 {
        text += ": no sign that it was the limit";
    }
    for limit in &generator.limits {
        let _ = write!(text, "\nLIMITED BY THE GENERATOR, not by the server alone: it {limit}");
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

/// Sums up one trial of several, in one line.
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
        let _ = write!(text, "  {}", said(verdict));
    }
    let limits = Vec::from_iter(summary.generator.limits.iter().map(GeneratorLimit::brief));
    if !limits.is_empty() {
        let _ = write!(text, "  [generator: {}]", limits.join(", "));
    }
    if summary.suspected_limit.is_some() {
        text += "  [losses like a rate limit's]";
    }
    text.trim_end().into()
}

fn said(verdict: TrialVerdict) -> &'static str {
    match verdict {
        TrialVerdict::Carried => "carried",
        TrialVerdict::Lost => "too much lost",
        TrialVerdict::NotOffered => "not offered",
    }
}

/// Compares the trials of a sweep, of which there were to be so many, times in milliseconds.
pub fn sweep(summaries: &[Summary], all: usize) -> String {
    let heads = [
        "load/s",
        "sent/s",
        "answered/s",
        "loss",
        "latency p50",
        "p99",
        "rtt p50",
        "p99",
        "timer p99",
        "busy",
        "limit",
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
            format::or_dash(latency.map(|times| times.p50)),
            format::or_dash(latency.map(|times| times.p99)),
            format::or_dash(rtt.map(|times| times.p50)),
            format::or_dash(rtt.map(|times| times.p99)),
            format::or_dash(summary.common.timer_error_ms.map(|error| error.p99)),
            summary.generator.busy.map_or_else(|| "-".into(), |busy| format!("{}%", tenths(busy))),
            if limited { "generator".into() } else { String::new() },
        ]
    });
    let table = table(usize::MAX, &heads, rows);
    match summaries.len() {
        done if done < all => format!("{table}\nended after {done} of {all} loads"),
        _ => table,
    }
}

/// Says what a search came to.
pub fn throughput(throughput: &Throughput) -> String {
    let loss = format!("loss of {}% at most", percent(throughput.tolerance));
    let resolution = percent(throughput.resolution);
    let text = match found(throughput) {
        Some(found) => format!("{found}, with {loss}"),
        None if throughput.bound == "interrupted" => "no load was decided on".into(),
        None if throughput.bound == "silence" => "no load was carried: nothing was answered".into(),
        None => format!("no load was carried with {loss}"),
    };
    let bound = match (throughput.bound, throughput.not_carried_per_s) {
        ("server", Some(load)) => {
            format!("of {load}/s too much was lost (resolution {resolution}%)")
        }
        ("generator", Some(load)) => {
            format!(
                "LIMITED BY THE GENERATOR, which did not offer {load}/s evenly: the server may carry more \
                 (try --train, more --threads, --sources or --trials)"
            )
        }
        ("silence", _) => "the search ended with its first trial".into(),
        ("interrupted", Some(load)) => format!("interrupted, after {load}/s was not carried"),
        ("interrupted", None) => "interrupted before any load failed".into(),
        _ => "more was not tried (--max-rate)".into(),
    };
    let trials = throughput.trials;
    let of_each =
        format!("{} of {} s for each load", count(trials.into(), "trial"), throughput.trial_s);
    format!("\n{text}\n{bound}; up to {of_each}")
}

/// Says what load was carried, if there is one, and whether more may be.
pub fn found(throughput: &Throughput) -> Option<String> {
    let at_least = if throughput.is_exact() { "" } else { "at least " };
    throughput.throughput_per_s.map(|load| format!("throughput {at_least}{load} requests/s"))
}

/// Says in one line how it goes.
pub fn status(interval: &Interval) -> String {
    let Interval { rate, in_flight, lost, .. } = interval;
    let load = rate.map_or_else(String::new, |rate| format!("{rate}/s: "));
    let [sent, answered] = [interval.sent_per_s, interval.answered_per_s]
        .map(|rate| rate.map_or_else(|| "-".into(), |rate| format!("{rate:.0}")));
    format!("{load}{sent} sent/s, {answered} answered/s, {lost} lost, {in_flight} in flight")
}

/// Sums a part of a run up, in one line.
pub fn interval(interval: &Interval) -> String {
    format!("{:8.3} s  {}", interval.at_s, status(interval))
}

fn seconds(duration: Duration) -> String {
    let text = format!("{:.3}", duration.as_secs_f64());
    text.trim_end_matches('0').trim_end_matches('.').into()
}

//! The conclusion from a single run.

use super::{Conclusion, LimitedBy, Outcome, is_short, is_the_generators, requests_per_s, risen};
use crate::load::summary::Summary;
use crate::output::escape::Escaped;
use crate::output::format::{self, count, known, thousands};
use crate::output::percent;

impl Conclusion {
    /// Concludes from a single run.
    pub fn of_run(summary: &Summary) -> Self {
        let common = &summary.common;
        let has_warm_up = summary.plan.warm_up_s > 0.0;
        let found = if common.due() == 0 && summary.interrupted {
            let is_closed = summary.plan.outstanding.is_some();
            return Self::interrupted_early(match (has_warm_up, common.duration_s > 0.0) {
                (true, false) => "during the warm-up: nothing was measured",
                (true, true) if is_closed => {
                    "while replies to the warm-up were awaited: nothing was measured"
                }
                _ => "before any request was due",
            });
        } else if common.due() == 0 {
            let after = if has_warm_up { " after the warm-up" } else { "" };
            let found = Self::new(format!("no request was due{after}"), Outcome::Unknown);
            match summary.plan.outstanding {
                Some(_) => found.and("all outstanding ones were still waited for"),
                None => found,
            }
        } else if common.sent == 0 {
            let due = count(common.due(), "request");
            let headline = format!("none of {due} was sent");
            Self::new(headline, Outcome::NotOffered).limited_by_generator(summary)
        } else if common.answered == 0 && common.lost == 0 {
            let sent = count(common.sent, "request");
            Self::new(format!("{sent} sent, of which no end is known"), Outcome::Unknown)
        } else if common.answered == 0 {
            // The warm-up was answered, or nothing else is known about it.
            let (name, lost) = (Escaped(summary.target.as_bytes()), thousands(common.lost));
            Self::new(format!("{name} answered none of {lost} requests"), Outcome::Lost)
        } else if summary.plan.outstanding.is_some() {
            of_closed_loop(summary)
        } else {
            of_open_loop(summary)
        };
        found.with_refusals(summary).with_ends_unknown(summary)
    }
}

/// A closed loop: the round trips times --outstanding set the pace, so more is always possible.
fn of_closed_loop(summary: &Summary) -> Conclusion {
    let (common, name) = (&summary.common, Escaped(summary.target.as_bytes()));
    let outstanding = summary.plan.outstanding.unwrap_or_default();
    let outcome = if common.lost == 0 { Outcome::Carried } else { Outcome::Lost };
    let loss = match common.lost {
        0 => String::new(),
        _ => format!(" with {} loss", percent::loss(common)),
    };
    let rate = summary.answered_per_s.filter(|_| summary.has_rate());
    let Some(rate) = rate else {
        let outstanding = thousands(outstanding.into());
        let why = format!("too few for a rate with {outstanding} outstanding");
        return without_rate(summary).and(&why);
    };
    let headline = format!("{name} answers at least {} requests/s{loss}", format::rate(rate));
    let found = Conclusion::new(headline, outcome).at(rate).at_least();
    if let Some(after) = summary.trend.silent_after {
        found.with_silence(after, summary)
    } else if summary.suspected_limit.is_some() {
        found.with_rate_limit(summary)
    } else if !summary.generator.limits.is_empty() {
        found.limited_by_generator(summary)
    } else {
        let more = u64::from(outstanding) * 2;
        found
            .limited_by(LimitedBy::Plan)
            .and(&format!(
                "round trips with {} outstanding set the pace",
                thousands(outstanding.into())
            ))
            .next(format!("--outstanding {more}"))
    }
}

/// Counts the answers of a run that was too short for a rate.
fn without_rate(summary: &Summary) -> Conclusion {
    let (common, name) = (&summary.common, Escaped(summary.target.as_bytes()));
    let (answered, settled) = (thousands(common.answered), common.settled());
    let headline = format!("{name} answered {answered} of {}", count(settled, "request"));
    let outcome = if common.lost == 0 { Outcome::Carried } else { Outcome::Lost };
    Conclusion::new(headline, outcome)
}

fn of_open_loop(summary: &Summary) -> Conclusion {
    if !summary.has_rate() {
        return without_rate(summary).and("too short for a rate");
    }
    let (common, name) = (&summary.common, Escaped(summary.target.as_bytes()));
    let (sent, answered) = (summary.sent_per_s, summary.answered_per_s);
    let rate = |rate| known(rate, format::rate);
    let loss = percent::loss(common);
    if let (Some(rise), 0, false) = (summary.trend.rise, common.lost, is_short(summary)) {
        // It may not have answered them at this rate, but after the end.
        let (sent, risen) = (requests_per_s(&rate(sent)), risen(rise));
        let headline = format!("{name} falls behind at {sent}: {risen}, without loss");
        let found = Conclusion::new(headline, Outcome::Carried).limited_by(LimitedBy::Server);
        return found.next("a longer --duration");
    }
    // What is in flight may be answered.
    let at_least = if common.in_flight > 0 { "at least " } else { "" };
    let found = match common.lost {
        0 => {
            let rate = requests_per_s(&rate(answered));
            let headline = format!("{name} answers {at_least}{rate} without loss");
            Conclusion::new(headline, Outcome::Carried).at_least()
        }
        _ => {
            let headline = format!(
                "{name} loses {loss} at {}, and answers {at_least}{}/s",
                requests_per_s(&rate(sent)),
                rate(answered)
            );
            Conclusion::new(headline, Outcome::Lost)
        }
    };
    let found = match answered {
        Some(answered) => found.at(answered),
        None => found,
    };
    let found = if common.in_flight > 0 { found.at_least() } else { found };
    if let Some(after) = summary.trend.silent_after {
        return found.with_silence(after, summary);
    }
    if is_short(summary) {
        let planned = thousands(summary.plan.rate.unwrap_or_default());
        return found
            .at_least()
            .and(&format!("{planned}/s could not be offered"))
            .limited_by_generator(summary);
    }
    match common.lost {
        0 if summary.generator.limits.is_empty() => found.limited_by(LimitedBy::Plan),
        0 => found
            .limited_by(LimitedBy::Plan)
            .and("the generator was at its limit, so latencies are upper bounds"),
        _ if summary.suspected_limit.is_some() => found.with_rate_limit(summary),
        _ if is_the_generators(summary) => found.at_least().limited_by_generator(summary),
        _ => {
            let found = found.limited_by(LimitedBy::Server);
            match summary.trend.rise {
                Some(rise) => found.and(&risen(rise)).next("a longer --duration"),
                None => found,
            }
        }
    }
}

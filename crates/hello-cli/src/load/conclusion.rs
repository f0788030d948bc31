//! What a result says about the server: one sentence, and the facts behind it.

mod run;
mod trials;

#[cfg(test)]
mod tests;

use std::time::Duration;

use hello_measure::REFUSED;
use serde::Serialize;

use super::args::MESSAGES;
use super::diagnosis::MAX_SHORTFALL;
use super::no_contact::NoContact;
use super::plan::Plan;
use super::saturation::GeneratorLimit;
use super::summary::Summary;
use crate::output::{format, percent};

/// The conclusion from a run, a search or a sweep.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Conclusion {
    /// One sentence for people.
    pub headline: String,
    /// The facts in it.
    pub conclusion: Facts,
    /// Why nothing was answered.
    pub no_answer: Option<NoContact>,
}

/// The facts of a headline.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Facts {
    /// What became of the load.
    pub outcome: Outcome,
    /// The rate that it is about, in requests per second.
    pub rate_per_s: Option<f64>,
    /// Whether the server may answer more than that.
    pub is_lower_bound: bool,
    /// What kept the rate from being higher.
    pub limited_by: Option<LimitedBy>,
    /// Options to try next.
    pub next: Option<String>,
}

/// What became of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The server answered it, with no more loss than allowed.
    Carried,
    /// The server lost too much of it.
    Lost,
    /// The generator could not offer it.
    NotOffered,
    /// The server answered nothing.
    NoAnswer,
    /// Too little was measured to know.
    Unknown,
}

/// What limited the rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LimitedBy {
    /// The server lost requests.
    Server,
    /// The server's rate limit, by the look of the losses.
    RateLimit,
    /// The generator.
    Generator,
    /// The plan: the round trips times --outstanding, --rate, the last rate of --sweep, or --max-rate.
    Plan,
}

impl Conclusion {
    /// Concludes that nothing was answered.
    pub fn no_answer(reason: NoContact) -> Self {
        let headline = reason.to_string();
        Self { no_answer: Some(reason), ..Self::new(headline, Outcome::NoAnswer) }
    }

    /// Concludes from an interruption before anything was measured.
    pub fn interrupted_early(what: &str) -> Self {
        Self::new(format!("interrupted {what}"), Outcome::Unknown)
    }

    fn new(headline: impl Into<String>, outcome: Outcome) -> Self {
        let (rate_per_s, is_lower_bound, limited_by, next) = (None, false, None, None);
        let conclusion = Facts { outcome, rate_per_s, is_lower_bound, limited_by, next };
        Self { headline: headline.into(), conclusion, no_answer: None }
    }

    fn at(mut self, rate_per_s: f64) -> Self {
        self.conclusion.rate_per_s = Some(rate_per_s);
        self
    }

    fn at_least(mut self) -> Self {
        self.conclusion.is_lower_bound = true;
        self
    }

    fn limited_by(mut self, limit: LimitedBy) -> Self {
        self.conclusion.limited_by = Some(limit);
        self
    }

    fn and(mut self, what: &str) -> Self {
        self.headline = format!("{}; {what}", self.headline);
        self
    }

    fn next(mut self, options: impl Into<String>) -> Self {
        let options = options.into();
        self.headline = format!("{}: next, try {options}", self.headline);
        self.conclusion.next = Some(options);
        self
    }

    fn limited_by_generator(self, summary: &Summary) -> Self {
        let limit = match summary.generator.limits.first() {
            Some(GeneratorLimit::Stalled { .. }) => {
                "lost requests held their places until the timeout"
            }
            Some(GeneratorLimit::NotTaken { .. }) => "this system rejected what was not sent",
            _ => "the generator was the limit",
        };
        let found = self.limited_by(LimitedBy::Generator).and(limit);
        match advice(summary) {
            Some(options) => found.next(options),
            None => found,
        }
    }

    /// Names the server's rate limit, if the losses look like one.
    fn with_rate_limit(self, summary: &Summary) -> Self {
        match summary.suspected_limit {
            Some(_) => self
                .limited_by(LimitedBy::RateLimit)
                .and("the losses look like a rate limit")
                .next("hello-server --limit off"),
            None => self,
        }
    }

    /// Adds that nothing was answered after a time.
    fn with_silence(self, after: Duration, summary: &Summary) -> Self {
        let (after, late) = (after.as_secs_f64(), summary.common.late > 0);
        let in_time = if late { " in time" } else { "" };
        let silence = format!("after {after} s, it answered nothing{in_time}");
        self.limited_by(LimitedBy::Server).and(&silence)
    }

    /// Adds that the losses were not, or not all, of a server.
    fn with_refusals(self, summary: &Summary) -> Self {
        let errors = &summary.common.errors;
        match errors.contains_key(REFUSED) && summary.common.lost > 0 {
            true => self.and(&format!("at times, {}", summary.refusal())),
            false => self,
        }
    }

    /// Adds that the run was interrupted, and the loss if all in flight are lost.
    fn with_ends_unknown(self, summary: &Summary) -> Self {
        let in_flight = summary.common.in_flight;
        let found = if summary.interrupted { self.and("interrupted") } else { self };
        match in_flight {
            0 => found,
            _ => {
                let worst = percent::worst_case_loss(&summary.common);
                found.and(&format!("up to {worst} lost if all in flight are"))
            }
        }
    }
}

/// Returns whether the generator, rather than the server, may have lost a load, or did not offer it.
fn is_the_generators(summary: &Summary) -> bool {
    is_short(summary) || summary.generator.dropped.unwrap_or(0) > 0
}

/// Returns whether too many requests that were due did not leave.
fn is_short(summary: &Summary) -> bool {
    let not_sent = summary.common.not_sent_total() as f64;
    not_sent > MAX_SHORTFALL * summary.common.due() as f64
}

/// Returns the options that widen the first limit of the generator.
fn advice(summary: &Summary) -> Option<String> {
    let plan = &summary.plan;
    let is_idle = summary.generator.busy.is_some_and(|busy| busy < IDLE);
    let advice = match summary.generator.limits.first()? {
        // It was not too slow: something else had the processor.
        GeneratorLimit::Late { .. } if is_idle => "a machine without other load".into(),
        GeneratorLimit::Late { .. } | GeneratorLimit::Busy { .. } => match longest_train(plan) {
            train if train > plan.train => train_option(plan, train),
            _ => format!("--threads {}", plan.threads.saturating_add(1)),
        },
        GeneratorLimit::TooManyInFlight { .. } | GeneratorLimit::Stalled { .. } => {
            "a shorter --timeout".into()
        }
        GeneratorLimit::NotTaken { .. } => return None,
        GeneratorLimit::NoRoomToSend { .. } => "a larger net.core.wmem_max".into(),
        GeneratorLimit::Dropped { .. } => "a larger net.core.rmem_max".into(),
        GeneratorLimit::Timer { .. } => "a machine without other load".into(),
    };
    Some(advice)
}

/// The share of the time below which a generator is not too slow.
const IDLE: f64 = 0.5;

/// Returns the longest train of such names that a message holds.
fn longest_train(plan: &Plan) -> u16 {
    let fitting = hello_proto::MAX_DATAGRAM_LEN / plan.name_bytes[1].max(1);
    u16::try_from(fitting).unwrap_or(u16::MAX).clamp(1, hello_net::LoadPlan::MAX_TRAIN)
}

/// Returns the options for a train, with as many messages outstanding as before.
fn train_option(plan: &Plan, train: u16) -> String {
    match plan.outstanding {
        // Others are the default, which grows with the train.
        Some(outstanding) if outstanding != MESSAGES.get() * u32::from(plan.train) => {
            let messages = u64::from(outstanding) / u64::from(plan.train);
            format!("--train {train} --outstanding {}", messages * u64::from(train))
        }
        _ => format!("--train {train}"),
    }
}

/// Describes latencies that rose, because the server answered more slowly than it was asked.
fn risen((from, to): (Duration, Duration)) -> String {
    let [from, to] = [from, to].map(|time| format::percentile(time.as_secs_f64() * 1e3));
    format!("latencies rose from {from} to {to} ms")
}

fn requests_per_s(rate: &str) -> String {
    let plural = if rate == "1" { "" } else { "s" };
    format!("{rate} request{plural}/s")
}

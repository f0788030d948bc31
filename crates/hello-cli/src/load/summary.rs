//! The summary of a run under load.

use hello_measure::{CauseKind, NoAnswer, Quantiles, Trend, TrialVerdict};
use hello_net::ZonedAddr;
use serde::Serialize;

use super::plan::Plan;
use super::saturation::{GeneratorLimit, SuspectedLimit};
use crate::output::cause;
use crate::output::json::as_text;
use crate::output::wall_clock::WallClock;

/// The summary of a run or a trial: the numbers of every output format, under these names in JSON.
/// It covers the requests that were due after the warm-up.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The name that the user gave, `HOST:PORT`.
    pub target: String,
    /// The address that the name stands for.
    #[serde(serialize_with = "as_text")]
    pub address: ZonedAddr,
    /// The intended load.
    pub plan: Plan,
    /// The time of day at the start, before the warm-up.
    pub started_at: WallClock,
    /// Whether a signal or a failed output ended it.
    pub interrupted: bool,
    /// The fields in common with hello-ping.
    #[serde(flatten)]
    pub common: hello_measure::Summary,
    /// Requests sent per second; `None` like the other rates if the run was too short for a rate.
    pub sent_per_s: Option<f64>,
    /// Requests answered per second.
    pub answered_per_s: Option<f64>,
    /// Bits per second of the names sent, without the headers of UDP and IP.
    pub sent_bits_per_s: Option<f64>,
    /// Bits per second of the replies to the answered requests, without the headers of UDP and IP.
    pub answered_bits_per_s: Option<f64>,
    /// The loss if every request in flight is lost, from 0 to 1.
    pub worst_case_loss: Option<f64>,
    /// Replies that arrived at another source than the request's.
    pub misdirected: u64,
    /// Latency of the answered requests, from due time to reply.
    pub latency_ms: Option<Quantiles>,
    /// The usage and the limits of the generator.
    pub generator: Generator,
    /// The server's rate limit that the losses look like.
    pub suspected_limit: Option<SuspectedLimit>,
    /// What changed in the course of the run.
    #[serde(skip)]
    pub trend: Trend,
    /// The verdict on a trial of a search.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<TrialVerdict>,
}

impl Summary {
    /// Returns why there was no answer, once something was received or a request was lost; `None` if
    /// none was sent.
    pub fn no_answer(&self) -> Option<NoAnswer> {
        // A reply at another source than its request's answers no request either.
        let unsolicited = self.common.unsolicited + self.misdirected;
        hello_measure::Summary { unsolicited, ..self.common.clone() }.no_answer()
    }

    /// Describes that requests were refused, and by whom if that is another host than the target's.
    pub fn refusal(&self) -> String {
        let refused = self.common.lost_causes.iter().map(|one| one.cause);
        let mut refused = refused.filter(|cause| cause.kind == CauseKind::Refused);
        let other = refused.clone().find_map(|cause| cause::other_refuser(cause, self.address));
        match other.filter(|_| refused.all(|it| cause::other_refuser(it, self.address).is_some())) {
            Some(firewall) => format!("{firewall} refused requests"),
            None => "requests were refused (no server on that port, or a firewall)".into(),
        }
    }

    /// Returns whether nothing was answered, because no server was listening.
    pub fn is_refused(&self) -> bool {
        self.no_answer() == Some(NoAnswer::Refused)
    }

    /// Returns whether the run was long enough for the server to set the pace. A closed loop sends
    /// its first requests immediately, and does not count the time of its last ones.
    pub fn is_steady(&self) -> bool {
        self.plan.outstanding.is_none_or(|max| self.common.sent >= 10 * u64::from(max))
    }

    /// Returns whether the run was long enough for a rate: steady, or in an open loop as long as the
    /// time between two messages, because the first one is due immediately.
    pub fn has_rate(&self) -> bool {
        let messages =
            |rate: u64| rate as f64 * self.common.duration_s / f64::from(self.plan.train);
        self.is_steady() && self.plan.rate.is_none_or(|rate| messages(rate) >= MIN_SPACING)
    }
}

/// The share of the time between two messages that an open loop needs for a rate. The rest is for
/// rounding.
const MIN_SPACING: f64 = 0.99;

/// The usage and the limits of the generator.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Generator {
    /// The share of the time in which its threads were busy, from 0 to 1.
    pub busy: Option<f64>,
    /// The share of the time in which a closed loop had too few requests outstanding, from 0 to 1.
    pub stalled: Option<f64>,
    /// The number of times that the send buffer was full.
    pub blocked: u64,
    /// CPU time of its threads while requests were due, including the kernel's, in seconds.
    pub processor_time_s: f64,
    /// CPU time per request sent, in microseconds.
    pub processor_time_per_request_us: Option<f64>,
    /// Datagrams that overflowed its receive buffers; `None` if the system does not report it.
    pub dropped: Option<u64>,
    /// The reasons why it may have limited the run.
    pub limits: Vec<GeneratorLimit>,
}

#[cfg(test)]
mod tests {
    use hello_measure::{Cause, LostCause};

    use super::*;
    use crate::load::fixtures::summary;

    #[test]
    fn refusal_names_a_host_only_if_it_is_not_the_target() {
        let refused = |reporter: Option<[u8; 4]>| {
            let cause = Cause { kind: CauseKind::Refused, reporter: reporter.map(Into::into) };
            LostCause { cause, lost: 1 }
        };
        let (target, firewall) = (refused(Some([192, 0, 2, 1])), refused(Some([10, 80, 2, 2])));
        let silent = LostCause { cause: Cause::SILENT, lost: 1 };
        let nobody = "requests were refused (no server on that port, or a firewall)";
        for (causes, expected) in [
            (vec![silent, firewall], "10.80.2.2 refused requests"),
            (vec![firewall, target], nobody),
            (vec![target], nobody),
            (vec![refused(None)], nobody),
            (vec![], nobody),
        ] {
            let mut summary = summary();
            summary.common.lost_causes = causes;
            assert_eq!(summary.refusal(), expected);
        }
    }

    #[test]
    fn stray_datagram_does_not_explain_a_trial_that_sent_nothing() {
        let stray = hello_measure::Summary { unsolicited: 1, ..Default::default() };
        let mut trial = Summary { common: stray, ..summary() };
        for misdirected in [0, 1] {
            (trial.misdirected, trial.common.sent) = (misdirected, 0);
            assert_eq!(trial.no_answer(), None);
            trial.common.sent = 1;
            assert_eq!(trial.no_answer(), Some(NoAnswer::Unrelated));
        }
    }
}

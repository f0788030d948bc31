//! The progress of a run, for the status line.

use std::num::NonZeroU64;
use std::time::Duration;

use hello_measure::{Counts, Interval};
use hello_net::LoadPlan;

use super::args::UNLIMITED;

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// The trial, if there are several.
    pub trial: Option<Trial>,
    /// What the generator does now.
    pub phase: Phase,
    /// The counts since the last update.
    pub interval: Interval,
}

/// One of several trials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Its number, counted from 1.
    pub number: usize,
    /// The number of trials, if it is known.
    pub of: Option<usize>,
    /// The load, in requests per second.
    pub load: NonZeroU64,
    /// The highest load carried so far, in requests per second.
    pub best: Option<NonZeroU64>,
    /// The longest time that this trial and those after it may take.
    pub left_at_most: Duration,
}

impl Trial {
    /// Returns the same trial after a part of its time.
    #[must_use]
    pub fn after(self, elapsed: Duration) -> Self {
        Self { left_at_most: self.left_at_most.saturating_sub(elapsed), ..self }
    }
}

/// A phase of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Requests are sent, and not measured.
    WarmUp {
        /// The rest of the warm-up.
        left: Duration,
    },
    /// Requests are due.
    Measuring {
        /// The rest of the time in which they are; `None` if only their number ends it.
        left: Option<Duration>,
        /// The number of requests sent, and of all requests, if that is limited.
        of: Option<(u64, u64)>,
    },
    /// No more requests are due, and the last replies are awaited.
    Waiting {
        /// The longest time that they may take.
        at_most: Duration,
        /// Whether a signal ended the run, and the next one ends the wait.
        is_stopped: bool,
    },
}

impl Phase {
    /// Returns the phase at `elapsed` after the start of a run, which was stopped at `stopped`, if it
    /// was.
    pub fn at(
        plan: &LoadPlan,
        elapsed: Duration,
        counts: &Counts,
        stopped: Option<Duration>,
    ) -> Self {
        let end = plan.warm_up.saturating_add(plan.duration);
        let over = stopped.map_or(end, |stopped| stopped.min(end));
        if elapsed >= over || plan.count.is_some_and(|count| counts.sent >= count) {
            // With a count, the end of the last request is at most a timeout ahead.
            let since = if elapsed >= over { over } else { elapsed };
            let at_most = since.saturating_add(plan.timeout).saturating_sub(elapsed);
            return Self::Waiting { at_most, is_stopped: stopped.is_some() };
        }
        if elapsed < plan.warm_up {
            return Self::WarmUp { left: plan.warm_up - elapsed };
        }
        Self::Measuring {
            left: (plan.duration < UNLIMITED).then(|| end - elapsed),
            of: plan.count.map(|count| (counts.sent, count)),
        }
    }

    /// Returns the position and the length of the progress bar.
    pub fn bar(plan: &LoadPlan, elapsed: Duration, counts: &Counts) -> (u64, u64) {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        match plan.count {
            Some(count) => (counts.sent, count),
            None => (millis(elapsed), millis(plan.warm_up.saturating_add(plan.duration))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::fixtures::plan;

    const SECOND: Duration = Duration::from_secs(1);

    fn counts(sent: u64) -> Counts {
        let mut counts = Counts::default();
        counts.sent = sent;
        counts
    }

    #[test]
    fn phases_follow_each_other_and_the_wait_is_at_most_the_timeout() {
        let mut plan = plan();
        (plan.warm_up, plan.duration, plan.timeout) = (SECOND, 10 * SECOND, 2 * SECOND);
        let waiting = |at_most, is_stopped| Phase::Waiting { at_most, is_stopped };
        let at = |elapsed, stopped| Phase::at(&plan, elapsed, &counts(5), stopped);
        assert_eq!(at(SECOND / 2, None), Phase::WarmUp { left: SECOND / 2 });
        let measuring = Phase::Measuring { left: Some(7 * SECOND), of: None };
        assert_eq!(at(4 * SECOND, None), measuring);
        assert_eq!(at(12 * SECOND, None), waiting(SECOND, false));
        assert_eq!(at(4 * SECOND, Some(3 * SECOND)), waiting(SECOND, true));
        assert_eq!(at(SECOND / 2, Some(SECOND / 2)), waiting(2 * SECOND, true));
        assert_eq!(at(99 * SECOND, None), waiting(Duration::ZERO, false));
    }

    #[test]
    fn count_is_the_end_where_it_comes_first() {
        let mut plan = plan();
        (plan.duration, plan.count) = (UNLIMITED, Some(5));
        let at = |sent| Phase::at(&plan, SECOND, &counts(sent), None);
        assert_eq!(at(4), Phase::Measuring { left: None, of: Some((4, 5)) });
        assert_eq!(at(5), Phase::Waiting { at_most: plan.timeout, is_stopped: false });
        assert_eq!(Phase::bar(&plan, SECOND, &counts(4)), (4, 5));
    }
}

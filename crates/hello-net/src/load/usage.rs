use std::time::Duration;

use super::event::GeneratorUsage;
use crate::sys;

/// Measures what a thread uses, from the end of the warm-up until no more requests are due.
#[derive(Debug, Default)]
pub(super) struct UsageMeter {
    /// Whether processor time is also spent on busy-polling.
    spins: bool,
    begin: Option<Baseline>,
    idle: Duration,
    stalled: Duration,
    usage: Option<GeneratorUsage>,
}

#[derive(Debug)]
struct Baseline {
    processor_time: Duration,
    idle: Duration,
    stalled: Duration,
}

impl UsageMeter {
    pub(super) fn new(spins: bool) -> Self {
        Self { spins, ..Self::default() }
    }

    /// Updates the measurement, also with when requests ceased to be due. Returns whether the
    /// warm-up has just ended.
    pub(super) fn update(&mut self, now: Duration, zero: Duration, over: Option<Duration>) -> bool {
        let begins = self.begin.is_none() && now >= zero;
        if begins {
            let Self { idle, stalled, .. } = *self;
            self.begin = Some(Baseline { processor_time: sys::thread_time(), idle, stalled });
        }
        if let (Some(begin), Some(over), None) = (&self.begin, over, self.usage) {
            let measured = over.saturating_sub(zero);
            let processor_time = sys::thread_time().saturating_sub(begin.processor_time);
            let busy = measured.saturating_sub(self.idle.saturating_sub(begin.idle));
            // A thread that waits in a receive call, and never spins, is busy while the system
            // receives.
            let busy = if self.spins { busy } else { busy.max(processor_time.min(measured)) };
            self.usage = Some(GeneratorUsage {
                measured,
                processor_time,
                busy,
                stalled: self.stalled.saturating_sub(begin.stalled),
                dropped: None,
            });
        }
        begins
    }

    /// Adds time in which nothing was done.
    pub(super) fn add_idle(&mut self, idle: Duration) {
        self.idle += idle;
    }

    /// Adds time in which a full ledger kept the thread from sending.
    pub(super) fn add_stalled(&mut self, stalled: Duration) {
        self.stalled += stalled;
    }

    /// Returns the usage; nothing, if the run ended before the warm-up did.
    pub(super) fn usage(&self) -> GeneratorUsage {
        self.usage.unwrap_or_default()
    }
}

use std::time::Duration;

use super::event::GeneratorUsage;
use crate::sys;

/// Watches what a thread of ours takes, from the end of the warm-up until no more requests are due.
#[derive(Debug, Default)]
pub(super) struct UsageMeter {
    /// Whether the processor's time is also spent in asking in vain.
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

    /// Looks at the time, and whether it is over that requests are due; tells whether the warm-up
    /// has just ended.
    pub(super) fn update(&mut self, now: Duration, zero: Duration, over: Option<Duration>) -> bool {
        let begins = self.begin.is_none() && now >= zero;
        if begins {
            let Self { idle, stalled, .. } = *self;
            self.begin = Some(Baseline { processor_time: processor_time(), idle, stalled });
        }
        if let (Some(begin), Some(over), None) = (&self.begin, over, self.usage) {
            let measured = over.saturating_sub(zero);
            let processor_time = processor_time().saturating_sub(begin.processor_time);
            let busy = measured.saturating_sub(self.idle.saturating_sub(begin.idle));
            // Who waits in a receive call, and never spins, is busy where the system receives.
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

    /// Notes that nothing was done for so long.
    pub(super) fn add_idle(&mut self, idle: Duration) {
        self.idle += idle;
    }

    /// Notes that a full ledger kept us from sending for so long.
    pub(super) fn add_stalled(&mut self, stalled: Duration) {
        self.stalled += stalled;
    }

    /// Returns what it took; nothing, if it ended before the warm-up did.
    pub(super) fn usage(&self) -> GeneratorUsage {
        self.usage.unwrap_or_default()
    }
}

/// Returns the processor time of this thread, the kernel's on its behalf included
/// (CLOCK_THREAD_CPUTIME_ID, clock_gettime(2)).
fn processor_time() -> Duration {
    sys::thread_time()
}

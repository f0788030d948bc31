use std::time::Duration;

use rustix::time::ClockId;

use super::Effort;
use crate::clock;

/// Watches what a thread of ours takes, from the end of the warm-up until no more requests are due.
#[derive(Debug, Default)]
pub(super) struct Watch {
    begin: Option<Begin>,
    idle: Duration,
    effort: Option<Effort>,
}

#[derive(Debug)]
struct Begin {
    processor_time: Duration,
    idle: Duration,
}

impl Watch {
    /// Looks at the time, and whether it is over that requests are due.
    pub(super) fn look(&mut self, now: Duration, zero: Duration, over: Option<Duration>) {
        if self.begin.is_none() && now >= zero {
            self.begin = Some(Begin { processor_time: processor_time(), idle: self.idle });
        }
        if let (Some(begin), Some(over), None) = (&self.begin, over, self.effort) {
            let span = over.saturating_sub(zero);
            self.effort = Some(Effort {
                span,
                processor_time: processor_time().saturating_sub(begin.processor_time),
                busy: span.saturating_sub(self.idle.saturating_sub(begin.idle)),
                dropped: None,
            });
        }
    }

    /// Notes that nothing was done for so long.
    pub(super) fn add_idle(&mut self, idle: Duration) {
        self.idle += idle;
    }

    /// Returns what it took; nothing, if it ended before the warm-up did.
    pub(super) fn effort(&self) -> Effort {
        self.effort.unwrap_or_default()
    }
}

/// Returns the processor time of this thread, the kernel's on its behalf included
/// (CLOCK_THREAD_CPUTIME_ID, clock_gettime(2)).
fn processor_time() -> Duration {
    clock::read(ClockId::ThreadCPUTime)
}

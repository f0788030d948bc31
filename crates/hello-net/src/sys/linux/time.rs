use std::marker::PhantomData;
use std::num::NonZeroU64;
use std::time::Duration;

use rustix::time::{ClockId, Timespec};

/// Sleeps until [`monotonic`](super::super::posix::monotonic) is `deadline`, or a signal arrives.
pub(crate) fn sleep_until(deadline: Duration) {
    if let Ok(deadline) = Timespec::try_from(deadline) {
        let _ = rustix::thread::clock_nanosleep_absolute(ClockId::Monotonic, &deadline);
    }
}

/// Makes the system wake the calling thread on time, and not up to 50 microseconds later to save a
/// wake-up (PR_SET_TIMERSLACK, prctl(2)), until the returned value is dropped.
#[must_use]
pub(crate) fn set_timer_slack() -> TimerSlack {
    let before = rustix::thread::current_timer_slack().ok().and_then(NonZeroU64::new);
    let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
    TimerSlack { before, _this_thread: PhantomData }
}

/// Keeps its thread's timer slack at the minimum until it is dropped.
#[derive(Debug)]
pub(crate) struct TimerSlack {
    /// The timer slack before, in nanoseconds.
    before: Option<NonZeroU64>,
    /// It stays on its thread.
    _this_thread: PhantomData<*const ()>,
}

impl Drop for TimerSlack {
    fn drop(&mut self) {
        let _ = rustix::thread::set_current_timer_slack(self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timer_slack_is_restored() {
        let slack = || rustix::thread::current_timer_slack().expect("Linux has it");
        rustix::thread::set_current_timer_slack(NonZeroU64::new(70_000)).expect("possible");
        let smallest = set_timer_slack();
        assert_eq!(slack(), 1);
        drop(smallest);
        assert_eq!(slack(), 70_000);
    }
}

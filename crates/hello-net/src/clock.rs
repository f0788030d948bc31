//! The time, as probes are measured by it.

use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Returns the time on a clock that never jumps (CLOCK_MONOTONIC, clock_gettime(2)).
pub(crate) fn now() -> Duration {
    read(ClockId::Monotonic)
}

/// One moment on two clocks, to take times from one to the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) now: Duration,
    /// Since 1970 (UTC).
    wall: Duration,
}

impl Moment {
    pub(crate) fn now() -> Self {
        Self { wall: read(ClockId::Realtime), now: now() }
    }

    /// Returns when something was on [`now`]'s clock that was at `wall` on the other, a moment ago.
    pub(crate) fn of(self, wall: Duration) -> Duration {
        self.now.saturating_sub(self.wall.saturating_sub(wall))
    }
}

/// Sleeps until [`now`] is `deadline`, or a signal comes.
pub(crate) fn sleep_until(deadline: Duration) {
    #[cfg(target_os = "linux")]
    if let Ok(deadline) = Timespec::try_from(deadline) {
        let _ = rustix::thread::clock_nanosleep_absolute(ClockId::Monotonic, &deadline);
    }
    #[cfg(not(target_os = "linux"))]
    std::thread::sleep(deadline.saturating_sub(now()));
}

/// Has the calling thread woken when it asked for it, and not up to 50 microseconds later, which
/// saves the system a wakeup now and then (PR_SET_TIMERSLACK, prctl(2)).
pub(crate) fn be_punctual() {
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
}

fn read(clock: ClockId) -> Duration {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(clock);
    // Neither is ever negative on a clock that is set to our times.
    Duration::new(tv_sec.try_into().unwrap_or(0), tv_nsec.try_into().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_on_one_clock_is_as_long_ago_on_the_other() {
        let second = Duration::from_secs(1);
        let moment = Moment { now: 100 * second, wall: 5000 * second };
        assert_eq!(moment.of(4998 * second), 98 * second);
        assert_eq!(moment.of(5001 * second), 100 * second, "nothing comes from the future");
        assert_eq!(moment.of(Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn a_sleep_does_not_end_before_its_time() {
        for _ in 0..3 {
            let deadline = now() + Duration::from_millis(5);
            while now() < deadline {
                sleep_until(deadline);
            }
            assert!(now() >= deadline);
        }
    }
}

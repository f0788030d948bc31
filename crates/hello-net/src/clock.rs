//! The time, as probes are measured by it.

use std::marker::PhantomData;
use std::num::NonZeroU64;
use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Returns the time on a clock that never jumps (CLOCK_MONOTONIC, clock_gettime(2)).
pub(crate) fn now() -> Duration {
    read(ClockId::Monotonic)
}

/// Takes times of the system's clock (CLOCK_REALTIME) to [`now`]'s. The former may be set at any
/// moment, and is when the machine wakes up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clocks {
    last: Option<Moment>,
    /// Until when a time may be one from before the clock was set.
    doubtful: Duration,
}

/// One moment on two clocks, to take times from one to the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) now: Duration,
    /// Since 1970 (UTC).
    wall: Duration,
}

impl Clocks {
    /// Looks whether the clock was set since the last call; the oftener, the smaller a step is
    /// seen.
    pub(crate) fn look(&mut self, moment: Moment) {
        if self.last.replace(moment).is_some_and(|last| moment.is_set_since(last)) {
            self.doubtful = moment.now + SETTLED;
        }
    }

    /// Returns when something was on [`now`]'s clock that was at `wall` on the other, a moment
    /// before the one last looked at; that one, if it cannot be told.
    pub(crate) fn of(&self, wall: Option<Duration>) -> Duration {
        match (self.last, wall) {
            (Some(moment), Some(wall)) if moment.now >= self.doubtful => moment.of(wall),
            (Some(moment), _) => moment.now,
            (None, _) => now(),
        }
    }
}

impl Moment {
    /// Reads one clock between two readings of the other, and again if that took long: held up in
    /// between, we would take what was received for as much later.
    pub(crate) fn now() -> Self {
        let reading = || {
            let (before, wall, now) = (now(), read(ClockId::Realtime), now());
            (now.saturating_sub(before), Self { now, wall })
        };
        let mut best = reading();
        for _ in 1..READINGS {
            if best.0 <= QUICK {
                break;
            }
            let next = reading();
            best = if next.0 < best.0 { next } else { best };
        }
        best.1
    }

    fn of(self, wall: Duration) -> Duration {
        self.now.saturating_sub(self.wall.saturating_sub(wall))
    }

    /// Tells whether one clock was set, and not only made faster or slower by the other, which is
    /// less than a thousandth (adjtimex(2)).
    fn is_set_since(self, earlier: Self) -> bool {
        let ahead =
            |moment: Self| moment.wall.as_nanos().wrapping_sub(moment.now.as_nanos()) as i128;
        let passed = self.now.saturating_sub(earlier.now);
        let apart = ahead(self).abs_diff(ahead(earlier));
        apart > (TOLERANCE + passed / 1000).as_nanos()
    }
}

/// How long after the clock was set its times are not believed: what was received before that has
/// been read by then.
const SETTLED: Duration = Duration::from_secs(1);

/// By how much the clocks may seem to differ though nobody set them.
const TOLERANCE: Duration = Duration::from_micros(500);

/// What reading the clocks takes if nothing comes in between.
const QUICK: Duration = Duration::from_micros(2);

/// How often the clocks are read at the most.
const READINGS: usize = 4;

/// Sleeps until [`now`] is `deadline`, or a signal comes.
pub(crate) fn sleep_until(deadline: Duration) {
    #[cfg(target_os = "linux")]
    if let Ok(deadline) = Timespec::try_from(deadline) {
        let _ = rustix::thread::clock_nanosleep_absolute(ClockId::Monotonic, &deadline);
    }
    #[cfg(not(target_os = "linux"))]
    std::thread::sleep(deadline.saturating_sub(now()));
}

/// Makes the system wake the calling thread when it asked for it, and not up to 50 microseconds
/// later, which saves the system a wakeup now and then (PR_SET_TIMERSLACK, prctl(2)); until the
/// returned value is dropped, on the same thread.
#[must_use]
pub(crate) fn be_punctual() -> Punctual {
    #[cfg(target_os = "linux")]
    {
        let before = rustix::thread::current_timer_slack().ok().and_then(NonZeroU64::new);
        let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
        Punctual { before, _this_thread: PhantomData }
    }
    #[cfg(not(target_os = "linux"))]
    Punctual { before: None, _this_thread: PhantomData }
}

/// While this lives, its thread is woken punctually.
#[derive(Debug)]
pub(crate) struct Punctual {
    /// The timer slack before, in nanoseconds.
    before: Option<NonZeroU64>,
    /// It stays on its thread.
    _this_thread: PhantomData<*const ()>,
}

impl Drop for Punctual {
    fn drop(&mut self) {
        #[cfg(target_os = "linux")]
        let _ = rustix::thread::set_current_timer_slack(self.before);
        #[cfg(not(target_os = "linux"))]
        let _ = self.before;
    }
}

pub(crate) fn read(clock: ClockId) -> Duration {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(clock);
    // Neither is ever negative on a clock that is set to our times.
    Duration::new(tv_sec.try_into().unwrap_or(0), tv_nsec.try_into().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(now_millis: u64, wall_millis: u64) -> Moment {
        let [now, wall] = [now_millis, wall_millis].map(Duration::from_millis);
        Moment { now, wall }
    }

    #[test]
    fn times_from_before_the_clock_was_set_are_not_taken_for_those_after_it() {
        let millis = Duration::from_millis;
        // Received at 1050 and at 5050 ms on one clock and the other.
        let received = Some(millis(5050));
        for (wall, step) in [(5100, false), (5101, true), (5099, true), (9000, true), (0, true)] {
            let mut clocks = Clocks::default();
            clocks.look(moment(1000, 5000));
            clocks.look(moment(1100, wall));
            assert_eq!(clocks.of(None), millis(1100));
            assert_eq!(clocks.of(received), millis(if step { 1100 } else { 1050 }), "{wall}");
            // What is in the socket still may be read later, and after that all is as before.
            clocks.look(moment(1200, wall + 100));
            assert_eq!(clocks.of(received) == millis(1200), step || wall + 100 < 5050, "{wall}");
            clocks.look(moment(2200, wall + 1100));
            assert_eq!(clocks.of(Some(millis(wall + 1000))), millis(2100), "{wall}");
        }
    }

    #[test]
    fn a_clock_that_is_made_faster_is_not_one_that_is_set() {
        let mut clocks = Clocks::default();
        for tick in 0..100 {
            let faster = Duration::from_micros(50 * tick);
            let Moment { now, wall } = moment(100 * tick, 5000 + 100 * tick);
            clocks.look(Moment { now, wall: wall + faster });
            let ago = Duration::from_millis(1).min(now);
            assert_eq!(clocks.of(Some(wall + faster - ago)), now - ago);
        }
    }

    #[test]
    fn a_time_on_one_clock_is_as_long_ago_on_the_other() {
        let second = Duration::from_secs(1);
        let moment = Moment { now: 100 * second, wall: 5000 * second };
        assert_eq!(moment.of(4998 * second), 98 * second);
        assert_eq!(moment.of(5001 * second), 100 * second, "nothing comes from the future");
        assert_eq!(moment.of(Duration::ZERO), Duration::ZERO);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_callers_timer_slack_is_its_own_again() {
        let slack = || rustix::thread::current_timer_slack().expect("Linux has it");
        rustix::thread::set_current_timer_slack(NonZeroU64::new(70_000)).expect("possible");
        let punctual = be_punctual();
        assert_eq!(slack(), 1);
        drop(punctual);
        assert_eq!(slack(), 70_000);
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

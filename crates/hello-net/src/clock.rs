//! The time, as probes are measured by it.

use std::time::Duration;

use crate::sys::{monotonic, realtime};

/// Maps the system's timestamps (CLOCK_REALTIME) to the monotonic clock. The former may be set at
/// any moment, and is set when the machine wakes up.
#[derive(Clone, Debug, Default)]
pub(crate) struct TimestampMapper {
    last: Option<ClockSample>,
    /// Until when a timestamp may be from before the clock was set.
    distrusted_until: Duration,
}

/// One reading of both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClockSample {
    pub(crate) now: Duration,
    /// Since 1970 (UTC).
    wall: Duration,
}

impl TimestampMapper {
    /// Checks whether the clock was set since the last call. The more frequent the calls, the
    /// smaller the steps that are detected.
    pub(crate) fn update(&mut self, sample: ClockSample) {
        if self.last.replace(sample).is_some_and(|last| sample.is_set_since(last)) {
            self.distrusted_until = sample.now + SETTLED;
        }
    }

    /// Returns when something happened on the monotonic clock that happened at `wall` on the other,
    /// before the latest sample. Returns the time of that sample if this is unknown.
    pub(crate) fn to_monotonic(&self, wall: Option<Duration>) -> Duration {
        let known = wall.and_then(|wall| self.known(wall));
        known.unwrap_or_else(|| self.last.map_or_else(monotonic, |sample| sample.now))
    }

    /// Returns the same, or `None` if it is unknown.
    pub(crate) fn known(&self, wall: Duration) -> Option<Duration> {
        let sample = self.last.filter(|sample| sample.now >= self.distrusted_until)?;
        Some(sample.to_monotonic(wall))
    }
}

impl ClockSample {
    /// Reads one clock between two readings of the other, and repeats that if it took long. If the
    /// thread was held up in between, everything received would seem that much later.
    pub(crate) fn now() -> Self {
        let reading = || {
            let (before, wall, now) = (monotonic(), realtime(), monotonic());
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

    fn to_monotonic(self, wall: Duration) -> Duration {
        self.now.saturating_sub(self.wall.saturating_sub(wall))
    }

    /// Returns whether one clock was set, and not just slewed against the other, which is by less
    /// than a thousandth (adjtimex(2)).
    fn is_set_since(self, earlier: Self) -> bool {
        let ahead =
            |sample: Self| sample.wall.as_nanos().wrapping_sub(sample.now.as_nanos()) as i128;
        let passed = self.now.saturating_sub(earlier.now);
        let apart = ahead(self).abs_diff(ahead(earlier));
        apart > (TOLERANCE + passed / 1000).as_nanos()
    }
}

/// Makes a duration, which saturates at what 64 bits count: 584 years.
pub(crate) fn from_nanos(nanos: u128) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// The time for which the clock is distrusted after it was set. By then, everything received before
/// is read.
const SETTLED: Duration = Duration::from_secs(1);

/// The most that the clocks may seem to drift apart although neither was set.
const TOLERANCE: Duration = Duration::from_micros(500);

/// The longest time that a reading takes if nothing interrupts it.
const QUICK: Duration = Duration::from_micros(2);

/// The most readings per sample.
const READINGS: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(now_millis: u64, wall_millis: u64) -> ClockSample {
        let [now, wall] = [now_millis, wall_millis].map(Duration::from_millis);
        ClockSample { now, wall }
    }

    #[test]
    fn timestamps_from_before_the_clock_was_set_are_distrusted() {
        let millis = Duration::from_millis;
        // Received at 1050 ms on one clock, and at 5050 ms on the other.
        let received = Some(millis(5050));
        for (wall, step) in [(5100, false), (5101, true), (5099, true), (9000, true), (0, true)] {
            let mut timestamps = TimestampMapper::default();
            timestamps.update(moment(1000, 5000));
            timestamps.update(moment(1100, wall));
            assert_eq!(timestamps.to_monotonic(None), millis(1100));
            assert_eq!(
                timestamps.to_monotonic(received),
                millis(if step { 1100 } else { 1050 }),
                "{wall}"
            );
            // What is still in the socket may be read later. After that, all is as before.
            timestamps.update(moment(1200, wall + 100));
            assert_eq!(
                timestamps.to_monotonic(received) == millis(1200),
                step || wall + 100 < 5050,
                "{wall}"
            );
            timestamps.update(moment(2200, wall + 1100));
            assert_eq!(timestamps.to_monotonic(Some(millis(wall + 1000))), millis(2100), "{wall}");
        }
    }

    #[test]
    fn slewed_clock_is_not_taken_for_one_that_was_set() {
        let mut timestamps = TimestampMapper::default();
        for tick in 0..100 {
            let faster = Duration::from_micros(50 * tick);
            let ClockSample { now, wall } = moment(100 * tick, 5000 + 100 * tick);
            timestamps.update(ClockSample { now, wall: wall + faster });
            let ago = Duration::from_millis(1).min(now);
            assert_eq!(timestamps.to_monotonic(Some(wall + faster - ago)), now - ago);
        }
    }

    #[test]
    fn time_on_one_clock_is_as_long_ago_on_the_other() {
        let second = Duration::from_secs(1);
        let sample = ClockSample { now: 100 * second, wall: 5000 * second };
        assert_eq!(sample.to_monotonic(4998 * second), 98 * second);
        assert_eq!(
            sample.to_monotonic(5001 * second),
            100 * second,
            "nothing comes from the future"
        );
        assert_eq!(sample.to_monotonic(Duration::ZERO), Duration::ZERO);
    }
}

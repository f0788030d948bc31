//! Times in captures.

use std::time::Duration;

/// The unit of an interface's times, and their origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Resolution {
    /// Units per second.
    per_second: u64,
    /// Seconds from 1970 to the origin.
    offset: i64,
}

impl Resolution {
    pub(super) const MICROSECONDS: Self = Self { per_second: 1_000_000, offset: 0 };
    pub(super) const NANOSECONDS: Self = Self { per_second: 1_000_000_000, offset: 0 };

    /// Reads the options if_tsresol, a negative power of 10, or of 2 if its highest bit is set, and
    /// if_tsoffset. Returns `None` if the unit is shorter than a number of 64 bits can say.
    pub(super) fn new(tsresol: u8, offset: i64) -> Option<Self> {
        let exponent = u32::from(tsresol & 0x7f);
        let base: u64 = if tsresol & 0x80 == 0 { 10 } else { 2 };
        Some(Self { per_second: base.checked_pow(exponent)?, offset })
    }

    /// Returns the time since 1970 of the two halves of a number of units.
    pub(super) fn join(self, high: u32, low: u32) -> Duration {
        let units = u64::from(high) << u32::BITS | u64::from(low);
        self.time(units / self.per_second, units % self.per_second)
    }

    /// Returns the time since 1970 of seconds and a number of units.
    pub(super) fn split(self, seconds: u32, units: u32) -> Duration {
        self.time(seconds.into(), units.into())
    }

    fn time(self, seconds: u64, units: u64) -> Duration {
        let seconds = seconds.saturating_add_signed(self.offset);
        let nanos = u128::from(units) * 1_000_000_000 / u128::from(self.per_second);
        let nanos = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        Duration::from_secs(seconds).saturating_add(nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_any_unit_and_origin() {
        let whole = |resolution: Resolution, units: u64| {
            let [high, low] = [units >> 32, units & 0xffff_ffff].map(TryInto::try_into);
            resolution.join(high.expect("half"), low.expect("half"))
        };
        for (tsresol, offset, units, nanos) in [
            (6, 0, 1_500_000, 1_500_000_000),
            (9, 0, 1_500_000_000, 1_500_000_000),
            (0, 0, 7, 7_000_000_000),
            (0x8a, 0, 1536, 1_500_000_000),
            (9, 2, 5, 2_000_000_005),
            (9, -2, 3_000_000_001, 1_000_000_001),
            (9, -9, 1, 1),
        ] {
            let resolution = Resolution::new(tsresol, offset).expect("possible");
            assert_eq!(whole(resolution, units), Duration::from_nanos(nanos), "{tsresol} {offset}");
        }
        assert_eq!(Resolution::new(20, 0), None);
        assert_eq!(Resolution::new(0xc0, 0), None);
        assert_eq!(Resolution::MICROSECONDS.split(1, 5), Duration::from_micros(1_000_005));
    }

    #[test]
    fn extreme_times_do_not_overflow() {
        for offset in [i64::MIN, 0, i64::MAX] {
            for tsresol in [0, 6, 19, 0xbf] {
                let resolution = Resolution::new(tsresol, offset).expect("possible");
                assert!(resolution.join(u32::MAX, u32::MAX) <= Duration::MAX);
                assert!(resolution.split(u32::MAX, u32::MAX) <= Duration::MAX);
            }
        }
    }
}

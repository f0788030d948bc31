//! Periodic times that do not drift.

use std::time::{Duration, Instant};

/// Returns the first time after `now` that is a whole number of periods after `at`; `None` if the
/// clock cannot represent it.
pub fn next_tick(at: Instant, period: Duration, now: Instant) -> Option<Instant> {
    let (over, period) = (now.saturating_duration_since(at).as_nanos(), period.as_nanos());
    let step = u64::try_from((over / period + 1) * period).ok().map(Duration::from_nanos);
    at.checked_add(step?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn next_tick_is_a_whole_number_of_periods_ahead() {
        let at = Instant::now();
        for (period, late, next_due) in [
            (SECOND, Duration::ZERO, SECOND),
            (SECOND, Duration::from_millis(999), SECOND),
            (SECOND, SECOND, 2 * SECOND),
            (3 * SECOND, 7 * SECOND, 9 * SECOND),
            // A loop over every period would take hours.
            (Duration::from_nanos(2), 86_400 * SECOND, 86_400 * SECOND + Duration::from_nanos(2)),
        ] {
            assert_eq!(
                next_tick(at, period, at + late),
                Some(at + next_due),
                "{period:?} {late:?}"
            );
        }
        assert_eq!(next_tick(at, Duration::MAX, at), None);
    }
}

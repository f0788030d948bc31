//! How round-trip times went on over a run.

use std::time::Duration;

/// How round-trip times went on over a run of any length, in constant memory.
///
/// The run is cut into up to [`PERIODS`](Self::PERIODS) periods of equal length. Each keeps the
/// shortest and the longest round-trip time and the number of the lost, so no outlier and no loss
/// is ever dropped. When a run outgrows them, every two become one. An answer stands where it was
/// received, and a loss where it was given up, a timeout after the request was sent.
#[derive(Clone, Debug)]
pub struct Course {
    length: Duration,
    periods: Vec<Period>,
}

/// What happened in a part of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Period {
    /// The shortest and the longest round-trip time of the answers received.
    pub rtts: Option<(Duration, Duration)>,
    /// Requests given up.
    pub lost: u64,
}

impl Course {
    /// How many periods there may be.
    pub const PERIODS: usize = 1024;

    /// Starts with periods of a millisecond.
    pub fn new() -> Self {
        Self { length: Duration::from_millis(1), periods: Vec::with_capacity(Self::PERIODS) }
    }

    /// Adds an answer that was received at `at`.
    pub fn answered(&mut self, at: Duration, rtt: Duration) {
        self.period(at).join(Period { rtts: Some((rtt, rtt)), lost: 0 });
    }

    /// Adds a loss: at `at`, it was given up.
    pub fn lost(&mut self, at: Duration) {
        self.period(at).lost += 1;
    }

    /// Adds what another one has, in periods as long as the longer ones of both.
    pub fn merge(&mut self, other: &Self) {
        while self.length < other.length {
            self.halve();
        }
        for (at, period) in other.periods() {
            self.period(at).join(period);
        }
    }

    /// Yields the periods in which anything happened, with the time in the middle of each.
    pub fn periods(&self) -> impl Iterator<Item = (Duration, Period)> + '_ {
        let middle = |index: u32| self.length * index + self.length / 2;
        let all = (0..).zip(&self.periods).map(move |(index, period)| (middle(index), *period));
        all.filter(|(_, period)| *period != Period::default())
    }

    fn period(&mut self, at: Duration) -> &mut Period {
        let index = loop {
            match usize::try_from(at.as_nanos() / self.length.as_nanos()) {
                Ok(index) if index < Self::PERIODS => break index,
                _ => self.halve(),
            }
        };
        if self.periods.len() <= index {
            self.periods.resize(index + 1, Period::default());
        }
        &mut self.periods[index]
    }

    fn halve(&mut self) {
        let half = self.periods.len().div_ceil(2);
        for index in 0..half {
            let mut joined = self.periods[2 * index];
            joined.join(self.periods.get(2 * index + 1).copied().unwrap_or_default());
            self.periods[index] = joined;
        }
        self.periods.truncate(half);
        self.length *= 2;
    }
}

impl Default for Course {
    fn default() -> Self {
        Self::new()
    }
}

impl Period {
    fn join(&mut self, other: Self) {
        let extremes = self.rtts.into_iter().chain(other.rtts);
        self.rtts = extremes.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        self.lost += other.lost;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_short_run_keeps_every_reply_at_its_time() {
        let mut course = Course::new();
        for second in 0..100 {
            course.answered(Duration::from_secs(second), Duration::from_micros(second));
        }
        assert_eq!(course.periods().count(), 100);
        for (second, (at, period)) in (0..).zip(course.periods()) {
            assert!(at.abs_diff(Duration::from_secs(second)) <= course.length, "{at:?}");
            let rtt = Duration::from_micros(second);
            assert_eq!(period, Period { rtts: Some((rtt, rtt)), lost: 0 });
        }
    }

    proptest! {
        #[test]
        fn however_long_it_goes_on_no_loss_and_no_outlier_is_dropped(
            events in prop::collection::vec((0..1_000_000_000_u64, prop::option::of(0..9999_u64)), 1..99),
        ) {
            let mut course = Course::new();
            for (millis, micros) in &events {
                let at = Duration::from_millis(*millis);
                match micros {
                    Some(micros) => course.answered(at, Duration::from_micros(*micros)),
                    None => course.lost(at),
                }
            }
            prop_assert!(course.periods.len() <= Course::PERIODS);
            prop_assert_eq!(course.periods.capacity(), Course::PERIODS);
            let losses = events.iter().filter(|(_, micros)| micros.is_none()).count() as u64;
            prop_assert_eq!(course.periods().map(|(_, period)| period.lost).sum::<u64>(), losses);
            let rtts = events.iter().filter_map(|(_, micros)| micros.map(Duration::from_micros));
            let (min, max) = (rtts.clone().min(), rtts.max());
            let kept = Vec::from_iter(course.periods().filter_map(|(_, period)| period.rtts));
            prop_assert_eq!(kept.iter().map(|rtts| rtts.0).min(), min);
            prop_assert_eq!(kept.iter().map(|rtts| rtts.1).max(), max);
        }
    }
}

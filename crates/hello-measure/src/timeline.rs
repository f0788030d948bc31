use std::time::Duration;

/// Round-trip times and losses over a run of any length, in constant memory.
///
/// A run has at most [`BINS`](Self::BINS) bins of equal length. When it outgrows them, pairs of
/// bins are merged. Each bin keeps the minimum, the maximum and the number of losses, so outliers
/// and losses are never dropped. An answer is recorded at its reply, and a loss at its timeout.
///
/// ```
/// use std::time::Duration;
/// use hello_measure::Timeline;
///
/// let mut timeline = Timeline::new();
/// timeline.answered(Duration::from_secs(1), Duration::from_millis(20));
/// timeline.lost(Duration::from_secs(3600));
/// assert_eq!(timeline.bins().map(|(_, bin)| bin.lost).collect::<Vec<_>>(), [0, 1]);
/// ```
#[derive(Clone, Debug)]
pub struct Timeline {
    length: Duration,
    bins: Vec<TimeBin>,
}

/// A bin of a [`Timeline`].
///
/// ```
/// use std::time::Duration;
/// use hello_measure::{TimeBin, Timeline};
///
/// let (mut timeline, rtt) = (Timeline::new(), Duration::from_millis(20));
/// timeline.answered(Duration::ZERO, rtt);
/// let bin = TimeBin { rtts: Some((rtt, rtt)), lost: 0 };
/// assert_eq!(timeline.bins().map(|(_, bin)| bin).collect::<Vec<_>>(), [bin]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeBin {
    /// The minimum and the maximum of the round-trip times, if there was an answer.
    pub rtts: Option<(Duration, Duration)>,
    /// Requests lost.
    pub lost: u64,
}

impl Timeline {
    /// The largest number of bins.
    pub const BINS: usize = 1024;

    /// Creates an empty timeline with bins of a millisecond.
    pub fn new() -> Self {
        Self { length: Duration::from_millis(1), bins: Vec::with_capacity(Self::BINS) }
    }

    /// Records an answer that arrived at `at`.
    pub fn answered(&mut self, at: Duration, rtt: Duration) {
        self.bin(at).merge(TimeBin { rtts: Some((rtt, rtt)), lost: 0 });
    }

    /// Records a loss whose timeout expired at `at`.
    pub fn lost(&mut self, at: Duration) {
        self.bin(at).lost += 1;
    }

    /// Adds another timeline, in bins as long as the longer ones of both.
    pub fn merge(&mut self, other: &Self) {
        while self.length < other.length {
            self.coarsen();
        }
        for (at, bin) in other.bins() {
            self.bin(at).merge(bin);
        }
    }

    /// Yields the bins that are not empty, each with the time of its middle.
    pub fn bins(&self) -> impl Iterator<Item = (Duration, TimeBin)> + '_ {
        let middle = |index: u32| self.length * index + self.length / 2;
        let all = (0..).zip(&self.bins).map(move |(index, bin)| (middle(index), *bin));
        all.filter(|(_, bin)| *bin != TimeBin::default())
    }

    fn bin(&mut self, at: Duration) -> &mut TimeBin {
        let index = loop {
            match usize::try_from(at.as_nanos() / self.length.as_nanos()) {
                Ok(index) if index < Self::BINS => break index,
                _ => self.coarsen(),
            }
        };
        if self.bins.len() <= index {
            self.bins.resize(index + 1, TimeBin::default());
        }
        &mut self.bins[index]
    }

    fn coarsen(&mut self) {
        let half = self.bins.len().div_ceil(2);
        for index in 0..half {
            let mut joined = self.bins[2 * index];
            joined.merge(self.bins.get(2 * index + 1).copied().unwrap_or_default());
            self.bins[index] = joined;
        }
        self.bins.truncate(half);
        self.length *= 2;
    }
}

impl Default for Timeline {
    fn default() -> Self {
        Self::new()
    }
}

impl TimeBin {
    fn merge(&mut self, other: Self) {
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
    fn short_run_keeps_every_reply_at_its_time() {
        let mut timeline = Timeline::new();
        for second in 0..100 {
            timeline.answered(Duration::from_secs(second), Duration::from_micros(second));
        }
        assert_eq!(timeline.bins().count(), 100);
        for (second, (at, bin)) in (0..).zip(timeline.bins()) {
            assert!(at.abs_diff(Duration::from_secs(second)) <= timeline.length, "{at:?}");
            let rtt = Duration::from_micros(second);
            assert_eq!(bin, TimeBin { rtts: Some((rtt, rtt)), lost: 0 });
        }
    }

    proptest! {
        #![proptest_config(crate::proptest_config())]

        #[test]
        fn long_run_drops_no_loss_and_no_outlier(
            events in prop::collection::vec((0..1_000_000_000_u64, prop::option::of(0..9999_u64)), 1..99),
        ) {
            let mut timeline = Timeline::new();
            for (millis, micros) in &events {
                let at = Duration::from_millis(*millis);
                match micros {
                    Some(micros) => timeline.answered(at, Duration::from_micros(*micros)),
                    None => timeline.lost(at),
                }
            }
            prop_assert!(timeline.bins.len() <= Timeline::BINS);
            prop_assert_eq!(timeline.bins.capacity(), Timeline::BINS);
            let losses = events.iter().filter(|(_, micros)| micros.is_none()).count() as u64;
            prop_assert_eq!(timeline.bins().map(|(_, bin)| bin.lost).sum::<u64>(), losses);
            let rtts = events.iter().filter_map(|(_, micros)| micros.map(Duration::from_micros));
            let (min, max) = (rtts.clone().min(), rtts.max());
            let kept = Vec::from_iter(timeline.bins().filter_map(|(_, bin)| bin.rtts));
            prop_assert_eq!(kept.iter().map(|rtts| rtts.0).min(), min);
            prop_assert_eq!(kept.iter().map(|rtts| rtts.1).max(), max);
        }
    }
}

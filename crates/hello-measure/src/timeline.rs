use std::time::Duration;

use super::summary::share;
use crate::nanos::nanos_of;

/// What became of the requests of a run of any length, in constant memory.
///
/// A run has at most [`BINS`](Self::BINS) bins of equal length. When it outgrows them, pairs of
/// bins are merged. Each bin keeps the extremes of its times and all counts, so outliers and losses
/// are never dropped. Everything is recorded at the time at which the request was sent, or due.
///
/// ```
/// use std::time::Duration;
/// use hello_measure::Timeline;
///
/// let mut timeline = Timeline::new();
/// timeline.answered(Duration::from_secs(1), Duration::from_millis(20));
/// timeline.lost(Duration::from_secs(3600));
/// let loss: Vec<_> = timeline.bins().map(|(_, bin)| bin.loss()).collect();
/// assert_eq!(loss, [Some(0.0), Some(1.0)]);
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
/// let bin = TimeBin { answered: 1, rtts: Some((rtt, rtt)), ..TimeBin::default() };
/// assert_eq!(timeline.bins().map(|(_, bin)| bin).collect::<Vec<_>>(), [bin]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TimeBin {
    /// Requests answered.
    pub answered: u64,
    /// The minimum and the maximum of their round-trip times, if there was an answer.
    pub rtts: Option<(Duration, Duration)>,
    /// Requests lost.
    pub lost: u64,
    /// The minimum and the maximum of the round-trip times of late replies to these, if there was
    /// one.
    pub late: Option<(Duration, Duration)>,
    /// Requests that were due but not sent.
    pub not_sent: u64,
}

impl Timeline {
    /// The largest number of bins.
    pub const BINS: usize = 1024;

    /// Creates an empty timeline with bins of a millisecond.
    pub fn new() -> Self {
        Self { length: Duration::from_millis(1), bins: Vec::with_capacity(Self::BINS) }
    }

    /// Records the answer to a request sent at `sent`.
    pub fn answered(&mut self, sent: Duration, rtt: Duration) {
        let bin = self.bin(sent);
        bin.answered += 1;
        bin.rtts = Some(bin.rtts.map_or((rtt, rtt), |(min, max)| (min.min(rtt), max.max(rtt))));
    }

    /// Records a late reply to a lost request sent at `sent`.
    pub fn late(&mut self, sent: Duration, rtt: Duration) {
        self.bin(sent).merge(TimeBin { late: Some((rtt, rtt)), ..TimeBin::default() });
    }

    /// Records the loss of a request sent at `sent`.
    pub fn lost(&mut self, sent: Duration) {
        self.bin(sent).lost += 1;
    }

    /// Records `count` requests that were due at `due`, but not sent.
    pub fn not_sent(&mut self, due: Duration, count: u64) {
        self.bin(due).not_sent += count;
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

    /// Returns the same timeline in longer bins, up to `most` of them. With more requests in each, its
    /// shares vary less.
    #[must_use]
    pub fn coarser(&self, most: usize) -> Self {
        let mut coarser = self.clone();
        while coarser.bins.len() > most.max(1) {
            coarser.coarsen();
        }
        coarser
    }

    /// Returns the length of a bin.
    pub fn bin_length(&self) -> Duration {
        self.length
    }

    /// Yields the bins that are not empty, each with the time at its start.
    pub fn bins(&self) -> impl Iterator<Item = (Duration, TimeBin)> + '_ {
        let all = (0..).zip(&self.bins);
        let all = all.map(|(index, bin): (u32, _)| (self.length * index, *bin));
        all.filter(|(_, bin)| *bin != TimeBin::default())
    }

    fn bin(&mut self, at: Duration) -> &mut TimeBin {
        let index = loop {
            match usize::try_from(nanos_of(at) / nanos_of(self.length)) {
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
    /// Returns the share of the answered or lost requests that were lost, from 0 to 1; `None` if
    /// there are none.
    pub fn loss(&self) -> Option<f64> {
        share(self.lost, self.answered + self.lost)
    }

    fn merge(&mut self, other: Self) {
        let extremes = |one: Option<(Duration, Duration)>, other| {
            let both = one.into_iter().chain(other);
            both.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
        };
        self.rtts = extremes(self.rtts, other.rtts);
        self.late = extremes(self.late, other.late);
        self.answered += other.answered;
        self.lost += other.lost;
        self.not_sent += other.not_sent;
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
            let expected = TimeBin { answered: 1, rtts: Some((rtt, rtt)), ..TimeBin::default() };
            assert_eq!(bin, expected);
        }
    }

    #[test]
    fn merged_bins_keep_every_count_and_the_extremes_of_late_replies() {
        let (mut timeline, second) = (Timeline::new(), Duration::from_secs(1));
        timeline.lost(Duration::ZERO);
        timeline.not_sent(Duration::ZERO, 3);
        [2, 4, 3].iter().for_each(|late| timeline.late(Duration::ZERO, *late * second));
        timeline.answered(Duration::ZERO, second);
        // Bins are now half a day long.
        timeline.lost(500 * 86_400 * second);
        let (late, rtts) = (Some((2 * second, 4 * second)), Some((second, second)));
        let first = TimeBin { answered: 1, rtts, lost: 1, late, not_sent: 3 };
        assert_eq!(timeline.bins().next().map(|(_, bin)| bin), Some(first));
        assert_eq!((first.loss(), TimeBin::default().loss()), (Some(0.5), None));
    }

    #[test]
    fn coarser_timeline_has_the_same_events_in_fewer_bins() {
        let mut timeline = Timeline::new();
        for millis in 0..1000 {
            let at = Duration::from_millis(millis);
            if millis % 4 == 0 { timeline.lost(at) } else { timeline.answered(at, at) }
        }
        let coarser = timeline.coarser(128);
        assert_eq!((coarser.bins().count(), coarser.bin_length().as_millis()), (125, 8));
        assert!(coarser.bins().all(|(_, bin)| bin.loss() == Some(0.25)));
        assert_eq!(timeline.coarser(0).bins().count(), 1);
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

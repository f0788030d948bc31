use std::time::Duration;

use super::timeline::{TimeBin, Timeline};

/// What changed in the course of a run, which its averages hide.
///
/// ```
/// use std::time::Duration;
/// use hello_measure::{Timeline, Trend};
///
/// let mut timeline = Timeline::new();
/// for due in (0..100).map(|number| Duration::from_millis(100) * number) {
///     match due.as_secs() {
///         0..4 => timeline.answered(due, Duration::from_millis(1)),
///         _ => timeline.lost(due),
///     }
/// }
/// let trend = Trend::new(&timeline, None, Duration::from_secs(10));
/// assert_eq!(trend.silent_after.map(|after| after.as_secs()), Some(3));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Trend {
    /// The time after which nothing was answered, if that is long before the end, and no queue grew until
    /// then.
    pub silent_after: Option<Duration>,
    /// The shortest latencies at the start, and at the end or at that of the answers, if a queue grew in
    /// between.
    pub rise: Option<(Duration, Duration)>,
    /// The total time for which lost requests held places of a closed loop, in seconds.
    pub held_s: f64,
}

impl Trend {
    /// Finds out what changed in a run in which requests were due for a time of `measured`. A lost
    /// request of a closed loop holds its place for `hold`.
    pub fn new(timeline: &Timeline, hold: Option<Duration>, measured: Duration) -> Self {
        let held = timeline.bins().map(|(at, bin)| {
            let held = measured.saturating_sub(at).min(hold.unwrap_or_default());
            bin.lost as f64 * held.as_secs_f64()
        });
        let silent = silent_after(timeline, hold, measured);
        let answering = silent.unwrap_or(measured);
        let rise = if hold.is_some() { None } else { rise(timeline, answering) };
        // A queue that grew until each request waits for longer than its timeout is no silence.
        let silent_after = silent.filter(|_| rise.is_none());
        let silent_after = silent_after.map(|after| rounded(after, timeline.bin_length()));
        Self { silent_after, rise, held_s: held.sum() }
    }
}

/// Returns the time after which nothing was answered. A closed loop whose places are all lost sends
/// nothing for a `pause`.
fn silent_after(
    timeline: &Timeline,
    pause: Option<Duration>,
    measured: Duration,
) -> Option<Duration> {
    let (last, _) = timeline.bins().filter(|(_, bin)| bin.answered > 0).last()?;
    let end = last + timeline.bin_length();
    let lost: u64 = timeline.bins().filter(|(at, _)| *at >= end).map(|(_, bin)| bin.lost).sum();
    let is_long = measured.saturating_sub(end) > (measured / 10).max(pause.unwrap_or_default());
    (is_long && lost >= MIN_LOST).then_some(end)
}

/// Rounds a time that is known to one bin to whole multiples of a power of ten of milliseconds.
fn rounded(time: Duration, bin: Duration) -> Duration {
    let mut step = 1;
    while step < bin.as_millis() {
        step *= 10;
    }
    let millis = (time.as_millis() + step / 2) / step * step;
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// Returns the shortest latencies in the first and in the last tenth, if the latter is longer by more
/// than 5 % of the whole: replies then arrived at 95 % of the rate of the requests, or less.
fn rise(timeline: &Timeline, measured: Duration) -> Option<(Duration, Duration)> {
    let (early, late) = (measured / 10, measured - measured / 10);
    let shortest = |is_in: &dyn Fn(Duration) -> bool| {
        let bins = Vec::from_iter(timeline.bins().filter(|(at, _)| is_in(*at)));
        let answered: u64 = bins.iter().map(|(_, bin)| bin.answered).sum();
        let times = bins.iter().filter_map(|(_, TimeBin { rtts, .. })| *rtts);
        times.map(|(shortest, _)| shortest).min().filter(|_| answered >= MIN_ANSWERED)
    };
    let (first, last) = (shortest(&|at| at < early)?, shortest(&|at| at >= late)?);
    let is_long = last.saturating_sub(first) > (measured / 20).max(MIN_RISE);
    is_long.then_some((first, last))
}

/// The fewest losses that mean silence, as of a server that answers nothing.
const MIN_LOST: u64 = 32;

/// The fewest answers whose shortest latency is that of the queue, and not of a pause.
const MIN_ANSWERED: u64 = 10;

/// The shortest rise that is not one of a timer.
const MIN_RISE: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Returns the trend of ten seconds with a request in each millisecond.
    fn trend(hold: Option<Duration>, latency: impl Fn(u32) -> Option<Duration>) -> Trend {
        let mut timeline = Timeline::new();
        for number in 0..10_000 {
            let due = Duration::from_millis(number.into());
            match latency(number) {
                Some(latency) => timeline.answered(due, latency),
                None => timeline.lost(due),
            }
        }
        Trend::new(&timeline, hold, 10 * SECOND)
    }

    #[test]
    #[cfg_attr(miri, ignore = "ten thousand requests for each trend")]
    fn silence_up_to_the_end_is_found() {
        let until =
            |end: u32| move |number: u32| (number < end).then_some(Duration::from_millis(1));
        assert_eq!(trend(None, until(4000)).silent_after, Some(4 * SECOND));
        assert!(trend(Some(SECOND), until(4000)).silent_after.is_some());
        assert_eq!(trend(None, until(9500)).silent_after, None, "too short");
        assert_eq!(trend(None, until(0)).silent_after, None, "nothing was ever answered");
        assert_eq!(trend(None, |number| until(4000)(number % 5000)).silent_after, None);
        let rare = |number: u32| (number.is_multiple_of(4)).then_some(SECOND);
        assert_eq!(trend(None, rare).silent_after, None);
        let mut few = Timeline::new();
        few.answered(Duration::ZERO, Duration::ZERO);
        (0..31).for_each(|_| few.lost(2 * SECOND));
        assert_eq!(Trend::new(&few, None, 10 * SECOND).silent_after, None);
        few.lost(2 * SECOND);
        assert!(Trend::new(&few, None, 10 * SECOND).silent_after.is_some());
        // All places of a closed loop may be lost at once.
        assert_eq!(Trend::new(&few, Some(SECOND), SECOND).silent_after, None);
    }

    #[test]
    #[cfg_attr(miri, ignore = "ten thousand requests for each trend")]
    fn growing_queue_is_found_and_a_long_path_or_a_pause_is_none() {
        let queue = |number: u32| Some(SECOND + Duration::from_micros(100) * number);
        let (first, last) = trend(None, queue).rise.expect("a rise");
        assert_eq!((first, last.as_millis()), (SECOND, 1900));
        assert_eq!(trend(Some(SECOND), queue).rise, None, "a closed loop waits");
        assert_eq!(trend(None, |_| Some(3 * SECOND)).rise, None);
        let slight = |number: u32| Some(SECOND + Duration::from_micros(50) * number);
        assert_eq!(trend(None, slight).rise, None);
        let pause = |number: u32| {
            Some(Duration::from_millis(if number < 9500 { 0 } else { u64::from(10_000 - number) }))
        };
        assert_eq!(trend(None, pause).rise, None);
    }

    #[test]
    #[cfg_attr(miri, ignore = "ten thousand requests for each trend")]
    fn queue_that_exceeds_the_timeout_is_no_silence() {
        let latency = |number: u32| Duration::from_millis(number.into());
        let queue = |number: u32| Some(latency(number)).filter(|latency| *latency < 3 * SECOND);
        let found = trend(None, queue);
        let (_, last) = found.rise.expect("a rise");
        assert!(
            (2600..3000).contains(&last.as_millis()) && found.silent_after.is_none(),
            "{found:?}"
        );
    }

    #[test]
    #[cfg_attr(miri, ignore = "ten thousand requests for each trend")]
    fn lost_requests_hold_places_until_their_timeout_or_the_end() {
        let lost = |number: u32| (number != 2000 && number != 9500).then_some(SECOND);
        let held = trend(Some(SECOND), lost).held_s;
        assert!((held - 1.5).abs() < 0.02, "{held}");
    }
}

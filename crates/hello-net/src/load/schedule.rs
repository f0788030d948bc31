//! When messages are due.

use std::time::Duration;

use fastrand::Rng;

use super::plan::{ArrivalProcess, LoadPlan, Pacing};
use crate::clock::from_nanos;

/// When the next message of one thread is due.
#[derive(Clone, Debug)]
pub(super) enum Schedule {
    /// As soon as fewer requests than this are outstanding.
    Closed { outstanding: u64 },
    /// `number` intervals of `requests` / `rate` seconds after the start.
    Constant { number: u128, step: u128, requests: u128, rate: u128 },
    /// At `due` nanoseconds, and then after a gap of `mean` on average.
    Poisson { due: f64, mean: f64, rng: Rng },
}

impl Schedule {
    /// Makes the schedule of one thread, counted from 0, which is a part of the schedule of all.
    pub(super) fn new(plan: &LoadPlan, thread: u16) -> Self {
        let (threads, train) = (plan.threads.get(), plan.train.get());
        match plan.pacing {
            Pacing::Closed { outstanding } => {
                let (threads, thread) = (u32::from(threads), u32::from(thread));
                let (each, rest) = (outstanding.get() / threads, outstanding.get() % threads);
                Self::Closed { outstanding: u64::from(each + u32::from(thread < rest)) }
            }
            Pacing::Open { rate, arrivals: ArrivalProcess::Constant } => Self::Constant {
                number: thread.into(),
                step: threads.into(),
                requests: train.into(),
                rate: rate.get().into(),
            },
            Pacing::Open { rate, arrivals: ArrivalProcess::Poisson } => {
                let mut schedule = Self::Poisson {
                    due: 0.0,
                    mean: 1e9 * f64::from(train) * f64::from(threads) / rate.get() as f64,
                    rng: Rng::with_seed(plan.seed_of(thread)),
                };
                // It may begin at any moment of the process, and so not with a message.
                schedule.advance();
                schedule
            }
        }
    }

    /// Returns when the next message is due, since the start; `None` in a closed loop.
    pub(super) fn due(&self) -> Option<Duration> {
        match self {
            Self::Closed { .. } => None,
            Self::Constant { number, requests, rate, .. } => {
                Some(from_nanos(number * requests * NANOS / rate))
            }
            Self::Poisson { due, .. } => Some(Duration::from_secs_f64(due / 1e9)),
        }
    }

    /// Returns when the message after the last one is due, of this thread or, where threads take
    /// turns, of another; otherwise when the next one is due.
    pub(super) fn end_of_schedule(&self) -> Option<Duration> {
        match self {
            Self::Constant { number, step, requests, rate } => {
                Some(from_nanos((number + 1).saturating_sub(*step) * requests * NANOS / rate))
            }
            _ => self.due(),
        }
    }

    /// Returns the average time from one message to the next; `None` in a closed loop.
    pub(super) fn interval(&self) -> Option<Duration> {
        match self {
            Self::Closed { .. } => None,
            Self::Constant { step, requests, rate, .. } => {
                Some(from_nanos(step * requests * NANOS / rate))
            }
            Self::Poisson { mean, .. } => Some(Duration::from_secs_f64(mean / 1e9)),
        }
    }

    /// Advances to the next message.
    pub(super) fn advance(&mut self) {
        match self {
            Self::Closed { .. } => {}
            Self::Constant { number, step, .. } => *number += *step,
            // One minus it, because it may be 0 and is never 1.
            Self::Poisson { due, mean, rng } => *due -= *mean * (1.0 - rng.f64()).ln(),
        }
    }

    /// Skips the messages that are due before `until`, since the start, but at most `most`, and
    /// returns how many. Takes the same time for any number.
    #[expect(clippy::cast_possible_truncation, reason = "numbers saturate, and have no sign here")]
    pub(super) fn skip(&mut self, until: Duration, most: u64) -> u64 {
        match self {
            Self::Closed { .. } => 0,
            Self::Constant { number, step, requests, rate } => {
                let end = (until.as_nanos() * *rate).div_ceil(*requests * NANOS);
                let skipped = end.saturating_sub(*number).div_ceil(*step).min(most.into());
                *number += skipped * *step;
                u64::try_from(skipped).unwrap_or(most)
            }
            Self::Poisson { due, mean, .. } => {
                // As many as there are on average: the process has no memory, so any moment is as
                // good a start.
                let skipped = (until.as_nanos() as f64 - *due) / *mean;
                let skipped = (skipped.max(0.0).ceil() as u64).min(most);
                *due += *mean * skipped as f64;
                skipped
            }
        }
    }
}

/// The nanoseconds of a second.
const NANOS: u128 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};

    use super::*;

    fn plan(rate: u64, arrivals: ArrivalProcess, threads: u16) -> LoadPlan {
        let rate = NonZeroU64::new(rate).expect("not zero");
        let threads = NonZeroU16::new(threads).expect("not zero");
        LoadPlan { pacing: Pacing::Open { rate, arrivals }, threads, ..LoadPlan::DEFAULT }
    }

    /// Returns the times of the first messages of all threads, in order.
    fn dues(plan: &LoadPlan, each: usize) -> Vec<Duration> {
        let of_thread = |thread| {
            let mut schedule = Schedule::new(plan, thread);
            Vec::from_iter((0..each).map(|_| {
                let due = schedule.due().expect("an open loop");
                schedule.advance();
                due
            }))
        };
        let mut dues = Vec::from_iter((0..plan.threads.get()).flat_map(of_thread));
        dues.sort();
        dues
    }

    #[test]
    fn constant_times_are_even_over_all_threads_and_no_error_adds_up() {
        for (train, threads) in [(1, 1), (1, 3), (7, 1), (64, 2)] {
            let plan = LoadPlan {
                train: NonZeroU16::new(train).expect("not zero"),
                ..plan(300_007, ArrivalProcess::Constant, threads)
            };
            let dues = dues(&plan, 2000);
            for (k, due) in (0_u128..).zip(dues) {
                let exact = k * u128::from(train) * NANOS / 300_007;
                assert_eq!(due.as_nanos(), exact, "{train} {threads}");
            }
        }
    }

    #[test]
    fn skip_passes_over_each_message_that_is_due_before() {
        for (train, threads) in [(1, 1), (7, 3)] {
            let train = NonZeroU16::new(train).expect("not zero");
            let plan = LoadPlan { train, ..plan(300_007, ArrivalProcess::Constant, threads) };
            for thread in 0..threads {
                let mut one_by_one = Schedule::new(&plan, thread);
                let mut at_once = one_by_one.clone();
                for _ in 0..1000 {
                    let due = one_by_one.due().expect("an open loop");
                    assert_eq!(at_once.clone().skip(due, u64::MAX), 0);
                    let mut next = at_once.clone();
                    assert_eq!(next.skip(due + Duration::from_nanos(1), u64::MAX), 1);
                    one_by_one.advance();
                    assert_eq!(next.due(), one_by_one.due());
                    assert_eq!(at_once.skip(Duration::from_secs(1), 1), 1);
                    assert_eq!(at_once.due(), one_by_one.due());
                }
            }
        }
        let mut poisson = Schedule::new(&plan(1000, ArrivalProcess::Poisson, 1), 0);
        let second = Duration::from_secs(1);
        let skipped = poisson.skip(second, u64::MAX);
        assert!((950..=1000).contains(&skipped), "{skipped}");
        assert!(poisson.due() >= Some(second));
        assert_eq!(poisson.skip(2 * second, 7), 7);
        assert_eq!(Schedule::new(&LoadPlan::DEFAULT, 0).skip(second, u64::MAX), 0);
    }

    #[test]
    fn end_of_schedule_is_one_interval_after_the_last_message_of_all_threads() {
        for thread in 0..3 {
            let mut schedule = Schedule::new(&plan(100, ArrivalProcess::Constant, 3), thread);
            schedule.advance();
            let last = Duration::from_millis(10 * u64::from(thread));
            assert_eq!(schedule.end_of_schedule(), Some(last + Duration::from_millis(10)));
        }
    }

    #[test]
    fn interval_is_that_between_messages_of_one_thread() {
        for arrivals in [ArrivalProcess::Constant, ArrivalProcess::Poisson] {
            let train = NonZeroU16::new(5).expect("not zero");
            let schedule = Schedule::new(&LoadPlan { train, ..plan(1000, arrivals, 2) }, 0);
            assert_eq!(schedule.interval(), Some(Duration::from_millis(10)), "{arrivals:?}");
        }
        let closed = Schedule::new(&LoadPlan::DEFAULT, 0);
        assert_eq!(closed.interval(), None);
    }

    #[test]
    fn constant_times_are_exact_after_a_century() {
        let mut schedule = Schedule::new(&plan(3, ArrivalProcess::Constant, 1), 0);
        let century = 100 * 365 * 86_400;
        if let Schedule::Constant { number, .. } = &mut schedule {
            *number = 3 * century;
        }
        let century = u64::try_from(century).expect("small");
        assert_eq!(schedule.due(), Some(Duration::from_secs(century)));
    }

    #[test]
    fn poisson_times_have_the_rate_and_the_spread_of_their_process() {
        for threads in [1, 4] {
            let dues = dues(&plan(1_000_000, ArrivalProcess::Poisson, threads), 100_000);
            // The threads do not end at the same time; up to here, all have sent.
            let all = &dues[..90_000 * usize::from(threads)];
            let gaps =
                Vec::from_iter(all.windows(2).map(|pair| (pair[1] - pair[0]).as_nanos() as f64));
            let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
            let variance =
                gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
            // In an exponential distribution, the standard deviation is the mean.
            assert!((mean - 1000.0).abs() < 20.0, "{mean}");
            assert!((variance.sqrt() / mean - 1.0).abs() < 0.02, "{variance}");
            let short = gaps.iter().filter(|gap| **gap < 1000.0).count() as f64;
            assert!((short / gaps.len() as f64 - 0.632).abs() < 0.01, "{short}");
        }
    }

    #[test]
    fn same_seed_draws_the_same_times_and_another_does_not() {
        let plan = plan(1000, ArrivalProcess::Poisson, 1);
        let other = LoadPlan { seed: 1, ..plan.clone() };
        assert_eq!(dues(&plan, 10), dues(&plan, 10));
        assert_ne!(dues(&plan, 10), dues(&other, 10));
    }

    #[test]
    fn a_closed_loop_deals_out_all_that_may_be_outstanding() {
        for (outstanding, threads, iovecs) in
            [(64, 1, &[64][..]), (64, 3, &[22, 21, 21]), (3, 3, &[1, 1, 1])]
        {
            let outstanding = NonZeroU32::new(outstanding).expect("not zero");
            let plan = LoadPlan {
                pacing: Pacing::Closed { outstanding },
                ..plan(1, ArrivalProcess::Constant, threads)
            };
            let part = |thread| match Schedule::new(&plan, thread) {
                Schedule::Closed { outstanding } => outstanding,
                open => panic!("{open:?}"),
            };
            assert_eq!(Vec::from_iter((0..threads).map(part)), iovecs);
        }
    }
}

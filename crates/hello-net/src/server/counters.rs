use std::array;
use std::fmt;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

use hello_proto::Refusal;

use super::event::Outcome;
use crate::udp::error_class::ErrorClass;

/// The outcomes of all datagrams that a [`Server`](crate::server::Server) received.
///
/// Each datagram adds one to exactly one of these: answered, a refusal (over the limit is one of
/// them), or send-failed by class. While a datagram is being handled, it is only counted as
/// received.
///
/// ```
/// use hello_net::{ErrorClass, Server};
/// use hello_proto::Refusal;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::builder().bind([([127, 0, 0, 1], 0).into()])?;
/// let counters = server.counters();
/// assert_eq!((counters.received(), counters.answered()), (0, 0));
/// assert_eq!(counters.refused(Refusal::GreetedTwice), 0);
/// assert_eq!(counters.send_failed(ErrorClass::Unreachable), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct ServerCounters {
    received: u64,
    dropped: Option<u64>,
    answered: u64,
    refused: [u64; Refusal::ALL.len()],
    over_limit: u64,
    over_limit_answered: u64,
    send_failed: [u64; ErrorClass::ALL.len()],
    receive_errors: [u64; ErrorClass::ALL.len()],
}

impl ServerCounters {
    /// Returns the number of datagrams received.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// Returns the number of messages that the system dropped before the server could receive them,
    /// because the receive buffer was full or the checksum wrong. `None` where the system does not
    /// report it.
    ///
    /// Linux counts a train that it delivers in one piece (UDP_GRO, udp(7)) as one message, so this
    /// can be less than the number of datagrams.
    pub fn dropped(&self) -> Option<u64> {
        self.dropped
    }

    /// Returns the number of replies that the system took. Whether they arrive is unknown.
    pub fn answered(&self) -> u64 {
        self.answered
    }

    /// Returns the number of datagrams that one rule of the guard refused.
    pub fn refused(&self, refusal: Refusal) -> u64 {
        self.refused[refusal as usize]
    }

    /// Returns the number of datagrams refused because their source exceeded the limit.
    pub fn over_limit(&self) -> u64 {
        self.over_limit
    }

    /// Returns the number of datagrams that exceeded the limit and were not refused: one in four on
    /// average, or all in a dry run. Their outcomes are counted like any other's.
    pub fn over_limit_answered(&self) -> u64 {
        self.over_limit_answered
    }

    /// Returns the number of datagrams refused for any reason.
    pub fn refused_total(&self) -> u64 {
        self.refused.iter().sum::<u64>() + self.over_limit
    }

    /// Returns the number of replies that the system did not take, by the class of the error.
    pub fn send_failed(&self, class: ErrorClass) -> u64 {
        self.send_failed[class as usize]
    }

    /// Returns the number of replies that the system did not take.
    pub fn send_failed_total(&self) -> u64 {
        self.send_failed.iter().sum()
    }

    /// Returns the number of receive calls that failed, by the class of the error. They received no
    /// datagram.
    pub fn receive_errors(&self, class: ErrorClass) -> u64 {
        self.receive_errors[class as usize]
    }

    /// Adds up the workers' counters; `dropped` is counted by socket.
    pub(crate) fn sum(workers: impl Iterator<Item = Self>, dropped: Option<u64>) -> Self {
        workers.fold(Self { dropped, ..Self::default() }, |mut sum, worker| {
            sum.received += worker.received;
            sum.answered += worker.answered;
            sum.over_limit += worker.over_limit;
            sum.over_limit_answered += worker.over_limit_answered;
            let arrays = [
                (&mut sum.refused[..], &worker.refused[..]),
                (&mut sum.send_failed[..], &worker.send_failed[..]),
                (&mut sum.receive_errors[..], &worker.receive_errors[..]),
            ];
            for (sums, addends) in arrays {
                for (sum, addend) in sums.iter_mut().zip(addends) {
                    *sum += addend;
                }
            }
            sum
        })
    }
}

/// Shows received, answered, and the other counts that are not zero.
impl fmt::Debug for ServerCounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refused = Refusal::ALL.map(|refusal| (refusal.label(), self.refused(refusal)));
        let by_class = |count: fn(&Self, ErrorClass) -> u64| {
            ErrorClass::ALL.map(|class| (class.label(), count(self, class)))
        };
        let mut shown = f.debug_struct("ServerCounters");
        shown.field("received", &self.received).field("answered", &self.answered);
        if let Some(dropped) = self.dropped.filter(|dropped| *dropped > 0) {
            shown.field("dropped", &dropped);
        }
        for (name, count) in
            [("over_limit", self.over_limit), ("over_limit_answered", self.over_limit_answered)]
        {
            if count > 0 {
                shown.field(name, &count);
            }
        }
        for (name, counts) in [
            ("refused", &refused[..]),
            ("send_failed", &by_class(Self::send_failed)),
            ("receive_errors", &by_class(Self::receive_errors)),
        ] {
            if counts.iter().any(|(_, count)| *count > 0) {
                shown.field(name, &NonZero(counts));
            }
        }
        shown.finish()
    }
}

/// Shows the counts that are not zero, by label.
struct NonZero<'a>(&'a [(&'static str, u64)]);

impl fmt::Debug for NonZero<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nonzero = self.0.iter().filter(|(_, count)| *count > 0);
        let mut shown = f.debug_map();
        for (label, count) in nonzero {
            shown.entry(&format_args!("{label}"), count);
        }
        shown.finish()
    }
}

/// The counters of one worker, which others read meanwhile. They are aligned so that no two workers
/// write to one cache line (pairs of lines are fetched together).
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Tally {
    received: AtomicU64,
    answered: AtomicU64,
    refused: [AtomicU64; Refusal::ALL.len()],
    over_limit: AtomicU64,
    over_limit_answered: AtomicU64,
    send_failed: [AtomicU64; ErrorClass::ALL.len()],
    receive_errors: [AtomicU64; ErrorClass::ALL.len()],
}

impl Tally {
    pub(crate) fn receive(&self, datagrams: u64) {
        self.received.fetch_add(datagrams, Relaxed);
    }

    /// Counts the outcomes of datagrams. `leaked` of them exceeded the limit and were not refused
    /// for that.
    pub(crate) fn settle(&self, outcomes: &[Outcome], leaked: u64) {
        self.over_limit_answered.fetch_add(leaked, Relaxed);
        let mut answered = 0;
        for &outcome in outcomes {
            let counter = match outcome {
                Outcome::Answered => {
                    answered += 1;
                    continue;
                }
                Outcome::Refused(refusal) => &self.refused[refusal as usize],
                Outcome::OverLimit => &self.over_limit,
                Outcome::SendFailed(error) => &self.send_failed[error.class as usize],
            };
            counter.fetch_add(1, Release);
        }
        self.answered.fetch_add(answered, Release);
    }

    pub(crate) fn receive_error(&self, class: ErrorClass) {
        self.receive_errors[class as usize].fetch_add(1, Relaxed);
    }

    /// Reads the outcomes first, so that there are never more of them than datagrams received.
    pub(crate) fn snapshot(&self) -> ServerCounters {
        ServerCounters {
            answered: self.answered.load(Acquire),
            refused: array::from_fn(|i| self.refused[i].load(Acquire)),
            over_limit: self.over_limit.load(Acquire),
            over_limit_answered: self.over_limit_answered.load(Relaxed),
            send_failed: array::from_fn(|i| self.send_failed[i].load(Acquire)),
            receive_errors: array::from_fn(|i| self.receive_errors[i].load(Relaxed)),
            received: self.received.load(Relaxed),
            dropped: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_is_counted_once_under_its_own_name() {
        let tally = Tally::default();
        let outcomes = [Outcome::Answered]
            .into_iter()
            .chain(Refusal::ALL.map(Outcome::Refused))
            .chain([Outcome::OverLimit])
            .chain(ErrorClass::ALL.map(|class| Outcome::SendFailed(class.into())));
        let mut settled = 0;
        for (times, outcome) in (1..).zip(outcomes) {
            tally.receive(times);
            (0..times).for_each(|_| tally.settle(&[outcome], 0));
            settled += times;
            let counters = tally.snapshot();
            let count = match outcome {
                Outcome::Answered => counters.answered(),
                Outcome::Refused(refusal) => counters.refused(refusal),
                Outcome::OverLimit => counters.over_limit(),
                Outcome::SendFailed(error) => counters.send_failed(error.class),
            };
            assert_eq!(count, times);
            assert_eq!(counters.received(), settled);
        }
        let counters = tally.snapshot();
        let all = counters.answered() + counters.refused_total() + counters.send_failed_total();
        assert_eq!(all, counters.received());
    }

    #[test]
    fn debug_output_is_what_is_not_zero() {
        let tally = Tally::default();
        assert_eq!(
            format!("{:?}", tally.snapshot()),
            "ServerCounters { received: 0, answered: 0 }"
        );
        tally.receive(3);
        let refused = Outcome::Refused(Refusal::GreetedTwice);
        let failed = Outcome::SendFailed(ErrorClass::Denied.into());
        tally.settle(&[Outcome::Answered, refused, failed], 0);
        assert_eq!(
            format!("{:?}", ServerCounters::sum([tally.snapshot()].into_iter(), Some(2))),
            "ServerCounters { received: 3, answered: 1, dropped: 2, \
             refused: {greeted-twice: 1}, send_failed: {denied: 1} }"
        );
    }

    #[test]
    fn sums_add_up_counter_by_counter() {
        let tally = Tally::default();
        tally.receive(4);
        let refused = Outcome::Refused(Refusal::GreetedTwice);
        let failed = Outcome::SendFailed(ErrorClass::Denied.into());
        tally.settle(&[Outcome::Answered, refused, Outcome::OverLimit, failed], 1);
        tally.receive_error(ErrorClass::Interrupted);
        let sum = ServerCounters::sum([tally.snapshot(); 2].into_iter(), Some(7));
        assert_eq!((sum.received(), sum.answered(), sum.dropped()), (8, 2, Some(7)));
        assert_eq!(sum.refused(Refusal::GreetedTwice), 2);
        assert_eq!(sum.send_failed(ErrorClass::Denied), 2);
        assert_eq!(sum.receive_errors(ErrorClass::Interrupted), 2);
        assert_eq!((sum.over_limit(), sum.over_limit_answered()), (2, 2));
        assert_eq!((sum.refused_total(), sum.send_failed_total()), (4, 2));
    }
}

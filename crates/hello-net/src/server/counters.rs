use std::array;
use std::fmt;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

use hello_proto::Refusal;

use crate::sys::error_class::ErrorClass;
use crate::xdp::counters::DriverCounters;

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
    /// What happened in drivers, which is part of the above.
    driver: Option<DriverCounters>,
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

    /// Returns what happened in drivers ([`ServerBuilder::xdp`]), which is part of the other counts, but
    /// for what was passed to the sockets. `None` if the server does not answer there.
    ///
    /// [`ServerBuilder::xdp`]: crate::server::builder::ServerBuilder::xdp
    pub fn driver(&self) -> Option<&DriverCounters> {
        self.driver.as_ref()
    }

    /// Adds what happened in drivers.
    pub(crate) fn with_driver(mut self, driver: Option<DriverCounters>) -> Self {
        let counts = driver.unwrap_or_default();
        self.received += counts.received();
        self.answered += counts.answered();
        self.over_limit += counts.over_limit();
        self.over_limit_answered += counts.over_limit_answered();
        Self { driver, ..self }
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
        if let Some(driver) = self.driver {
            shown.field("driver", &driver);
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
    pub(super) fn count_received(&self, datagrams: u64) {
        self.received.fetch_add(datagrams, Relaxed);
    }

    pub(super) fn count_answered(&self, datagrams: usize) {
        self.answered.fetch_add(datagrams as u64, Release);
    }

    pub(super) fn count_refused(&self, refusal: Refusal, datagrams: usize) {
        self.refused[refusal as usize].fetch_add(datagrams as u64, Release);
    }

    pub(super) fn count_over_limit(&self, datagrams: usize) {
        self.over_limit.fetch_add(datagrams as u64, Release);
    }

    /// Counts datagrams that exceeded the limit and were not refused for that.
    pub(super) fn count_over_limit_answered(&self, datagrams: usize) {
        self.over_limit_answered.fetch_add(datagrams as u64, Relaxed);
    }

    pub(super) fn count_send_failed(&self, class: ErrorClass) {
        self.send_failed[class as usize].fetch_add(1, Release);
    }

    pub(super) fn count_receive_error(&self, class: ErrorClass) {
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
            driver: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tally of two datagrams answered, a refused one, one over the limit, and a reply that was not
    /// sent.
    fn tally() -> Tally {
        let tally = Tally::default();
        tally.count_received(5);
        tally.count_answered(2);
        tally.count_refused(Refusal::GreetedTwice, 1);
        tally.count_over_limit(1);
        tally.count_send_failed(ErrorClass::Denied);
        tally
    }

    #[test]
    fn each_outcome_is_counted_once_under_its_own_name() {
        for refusal in Refusal::ALL {
            let tally = tally();
            tally.count_refused(refusal, 7);
            let expected = if refusal == Refusal::GreetedTwice { 8 } else { 7 };
            assert_eq!(tally.snapshot().refused(refusal), expected);
            assert_eq!(tally.snapshot().refused_total(), 9);
        }
        for class in ErrorClass::ALL {
            let tally = tally();
            tally.count_send_failed(class);
            let expected = if class == ErrorClass::Denied { 2 } else { 1 };
            assert_eq!(tally.snapshot().send_failed(class), expected);
            assert_eq!(tally.snapshot().send_failed_total(), 2);
        }
        let counters = tally().snapshot();
        assert_eq!((counters.answered(), counters.over_limit()), (2, 1));
        let all = counters.answered() + counters.refused_total() + counters.send_failed_total();
        assert_eq!(all, counters.received());
    }

    #[test]
    fn debug_output_is_what_is_not_zero() {
        assert_eq!(
            format!("{:?}", Tally::default().snapshot()),
            "ServerCounters { received: 0, answered: 0 }"
        );
        assert_eq!(
            format!("{:?}", ServerCounters::sum([tally().snapshot()].into_iter(), Some(2))),
            "ServerCounters { received: 5, answered: 2, dropped: 2, over_limit: 1, \
             refused: {greeted-twice: 1}, send_failed: {denied: 1} }"
        );
    }

    #[test]
    fn sums_add_up_counter_by_counter() {
        let tally = tally();
        tally.count_over_limit_answered(1);
        tally.count_receive_error(ErrorClass::Interrupted);
        let sum = ServerCounters::sum([tally.snapshot(); 2].into_iter(), Some(7));
        assert_eq!((sum.received(), sum.answered(), sum.dropped()), (10, 4, Some(7)));
        assert_eq!(sum.refused(Refusal::GreetedTwice), 2);
        assert_eq!(sum.send_failed(ErrorClass::Denied), 2);
        assert_eq!(sum.receive_errors(ErrorClass::Interrupted), 2);
        assert_eq!((sum.over_limit(), sum.over_limit_answered()), (2, 2));
        assert_eq!((sum.refused_total(), sum.send_failed_total()), (4, 2));
    }
}

//! What the two threads of a run share. [`sender`](super::sender) and [`receiver`](super::receiver)
//! have the loop of each.

use std::sync::atomic::{
    AtomicU32,
    Ordering::{Acquire, Release},
};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use hello_measure::{Counts, Ledger};
use hello_proto::Token;

use super::Prober;
use super::event::{ProbeEvent, ProbeEventKind};
use super::state::State;
use crate::requester;
use crate::sys::{self, latch::Latch};

/// A run of a prober.
pub(super) struct Run<'a, O> {
    pub(super) prober: &'a Prober,
    pub(super) start: Duration,
    /// When the last probe was sent.
    done: OnceLock<Duration>,
    state: Mutex<State>,
    /// The sequence number behind the last probe of which the observer knows that it was sent.
    announced: AtomicU32,
    observe: O,
}

impl<'a, O: Fn(&ProbeEvent<'_>)> Run<'a, O> {
    pub(super) fn new(prober: &'a Prober, observe: O) -> Self {
        let plan = &prober.plan;
        let first = Token { run_id: requester::run_id(), seq: 0 };
        let state = State::new(Ledger::new(first, plan.window(), plan.timeout));
        Self {
            prober,
            start: sys::monotonic(),
            done: OnceLock::new(),
            state: Mutex::new(state),
            announced: AtomicU32::new(first.seq),
            observe,
        }
    }

    pub(super) fn counts(&self) -> Counts {
        self.state().ledger.counts()
    }

    /// Locks the state. No lock is held while the observer is called.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn notify(&self, at: Duration, flow: usize, kind: ProbeEventKind<'_>) {
        (self.observe)(&ProbeEvent { at: at.saturating_sub(self.start), flow, kind });
    }

    /// Lets the receiver show what became of a probe, of which the observer now knows that it was
    /// sent.
    pub(super) fn announce(&self, seq: u32, receiver: &Thread) {
        self.announced.store(seq.wrapping_add(1), Release);
        receiver.unpark();
    }

    /// Waits until the observer knows that a probe was sent.
    pub(super) fn await_announcement(&self, seq: u32) {
        // Sequence numbers wrap around, and half of them are before any (RFC 1982 section 3.2).
        let is_announced = || {
            let behind = self.announced.load(Acquire).wrapping_sub(seq);
            (1..=u32::MAX / 2).contains(&behind)
        };
        while !is_announced() && !self.prober.stopper.is_aborted() {
            thread::park_timeout(ABORT_CHECK);
        }
    }

    /// Notes when sending ended, however it ended, so that the receiver does not wait for more.
    pub(super) fn done_on_drop(&self) -> DoneOnDrop<'_> {
        DoneOnDrop { done: &self.done, sent_all: &self.prober.sent_all }
    }

    /// Returns whether nothing is left to wait for.
    pub(super) fn is_over(&self, state: &State, now: Duration) -> bool {
        self.done.get().is_some() && state.ledger.counts().in_flight() == 0
            || self.has_waited_enough(state.largest_rtt, now)
    }

    /// Returns whether a stopped run has no time left to receive.
    pub(super) fn is_out_of_time(&self, grace: Duration) -> bool {
        let stopping = self.prober.stopper.is_stopped() && self.done.get().is_some();
        stopping && {
            // A flood moves this by no more than a batch.
            let largest_rtt = self.state().largest_rtt;
            self.has_waited_enough(largest_rtt, sys::monotonic().saturating_sub(grace))
        }
    }

    fn has_waited_enough(&self, largest_rtt: Option<Duration>, now: Duration) -> bool {
        let stopping = self.prober.stopper.is_stopped();
        let most = requester::drain_timeout(stopping, largest_rtt, self.prober.plan.timeout);
        let done = self.done.get().copied();
        done.is_some_and(|done| {
            self.prober.stopper.is_aborted() || now >= done.saturating_add(most)
        })
    }

    /// Returns what ends every wait of the receiver: the end of sending, and after that an abort.
    pub(super) fn latch(&self) -> &Latch {
        let Prober { sent_all, stopper, .. } = self.prober;
        if sent_all.is_raised() { stopper.abort_latch() } else { sent_all }
    }
}

/// Notes the end of sending when it is dropped.
pub(super) struct DoneOnDrop<'a> {
    done: &'a OnceLock<Duration>,
    sent_all: &'a Latch,
}

impl Drop for DoneOnDrop<'_> {
    fn drop(&mut self) {
        self.done.get_or_init(sys::monotonic);
        self.sent_all.raise();
    }
}

/// The time between two checks for an abort, while a receiver waits for the observer of a sent
/// probe.
const ABORT_CHECK: Duration = Duration::from_millis(100);

//! What the two threads of a run share. [`sender`](super::sender) and [`receiver`](super::receiver)
//! have the loop of each.

use std::sync::atomic::{
    AtomicU32,
    Ordering::{Acquire, Release},
};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use hello_measure::{Counts, Ledger};
use hello_proto::Token;

use super::Prober;
use super::event::{ProbeEvent, ProbeEventKind};
use super::state::{Errors, NetworkError, State};
use super::tracing::Tracing;
use crate::sys::{self, latch::Latch};

/// A run of a prober.
pub(super) struct Run<'a, O> {
    pub(super) prober: &'a Prober,
    pub(super) start: Duration,
    state: Mutex<State>,
    /// The sequence number behind the last probe of which the observer knows that it was sent.
    announced: AtomicU32,
    observe: O,
}

impl<'a, O: Fn(&ProbeEvent<'_>)> Run<'a, O> {
    pub(super) fn new(prober: &'a Prober, observe: O) -> Self {
        let plan = &prober.plan;
        let first = Token { run_id: prober.run_id, seq: Token::FIRST_SEQ };
        let ledger = Ledger::new(first, plan.window(), plan.timeout).with_peer(plan.peer);
        let source = prober.local_addrs().next().unwrap_or(prober.server).ip();
        let ends = [source, prober.server.ip()];
        let tracing = |trace| Tracing::new(ends, plan, trace, first.run_id);
        let state = State::new(ledger, plan.trace.map(tracing));
        Self {
            prober,
            start: sys::monotonic(),
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

    /// Shows errors from the network.
    pub(super) fn report_errors(&self, at: Duration, flow: usize, errors: Errors) {
        for NetworkError { cause, attribution } in errors.queued {
            if let Some(seq) = attribution.seq() {
                self.await_announcement(seq);
            }
            self.notify(at, flow, ProbeEventKind::NetworkError { cause, attribution });
        }
        for error in errors.others {
            self.notify(at, flow, ProbeEventKind::SocketError(error));
        }
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

    /// Notes that sending ended, however it ended, so that the receiver does not wait for more.
    pub(super) fn sent_all_on_drop(&self) -> SentAllOnDrop<'_> {
        SentAllOnDrop(&self.prober.sent_all)
    }

    /// Returns whether nothing is left to wait for.
    pub(super) fn is_over(&self, state: &State) -> bool {
        let is_traced = || state.tracing.as_ref().is_none_or(Tracing::is_done);
        let is_settled = || state.ledger.counts().in_flight() == 0 && is_traced();
        self.prober.sent_all.is_raised() && (is_settled() || self.prober.stopper.is_aborted())
    }

    /// Returns what ends every wait of the receiver: the end of sending, and after that an abort.
    pub(super) fn latch(&self) -> &Latch {
        let Prober { sent_all, stopper, .. } = self.prober;
        if sent_all.is_raised() { stopper.abort_latch() } else { sent_all }
    }
}

/// Notes the end of sending when it is dropped.
pub(super) struct SentAllOnDrop<'a>(&'a Latch);

impl Drop for SentAllOnDrop<'_> {
    fn drop(&mut self) {
        self.0.raise();
    }
}

/// The time between two checks for an abort, while a receiver waits for the observer of a sent
/// probe.
const ABORT_CHECK: Duration = Duration::from_millis(100);

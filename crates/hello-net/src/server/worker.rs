use std::hint;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use hello_proto::Guard;

use super::answer::Answerer;
use super::classify::Classifier;
use super::counters::{ServerCounters, Tally};
use super::event::{EventFilter, ServerEvent};
use super::listener::Listener;
use super::rate_limit::SharedLimiter;
use super::settle::Settler;
use crate::stopper::Stopper;
use crate::sys::Waiter;
use crate::sys::batch::{Destination, RecvBatch};
use crate::sys::error_class::ErrorClass;
use crate::sys::latch::Latch;
use crate::udp::recv_backoff::RecvBackoff;

/// The server's loop on one thread: the socket it serves, and its counters.
#[derive(Debug)]
pub(crate) struct ServerWorker {
    listener: Arc<Listener>,
    /// The time to busy-poll for a datagram before waiting for one.
    spin: Duration,
    /// Limits the sources, unless that is off.
    limiter: Option<Arc<SharedLimiter>>,
    filter: EventFilter,
    tally: Tally,
    /// The loop completed a round since this was cleared.
    progressed: AtomicBool,
    /// It waits for a datagram or a stop, for any time.
    waiting: AtomicBool,
    /// The loop completed its first round.
    started: AtomicBool,
    waiter: OnceLock<Waiter>,
}

impl ServerWorker {
    pub(crate) fn new(
        listener: Arc<Listener>,
        spin: Duration,
        limiter: Option<Arc<SharedLimiter>>,
        filter: EventFilter,
    ) -> Self {
        let [progressed, waiting, started] = [(); 3].map(|()| AtomicBool::new(false));
        let waiter = OnceLock::new();
        Self {
            listener,
            spin,
            limiter,
            filter,
            tally: Tally::default(),
            progressed,
            waiting,
            started,
            waiter,
        }
    }

    /// Receives datagrams and answers them until a stop, and then until none is left, for at most
    /// [`DRAIN`].
    ///
    /// # Errors
    ///
    /// The socket's last error, once it is broken; see [`RecvBackoff`].
    pub(crate) fn run(
        &self,
        guard: &Guard,
        stopper: &Stopper,
        observe: impl Fn(&ServerEvent<'_>),
    ) -> io::Result<()> {
        let stop = stopper.stop_latch();
        let waiter = self.waiter(stop)?;
        let (limiter, bound) = (self.limiter.as_deref(), self.listener.local());
        let classifier = Classifier::new(guard, limiter, bound);
        let settler = Settler::new(&self.tally, bound, self.filter, observe);
        let (mut batch, mut answerer) = (RecvBatch::new(), Answerer::new(classifier, settler));
        let mut backoff = RecvBackoff::default();
        let mut idle = false;
        for round in (0..DROPS_CHECK).cycle().take_while(|_| !stop.is_raised()) {
            let received = self.receive(&mut batch, idle.then_some(waiter), stop);
            idle = received.as_ref().is_err_and(is_idle);
            if idle || received.is_ok() {
                self.started.store(true, Relaxed);
            }
            match received {
                Ok(()) => {
                    backoff = RecvBackoff::default();
                    self.handle(&mut batch, &mut answerer);
                }
                Err(error) => self.back_off(error, &mut backoff, stop)?,
            }
            if round == 0 {
                self.listener.note_drops();
            }
        }
        self.drain(stopper, &mut batch, &mut answerer);
        Ok(())
    }

    /// Answers what waits in the socket, for at most [`DRAIN`], and not after an abort.
    fn drain(
        &self,
        stopper: &Stopper,
        batch: &mut RecvBatch,
        answerer: &mut Answerer<'_, impl Fn(&ServerEvent<'_>)>,
    ) {
        let end = Instant::now() + DRAIN;
        while Instant::now() < end && !stopper.is_aborted() {
            match self.try_receive(batch, false) {
                Ok(()) => self.handle(batch, answerer),
                Err(error) if self.count_error(&error) == ErrorClass::Interrupted => {}
                Err(_) => break,
            }
        }
    }

    /// Returns what the loop waits by. It takes a descriptor, and is made by the first call.
    pub(crate) fn waiter(&self, stop: &Latch) -> io::Result<&Waiter> {
        if let Some(waiter) = self.waiter.get() {
            return Ok(waiter);
        }
        let waiter = self.listener.socket.waiter(stop)?;
        Ok(self.waiter.get_or_init(|| waiter))
    }

    /// Returns whether the loop completed its first round.
    pub(crate) fn has_started(&self) -> bool {
        self.started.load(Relaxed)
    }

    /// Returns whether the loop completed a round since [`clear_progress`](Self::clear_progress),
    /// or waits for a datagram.
    pub(crate) fn made_progress(&self) -> bool {
        self.progressed.load(Relaxed) || self.waiting.load(Relaxed)
    }

    pub(crate) fn clear_progress(&self) {
        self.progressed.store(false, Relaxed);
    }

    pub(crate) fn local(&self) -> SocketAddr {
        self.listener.local()
    }

    pub(crate) fn counters(&self) -> ServerCounters {
        self.tally.snapshot()
    }

    /// Receives a batch. Busy-polls first, if the server spins. If the last call found nothing,
    /// waits by `waiter` for a datagram or a stop before the receive call, which otherwise waits
    /// itself.
    fn receive(
        &self,
        batch: &mut RecvBatch,
        waiter: Option<&Waiter>,
        stop: &Latch,
    ) -> io::Result<()> {
        if !self.spin.is_zero() {
            let start = Instant::now();
            while start.elapsed() < self.spin && !stop.is_raised() {
                match self.try_receive(batch, false) {
                    Err(error) if is_idle(&error) => hint::spin_loop(),
                    received => return received,
                }
            }
        }
        if let Some(waiter) = waiter {
            self.waiting.store(true, Relaxed);
            let waited = self.listener.socket.wait(waiter);
            // In this order, so that the worker is never seen as stalled.
            self.progressed.store(true, Relaxed);
            self.waiting.store(false, Relaxed);
            waited?;
            if stop.is_raised() {
                return Err(ErrorKind::WouldBlock.into());
            }
        }
        self.try_receive(batch, true)
    }

    /// Receives at least one datagram, or fails.
    fn try_receive(&self, batch: &mut RecvBatch, wait: bool) -> io::Result<()> {
        self.progressed.store(true, Relaxed);
        self.listener.socket.receive(batch, wait)?;
        if batch.metas().is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(())
    }

    /// Handles one batch: each datagram gets at most one reply, and exactly one outcome.
    fn handle(
        &self,
        batch: &mut RecvBatch,
        answerer: &mut Answerer<'_, impl Fn(&ServerEvent<'_>)>,
    ) {
        self.discard(batch);
        answerer.answer(batch, &*self.listener.socket);
    }

    /// Discards what belongs to another socket of a group, and counts what was truncated.
    fn discard(&self, batch: &mut RecvBatch) {
        if !self.listener.takes_shared() {
            batch.discard_copies(|meta| meta.destination.is_some_and(Destination::is_shared));
        }
        for _ in 0..batch.truncated() {
            self.tally.count_receive_error(ErrorClass::TooLong);
        }
    }

    /// Counts a receive error and waits a little, or gives up. Meanwhile the worker shows progress,
    /// and can be stopped.
    fn back_off(
        &self,
        error: io::Error,
        backoff: &mut RecvBackoff,
        stop: &Latch,
    ) -> io::Result<()> {
        let class = self.count_error(&error);
        let mut wait = backoff.wait(class, Instant::now()).ok_or(error)?;
        while !wait.is_zero() && !stop.is_raised() {
            let piece = wait.min(LIVENESS_PERIOD);
            self.listener.socket.pause(piece, stop);
            self.progressed.store(true, Relaxed);
            wait -= piece;
        }
        Ok(())
    }

    /// Counts a receive error, unless nothing was there, and returns its class.
    fn count_error(&self, error: &io::Error) -> ErrorClass {
        let class = ErrorClass::of(error);
        if class != ErrorClass::WouldBlock {
            self.tally.count_receive_error(class);
        }
        class
    }
}

/// Returns whether a receive call found nothing, which is no error.
fn is_idle(error: &io::Error) -> bool {
    ErrorClass::of(error) == ErrorClass::WouldBlock
}

/// The longest time without progress of a worker that waits after an error.
const LIVENESS_PERIOD: Duration = Duration::from_millis(100);

/// The longest time for which a stopped worker answers what waits in its socket.
const DRAIN: Duration = Duration::from_secs(1);

/// The rounds between two readings of the system's count of drops, few enough that it does not wrap
/// around unseen.
const DROPS_CHECK: u32 = 1024;

#[cfg(test)]
mod tests;

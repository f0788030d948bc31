use std::hint;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use hello_proto::{Decision, Guard};

use super::counters::{ServerCounters, Tally};
use super::event::{Outcome, ServerEvent};
use super::listener::Listener;
use super::rate_limit::{Classified, SharedLimiter};
use super::replies::Replies;
use crate::sys::Waiter;
use crate::sys::latch::Latch;
use crate::udp::batch::{Destination, RecvBatch, RecvMeta};
use crate::udp::error_class::ErrorClass;
use crate::udp::recv_backoff::RecvBackoff;
use crate::udp::transmit::Route;

/// The server's loop on one thread: the socket it serves, and what it counted.
#[derive(Debug)]
pub(crate) struct Worker {
    listener: Arc<Listener>,
    /// For how long to ask for a datagram again and again before waiting for one.
    spin: Duration,
    /// What the sources have left, if they are held to a limit.
    limiter: Option<Arc<SharedLimiter>>,
    tally: Tally,
    /// The loop has gone round since somebody looked.
    progressed: AtomicBool,
    /// It waits for a datagram or a stop, however long that takes.
    waiting: AtomicBool,
    /// It has gone round once.
    started: AtomicBool,
    waiter: OnceLock<Waiter>,
}

impl Worker {
    pub(crate) fn new(
        listener: Arc<Listener>,
        spin: Duration,
        limiter: Option<Arc<SharedLimiter>>,
    ) -> Self {
        let [progressed, waiting, started] = [(); 3].map(|()| AtomicBool::new(false));
        let waiter = OnceLock::new();
        Self {
            listener,
            spin,
            limiter,
            tally: Tally::default(),
            progressed,
            waiting,
            started,
            waiter,
        }
    }

    /// DatagramSocket in, at most one reply out for each, one count up for each, until told to stop and
    /// then until none is left, or for [`DRAIN`] at the most.
    ///
    /// # Errors
    ///
    /// The socket's last error, when it is broken; see [`RecvBackoff`].
    pub(crate) fn run(
        &self,
        guard: &Guard,
        stop: &Latch,
        observe: impl Fn(&ServerEvent<'_>),
    ) -> io::Result<()> {
        let waiter = self.waiter(stop)?;
        let mut idle = false;
        let mut batch = RecvBatch::new();
        let mut replies = Replies::new();
        let mut backoff = RecvBackoff::default();

        for round in (0..DROPS_CHECK).cycle() {
            if stop.is_raised() {
                break;
            }
            let received = self.receive(&mut batch, idle.then_some(waiter), stop);
            idle = received.as_ref().is_err_and(is_idle);
            if idle || received.is_ok() {
                self.started.store(true, Relaxed);
            }
            match received {
                Ok(()) => {
                    backoff = RecvBackoff::default();
                    self.answer(guard, &mut batch, &mut replies, &observe);
                }
                Err(error) => self.back_off(error, &mut backoff, stop)?,
            }
            if round == 0 {
                self.listener.dropped();
            }
        }
        let end = Instant::now() + DRAIN;
        while Instant::now() < end {
            match self.try_receive(&mut batch, false) {
                Ok(()) => self.answer(guard, &mut batch, &mut replies, &observe),
                Err(error) if self.count_error(&error) == ErrorClass::Interrupted => {}
                Err(_) => break,
            }
        }
        Ok(())
    }

    /// Returns by what the loop waits, which takes a descriptor and is made when this is first called.
    pub(crate) fn waiter(&self, stop: &Latch) -> io::Result<&Waiter> {
        if let Some(waiter) = self.waiter.get() {
            return Ok(waiter);
        }
        let waiter = self.listener.socket.waiter(stop)?;
        Ok(self.waiter.get_or_init(|| waiter))
    }

    /// Returns whether the loop has gone round once.
    pub(crate) fn has_started(&self) -> bool {
        self.started.load(Relaxed)
    }

    /// Returns whether the loop has gone round since [`clear_progress`](Self::clear_progress), or waits
    /// for a datagram.
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

    /// Delays for datagrams, at first without giving the processor away. If nothing came of late, it
    /// waits by `waiter` for a datagram or a stop, and only then receives; else a receive call is all
    /// it takes.
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
            // Alive without a gap.
            self.progressed.store(true, Relaxed);
            self.waiting.store(false, Relaxed);
            waited?;
            if stop.is_raised() {
                return Err(ErrorKind::WouldBlock.into());
            }
        }
        self.try_receive(batch, true)
    }

    /// Receives one datagram at least, or fails.
    fn try_receive(&self, batch: &mut RecvBatch, wait: bool) -> io::Result<()> {
        self.progressed.store(true, Relaxed);
        self.listener.socket.receive(batch, wait)?;
        if batch.metas().is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(())
    }

    /// Answers what was received.
    fn answer(
        &self,
        guard: &Guard,
        batch: &mut RecvBatch,
        replies: &mut Replies,
        observe: impl Fn(&ServerEvent<'_>),
    ) {
        if !self.listener.takes_shared() {
            batch.discard(|arrival| arrival.destination.is_some_and(Destination::is_shared));
        }
        self.tally.receive(batch.datagrams());
        for _ in 0..batch.truncated() {
            self.tally.receive_error(ErrorClass::TooLong);
        }
        let mut arrivals = 0..batch.metas().len();
        while !arrivals.is_empty() {
            self.classify(guard, &mut arrivals, batch, replies);
            replies.send(&*self.listener.socket, batch);
            self.tally.settle(replies.datagrams().iter().map(|one| one.outcome));
            self.notify(batch, replies, &observe);
        }
    }

    /// Decides which datagrams of the arrivals are answered, and prepares their replies.
    ///
    /// Stops when there are enough, lest trains of tiny datagrams take memory without bounds.
    fn classify(
        &self,
        guard: &Guard,
        arrivals: &mut Range<usize>,
        batch: &mut RecvBatch,
        replies: &mut Replies,
    ) {
        let undecided = arrivals.clone();
        let decisions = self.classify_addresses(guard, arrivals, batch);
        let (mut decisions, mut leaked) = (decisions.into_iter(), 0);
        replies.clear();
        for index in undecided.start..arrivals.start {
            let arrival = batch.metas()[index];
            let from = arrival.destination.map(|destination| destination.reply_from);
            let slot = replies.slot(Route { to: arrival.source, from });
            let alone = arrival.len <= arrival.segment;
            for (name, decision) in batch.datagram_ranges(index).zip(decisions.by_ref()) {
                match decision {
                    Ok(Decision::Exceeding) if !self.is_dry_run() => {
                        replies.push_refused(index, name, Outcome::OverLimit);
                    }
                    Ok(verdict) => {
                        leaked += u64::from(verdict != Decision::Conforming);
                        let reply = batch.encode_reply(&name, alone);
                        replies.push_reply(index, name, reply, &slot);
                    }
                    Err(refusal) => replies.push_refused(index, name, Outcome::Refused(refusal)),
                }
            }
        }
        self.tally.leak(leaked);
    }

    /// Returns the decision on each datagram of the arrivals, until there are [`MAX_REPLIES`]: first of
    /// the guard on all of them, then of the limiter on what the guard lets pass.
    fn classify_addresses(
        &self,
        guard: &Guard,
        arrivals: &mut Range<usize>,
        batch: &RecvBatch,
    ) -> Vec<Classified> {
        let mut decisions = Vec::with_capacity(arrivals.len());
        let mut limited = Vec::new();
        while decisions.len() < MAX_REPLIES
            && let Some(index) = arrivals.next()
        {
            let arrival = batch.metas()[index];
            let asked = arrival.destination.map(Destination::guard_address);
            let addresses = guard.check_addresses(arrival.source, self.asked_at(asked));
            let check =
                |name| guard.check_name(batch.bytes(name)).map(|_name| Decision::Conforming);
            let start = decisions.len();
            decisions.extend(
                batch.datagram_ranges(index).map(|name| addresses.and_then(|()| check(name))),
            );
            let source = arrival.source.ip();
            if let Some(limiter) = &self.limiter
                && decisions[start..].iter().any(Result::is_ok)
                && limiter.is_limited(source)
            {
                limited.push((source, start..decisions.len()));
            }
        }
        if let Some(limiter) = &self.limiter {
            limiter.check(&limited, &mut decisions);
        }
        decisions
    }

    fn is_dry_run(&self) -> bool {
        self.limiter.as_ref().is_some_and(|limiter| limiter.dry_run)
    }

    fn notify(&self, batch: &RecvBatch, replies: &Replies, observe: impl Fn(&ServerEvent<'_>)) {
        for datagram in replies.datagrams() {
            let RecvMeta { source, destination, .. } = batch.metas()[datagram.arrival];
            let local = self.asked_at(destination.map(|destination| destination.address));
            let (name, outcome) = (batch.bytes(datagram.name.clone()), datagram.outcome);
            observe(&ServerEvent { source, local, name, outcome });
        }
    }

    /// Returns the bound address, with the one that was asked, if it is known.
    fn asked_at(&self, address: Option<IpAddr>) -> SocketAddr {
        let local = self.listener.local();
        address.map_or(local, |address| (address, local.port()).into())
    }

    /// Counts a receive error and waits a little, or gives up. While it waits it is alive, and may
    /// be told to stop.
    fn back_off(
        &self,
        error: io::Error,
        backoff: &mut RecvBackoff,
        stop: &Latch,
    ) -> io::Result<()> {
        let class = self.count_error(&error);
        let mut wait = backoff.wait(class, Instant::now()).ok_or(error)?;
        while !wait.is_zero() && !stop.is_raised() {
            let piece = wait.min(BEAT);
            self.listener.socket.pause(piece, stop);
            self.progressed.store(true, Relaxed);
            wait -= piece;
        }
        Ok(())
    }

    /// Counts a receive error, if it is one, and returns its class.
    fn count_error(&self, error: &io::Error) -> ErrorClass {
        let class = ErrorClass::of(error);
        if class != ErrorClass::WouldBlock {
            self.tally.receive_error(class);
        }
        class
    }
}

/// Returns whether a receive call found nothing, which is no error.
fn is_idle(error: &io::Error) -> bool {
    ErrorClass::of(error) == ErrorClass::WouldBlock
}

/// How often at least a worker that waits after an error shows that it is alive.
const BEAT: Duration = Duration::from_millis(100);

/// How many datagrams are answered together, unless one arrival has more: as many as there are in a
/// batch of trains as long as Linux sends them (UDP_MAX_SEGMENTS).
const MAX_REPLIES: usize = 128 * RecvBatch::CAPACITY;

/// For how long at the most a worker that is told to stop answers what is there already.
const DRAIN: Duration = Duration::from_secs(1);

/// Every how many rounds the system's count of drops is looked at, lest it comes round unseen.
const DROPS_CHECK: u32 = 1024;

#[cfg(test)]
mod tests;

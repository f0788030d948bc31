use std::hint;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use hello_proto::{Guard, Verdict};

use super::counters::{Counters, Tally};
use super::event::{Event, Outcome};
use super::listener::Endpoint;
use super::rate_limit::{Accounts, Decision};
use super::replies::Replies;
use crate::sys::Waiter;
use crate::sys::latch::Latch;
use crate::udp::batch::{Arrival, Batch, Destination};
use crate::udp::error_class::ErrorClass;
use crate::udp::recv_backoff::Patience;
use crate::udp::transmit::Route;

/// The server's loop on one thread: the socket it serves, and what it counted.
#[derive(Debug)]
pub(crate) struct Worker {
    endpoint: Arc<Endpoint>,
    /// For how long to ask for a datagram again and again before waiting for one.
    spin: Duration,
    /// What the sources have left, if they are held to a limit.
    accounts: Option<Arc<Accounts>>,
    tally: Tally,
    /// The loop has gone round since somebody looked.
    beating: AtomicBool,
    /// It waits for a datagram or a stop, however long that takes.
    waiting: AtomicBool,
    /// It has gone round once.
    started: AtomicBool,
    waiter: OnceLock<Waiter>,
}

impl Worker {
    pub(crate) fn new(
        endpoint: Arc<Endpoint>,
        spin: Duration,
        accounts: Option<Arc<Accounts>>,
    ) -> Self {
        let [beating, waiting, started] = [(); 3].map(|()| AtomicBool::new(false));
        let waiter = OnceLock::new();
        Self {
            endpoint,
            spin,
            accounts,
            tally: Tally::default(),
            beating,
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
    /// The socket's last error, when it is broken; see [`Patience`].
    pub(crate) fn run(
        &self,
        guard: &Guard,
        stop: &Latch,
        observe: impl Fn(&Event<'_>),
    ) -> io::Result<()> {
        let waiter = self.waiter(stop)?;
        let mut idle = false;
        let mut batch = Batch::new();
        let mut replies = Replies::new();
        let mut patience = Patience::default();

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
                    patience = Patience::default();
                    self.answer(guard, &mut batch, &mut replies, &observe);
                }
                Err(error) => self.endure(error, &mut patience, stop)?,
            }
            if round == 0 {
                self.endpoint.dropped();
            }
        }
        let end = Instant::now() + DRAIN;
        while Instant::now() < end {
            match self.take(&mut batch, false) {
                Ok(()) => self.answer(guard, &mut batch, &mut replies, &observe),
                Err(error) if self.tell(&error) == ErrorClass::Interrupted => {}
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
        let waiter = self.endpoint.socket.waiter(stop)?;
        Ok(self.waiter.get_or_init(|| waiter))
    }

    /// Returns whether the loop has gone round once.
    pub(crate) fn has_started(&self) -> bool {
        self.started.load(Relaxed)
    }

    /// Returns whether the loop has gone round since [`forget_beat`](Self::forget_beat), or waits
    /// for a datagram.
    pub(crate) fn beats(&self) -> bool {
        self.beating.load(Relaxed) || self.waiting.load(Relaxed)
    }

    pub(crate) fn forget_beat(&self) {
        self.beating.store(false, Relaxed);
    }

    pub(crate) fn local(&self) -> SocketAddr {
        self.endpoint.local()
    }

    pub(crate) fn counters(&self) -> Counters {
        self.tally.snapshot()
    }

    /// Waits for datagrams, at first without giving the processor away. If nothing came of late, it
    /// waits by `waiter` for a datagram or a stop, and only then receives; else a receive call is all
    /// it takes.
    fn receive(&self, batch: &mut Batch, waiter: Option<&Waiter>, stop: &Latch) -> io::Result<()> {
        if !self.spin.is_zero() {
            let start = Instant::now();
            while start.elapsed() < self.spin && !stop.is_raised() {
                match self.take(batch, false) {
                    Err(error) if is_idle(&error) => hint::spin_loop(),
                    received => return received,
                }
            }
        }
        if let Some(waiter) = waiter {
            self.waiting.store(true, Relaxed);
            let waited = self.endpoint.socket.wait(waiter);
            // Alive without a gap.
            self.beating.store(true, Relaxed);
            self.waiting.store(false, Relaxed);
            waited?;
            if stop.is_raised() {
                return Err(ErrorKind::WouldBlock.into());
            }
        }
        self.take(batch, true)
    }

    /// Receives one datagram at least, or fails.
    fn take(&self, batch: &mut Batch, wait: bool) -> io::Result<()> {
        self.beating.store(true, Relaxed);
        self.endpoint.socket.receive(batch, wait)?;
        if batch.arrivals().is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(())
    }

    /// Answers what was received.
    fn answer(
        &self,
        guard: &Guard,
        batch: &mut Batch,
        replies: &mut Replies,
        observe: impl Fn(&Event<'_>),
    ) {
        if !self.endpoint.takes_shared() {
            batch.discard(|arrival| arrival.destination.is_some_and(Destination::is_shared));
        }
        self.tally.receive(batch.datagrams());
        for _ in 0..batch.truncated() {
            self.tally.receive_error(ErrorClass::TooLong);
        }
        let mut arrivals = 0..batch.arrivals().len();
        while !arrivals.is_empty() {
            self.decide(guard, &mut arrivals, batch, replies);
            replies.send(&*self.endpoint.socket, batch);
            self.tally.settle(replies.datagrams().iter().map(|one| one.outcome));
            self.show(batch, replies, &observe);
        }
    }

    /// Decides which datagrams of the arrivals are answered, and prepares their replies.
    ///
    /// Stops when there are enough, lest trains of tiny datagrams take memory without bounds.
    fn decide(
        &self,
        guard: &Guard,
        arrivals: &mut Range<usize>,
        batch: &mut Batch,
        replies: &mut Replies,
    ) {
        let undecided = arrivals.clone();
        let decisions = self.classify(guard, arrivals, batch);
        let (mut decisions, mut leaked) = (decisions.into_iter(), 0);
        replies.clear();
        for index in undecided.start..arrivals.start {
            let arrival = batch.arrivals()[index];
            let from = arrival.destination.map(|destination| destination.own);
            let lane = replies.lane(Route { to: arrival.source, from });
            let alone = arrival.len <= arrival.segment;
            for (name, decision) in batch.places(index).zip(decisions.by_ref()) {
                match decision {
                    Ok(Verdict::Over) if !self.is_dry_run() => {
                        replies.refuse(index, name, Outcome::OverLimit);
                    }
                    Ok(verdict) => {
                        leaked += u64::from(verdict != Verdict::Within);
                        let reply = batch.write(&name, alone);
                        replies.answer(index, name, reply, &lane);
                    }
                    Err(refusal) => replies.refuse(index, name, Outcome::Refused(refusal)),
                }
            }
        }
        self.tally.leak(leaked);
    }

    /// Returns the decision on each datagram of the arrivals, until there are [`ENOUGH`]: first of
    /// the guard on all of them, then of the limiter on what the guard lets pass.
    fn classify(&self, guard: &Guard, arrivals: &mut Range<usize>, batch: &Batch) -> Vec<Decision> {
        let mut decisions = Vec::with_capacity(arrivals.len());
        let mut limited = Vec::new();
        while decisions.len() < ENOUGH
            && let Some(index) = arrivals.next()
        {
            let arrival = batch.arrivals()[index];
            let asked = arrival.destination.map(Destination::scope);
            let addresses = guard.check_addresses(arrival.source, self.asked_at(asked));
            let check = |name| guard.check_name(batch.bytes(name)).map(|_name| Verdict::Within);
            let start = decisions.len();
            decisions.extend(batch.places(index).map(|name| addresses.and_then(|()| check(name))));
            let source = arrival.source.ip();
            if let Some(accounts) = &self.accounts
                && decisions[start..].iter().any(Result::is_ok)
                && accounts.is_limited(source)
            {
                limited.push((source, start..decisions.len()));
            }
        }
        if let Some(accounts) = &self.accounts {
            accounts.debit(&limited, &mut decisions);
        }
        decisions
    }

    fn is_dry_run(&self) -> bool {
        self.accounts.as_ref().is_some_and(|accounts| accounts.dry_run)
    }

    fn show(&self, batch: &Batch, replies: &Replies, observe: impl Fn(&Event<'_>)) {
        for datagram in replies.datagrams() {
            let Arrival { source, destination, .. } = batch.arrivals()[datagram.arrival];
            let local = self.asked_at(destination.map(|destination| destination.address));
            let (name, outcome) = (batch.bytes(datagram.name.clone()), datagram.outcome);
            observe(&Event { source, local, name, outcome });
        }
    }

    /// Returns the bound address, with the one that was asked, if it is known.
    fn asked_at(&self, address: Option<IpAddr>) -> SocketAddr {
        let local = self.endpoint.local();
        address.map_or(local, |address| (address, local.port()).into())
    }

    /// Counts a receive error and waits a little, or gives up. While it waits it is alive, and may
    /// be told to stop.
    fn endure(&self, error: io::Error, patience: &mut Patience, stop: &Latch) -> io::Result<()> {
        let class = self.tell(&error);
        let mut wait = patience.wait(class, Instant::now()).ok_or(error)?;
        while !wait.is_zero() && !stop.is_raised() {
            let piece = wait.min(BEAT);
            self.endpoint.socket.pause(piece, stop);
            self.beating.store(true, Relaxed);
            wait -= piece;
        }
        Ok(())
    }

    /// Counts a receive error, if it is one, and returns its class.
    fn tell(&self, error: &io::Error) -> ErrorClass {
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
const ENOUGH: usize = 128 * Batch::CAPACITY;

/// For how long at the most a worker that is told to stop answers what is there already.
const DRAIN: Duration = Duration::from_secs(1);

/// Every how many rounds the system's count of drops is looked at, lest it comes round unseen.
const DROPS_CHECK: u32 = 1024;

#[cfg(test)]
mod tests;

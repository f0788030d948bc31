pub(crate) mod plan;
mod state;

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use hello_measure::{Counts, Ledger};
use hello_proto::{MAX_NAME_LEN, Token};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::SendFlags;

use self::plan::{ProbeError, ProbeEvent, ProbeEventKind, ProbePlan};
use self::state::State;
use crate::clock::{ClockSample, TimestampMapper};
use crate::stop_flags::StopFlags;
use crate::sys::latch::Latch;
use crate::sys::options::Fragmentation;
use crate::thread::join;
use crate::udp::batch::RecvBatch;
use crate::udp::datagram_socket::DatagramSocket;
use crate::udp::error_class::{ErrorClass, is_from_earlier_send};
use crate::udp::recv_backoff::RecvBackoff;
use crate::udp::{reply_socket, socket};
use crate::{requester, sys};

/// Sends probes to one server at fixed times, whether it answers or not, and knows what became of
/// each.
///
/// Probe k is due at the start and k intervals, so that no error of a timer adds up, and no slow
/// answer puts off the next probe. Two threads share a [`Ledger`]: one sends, the other receives.
/// A reply's time is the system's, where that tells it (SO_TIMESTAMPNS, socket(7)): it does not
/// matter when the thread gets to it. For a second after somebody set the system's clock, it is
/// when the thread gets to it. The time that the machine is suspended for does not count.
#[derive(Debug)]
pub struct Prober {
    server: SocketAddr,
    plan: ProbePlan,
    flows: Vec<SourcePort>,
    flags: StopFlags,
    started: AtomicBool,
    /// When the last probe was sent.
    done: OnceLock<Duration>,
    /// Raised when that is so, for the receiver to see it.
    sent_all: Latch,
}

/// One source port.
#[derive(Debug)]
struct SourcePort {
    sending: UdpSocket,
    receiving: Box<dyn DatagramSocket>,
}

/// Notes when sending ended, however it ended, so that the receiver does not wait for more.
struct DoneOnDrop<'a>(&'a Prober);

impl Drop for DoneOnDrop<'_> {
    fn drop(&mut self) {
        self.0.done.get_or_init(sys::monotonic);
        self.0.sent_all.raise();
    }
}

/// Ends the other thread if this one panics, as an observer may make it.
struct AbortOnPanic<'a>(&'a Prober);

impl Drop for AbortOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.abort();
        }
    }
}

impl Prober {
    /// Opens a port for each flow, and sends nothing yet.
    ///
    /// # Errors
    ///
    /// [`ProbeError::NameLength`] or [`ProbeError::Interval`] if the plan makes no sense,
    /// [`ProbeError::Connect`] if a port cannot be had, or the server cannot be reached from here.
    pub fn new(server: SocketAddr, plan: ProbePlan) -> Result<Self, ProbeError> {
        let len = plan.name_len;
        if !(Token::MIN_LEN..=MAX_NAME_LEN).contains(&len) {
            return Err(ProbeError::NameLength { len, min: Token::MIN_LEN, max: MAX_NAME_LEN });
        }
        if plan.interval.is_zero() || plan.timeout.is_zero() {
            return Err(ProbeError::Interval);
        }
        let open = |_| SourcePort::open(server, &plan);
        let flows = (0..plan.flows.get()).map(open).collect::<io::Result<_>>();
        let flows = flows.map_err(|source| ProbeError::Connect { server, source })?;
        let latches = StopFlags::new().and_then(|flags| Ok((flags, Latch::new()?)));
        let (flags, sent_all) = latches.map_err(ProbeError::Wake)?;
        let (started, done) = (AtomicBool::new(false), OnceLock::new());
        Ok(Self { server, plan, flows, flags, started, done, sent_all })
    }

    /// Sends all probes, and then waits until each is answered or lost. Shows each event to
    /// `observe`, which is to be quick: no probe is sent before it returns.
    ///
    /// Returns how much there was of everything. A prober runs once; a second run sends nothing.
    ///
    /// # Errors
    ///
    /// [`ProbeError::Receive`] if a socket of our own is broken, [`ProbeError::Thread`] if there is
    /// no thread for the receiver.
    pub fn run(&self, observe: impl FnMut(&ProbeEvent<'_>) + Send) -> Result<Counts, ProbeError> {
        if self.started.swap(true, Relaxed) {
            return Ok(Counts::default());
        }
        let first = Token { run_id: requester::run_id(), seq: 0 };
        let ledger = Ledger::new(first, self.window(), self.plan.timeout);
        let start = sys::monotonic();
        let state = Mutex::new(State {
            start,
            ledger,
            largest_rtt: None,
            timestamps: TimestampMapper::default(),
            next: 0,
            flows: self.plan.flows,
            observe,
        });
        thread::scope(|scope| {
            let builder = thread::Builder::new();
            let receiver = builder.spawn_scoped(scope, || {
                let _abort = AbortOnPanic(self);
                // Without a receiver there is nothing to send for.
                self.receive_all(&state).inspect_err(|_| self.stop())
            });
            let receiver = receiver.map_err(ProbeError::Thread)?;
            let (abort, done) = (AbortOnPanic(self), DoneOnDrop(self));
            self.send_all(&state);
            drop((done, abort));
            join(receiver)
        })?;
        let counts = lock(&state).ledger.counts();
        Ok(counts)
    }

    /// Makes [`run`](Self::run) send no more probes, and return when it has waited for those in
    /// flight: for three times the longest round trip so far, and for the timeout at the most; not
    /// at all, if none was ever answered.
    pub fn stop(&self) {
        self.flags.stop.raise();
    }

    /// Makes [`run`](Self::run) send no more probes, and return at once, whatever is in flight.
    pub fn abort(&self) {
        self.flags.abort();
    }

    /// Returns who is asked.
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    /// Returns the address of each flow's port.
    pub fn local_addrs(&self) -> impl Iterator<Item = SocketAddr> {
        self.flows.iter().filter_map(|flow| flow.sending.local_addr().ok())
    }

    /// Returns how many probes the ledger is to know: those that a timeout spans, and as many again
    /// to tell late replies and duplicates by.
    fn window(&self) -> NonZeroU32 {
        let spanned = self.plan.timeout.as_nanos() / self.plan.interval.as_nanos();
        let window = u32::try_from(2 * spanned + 2).unwrap_or(u32::MAX);
        NonZeroU32::new(window.clamp(SMALLEST_WINDOW, LARGEST_WINDOW)).unwrap_or(NonZeroU32::MAX)
    }

    fn send_all<O: FnMut(&ProbeEvent<'_>)>(&self, state: &Mutex<State<O>>) {
        let _punctual = sys::set_timer_slack();
        let start = lock(state).start;
        let mut name = vec![0; self.plan.name_len];
        // How many were sent, or passed over, without a wait in between.
        let mut at_once = 0_u64;
        for k in 0..self.plan.count.unwrap_or(u64::MAX) {
            let due = start + nanos(self.plan.interval.as_nanos() * u128::from(k));
            at_once = if sys::monotonic() < due { 0 } else { at_once + 1 };
            if !self.sleep_until(due) {
                return;
            }
            let held_up = if at_once < MAX_BURST { MAX_LATENESS } else { Duration::ZERO };
            let too_late = due.saturating_add(self.plan.interval.max(held_up));
            lock(state).send_due(due, too_late, &self.flows, &mut name);
        }
    }

    /// Sleeps until a probe is due; returns whether it is still to be sent.
    fn sleep_until(&self, due: Duration) -> bool {
        loop {
            if self.flags.stop.is_raised() {
                return false;
            }
            let now = sys::monotonic();
            if now >= due {
                return true;
            }
            // A stop ends a sleep of this kind, but a sleep of the other kind is punctual.
            let left = due - now;
            if left > PRECISE_WAKE_UP {
                self.flags.stop.sleep(left - PRECISE_WAKE_UP);
            } else {
                sys::sleep_until(due);
            }
        }
    }

    fn receive_all<O: FnMut(&ProbeEvent<'_>)>(
        &self,
        state: &Mutex<State<O>>,
    ) -> Result<(), ProbeError> {
        let (mut batch, mut backoff) = (RecvBatch::new(), RecvBackoff::default());
        let mut ready = vec![true; self.flows.len()];
        let drops = |flow: &SourcePort| flow.receiving.drops().unwrap_or_default();
        let mut dropped = Vec::from_iter(self.flows.iter().map(drops));
        loop {
            // What came before this moment is received before anything is lost at it, also if we
            // were held up since.
            let moment = ClockSample::now();
            let now = moment.now;
            let (over, timeout) = {
                let mut state = lock(state);
                state.timestamps.update(moment);
                (self.is_over(&state, now), state.ledger.poll_timeout())
            };
            let all = over || timeout.is_some_and(|timeout| timeout <= now);
            for (number, flow) in self.flows.iter().enumerate() {
                // A flood on many flows takes long to receive, and a run that is to end has no time.
                if self.is_out_of_time(state) {
                    break;
                }
                if all || ready[number] {
                    let (what, until) = ((number, flow), (now, all));
                    self.receive(what, until, state, &mut batch, &mut backoff)?;
                }
                if all {
                    // Told before the losses that may come of it. The count has 32 bits only.
                    let now = drops(flow);
                    let fresh = now.wrapping_sub(std::mem::replace(&mut dropped[number], now));
                    lock(state).report_dropped(number, fresh);
                }
            }
            let (timeout, ended) = {
                let mut state = lock(state);
                (state.settle(now), self.is_over(&state, now))
            };
            match (over, ended) {
                (true, _) => return Ok(()),
                (false, true) => continue,
                (false, false) => {}
            }
            if self.plan.interval < COALESCE && cfg!(target_os = "linux") {
                thread::sleep(COALESCE.min(self.plan.interval.saturating_mul(MAX_COALESCED)));
            }
            let wait =
                timeout.map_or(LONGEST_WAIT, |timeout| timeout.saturating_sub(sys::monotonic()));
            self.wait(wait.min(LONGEST_WAIT), &mut ready);
        }
    }

    /// Receives what was there at `now`; all of it, or as much as one call brings. What comes meanwhile
    /// may go on for ever, and is for the next round.
    fn receive<O: FnMut(&ProbeEvent<'_>)>(
        &self,
        (number, flow): (usize, &SourcePort),
        (now, all): (Duration, bool),
        state: &Mutex<State<O>>,
        batch: &mut RecvBatch,
        backoff: &mut RecvBackoff,
    ) -> Result<(), ProbeError> {
        for _ in 0..MAX_BATCHES {
            match flow.receiving.receive(batch, false) {
                Ok(()) => {
                    *backoff = RecvBackoff::default();
                    let latest = lock(state).handle(batch, number);
                    // Nobody waits for the rest, or it came later.
                    if !all || latest > now || self.flags.abort.is_raised() {
                        return Ok(());
                    }
                }
                Err(error) => {
                    let class = ErrorClass::of(&error);
                    match class {
                        ErrorClass::WouldBlock => return Ok(()),
                        // A report about one probe: the next call has another, or a reply.
                        _ if is_from_earlier_send(&error) => {}
                        _ => {
                            let server = self.server;
                            let broken = ProbeError::Receive { server, source: error };
                            let wait = backoff.wait(class, Instant::now()).ok_or(broken)?;
                            self.latch().sleep(wait);
                        }
                    }
                    lock(state).notify(
                        sys::monotonic(),
                        number,
                        ProbeEventKind::SocketError(class),
                    );
                }
            }
        }
        Ok(())
    }

    /// Returns what ends every wait of the receiver: the end of sending, and behind that an abort.
    fn latch(&self) -> &Latch {
        if self.sent_all.is_raised() { &self.flags.abort } else { &self.sent_all }
    }

    /// Delays until something can be received, and notes from which flows.
    fn wait(&self, timeout: Duration, ready: &mut [bool]) {
        let ports = self.flows.iter().map(|flow| PollFd::new(&flow.sending, PollFlags::IN));
        let mut polled = Vec::from_iter(ports.chain([self.latch().poll_fd()]));
        let limit = Timespec::try_from(timeout).ok();
        if poll(&mut polled, limit.as_ref()).is_err() {
            // A system that cannot wait for us keeps us no busier than this.
            thread::sleep(timeout.min(Duration::from_millis(1)));
        }
        for (ready, polled) in ready.iter_mut().zip(&polled) {
            *ready = !polled.revents().is_empty();
        }
    }

    /// Tells whether nothing more is to be waited for.
    fn is_over<O>(&self, state: &State<O>, now: Duration) -> bool {
        self.done.get().is_some() && state.ledger.counts().in_flight() == 0
            || self.has_waited_enough(state.largest_rtt, now)
    }

    /// Tells whether a run that is to end has no time to receive any more.
    fn is_out_of_time<O>(&self, state: &Mutex<State<O>>) -> bool {
        let stopping = self.flags.stop.is_raised() && self.done.get().is_some();
        stopping && {
            // A flood moves this by no more than a batch.
            let largest_rtt = lock(state).largest_rtt;
            self.has_waited_enough(largest_rtt, sys::monotonic().saturating_sub(LONGEST_WAIT))
        }
    }

    fn has_waited_enough(&self, largest_rtt: Option<Duration>, now: Duration) -> bool {
        let stopping = self.flags.stop.is_raised();
        let most = requester::drain_timeout(stopping, largest_rtt, self.plan.timeout);
        let done = self.done.get().copied();
        done.is_some_and(|done| self.flags.abort.is_raised() || now >= done.saturating_add(most))
    }
}

impl SourcePort {
    fn open(server: SocketAddr, plan: &ProbePlan) -> io::Result<Self> {
        let socket = socket::connect_from(plan.source, plan.interface.as_deref(), server)?;
        let sending = socket.try_clone()?;
        let receiving =
            reply_socket::open(socket, Fragmentation::SystemDefault, &mut RecvBatch::new())?;
        Ok(Self { sending, receiving })
    }

    fn send(&self, name: &[u8]) -> io::Result<()> {
        rustix::net::send(&self.sending, name, SendFlags::DONTWAIT)?;
        Ok(())
    }
}

fn lock<O>(state: &Mutex<State<O>>) -> MutexGuard<'_, State<O>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn nanos(nanos: u128) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// For how long before a probe is due a stop may go unnoticed.
const PRECISE_WAKE_UP: Duration = Duration::from_millis(10);

/// How long the receiver waits at most before it looks whether the run is over.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// A probe that is later than this, and than an interval, is not sent any more.
const MAX_LATENESS: Duration = Duration::from_secs(1);

/// How many probes make up for lost time at once. More would lose some of each other, and wait for
/// each other: a loss and round-trip times of our own making.
const MAX_BURST: u64 = 64;

/// Replies that come faster than that are received some at a time, which saves a wakeup for most of
/// them. It changes no time where that is the system's.
const COALESCE: Duration = Duration::from_millis(1);

/// And how many, about: the smallest receive buffer holds more.
const MAX_COALESCED: u32 = 64;

/// In how many batches a socket can surely be emptied: its receive buffer holds fewer datagrams.
const MAX_BATCHES: usize = 256;

/// What a ledger remembers at least, in probes.
const SMALLEST_WINDOW: u32 = 1024;

/// And at the most: 64 MiB.
const LARGEST_WINDOW: u32 = 1 << 22;

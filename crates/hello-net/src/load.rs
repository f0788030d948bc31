pub(crate) mod event;
pub(crate) mod plan;
mod schedule;
mod source_sockets;
mod tracker;
mod usage;
mod worker;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use self::event::{GeneratorUsage, LoadEvent};
use self::plan::{LoadError, LoadPlan, Pacing};
use self::source_sockets::SourceSockets;
use self::worker::LoadWorker;
use crate::stop_flags::StopFlags;
use crate::thread::join;
use crate::{requester, sys};

/// Offers a load to one server, and knows what became of each request.
///
/// In an open loop, request k is due at its time, whether the server keeps up or not, and how late
/// it left is known; so no slow answer hides how many others would have been slow (coordinated
/// omission). In a closed loop the server says how fast it goes.
///
/// Each thread sends, receives and keeps a [`Ledger`](hello_measure::Ledger) of its own. It knows
/// each reply by its [`Token`](hello_proto::Token), which is all of the name, so that every byte of
/// every reply is compared. When a reply came, the system says, where it does (SO_TIMESTAMPNS,
/// socket(7)).
#[derive(Debug)]
pub struct LoadGenerator {
    server: SocketAddr,
    plan: LoadPlan,
    flags: StopFlags,
    /// The sources of each thread, until it takes them.
    sources: Mutex<Vec<SourceSockets>>,
}

/// Sees what happens to the requests of one thread.
pub trait Observer {
    /// Sees one event. No request is sent before it returns.
    fn observe(&mut self, event: &LoadEvent<'_>);
}

impl LoadGenerator {
    /// For how long before a request is due a thread asks for the time again and again
    /// ([`WaitStrategy::Wait`]).
    pub const SPIN: Duration = Duration::from_micros(50);

    /// How late a request of an open loop may leave, or by an interval, if that is longer. What is
    /// later is not sent ([`NotSent::Late`](crate::prober::plan::NotSent::Late)): a generator that was held
    /// up would catch up by a burst, and measure that.
    pub const MAX_LATENESS: Duration = Duration::from_millis(10);

    /// Opens the sockets, and sends nothing yet.
    ///
    /// # Errors
    ///
    /// What [`LoadPlan::check`] reports; [`LoadError::Connect`] if a port cannot be had, or the
    /// server cannot be reached from here.
    pub fn new(server: SocketAddr, plan: LoadPlan) -> Result<Self, LoadError> {
        plan.check(server)?;
        let (all, threads) = (plan.sources.count(), u32::from(plan.threads.get()));
        // Those of thread i, so that no two differ by more than one in number.
        let part = |i: u32| -> Range<u32> {
            let start = |i: u32| i * (all / threads) + i.min(all % threads);
            start(i)..start(i + 1)
        };
        let open = |i| SourceSockets::open(server, &plan, part(i));
        let sources = (0..threads).map(open).collect::<Result<_, _>>();
        let sources = Mutex::new(sources.map_err(|source| LoadError::Connect { server, source })?);
        let flags = StopFlags::new().map_err(LoadError::Wake)?;
        Ok(Self { server, plan, flags, sources })
    }

    /// Offers the whole load, and then waits until each request is answered or lost. What has come
    /// too often by then is seen, too. Shows each event after the warm-up to the observer of its
    /// thread, which is locked meanwhile.
    ///
    /// A loader runs once; a second run sends nothing.
    ///
    /// # Errors
    ///
    /// [`LoadError::Send`] if the very first message cannot be sent, [`LoadError::Receive`] if a
    /// socket of our own is broken, [`LoadError::Thread`] if a thread cannot be had.
    ///
    /// # Panics
    ///
    /// If there are not as many observers as threads.
    pub fn run<O: Observer + Send>(
        &self,
        observers: &[Mutex<O>],
    ) -> Result<GeneratorUsage, LoadError> {
        let mut sources =
            std::mem::take(&mut *self.sources.lock().unwrap_or_else(PoisonError::into_inner));
        if sources.is_empty() {
            return Ok(GeneratorUsage::default());
        }
        assert_eq!(observers.len(), sources.len(), "each thread has its observer");
        let usages = thread::scope(|scope| {
            let iovecs = (0..).zip(&mut sources).zip(observers);
            let run = requester::run_id();
            let workers = iovecs.map(|((thread, sources), observer)| {
                LoadWorker::new(self, run, thread, sources, observer)
            });
            // All memory is had before anything is due, and all threads are there.
            let workers = Vec::from_iter(workers);
            let start = sys::monotonic() + SPAWNING * u32::from(self.plan.threads.get() - 1);
            let mut threads = Vec::with_capacity(workers.len());
            for worker in workers {
                let run = move || {
                    let _stop = StopOnPanic(self);
                    worker.run(start).inspect_err(|_| self.abort())
                };
                let spawned = thread::Builder::new().spawn_scoped(scope, run);
                threads.push(spawned.map_err(|error| {
                    self.abort();
                    LoadError::Thread(error)
                })?);
            }
            threads.into_iter().map(join).collect::<Result<Vec<_>, _>>()
        })?;
        let number = u32::from(self.plan.threads.get());
        Ok(GeneratorUsage {
            measured: usages.iter().map(|usage| usage.measured).max().unwrap_or_default(),
            processor_time: usages.iter().map(|usage| usage.processor_time).sum(),
            busy: usages.iter().map(|usage| usage.busy).sum::<Duration>() / number,
            stalled: usages.iter().map(|usage| usage.stalled).sum::<Duration>() / number,
            dropped: sources.iter().map(SourceSockets::dropped).sum(),
        })
    }

    /// Makes [`run`](Self::run) send no more requests, and return when it has waited for those in
    /// flight: for three times the longest round trip so far, and for the timeout at the most; not
    /// at all, if none was ever answered.
    pub fn stop(&self) {
        self.flags.stop.raise();
    }

    /// Makes [`run`](Self::run) send no more requests, and return soon, whatever is in flight.
    pub fn abort(&self) {
        self.flags.abort();
    }

    /// Returns who is asked.
    pub fn server(&self) -> SocketAddr {
        self.server
    }
}

/// Ends the other threads if one panics, lest they go on alone.
struct StopOnPanic<'a>(&'a LoadGenerator);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.abort();
        }
    }
}

/// Returns how many requests the ledger of each thread is to know: those that may be in flight, and
/// as many again to tell late replies and duplicates by.
fn window(plan: &LoadPlan) -> NonZeroU32 {
    let spanned = |rate| {
        let spanned = u128::from(rate).saturating_mul(plan.timeout.as_nanos()) / 1_000_000_000;
        spanned / u128::from(plan.threads.get())
    };
    let in_flight = match plan.offer {
        // Beside one that is not answered, the others go on until its timeout is over.
        Pacing::Closed { outstanding } => {
            let quickest = QUICKEST * u64::from(plan.train.get());
            u128::from(outstanding.get()) + spanned(quickest) / 2
        }
        Pacing::Open { rate, .. } => spanned(rate.get()),
    };
    // Nor more than there will ever be.
    let all = plan.count.filter(|_| plan.warm_up.is_zero()).map_or(u128::MAX, u128::from);
    let window = u32::try_from(2 * in_flight.min(all)).unwrap_or(u32::MAX);
    NonZeroU32::new(window.clamp(SMALLEST_WINDOW, LARGEST_WINDOW)).unwrap_or(NonZeroU32::MAX)
}

/// Returns from what one thread, counted from 0, draws.
fn seed_of(seed: u64, thread: u16) -> u64 {
    // Far apart: what one thread draws, no other one does with a seed nearby.
    seed ^ u64::from(thread) << 48
}

/// How many messages a second a closed loop hardly gets beyond.
const QUICKEST: u64 = 1_000_000;

/// How long it takes to start a thread, and more.
const SPAWNING: Duration = Duration::from_micros(100);

/// What a ledger remembers at least, in requests.
const SMALLEST_WINDOW: u32 = 4096;

/// And at the most: 160 MiB.
const LARGEST_WINDOW: u32 = 1 << 22;

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, UdpSocket};

    use hello_measure::ReplyKind;
    use hello_proto::Request;

    use super::event::LoadEventKind;
    use super::*;
    use crate::udp::batch::RecvBatch;

    /// Is the server, too: it has answered a request several times before the generator goes on.
    struct Repeating {
        server: UdpSocket,
        answered: usize,
        duplicates: usize,
    }

    const TIMES: usize = 2 * RecvBatch::CAPACITY + 1;

    impl Observer for Repeating {
        fn observe(&mut self, event: &LoadEvent<'_>) {
            match event.kind {
                LoadEventKind::Sent { .. } => {
                    let mut name = [0; 16];
                    let (len, client) = self.server.recv_from(&mut name).expect("a request");
                    let reply = Request::new(&name[..len]).expect("short").reply();
                    for _ in 0..TIMES {
                        self.server.send_to(&reply.parts().concat(), client).expect("room");
                    }
                    // What was sent before this one, is there when this one is.
                    let here = self.server.local_addr().expect("bound");
                    self.server.send_to(b"Tracy", here).expect("room");
                    self.server.recv_from(&mut name).expect("our own");
                }
                LoadEventKind::Answered { .. } => self.answered += 1,
                LoadEventKind::Other { arrival: ReplyKind::Duplicate { .. }, .. } => {
                    self.duplicates += 1;
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn what_is_there_when_the_last_request_is_answered_is_told_of() {
        let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = server.local_addr().expect("bound");
        let plan = LoadPlan { count: Some(1), ..LoadPlan::default() };
        let loader = LoadGenerator::new(address, plan).expect("a plan that makes sense");
        let observer = Mutex::new(Repeating { server, answered: 0, duplicates: 0 });
        loader.run(std::slice::from_ref(&observer)).expect("sent");
        let Repeating { answered, duplicates, .. } = observer.into_inner().expect("no panic");
        assert_eq!((answered, duplicates), (1, TIMES - 1));
    }
}

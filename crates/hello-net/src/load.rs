pub(crate) mod builder;
pub(crate) mod contact;
pub(crate) mod error;
pub(crate) mod event;
mod event_slices;
pub(crate) mod plan;
mod reply_pace;
mod schedule;
mod source_sockets;
mod tracker;
mod usage;
mod worker;

use std::net::SocketAddr;
use std::ops::Range;
use std::thread;
use std::time::Duration;

use self::contact::Contact;
use self::error::LoadError;
use self::event::{GeneratorUsage, LoadEvent};
use self::plan::LoadPlan;
use self::source_sockets::SourceSockets;
use self::worker::{LoadWorker, Shared};
use crate::requester;
use crate::stopper::{AbortOnPanic, Stopper};
use crate::sys::{self, BorrowedSocket};
use crate::thread::join;

/// Offers a load to one server, and reports what became of each request.
///
/// In an open loop, request k is due at its time, whether the server keeps up or not, and the
/// generator reports how late it left. A slow reply therefore does not hide how many others would
/// have been slow (coordinated omission). In a closed loop the server sets the pace.
///
/// Each thread sends, receives and keeps a [`Ledger`](hello_measure::Ledger) of its own. It
/// recognises each reply by its [`Token`](hello_proto::Token), which fills the name, so every byte
/// of every reply is compared. The time of a reply is the kernel's timestamp, where the back end has
/// one (SO_TIMESTAMPNS, socket(7)).
///
/// ```
/// # #[cfg(all(feature = "server", feature = "load"))]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::net::Ipv4Addr;
/// use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
///
/// use hello_net::{LoadEventKind, LoadGenerator, Server};
///
/// let server = Server::builder().bind([(Ipv4Addr::LOCALHOST, 0).into()])?;
/// let address = server.local_addrs().next().expect("one");
/// let generator = LoadGenerator::builder().count(1000).connect(address)?;
/// let answered = AtomicU64::new(0);
/// let run = || {
///     generator.run(|events| {
///         let is_answer = |kind| matches!(kind, LoadEventKind::Answered { .. });
///         let answers = events.iter().filter(|event| is_answer(event.kind)).count();
///         answered.fetch_add(answers as u64, Relaxed);
///     })
/// };
/// server.serve_while(|_event| (), run)??;
/// assert_eq!(answered.into_inner(), 1000);
/// # Ok(())
/// # }
/// # #[cfg(not(all(feature = "server", feature = "load")))]
/// # fn main() {}
/// ```
#[derive(Debug)]
pub struct LoadGenerator {
    server: SocketAddr,
    plan: LoadPlan,
    stopper: Stopper,
    contact: Contact,
    /// The sources of each thread.
    sources: Vec<SourceSockets>,
}

impl LoadGenerator {
    /// The time that a thread busy-waits before a request is due
    /// ([`WaitStrategy::Wait`](plan::WaitStrategy::Wait)).
    pub const SPIN: Duration = plan::SPIN;

    /// The latest that a request of an open loop may leave, unless an interval is longer. A later
    /// one is not sent ([`NotSent::Late`](requester::NotSent::Late)): a generator that was held up
    /// would catch up by a burst, and measure that.
    pub const MAX_LATENESS: Duration = plan::MAX_LATENESS;

    /// Opens the sockets of a plan that was checked.
    pub(crate) fn open(server: SocketAddr, plan: LoadPlan) -> Result<Self, LoadError> {
        let (all, threads) = (plan.sources.count(), u32::from(plan.threads.get()));
        // Those of thread i, so that no two differ by more than one in number.
        let part = |i: u32| -> Range<u32> {
            let start = |i: u32| i * (all / threads) + i.min(all % threads);
            start(i)..start(i + 1)
        };
        let open = |i| SourceSockets::open(server, &plan, part(i));
        let sources = (0..threads).map(open).collect::<Result<_, _>>();
        let sources = sources.map_err(|source| LoadError::Connect { server, source })?;
        let stopper = Stopper::new().map_err(LoadError::Wake)?;
        Ok(Self { server, plan, stopper, contact: Contact::new(), sources })
    }

    /// Offers the whole load, and waits until each request is answered or lost. Duplicates that
    /// have arrived by then are also reported. A [stop](Stopper::stop) ends only the sending, an
    /// [abort](Stopper::abort) also the wait; both do so in the warm-up, too.
    ///
    /// Each thread shows its events after the warm-up to `observe`, in order, and in slices: what
    /// one system call caused, or a part of it. So an observer that keeps one recorder for each
    /// [`thread`](LoadEvent::thread) locks it once for many events. No slice is empty, and all events
    /// of a slice are of one thread, which sends nothing before `observe` returns.
    ///
    /// # Errors
    ///
    /// [`LoadError::Send`] if the very first message cannot be sent, [`LoadError::Receive`] if a
    /// socket of our own is broken, [`LoadError::Thread`] if a thread cannot be started.
    ///
    /// A generator runs once:
    ///
    /// ```compile_fail,E0382
    /// # fn run(generator: hello_net::LoadGenerator) -> Result<(), hello_net::LoadError> {
    /// generator.run(|_events| ())?;
    /// generator.run(|_events| ())?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn run(
        self,
        observe: impl Fn(&[LoadEvent<'_>]) + Sync,
    ) -> Result<GeneratorUsage, LoadError> {
        let Self { server, plan, stopper, contact, mut sources } = self;
        let (plan, stopper, contact) = (&plan, &stopper, &contact);
        let shared = Shared { server, plan, stopper, contact, observe: &observe };
        let usages = thread::scope(|scope| {
            let run_id = requester::run_id();
            let workers = (0..).zip(&mut sources);
            let workers =
                workers.map(|(thread, sources)| LoadWorker::new(shared, run_id, thread, sources));
            // All memory is allocated before anything is due, and all threads are there.
            let workers = Vec::from_iter(workers);
            let start = sys::monotonic() + SPAWNING * u32::from(plan.threads.get() - 1);
            let mut threads = Vec::with_capacity(workers.len());
            for worker in workers {
                let run = move || {
                    let _abort = AbortOnPanic(stopper);
                    worker.run(start).inspect_err(|_| stopper.abort())
                };
                let spawned = thread::Builder::new().spawn_scoped(scope, run);
                threads.push(spawned.map_err(|error| {
                    stopper.abort();
                    LoadError::Thread(error)
                })?);
            }
            threads.into_iter().map(join).collect::<Result<Vec<_>, _>>()
        })?;
        let number = u32::from(plan.threads.get());
        Ok(GeneratorUsage {
            measured: usages.iter().map(|usage| usage.measured).max().unwrap_or_default(),
            processor_time: usages.iter().map(|usage| usage.processor_time).sum(),
            busy: usages.iter().map(|usage| usage.busy).sum::<Duration>() / number,
            stalled: usages.iter().map(|usage| usage.stalled).sum::<Duration>() / number,
            dropped: sources.iter().map(SourceSockets::dropped).sum(),
        })
    }

    /// Returns what ends the run.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Returns what reports, during the run, whether the server has answered.
    pub fn contact(&self) -> Contact {
        self.contact.clone()
    }

    /// Returns the plan.
    pub fn plan(&self) -> &LoadPlan {
        &self.plan
    }

    /// Returns the address of the server.
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    /// Yields each socket, for options that [`LoadBuilder`](builder::LoadBuilder) does not have.
    pub fn sockets(&self) -> impl Iterator<Item = BorrowedSocket<'_>> {
        self.sources.iter().flat_map(SourceSockets::sockets)
    }
}

/// The time to start a thread, and more.
const SPAWNING: Duration = Duration::from_micros(100);

#[cfg(test)]
mod tests;

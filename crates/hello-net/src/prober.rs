pub(crate) mod builder;
pub(crate) mod event;
pub(crate) mod mtu;
pub(crate) mod plan;
mod receiver;
mod run;
mod sender;
mod source_port;
mod state;
pub(crate) mod trace_handle;
mod tracing;

use std::net::SocketAddr;
use std::thread;

use hello_measure::Counts;

use self::event::ProbeEvent;
use self::plan::{ProbeError, ProbePlan};
use self::run::Run;
use self::source_port::SourcePort;
use self::trace_handle::TraceHandle;
use crate::requester;
use crate::stopper::{AbortOnPanic, Stopper};
use crate::sys::latch::Latch;
use crate::sys::{self, BorrowedSocket, Poller};
use crate::thread::join;

/// Sends probes to one server on an absolute schedule, whether it answers or not, and reports what
/// became of each.
///
/// Probe k is due k intervals after the start, so that no error of a timer adds up, and no slow
/// reply delays the next probe. Two threads share a [`Ledger`](hello_measure::Ledger): one sends,
/// the other receives. The time of a reply is the kernel's timestamp, where the back end has one
/// (SO_TIMESTAMPNS, socket(7)): it does not matter when the thread is scheduled. For a second after
/// the system's clock was set, the time is when the thread receives the reply. Time that the
/// machine is suspended does not count.
///
/// ```
/// # #[cfg(all(feature = "server", feature = "probe"))]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::net::Ipv4Addr;
/// use std::time::Duration;
///
/// use hello_net::{Prober, Server};
///
/// let server = Server::builder().bind([(Ipv4Addr::LOCALHOST, 0).into()])?;
/// let address = server.local_addrs().next().expect("one");
/// let builder = Prober::builder().count(5).interval(Duration::from_millis(1));
/// let prober = builder.connect(address)?;
/// let counts = server.serve_while(|_event| (), || prober.run(|_event| ()))??;
/// assert_eq!((counts.sent, counts.answered), (5, 5));
/// # Ok(())
/// # }
/// # #[cfg(not(all(feature = "server", feature = "probe")))]
/// # fn main() {}
/// ```
#[derive(Debug)]
pub struct Prober {
    server: SocketAddr,
    /// The run's number in each token.
    run_id: u16,
    plan: ProbePlan,
    ports: Vec<SourcePort>,
    poller: Poller,
    stopper: Stopper,
    traces: TraceHandle,
    /// Raised once no more probes are sent.
    sent_all: Latch,
}

impl Prober {
    /// Opens a port for each flow of a plan that was checked.
    pub(crate) fn open(server: SocketAddr, plan: ProbePlan) -> Result<Self, ProbeError> {
        let cannot_connect = |source| ProbeError::Connect { server, source };
        let open = |_| SourcePort::open(server, &plan);
        let ports = (0..plan.flows.get()).map(open).collect::<Result<Vec<_>, _>>();
        let ports = ports.map_err(cannot_connect)?;
        let queues_errors = |port: &SourcePort| sys::queue_errors(port.socket()).is_ok();
        if plan.trace.is_some() && !ports.iter().all(queues_errors) {
            return Err(ProbeError::Trace);
        }
        let poller = Poller::new(ports.iter().map(SourcePort::socket)).map_err(cannot_connect)?;
        let stopper = Stopper::new().map_err(ProbeError::Wake)?;
        let sent_all = Latch::new().map_err(ProbeError::Wake)?;
        let (traces, run_id) = (TraceHandle::default(), requester::run_id());
        Ok(Self { server, run_id, plan, ports, poller, stopper, traces, sent_all })
    }

    /// Sends all probes, waits until each is answered or lost and each requested trace is complete, and
    /// returns the counts. A
    /// [stop](Stopper::stop) ends only the sending, an [abort](Stopper::abort) also the wait.
    ///
    /// Each event is shown to `observe` by the thread where it happened: those about sending by the
    /// calling thread, all others by the receiving one. The events of one thread come in order, and
    /// [`Sent`](event::ProbeEventKind::Sent) of a probe returns before any other event of that probe
    /// is shown, unless the run is aborted. Apart from that, events of the two threads overlap;
    /// their times tell their order.
    ///
    /// No lock is held meanwhile, so an observer that is slow at replies delays no probe. One that
    /// is slow at `Sent` delays the next probe. One that waits there for the reply waits
    /// forever.
    ///
    /// # Errors
    ///
    /// [`ProbeError::Receive`] if a socket of our own is broken, [`ProbeError::Thread`] if no thread
    /// for the receiver can be started.
    ///
    /// # Examples
    ///
    /// Loss and the median of ten probes:
    ///
    /// ```
    /// # #[cfg(feature = "server")]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::net::Ipv4Addr;
    /// use std::sync::Mutex;
    /// use std::time::{Duration, Instant};
    ///
    /// use hello_net::hello_measure::Record;
    /// use hello_net::{Prober, Server};
    ///
    /// let server = Server::builder().bind([(Ipv4Addr::LOCALHOST, 0).into()])?;
    /// let address = server.local_addrs().next().ok_or("no address")?;
    /// let prober = Prober::builder().count(10).interval(Duration::from_millis(2)).connect(address)?;
    /// let (record, start) = (Mutex::new(Record::new()), Instant::now());
    ///
    /// // The outer error is the server's, the inner one the prober's.
    /// server.serve_while(|_event| (), || {
    ///     prober.run(|event| event.record_in(&mut record.lock().expect("no panic")))
    /// })??;
    ///
    /// let summary = record.into_inner()?.summary(start.elapsed());
    /// assert_eq!((summary.sent, summary.answered, summary.loss), (10, 10, Some(0.0)));
    /// let p50 = summary.rtt_ms.and_then(|rtt| rtt.p50).ok_or("too few replies")?;
    /// println!("p50 {p50} ms");
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "server"))]
    /// # fn main() {}
    /// ```
    ///
    /// A prober runs once:
    ///
    /// ```compile_fail,E0382
    /// # fn run(prober: hello_net::Prober) -> Result<(), hello_net::ProbeError> {
    /// prober.run(|_event| ())?;
    /// prober.run(|_event| ())?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn run(self, observe: impl Fn(&ProbeEvent<'_>) + Sync) -> Result<Counts, ProbeError> {
        let (run, stopper) = (Run::new(&self, observe), &self.stopper);
        thread::scope(|scope| {
            let builder = thread::Builder::new();
            let receiver = builder.spawn_scoped(scope, || {
                let _abort = AbortOnPanic(stopper);
                // Without a receiver there is nothing to send for.
                run.receive_all().inspect_err(|_| stopper.stop())
            });
            let receiver = receiver.map_err(ProbeError::Thread)?;
            {
                let (_abort, _sent_all) = (AbortOnPanic(stopper), run.sent_all_on_drop());
                run.send_all(receiver.thread());
            }
            join(receiver)
        })?;
        Ok(run.counts())
    }

    /// Returns what ends the run.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Returns what traces flows; `None` if the plan has no traces.
    pub fn trace_handle(&self) -> Option<TraceHandle> {
        self.plan.trace.is_some().then(|| self.traces.clone())
    }

    /// Returns the plan.
    pub fn plan(&self) -> &ProbePlan {
        &self.plan
    }

    /// Returns the number of this run, which the [`Token`](hello_proto::Token) of each probe contains.
    pub fn run_id(&self) -> u16 {
        self.run_id
    }

    /// Returns the address of the server.
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    /// Yields the address of each flow's port.
    pub fn local_addrs(&self) -> impl Iterator<Item = SocketAddr> {
        self.ports.iter().filter_map(|port| port.socket().local_addr().ok())
    }

    /// Yields each flow's socket, for options that [`ProberBuilder`](builder::ProberBuilder) does
    /// not have.
    pub fn sockets(&self) -> impl Iterator<Item = BorrowedSocket<'_>> {
        self.ports.iter().map(|port| sys::borrow(port.socket()))
    }
}

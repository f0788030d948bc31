mod answer;
pub(crate) mod builder;
mod classify;
pub(crate) mod counters;
mod encode;
pub(crate) mod event;
#[cfg(test)]
mod fixtures;
mod flows;
mod listener;
pub(crate) mod rate_limit;
pub(crate) mod settle;
mod transmit;
mod worker;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, Scope, ScopedJoinHandle};

use hello_proto::Guard;
use thiserror::Error;

use self::counters::ServerCounters;
use self::event::ServerEvent;
use self::listener::Listener;
use self::worker::ServerWorker;
use crate::stopper::Stopper;
use crate::sys::BorrowedSocket;
use crate::sys::xdp_error::XdpError;
use crate::thread::join;
use crate::xdp::{driver::Driver, interface::XdpInterface};
use crate::zoned_addr::ZonedAddr;

/// Answers requests on one or more addresses, and counts the outcome of each datagram.
///
/// ```
/// use std::net::UdpSocket;
///
/// use hello_net::Server;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::builder().bind([([127, 0, 0, 1], 0).into()])?;
/// let address = server.local_addrs().next().expect("one");
/// let ask = || {
///     let socket = UdpSocket::bind("127.0.0.1:0")?;
///     socket.send_to(b"Tracy", address)?;
///     let mut reply = [0; 64];
///     let len = socket.recv(&mut reply)?;
///     std::io::Result::Ok(reply[..len].to_vec())
/// };
/// let reply = server.serve_while(|event| println!("{event:?}"), ask)??;
/// assert_eq!(reply, b"Hello, Tracy!");
/// assert_eq!(server.counters().answered(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Server {
    guard: Guard,
    addresses: Vec<SocketAddr>,
    listeners: Vec<Arc<Listener>>,
    workers: Vec<ServerWorker>,
    stopper: Stopper,
    driver: Option<Driver>,
}

impl Server {
    /// The default size of the receive buffer, in bytes: room for 10,000 short datagrams.
    pub const RECEIVE_BUFFER: usize = listener::RECEIVE_BUFFER;

    /// The default size of the send buffer, in bytes.
    pub const SEND_BUFFER: usize = listener::SEND_BUFFER;

    /// Makes a server of bound sockets.
    pub(crate) fn new(
        guard: Guard,
        addresses: Vec<SocketAddr>,
        listeners: Vec<Arc<Listener>>,
        workers: Vec<ServerWorker>,
    ) -> io::Result<Self> {
        let stopper = Stopper::new()?;
        // Before the server is usable, because descriptors may have run out later.
        workers.iter().try_for_each(|worker| worker.waiter(stopper.stop_latch()).map(drop))?;
        Ok(Self { guard, addresses, listeners, workers, stopper, driver: None })
    }

    /// Answers in drivers, too.
    pub(crate) fn with_driver(self, driver: Option<Driver>) -> Self {
        Self { driver, ..self }
    }

    /// Answers until a [`Stopper`] ends it, and shows every datagram to `observe` when its outcome
    /// is known, or those that [`ServerBuilder::events`] selects.
    ///
    /// [`ServerBuilder::events`]: builder::ServerBuilder::events
    ///
    /// Each bound address is served by threads of its own. The thread that received a datagram
    /// calls `observe`, and receives nothing more before that returns.
    ///
    /// # Errors
    ///
    /// [`ServerError::Receive`] if a socket is broken: nothing but errors for several seconds.
    /// [`ServerError::Thread`] if a thread cannot be started. The whole server is then stopped.
    pub fn serve(&self, observe: impl Fn(&ServerEvent<'_>) + Sync) -> Result<(), ServerError> {
        if self.is_stopped() { Ok(()) } else { self.run(observe) }
    }

    /// Answers while `during` runs, and stops when that ends, however it ends. When no thread
    /// answers any more, for an error or because it was stopped, `observe` is dropped, so `during`
    /// can wait for that.
    ///
    /// # Errors
    ///
    /// As [`serve`](Self::serve).
    pub fn serve_while<T>(
        &self,
        observe: impl Fn(&ServerEvent<'_>) + Send + Sync,
        during: impl FnOnce() -> T,
    ) -> Result<T, ServerError> {
        if self.is_stopped() {
            return Ok(during());
        }
        thread::scope(|scope| {
            let serving = spawn(scope, || self.run(observe))?;
            let stop = StopOnDrop(self);
            let result = during();
            drop(stop);
            join(serving).map(|()| result)
        })
    }

    /// Returns what ends [`serve`](Self::serve). A stop wakes each thread, which then answers what
    /// waits in its socket.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Returns whether every thread serves: it has its memory and its socket, and completed its
    /// loop once.
    pub fn is_serving(&self) -> bool {
        self.workers.iter().all(ServerWorker::has_started)
    }

    /// Returns whether every thread has made progress since the last call, or waits for a datagram
    /// or after an error: the liveness signal for a watchdog.
    pub fn check_liveness(&self) -> bool {
        let all = self.workers.iter().all(ServerWorker::made_progress);
        if all {
            self.workers.iter().for_each(ServerWorker::clear_progress);
        }
        all
    }

    /// Yields the bound addresses in the order given, with the ports that the system chose for port
    /// 0.
    pub fn local_addrs(&self) -> impl Iterator<Item = SocketAddr> {
        self.addresses.iter().copied()
    }

    /// Returns the size of each socket's receive buffer, in bytes, as the system reports it; the
    /// smallest, if they differ.
    ///
    /// Linux doubles the size that is set, to have room for its own bookkeeping (SO_RCVBUF,
    /// socket(7)).
    pub fn receive_buffer(&self) -> usize {
        self.listeners.iter().map(|listener| listener.receive_buffer()).min().unwrap_or(0)
    }

    /// Returns the size of each socket's send buffer, likewise (SO_SNDBUF, socket(7)).
    pub fn send_buffer(&self) -> usize {
        self.listeners.iter().map(|listener| listener.send_buffer()).min().unwrap_or(0)
    }

    /// Yields each bound socket, for options that [`ServerBuilder`](builder::ServerBuilder) does
    /// not have.
    pub fn sockets(&self) -> impl Iterator<Item = BorrowedSocket<'_>> {
        self.listeners.iter().map(|listener| listener.socket.socket())
    }

    /// Returns the counters so far, over all addresses.
    pub fn counters(&self) -> ServerCounters {
        // Drops are read last: received and dropped datagrams together are then never fewer than
        // those sent before this call.
        let workers = Vec::from_iter(self.workers.iter().map(ServerWorker::counters));
        let dropped = self.listeners.iter().map(|listener| listener.dropped()).sum();
        let driver = self.driver.as_ref().map(Driver::counters);
        ServerCounters::sum(workers.into_iter(), dropped).with_driver(driver)
    }

    /// Returns the network interfaces in whose drivers requests are answered
    /// ([`ServerBuilder::xdp`]), as they are now.
    ///
    /// [`ServerBuilder::xdp`]: builder::ServerBuilder::xdp
    pub fn xdp_interfaces(&self) -> Vec<XdpInterface> {
        self.driver.as_ref().map(Driver::interfaces).unwrap_or_default()
    }

    /// Gives up CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON, which were needed to answer in drivers, for this
    /// thread and those that it starts later, so call it before others are started. Without interfaces
    /// to answer in, it does nothing.
    ///
    /// # Errors
    ///
    /// [`XdpError::GiveUp`] if the system refuses it, [`XdpError::Map`] if it needs CAP_BPF even to read
    /// the counters.
    pub fn give_up_xdp_capabilities(&self) -> Result<(), XdpError> {
        self.driver.as_ref().map_or(Ok(()), Driver::give_up_capabilities)
    }

    /// Answers until a stop, and then what waits, even if the stop came first.
    fn run(&self, observe: impl Fn(&ServerEvent<'_>) + Sync) -> Result<(), ServerError> {
        thread::scope(|scope| {
            let mut threads = Vec::new();
            for worker in &self.workers {
                let run = || {
                    let _others = StopOnDrop(self);
                    let (address, result) =
                        (worker.local(), worker.run(&self.guard, &self.stopper, &observe));
                    result.map_err(|source| ServerError::Receive { address, source })
                };
                threads.push(spawn(scope, run).inspect_err(|_| self.stopper.stop())?);
            }
            if let Some(driver) = &self.driver {
                let run = || {
                    driver.watch(self.stopper.stop_latch());
                    Ok(())
                };
                threads.push(spawn(scope, run).inspect_err(|_| self.stopper.stop())?);
            }
            threads.into_iter().try_for_each(join)
        })
    }

    fn is_stopped(&self) -> bool {
        self.stopper.is_stopped()
    }
}

/// Why a server cannot be bound, or stopped serving: a socket of our own does not work.
///
/// ```
/// use hello_net::{Server, ServerError};
///
/// let error = Server::builder().bind([([192, 0, 2, 1], 9999).into()]).unwrap_err();
/// assert!(matches!(error, ServerError::Bind { .. }), "no address of ours");
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServerError {
    /// There is no address to serve.
    #[error("no address to bind")]
    NoAddress,
    /// An address could not be bound.
    #[error("cannot bind {}", ZonedAddr(*address))]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// A socket that somebody else bound cannot be served.
    #[error("cannot serve the socket at {}", ZonedAddr(*address))]
    Adopt {
        /// The address it is bound to.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// Requests cannot be answered in drivers.
    #[error("cannot answer in drivers")]
    Xdp(#[source] XdpError),
    /// The system has no pairs of sockets, by which a stop wakes the threads.
    #[error("cannot open socket pairs for wake-ups")]
    Wake(#[source] io::Error),
    /// A thread could not be started.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// A bound socket failed repeatedly.
    #[error("cannot receive at {}", ZonedAddr(*address))]
    Receive {
        /// The bound address.
        address: SocketAddr,
        /// The system's last error.
        source: io::Error,
    },
}

fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    run: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>, ServerError> {
    thread::Builder::new().spawn_scoped(scope, run).map_err(ServerError::Thread)
}

/// Stops the server however its thread ends, so that the others do not serve on alone.
struct StopOnDrop<'a>(&'a Server);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.stopper.stop();
    }
}

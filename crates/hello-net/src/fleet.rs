pub(crate) mod builder;
pub(crate) mod event;
mod family_socket;
pub(crate) mod handle;
pub(crate) mod plan;
mod run;
mod state;
mod target;

use std::net::SocketAddr;

use self::event::FleetEvent;
use self::family_socket::FamilySocket;
use self::handle::FleetHandle;
use self::plan::{FleetError, FleetPlan};
use self::run::Run;
use self::state::State;
use crate::requester;
use crate::stopper::Stopper;
use crate::sys::Poller;
use crate::udp::socket_error::SocketError;

/// Sends probes to thousands of servers from one thread and one socket for each address family, and
/// counts what became of them.
///
/// Probe k to a target is due k intervals after its first, as a [`Prober`](crate::prober::Prober)'s are,
/// whether it answers or not. First probes are spread over the interval. Due probes and replies are
/// handled together, up to 20 milliseconds at a time, which saves most of the processor time; round-trip
/// times are as exact as before, because they start when a probe is sent and end at the kernel's
/// timestamp of its reply, where the back end has one.
///
/// Each target has its own token, ledger and schedule: one that is unreachable, or that the system cannot
/// send to, delays no other. A reply counts only if it comes from the address that the probe was sent
/// to.
///
/// ```
/// # #[cfg(all(feature = "server", feature = "probe"))]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::net::Ipv4Addr;
/// use std::time::Duration;
///
/// use hello_net::{Fleet, Server};
///
/// let server = Server::builder().bind([(Ipv4Addr::LOCALHOST, 0).into()])?;
/// let address = server.local_addrs().next().expect("one");
/// let fleet = Fleet::builder().count(2).interval(Duration::from_millis(50)).open()?;
/// let handle = fleet.handle();
/// let targets = [handle.add(address)?, handle.add(address)?];
/// server.serve_while(|_event| (), || fleet.run(|_event| ()))??;
/// for target in targets {
///     let counts = handle.record(target).ok_or("it was added")?.counts();
///     assert_eq!((counts.sent, counts.answered), (2, 2));
/// }
/// # Ok(())
/// # }
/// # #[cfg(not(all(feature = "server", feature = "probe")))]
/// # fn main() {}
/// ```
#[derive(Debug)]
pub struct Fleet {
    plan: FleetPlan,
    handle: FleetHandle,
    /// For IPv4 and for IPv6; why there is none, if there is not.
    sockets: [Result<FamilySocket, SocketError>; 2],
    poller: Poller,
    stopper: Stopper,
}

impl Fleet {
    /// The most targets of a fleet.
    pub const MAX_TARGETS: usize = 32_768;

    /// Opens the sockets for a plan that was checked.
    fn open(plan: FleetPlan) -> Result<Self, FleetError> {
        let sockets = match FamilySocket::open_all(&plan) {
            [Err(v4), Err(v6)] => {
                let is_v6_only = plan.source.is_some_and(|source| source.is_ipv6());
                return Err(FleetError::Open(if is_v6_only { v6 } else { v4 }));
            }
            sockets => sockets.map(|socket| socket.map_err(|error| SocketError::of(&error))),
        };
        let opened = sockets.iter().flatten().map(FamilySocket::socket);
        let poller = Poller::new(opened).map_err(FleetError::Open)?;
        let stopper = Stopper::new().map_err(FleetError::Wake)?;
        let handle = FleetHandle::new(State::new(&plan, requester::run_id()));
        Ok(Self { plan, handle, sockets, poller, stopper })
    }

    /// Sends probes to all targets until each has as many as the plan has, or until a stop, and waits
    /// until each is answered or lost. Without an end in the plan, it runs until a
    /// [stop](Stopper::stop), even without targets; an [abort](Stopper::abort) also ends the wait.
    ///
    /// `observe` sees each target that becomes unreachable or answers again. One that is slow delays
    /// probes.
    ///
    /// # Errors
    ///
    /// [`FleetError::Receive`] if a socket of our own is broken.
    pub fn run(self, observe: impl FnMut(&FleetEvent)) -> Result<(), FleetError> {
        Run::new(&self, observe).run()
    }

    /// Returns what changes and shows the targets.
    pub fn handle(&self) -> FleetHandle {
        self.handle.clone()
    }

    /// Returns what ends the run.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Returns the plan.
    pub fn plan(&self) -> &FleetPlan {
        &self.plan
    }

    /// Yields the address of each socket.
    pub fn local_addrs(&self) -> impl Iterator<Item = SocketAddr> {
        self.opened().filter_map(|opened| opened.socket().local_addr().ok())
    }

    /// Yields the sockets, in the order of the poller.
    fn opened(&self) -> impl Iterator<Item = &FamilySocket> {
        self.sockets.iter().flatten()
    }
}

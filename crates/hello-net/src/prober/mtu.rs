pub(crate) mod event;
mod run;

use std::io;
use std::net::{SocketAddr, UdpSocket};

use hello_measure::{MtuOutcome, MtuPlan};

use self::event::MtuEvent;
use self::run::Run;
use super::builder::ProberBuilder;
use super::plan::{ProbeError, ProbePlan};
use crate::stopper::Stopper;
use crate::sys;
use crate::sys::fragmentation::{Fragmentation, PathMtuDiscovery};
use crate::sys::socket;

/// Searches for the longest packet that the path to a server takes in one piece.
///
/// It sends one probe of a size, waits for its reply, an ICMP error or the timeout, and goes on as
/// [`MtuSearch`](hello_measure::MtuSearch) says. All probes leave from one port, so they take one path
/// of a network that spreads flows. The system sends them with the don't-fragment bit, and disregards
/// what it knows about the path (IP_PMTUDISC_PROBE, ip(7)).
///
/// Only Linux has what it needs.
///
/// ```
/// # #[cfg(all(feature = "server", feature = "probe", target_os = "linux"))]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::net::Ipv4Addr;
///
/// use hello_net::hello_measure::MtuLimit;
/// use hello_net::hello_proto::Guard;
/// use hello_net::{MtuProber, Prober, Server};
///
/// let guard = Guard::new().with_max_name_len(65_499);
/// let builder = Server::builder().guard(guard);
/// let server = builder.bind([(Ipv4Addr::LOCALHOST, 0).into()])?;
/// let address = server.local_addrs().next().expect("one");
/// let prober = MtuProber::connect(&Prober::builder(), address)?;
/// let outcome = server.serve_while(|_event| (), || prober.run(|_event| ()))??;
/// // The loopback takes the longest name.
/// assert_eq!((outcome.passed, outcome.limit), (Some(65_527), MtuLimit::Max));
/// # Ok(())
/// # }
/// # #[cfg(not(all(feature = "server", feature = "probe", target_os = "linux")))]
/// # fn main() {}
/// ```
#[derive(Debug)]
pub struct MtuProber {
    server: SocketAddr,
    options: ProbePlan,
    plan: MtuPlan,
    socket: UdpSocket,
    stopper: Stopper,
}

impl MtuProber {
    /// Opens a port. Sends nothing yet.
    ///
    /// Of the options of a prober, the timeout, the kind of the server, the source address, the
    /// interface, the mark and the TTL have an effect.
    ///
    /// # Errors
    ///
    /// The errors of [`ProberBuilder::connect`]; [`ProbeError::Connect`] also on a system that cannot
    /// search.
    pub fn connect(options: &ProberBuilder, server: SocketAddr) -> Result<Self, ProbeError> {
        let options = options.checked_plan()?;
        let open = || -> io::Result<UdpSocket> {
            let socket =
                socket::connect_from(options.source, options.interface.as_deref(), server)?;
            Fragmentation::Chosen(PathMtuDiscovery::Probe).apply(&socket)?;
            options.packet.apply(&socket, server)?;
            // Without it, most ICMP errors would not be known to be about one probe.
            sys::queue_errors(&socket)?;
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        let socket = open().map_err(|source| ProbeError::Connect { server, source })?;
        let stopper = Stopper::new().map_err(ProbeError::Wake)?;
        let is_ipv4 = server.ip().to_canonical().is_ipv4();
        let plan = if is_ipv4 { MtuPlan::ipv4() } else { MtuPlan::ipv6() };
        let plan = MtuPlan { link_mtu: sys::known_path_mtu(&socket, server), ..plan };
        Ok(Self { server, options, plan, socket, stopper })
    }

    /// Searches until the result is certain, and returns it. A [stop](Stopper::stop) ends the search,
    /// whose limit is then [`Open`](hello_measure::MtuLimit::Open).
    ///
    /// Each event is shown to `observe` when it happens.
    ///
    /// # Errors
    ///
    /// [`ProbeError::Receive`] if our own socket is broken.
    pub fn run(self, observe: impl FnMut(&MtuEvent)) -> Result<MtuOutcome, ProbeError> {
        Run::new(&self, observe).search()
    }

    /// Returns what ends the search.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Returns the sizes of the search.
    pub fn plan(&self) -> &MtuPlan {
        &self.plan
    }

    /// Returns the address of the server.
    pub fn server(&self) -> SocketAddr {
        self.server
    }
}

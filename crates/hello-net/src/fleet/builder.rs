use std::net::IpAddr;
use std::time::Duration;

use hello_proto::Peer;

use super::Fleet;
use super::plan::{FleetError, FleetPlan};
use crate::packet_options::PacketOptions;
use crate::udp::backend::Backend;

impl Fleet {
    /// Returns a builder of a fleet whose targets get a probe each second without end.
    pub fn builder() -> FleetBuilder {
        FleetBuilder::default()
    }
}

/// Options of a [`Fleet`].
///
/// ```
/// use std::time::Duration;
///
/// use hello_net::Fleet;
///
/// let fleet = Fleet::builder().interval(Duration::from_secs(10)).count(6).open()?;
/// assert!(fleet.local_addrs().count() <= 2, "a port for each address family");
/// # Ok::<(), hello_net::FleetError>(())
/// ```
#[derive(Clone, Debug)]
pub struct FleetBuilder {
    plan: FleetPlan,
}

impl FleetBuilder {
    /// Sets the time from one probe of a target to its next; a second by default.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.plan.interval = interval;
        self
    }

    /// Sets the number of probes to each target; `None`, the default, for no end.
    #[must_use]
    pub fn count(mut self, count: impl Into<Option<u64>>) -> Self {
        self.plan.count = count.into();
        self
    }

    /// Sets for how long probes are sent; `None`, the default, for no end.
    #[must_use]
    pub fn duration(mut self, duration: impl Into<Option<Duration>>) -> Self {
        self.plan.duration = duration.into();
        self
    }

    /// Sets after how long an unanswered probe is lost; a second by default.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.plan.timeout = timeout;
        self
    }

    /// Sets the kind of the servers, and so what a correct reply is; Hello servers by default.
    #[must_use]
    pub fn peer(mut self, peer: Peer) -> Self {
        self.plan.peer = peer;
        self
    }

    /// Sets the length of each name, in bytes: [`Token::MIN_LEN`](hello_proto::Token::MIN_LEN) at
    /// least, and twice that by default.
    #[must_use]
    pub fn name_len(mut self, name_len: usize) -> Self {
        self.plan.name_len = name_len;
        self
    }

    /// Sets the source address, and with it the only address family; `None`, the default, for the
    /// system's choice.
    #[must_use]
    pub fn source(mut self, source: impl Into<Option<IpAddr>>) -> Self {
        self.plan.source = source.into();
        self
    }

    /// Sets the interface that probes leave by (SO_BINDTODEVICE, socket(7)); `None`, the default,
    /// for the routes' choice.
    #[must_use]
    pub fn interface(mut self, interface: impl Into<Option<String>>) -> Self {
        self.plan.interface = interface.into();
        self
    }

    /// Sets what the IP headers of the probes have, such as their mark; the system's choice by
    /// default. [`Backend::Portable`] cannot set a mark.
    #[must_use]
    pub fn packet(mut self, packet: PacketOptions) -> Self {
        self.plan.packet = packet;
        self
    }

    /// Sets the system calls that send and receive. With [`Backend::Portable`], the time of a reply is
    /// when this process receives it, and each reply wakes it.
    #[must_use]
    pub fn backend(mut self, backend: Backend) -> Self {
        self.plan.backend = backend;
        self
    }

    /// Opens a socket for each address family that the system has. Sends nothing yet.
    ///
    /// # Errors
    ///
    /// [`FleetError::NameLength`] or [`FleetError::Interval`] if an option is out of range,
    /// [`FleetError::Open`] if no socket can be opened, or the system does not have one of the
    /// [`PacketOptions`].
    pub fn open(self) -> Result<Fleet, FleetError> {
        self.plan.check()?;
        Fleet::open(self.plan)
    }
}

impl Default for FleetBuilder {
    fn default() -> Self {
        Self { plan: FleetPlan::DEFAULT }
    }
}

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::time::Duration;

use hello_measure::TracePlan;
use hello_proto::Peer;

use super::Prober;
use super::plan::{ProbeError, ProbePlan};
use crate::packet_options::PacketOptions;
use crate::udp::backend::Backend;

impl Prober {
    /// Returns a builder of a prober that sends a probe each second without end, from one port.
    pub fn builder() -> ProberBuilder {
        ProberBuilder::default()
    }
}

/// Options of a [`Prober`].
///
/// ```
/// use std::time::Duration;
///
/// use hello_net::Prober;
///
/// let builder = Prober::builder()
///     .interval(Duration::from_millis(20))
///     .count(100)
///     .flows(4.try_into().expect("not zero"));
/// let prober = builder.connect(([127, 0, 0, 1], 9999).into())?;
/// assert_eq!(prober.local_addrs().count(), 4);
/// # Ok::<(), hello_net::ProbeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct ProberBuilder {
    plan: ProbePlan,
}

impl ProberBuilder {
    /// Sets the time from one probe to the next; a second by default.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.plan.interval = interval;
        self
    }

    /// Sets the number of probes in all; `None`, the default, for no end.
    #[must_use]
    pub fn count(mut self, count: impl Into<Option<u64>>) -> Self {
        self.plan.count = count.into();
        self
    }

    /// Sets after how long an unanswered probe is lost; a second by default.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.plan.timeout = timeout;
        self
    }

    /// Sets the kind of the server, and so what a correct reply is; a Hello server by default.
    #[must_use]
    pub fn peer(mut self, peer: Peer) -> Self {
        self.plan.peer = peer;
        self
    }

    /// Sets the length of each name, in bytes: [`Token::MIN_LEN`](hello_proto::Token::MIN_LEN) at
    /// least, and twice that by default. From there on, no single changed byte turns a reply into
    /// one to another probe.
    #[must_use]
    pub fn name_len(mut self, name_len: usize) -> Self {
        self.plan.name_len = name_len;
        self
    }

    /// Sets the number of source ports, which take turns; one by default.
    #[must_use]
    pub fn flows(mut self, flows: NonZeroU16) -> Self {
        self.plan.flows = flows;
        self
    }

    /// Sets the source address; `None`, the default, for the system's choice.
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
    /// default.
    #[must_use]
    pub fn packet(mut self, packet: PacketOptions) -> Self {
        self.plan.packet = packet;
        self
    }

    /// Sets the system calls that receive. With [`Backend::Portable`], the time of a reply is when
    /// this process receives it, and not the kernel's.
    #[must_use]
    pub fn backend(mut self, backend: Backend) -> Self {
        self.plan.backend = backend;
        self
    }

    /// Lets a [`TraceHandle`](super::trace_handle::TraceHandle) trace paths, from the flows' own ports;
    /// `None`, the default, for no traces. The probes of a trace have names of the same length. Only
    /// Linux can.
    #[must_use]
    pub fn trace(mut self, trace: impl Into<Option<TracePlan>>) -> Self {
        self.plan.trace = trace.into();
        self
    }

    /// Opens the ports. Sends nothing yet.
    ///
    /// # Errors
    ///
    /// [`ProbeError::NameLength`] or [`ProbeError::Interval`] if an option is out of range,
    /// [`ProbeError::Connect`] if a port cannot be opened, no route leads to the server, or the system
    /// does not have one of the [`PacketOptions`], [`ProbeError::Trace`] if paths are to be traced and
    /// the system cannot.
    pub fn connect(self, server: SocketAddr) -> Result<Prober, ProbeError> {
        let plan = self.checked_plan()?;
        Prober::open(server, plan)
    }

    /// Returns the plan, if it has no error.
    pub(super) fn checked_plan(&self) -> Result<ProbePlan, ProbeError> {
        self.plan.check()?;
        Ok(self.plan.clone())
    }
}

impl Default for ProberBuilder {
    fn default() -> Self {
        Self { plan: ProbePlan::DEFAULT }
    }
}

use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::ops::RangeInclusive;
use std::time::Duration;

use hello_proto::Peer;

use super::LoadGenerator;
use super::error::LoadError;
use super::plan::{LoadPlan, Pacing, Sources, WaitStrategy};
use crate::packet_options::PacketOptions;
use crate::udp::backend::Backend;

impl LoadGenerator {
    /// Returns a builder of a load of 64 requests outstanding for ten seconds, from one port.
    pub fn builder() -> LoadBuilder {
        LoadBuilder::default()
    }
}

/// Options of a [`LoadGenerator`].
///
/// ```
/// use std::time::Duration;
///
/// use hello_net::{ArrivalProcess, LoadGenerator, Pacing};
///
/// let server = ([127, 0, 0, 1], 9999).into();
/// let builder = LoadGenerator::builder().duration(Duration::from_secs(2));
/// for rate in [1000, 2000] {
///     let (rate, arrivals) = (rate.try_into().expect("not zero"), ArrivalProcess::Constant);
///     let trial = builder.clone().pacing(Pacing::Open { rate, arrivals });
///     assert_eq!(trial.check(server)?.duration, Duration::from_secs(2));
/// }
/// # Ok::<(), hello_net::LoadError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadBuilder {
    plan: LoadPlan,
}

impl LoadBuilder {
    /// Sets when the next request is due; 64 outstanding by default.
    #[must_use]
    pub fn pacing(mut self, pacing: Pacing) -> Self {
        self.plan.pacing = pacing;
        self
    }

    /// Sets how long requests are due, after the warm-up; ten seconds by default.
    #[must_use]
    pub fn duration(mut self, duration: Duration) -> Self {
        self.plan.duration = duration;
        self
    }

    /// Sets the most requests that are due after the warm-up; `None`, the default, for as many as
    /// there is time for.
    #[must_use]
    pub fn count(mut self, count: impl Into<Option<u64>>) -> Self {
        self.plan.count = count.into();
        self
    }

    /// Sets how long requests are sent before that, without events; not at all by default.
    #[must_use]
    pub fn warm_up(mut self, warm_up: Duration) -> Self {
        self.plan.warm_up = warm_up;
        self
    }

    /// Sets after how long an unanswered request is lost; a second by default.
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

    /// Sets the length of each name, in bytes: drawn from these for each message, uniformly. From
    /// [`Token::MIN_LEN`](hello_proto::Token::MIN_LEN) up; 16 by default.
    #[must_use]
    pub fn name_len(mut self, name_len: RangeInclusive<usize>) -> Self {
        self.plan.name_len = name_len;
        self
    }

    /// Sets the number of requests in a message (UDP_SEGMENT, udp(7)): they leave as one, and are
    /// due at once. Up to [`LoadPlan::MAX_TRAIN`]; one by default.
    #[must_use]
    pub fn train(mut self, train: NonZeroU16) -> Self {
        self.plan.train = train;
        self
    }

    /// Sets whether replies that left as one message are received as one (UDP_GRO, udp(7)), as by
    /// default. If not, the system segments them, on the loopback at the server's expense, as for
    /// most clients.
    #[must_use]
    pub fn gro(mut self, gro: bool) -> Self {
        self.plan.gro = gro;
        self
    }

    /// Sets where messages are sent from, in turn; one port by default.
    #[must_use]
    pub fn sources(mut self, sources: Sources) -> Self {
        self.plan.sources = sources;
        self
    }

    /// Sets the number of threads, each with its part of the sources; one by default.
    #[must_use]
    pub fn threads(mut self, threads: NonZeroU16) -> Self {
        self.plan.threads = threads;
        self
    }

    /// Sets what a thread does while nothing is due and nothing arrived.
    #[must_use]
    pub fn wait_strategy(mut self, wait_strategy: WaitStrategy) -> Self {
        self.plan.wait_strategy = wait_strategy;
        self
    }

    /// Seeds what is drawn: the same plan draws the same lengths and times.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.plan.seed = seed;
        self
    }

    /// Sets what the IP headers of the messages have, such as their mark; the system's choice by
    /// default.
    #[must_use]
    pub fn packet(mut self, packet: PacketOptions) -> Self {
        self.plan.packet = packet;
        self
    }

    /// Sets the system calls that send and receive. With [`Backend::Portable`], the time of a reply
    /// is when this process receives it, and not the kernel's.
    #[must_use]
    pub fn backend(mut self, backend: Backend) -> Self {
        self.plan.backend = backend;
        self
    }

    /// Checks the options for a server, and returns the plan. Opens no socket.
    ///
    /// # Errors
    ///
    /// [`LoadError::NameLength`], [`Train`](LoadError::Train), [`Timeout`](LoadError::Timeout),
    /// [`Rate`](LoadError::Rate), [`NotLoopback`](LoadError::NotLoopback),
    /// [`TooManyAddresses`](LoadError::TooManyAddresses) or [`Threads`](LoadError::Threads) if an
    /// option is out of range, or options do not go together.
    pub fn check(&self, server: SocketAddr) -> Result<LoadPlan, LoadError> {
        self.plan.check(server)?;
        Ok(self.plan.clone())
    }

    /// Opens the sockets. Sends nothing yet.
    ///
    /// # Errors
    ///
    /// What [`check`](Self::check) reports; [`LoadError::Connect`] if a port cannot be opened, no route
    /// leads to the server, or the system or the [`Backend`] does not have one of the
    /// [`PacketOptions`]: [`Backend::Portable`] sends no marks.
    pub fn connect(self, server: SocketAddr) -> Result<LoadGenerator, LoadError> {
        self.plan.check(server)?;
        LoadGenerator::open(server, self.plan)
    }
}

impl Default for LoadBuilder {
    fn default() -> Self {
        Self { plan: LoadPlan::DEFAULT }
    }
}

use std::net::SocketAddr;
use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};
use std::ops::RangeInclusive;
use std::time::Duration;

use hello_proto::{MAX_DATAGRAM_LEN, MAX_NAME_LEN, Peer, Token};

use super::error::LoadError;
use crate::packet_options::PacketOptions;
use crate::sys::transmit::Transmit;
use crate::udp::backend::Backend;

/// A checked plan: how much load a [`LoadGenerator`](crate::load::LoadGenerator) offers, for how
/// long, and from where.
///
/// A [`LoadBuilder`](crate::load::builder::LoadBuilder) makes it.
///
/// ```
/// use std::time::Duration;
///
/// use hello_net::{LoadGenerator, Sources};
///
/// let plan = LoadGenerator::builder().check(([127, 0, 0, 1], 9999).into())?;
/// assert_eq!(plan.duration, Duration::from_secs(10));
/// assert_eq!(plan.sources.count(), 1);
/// # Ok::<(), hello_net::LoadError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadPlan {
    /// When the next request is due.
    pub pacing: Pacing,
    /// The time during which requests are due, after the warm-up.
    pub duration: Duration,
    /// The most requests that are due after the warm-up; `None` for as many as there is time for.
    pub count: Option<u64>,
    /// The time during which requests are sent before that, without events.
    pub warm_up: Duration,
    /// The time after which an unanswered request is lost.
    pub timeout: Duration,
    /// The kind of the server.
    pub peer: Peer,
    /// The length of each name, in bytes: drawn from these for each message, uniformly.
    pub name_len: RangeInclusive<usize>,
    /// The number of requests in a message (UDP_SEGMENT, udp(7)): they leave as one, and are due at
    /// once.
    pub train: NonZeroU16,
    /// Whether replies that left as one message are received as one (UDP_GRO, udp(7)).
    pub gro: bool,
    /// Where messages are sent from, in turn.
    pub sources: Sources,
    /// The number of threads, each with its part of the sources.
    pub threads: NonZeroU16,
    /// What a thread does while nothing is due and nothing arrived.
    pub wait_strategy: WaitStrategy,
    /// Seeds what is drawn: the same plan draws the same lengths and times.
    pub seed: u64,
    /// What the IP headers of the messages have.
    pub packet: PacketOptions,
    /// The system calls that send and receive.
    pub backend: Backend,
}

/// When the next request is due.
///
/// ```
/// use hello_net::{ArrivalProcess, Pacing};
///
/// let open = Pacing::Open {
///     rate: 10_000.try_into().expect("not zero"),
///     arrivals: ArrivalProcess::Poisson,
/// };
/// # assert_ne!(open, Pacing::Closed { outstanding: 1.try_into().expect("not zero") });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pacing {
    /// When another one is answered or lost, so that as many as this are outstanding all the time:
    /// the server sets the pace. One is outstanding until the generator has seen its reply. At a
    /// quick server on the loopback, it looks for a quarter of the replies at once.
    Closed {
        /// The number of requests, of all threads together.
        outstanding: NonZeroU32,
    },
    /// At its time, regardless of replies.
    Open {
        /// Requests per second.
        rate: NonZeroU64,
        /// The distribution of the times.
        arrivals: ArrivalProcess,
    },
}

/// The distribution of the times of an open loop.
///
/// ```
/// use hello_net::ArrivalProcess;
///
/// assert_eq!(ArrivalProcess::default(), ArrivalProcess::Constant);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ArrivalProcess {
    /// Message k is due k intervals after the start.
    #[default]
    Constant,
    /// Gaps are exponentially distributed (a Poisson process), as from many independent clients.
    Poisson,
}

/// Where messages are sent from.
///
/// ```
/// use hello_net::Sources;
///
/// assert_eq!(Sources::Ports(4.try_into().expect("not zero")).count(), 4);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sources {
    /// This number of ports, each of a socket of its own.
    Ports(NonZeroU32),
    /// This number of addresses of 127.0.0.0/8, from 127.0.0.1 on, and one port for each thread.
    /// The server must also be in that network.
    Addresses(NonZeroU32),
}

/// What a thread does while nothing is due and nothing arrived.
///
/// ```
/// use hello_net::{LoadGenerator, WaitStrategy};
///
/// let builder = LoadGenerator::builder().wait_strategy(WaitStrategy::Spin);
/// # assert!(builder.check(([127, 0, 0, 1], 9999).into()).is_ok());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WaitStrategy {
    /// It sleeps until a reply arrives. For the last
    /// [`LoadGenerator::SPIN`](crate::load::LoadGenerator::SPIN) before a request is due it
    /// busy-waits, because timer wake-ups are late by about as much.
    #[default]
    Wait,
    /// It busy-polls its sockets: no reply has to wake it, and it takes a whole processor.
    Spin,
    /// It sleeps this long, and polls its sockets only then: the system neither records readiness
    /// nor wakes the thread, and requests may be late by that time.
    Sleep(Duration),
}

impl LoadPlan {
    /// The most requests in a message.
    pub const MAX_TRAIN: u16 = 64;

    /// The most requests per second: one each nanosecond, since no two times are closer.
    pub const MAX_RATE: u64 = 1_000_000_000;

    /// 64 requests outstanding for ten seconds, from one port.
    pub(super) const DEFAULT: Self = Self {
        pacing: Pacing::Closed { outstanding: NonZeroU32::MIN.saturating_add(63) },
        duration: Duration::from_secs(10),
        count: None,
        warm_up: Duration::ZERO,
        timeout: Duration::from_secs(1),
        peer: Peer::Hello,
        name_len: 2 * Token::MIN_LEN..=2 * Token::MIN_LEN,
        train: NonZeroU16::MIN,
        gro: true,
        sources: Sources::Ports(NonZeroU32::MIN),
        threads: NonZeroU16::MIN,
        wait_strategy: WaitStrategy::Wait,
        seed: 0,
        packet: PacketOptions::DEFAULT,
        backend: Backend::Native,
    };

    /// Returns what is wrong with the plan for a server.
    pub(super) fn check(&self, server: SocketAddr) -> Result<(), LoadError> {
        let (&shortest, &longest) = (self.name_len.start(), self.name_len.end());
        let (min, max) = (Token::MIN_LEN, MAX_NAME_LEN);
        if shortest < min || longest > max || self.name_len.is_empty() {
            return Err(LoadError::NameLength { shortest, longest, min, max });
        }
        let most = (MAX_DATAGRAM_LEN / longest).min(Transmit::MAX_SEGMENTS);
        let train = self.train.get();
        if usize::from(train) > most {
            return Err(LoadError::Train { train, longest, most });
        }
        if self.timeout.is_zero() {
            return Err(LoadError::Timeout);
        }
        match self.pacing {
            Pacing::Open { rate, .. } if rate.get() > Self::MAX_RATE => {
                return Err(LoadError::Rate { rate: rate.get(), most: Self::MAX_RATE });
            }
            _ => {}
        }
        match self.sources {
            Sources::Addresses(_) if !is_loopback_v4(server) => {
                return Err(LoadError::NotLoopback { server });
            }
            Sources::Addresses(number) if number > MAX_ADDRESSES => {
                return Err(LoadError::TooManyAddresses { most: MAX_ADDRESSES });
            }
            _ => {}
        }
        let threads = u32::from(self.threads.get());
        let outstanding = match self.pacing {
            Pacing::Closed { outstanding } => outstanding.get(),
            Pacing::Open { .. } => u32::MAX,
        };
        if threads > outstanding.min(self.sources.count()) {
            return Err(LoadError::Threads { threads: self.threads });
        }
        Ok(())
    }

    /// Returns how many requests the ledger of each thread remembers: those that may be in flight,
    /// and as many again to recognise late replies and duplicates.
    pub(super) fn window(&self) -> NonZeroU32 {
        let spanned = |rate| {
            let spanned = u128::from(rate).saturating_mul(self.timeout.as_nanos()) / 1_000_000_000;
            spanned / u128::from(self.threads.get())
        };
        let in_flight = match self.pacing {
            // Beside one that is not answered, the others go on until its timeout is over.
            Pacing::Closed { outstanding } => {
                let quickest = QUICKEST * u64::from(self.train.get());
                u128::from(outstanding.get()) + spanned(quickest) / 2
            }
            Pacing::Open { rate, .. } => spanned(rate.get()),
        };
        // There are never more than all requests.
        let all = self.count.filter(|_| self.warm_up.is_zero()).map_or(u128::MAX, u128::from);
        let window = u32::try_from(2 * in_flight.min(all)).unwrap_or(u32::MAX);
        NonZeroU32::new(window.clamp(SMALLEST_WINDOW, LARGEST_WINDOW)).unwrap_or(NonZeroU32::MAX)
    }

    /// Returns what one thread, counted from 0, draws from.
    pub(super) fn seed_of(&self, thread: u16) -> u64 {
        // Far apart: what one thread draws, no other thread draws with a seed nearby.
        self.seed ^ u64::from(thread) << 48
    }
}

const _: () = assert!(LoadPlan::MAX_TRAIN as usize == Transmit::MAX_SEGMENTS);

impl Sources {
    /// Returns how many there are.
    pub fn count(self) -> u32 {
        let (Self::Ports(number) | Self::Addresses(number)) = self;
        number.get()
    }
}

fn is_loopback_v4(address: SocketAddr) -> bool {
    address.is_ipv4() && address.ip().is_loopback()
}

/// From 127.0.0.1 to 127.255.255.254.
const MAX_ADDRESSES: NonZeroU32 = NonZeroU32::new((1 << 24) - 2).expect("not zero");

/// The time that a thread busy-waits before a request is due ([`WaitStrategy::Wait`]).
pub(super) const SPIN: Duration = Duration::from_micros(50);

/// The latest that a request of an open loop may leave, unless an interval is longer.
pub(super) const MAX_LATENESS: Duration = Duration::from_millis(10);

/// A rate in messages per second that a closed loop hardly exceeds.
const QUICKEST: u64 = 1_000_000;

/// The fewest requests that a ledger remembers.
const SMALLEST_WINDOW: u32 = 4096;

/// The most requests that a ledger remembers: 160 MiB of them.
const LARGEST_WINDOW: u32 = 1 << 22;

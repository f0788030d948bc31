use std::io;
use std::net::SocketAddr;
use std::num::{NonZeroU16, NonZeroU32, NonZeroU64};
use std::ops::RangeInclusive;
use std::time::Duration;

use hello_proto::{MAX_DATAGRAM_LEN, MAX_NAME_LEN, Token};
use thiserror::Error;

use crate::udp::transmit::Transmit;

/// How much to ask, for how long, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadPlan {
    /// When the next request is due.
    pub offer: Pacing,
    /// For how long requests are due, after the warm-up.
    pub duration: Duration,
    /// How many are due after the warm-up at the most; as many as there is time for, if not given.
    pub count: Option<u64>,
    /// For how long requests are sent before that, and not told of.
    pub warm_up: Duration,
    /// After how long an unanswered request is lost.
    pub timeout: Duration,
    /// The length of each name, in bytes: drawn from these for each message, uniformly. From
    /// [`Token::MIN_LEN`] up.
    pub name_len: RangeInclusive<usize>,
    /// How many requests a message has (UDP_SEGMENT, udp(7)): they leave as one, and are due at
    /// once. Up to 64.
    pub train: NonZeroU16,
    /// Whether replies that left as one are received as one (UDP_GRO, udp(7)). If not, the system
    /// cuts them, on a loopback at the expense of the server: as it is with most clients.
    pub gro: bool,
    /// From where the messages are sent in turn.
    pub sources: Sources,
    /// How many threads share the work. Each has its part of the sources.
    pub threads: NonZeroU16,
    /// What a thread does while nothing is due and nothing has come.
    pub idle: WaitStrategy,
    /// What is drawn, is drawn anew from this: the same plan draws the same lengths and times.
    pub seed: u64,
}

/// When the next request is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pacing {
    /// When one is answered or lost, so that so many are outstanding all the time: the server says
    /// how fast it goes.
    Closed {
        /// How many, of all threads together.
        outstanding: NonZeroU32,
    },
    /// At its time, whether others are answered or not.
    Open {
        /// Requests a second.
        rate: NonZeroU64,
        /// How the times lie.
        arrivals: ArrivalProcess,
    },
}

/// How the times of an open loop lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ArrivalProcess {
    /// Message k is due at the start and k intervals.
    #[default]
    Constant,
    /// Messages are due independently of each other (a Poisson process), as those of many clients
    /// are who know nothing of each other.
    Poisson,
}

/// From where messages are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sources {
    /// So many ports, each of a socket of its own.
    Ports(NonZeroU32),
    /// So many addresses of 127.0.0.0/8, from 127.0.0.1 on, and one port for each thread. The
    /// server has to be in that network, too.
    Addresses(NonZeroU32),
}

/// What a thread does while nothing is due and nothing has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WaitStrategy {
    /// It waits. The last [`LoadGenerator::SPIN`](crate::load::LoadGenerator::SPIN) before a request is due it spends
    /// asking for the time, for who wakes up is late by about as much.
    #[default]
    Wait,
    /// It asks for replies again and again: no reply has to wake it, and it takes a processor.
    Spin,
    /// It sleeps for so long, and looks for replies only then: the system notes nothing for it and
    /// does not wake it, and requests may be late by that.
    Sleep(Duration),
}

impl Default for LoadPlan {
    /// 64 requests outstanding for ten seconds, from one port.
    fn default() -> Self {
        let outstanding = NonZeroU32::MIN.saturating_add(63);
        let second = Duration::from_secs(1);
        Self {
            offer: Pacing::Closed { outstanding },
            duration: 10 * second,
            count: None,
            warm_up: Duration::ZERO,
            timeout: second,
            name_len: 2 * Token::MIN_LEN..=2 * Token::MIN_LEN,
            train: NonZeroU16::MIN,
            gro: true,
            sources: Sources::Ports(NonZeroU32::MIN),
            threads: NonZeroU16::MIN,
            idle: WaitStrategy::Wait,
            seed: 0,
        }
    }
}

impl LoadPlan {
    /// The most requests that a message takes.
    pub const MAX_TRAIN: u16 = 64;

    /// The most requests a second: one each nanosecond, and closer together no two times are.
    pub const MAX_RATE: u64 = 1_000_000_000;
}

const _: () = assert!(LoadPlan::MAX_TRAIN as usize == Transmit::MAX_SEGMENTS);

impl LoadPlan {
    /// Makes sure that it makes sense for a server.
    ///
    /// # Errors
    ///
    /// [`LoadError::NameLength`], [`Train`](LoadError::Train), [`Timeout`](LoadError::Timeout),
    /// [`Rate`](LoadError::Rate), [`NotLoopback`](LoadError::NotLoopback),
    /// [`TooManyAddresses`](LoadError::TooManyAddresses) or [`Threads`](LoadError::Threads) if it
    /// does not.
    pub fn check(&self, server: SocketAddr) -> Result<(), LoadError> {
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
        match self.offer {
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
        let outstanding = match self.offer {
            Pacing::Closed { outstanding } => outstanding.get(),
            Pacing::Open { .. } => u32::MAX,
        };
        if threads > outstanding.min(self.sources.count()) {
            return Err(LoadError::Threads { threads: self.threads });
        }
        Ok(())
    }
}

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

/// A load cannot be offered.
#[derive(Debug, Error)]
pub enum LoadError {
    /// No name of this length holds a token that fits a datagram.
    #[error("names of {shortest} to {longest} bytes: they take {min} to {max}, the shorter first")]
    NameLength {
        /// The shortest asked for, in bytes.
        shortest: usize,
        /// The longest asked for, in bytes.
        longest: usize,
        /// The shortest there can be, in bytes.
        min: usize,
        /// The longest, in bytes.
        max: usize,
    },
    /// A message does not take so many names.
    #[error("a train of {train} names of {longest} bytes: it takes up to {most} of them")]
    Train {
        /// How many were asked for.
        train: u16,
        /// How long they are, in bytes.
        longest: usize,
        /// How many a message takes.
        most: usize,
    },
    /// The timeout is zero.
    #[error("the timeout must be longer than 0")]
    Timeout,
    /// There are more requests a second than times.
    #[error("{rate} requests a second: there are up to {most}")]
    Rate {
        /// How many were asked for.
        rate: u64,
        /// How many there can be.
        most: u64,
    },
    /// Only a server on 127.0.0.0/8 can be asked from several addresses of that network.
    #[error("{server} cannot be asked from addresses of 127.0.0.0/8: use ports")]
    NotLoopback {
        /// Who was to be asked.
        server: SocketAddr,
    },
    /// The network 127.0.0.0/8 has no more addresses.
    #[error("there are {most} addresses to ask from")]
    TooManyAddresses {
        /// How many it has.
        most: NonZeroU32,
    },
    /// A thread would have no source, or no request outstanding.
    #[error("there are {threads} threads: each takes a source, and a request outstanding")]
    Threads {
        /// How many were asked for.
        threads: NonZeroU16,
    },
    /// A port cannot be had, or the server cannot be reached from here.
    #[error("cannot ask {server}")]
    Connect {
        /// Who was to be asked.
        server: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// There are no pairs of sockets to wake the threads by.
    #[error("cannot open pairs of sockets to wake the threads by")]
    Wake(#[source] io::Error),
    /// A thread could not be started.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// The system did not take the very first message.
    #[error("cannot send {train} x {len} bytes to {server} at once")]
    Send {
        /// Who was to be asked.
        server: SocketAddr,
        /// How many requests the message had.
        train: usize,
        /// The length of each, in bytes.
        len: usize,
        /// What the system said.
        source: io::Error,
    },
    /// A socket failed again and again.
    #[error("cannot receive from {server}")]
    Receive {
        /// Who was asked.
        server: SocketAddr,
        /// What the system said last.
        source: io::Error,
    },
}

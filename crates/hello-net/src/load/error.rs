use std::io;
use std::net::SocketAddr;
use std::num::{NonZeroU16, NonZeroU32};

use thiserror::Error;

use crate::zoned_addr::ZonedAddr;

/// Why a load cannot be offered.
///
/// ```
/// use hello_net::{LoadError, LoadGenerator};
///
/// let builder = LoadGenerator::builder().name_len(3..=16);
/// let error = builder.check(([127, 0, 0, 1], 9999).into()).unwrap_err();
/// assert!(matches!(error, LoadError::NameLength { shortest: 3, min: 8, .. }));
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LoadError {
    /// No name of this length holds a token that fits a datagram.
    #[error("names of {shortest} to {longest} bytes: they need {min} to {max}, the shorter first")]
    NameLength {
        /// The shortest name, in bytes.
        shortest: usize,
        /// The longest name, in bytes.
        longest: usize,
        /// The minimum, in bytes.
        min: usize,
        /// The maximum, in bytes.
        max: usize,
    },
    /// A message does not hold a train of this length.
    #[error("a train of {train} names of {longest} bytes: a message holds up to {most}")]
    Train {
        /// The number of names.
        train: u16,
        /// Their length, in bytes.
        longest: usize,
        /// The most names that a message holds.
        most: usize,
    },
    /// The timeout is zero.
    #[error("the timeout must be longer than 0")]
    Timeout,
    /// The rate is higher than one request per nanosecond.
    #[error("{rate} requests per second: the highest rate is {most}")]
    Rate {
        /// The rate, in requests per second.
        rate: u64,
        /// The highest rate.
        most: u64,
    },
    /// Only a server on 127.0.0.0/8 can be sent to from several addresses of that network.
    #[error("cannot send to {} from addresses of 127.0.0.0/8: use ports", ZonedAddr(*server))]
    NotLoopback {
        /// The server.
        server: SocketAddr,
    },
    /// The network 127.0.0.0/8 does not have that many addresses.
    #[error("127.0.0.0/8 has {most} addresses to send from")]
    TooManyAddresses {
        /// The number it has.
        most: NonZeroU32,
    },
    /// A thread would have no source, or no request outstanding.
    #[error("{threads} threads: each needs a source, and a request outstanding")]
    Threads {
        /// The number of threads.
        threads: NonZeroU16,
    },
    /// A port cannot be opened, or no route leads to the server.
    #[error("cannot send to {}", ZonedAddr(*server))]
    Connect {
        /// The server.
        server: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// The system has no pairs of sockets, by which a stop wakes the threads.
    #[error("cannot open socket pairs for wake-ups")]
    Wake(#[source] io::Error),
    /// A thread could not be started.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// The system did not take the very first message.
    #[error("cannot send {train} x {len} bytes to {} at once", ZonedAddr(*server))]
    Send {
        /// The server.
        server: SocketAddr,
        /// The number of requests in the message.
        train: usize,
        /// The length of each, in bytes.
        len: usize,
        /// The system's error.
        source: io::Error,
    },
    /// A socket failed repeatedly.
    #[error("cannot receive from {}", ZonedAddr(*server))]
    Receive {
        /// The server.
        server: SocketAddr,
        /// The system's last error.
        source: io::Error,
    },
}

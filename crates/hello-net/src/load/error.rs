use std::io;
use std::net::SocketAddr;
use std::num::{NonZeroU16, NonZeroU32};

use thiserror::Error;

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

//! Batches of datagrams in and out of a UDP socket.
//!
//! [`DatagramSocket`] is what the rest of the crate works with. Each back end implements it.

pub(crate) mod batch;
pub(crate) mod datagram_socket;
pub(crate) mod error_class;
#[cfg(target_os = "linux")]
pub(crate) mod linux;
#[cfg(test)]
pub(crate) mod mock;
mod portable;
pub(crate) mod recv_backoff;
pub(crate) mod reply_socket;
pub(crate) mod socket;
pub(crate) mod socket_error;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod transmit;

use std::io;
use std::net::UdpSocket;

use self::datagram_socket::DatagramSocket;
#[cfg(target_os = "linux")]
use self::linux as native;
#[cfg(not(target_os = "linux"))]
use self::portable as native;
use crate::sys;
use crate::sys::options::Fragmentation;

/// Which system calls move the datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// The fastest of this system: on Linux, many datagrams for each call (recvmmsg(2),
    /// sendmmsg(2)); elsewhere the same as [`Portable`](Self::Portable).
    #[default]
    Native,
    /// Those that every system has, through the `quinn-udp` crate.
    Portable,
}

impl Backend {
    /// Opens a back end on a bound socket.
    pub(crate) fn open(
        self,
        socket: UdpSocket,
        fragmentation: Fragmentation,
    ) -> io::Result<Box<dyn DatagramSocket>> {
        sys::verify_before_queueing(&socket);
        match self {
            Self::Native => native::open(socket, fragmentation),
            Self::Portable => portable::open(socket, fragmentation),
        }
    }

    /// Opens a back end on a socket that is bound alone, with spares to send by while its send buffer
    /// is full, where the system has such a thing.
    pub(crate) fn open_with_spares(
        self,
        socket: UdpSocket,
        fragmentation: Fragmentation,
    ) -> io::Result<Box<dyn DatagramSocket>> {
        native::open_with_spares(self, socket, fragmentation)
    }
}

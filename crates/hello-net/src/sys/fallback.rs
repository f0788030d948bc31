//! What stands in for Linux's own calls and options on every other system: `quinn-udp`, and errors
//! that say that there is no such thing.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use socket2::Socket;

use super::BorrowedSocket;
use super::buffer::Buffer;
use super::queued_error::{Queued, QueuedError};

/// The portable back end, without spares.
#[cfg(feature = "__batches")]
pub(crate) mod native {
    use std::io;
    use std::net::UdpSocket;

    use crate::sys::datagram_socket::{DatagramSocket, Open};
    use crate::sys::fragmentation::Fragmentation;
    pub(crate) use crate::sys::portable::open;

    pub(crate) fn open_with_spares(
        open: Open,
        socket: UdpSocket,
        fragmentation: Fragmentation,
    ) -> io::Result<Box<dyn DatagramSocket>> {
        open(socket, fragmentation)
    }
}

/// The memory for messages, in slots of equal length.
#[cfg(feature = "__batches")]
pub(crate) mod recv_slots {
    use std::ops::{Deref, DerefMut};

    #[derive(Debug)]
    pub(crate) struct RecvSlots(Vec<u8>);

    impl RecvSlots {
        pub(crate) fn new(count: usize, len: usize, _offset: usize) -> Self {
            Self(vec![0; count * len])
        }
    }

    impl Deref for RecvSlots {
        type Target = [u8];

        fn deref(&self) -> &[u8] {
            &self.0
        }
    }

    impl DerefMut for RecvSlots {
        fn deref_mut(&mut self) -> &mut [u8] {
            &mut self.0
        }
    }
}

/// `quinn-udp` takes addresses as they are.
#[cfg(feature = "__batches")]
pub(crate) mod sockaddr {
    use std::net::SocketAddr;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct RawSockAddr(SocketAddr);

    impl RawSockAddr {
        pub(crate) fn new(address: SocketAddr) -> Self {
            Self(address)
        }

        pub(crate) fn get(&self) -> SocketAddr {
            self.0
        }

        /// Returns a number that differs between most addresses of a host.
        pub(crate) fn hash(&self) -> usize {
            self.0.port().into()
        }
    }
}

pub(crate) const HAS_BATCH_CALLS: bool = false;

pub(crate) fn has_timestamps() -> bool {
    false
}

pub(crate) fn known_path_mtu(_: &UdpSocket, _: SocketAddr) -> Option<u32> {
    None
}

/// The system verifies checksums before it queues.
pub(crate) fn verify_before_queueing(_: &Socket) {}

pub(crate) fn send_from_any_local(_: &Socket, _: SocketAddr) -> io::Result<()> {
    Ok(())
}

/// `quinn-udp` does.
pub(crate) fn report_destinations(_: &Socket, _: SocketAddr) -> io::Result<()> {
    Ok(())
}

pub(crate) fn enable_timestamps(_: &UdpSocket) -> io::Result<()> {
    Ok(())
}

pub(crate) fn report_ttl(_: &UdpSocket, _: SocketAddr) -> io::Result<()> {
    Ok(())
}

pub(crate) fn report_mark(_: &UdpSocket, _: SocketAddr) -> io::Result<()> {
    Ok(())
}

/// The system has no such queue.
pub(crate) fn queue_errors(_: &UdpSocket) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn queue_transmit_times(_: &UdpSocket) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn take_queued(_: BorrowedSocket<'_>, _: &mut [u8]) -> Option<Queued> {
    None
}

pub(crate) fn take_error(_: BorrowedSocket<'_>, _: &mut [u8]) -> Option<QueuedError> {
    None
}

pub(crate) fn try_send_with_ttl(_: &UdpSocket, _: &[u8], _: u8) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn disable_gro(_: &UdpSocket) -> io::Result<()> {
    Ok(())
}

pub(crate) fn bind_to_interface(_: &Socket, _: &str) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

pub(crate) fn has_interface(_: &UdpSocket) -> bool {
    false
}

pub(crate) fn is_of_another_network(_: &UdpSocket) -> bool {
    false
}

/// The system does not report what it drops.
pub(crate) fn drops(_: &UdpSocket) -> Option<u32> {
    None
}

pub(crate) fn granted(bytes: usize) -> usize {
    bytes
}

pub(crate) fn force_buffer(_: &UdpSocket, _: Buffer, _: usize) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// No privilege makes a difference.
pub(crate) fn unprivileged_size(_: Buffer, _: usize) -> io::Result<usize> {
    Ok(usize::MAX)
}

/// Returns `None`: the system's function would take unsafe code. Zones have their numbers.
pub(crate) fn interface_name(_: u32) -> Option<String> {
    None
}

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::time::Duration;

use socket2::SockRef;

use super::linux::options::{SavedOptions, force_buffer, set_fragmentation, unprivileged_size};
pub(crate) use super::system::options::granted;

/// What becomes of a datagram that is longer than its path takes in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fragmentation {
    /// What the system does by default: it believes ICMP about the path, and fragments.
    SystemDefault,
    /// Sending one that the interface does not take is an error. For datagrams that fit through
    /// every path: those need no identification, which saves Linux a few per cent of its work.
    Never,
    /// It is fragmented, here or on its path, whatever ICMP says, so that nobody off the path can
    /// make the system send more packets.
    Allowed,
}

impl Fragmentation {
    /// Applies this to a socket, on systems that let us choose.
    pub(crate) fn apply(self, socket: &UdpSocket) -> io::Result<()> {
        set_fragmentation(socket, self)
    }
}

/// One of a socket's two buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Buffer {
    Receive,
    Send,
}

impl Buffer {
    /// Returns its size in bytes, as the system has it, which may count its own bookkeeping in.
    pub(crate) fn size(self, socket: &impl AsFd) -> io::Result<usize> {
        let socket = SockRef::from(socket);
        match self {
            Self::Receive => socket.recv_buffer_size(),
            Self::Send => socket.send_buffer_size(),
        }
    }

    /// Sets its size, as far as the system lets us: beyond the limit for everybody, if we are
    /// privileged.
    pub(crate) fn set(self, socket: &UdpSocket, bytes: usize) -> io::Result<()> {
        // More, Linux cannot double; and no number of bytes may come out as another one.
        let bytes = bytes.min(i32::MAX as usize / 2);
        force_buffer(socket, self, bytes).or_else(|_| self.set_within_limit(socket, bytes))
    }

    /// Makes it at least as large, as far as the system lets us; never smaller.
    pub(crate) fn enlarge(self, socket: &UdpSocket, bytes: usize) -> io::Result<()> {
        let before = self.size(socket)?;
        if before >= granted(bytes) || force_buffer(socket, self, bytes).is_ok() {
            return Ok(());
        }
        // A privileged process may have made it larger than we can.
        if unprivileged_size(self, bytes)? <= before {
            return Ok(());
        }
        self.set_within_limit(socket, bytes)
    }

    pub(super) fn set_within_limit(self, socket: &impl AsFd, bytes: usize) -> io::Result<()> {
        let socket = SockRef::from(socket);
        match self {
            Self::Receive => socket.set_recv_buffer_size(bytes),
            Self::Send => socket.set_send_buffer_size(bytes),
        }
    }
}

/// The options of a socket that somebody else made, which are theirs again when this is dropped.
///
/// The sizes of the buffers stay as they are then, for the buffers hold what is queued.
#[derive(Debug)]
pub(crate) struct AdoptedOptions {
    socket: UdpSocket,
    nonblocking: bool,
    read_timeout: Option<Duration>,
    saved: SavedOptions,
}

impl AdoptedOptions {
    /// Saves the options of a socket, and switches off those that no back end can work with.
    pub(crate) fn take(socket: &UdpSocket) -> io::Result<Self> {
        Ok(Self {
            nonblocking: SockRef::from(socket).nonblocking()?,
            read_timeout: socket.read_timeout()?,
            saved: SavedOptions::save(socket)?,
            socket: socket.try_clone()?,
        })
    }
}

impl Drop for AdoptedOptions {
    fn drop(&mut self) {
        let _ = self.socket.set_nonblocking(self.nonblocking);
        let _ = self.socket.set_read_timeout(self.read_timeout);
        self.saved.restore(&self.socket);
    }
}

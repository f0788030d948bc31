use std::io;
use std::net::UdpSocket;
use std::time::Duration;

use super::buffer::Buffer;
use super::fragmentation::Fragmentation;
pub(crate) use super::system::options::granted;
use super::system::options::{SavedOptions, force_buffer, set_fragmentation, unprivileged_size};

impl Fragmentation {
    /// Applies this to a socket, on systems that let us choose.
    pub(crate) fn apply(self, socket: &UdpSocket) -> io::Result<()> {
        set_fragmentation(socket, self)
    }
}

impl Buffer {
    /// Sets its size, as far as the system allows: beyond the general limit, if this process is
    /// privileged.
    pub(crate) fn set(self, socket: &UdpSocket, bytes: usize) -> io::Result<()> {
        // Linux cannot double more, and no number of bytes may wrap around to another one.
        let bytes = bytes.min(i32::MAX as usize / 2);
        force_buffer(socket, self, bytes).or_else(|_| self.set_within_limit(socket, bytes))
    }

    /// Enlarges it to this size, as far as the system allows; never makes it smaller.
    pub(crate) fn enlarge(self, socket: &UdpSocket, bytes: usize) -> io::Result<()> {
        let before = self.size(socket)?;
        if before >= granted(bytes) || force_buffer(socket, self, bytes).is_ok() {
            return Ok(());
        }
        // A privileged process may have made it larger than this one can.
        if unprivileged_size(self, bytes)? <= before {
            return Ok(());
        }
        self.set_within_limit(socket, bytes)
    }
}

/// The options of a socket that somebody else opened, restored when this is dropped.
///
/// The sizes of the buffers stay as they are then, because the buffers hold what is queued.
#[derive(Debug)]
pub(crate) struct AdoptedOptions {
    socket: UdpSocket,
    read_timeout: Option<Duration>,
    saved: SavedOptions,
}

impl AdoptedOptions {
    /// Saves the options of a socket, and switches off those that no back end can work with.
    pub(crate) fn take(socket: &UdpSocket) -> io::Result<Self> {
        Ok(Self {
            read_timeout: socket.read_timeout()?,
            saved: SavedOptions::save(socket)?,
            socket: socket.try_clone()?,
        })
    }
}

impl Drop for AdoptedOptions {
    fn drop(&mut self) {
        let _ = self.socket.set_read_timeout(self.read_timeout);
        self.saved.restore(&self.socket);
    }
}

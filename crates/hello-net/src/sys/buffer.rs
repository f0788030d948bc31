use std::io;
use std::os::fd::AsFd;

use socket2::SockRef;

/// One of a socket's two buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Buffer {
    Receive,
    Send,
}

impl Buffer {
    /// Returns its size in bytes, as the system reports it, which may include its own bookkeeping.
    pub(crate) fn size(self, socket: &impl AsFd) -> io::Result<usize> {
        let socket = SockRef::from(socket);
        match self {
            Self::Receive => socket.recv_buffer_size(),
            Self::Send => socket.send_buffer_size(),
        }
    }

    pub(super) fn set_within_limit(self, socket: &impl AsFd, bytes: usize) -> io::Result<()> {
        let socket = SockRef::from(socket);
        match self {
            Self::Receive => socket.set_recv_buffer_size(bytes),
            Self::Send => socket.set_send_buffer_size(bytes),
        }
    }
}

use std::io;

use socket2::SockRef;

/// One of a socket's two buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Buffer {
    Receive,
    Send,
}

impl Buffer {
    /// Returns its size in bytes, as the system reports it, which may include its own bookkeeping.
    pub(crate) fn size<'s>(self, socket: impl Into<SockRef<'s>>) -> io::Result<usize> {
        let socket = socket.into();
        match self {
            Self::Receive => socket.recv_buffer_size(),
            Self::Send => socket.send_buffer_size(),
        }
    }

    pub(super) fn set_within_limit<'s>(
        self,
        socket: impl Into<SockRef<'s>>,
        bytes: usize,
    ) -> io::Result<()> {
        let socket = socket.into();
        match self {
            Self::Receive => socket.set_recv_buffer_size(bytes),
            Self::Send => socket.set_send_buffer_size(bytes),
        }
    }
}

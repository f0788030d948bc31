//! What Linux and the other systems of the Unix family share.

use std::io::{self, Write};
use std::net::UdpSocket;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags};
use rustix::net::{SendFlags, send};

/// Sends a datagram by a connected socket, and fails rather than wait.
pub(crate) fn try_send(socket: &UdpSocket, datagram: &[u8]) -> io::Result<()> {
    send(socket, datagram, SendFlags::DONTWAIT)?;
    Ok(())
}

/// Wakes each thread that polls it, from the first call of [`wake`](Self::wake) on.
#[derive(Debug)]
pub(crate) struct Waker {
    /// Has a byte, which nobody reads, after that call.
    reader: UnixStream,
    writer: UnixStream,
}

impl Waker {
    pub(crate) fn new() -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        Ok(Self { reader, writer })
    }

    /// Wakes all threads. Called once, because room for one byte is certain.
    pub(crate) fn wake(&self) {
        let _ = (&self.writer).write(&[0]);
    }

    /// Returns what to poll beside other descriptors.
    pub(crate) fn poll_fd(&self) -> PollFd<'_> {
        PollFd::new(&self.reader, PollFlags::IN)
    }
}

impl AsFd for Waker {
    /// Returns a descriptor that is readable from the first call of [`wake`](Self::wake) on.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

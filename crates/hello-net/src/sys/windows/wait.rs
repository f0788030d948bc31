//! All by WSAPoll.

use std::io;
use std::net::UdpSocket;
use std::os::windows::io::{AsSocket, OwnedSocket};
use std::time::Duration;

use super::winsock::poll;
use crate::sys::latch::Latch;

#[derive(Debug)]
pub(crate) struct Waiter {
    polled: Vec<OwnedSocket>,
}

impl Waiter {
    pub(crate) fn new(socket: Option<&UdpSocket>, latch: &Latch) -> io::Result<Self> {
        let both = socket.map(AsSocket::as_socket).into_iter().chain([latch.waker().socket()]);
        let own = both.map(|one| one.try_clone_to_owned());
        Ok(Self { polled: own.collect::<io::Result<_>>()? })
    }

    pub(crate) fn wait(&self) -> io::Result<()> {
        poll(self.polled.iter().map(AsSocket::as_socket), None).map(drop)
    }
}

#[derive(Debug)]
pub(crate) struct Poller {
    sockets: Vec<UdpSocket>,
}

impl Poller {
    pub(crate) const MAX_READY: usize = 64;

    pub(crate) fn new<'a>(sockets: impl IntoIterator<Item = &'a UdpSocket>) -> io::Result<Self> {
        let sockets = sockets.into_iter().map(UdpSocket::try_clone).collect::<io::Result<_>>()?;
        Ok(Self { sockets })
    }

    /// Returns at once if less than a millisecond is left, because the system counts in these: the
    /// caller looks at its clock, and comes back.
    pub(crate) fn wait(&self, timeout: Duration, latch: &Latch) -> io::Result<()> {
        let sockets = self.sockets.iter().map(AsSocket::as_socket);
        poll(sockets.chain([latch.waker().socket()]), Some(timeout)).map(drop)
    }

    pub(crate) fn poll_ready(&self, ready: &mut Vec<usize>) -> io::Result<()> {
        let found = poll(self.sockets.iter().map(AsSocket::as_socket), Some(Duration::ZERO))?;
        ready.clear();
        ready.extend((0..).zip(found).filter_map(|(number, found)| found.then_some(number)));
        Ok(())
    }
}

/// Waits until a socket has something to receive or the latch is raised, for `timeout` at most.
pub(crate) fn wait_readable(
    socket: &UdpSocket,
    latch: Option<&Latch>,
    timeout: Duration,
) -> io::Result<()> {
    let latch = latch.map(|latch| latch.waker().socket());
    poll([socket.as_socket()].into_iter().chain(latch), Some(timeout)).map(drop)
}

//! All by poll(2).

use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::sys::latch::Latch;

#[derive(Debug)]
pub(crate) struct Waiter {
    polled: Vec<OwnedFd>,
}

impl Waiter {
    pub(crate) fn new(socket: Option<&UdpSocket>, latch: &Latch) -> io::Result<Self> {
        let both = socket.map(AsFd::as_fd).into_iter().chain([latch.waker().socket()]);
        let own = both.map(|one| one.try_clone_to_owned());
        Ok(Self { polled: own.collect::<io::Result<_>>()? })
    }

    pub(crate) fn wait(&self) -> io::Result<()> {
        let polled = self.polled.iter().map(|one| PollFd::new(one, PollFlags::IN));
        poll(&mut Vec::from_iter(polled), None)?;
        Ok(())
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

    pub(crate) fn wait(&self, timeout: Duration, latch: &Latch) -> io::Result<()> {
        self.poll(timeout, Some(latch)).map(drop)
    }

    pub(crate) fn poll_ready(&self, ready: &mut Vec<usize>) -> io::Result<()> {
        let found = self.poll(Duration::ZERO, None)?;
        ready.clear();
        ready.extend((0..).zip(found).filter_map(|(number, found)| found.then_some(number)));
        Ok(())
    }

    fn poll(&self, timeout: Duration, latch: Option<&Latch>) -> io::Result<Vec<bool>> {
        let ports = self.sockets.iter().map(|socket| PollFd::new(socket, PollFlags::IN));
        let mut polled = Vec::from_iter(ports.chain(latch.map(|latch| latch.waker().poll_fd())));
        poll(&mut polled, Timespec::try_from(timeout).ok().as_ref())?;
        let ports = polled.iter().take(self.sockets.len());
        Ok(ports.map(|polled| !polled.revents().is_empty()).collect())
    }
}

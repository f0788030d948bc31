use std::io;
use std::mem::MaybeUninit;
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::sys::latch::Latch;

/// Waits until a socket has something to receive or a latch is raised, for any time.
///
/// If several wait for one socket, a datagram wakes one (EPOLLEXCLUSIVE, epoll_ctl(2)); the latch
/// wakes all.
#[derive(Debug)]
pub(crate) struct Waiter {
    epoll: OwnedFd,
}

impl Waiter {
    /// Makes a waiter for a socket, if there is one, and for the latch.
    pub(crate) fn new(socket: Option<&UdpSocket>, latch: &Latch) -> io::Result<Self> {
        let (epoll, data) = (epoll::create(CreateFlags::CLOEXEC)?, EventData::new_u64(0));
        if let Some(socket) = socket {
            epoll::add(&epoll, socket, data, EventFlags::IN | EventFlags::EXCLUSIVE)?;
        }
        epoll::add(&epoll, latch.waker().socket(), data, EventFlags::IN)?;
        Ok(Self { epoll })
    }

    pub(crate) fn wait(&self) -> io::Result<()> {
        let mut events = [const { MaybeUninit::uninit() }; 1];
        epoll::wait(&self.epoll, &mut events, None)?;
        Ok(())
    }
}

/// Finds which of many sockets have something to receive, in a time that does not depend on how
/// many have nothing (epoll(7)).
#[derive(Debug)]
pub(crate) struct Poller {
    epoll: OwnedFd,
}

impl Poller {
    /// The most sockets that one call of [`poll_ready`](Self::poll_ready) returns.
    pub(crate) const MAX_READY: usize = 64;

    /// Watches these sockets, which are counted from 0.
    pub(crate) fn new<'a>(sockets: impl IntoIterator<Item = &'a UdpSocket>) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        for (number, socket) in (0..).zip(sockets) {
            epoll::add(&epoll, socket, EventData::new_u64(number), EventFlags::IN)?;
        }
        Ok(Self { epoll })
    }

    /// Waits until one has something to receive or the latch is raised, for `timeout` at most.
    pub(crate) fn wait(&self, timeout: Duration, latch: &Latch) -> io::Result<()> {
        // epoll_wait(2) itself has a resolution of milliseconds.
        let timeout = Timespec::try_from(timeout).ok();
        poll(
            &mut [PollFd::new(&self.epoll, PollFlags::IN), latch.waker().poll_fd()],
            timeout.as_ref(),
        )?;
        Ok(())
    }

    /// Stores the sockets that have something to receive in `ready`, or some if there are many:
    /// each has its turn.
    pub(crate) fn poll_ready(&self, ready: &mut Vec<usize>) -> io::Result<()> {
        let mut events = [const { MaybeUninit::uninit() }; Self::MAX_READY];
        let now = Timespec::default();
        let (events, _) = epoll::wait(&self.epoll, &mut events, Some(&now))?;
        ready.clear();
        let numbers = events.iter().map(|event| event.data.u64());
        ready.extend(numbers.filter_map(|number| usize::try_from(number).ok()));
        Ok(())
    }
}

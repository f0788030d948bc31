//! Which of many sockets have something to be received.

use std::io;
#[cfg(target_os = "linux")]
use std::mem::MaybeUninit;
use std::net::UdpSocket;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::stop_flags::Latch;

/// Tells which of many sockets have something to be received, in a time that does not depend on
/// how many have nothing (epoll(7)).
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub(crate) struct Ready {
    epoll: std::os::fd::OwnedFd,
}

#[cfg(target_os = "linux")]
impl Ready {
    /// Looks at these, which are counted from 0.
    pub(crate) fn new(sockets: &[UdpSocket]) -> io::Result<Self> {
        use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        for (number, socket) in (0..).zip(sockets) {
            epoll::add(&epoll, socket, EventData::new_u64(number), EventFlags::IN)?;
        }
        Ok(Self { epoll })
    }

    /// Waits until one has something or the flag is raised, and for `timeout` at the most.
    pub(crate) fn wait(&self, timeout: Duration, latch: &Latch) -> io::Result<()> {
        // epoll_wait(2) itself knows milliseconds only.
        let timeout = Timespec::try_from(timeout).ok();
        poll(&mut [PollFd::new(&self.epoll, PollFlags::IN), latch.poll_fd()], timeout.as_ref())?;
        Ok(())
    }

    /// Notes those that have something, or some of them if they are many: each has its turn.
    pub(crate) fn look(&self, found: &mut Vec<usize>) -> io::Result<()> {
        let mut events = [const { MaybeUninit::uninit() }; Ready::AT_ONCE];
        let now = Timespec::default();
        let (events, _) = rustix::event::epoll::wait(&self.epoll, &mut events, Some(&now))?;
        found.clear();
        let numbers = events.iter().map(|event| event.data.u64());
        found.extend(numbers.filter_map(|number| usize::try_from(number).ok()));
        Ok(())
    }
}

/// Tells which of many sockets have something to be received (poll(2)).
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
pub(crate) struct Ready {
    sockets: Vec<UdpSocket>,
}

#[cfg(not(target_os = "linux"))]
impl Ready {
    /// Looks at these, which are counted from 0.
    pub(crate) fn new(sockets: &[UdpSocket]) -> io::Result<Self> {
        let sockets = sockets.iter().map(UdpSocket::try_clone).collect::<io::Result<_>>()?;
        Ok(Self { sockets })
    }

    /// Waits until one has something or the flag is raised, and for `timeout` at the most.
    pub(crate) fn wait(&self, timeout: Duration, latch: &Latch) -> io::Result<()> {
        self.poll(timeout, Some(latch)).map(drop)
    }

    /// Notes those that have something.
    pub(crate) fn look(&self, found: &mut Vec<usize>) -> io::Result<()> {
        let ready = self.poll(Duration::ZERO, None)?;
        found.clear();
        found.extend((0..).zip(ready).filter_map(|(number, ready)| ready.then_some(number)));
        Ok(())
    }

    fn poll(&self, timeout: Duration, latch: Option<&Latch>) -> io::Result<Vec<bool>> {
        let ports = self.sockets.iter().map(|socket| PollFd::new(socket, PollFlags::IN));
        let mut polled = Vec::from_iter(ports.chain(latch.map(Latch::poll_fd)));
        poll(&mut polled, Timespec::try_from(timeout).ok().as_ref())?;
        Ok(polled
            .iter()
            .take(self.sockets.len())
            .map(|polled| !polled.revents().is_empty())
            .collect())
    }
}

impl Ready {
    /// How many sockets are told of at once, at least if so many have something.
    pub(crate) const AT_ONCE: usize = 64;
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn those_that_have_something_are_found_again_until_they_have_nothing() {
        let sockets = [(); 5].map(|()| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port"));
        let ready = Ready::new(&sockets).expect("descriptors");
        let look = || {
            let mut found = Vec::new();
            ready.look(&mut found).expect("works");
            found.sort_unstable();
            found
        };
        assert!(look().is_empty());
        for number in [1, 4] {
            let address = sockets[number].local_addr().expect("bound");
            sockets[0].send_to(b"Tracy", address).expect("sent");
        }
        assert_eq!([look(), look()], [[1, 4], [1, 4]]);
        sockets[1].recv(&mut [0; 8]).expect("something is there");
        assert_eq!(look(), [4]);
        sockets[4].recv(&mut [0; 8]).expect("something is there");
        assert!(look().is_empty());
    }

    #[test]
    fn a_wait_ends_when_there_is_something_when_its_time_is_over_and_when_it_is_to_end() {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = socket.local_addr().expect("bound");
        let ready = Ready::new(&[socket.try_clone().expect("a descriptor")]).expect("descriptors");
        let latch = Latch::new().expect("sockets");
        ready.wait(Duration::from_micros(1), &latch).expect("nothing comes");
        socket.send_to(b"Tracy", address).expect("sent");
        ready.wait(Duration::from_secs(600), &latch).expect("something is there");
        socket.recv(&mut [0; 8]).expect("something is there");
        latch.raise();
        ready.wait(Duration::from_secs(600), &latch).expect("it is to end");
    }
}

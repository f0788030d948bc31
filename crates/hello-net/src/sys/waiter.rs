//! What an idle worker waits for.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use crate::stop_flags::Latch;

/// Waits until a socket has something to be received or a flag is raised, however long that takes.
///
/// Of several that wait for one socket, a datagram wakes one (EPOLLEXCLUSIVE, epoll_ctl(2)), on
/// systems that have such a thing; the flag wakes all.
#[derive(Debug)]
pub(crate) struct Waiter {
    #[cfg(target_os = "linux")]
    epoll: OwnedFd,
    #[cfg(not(target_os = "linux"))]
    polled: Vec<OwnedFd>,
}

#[cfg(target_os = "linux")]
impl Waiter {
    /// Waits for a socket, if there is one, and for the flag.
    pub(crate) fn new(socket: Option<&dyn AsFd>, flag: &Latch) -> io::Result<Self> {
        use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

        let (epoll, data) = (epoll::create(CreateFlags::CLOEXEC)?, EventData::new_u64(0));
        if let Some(socket) = socket {
            epoll::add(&epoll, socket.as_fd(), data, EventFlags::IN | EventFlags::EXCLUSIVE)?;
        }
        epoll::add(&epoll, flag, data, EventFlags::IN)?;
        Ok(Self { epoll })
    }

    pub(crate) fn wait(&self) -> io::Result<()> {
        let mut events = [const { std::mem::MaybeUninit::uninit() }; 1];
        rustix::event::epoll::wait(&self.epoll, &mut events, None)?;
        Ok(())
    }
}

#[cfg(not(target_os = "linux"))]
impl Waiter {
    /// Waits for a socket, if there is one, and for the flag.
    pub(crate) fn new(socket: Option<&dyn AsFd>, flag: &Latch) -> io::Result<Self> {
        let both = socket.into_iter().chain([flag as &dyn AsFd]);
        let own = both.map(|one| one.as_fd().try_clone_to_owned());
        Ok(Self { polled: own.collect::<io::Result<_>>()? })
    }

    pub(crate) fn wait(&self) -> io::Result<()> {
        use rustix::event::{PollFd, PollFlags, poll};

        let polled = self.polled.iter().map(|one| PollFd::new(one, PollFlags::IN));
        poll(&mut Vec::from_iter(polled), None)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, UdpSocket};
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
    use std::thread;

    use super::*;

    #[test]
    fn a_datagram_wakes_one_and_a_flag_wakes_all() {
        const WAITING: usize = 4;
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let (flag, woken) = (Latch::new().expect("sockets"), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..WAITING {
                scope.spawn(|| {
                    let waiter = Waiter::new(Some(&socket), &flag).expect("a descriptor");
                    while !flag.is_raised() {
                        waiter.wait().expect("waited");
                        // What is there stays there until it is received.
                        while socket.recv(&mut [0; 8]).is_ok_and(|len| len == 5) {
                            woken.fetch_add(1, SeqCst);
                            socket.set_nonblocking(true).expect("possible");
                        }
                    }
                });
            }
            socket.set_nonblocking(true).expect("possible");
            let address = socket.local_addr().expect("bound");
            for sent in 1..=20 {
                socket.send_to(b"Tracy", address).expect("sent");
                while woken.load(SeqCst) < sent {
                    thread::yield_now();
                }
            }
            flag.raise();
        });
        assert_eq!(woken.load(SeqCst), 20);
        let alone = Waiter::new(None, &flag).expect("a descriptor");
        alone.wait().expect("it is raised");
    }
}

//! Requests to stop that wake whoever waits.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};

/// How a run of several threads is asked to stop: in order, or at once.
#[derive(Debug)]
pub(crate) struct StopFlags {
    /// Begin nothing new.
    pub(crate) stop: Latch,
    /// Wait for nothing that was begun, either.
    pub(crate) abort: Latch,
}

impl StopFlags {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { stop: Latch::new()?, abort: Latch::new()? })
    }

    /// Raises both flags.
    pub(crate) fn abort(&self) {
        self.abort.raise();
        self.stop.raise();
    }
}

/// A flag that stays raised, and wakes every thread that waits for it.
#[derive(Debug)]
pub(crate) struct Latch {
    raised: AtomicBool,
    /// For those who sleep.
    lock: Mutex<()>,
    changed: Condvar,
    /// For those who poll: has a byte, which nobody reads, from when the flag is raised.
    reader: UnixStream,
    writer: UnixStream,
}

impl Latch {
    pub(crate) fn new() -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        let (raised, lock, changed) = (AtomicBool::new(false), Mutex::new(()), Condvar::new());
        Ok(Self { raised, lock, changed, reader, writer })
    }

    pub(crate) fn raise(&self) {
        let lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.raised.swap(true, SeqCst) {
            self.changed.notify_all();
            // One byte finds room.
            let _ = (&self.writer).write(&[0]);
        }
        drop(lock);
    }

    pub(crate) fn is_raised(&self) -> bool {
        self.raised.load(SeqCst)
    }

    /// Returns what to poll: it is readable from when the flag is raised.
    pub(crate) fn poll_fd(&self) -> PollFd<'_> {
        PollFd::new(&self.reader, PollFlags::IN)
    }

    /// Waits until a socket has something to be received, or the flag is raised.
    pub(crate) fn wait_or_readable(&self, socket: &impl AsFd) -> io::Result<()> {
        poll(&mut [PollFd::new(socket, PollFlags::IN), self.poll_fd()], None)?;
        Ok(())
    }

    /// Sleeps for `time`, or until the flag is raised.
    pub(crate) fn sleep(&self, time: Duration) {
        let lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let is_lowered = |(): &mut ()| !self.is_raised();
        drop(self.changed.wait_timeout_while(lock, time, is_lowered));
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, UdpSocket};
    use std::thread;
    use std::time::Instant;

    use super::*;

    const FAR: Duration = Duration::from_secs(600);

    #[test]
    fn a_raised_flag_ends_every_wait_on_every_thread_and_stays_raised() {
        let latch = Latch::new().expect("sockets");
        let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| latch.sleep(FAR));
                scope.spawn(|| {
                    while !latch.is_raised() {
                        latch.wait_or_readable(&silent).expect("waited");
                    }
                });
            }
            latch.raise();
            latch.raise();
        });
        latch.sleep(FAR);
        assert!(latch.is_raised());
    }

    #[test]
    fn a_sleep_without_a_flag_lasts_its_time_and_a_datagram_ends_a_wait() {
        let latch = Latch::new().expect("sockets");
        let start = Instant::now();
        latch.sleep(Duration::from_millis(5));
        assert!(start.elapsed() >= Duration::from_millis(5));
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        socket.send_to(b"Tracy", socket.local_addr().expect("bound")).expect("sent");
        latch.wait_or_readable(&socket).expect("something is there");
        assert!(!latch.is_raised());
    }

    #[test]
    fn to_abort_is_to_stop_too() {
        let flags = StopFlags::new().expect("sockets");
        flags.stop.raise();
        assert!(!flags.abort.is_raised());
        flags.abort();
        assert!(flags.abort.is_raised() && flags.stop.is_raised());
    }
}

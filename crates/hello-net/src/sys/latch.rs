use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};

/// A flag that stays raised, and wakes every thread that waits for it.
#[derive(Debug)]
pub(crate) struct Latch {
    raised: AtomicBool,
    /// For threads that sleep.
    lock: Mutex<()>,
    changed: Condvar,
    /// For threads that poll: has a byte, which nobody reads, once the flag is raised.
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
            // One byte always fits.
            let _ = (&self.writer).write(&[0]);
        }
        drop(lock);
    }

    pub(crate) fn is_raised(&self) -> bool {
        self.raised.load(SeqCst)
    }

    /// Returns what to poll beside other descriptors.
    pub(crate) fn poll_fd(&self) -> PollFd<'_> {
        PollFd::new(&self.reader, PollFlags::IN)
    }

    /// Sleeps for `time`, or until the flag is raised.
    pub(crate) fn sleep(&self, time: Duration) {
        let lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        let is_lowered = |(): &mut ()| !self.is_raised();
        drop(self.changed.wait_timeout_while(lock, time, is_lowered));
    }
}

impl AsFd for Latch {
    /// Returns a descriptor that is readable once the flag is raised.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Instant;

    use rustix::event::poll;

    use super::*;

    const FAR: Duration = Duration::from_secs(600);

    #[test]
    fn a_raised_flag_ends_every_wait_on_every_thread_and_stays_raised() {
        let latch = Latch::new().expect("sockets");
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| latch.sleep(FAR));
                scope.spawn(|| poll(&mut [latch.poll_fd()], None).expect("waited"));
            }
            latch.raise();
            latch.raise();
        });
        latch.sleep(FAR);
        assert!(latch.is_raised());
    }

    #[test]
    fn sleep_lasts_its_time_while_the_flag_is_not_raised() {
        let latch = Latch::new().expect("sockets");
        let start = Instant::now();
        latch.sleep(Duration::from_millis(5));
        assert!(start.elapsed() >= Duration::from_millis(5));
        assert!(!latch.is_raised());
    }
}

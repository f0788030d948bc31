use std::io;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::Waker;

/// A flag that stays raised, and wakes every thread that waits for it.
#[derive(Debug)]
pub(crate) struct Latch {
    raised: AtomicBool,
    /// For threads that sleep.
    lock: Mutex<()>,
    changed: Condvar,
    /// For threads that poll.
    waker: Waker,
}

impl Latch {
    pub(crate) fn new() -> io::Result<Self> {
        let (raised, lock, changed) = (AtomicBool::new(false), Mutex::new(()), Condvar::new());
        Ok(Self { raised, lock, changed, waker: Waker::new()? })
    }

    pub(crate) fn raise(&self) {
        let lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.raised.swap(true, SeqCst) {
            self.changed.notify_all();
            self.waker.wake();
        }
        drop(lock);
    }

    pub(crate) fn is_raised(&self) -> bool {
        self.raised.load(SeqCst)
    }

    /// Returns what to poll beside sockets.
    pub(crate) fn waker(&self) -> &Waker {
        &self.waker
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
    use std::thread;
    use std::time::Instant;

    use super::*;
    use crate::sys::Waiter;

    const FAR: Duration = Duration::from_secs(600);

    #[test]
    fn a_raised_flag_ends_every_wait_on_every_thread_and_stays_raised() {
        let latch = Latch::new().expect("sockets");
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| latch.sleep(FAR));
                let waiter = Waiter::new(None, &latch).expect("a descriptor");
                scope.spawn(move || waiter.wait().expect("waited"));
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

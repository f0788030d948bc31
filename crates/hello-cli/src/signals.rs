//! Signals as something to wait for.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use signal_hook::{flag, low_level};
use thiserror::Error;

/// Waits for signals, each of which has a meaning.
#[derive(Debug)]
pub struct Signals<M> {
    /// What was raised and not yet waited for.
    raised: Vec<(Arc<AtomicBool>, M)>,
    /// Has a byte for each that was raised, so that a wait ends.
    wakes: PipeReader,
    wake: PipeWriter,
}

/// Raises a meaning without a signal, when it is dropped.
#[derive(Debug)]
pub struct RaiseOnDrop {
    raised: Arc<AtomicBool>,
    wake: PipeWriter,
}

impl<M: Copy> Signals<M> {
    /// Takes over these signals from now on. One that comes again before it was waited for says
    /// nothing new: some who send signals, as timeout(1) does, send them twice.
    ///
    /// # Errors
    ///
    /// [`SignalsError`] with what the system reports of the pipe or the registration.
    pub fn register(meanings: impl IntoIterator<Item = (i32, M)>) -> Result<Self, SignalsError> {
        let (wakes, wake) = io::pipe()?;
        let mut signals = Self { raised: Vec::new(), wakes, wake };
        for (signal, meaning) in meanings {
            flag::register(signal, signals.add(meaning))?;
            low_level::pipe::register(signal, signals.wake.try_clone()?)?;
        }
        Ok(signals)
    }

    /// Returns what raises a meaning without a signal, when it is dropped.
    ///
    /// # Errors
    ///
    /// [`SignalsError`] with what the system reports of one more file descriptor.
    pub fn raise_on_drop(&mut self, meaning: M) -> Result<RaiseOnDrop, SignalsError> {
        let wake = self.wake.try_clone()?;
        Ok(RaiseOnDrop { raised: self.add(meaning), wake })
    }

    /// Waits for a signal, and returns its meaning; `None` if none came before `deadline`.
    pub fn wait_until(&mut self, deadline: Instant) -> Option<M> {
        loop {
            let mut raised = self.raised.iter();
            if let Some((_, meaning)) = raised.find(|(raised, _)| raised.swap(false, SeqCst)) {
                return Some(*meaning);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            self.sleep(left);
        }
    }

    /// Waits for what wakes a wait, or sleeps for a while. A signal that interrupts it woke it,
    /// too.
    fn sleep(&mut self, timeout: Duration) {
        let limit = Timespec::try_from(timeout).ok();
        match poll(&mut [PollFd::new(&self.wakes, PollFlags::IN)], limit.as_ref()) {
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => {
                let _ = self.wakes.read(&mut [0; 64]);
            }
            // A system that cannot wait for us keeps us no busier than this.
            Err(_) => thread::sleep(timeout.min(UNATTENDED)),
        }
    }

    fn add(&mut self, meaning: M) -> Arc<AtomicBool> {
        // Who can raise it no more, and has not, never will.
        self.raised.retain(|(raised, _)| Arc::strong_count(raised) > 1 || raised.load(SeqCst));
        let raised = Arc::<AtomicBool>::default();
        self.raised.push((Arc::clone(&raised), meaning));
        raised
    }
}

impl Drop for RaiseOnDrop {
    fn drop(&mut self) {
        self.raised.store(true, SeqCst);
        // A full pipe is as good as one byte more.
        let _ = self.wake.write(&[0]);
    }
}

/// Nothing can wait for signals.
#[derive(Debug, Error)]
#[error("cannot open a pipe to wait for signals")]
pub struct SignalsError(#[from] io::Error);

/// For how long a signal is not noticed where the system cannot wait for it.
const UNATTENDED: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_raised_ends_the_wait_once_and_before_its_time() {
        let mut signals = Signals::register([]).expect("a pipe");
        let [one, other] = ["one", "other"].map(|meaning| signals.raise_on_drop(meaning));
        let (one, other) = (one.expect("a pipe"), other.expect("a pipe"));
        let far = Instant::now() + Duration::from_secs(600);
        thread::scope(|scope| {
            scope.spawn(move || drop(other));
            assert_eq!(signals.wait_until(far), Some("other"));
        });
        drop(one);
        assert_eq!(signals.wait_until(far), Some("one"));
        assert_eq!(signals.wait_until(Instant::now()), None);
    }

    #[test]
    fn what_can_be_raised_no_more_is_forgotten_once_it_was_told() {
        let mut signals = Signals::register([]).expect("a pipe");
        for round in 0..9 {
            drop(signals.raise_on_drop(round).expect("a pipe"));
            assert_eq!(signals.raised.len(), 1);
            assert_eq!(signals.wait_until(Instant::now()), Some(round));
        }
    }

    #[test]
    fn what_was_raised_before_is_told_though_the_time_is_over() {
        let mut signals = Signals::register([]).expect("a pipe");
        drop(signals.raise_on_drop(7).expect("a pipe"));
        assert_eq!(signals.wait_until(Instant::now()), Some(7));
    }
}

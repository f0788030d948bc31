//! Whether a thread still does its work.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// The last time at which something worked. Threads share it without a lock.
#[derive(Debug)]
pub struct Heartbeat {
    start: Instant,
    /// In milliseconds since the start; [`NEVER`] before the first one.
    last: AtomicU64,
}

impl Heartbeat {
    /// Creates a heartbeat without a beat.
    pub fn new() -> Self {
        Self { start: Instant::now(), last: NEVER.into() }
    }

    /// Notes that everything works.
    pub fn beat(&self) {
        self.last.store(self.now(), Relaxed);
    }

    /// Returns whether the last beat was at most `limit` ago.
    pub fn is_alive(&self, limit: Duration) -> bool {
        let last = self.last.load(Relaxed);
        let age = Duration::from_millis(self.now().saturating_sub(last));
        last != NEVER && age <= limit
    }

    #[cfg(test)]
    pub(crate) fn last(&self) -> u64 {
        self.last.load(Relaxed)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(NEVER - 1)
    }
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self::new()
    }
}

const NEVER: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn heart_beats_from_the_first_beat_until_the_limit() {
        let heartbeat = Heartbeat::new();
        assert!(!heartbeat.is_alive(Duration::MAX), "never");
        heartbeat.beat();
        assert!(heartbeat.is_alive(Duration::from_secs(600)));
        while heartbeat.is_alive(Duration::ZERO) {
            thread::yield_now();
        }
        assert!(heartbeat.is_alive(Duration::from_secs(600)));
        let last = heartbeat.last();
        heartbeat.beat();
        assert!(heartbeat.last() > last);
    }
}

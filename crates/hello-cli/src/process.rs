//! Signals, exit status, timers and locks.

pub mod descriptors;
pub(crate) mod error;
pub mod exit;
pub mod heartbeat;
pub mod signals;
pub mod ticker;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex, even if another thread has panicked while it held the lock.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

use std::panic;
use std::thread::ScopedJoinHandle;

/// Delays for a thread, and goes on with its panic if it ended so.
pub(crate) fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|cause| panic::resume_unwind(cause))
}

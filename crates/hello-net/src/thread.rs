use std::panic;
use std::thread::ScopedJoinHandle;

/// Waits for a thread, and resumes its panic if it panicked.
pub(crate) fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|cause| panic::resume_unwind(cause))
}

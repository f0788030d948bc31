//! The system's codes for the errors that tests provoke.

#[cfg(unix)]
pub(crate) use libc::{EACCES, ECONNREFUSED};

/// WSAEACCES.
#[cfg(windows)]
pub(crate) const EACCES: i32 = 10013;

/// WSAECONNRESET, as Windows reports that a port is closed.
#[cfg(windows)]
pub(crate) const ECONNREFUSED: i32 = 10054;

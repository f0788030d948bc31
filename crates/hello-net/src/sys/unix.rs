//! Any other system of the Unix family, such as macOS: POSIX, and `quinn-udp`.

pub(crate) mod options;
pub(super) mod time;
pub(super) mod wait;

pub(crate) use super::fallback::interface_name;
#[cfg(feature = "__batches")]
pub(crate) use super::fallback::{native, recv_slots, sockaddr};
pub use super::posix::BorrowedSocket;
#[cfg(test)]
pub(crate) use super::posix::errno;
pub(crate) use super::posix::{
    Waker, borrow, hold_port, ignore_reports, monotonic, realtime, set_mark, set_ttl, share_port,
    thread_time, try_send, wait_readable,
};

pub(super) use super::posix::ERROR_CODES;

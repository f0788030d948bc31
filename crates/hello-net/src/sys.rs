//! What differs between operating systems: time, waiting and waking, error codes, socket options, and
//! the calls that move datagrams.
//!
//! Each system is one file, or a file and its folder, with the same functions, which this file
//! lists; the rest of the crate is written on them, and asks nowhere which system it is on. A system
//! that lacks something says so by an error or by `None`, and shares what stands in its place
//! (`fallback.rs`).

#[cfg(feature = "__batches")]
pub(crate) mod batch;
pub(crate) mod buffer;
#[cfg(feature = "__batches")]
pub(crate) mod datagram_socket;
pub(crate) mod error_class;
mod error_codes;
#[cfg(not(target_os = "linux"))]
mod fallback;
pub(crate) mod fragmentation;
pub(crate) mod latch;
#[cfg(target_os = "linux")]
pub(crate) mod linux;
#[cfg(feature = "server")]
pub(crate) mod network_interface;
#[cfg(all(feature = "server", not(all(target_os = "linux", feature = "xdp"))))]
pub(crate) mod no_xdp;
pub(crate) mod options;
#[cfg(feature = "__batches")]
pub(crate) mod portable;
#[cfg(unix)]
mod posix;
pub(crate) mod queued_error;
#[cfg(any(feature = "__batches", feature = "__requests"))]
pub(crate) mod socket;
#[cfg(test)]
mod tests;
#[cfg(feature = "__batches")]
pub(crate) mod transmit;
#[cfg(all(unix, not(target_os = "linux")))]
mod unix;
#[cfg(windows)]
mod windows;
#[cfg(feature = "server")]
pub(crate) mod xdp_error;
#[cfg(feature = "server")]
pub(crate) mod xdp_mode;
#[cfg(all(test, feature = "server"))]
pub(crate) mod xdp_run;

#[cfg(target_os = "linux")]
pub(crate) use self::linux as system;
#[cfg(all(unix, not(target_os = "linux")))]
use self::unix as system;
#[cfg(windows)]
use self::windows as system;

#[cfg(all(feature = "server", not(all(target_os = "linux", feature = "xdp"))))]
pub(crate) use self::no_xdp as xdp;
pub use self::system::BorrowedSocket;
#[cfg(test)]
pub(crate) use self::system::errno;
#[cfg(feature = "__batches")]
pub(crate) use self::system::native;
pub(crate) use self::system::options::{
    HAS_BATCH_CALLS, bind_to_interface, disable_gro, drops, enable_timestamps, has_interface,
    has_timestamps, is_of_another_network, known_path_mtu, queue_errors, queue_transmit_times,
    report_destinations, report_mark, report_ttl, send_from_any_local, take_error, take_queued,
    try_send_with_ttl, verify_before_queueing,
};
#[cfg(feature = "__batches")]
pub(crate) use self::system::sockaddr::RawSockAddr;
pub(crate) use self::system::time::{set_timer_slack, sleep_until};
pub(crate) use self::system::wait::{Poller, Waiter};
#[cfg(all(target_os = "linux", feature = "xdp"))]
pub(crate) use self::system::xdp;
pub(crate) use self::system::{
    Waker, borrow, hold_port, ignore_reports, interface_name, monotonic, realtime, set_mark,
    set_ttl, share_port, thread_time, try_send, wait_readable,
};

/// The error codes of this system.
pub(crate) const ERROR_CODES: error_codes::ErrorCodes = system::ERROR_CODES;

//! What differs between operating systems: time, waiting and waking, error codes, socket options.
//!
//! Each system is one file, or a file and its folder, with the same functions, which this file
//! lists; the rest of the crate is written on them. Which system calls move the datagrams is up to
//! [`udp`](crate::udp), and only its back end for a system uses functions that no other one has.

pub(crate) mod buffer;
mod error_codes;
pub(crate) mod fragmentation;
pub(crate) mod latch;
#[cfg(target_os = "linux")]
pub(crate) mod linux;
pub(crate) mod options;
#[cfg(unix)]
mod posix;
pub(crate) mod queued_error;
#[cfg(test)]
mod tests;
#[cfg(not(target_os = "linux"))]
mod unix;

#[cfg(target_os = "linux")]
use self::linux as system;
pub(crate) use self::system::options::{
    HAS_BATCH_CALLS, HAS_TIMESTAMPS, bind_to_interface, disable_gro, drops, enable_timestamps,
    known_path_mtu, queue_errors, queue_transmit_times, report_destinations, report_mark,
    report_ttl, send_from_any_local, take_error, take_queued, try_send_with_ttl,
    verify_before_queueing,
};
#[cfg(feature = "__batches")]
pub(crate) use self::system::sockaddr::RawSockAddr;
pub(crate) use self::system::time::{set_timer_slack, sleep_until};
pub(crate) use self::system::wait::{Poller, Waiter};
pub(crate) use self::system::{
    Waker, interface_name, monotonic, realtime, set_mark, set_ttl, thread_time, try_send,
    wait_readable,
};
#[cfg(not(target_os = "linux"))]
use self::unix as system;

/// The error codes of this system.
pub(crate) const ERROR_CODES: error_codes::ErrorCodes = system::ERROR_CODES;

//! What differs between operating systems: time, waiting and waking, error codes, socket options.
//!
//! Each system is one file, or a file and its folder, with the same functions; the rest of the crate
//! is written on them. Which system calls move the datagrams is a matter of [`udp`](crate::udp).

pub(crate) mod latch;
#[cfg(target_os = "linux")]
mod linux;
pub(crate) mod options;
#[cfg(test)]
mod tests;
#[cfg(not(target_os = "linux"))]
mod unix;

#[cfg(target_os = "linux")]
#[cfg(target_os = "linux")]
use self::linux as system;
#[cfg(target_os = "linux")]
pub(crate) use self::linux::options::{
    enable_gro, receive_at_first_only, receive_nothing, share_port,
};
pub(crate) use self::system::options::{
    bind_to_interface, disable_gro, drops, enable_timestamps, report_destinations,
    send_from_any_local, verify_before_queueing,
};
pub(crate) use self::system::time::{
    monotonic, realtime, set_timer_slack, sleep_until, thread_time,
};
pub(crate) use self::system::wait::{Poller, Waiter, wait_readable};
#[cfg(not(target_os = "linux"))]
use self::unix as system;

/// The error codes of a system that std gives no [`ErrorKind`](std::io::ErrorKind), by what they mean.
pub(crate) struct ErrorCodes {
    /// The system is short of memory for the datagram.
    pub(crate) no_buffers: &'static [i32],
    /// The datagram is longer than the interface or the socket accepts.
    pub(crate) too_long: &'static [i32],
    /// The network or the host rejected it as a protocol error.
    pub(crate) protocol: &'static [i32],
    /// No path leads there.
    pub(crate) unreachable: &'static [i32],
    /// What the system makes of ICMP and ICMPv6 about an earlier datagram.
    pub(crate) icmp_reports: &'static [i32],
}

/// The error codes of this system.
pub(crate) const ERROR_CODES: ErrorCodes = system::ERROR_CODES;

//! Linux.

pub(crate) mod cmsg;
pub(crate) mod error_queue;
#[cfg(test)]
pub(crate) mod loopback;
#[cfg(feature = "__batches")]
pub(crate) mod mmsg;
pub(crate) mod options;
#[cfg(feature = "__batches")]
pub(crate) mod recv_slots;
#[cfg(feature = "__batches")]
pub(crate) mod send_batch;
#[cfg(feature = "__batches")]
pub(super) mod sockaddr;
mod sockopt;
pub(super) mod time;
pub(super) mod wait;
#[cfg(feature = "xdp")]
pub(crate) mod xdp;

use std::os::unix::net::UnixDatagram;

use libc::{
    EACCES, ECONNREFUSED, EHOSTDOWN, EHOSTUNREACH, EMSGSIZE, ENETUNREACH, ENONET, ENOPROTOOPT,
    EOPNOTSUPP, EPROTO,
};
use rustix::net::netdevice::index_to_name;

use super::error_codes::ErrorCodes;
use super::posix;
pub use super::posix::BorrowedSocket;
#[cfg(test)]
pub(crate) use super::posix::errno;
pub(crate) use super::posix::{
    Waker, borrow, hold_port, ignore_reports, monotonic, realtime, set_mark, set_ttl, share_port,
    thread_time, try_send, wait_readable,
};

pub(super) const ERROR_CODES: ErrorCodes = ErrorCodes {
    unreachable: &[EHOSTDOWN, ENONET],
    // All of icmp_err_convert and icmpv6_err_convert.
    icmp_reports: &[
        ECONNREFUSED,
        EHOSTUNREACH,
        ENETUNREACH,
        EACCES,
        EPROTO,
        ENOPROTOOPT,
        EMSGSIZE,
        EHOSTDOWN,
        EOPNOTSUPP,
        ENONET,
    ],
    ..posix::ERROR_CODES
};

#[cfg(feature = "__batches")]
pub(crate) use self::mmsg as native;

/// Returns the name of a network interface (netdevice(7)); `None` if it is gone.
pub(crate) fn interface_name(index: u32) -> Option<String> {
    let socket = UnixDatagram::unbound().ok()?;
    index_to_name(&socket, index).ok()
}

/// Further functions for fuzz targets.
#[cfg(all(fuzzing, feature = "__batches"))]
pub mod fuzzing {
    pub use super::error_queue::read_error;
    pub use super::mmsg::control::read_control;
}

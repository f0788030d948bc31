//! Linux.

pub(crate) mod cmsg;
pub(crate) mod error_queue;
#[cfg(test)]
pub(crate) mod loopback;
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

use libc::{
    EACCES, ECONNREFUSED, EHOSTDOWN, EHOSTUNREACH, EMSGSIZE, ENETUNREACH, ENOBUFS, ENONET,
    ENOPROTOOPT, EOPNOTSUPP, EPROTO,
};

use std::os::unix::net::UnixDatagram;

use rustix::net::netdevice::index_to_name;

use super::error_codes::ErrorCodes;
pub(crate) use super::posix::{
    Waker, monotonic, realtime, set_mark, set_ttl, thread_time, try_send, wait_readable,
};

pub(super) const ERROR_CODES: ErrorCodes = ErrorCodes {
    no_buffers: &[ENOBUFS],
    too_long: &[EMSGSIZE],
    protocol: &[EPROTO, ENOPROTOOPT, EOPNOTSUPP],
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
};

/// Returns the name of a network interface (netdevice(7)); `None` if it is gone.
pub(crate) fn interface_name(index: u32) -> Option<String> {
    let socket = UnixDatagram::unbound().ok()?;
    index_to_name(&socket, index).ok()
}

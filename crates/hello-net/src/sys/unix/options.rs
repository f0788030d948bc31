//! `quinn-udp` sets the options that it needs. Most others are Linux's, and do nothing here.

use std::io;
use std::net::UdpSocket;

pub(crate) use crate::sys::fallback::{
    HAS_BATCH_CALLS, bind_to_interface, disable_gro, drops, enable_timestamps, force_buffer,
    granted, has_interface, has_timestamps, is_of_another_network, known_path_mtu, queue_errors,
    queue_transmit_times, report_destinations, report_mark, report_ttl, send_from_any_local,
    take_error, take_queued, try_send_with_ttl, unprivileged_size, verify_before_queueing,
};
use crate::sys::fragmentation::Fragmentation;
use crate::sys::posix::is_nonblocking;

/// `quinn-udp` disables it, and nothing else can be chosen.
pub(crate) fn set_fragmentation(_: &UdpSocket, fragmentation: Fragmentation) -> io::Result<()> {
    match fragmentation {
        Fragmentation::SystemDefault | Fragmentation::Never | Fragmentation::Allowed => Ok(()),
        Fragmentation::Chosen(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}

#[derive(Debug)]
pub(crate) struct SavedOptions {
    nonblocking: bool,
}

impl SavedOptions {
    pub(crate) fn save(socket: &UdpSocket) -> io::Result<Self> {
        Ok(Self { nonblocking: is_nonblocking(socket)? })
    }

    pub(crate) fn restore(&self, socket: &UdpSocket) {
        let _ = socket.set_nonblocking(self.nonblocking);
    }
}

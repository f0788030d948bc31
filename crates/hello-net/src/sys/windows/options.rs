//! `quinn-udp` sets the options that it needs. Most others are Linux's, and do nothing here.

use std::io;
use std::net::UdpSocket;

use windows_sys::Win32::Networking::WinSock::{
    IP_DONTFRAGMENT, IPPROTO_IP, IPPROTO_IPV6, IPV6_DONTFRAG,
};

use super::winsock;
use crate::sys::borrow;
pub(crate) use crate::sys::fallback::{
    HAS_BATCH_CALLS, bind_to_interface, disable_gro, drops, enable_timestamps, force_buffer,
    granted, has_interface, has_timestamps, is_of_another_network, known_path_mtu, queue_errors,
    queue_transmit_times, report_destinations, report_mark, report_ttl, send_from_any_local,
    take_error, take_queued, try_send_with_ttl, unprivileged_size, verify_before_queueing,
};
use crate::sys::fragmentation::Fragmentation;

/// `quinn-udp` disables it, and nothing but that and the default can be chosen.
pub(crate) fn set_fragmentation(
    socket: &UdpSocket,
    fragmentation: Fragmentation,
) -> io::Result<()> {
    let is_never = match fragmentation {
        Fragmentation::SystemDefault | Fragmentation::Allowed => 0,
        Fragmentation::Never => 1,
        Fragmentation::Chosen(_) => return Err(io::ErrorKind::Unsupported.into()),
    };
    let (level, name) = match socket.local_addr()?.is_ipv4() {
        true => (IPPROTO_IP, IP_DONTFRAGMENT),
        false => (IPPROTO_IPV6, IPV6_DONTFRAG),
    };
    winsock::set(borrow(socket), level, name, is_never)
}

/// Nothing: the system does not report whether calls on a socket wait, and the back end sets no other
/// option that matters to somebody else.
#[derive(Debug)]
pub(crate) struct SavedOptions;

impl SavedOptions {
    #[expect(clippy::unnecessary_wraps, reason = "as on systems where there is something to save")]
    pub(crate) fn save(_: &UdpSocket) -> io::Result<Self> {
        Ok(Self)
    }

    pub(crate) fn restore(&self, _: &UdpSocket) {}
}

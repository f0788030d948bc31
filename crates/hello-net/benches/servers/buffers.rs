//! The sizes of receive buffers, which hold an episode's requests, or the replies to one client.

use std::error::Error;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;

use rustix::net::sockopt;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

/// The usual receive buffer of a server, in bytes. The load generator's sockets have the same.
pub(crate) const USUAL: usize = 4 << 20;

/// A buffer for 4096 datagrams of 1208 bytes, each of which Linux counts as 2304, in bytes.
pub(crate) const LARGE: usize = 8 << 20;

/// Sets the size of a receive buffer, in bytes.
///
/// # Errors
///
/// The system grants less: Linux no more than `net.core.rmem_max`, unless this process may configure
/// the network (CAP_NET_ADMIN).
pub(crate) fn set(socket: impl AsFd, bytes: usize) -> Result<(), Box<dyn Error>> {
    let socket = socket.as_fd();
    if sockopt::set_socket_recv_buffer_size_force(socket, bytes).is_err() {
        sockopt::set_socket_recv_buffer_size(socket, bytes)?;
    }
    // Linux reports twice what it grants.
    let granted = sockopt::socket_recv_buffer_size(socket)? / 2;
    if granted < bytes {
        return Err(format!(
            "a receive buffer of {bytes} bytes is needed, and the system grants {granted}: \
             run this as root, or set net.core.rmem_max to {bytes}"
        )
        .into());
    }
    Ok(())
}

/// Makes sure that every server can have a receive buffer of this size.
pub(crate) fn check(bytes: usize) -> Result<(), Box<dyn Error>> {
    set(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?, bytes)
}

/// Sets the size of the receive buffer of each client of `server`. The load generator has no option
/// for it, so its sockets are found among the descriptors of this process.
pub(crate) fn set_clients(server: SocketAddr, bytes: usize) -> Result<(), Box<dyn Error>> {
    let this = pidfd_open(getpid(), PidfdFlags::empty())?;
    for entry in fs::read_dir("/proc/self/fd")? {
        let Some(number) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let socket = UdpSocket::from(pidfd_getfd(&this, number, PidfdGetfdFlags::empty())?);
        if socket.peer_addr().is_ok_and(|peer| peer == server) {
            set(&socket, bytes)?;
        }
    }
    Ok(())
}

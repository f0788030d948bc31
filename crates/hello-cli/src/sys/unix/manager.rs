//! The sockets between a service and its manager, as systemd defines them.

use std::ffi::OsStr;
use std::io;
use std::net::UdpSocket;
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt as _;
#[cfg(target_os = "linux")]
use std::os::unix::ffi::OsStrExt as _;
#[cfg(target_os = "linux")]
use std::os::unix::net::SocketAddr;
use std::os::unix::net::UnixDatagram;

use listenfd::ListenFd;

/// Returns the sockets passed by socket activation (sd_listen_fds(3)); an error if one is not a UDP
/// socket.
pub(crate) fn inherited_sockets() -> io::Result<Vec<UdpSocket>> {
    let mut inherited = ListenFd::from_env();
    let count = inherited.len();
    (0..count).filter_map(|i| inherited.take_udp_socket(i).transpose()).collect()
}

/// The socket that takes notifications (sd_notify(3)). None blocks.
#[derive(Debug)]
pub(crate) struct ManagerSocket(UnixDatagram);

impl ManagerSocket {
    /// Connects to the socket that `NOTIFY_SOCKET` names: a path, or an `@` and an abstract name
    /// (unix(7)).
    pub(crate) fn connect(name: &OsStr) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        #[cfg(target_os = "linux")]
        if let Some(name) = name.as_bytes().strip_prefix(b"@") {
            let address = SocketAddr::from_abstract_name(name)?;
            return socket.connect_addr(&address).map(|()| Self(socket));
        }
        socket.connect(name).map(|()| Self(socket))
    }

    pub(crate) fn send(&self, notification: &str) -> io::Result<()> {
        self.0.send(notification.as_bytes()).map(drop)
    }
}

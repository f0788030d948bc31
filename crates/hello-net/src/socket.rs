//! Sockets as this crate wants them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

use crate::sys;

/// Whether several sockets of this server are bound to one address (SO_REUSEPORT, socket(7)).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Sharing {
    /// This one only.
    Alone,
    /// This is the first of them, which is bound only if nobody else is, not even one who would
    /// share.
    First,
    /// This is another of them.
    Further,
    /// This is another of them, which receives nothing.
    #[cfg(target_os = "linux")]
    Spare,
}

/// Opens a socket to be asked at `address`.
///
/// `[::]` means IPv6 and nothing else (IPV6_V6ONLY), so that it and `0.0.0.0` can be bound side
/// by side. SO_REUSEADDR stays off: with it, Linux lets a second process take the port over.
pub(crate) fn bind(address: SocketAddr, sharing: Sharing) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    match sharing {
        Sharing::Alone | Sharing::First => {}
        Sharing::Further => socket.set_reuse_port(true)?,
        #[cfg(target_os = "linux")]
        Sharing::Spare => {
            sys::receive_nothing(&socket)?;
            socket.set_reuse_port(true)?;
        }
    }
    // Before the first datagram is queued, of which it would not be known any more.
    sys::report_destinations(&socket, address)?;
    socket.bind(&address.into())?;
    if sharing == Sharing::First {
        socket.set_reuse_port(true)?;
    }
    Ok(socket.into())
}

/// Returns whether an address is one at which every socket bound to the port gets a copy.
pub(crate) fn is_shared(address: IpAddr) -> bool {
    address.is_multicast() || matches!(address, IpAddr::V4(address) if is_broadcast(address))
}

/// Returns whether an address is that of a subnet's broadcast, or everybody's. Only the system
/// knows: it connects no socket to one that was not allowed to broadcast (EACCES, connect(2)).
/// Where no socket can be had, no address is known to be one.
pub(crate) fn is_broadcast(address: Ipv4Addr) -> bool {
    let is_refused = |address: Ipv4Addr| {
        let probe = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP));
        let to = SocketAddr::from((address, ANY_PORT)).into();
        let connected = probe.map(|probe| probe.connect(&to));
        let refused = |error: io::Error| error.raw_os_error() == Some(libc::EACCES);
        connected.is_ok_and(|connected| connected.is_err_and(refused))
    };
    // A system that refuses everything says nothing about this address.
    address.is_broadcast() || is_refused(address) && !is_refused(Ipv4Addr::LOCALHOST)
}

/// A port that nothing is sent to: the one of the discard service (RFC 863).
const ANY_PORT: u16 = 9;

/// Opens a socket that sends to `server`, and hears from nobody else once it is connected.
pub(crate) fn connect(server: SocketAddr) -> io::Result<UdpSocket> {
    connect_from(None, None, server)
}

/// Does the same, from an address or by an interface of one's choice.
pub(crate) fn connect_from(
    source: Option<IpAddr>,
    interface: Option<&str>,
    server: SocketAddr,
) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(server), Type::DGRAM, Some(Protocol::UDP))?;
    if let Some(interface) = interface {
        bind_to(&socket, interface)?;
    }
    if let Some(source) = source {
        socket.bind(&SocketAddr::from((source, 0)).into())?;
    }
    socket.connect(&server.into())?;
    let socket = socket.into();
    sys::verify_before_queueing(&socket);
    Ok(socket)
}

#[cfg(target_os = "linux")]
fn bind_to(socket: &Socket, interface: &str) -> io::Result<()> {
    socket.bind_device(Some(interface.as_bytes()))
}

#[cfg(not(target_os = "linux"))]
fn bind_to(_: &Socket, _: &str) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broadcast_address_is_known_from_others() {
        let broadcast = |address: [u8; 4]| is_broadcast(address.into());
        assert!(broadcast([255, 255, 255, 255]));
        // The loopback's, on Linux.
        assert_eq!(broadcast([127, 255, 255, 255]), cfg!(target_os = "linux"));
        assert!(!broadcast([127, 0, 0, 1]) && !broadcast([127, 0, 0, 255]));
        assert!(is_shared([224, 0, 0, 1].into()) && !is_shared([127, 0, 0, 1].into()));
    }
}

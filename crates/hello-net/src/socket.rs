//! Sockets as this crate wants them.

use std::io;
use std::net::{SocketAddr, UdpSocket};

use socket2::{Domain, Protocol, Socket, Type};

/// Opens a socket to be asked at `address`.
///
/// `[::]` means IPv6 and nothing else (IPV6_V6ONLY), so that it and `0.0.0.0` can be bound side
/// by side. SO_REUSEADDR stays off: with it, Linux lets a second process take the port over. With
/// `shared`, several sockets of this user can be bound to the address (SO_REUSEPORT, socket(7)).
pub(crate) fn bind(address: SocketAddr, shared: bool) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// Opens a socket that sends to `server`, and hears from nobody else once it is connected.
pub(crate) fn connect(server: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(server), Type::DGRAM, Some(Protocol::UDP))?;
    socket.connect(&server.into())?;
    Ok(socket.into())
}

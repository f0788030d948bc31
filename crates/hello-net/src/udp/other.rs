//! Systems without a back end of their own: the portable one, without spares.
#![cfg_attr(
    not(feature = "server"),
    expect(unused_imports, reason = "only a server opens sockets with spares")
)]

use std::io;
use std::net::UdpSocket;

use super::datagram_socket::{DatagramSocket, Open};
pub(super) use super::portable::open;
use crate::sys::fragmentation::Fragmentation;

#[cfg(feature = "server")]
pub(super) fn open_with_spares(
    open: Open,
    socket: UdpSocket,
    fragmentation: Fragmentation,
) -> io::Result<Box<dyn DatagramSocket>> {
    open(socket, fragmentation)
}

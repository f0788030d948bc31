//! The server and the client over real sockets on the loopback, on ports the system chooses.

mod client;
mod server;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

/// An address on this machine's loopback, on a port the system chooses.
fn any_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// A plain socket of a peer that is not ours, which fails a test rather than wait for ever.
fn peer(address: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind(address).expect("a free port");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("not zero");
    socket
}

/// Waits for one datagram.
fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buf = vec![0; 65_536];
    let (len, source) = socket.recv_from(&mut buf).expect("a datagram within 20 seconds");
    buf.truncate(len);
    (buf, source)
}

//! Plain sockets, and what a machine's network lacks. The tests of `hello-net` use this file, too.

use std::env;
use std::io::{self, ErrorKind, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

/// An address on this machine's loopback, on a port the system chooses.
pub(crate) fn any_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// A plain socket of a peer that is not ours, which fails a test rather than wait for ever.
pub(crate) fn peer_at(address: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind(address).expect("a free port");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("not zero");
    socket
}

/// A peer on the loopback.
pub(crate) fn peer() -> UdpSocket {
    peer_at(any_port())
}

/// Delays for one datagram. A receive with a timeout is not restarted after a signal (signal(7)).
pub(crate) fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buf = vec![0; 65_536];
    loop {
        match socket.recv_from(&mut buf) {
            Err(error) if error.kind() == ErrorKind::Interrupted => (),
            received => {
                let (len, source) = received.expect("a datagram within 20 seconds");
                buf.truncate(len);
                return (buf, source);
            }
        }
    }
}

/// Sends a name and waits for one datagram.
pub(crate) fn ask(socket: &UdpSocket, server: SocketAddr, name: &[u8]) -> Vec<u8> {
    socket.send_to(name, server).expect("sent");
    let (reply, source) = receive(socket);
    assert_eq!(source, server);
    reply
}

/// Returns whether this machine has IPv6; see [`skip`].
pub(crate) fn have_ipv6(test: &str) -> bool {
    UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() || skip(test, "this machine has no IPv6")
}

/// Says that a test is skipped, and why, on the standard error whatever the test runner
/// captures. Panics where nothing may be skipped (`HELLO_NO_SKIP`, as in `.ci/run`).
pub(crate) fn skip(test: &str, why: &str) -> bool {
    let skipped = format!("SKIPPED {test}: {why}");
    assert!(env::var_os("HELLO_NO_SKIP").is_none(), "{skipped}");
    // Not eprintln!, which is captured.
    writeln!(io::stderr(), "\n{skipped}\n").expect("printed");
    false
}

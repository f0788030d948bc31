//! Plain sockets, and checks of the machine's network. The tests of `hello-net` also use this file.

use std::env;
use std::io::{self, ErrorKind, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

/// A loopback address on a port that the system chooses.
pub(crate) fn any_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// A plain UDP socket that fails the test rather than wait forever.
pub(crate) fn peer_at(address: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind(address).expect("a free port");
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("not zero");
    socket
}

/// A peer on the loopback.
pub(crate) fn peer() -> UdpSocket {
    peer_at(any_port())
}

/// Waits for one datagram. A receive call with a timeout is not restarted after a signal
/// (signal(7)).
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

/// Sends a name and waits for one datagram, which must come from the server.
pub(crate) fn exchange(socket: &UdpSocket, server: SocketAddr, name: &[u8]) -> Vec<u8> {
    socket.send_to(name, server).expect("sent");
    let (reply, source) = receive(socket);
    assert_eq!(source, server);
    reply
}

/// Returns whether this machine has IPv6; see [`skip`].
pub(crate) fn have_ipv6(test: &str) -> bool {
    UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() || skip(test, "this machine has no IPv6")
}

/// Prints that a test is skipped and why, to standard error even if the test runner captures it.
/// Panics if nothing may be skipped (`HELLO_NO_SKIP`, as in `.ci/run`).
pub(crate) fn skip(test: &str, why: &str) -> bool {
    let skipped = format!("SKIPPED {test}: {why}");
    assert!(env::var_os("HELLO_NO_SKIP").is_none(), "{skipped}");
    // Not eprintln!, which is captured.
    writeln!(io::stderr(), "\n{skipped}\n").expect("printed");
    false
}

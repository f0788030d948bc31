//! The server and the client over real sockets on the loopback, on ports the system chooses.

mod client;
mod server;

use std::env;
use std::io::{self, ErrorKind, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
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

/// Waits for one datagram. A receive with a timeout is not restarted after a signal (signal(7)).
fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
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

/// Tells whether there is IPv6 here. If not, says which test is skipped, whatever the test runner
/// captures, and panics where nothing may be skipped (`HELLO_NO_SKIP`, as in `.ci/run`).
fn have_ipv6(test: &str) -> bool {
    let found = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    if !found {
        let skipped = format!("SKIPPED {test}: this machine has no IPv6");
        assert!(env::var_os("HELLO_NO_SKIP").is_none(), "{skipped}");
        // Not eprintln!, which is captured.
        writeln!(io::stderr(), "\n{skipped}\n").expect("printed");
    }
    found
}

//! Ports of the loopback for tests.

use std::env;
use std::io::{self, Write as _};
use std::net::{IpAddr, UdpSocket};
use std::thread;

/// Binds a port of the loopback. Without IPv6, prints that it is not tested, to standard error even if
/// the test runner captures it; panics if nothing may be skipped (`HELLO_NO_SKIP`, as in `.ci/run`).
pub(crate) fn bind_loopback(address: IpAddr) -> Option<UdpSocket> {
    let error = match UdpSocket::bind((address, 0)) {
        Err(error) if address.is_ipv6() => error,
        bound => return Some(bound.expect("every machine has IPv4")),
    };
    let test = thread::current();
    let skipped = format!("SKIPPED {}: {address}: {error}", test.name().unwrap_or_default());
    assert!(env::var_os("HELLO_NO_SKIP").is_none(), "{skipped}");
    // Not eprintln!, which is captured.
    writeln!(io::stderr(), "\n{skipped}\n").expect("printed");
    None
}

//! Addresses to listen on with TCP.

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};

/// Parses `PORT`, which means that port of the loopback, or `ADDRESS:PORT`.
///
/// # Errors
///
/// Returns what to write instead.
pub fn parse(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse::<u16>() {
        return Ok((Ipv4Addr::LOCALHOST, port).into());
    }
    text.parse().map_err(|_| {
        "use PORT, or an IP address and a port: 9990, 192.0.2.1:9990, 0.0.0.0:9990 or [::]:9990"
            .into()
    })
}

/// Returns advice for an address that could not be bound. `option` is how to choose another one.
pub fn advice(error: &io::Error, port: u16, option: &str) -> Option<String> {
    match error.kind() {
        ErrorKind::AddrInUse => Some(format!("the port is in use; choose another with {option}")),
        ErrorKind::AddrNotAvailable => {
            let option = option.split(' ').next().unwrap_or(option);
            Some(format!("this machine does not have that address; choose another with {option}"))
        }
        ErrorKind::PermissionDenied if (1..1024).contains(&port) => {
            Some("ports below 1024 require CAP_NET_BIND_SERVICE; choose a higher one".into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_alone_is_one_of_the_loopback() {
        for (text, address) in [
            ("9990", "127.0.0.1:9990"),
            ("0", "127.0.0.1:0"),
            ("0.0.0.0:9990", "0.0.0.0:9990"),
            ("[::1]:1", "[::1]:1"),
            ("[fe80::1%2]:9990", "[fe80::1%2]:9990"),
        ] {
            assert_eq!(parse(text).map(|address| address.to_string()), Ok(address.into()));
        }
        for text in
            ["", "65536", "localhost", "localhost:9990", "127.0.0.1", "::1", ":9990", "[::1]"]
        {
            assert!(parse(text).expect_err(text).contains("0.0.0.0:9990"));
        }
    }
}

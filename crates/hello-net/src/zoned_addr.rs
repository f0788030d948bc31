//! Socket addresses with the names of their zones.

use std::fmt;
use std::net::SocketAddr;

use crate::sys::interface_name;

/// Formats a socket address with the name of its zone: `[fe80::1%eth0]:9999` (RFC 4007 section 11).
///
/// [`SocketAddr`] itself prints the zone as a number, which is an interface's index. So does this
/// type if the interface is gone, and on other systems than Linux.
///
/// ```
/// use hello_net::ZonedAddr;
///
/// let plain = ZonedAddr(([192, 0, 2, 1], 9999).into());
/// assert_eq!(plain.to_string(), "192.0.2.1:9999");
/// assert_eq!(plain.host(), "192.0.2.1");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ZonedAddr(pub SocketAddr);

impl ZonedAddr {
    /// Returns the address without its port, with the name of its zone: `fe80::1%eth0`.
    pub fn host(self) -> String {
        match self.0 {
            SocketAddr::V6(address) if address.scope_id() != 0 => {
                let index = address.scope_id();
                let zone = interface_name(index).unwrap_or_else(|| index.to_string());
                format!("{}%{zone}", address.ip())
            }
            address => address.ip().to_string(),
        }
    }
}

impl fmt::Display for ZonedAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            SocketAddr::V6(address) if address.scope_id() != 0 => {
                write!(f, "[{}]:{}", self.host(), address.port())
            }
            address => address.fmt(f),
        }
    }
}

impl From<SocketAddr> for ZonedAddr {
    fn from(address: SocketAddr) -> Self {
        Self(address)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv6Addr, SocketAddrV6};

    use super::*;

    fn link_local(scope: u32) -> ZonedAddr {
        let ip = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
        ZonedAddr(SocketAddrV6::new(ip, 9999, 0, scope).into())
    }

    #[test]
    fn address_without_a_zone_is_printed_as_the_standard_library_does() {
        for text in ["192.0.2.1:9999", "[::1]:9999", "[fe80::1]:9999", "[::ffff:192.0.2.1]:9"] {
            let address: SocketAddr = text.parse().expect("an address");
            assert_eq!(ZonedAddr(address).to_string(), text);
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn zone_is_the_name_of_its_interface() {
        // The loopback has this index in every network namespace.
        assert_eq!(link_local(1).to_string(), "[fe80::1%lo]:9999");
        assert_eq!(link_local(1).host(), "fe80::1%lo");
    }

    #[test]
    fn zone_of_an_interface_that_is_gone_stays_a_number() {
        assert_eq!(link_local(u32::MAX / 2).to_string(), "[fe80::1%2147483647]:9999");
    }
}

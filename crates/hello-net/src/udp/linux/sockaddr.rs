//! Linux's socket addresses as bytes (ip(7), ipv6(7)).

use std::mem::offset_of;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use libc::{c_int, sa_family_t, sockaddr_in, sockaddr_in6};

/// A socket address on its way to or from the system, with room for any that UDP uses.
#[repr(C, align(4))]
#[derive(Clone, Copy, Debug)]
pub(super) struct RawSockAddr {
    bytes: [u8; Self::CAPACITY],
}

impl RawSockAddr {
    pub(super) const CAPACITY: usize = size_of::<sockaddr_in6>();

    pub(super) const EMPTY: Self = Self { bytes: [0; Self::CAPACITY] };

    pub(super) fn as_mut_ptr(&mut self) -> *mut u8 {
        self.bytes.as_mut_ptr()
    }

    /// Writes an address, and returns its length in bytes.
    pub(super) fn write(&mut self, address: SocketAddr) -> usize {
        match address {
            SocketAddr::V4(address) => {
                self.put(0, FAMILY_V4.to_ne_bytes());
                self.put(offset_of!(sockaddr_in, sin_port), address.port().to_be_bytes());
                self.put(offset_of!(sockaddr_in, sin_addr), address.ip().octets());
                size_of::<sockaddr_in>()
            }
            SocketAddr::V6(address) => {
                self.put(0, FAMILY_V6.to_ne_bytes());
                self.put(offset_of!(sockaddr_in6, sin6_port), address.port().to_be_bytes());
                self.put(offset_of!(sockaddr_in6, sin6_flowinfo), [0; 4]);
                self.put(offset_of!(sockaddr_in6, sin6_addr), address.ip().octets());
                let scope = address.scope_id().to_ne_bytes();
                self.put(offset_of!(sockaddr_in6, sin6_scope_id), scope);
                size_of::<sockaddr_in6>()
            }
        }
    }

    /// Reads the address that the system wrote. An address of another family, which cannot occur,
    /// becomes one that nobody answers.
    pub(super) fn read(&self) -> SocketAddr {
        match sa_family_t::from_ne_bytes(self.take(0)) {
            FAMILY_V4 => {
                let octets: [u8; 4] = self.take(offset_of!(sockaddr_in, sin_addr));
                let port = u16::from_be_bytes(self.take(offset_of!(sockaddr_in, sin_port)));
                (Ipv4Addr::from(octets), port).into()
            }
            FAMILY_V6 => {
                let octets: [u8; 16] = self.take(offset_of!(sockaddr_in6, sin6_addr));
                let port = u16::from_be_bytes(self.take(offset_of!(sockaddr_in6, sin6_port)));
                let scope = self.take(offset_of!(sockaddr_in6, sin6_scope_id));
                let scope = u32::from_ne_bytes(scope);
                SocketAddrV6::new(Ipv6Addr::from(octets), port, 0, scope).into()
            }
            _ => (Ipv4Addr::UNSPECIFIED, 0).into(),
        }
    }

    fn put<const N: usize>(&mut self, at: usize, bytes: [u8; N]) {
        self.bytes[at..at + N].copy_from_slice(&bytes);
    }

    fn take<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.bytes[at..at + N]);
        bytes
    }
}

const FAMILY_V4: sa_family_t = family(libc::AF_INET);
const FAMILY_V6: sa_family_t = family(libc::AF_INET6);

#[expect(clippy::cast_possible_truncation, reason = "families are small numbers")]
const fn family(family: c_int) -> sa_family_t {
    family as sa_family_t
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_was_written() {
        for text in ["192.0.2.7:40001", "0.0.0.0:0", "[2001:db8::7]:65535", "[fe80::1%3]:9999"] {
            let address: SocketAddr = text.parse().expect("an address");
            let mut bytes = RawSockAddr { bytes: [0xa5; RawSockAddr::CAPACITY] };
            assert_eq!(bytes.write(address), if address.is_ipv4() { 16 } else { 28 });
            assert_eq!(bytes.read(), address);
            assert!(address.is_ipv4() || bytes.bytes[4..8] == [0; 4], "the flow label");
        }
    }
}

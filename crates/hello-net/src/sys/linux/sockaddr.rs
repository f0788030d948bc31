//! Linux's socket addresses as bytes (ip(7), ipv6(7)).

use std::fmt;
use std::mem::offset_of;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use libc::{c_int, sa_family_t, sockaddr_in, sockaddr_in6};

/// A socket address as the system's calls have it, with room for any that UDP uses. What an address
/// does not need is zero, so that equal addresses are equal bytes.
#[repr(C, align(4))]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct RawSockAddr {
    bytes: [u8; Self::CAPACITY],
}

impl RawSockAddr {
    pub(super) const CAPACITY: usize = size_of::<sockaddr_in6>();

    pub(super) const EMPTY: Self = Self { bytes: [0; Self::CAPACITY] };

    pub(crate) fn new(address: SocketAddr) -> Self {
        let mut raw = Self::EMPTY;
        match address {
            SocketAddr::V4(address) => {
                raw.put(0, FAMILY_V4.to_ne_bytes());
                raw.put(offset_of!(sockaddr_in, sin_port), address.port().to_be_bytes());
                raw.put(offset_of!(sockaddr_in, sin_addr), address.ip().octets());
            }
            SocketAddr::V6(address) => {
                raw.put(0, FAMILY_V6.to_ne_bytes());
                raw.put(offset_of!(sockaddr_in6, sin6_port), address.port().to_be_bytes());
                raw.put(offset_of!(sockaddr_in6, sin6_addr), address.ip().octets());
                let scope = address.scope_id().to_ne_bytes();
                raw.put(offset_of!(sockaddr_in6, sin6_scope_id), scope);
            }
        }
        raw
    }

    /// Returns the address. One of another family, which cannot occur, becomes one that nobody answers.
    #[inline]
    pub(crate) fn get(&self) -> SocketAddr {
        match self.family() {
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

    /// Returns a number below 128 that differs between most addresses, in a few instructions.
    #[inline]
    pub(crate) fn hash(&self) -> usize {
        // The family, the port, and the IPv4 address; the two halves of the IPv6 address.
        let [head, network, host] = [0, 8, 16].map(|at| u64::from_ne_bytes(self.take(at)));
        let mixed = (head ^ network ^ host).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        // Only the highest bits of a product depend on all bits of its factors.
        (mixed >> 57) as usize
    }

    /// Forgets the flow label that the system wrote, with which a reply would otherwise be sent.
    #[inline]
    pub(super) fn forget_flow_label(&mut self) {
        if self.family() == FAMILY_V6 {
            self.put(offset_of!(sockaddr_in6, sin6_flowinfo), [0; 4]);
        }
    }

    /// Returns the length of the address, in bytes.
    #[inline]
    pub(super) fn len(&self) -> usize {
        if self.family() == FAMILY_V4 { size_of::<sockaddr_in>() } else { Self::CAPACITY }
    }

    pub(super) fn as_ptr(&self) -> *const u8 {
        self.bytes.as_ptr()
    }

    #[inline]
    fn family(&self) -> sa_family_t {
        sa_family_t::from_ne_bytes(self.take(0))
    }

    fn put<const N: usize>(&mut self, at: usize, bytes: [u8; N]) {
        self.bytes[at..at + N].copy_from_slice(&bytes);
    }

    #[inline]
    fn take<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.bytes[at..at + N]);
        bytes
    }
}

const FAMILY_V4: sa_family_t = family(libc::AF_INET);
const FAMILY_V6: sa_family_t = family(libc::AF_INET6);

impl fmt::Debug for RawSockAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "families are small numbers")]
const fn family(family: c_int) -> sa_family_t {
    family as sa_family_t
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn an_address_is_read_as_it_was_written() {
        for text in ["192.0.2.7:40001", "0.0.0.0:0", "[2001:db8::7]:65535", "[fe80::1%3]:9999"] {
            let address: SocketAddr = text.parse().expect("an address");
            let raw = RawSockAddr::new(address);
            assert_eq!(raw.len(), if address.is_ipv4() { 16 } else { 28 });
            assert_eq!(raw.get(), address);
            let mut forgotten = raw;
            forgotten.forget_flow_label();
            assert_eq!(forgotten, raw);
        }
    }

    #[test]
    fn hashes_differ_wherever_addresses_do() {
        for text in ["198.51.100.7:40001", "[2001:db8::7]:40001"] {
            let raw = RawSockAddr::new(text.parse().expect("an address"));
            let ip = match raw.family() {
                FAMILY_V4 => offset_of!(sockaddr_in, sin_addr)..size_of::<sockaddr_in>() - 8,
                _ => offset_of!(sockaddr_in6, sin6_addr)..offset_of!(sockaddr_in6, sin6_scope_id),
            };
            let port = offset_of!(sockaddr_in, sin_port);
            for at in ip.chain([port, port + 1]) {
                let hashes = (0..=u8::MAX).map(|byte| {
                    let mut other = raw;
                    other.put(at, [byte]);
                    other.hash()
                });
                let distinct = BTreeSet::from_iter(hashes).len();
                assert!((64..=128).contains(&distinct), "{distinct} at {at} of {text}");
            }
        }
    }

    #[test]
    fn flow_label_of_a_source_is_forgotten() {
        let raw = RawSockAddr::new("[2001:db8::7]:40001".parse().expect("an address"));
        let mut labelled = raw;
        labelled.put(offset_of!(sockaddr_in6, sin6_flowinfo), [1, 2, 3, 4]);
        assert_ne!(labelled, raw);
        labelled.forget_flow_label();
        assert_eq!(labelled, raw);
    }
}

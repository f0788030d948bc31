use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use crate::sys::network_interface::{InterfaceKind, NetworkInterface};
use crate::sys::xdp::program::{ENDPOINT, SERVICE};
use crate::sys::xdp_mode::XdpMode;

/// Where requests are answered: a `struct endpoint`.
pub(super) type Endpoint = [u8; ENDPOINT];

/// The services of the program, each a `struct service`: an endpoint, and what its replies need.
pub(super) type Services = HashMap<Endpoint, [u8; SERVICE]>;

/// Returns the services of a server with sockets at `bound`, for one interface that the program is
/// attached to: each unicast address of the interface, and of the VLAN interfaces on it, that a socket
/// is bound to.
pub(super) fn services(
    attached: &NetworkInterface,
    mode: XdpMode,
    interfaces: &[NetworkInterface],
    bound: &[SocketAddr],
) -> Services {
    let mut services = Services::new();
    let completes_checksums = attached.kind == InterfaceKind::Veth && mode == XdpMode::Native;
    let vlans = interfaces.iter().filter_map(|interface| match interface.vlan {
        Some((below, vlan)) if below == attached.index => Some((interface, vlan)),
        _ => None,
    });
    for (interface, vlan) in vlans.chain([(attached, 0)]) {
        for address in &interface.addresses {
            for bound in bound.iter().filter(|bound| serves(bound, *address, interface.index)) {
                let at = endpoint(attached.index, vlan, bound.port(), *address);
                services.insert(at, service(&at, interface, completes_checksums, *address));
            }
        }
    }
    services
}

/// Returns whether a socket receives what is sent to an address of an interface.
fn serves(bound: &SocketAddr, address: IpAddr, interface: u32) -> bool {
    let is_unicast = !address.is_multicast() && !address.is_unspecified();
    let is_of_scope = match bound {
        SocketAddr::V6(bound) => bound.scope_id() == 0 || bound.scope_id() == interface,
        SocketAddr::V4(_) => true,
    };
    let is_bound = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.is_ipv4(),
        IpAddr::V6(ip) if ip.is_unspecified() => address.is_ipv6(),
        ip => ip == address,
    };
    is_unicast && is_of_scope && is_bound
}

/// Returns a `struct endpoint`.
pub(super) fn endpoint(interface: u32, vlan: u16, port: u16, address: IpAddr) -> Endpoint {
    let mut endpoint = [0; ENDPOINT];
    endpoint[..4].copy_from_slice(&interface.to_ne_bytes());
    endpoint[4..6].copy_from_slice(&vlan.to_be_bytes());
    endpoint[6..8].copy_from_slice(&port.to_be_bytes());
    endpoint[8..].copy_from_slice(&mapped(address));
    endpoint
}

/// Returns a `struct service`.
fn service(
    at: &Endpoint,
    interface: &NetworkInterface,
    completes_checksums: bool,
    address: IpAddr,
) -> [u8; SERVICE] {
    let mut service = [0; SERVICE];
    let (start, rest) = service.split_at_mut(ENDPOINT);
    start.copy_from_slice(at);
    rest[..6].copy_from_slice(&interface.mac);
    let (mtu, hop_limit) = match address {
        IpAddr::V4(_) => (interface.mtu, interface.hop_limits.ipv4),
        IpAddr::V6(_) => (interface.mtu.min(IPV6_ANY_PATH), interface.hop_limits.ipv6),
    };
    let mtu = u16::try_from(mtu).unwrap_or(u16::MAX);
    rest[6..8].copy_from_slice(&mtu.to_ne_bytes());
    rest[8] = hop_limit;
    rest[9] = completes_checksums.into();
    service
}

/// Returns what is in the slot of a service that is gone: what its replies needed, because the program may
/// be making one.
pub(super) fn vacant(mut service: [u8; SERVICE]) -> [u8; SERVICE] {
    service[..ENDPOINT].fill(0);
    service
}

/// Returns an address as the program has it: IPv4 in its IPv4-mapped form.
pub(super) fn mapped(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

/// The packet that every path takes in one piece over IPv6, in bytes (RFC 8200 section 5). No router
/// fragments a longer reply, so it is left to the socket, which sends it in such pieces.
const IPV6_ANY_PATH: u32 = 1280;

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(index: u8, addresses: &[&str]) -> NetworkInterface {
        NetworkInterface {
            addresses: addresses.iter().map(|ip| ip.parse().expect("an address")).collect(),
            ..NetworkInterface::ethernet(index)
        }
    }

    fn vlan(index: u8, below: u32, id: u16, addresses: &[&str]) -> NetworkInterface {
        NetworkInterface { vlan: Some((below, id)), mtu: 1400, ..interface(index, addresses) }
    }

    /// Returns where the server can be reached by the interface 2: the VLAN, the address and the port.
    fn found(interfaces: &[NetworkInterface], bound: &[&str]) -> Vec<(u16, SocketAddr)> {
        let bound = bound.iter().map(|bound| bound.parse().expect("an address"));
        let attached = interfaces.iter().find(|interface| interface.index == 2).expect("one");
        let services = services(attached, XdpMode::Native, interfaces, &Vec::from_iter(bound));
        let keys = services.keys().map(|key| {
            let number = |at: usize| u16::from_be_bytes([key[at], key[at + 1]]);
            assert_eq!(key[..4], 2_u32.to_ne_bytes());
            let address = <[u8; 16]>::try_from(&key[8..]).expect("16 bytes");
            (number(4), (IpAddr::from(address).to_canonical(), number(6)).into())
        });
        let mut keys = Vec::from_iter(keys);
        keys.sort_unstable();
        keys
    }

    fn expect(found: &[(u16, SocketAddr)], expected: &[(u16, &str)]) {
        let expected = expected.iter().map(|(vlan, text)| (*vlan, text.parse().expect("one")));
        let mut expected = Vec::from_iter(expected);
        expected.sort_unstable();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_wildcard_is_every_address_of_its_family_and_of_this_interface() {
        let own = ["192.0.2.1", "192.0.2.9", "2001:db8::1", "fe80::1"];
        let interfaces = [interface(2, &own), interface(3, &["198.51.100.1", "2001:db8:3::1"])];
        expect(
            &found(&interfaces, &["0.0.0.0:9999"]),
            &[(0, "192.0.2.1:9999"), (0, "192.0.2.9:9999")],
        );
        expect(
            &found(&interfaces, &["[::]:9999"]),
            &[(0, "[2001:db8::1]:9999"), (0, "[fe80::1]:9999")],
        );
        expect(&found(&interfaces, &[]), &[]);
    }

    #[test]
    fn another_address_is_only_itself_and_each_port_is_served() {
        let interfaces = [interface(2, &["192.0.2.1", "192.0.2.9", "2001:db8::1"])];
        let bound = ["192.0.2.1:9999", "192.0.2.1:7", "203.0.113.1:9999", "0.0.0.0:8", "[::1]:9"];
        expect(
            &found(&interfaces, &bound),
            &[(0, "192.0.2.1:7"), (0, "192.0.2.1:8"), (0, "192.0.2.9:8"), (0, "192.0.2.1:9999")],
        );
    }

    #[test]
    fn a_link_local_address_is_served_on_the_interface_of_its_scope() {
        let interfaces = [interface(2, &["fe80::1"]), vlan(4, 2, 5, &["fe80::1"])];
        expect(&found(&interfaces, &["[fe80::1%2]:9999"]), &[(0, "[fe80::1]:9999")]);
        expect(&found(&interfaces, &["[fe80::1%4]:9999"]), &[(5, "[fe80::1]:9999")]);
        expect(&found(&interfaces, &["[fe80::1%3]:9999"]), &[]);
        let both = [(0, "[fe80::1]:9999"), (5, "[fe80::1]:9999")];
        expect(&found(&interfaces, &["[::]:9999"]), &both);
    }

    #[test]
    fn addresses_of_a_vlan_are_served_with_its_tag_alone() {
        let interfaces = [
            interface(2, &["192.0.2.1"]),
            vlan(4, 2, 5, &["198.51.100.1"]),
            vlan(5, 2, 4094, &["2001:db8::5"]),
            vlan(6, 3, 6, &["203.0.113.1"]),
            // Of the VLAN of a VLAN: two tags.
            vlan(7, 4, 7, &["203.0.113.7"]),
        ];
        expect(
            &found(&interfaces, &["0.0.0.0:9999", "[::]:9999"]),
            &[(0, "192.0.2.1:9999"), (5, "198.51.100.1:9999"), (4094, "[2001:db8::5]:9999")],
        );
    }

    #[test]
    fn no_group_and_no_unspecified_address_is_served() {
        let interfaces = [interface(2, &["224.0.0.1", "0.0.0.0", "ff02::1", "::"])];
        expect(&found(&interfaces, &["0.0.0.0:9999", "[::]:9999", "224.0.0.1:9999"]), &[]);
    }

    #[test]
    fn a_service_that_is_gone_keeps_what_a_reply_in_the_making_needs() {
        let service = [7; SERVICE];
        assert_eq!(vacant(service)[..ENDPOINT], [0; ENDPOINT]);
        assert_eq!(vacant(service)[ENDPOINT..], service[ENDPOINT..]);
    }

    #[test]
    fn a_service_has_what_its_own_interface_has() {
        let interfaces = [
            NetworkInterface { mtu: 65_536, ..interface(2, &["192.0.2.1"]) },
            vlan(4, 2, 5, &["2001:db8::5"]),
        ];
        let bound = ["0.0.0.0:9999", "[::]:9999"].map(|bound| bound.parse().expect("one"));
        for (kind, mode, completes_checksums) in [
            (InterfaceKind::Veth, XdpMode::Native, 1),
            (InterfaceKind::Veth, XdpMode::Generic, 0),
            (InterfaceKind::Ethernet, XdpMode::Native, 0),
        ] {
            let attached = NetworkInterface { kind, ..interfaces[0].clone() };
            let services = services(&attached, mode, &interfaces, &bound);
            let service = |mac: u8, mtu: u16, hop_limit| {
                let mtu = mtu.to_ne_bytes();
                [2, 0, 0, 0, 0, mac, mtu[0], mtu[1], hop_limit, completes_checksums, 0, 0]
            };
            let of = |vlan, address: &str| {
                let at = endpoint(2, vlan, 9999, address.parse().expect("an address"));
                assert_eq!(services[&at][..ENDPOINT], at);
                services[&at][ENDPOINT..].to_vec()
            };
            assert_eq!(of(0, "192.0.2.1"), service(2, u16::MAX, 64));
            assert_eq!(of(5, "2001:db8::5"), service(4, 1280, 63));
            assert_eq!(services.len(), 2);
        }
    }
}

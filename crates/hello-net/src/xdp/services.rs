use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use crate::sys::network_interface::NetworkInterface;
use crate::sys::xdp::program::{SERVICE, SERVICE_KEY};
use crate::sys::xdp_mode::XdpMode;

/// The services of the program: where requests are answered, and what the replies need.
pub(super) type Services = HashMap<[u8; SERVICE_KEY], [u8; SERVICE]>;

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
    let vlans = interfaces.iter().filter_map(|interface| match interface.vlan {
        Some((below, vlan)) if below == attached.index => Some((interface, vlan)),
        _ => None,
    });
    for (interface, vlan) in vlans.chain([(attached, 0)]) {
        for address in &interface.addresses {
            for bound in bound.iter().filter(|bound| serves(bound, *address, interface.index)) {
                let key = service_key(attached.index, vlan, bound.port(), *address);
                services.insert(key, service(interface, mode, *address));
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

/// Returns a `struct service_key`.
fn service_key(interface: u32, vlan: u16, port: u16, address: IpAddr) -> [u8; SERVICE_KEY] {
    let mut key = [0; SERVICE_KEY];
    key[..4].copy_from_slice(&interface.to_ne_bytes());
    key[4..6].copy_from_slice(&vlan.to_be_bytes());
    key[6..8].copy_from_slice(&port.to_be_bytes());
    key[8..].copy_from_slice(&mapped(address));
    key
}

/// Returns a `struct service`.
fn service(interface: &NetworkInterface, mode: XdpMode, address: IpAddr) -> [u8; SERVICE] {
    let mut service = [0; SERVICE];
    service[..6].copy_from_slice(&interface.mac);
    let mtu = u16::try_from(interface.mtu).unwrap_or(u16::MAX);
    service[6..8].copy_from_slice(&mtu.to_ne_bytes());
    service[8] = match address {
        IpAddr::V4(_) => interface.hop_limits.ipv4,
        IpAddr::V6(_) => interface.hop_limits.ipv6,
    };
    service[9] = u8::from(mode == XdpMode::Native);
    service
}

/// Returns an address as the program has it: IPv4 in its IPv4-mapped form.
pub(super) fn mapped(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

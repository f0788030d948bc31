use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::netlink::{Message, Netlink};
use crate::sys::latch::Latch;
use crate::sys::network_interface::{HopLimits, InterfaceKind, NetworkInterface};

/// The network interfaces of this machine, and their changes (rtnetlink(7)).
#[derive(Debug)]
pub(crate) struct Interfaces {
    changes: Netlink,
}

impl Interfaces {
    /// Notes changes from now on.
    pub(crate) fn watch() -> io::Result<Self> {
        Ok(Self {
            changes: Netlink::subscribe(RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR)?,
        })
    }

    /// Waits for a change or the latch. Changes at one time are noted as one.
    pub(crate) fn wait(&self, latch: &Latch) -> io::Result<()> {
        self.changes.wait(latch)
    }

    /// Returns all interfaces as they are now.
    pub(crate) fn list(&self) -> io::Result<Vec<NetworkInterface>> {
        self.changes.discard();
        let mut interfaces = Vec::new();
        for message in Netlink::dump(RTM_GETLINK, &[0; IFINFOMSG])? {
            interfaces.extend(read_link(&message));
        }
        for message in Netlink::dump(RTM_GETADDR, &[0; IFADDRMSG])? {
            read_address(&message, &mut interfaces);
        }
        Ok(interfaces)
    }
}

/// Reads a RTM_NEWLINK message.
fn read_link(message: &Message) -> Option<NetworkInterface> {
    let (header, attributes) = message.split(RTM_NEWLINK, IFINFOMSG)?;
    let hardware = u16::from_ne_bytes(header[2..4].try_into().ok()?);
    let index = u32::from_ne_bytes(header[4..8].try_into().ok()?);
    let flags = u32::from_ne_bytes(header[8..12].try_into().ok()?);
    let name = attributes.text(IFLA_IFNAME)?;
    let info = attributes.nested(IFLA_LINKINFO);
    let kind = info.text(IFLA_INFO_KIND).unwrap_or_default();
    let mac = attributes.find(IFLA_ADDRESS).and_then(|mac| mac.try_into().ok());
    let vlan = || {
        let data = info.nested(IFLA_INFO_DATA);
        let is_8021q = data.find(IFLA_VLAN_PROTOCOL).is_none_or(|name| name == [0x81, 0x00]);
        let id = u16::from_ne_bytes(data.find(IFLA_VLAN_ID)?.try_into().ok()?);
        let below = u32::from_ne_bytes(attributes.find(IFLA_LINK)?.try_into().ok()?);
        // The number of an interface in another namespace means none of this one.
        let is_here = attributes.find(IFLA_LINK_NETNSID).is_none();
        (kind == "vlan" && is_8021q && is_here).then_some((below, id))
    };
    Some(NetworkInterface {
        index,
        kind: match hardware {
            ARPHRD_LOOPBACK => InterfaceKind::Loopback,
            ARPHRD_ETHER if kind == "veth" => InterfaceKind::Veth,
            ARPHRD_ETHER => InterfaceKind::Ethernet,
            _ => InterfaceKind::Other,
        },
        mac: mac.unwrap_or_default(),
        mtu: u32::from_ne_bytes(attributes.find(IFLA_MTU)?.try_into().ok()?),
        vlan: vlan(),
        is_up: flags & IFF_UP != 0,
        has_xdp: attributes
            .nested(IFLA_XDP)
            .find(IFLA_XDP_ATTACHED)
            .is_some_and(|mode| mode != [0]),
        hop_limits: HopLimits {
            ipv4: setting("ipv4/ip_default_ttl"),
            ipv6: setting(&format!("ipv6/conf/{name}/hop_limit")),
        },
        name,
        addresses: Vec::new(),
        broadcasts: Vec::new(),
    })
}

/// Adds the address in a RTM_NEWADDR message to its interface.
fn read_address(message: &Message, interfaces: &mut [NetworkInterface]) {
    let Some((header, attributes)) = message.split(RTM_NEWADDR, IFADDRMSG) else { return };
    let flags = attributes.find(IFA_FLAGS).and_then(|flags| flags.try_into().ok());
    let flags = flags.map_or(u32::from(header[2]), u32::from_ne_bytes);
    let index = header[4..8].try_into().map_or(0, u32::from_ne_bytes);
    let interface = interfaces.iter_mut().find(|interface| interface.index == index);
    let is_usable = flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED) == 0;
    let Some(interface) = interface.filter(|interface| interface.is_up && is_usable) else {
        return;
    };
    let find = |kind| attributes.find(kind).and_then(ip_address);
    // Of a point-to-point link, IFA_ADDRESS is the other end.
    interface.addresses.extend(find(IFA_LOCAL).or_else(|| find(IFA_ADDRESS)));
    if let Some(IpAddr::V4(broadcast)) = find(IFA_BROADCAST) {
        interface.broadcasts.push(broadcast);
    }
    // The kernel has it for every subnet, whether or not the address was given one.
    if let (Some(IpAddr::V4(address)), 0..=30) = (find(IFA_ADDRESS), header[1]) {
        let hosts = u32::MAX >> header[1];
        interface.broadcasts.push(Ipv4Addr::from_bits(address.to_bits() | hosts));
    }
}

fn ip_address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(|octets| Ipv4Addr::from(octets).into());
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(|octets| Ipv6Addr::from(octets).into())).ok()
}

/// Returns a setting of the network (sysctl), or Linux's own default of both that are read here.
fn setting(name: &str) -> u8 {
    let text = fs::read_to_string(format!("/proc/sys/net/{name}")).unwrap_or_default();
    text.trim().parse().unwrap_or(64)
}

// linux/rtnetlink.h, linux/if_link.h, linux/if.h, linux/if_addr.h, linux/if_arp.h
const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const RTMGRP_LINK: u32 = 0x1;
const RTMGRP_IPV4_IFADDR: u32 = 0x10;
const RTMGRP_IPV6_IFADDR: u32 = 0x100;
const IFINFOMSG: usize = 16;
const IFADDRMSG: usize = 8;
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_LINK_NETNSID: u16 = 37;
const IFLA_XDP: u16 = 43;
const IFLA_XDP_ATTACHED: u16 = 2;
const IFLA_VLAN_ID: u16 = 1;
const IFLA_VLAN_PROTOCOL: u16 = 5;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const IFA_FLAGS: u16 = 8;
const IFA_F_DADFAILED: u32 = 0x08;
const IFA_F_TENTATIVE: u32 = 0x40;
const IFF_UP: u32 = 0x1;
const ARPHRD_ETHER: u16 = 1;
const ARPHRD_LOOPBACK: u16 = 772;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_listed_with_its_address() {
        let interfaces = Interfaces::watch().expect("a socket").list().expect("a list");
        let is_loopback = |one: &&NetworkInterface| one.kind == InterfaceKind::Loopback;
        let loopback = interfaces.iter().find(is_loopback).expect("one");
        assert_eq!((loopback.index, loopback.name.as_str()), (1, "lo"));
        assert!(loopback.addresses.contains(&Ipv4Addr::LOCALHOST.into()), "{loopback:?}");
        assert!(loopback.mtu > 1500);
    }
}

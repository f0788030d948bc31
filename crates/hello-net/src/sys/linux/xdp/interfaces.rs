use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

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

    /// Waits for a change or the latch, for a minute at most, because the kernel does not report all
    /// changes: a program that is detached by hand, or a setting. Changes at one time are noted as one.
    pub(crate) fn wait(&self, latch: &Latch) -> io::Result<()> {
        self.changes.wait(latch, REFRESH)
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
        // The one below may be in another namespace, where its index stands for another interface.
        let is_here = attributes.find(IFLA_LINK_NETNSID).is_none();
        (kind == "vlan" && is_8021q && is_here).then_some((below, id))
    };
    let program = || {
        let xdp = attributes.nested(IFLA_XDP);
        // There is none in both modes at once.
        let id = xdp.find(IFLA_XDP_DRV_PROG_ID).or_else(|| xdp.find(IFLA_XDP_SKB_PROG_ID));
        Some(u32::from_ne_bytes(id?.try_into().ok()?))
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
        program: program(),
        hop_limits: HopLimits {
            ipv4: setting("ipv4/ip_default_ttl"),
            ipv6: setting(&format!("ipv6/conf/{name}/hop_limit")),
        },
        name,
        addresses: Vec::new(),
        unusable: Vec::new(),
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
    let Some(interface) = interface else { return };
    let is_usable = interface.is_up && flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED) == 0;
    let find = |kind| attributes.find(kind).and_then(ip_address);
    // Of a point-to-point link, IFA_ADDRESS is the other end.
    let address = find(IFA_LOCAL).or_else(|| find(IFA_ADDRESS));
    let addresses = if is_usable { &mut interface.addresses } else { &mut interface.unusable };
    addresses.extend(address);
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

/// The longest time until a change is noticed that the kernel does not report.
const REFRESH: Duration = Duration::from_secs(60);

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
const IFLA_LINK_NETNSID: u16 = 37;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_XDP: u16 = 43;
const IFLA_XDP_DRV_PROG_ID: u16 = 5;
const IFLA_XDP_SKB_PROG_ID: u16 = 6;
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
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn attribute(kind: u16, value: impl AsRef<[u8]>) -> Vec<u8> {
        let value = value.as_ref();
        let len = u16::try_from(4 + value.len()).expect("short");
        let mut bytes = [&len.to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn message(kind: u16, header: &[u8], attributes: &[Vec<u8>]) -> Message {
        let payload = [header, &attributes.concat()].concat();
        let len = u32::try_from(16 + payload.len()).expect("short");
        let bytes = [&len.to_ne_bytes()[..], &kind.to_ne_bytes(), &[0; 10], &payload].concat();
        Message::split_first(&bytes).expect("a message").0
    }

    fn link(hardware: u16, index: u32, attributes: &[Vec<u8>]) -> Option<NetworkInterface> {
        let hardware = hardware.to_ne_bytes();
        let flags = IFF_UP.to_ne_bytes();
        let header = [&[0, 0][..], &hardware, &index.to_ne_bytes(), &flags, &[0; 4]].concat();
        let mtu = attribute(IFLA_MTU, 1400_u32.to_ne_bytes());
        let attributes = [attributes, &[attribute(IFLA_IFNAME, b"eth0\0"), mtu]].concat();
        read_link(&message(RTM_NEWLINK, &header, &attributes))
    }

    fn address(prefix: u8, flags: u8, attributes: &[Vec<u8>]) -> (Vec<IpAddr>, Vec<Ipv4Addr>) {
        let mut interfaces = vec![link(ARPHRD_ETHER, 7, &[]).expect("an interface")];
        let header = [&[0, prefix, flags, 0][..], &7_u32.to_ne_bytes()].concat();
        read_address(&message(RTM_NEWADDR, &header, attributes), &mut interfaces);
        let NetworkInterface { addresses, broadcasts, .. } = interfaces.remove(0);
        (addresses, broadcasts)
    }

    fn vlan(protocol: [u8; 2]) -> Vec<u8> {
        let id = attribute(IFLA_VLAN_ID, 5_u16.to_ne_bytes());
        let data = [id, attribute(IFLA_VLAN_PROTOCOL, protocol)].concat();
        let kind = attribute(IFLA_INFO_KIND, b"vlan\0");
        attribute(IFLA_LINKINFO, [kind, attribute(IFLA_INFO_DATA, data)].concat())
    }

    #[test]
    fn loopback_is_listed_with_its_address() {
        let interfaces = Interfaces::watch().expect("a socket").list().expect("a list");
        let is_loopback = |one: &&NetworkInterface| one.kind == InterfaceKind::Loopback;
        let loopback = interfaces.iter().find(is_loopback).expect("one");
        assert_eq!((loopback.index, loopback.name.as_str()), (1, "lo"));
        assert!(loopback.addresses.contains(&Ipv4Addr::LOCALHOST.into()), "{loopback:?}");
        assert!(loopback.mtu > 1500);
    }

    #[test]
    fn an_interface_is_read_with_its_kind() {
        let veth = attribute(IFLA_LINKINFO, attribute(IFLA_INFO_KIND, b"veth\0"));
        for (hardware, attributes, kind) in [
            (ARPHRD_ETHER, vec![], InterfaceKind::Ethernet),
            (ARPHRD_ETHER, vec![veth], InterfaceKind::Veth),
            (ARPHRD_LOOPBACK, vec![], InterfaceKind::Loopback),
            (65534, vec![], InterfaceKind::Other),
        ] {
            let mac = attribute(IFLA_ADDRESS, [2, 0, 0, 0, 0, 9]);
            let read = link(hardware, 7, &[&[mac][..], &attributes].concat()).expect("a link");
            assert_eq!((read.index, read.name.as_str(), read.kind), (7, "eth0", kind));
            assert_eq!((read.mac, read.mtu, read.vlan), ([2, 0, 0, 0, 0, 9], 1400, None));
        }
    }

    #[test]
    fn only_a_vlan_of_802_1q_on_an_interface_of_this_namespace_counts() {
        let below = || attribute(IFLA_LINK, 3_u32.to_ne_bytes());
        let elsewhere = attribute(IFLA_LINK_NETNSID, 0_u32.to_ne_bytes());
        for (attributes, expected) in [
            (vec![below(), vlan([0x81, 0x00])], Some((3, 5))),
            (vec![below(), vlan([0x88, 0xa8])], None),
            (vec![vlan([0x81, 0x00])], None),
            (vec![below(), elsewhere, vlan([0x81, 0x00])], None),
            (vec![below()], None),
        ] {
            let read = link(ARPHRD_ETHER, 7, &attributes).expect("a link");
            assert_eq!(read.vlan, expected, "{attributes:?}");
        }
    }

    #[test]
    fn an_address_is_read_with_every_broadcast_address_of_its_subnet() {
        let own = || attribute(IFA_LOCAL, [192, 0, 2, 1]);
        let subnet = || attribute(IFA_ADDRESS, [192, 0, 2, 1]);
        let (other_end, set) =
            (attribute(IFA_ADDRESS, [192, 0, 2, 9]), attribute(IFA_BROADCAST, [192, 0, 2, 127]));
        for (prefix, attributes, broadcasts) in [
            (24, vec![own(), subnet()], vec![[192, 0, 2, 255]]),
            (24, vec![own(), subnet(), set], vec![[192, 0, 2, 127], [192, 0, 2, 255]]),
            (31, vec![own(), subnet()], vec![]),
            (32, vec![own(), other_end], vec![]),
            (99, vec![own(), subnet()], vec![]),
        ] {
            let expected = vec![IpAddr::from([192, 0, 2, 1])];
            let broadcasts = broadcasts.into_iter().map(Ipv4Addr::from).collect();
            assert_eq!(address(prefix, 0, &attributes), (expected, broadcasts));
        }
        let ipv6 = attribute(IFA_ADDRESS, Ipv6Addr::LOCALHOST.octets());
        assert_eq!(address(64, 0, &[ipv6]), (vec![Ipv6Addr::LOCALHOST.into()], vec![]));
        assert_eq!(address(64, 0, &[attribute(IFA_ADDRESS, [1, 2, 3])]), (vec![], vec![]));
    }

    #[test]
    fn an_address_that_was_not_found_to_be_unique_is_not_used() {
        let ipv6 = || attribute(IFA_ADDRESS, Ipv6Addr::LOCALHOST.octets());
        let flags = |flags: u32| attribute(IFA_FLAGS, flags.to_ne_bytes());
        assert!(address(64, 0x40, &[ipv6()]).0.is_empty());
        assert!(address(64, 0x08, &[ipv6()]).0.is_empty());
        assert!(address(64, 0, &[ipv6(), flags(0x340)]).0.is_empty());
        assert_eq!(address(64, 0, &[ipv6(), flags(0x300)]).0.len(), 1);
    }

    proptest! {
        #[test]
        fn a_message_of_any_bytes_is_read_without_panic(
            kind in prop_oneof![Just(RTM_NEWLINK), Just(RTM_NEWADDR), any::<u16>()],
            index in 0..9_u8,
            bytes in vec(prop_oneof![0..24_u8, any::<u8>()], 0..120),
        ) {
            Message::split_first(&bytes);
            let message = message(kind, &[&[0, 24, 0, 0, index, 0, 0, 0][..], &bytes].concat(), &[]);
            read_link(&message);
            read_address(&message, &mut [link(ARPHRD_ETHER, 7, &[]).expect("an interface")]);
        }
    }
}

use std::net::{IpAddr, Ipv4Addr};

/// A network interface, as the system has it at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NetworkInterface {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) kind: InterfaceKind,
    /// The hardware address.
    pub(crate) mac: [u8; 6],
    /// In bytes, without the link header.
    pub(crate) mtu: u32,
    /// For a VLAN interface: the index of the one below it, and the VLAN's number (802.1Q).
    pub(crate) vlan: Option<(u32, u16)>,
    /// Whether it is switched on (IFF_UP, netdevice(7)).
    pub(crate) is_up: bool,
    /// The number of the XDP program that is attached to it.
    pub(crate) program: Option<u32>,
    /// The TTL and the hop limit of what it sends.
    pub(crate) hop_limits: HopLimits,
    /// Those that are usable: the interface is up, and they were found to be unique.
    pub(crate) addresses: Vec<IpAddr>,
    /// The others: nobody else has them, either.
    pub(crate) unusable: Vec<IpAddr>,
    /// The broadcast addresses of its subnets.
    pub(crate) broadcasts: Vec<Ipv4Addr>,
}

#[cfg(test)]
impl NetworkInterface {
    /// Returns an Ethernet interface without addresses, called `eth` and its index.
    pub(crate) fn ethernet(index: u8) -> Self {
        Self {
            index: index.into(),
            name: format!("eth{index}"),
            kind: InterfaceKind::Ethernet,
            mac: [2, 0, 0, 0, 0, index],
            mtu: 1500,
            vlan: None,
            is_up: true,
            program: None,
            hop_limits: HopLimits { ipv4: 64, ipv6: 63 },
            addresses: Vec::new(),
            unusable: Vec::new(),
            broadcasts: Vec::new(),
        }
    }
}

/// The kind of a network interface, as far as it matters to XDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(any(test, all(target_os = "linux", feature = "xdp"))),
    expect(dead_code, reason = "interfaces are listed with XDP only")
)]
pub(crate) enum InterfaceKind {
    Ethernet,
    /// One end of a pair (veth(4)).
    Veth,
    Loopback,
    /// Its packets have no Ethernet header.
    Other,
}

/// The default TTL and hop limit of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HopLimits {
    pub(crate) ipv4: u8,
    pub(crate) ipv6: u8,
}

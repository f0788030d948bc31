use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::services::mapped;
use crate::sys::network_interface::NetworkInterface;
use crate::sys::xdp::program::BLOCKS;

/// The properties of the program's sources, by prefix, which has a length in bits.
pub(super) type Sources = BTreeMap<([u8; 16], u8), u32>;

/// The program passes what such a source sends to the socket.
const REFUSED: u32 = 1;
/// The source is not limited.
const EXEMPT: u32 = 2;
/// Strangers share the prefix, so each address has a limit of its own.
const SHARED: u32 = 4;
/// Of a block: there are longer prefixes in it.
const DIFFERS: u8 = 8;

/// The sources that do not depend on the interfaces.
#[derive(Debug)]
pub(super) struct FixedSources {
    /// The properties that a prefix does not have of those that contain it.
    own: Sources,
    sources: Sources,
}

impl FixedSources {
    /// Collects the networks that send no requests, those that strangers share, and those exempt from
    /// the limit. All of IPv4 is one of them, so that IPv4 has no properties of an IPv6 network that
    /// contains its mapped form.
    pub(super) fn new(shared: &[Ipv6Net], exempt: &[IpNet]) -> Self {
        let refused = NO_HOSTS.map(|network| (network, REFUSED));
        let shared = shared.iter().map(|network| (IpNet::V6(*network), SHARED));
        let exempt = exempt.iter().map(|network| (network.trunc(), EXEMPT));
        let mut own = Sources::new();
        for (network, properties) in
            refused.into_iter().chain([(IPV4, 0)]).chain(shared).chain(exempt)
        {
            *own.entry(prefix(&network)).or_default() |= properties;
        }
        let mut fixed = Self { own, sources: Sources::new() };
        let sources = fixed.own.keys().map(|prefix| (*prefix, fixed.inherited(*prefix)));
        fixed.sources = sources.collect();
        fixed
    }

    /// Returns the number of prefixes.
    pub(super) fn len(&self) -> usize {
        self.own.len()
    }

    /// Returns the properties of all prefixes that contain one, itself among them.
    fn inherited(&self, (prefix, len): ([u8; 16], u8)) -> u32 {
        let is_ipv4 = len >= MAPPED_LEN && prefix.starts_with(&MAPPED);
        let containing = (if is_ipv4 { MAPPED_LEN } else { 0 })..=len;
        let bits = u128::from_be_bytes(prefix);
        containing.fold(0, |properties, len| {
            let mask = u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or(0);
            properties | self.own.get(&((bits & mask).to_be_bytes(), len)).copied().unwrap_or(0)
        })
    }
}

/// Returns all prefixes, with those of the interfaces: nobody else has this machine's addresses, and
/// nobody has a broadcast address. The program looks for the longest prefix only, so each has the
/// properties of all that contain it.
pub(super) fn sources<'a>(
    fixed: &FixedSources,
    interfaces: impl IntoIterator<Item = &'a NetworkInterface>,
) -> Sources {
    let mut sources = fixed.sources.clone();
    for interface in interfaces {
        let broadcasts = interface.broadcasts.iter().map(|address| IpAddr::V4(*address));
        let addresses = interface.addresses.iter().chain(&interface.unusable).copied();
        for address in addresses.chain(broadcasts) {
            let prefix = prefix(&IpNet::from(address));
            sources.insert(prefix, REFUSED | fixed.inherited(prefix));
        }
    }
    sources
}

/// Returns the properties of each block of addresses, which start with the same 16 bits, as the program
/// has them: IPv6 first.
pub(super) fn blocks(sources: &Sources) -> Box<[u8; BLOCKS]> {
    let mut blocks = Box::new([0; BLOCKS]);
    let (ipv6, ipv4) = blocks.split_at_mut(BLOCKS / 2);
    let mut prefixes = Vec::from_iter(sources);
    // The longest prefix of a block has the last word.
    prefixes.sort_by_key(|((_, len), _)| *len);
    for ((prefix, len), properties) in prefixes {
        let (family, start, len) = match prefix.strip_prefix(&MAPPED) {
            Some(prefix) if *len >= MAPPED_LEN => (&mut *ipv4, prefix, len - MAPPED_LEN),
            _ => (&mut *ipv6, &prefix[..], *len),
        };
        let start = usize::from(u16::from_be_bytes([start[0], start[1]]));
        match 16_u8.checked_sub(len) {
            Some(free) => family[start..][..1 << free].fill(properties.to_le_bytes()[0]),
            None => family[start] |= DIFFERS,
        }
    }
    blocks
}

/// Returns a network as the program has it: IPv4 in its IPv4-mapped form.
fn prefix(network: &IpNet) -> ([u8; 16], u8) {
    let more = if matches!(network, IpNet::V4(_)) { MAPPED_LEN } else { 0 };
    (mapped(network.addr()), network.prefix_len() + more)
}

/// The networks that have no hosts (RFC 6890): "this network", the loopback, multicast, reserved and
/// broadcast.
const NO_HOSTS: [IpNet; 5] = [
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 8)),
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8)),
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(224, 0, 0, 0), 3)),
    // The unspecified address and the loopback.
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 127)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8)),
];

/// How an IPv4-mapped address starts, and the length of that in bits.
const MAPPED: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
const MAPPED_LEN: u8 = 96;

const IPV4: IpNet = IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0));

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> IpNet {
        text.parse().expect("a network")
    }

    /// Returns the properties that the program finds for an address: of its block, or of the longest
    /// prefix.
    fn found(sources: &Sources, address: &str) -> u32 {
        let address: IpAddr = address.parse().expect("an address");
        let bits = u128::from_be_bytes(mapped(address));
        let contains = |(prefix, len): &([u8; 16], u8)| {
            let differing = bits ^ u128::from_be_bytes(*prefix);
            differing.checked_shr(128 - u32::from(*len)).unwrap_or(0) == 0
        };
        let longest =
            sources.iter().filter(|(prefix, _)| contains(prefix)).max_by_key(|(p, _)| p.1);
        let longest = longest.map_or(0, |(_, properties)| *properties);
        let block = match address {
            IpAddr::V4(address) => BLOCKS / 2 + (address.to_bits() >> 16) as usize,
            IpAddr::V6(address) => address.segments()[0].into(),
        };
        let properties = blocks(sources)[block];
        assert!(properties & DIFFERS != 0 || u32::from(properties) == longest, "{address}");
        longest
    }

    #[test]
    fn few_blocks_take_a_search() {
        let shared = ["fe80::/10", "2001::/32"].map(|text| text.parse().expect("a network"));
        let exempt = ["198.51.100.0/24", "203.0.0.0/15"].map(network);
        let blocks = blocks(&sources(&FixedSources::new(&shared, &exempt), &[]));
        let (ipv6, ipv4) = blocks.split_at(BLOCKS / 2);
        let searched = |blocks: &[u8]| {
            let differs = blocks.iter().enumerate().filter(|(_, block)| *block & DIFFERS != 0);
            Vec::from_iter(differs.map(|(start, _)| start))
        };
        // The IPv4-mapped addresses are in the first of IPv6, too.
        assert_eq!(searched(ipv6), [0, 0x2001]);
        assert_eq!(searched(ipv4), [198 << 8 | 51]);
        assert_eq!(u32::from(ipv4[203 << 8]), EXEMPT);
        assert_eq!(u32::from(ipv4[203 << 8 | 1]), EXEMPT);
        assert_eq!((ipv4[203 << 8 | 2], ipv4[8 << 8]), (0, 0));
        assert_eq!(u32::from(ipv6[0xfebf]), SHARED);
    }

    #[test]
    fn each_prefix_has_the_properties_of_all_that_contain_it() {
        let shared = ["fe80::/10".parse().expect("a network")];
        let exempt = ["fe80::/9", "224.0.1.0/24", "192.0.2.0/24", "192.0.2.0/23"].map(network);
        let sources = sources(&FixedSources::new(&shared, &exempt), &[]);
        for (address, properties) in [
            ("198.51.100.1", 0),
            ("192.0.2.1", EXEMPT),
            ("192.0.3.1", EXEMPT),
            ("224.0.1.7", EXEMPT | REFUSED),
            ("224.0.2.7", REFUSED),
            ("255.255.255.255", REFUSED),
            ("127.0.0.1", REFUSED),
            ("::1", REFUSED),
            ("::2", 0),
            ("fe80::1", EXEMPT | SHARED),
            ("fec0::1", EXEMPT),
            ("ff02::1", REFUSED),
        ] {
            assert_eq!(found(&sources, address), properties, "{address}");
        }
    }

    #[test]
    fn ipv4_is_not_exempt_with_ipv6_nor_ipv6_with_ipv4() {
        for (exempt, ipv4, ipv6) in [("::/0", 0, EXEMPT), ("::/64", 0, 0), ("0.0.0.0/0", EXEMPT, 0)]
        {
            let sources = sources(&FixedSources::new(&[], &[network(exempt)]), &[]);
            assert_eq!(found(&sources, "192.0.2.1"), ipv4, "{exempt}");
            assert_eq!(found(&sources, "2001:db8::1"), ipv6, "{exempt}");
            assert_eq!(found(&sources, "127.0.0.1"), ipv4 | REFUSED, "{exempt}");
        }
    }

    #[test]
    fn addresses_of_interfaces_are_refused_besides_what_they_are() {
        let eth0 = NetworkInterface {
            addresses: ["192.0.2.1", "fe80::1"].map(|ip| ip.parse().expect("an address")).to_vec(),
            broadcasts: vec![Ipv4Addr::new(192, 0, 2, 255)],
            ..NetworkInterface::ethernet(2)
        };
        let shared = ["fe80::/10".parse().expect("a network")];
        let sources = sources(&FixedSources::new(&shared, &[network("192.0.2.0/24")]), [&eth0]);
        for (address, properties) in [
            ("192.0.2.1", EXEMPT | REFUSED),
            ("192.0.2.255", EXEMPT | REFUSED),
            ("192.0.2.2", EXEMPT),
            ("fe80::1", SHARED | REFUSED),
            ("fe80::2", SHARED),
        ] {
            assert_eq!(found(&sources, address), properties, "{address}");
        }
    }

    #[test]
    fn everything_is_exempt_without_a_limit_and_still_refused_where_it_was() {
        let sources = sources(&FixedSources::new(&[], &["0.0.0.0/0", "::/0"].map(network)), &[]);
        assert_eq!(found(&sources, "192.0.2.1"), EXEMPT);
        assert_eq!(found(&sources, "2001:db8::1"), EXEMPT);
        assert_eq!(found(&sources, "224.0.0.1"), EXEMPT | REFUSED);
    }
}

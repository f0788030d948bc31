//! Packets of every kind, generated.

use std::cell::Cell;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;

use super::packet::{Checksum, FRAGMENT, Packet};
use super::*;

#[test]
fn every_packet_is_answered_as_frame_answers_it_or_passed_as_it_was() {
    let jumbo = || Options { max_name_len: usize::MAX, mtu: 3000, ..Options::default() };
    let generic = || Options { mode: XdpMode::Generic, ..Options::default() };
    let unbounded = || Options { max_name_len: usize::MAX, ..Options::default() };
    for options in [Options::default(), generic(), unbounded(), jumbo()] {
        let Some(lab) = Lab::new(options) else { return };
        let config =
            ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(CASES) };
        let checked = Cell::new(0);
        let result = TestRunner::new(config).run(&packets(), |packet| {
            lab.check(&packet.bytes());
            checked.set(checked.get() + 1);
            Ok(())
        });
        result.unwrap_or_else(|error| panic!("{error}"));
        // Every outcome was there, except for a driver without room.
        let counters = lab.counters();
        let passed = Passed::ALL.map(|why| counters.passed(why));
        assert_eq!(counters.received() + passed.iter().sum::<u64>(), checked.get());
        assert!(counters.answered_ipv4() > u64::from(CASES / 20), "{counters:?}");
        assert!(counters.answered_ipv6() > u64::from(CASES / 20), "{counters:?}");
        assert!(passed[..4].iter().all(|passed| *passed > 0), "{counters:?}");
    }
}

const CASES: u32 = 1000;

/// A packet that may be plain, with a few defects or none.
fn packets() -> impl Strategy<Value = Packet> {
    let defects = prop_oneof![
        5 => Just(Vec::new()),
        4 => vec(defect(), 1),
        1 => vec(defect(), 2..4),
    ];
    (addresses(), names(), checksums(), 0..4_usize, defects).prop_map(
        |((source, destination, vlan), name, checksum, padding, defects)| {
            let mut packet = Packet { checksum, ..Packet::new(source, destination, &name) };
            if vlan {
                packet.tags = vec![5];
                packet.to[5] = 5;
            }
            packet.padded_to = [0, 0, 60, 64][padding];
            for defect in defects {
                defect.apply(&mut packet);
            }
            packet
        },
    )
}

/// The source, the destination, and whether that is of the VLAN.
fn addresses() -> impl Strategy<Value = (SocketAddr, SocketAddr, bool)> {
    let ipv4 = prop_oneof![
        8 => any::<u8>().prop_map(|host| Ipv4Addr::new(203, 0, 113, host)),
        2 => any::<u32>().prop_map(Ipv4Addr::from_bits),
        1 => select(vec![
            "0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "239.255.255.255", "240.0.0.1",
            "255.255.255.255", "192.0.2.1", "192.0.2.255", "198.51.100.1", "198.51.100.255",
            "192.0.2.254", "223.255.255.255", "1.0.0.0", "126.0.0.1", "128.0.0.1",
        ]).prop_map(|text| text.parse().expect("an address")),
    ];
    let ipv6 = prop_oneof![
        8 => any::<u16>().prop_map(|host| Ipv6Addr::new(0x2001, 0xdb8, 9, 0, 0, 0, 0, host)),
        2 => any::<u128>().prop_map(Ipv6Addr::from_bits),
        1 => select(vec![
            "::", "::1", "::2", "ff02::1", "ff0e::1", "fe80::1", "fe80::2", "2001:db8::1",
            "2001:db8:5::1", "::ffff:203.0.113.7", "::203.0.113.7", "64:ff9b::1.2.3.4",
            "feff::1", "2001:db8:5::2",
        ]).prop_map(|text| text.parse().expect("an address")),
    ];
    let served = select(vec![
        ("192.0.2.1:9999", "[2001:db8::1]:9999", false),
        ("192.0.2.1:9998", "[2001:db8::1]:9998", false),
        ("192.0.2.1:9999", "[fe80::1]:9999", false),
        ("198.51.100.1:9999", "[2001:db8:5::1]:9999", true),
    ]);
    let other = select(vec![
        ("192.0.2.2:9999", "[2001:db8::2]:9999", false),
        ("192.0.2.1:9997", "[fe80::1]:9998", false),
        ("224.0.0.1:9999", "[ff02::1]:9999", false),
        ("255.255.255.255:9999", "[::ffff:192.0.2.1]:9999", false),
        ("192.0.2.255:9999", "[::1]:9999", false),
        ("198.51.100.1:9999", "[2001:db8:5::1]:9999", false),
        ("192.0.2.1:9999", "[2001:db8::1]:9999", true),
        ("198.51.100.1:9998", "[2001:db8:5::1]:9998", true),
    ]);
    let ports = prop_oneof![
        8 => 1024..=u16::MAX,
        1 => select(vec![0, 1, 7, 53, 1023, 1024, 1900, 3702, 5353, 5355, 5683, 11211, 9998, 9999]),
    ];
    let destinations = prop_oneof![9 => served, 1 => other];
    (any::<bool>(), ipv4, ipv6, ports, destinations).prop_map(
        |(is_ipv4, ipv4, ipv6, port, (local_ipv4, local_ipv6, vlan))| match is_ipv4 {
            true => ((ipv4, port).into(), address(local_ipv4), vlan),
            false => ((ipv6, port).into(), address(local_ipv6), vlan),
        },
    )
}

/// Names of any bytes, and of any length up to what an Ethernet frame carries, and a little more.
fn names() -> impl Strategy<Value = Vec<u8>> {
    let lens = prop_oneof![4 => 0..40_usize, 2 => 0..=1480_usize, 1 => 1000..1045_usize, 1 => 840..880_usize];
    let starts = prop_oneof![
        6 => Just(&b""[..]),
        1 => Just(&b"Hello, "[..]),
        1 => Just(&b"Hello, Hello, "[..]),
        1 => Just(&b"Hello, Hello,"[..]),
    ];
    // Few of them are generated, because that takes long.
    (lens, starts, any::<[u8; 13]>()).prop_map(|(len, start, filling)| {
        start.iter().chain(filling.iter().cycle()).take(len).copied().collect()
    })
}

fn checksums() -> impl Strategy<Value = Checksum> {
    prop_oneof![
        6 => Just(Checksum::Correct),
        2 => Just(Checksum::Zero),
        2 => Just(Checksum::Partial),
        2 => any::<u16>().prop_map(Checksum::Wrong),
    ]
}

/// What may be unusual or wrong about a packet.
#[derive(Clone, Debug)]
enum Defect {
    Tags(Vec<u16>),
    To([u8; 6]),
    From([u8; 6]),
    Protocol(u8),
    HopLimit(u8),
    Fragment(u16),
    Options(usize),
    Extensions(Vec<u8>),
    UdpLen(u16),
    IpLen(u16),
    BothLens(u16),
    HeaderChecksum(u16),
    Trailing(usize),
    Flip(usize, u8),
    CutAt(usize),
}

fn defect() -> impl Strategy<Value = Defect> {
    let tag = prop_oneof![Just(0), Just(5), Just(6), Just(0xe000), Just(0xf005), any::<u16>()];
    let mac = [0x02, 0x02, 0, 0, 0, 0];
    let error = || {
        prop_oneof![
            Just(1),
            Just(u16::MAX),
            0..40_u16,
            (0..40_u16).prop_map(u16::wrapping_neg),
            any::<u16>()
        ]
    };
    prop_oneof![
        2 => vec(tag, 0..3).prop_map(Defect::Tags),
        1 => prop_oneof![Just([0xff; 6]), Just(mac), (0..6_usize).prop_map(|at| {
            let mut mac = [0x02, 0, 0, 0, 0, 0x01];
            mac[at] ^= 0x40;
            mac
        })].prop_map(Defect::To),
        1 => any::<[u8; 6]>().prop_map(Defect::From),
        1 => any::<u8>().prop_map(Defect::Protocol),
        1 => any::<u8>().prop_map(Defect::HopLimit),
        2 => prop_oneof![Just(0), Just(0x2000), Just(0x6000), Just(0x8000), Just(1), Just(0x4001), any::<u16>()]
            .prop_map(Defect::Fragment),
        1 => (1..=10_usize).prop_map(Defect::Options),
        2 => vec(select(vec![0, 43, 60, FRAGMENT]), 1..3).prop_map(Defect::Extensions),
        1 => error().prop_map(Defect::UdpLen),
        1 => error().prop_map(Defect::IpLen),
        1 => error().prop_map(Defect::BothLens),
        1 => any::<u16>().prop_map(Defect::HeaderChecksum),
        2 => prop_oneof![1..40_usize, 0..1500_usize].prop_map(Defect::Trailing),
        4 => (0..70_usize, any::<u8>()).prop_map(|(at, bits)| Defect::Flip(at, bits)),
        1 => (14..1600_usize).prop_map(Defect::CutAt),
        1 => (14..80_usize).prop_map(Defect::CutAt),
    ]
}

impl Defect {
    fn apply(self, packet: &mut Packet) {
        match self {
            Self::Tags(tags) => packet.tags = tags,
            Self::To(mac) => packet.to = mac,
            Self::From(mac) => packet.from = mac,
            Self::Protocol(protocol) => packet.protocol = protocol,
            Self::HopLimit(hop_limit) => packet.hop_limit = hop_limit,
            Self::Fragment(bits) => packet.fragment = bits,
            Self::Options(words) => packet.options = words,
            Self::Extensions(numbers) => packet.extensions = numbers,
            Self::UdpLen(error) => packet.udp_len_error = error,
            Self::IpLen(error) => packet.ip_len_error = error,
            Self::BothLens(error) => {
                (packet.udp_len_error, packet.ip_len_error) = (error, error);
            }
            Self::HeaderChecksum(error) => packet.header_checksum_error = error,
            Self::Trailing(len) => packet.trailing = len,
            Self::Flip(at, bits) => packet.flipped.push((at, bits)),
            Self::CutAt(len) => packet.cut_at = len,
        }
    }
}

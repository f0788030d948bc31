use std::iter;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hello_proto::{Guard, MAX_NAME_LEN, Refusal, Request};
use proptest::collection::vec;
use proptest::prelude::*;

use super::{config, datagram};

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));
const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

fn verdict(guard: Guard, source: (IpAddr, u16), local: (IpAddr, u16)) -> Option<Refusal> {
    guard.check(source.into(), local.into(), b"Tracy").err()
}

#[test]
#[cfg_attr(miri, ignore = "262,144 requests")]
fn every_source_port_is_classified() {
    for own in [9999, 53, 1900, 40_000] {
        for port in 0..=u16::MAX {
            let expected = match port {
                0 => Some(Refusal::SourcePortZero),
                1..=1023 => Some(Refusal::SourcePortPrivileged),
                1900 | 3702 | 5353 | 5355 | 5683 | 11211 => Some(Refusal::SourcePortReflector),
                port if port == own => Some(Refusal::SourcePortOwn),
                _ => None,
            };
            assert_eq!(verdict(Guard::new(), (CLIENT, port), (SERVER, own)), expected);
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "524,288 requests")]
fn each_port_rule_can_be_disabled_alone() {
    let rules = [
        (Refusal::SourcePortZero, vec![0]),
        (Refusal::SourcePortPrivileged, (1..1024).collect()),
        (Refusal::SourcePortReflector, vec![1900, 3702, 5353, 5355, 5683, 11211]),
        (Refusal::SourcePortOwn, vec![9999]),
    ];
    for (allowed, ports) in rules {
        let guard = Guard::new().allow(allowed);
        for port in 0..=u16::MAX {
            let before = verdict(Guard::new(), (CLIENT, port), (SERVER, 9999));
            let expected = before.filter(|refusal| *refusal != allowed);
            assert_eq!(before != expected, ports.contains(&port), "{port}");
            assert_eq!(verdict(guard, (CLIENT, port), (SERVER, 9999)), expected);
        }
    }
}

#[test]
fn every_kind_of_address_is_classified() {
    use Refusal::*;
    // Address, refusal as a source, refusal as a destination.
    let kinds = [
        ("0.0.0.0", Some(SourceUnspecified), None),
        ("::", Some(SourceUnspecified), None),
        ("255.255.255.255", Some(SourceBroadcast), Some(DestinationBroadcast)),
        ("224.0.0.0", Some(SourceMulticast), Some(DestinationMulticast)),
        ("224.0.0.1", Some(SourceMulticast), Some(DestinationMulticast)),
        ("239.255.255.255", Some(SourceMulticast), Some(DestinationMulticast)),
        ("ff00::", Some(SourceMulticast), Some(DestinationMulticast)),
        ("ff02::1", Some(SourceMulticast), Some(DestinationMulticast)),
        ("ff0e::1:2:3", Some(SourceMulticast), Some(DestinationMulticast)),
        // Loopback, private, shared, link-local, documentation, reserved, global.
        ("127.0.0.1", None, None),
        ("127.255.255.255", None, None),
        ("10.1.2.3", None, None),
        ("100.64.0.1", None, None),
        ("169.254.1.1", None, None),
        ("192.0.2.1", None, None),
        ("223.255.255.255", None, None),
        ("240.0.0.1", None, None),
        ("255.255.255.254", None, None),
        ("0.0.0.1", None, None),
        ("1.1.1.1", None, None),
        ("::1", None, None),
        ("::2", None, None),
        ("fe80::1", None, None),
        ("fc00::1", None, None),
        ("2001:db8::1", None, None),
        ("feff:ffff::1", None, None),
    ];
    for (address, as_source, as_destination) in kinds {
        let address: IpAddr = address.parse().expect("an address");
        let mapped = match address {
            IpAddr::V4(address) => IpAddr::V6(address.to_ipv6_mapped()),
            IpAddr::V6(_) => address,
        };
        for address in [address, mapped] {
            let source = verdict(Guard::new(), (address, 40_001), (SERVER, 9999));
            assert_eq!(source, as_source, "from {address}");
            let destination = verdict(Guard::new(), (CLIENT, 40_001), (address, 9999));
            assert_eq!(destination, as_destination, "at {address}");
            for refusal in [as_source, as_destination].into_iter().flatten() {
                let guard = Guard::new().allow(refusal);
                let source = verdict(guard, (address, 40_001), (SERVER, 9999));
                assert_eq!(source, as_source.filter(|kind| *kind != refusal));
                let destination = verdict(guard, (CLIENT, 40_001), (address, 9999));
                assert_eq!(destination, as_destination.filter(|kind| *kind != refusal));
            }
        }
    }
}

fn address() -> impl Strategy<Value = IpAddr> {
    let special = prop::sample::select(vec![
        Ipv4Addr::UNSPECIFIED,
        Ipv4Addr::BROADCAST,
        Ipv4Addr::new(224, 0, 0, 1),
        Ipv4Addr::LOCALHOST,
    ]);
    let v4 = prop_oneof![any::<Ipv4Addr>(), special];
    let v6 = any::<Ipv6Addr>();
    let group = any::<u16>().prop_map(|group| Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, group));
    prop_oneof![
        v4.clone().prop_map(IpAddr::from),
        v4.prop_map(|address| address.to_ipv6_mapped().into()),
        prop_oneof![v6, group].prop_map(IpAddr::from),
    ]
}

fn socket_address() -> impl Strategy<Value = SocketAddr> {
    let port = prop_oneof![0..2048_u16, any::<u16>(), Just(9999)];
    (address(), port).prop_map(SocketAddr::from)
}

fn guard() -> impl Strategy<Value = Guard> {
    let allowed = prop::sample::subsequence(Refusal::ALL.to_vec(), 0..=Refusal::ALL.len());
    let max = prop_oneof![0..64_usize, Just(1024), MAX_NAME_LEN - 2..MAX_NAME_LEN + 2];
    (max, allowed).prop_map(|(max, allowed)| {
        allowed.into_iter().fold(Guard::new().with_max_name_len(max), Guard::allow)
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn names_side_by_side_are_checked_as_one_by_one(
        guard in guard(),
        len in prop_oneof![4 => 1..40_usize, 1 => MAX_NAME_LEN - 2..MAX_NAME_LEN + 2],
        greeted in vec(any::<bool>(), 0..8),
    ) {
        let greeting = b"Hello, Hello, ".iter().chain(iter::repeat(&b'x'));
        let name = |twice: &bool| Vec::from_iter(greeting.clone().skip(usize::from(!twice)).take(len).copied());
        let names = Vec::from_iter(greeted.iter().map(name));
        let bytes = names.concat();
        let (mut together, mut rest) = (Vec::new(), &bytes[..]);
        while !rest.is_empty() {
            let (result, count) = guard.check_names(rest, len);
            together.extend(iter::repeat_n(result, count));
            rest = &rest[count * len..];
        }
        let singly = names.iter().map(|name| guard.check_name(name).map(drop));
        prop_assert_eq!(together, Vec::from_iter(singly));
        prop_assert_eq!(guard.check_names(&[], len), (Ok(()), 0));
    }

    #[test]
    fn allowed_rules_never_refuse_and_replies_carry_the_whole_datagram(
        guard in guard(),
        source in socket_address(),
        local in socket_address(),
        datagram in datagram(),
    ) {
        match guard.check(source, local, &datagram) {
            Ok(request) => {
                prop_assert_eq!(request, Request::decode(&datagram)?);
                prop_assert!(datagram.len() <= guard.max_name_len());
            }
            Err(Refusal::NameTooLong) => prop_assert!(datagram.len() > guard.max_name_len()),
            Err(refusal) => prop_assert!(guard.refuses(refusal)),
        }
    }

    #[test]
    fn disabling_a_rule_changes_no_other_decision(
        guard in guard(),
        source in socket_address(),
        local in socket_address(),
        datagram in datagram(),
        allowed in prop::sample::select(Refusal::ALL.to_vec()),
    ) {
        let before = guard.check(source, local, &datagram);
        let after = guard.allow(allowed).check(source, local, &datagram);
        if before != Err(allowed) {
            prop_assert_eq!(after, before);
        }
    }

    #[test]
    fn mapped_address_counts_as_its_ipv4_address(
        source in any::<Ipv4Addr>(),
        local in any::<Ipv4Addr>(),
        datagram in datagram(),
    ) {
        let check = |source: IpAddr, local: IpAddr| {
            Guard::new().check((source, 40_001).into(), (local, 9999).into(), &datagram)
        };
        let mapped = check(source.to_ipv6_mapped().into(), local.to_ipv6_mapped().into());
        prop_assert_eq!(check(source.into(), local.into()), mapped);
    }
}

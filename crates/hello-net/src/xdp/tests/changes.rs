//! The interfaces change, and the program follows.

use std::mem;
use std::net::Ipv6Addr;

use super::packet::Packet;
use super::*;
use crate::xdp::services::{endpoint, services};
use crate::xdp::slots;

#[test]
fn an_address_is_answered_for_while_an_interface_has_it() {
    let Some(mut lab) = Lab::new(Options::default()) else { return };
    let packet = |address: &str| {
        Packet::new("203.0.113.7:40001".parse().expect("one"), (ip(address), 9999).into(), b"")
            .bytes()
    };
    let is_answered =
        |lab: &Lab, address| matches!(lab.state.program.run(&packet(address)), Run::Sent(_));
    assert!(is_answered(&lab, "192.0.2.1"));
    assert!(!is_answered(&lab, "192.0.2.2"));

    let mut changed = ethernet(1500);
    changed.addresses = vec![ip("192.0.2.2")];
    lab.update(&[changed, vlan()]);
    assert!(!is_answered(&lab, "192.0.2.1"));
    assert!(is_answered(&lab, "192.0.2.2"));
    assert_eq!(lab.state.interfaces[0].shown.services, 3);

    lab.update(&[]);
    assert!(!is_answered(&lab, "192.0.2.2"));
    assert_eq!(lab.state.interfaces[0].shown.services, 0);

    lab.update(&[ethernet(1500), vlan()]);
    assert!(is_answered(&lab, "192.0.2.1"));
}

#[test]
fn a_source_is_refused_while_an_interface_has_its_address() {
    let Some(mut lab) = Lab::new(Options::default()) else { return };
    for request in requests(b"Tracy") {
        assert_eq!(lab.check(&request.bytes()), None);

        let mut changed = ethernet(1500);
        changed.addresses.push(request.source.ip());
        lab.oracle.no_clients.push(request.source.ip());
        lab.update(&[changed, vlan()]);
        assert_eq!(lab.check(&request.bytes()), Some(Passed::Source));

        lab.oracle.no_clients.pop();
        lab.update(&[ethernet(1500), vlan()]);
        assert_eq!(lab.check(&request.bytes()), None);
    }
}

#[test]
fn replies_have_what_the_interface_has_now() {
    let Some(mut lab) = Lab::new(Options::default()) else { return };
    let mut changed = ethernet(1500);
    changed.mac = [0x02, 0, 0, 0, 0, 0x77];
    changed.hop_limits = HopLimits { ipv4: 200, ipv6: 201 };
    lab.update(&[changed, vlan()]);
    for service in &mut lab.oracle.services[..5] {
        service.mac[5] = 0x77;
        service.hop_limit = if service.local.is_ipv4() { 200 } else { 201 };
    }
    for mut request in requests(b"Tracy") {
        assert_eq!(lab.check(&request.bytes()), Some(Passed::Other));
        request.to[5] = 0x77;
        assert_eq!(lab.check(&request.bytes()), None);
    }
}

#[test]
fn services_without_room_cost_no_other_its_place_and_are_not_claimed() {
    let Some(mut lab) = Lab::new(Options::default()) else { return };
    let mut large = ethernet(1500);
    large.addresses.extend((1..=5000).map(|i: u32| IpAddr::from(Ipv4Addr::from_bits(i.pow(2)))));
    let present = [large, vlan()];
    let fixed = fixed_sources(&lab.plan);
    let further = present[0].addresses[3..].iter().map(|address| Packet {
        destination: (*address, 9999).into(),
        ..request_to(&lab.oracle.services[0])
    });
    let packets = Vec::from_iter(further.chain(lab.oracle.services.iter().map(request_to)));
    // Nothing has changed at the second time.
    let updates = [(); 2].map(|()| {
        let result = lab.state.update(&present, &lab.plan.bound, &fixed);
        let Err(XdpError::NoSlot(without)) = result else { panic!("{result:?}") };
        let is_answered =
            |packet: &&Packet| matches!(lab.state.program.run(&packet.bytes()), Run::Sent(_));
        let answered = packets.iter().filter(is_answered).count();
        assert_eq!(lab.state.interfaces[0].shown.services, answered);
        assert_eq!(answered + without as usize, packets.len());
        without
    });
    assert!((200..500).contains(&updates[0]) && updates[0] == updates[1], "{updates:?}");

    lab.update(&[ethernet(1500), vlan()]);
    assert_eq!(lab.state.interfaces[0].shown.services, lab.oracle.services.len());
    for request in requests(b"Tracy") {
        assert_eq!(lab.check(&request.bytes()), None);
    }
}

#[test]
fn services_move_to_slots_of_their_own_and_leave_none_behind() {
    let Some(mut lab) = Lab::new(Options::default()) else { return };
    let slot = |seed, address: Ipv4Addr| slots::slot(seed, &endpoint(1, 0, 9999, address.into()));
    let with_slot_of = |seed, taken: Ipv4Addr| {
        let mut addresses = (0x0a00_0000..).map(Ipv4Addr::from_bits);
        let shares =
            |address: &Ipv4Addr| *address != taken && slot(seed, *address) == slot(seed, taken);
        addresses.find(shares).expect("one of many")
    };
    let is_answered = |lab: &Lab, address: Ipv4Addr| {
        let destination = (address, 9999).into();
        let packet = Packet { destination, ..request_to(&lab.oracle.services[0]) };
        matches!(lab.state.program.run(&packet.bytes()), Run::Sent(_))
    };
    let (first, seed) = (Ipv4Addr::new(192, 0, 2, 1), lab.state.seed);
    let second = with_slot_of(seed, first);
    let mut changed = ethernet(1500);
    changed.addresses.push(second.into());
    lab.update(&[changed.clone(), vlan()]);
    assert_ne!(lab.state.seed, seed);
    assert!(is_answered(&lab, second));
    for service in &lab.oracle.services {
        assert_eq!(lab.check(&request_to(service).bytes()), None);
    }

    // By the first seed, each has a slot of its own again.
    let third = with_slot_of(lab.state.seed, second);
    changed.addresses = vec![second.into(), third.into()];
    lab.update(&[changed, vlan()]);
    assert_eq!(lab.state.seed, seed);
    assert!(is_answered(&lab, second) && is_answered(&lab, third));
    for gone in lab.oracle.services.drain(..5).collect::<Vec<_>>() {
        assert_eq!(lab.check(&request_to(&gone).bytes()), Some(Passed::Other));
    }
}

#[test]
fn no_other_endpoint_with_the_slot_of_a_service_is_answered() {
    let Some(mut lab) = Lab::new(Options::default()) else { return };
    // All have the first slot.
    lab.state.program.set_slot_seed(0).expect("set");
    let present = [ethernet(1500), vlan()];
    let all = services(&present[0], XdpMode::Native, &present, &lab.plan.bound);
    for service in mem::take(&mut lab.oracle.services) {
        let at = endpoint(1, service.vlan, service.local.port(), service.local.ip());
        lab.state.program.set_service(0, &all[&at]).expect("set");
        let request = request_to(&service);
        lab.oracle.services = vec![service];
        assert_eq!(lab.check(&request.bytes()), None);

        let flipped = (0..16).map(|bit| Packet {
            tags: vec![request.tags.first().unwrap_or(&0) ^ 1 << bit],
            ..request.clone()
        });
        let ports = (0..16).map(|bit| {
            let mut other = request.clone();
            other.destination.set_port(other.destination.port() ^ 1 << bit);
            other
        });
        let addresses = (0..128).map(|bit| {
            let mut other = request.clone();
            other.destination.set_ip(match other.destination.ip() {
                IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits() ^ 1 << (bit % 32)).into(),
                IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() ^ 1 << bit).into(),
            });
            other
        });
        for other in flipped.chain(ports).chain(addresses) {
            lab.check(&other.bytes());
        }
        let mut elsewhere = all[&at];
        elsewhere[0] = 2;
        lab.state.program.set_service(0, &elsewhere).expect("set");
        assert!(matches!(lab.state.program.run(&request.bytes()), Run::Passed(_)));
    }
}

/// Returns a request to a service.
fn request_to(service: &Service) -> Packet {
    let source =
        if service.local.is_ipv4() { "203.0.113.7:40001" } else { "[2001:db8:9::7]:40001" };
    Packet {
        to: service.mac,
        tags: Some(service.vlan).filter(|vlan| *vlan != 0).into_iter().collect(),
        ..Packet::new(address(source), service.local, b"Tracy")
    }
}

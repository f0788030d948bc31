//! The interfaces change, and the program follows.

use super::packet::Packet;
use super::*;

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
    let fixed = fixed_sources(&lab.plan);
    let result = lab.state.update(&[large, vlan()], &lab.plan.bound, &fixed);
    let Err(XdpError::NoSlot(without)) = result else { panic!("{result:?}") };
    let services = 5000 + lab.oracle.services.len();
    assert_eq!(lab.state.interfaces[0].shown.services + without as usize, services);
    assert!((200..500).contains(&without), "{without}");

    lab.update(&[ethernet(1500), vlan()]);
    assert_eq!(lab.state.interfaces[0].shown.services, lab.oracle.services.len());
    for request in requests(b"Tracy") {
        assert_eq!(lab.check(&request.bytes()), None);
    }
}

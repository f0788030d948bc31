//! What is plain, case by case.
use super::packet::{self, Checksum, Packet};
use super::*;

#[test]
fn every_plain_request_is_answered_whatever_its_length() {
    let Some(lab) = Lab::new(Options { max_name_len: 400, ..Options::default() }) else { return };
    for len in 0..=420 {
        let name = Vec::from_iter((0..=u8::MAX).rev().cycle().take(len));
        for request in requests(&name) {
            for checksum in [Checksum::Correct, Checksum::Partial, Checksum::Wrong(1)] {
                let passed = lab.check(&Packet { checksum, ..request.clone() }.bytes());
                assert_eq!(passed, (len > 400).then_some(Passed::Name), "{len} {checksum:?}");
            }
        }
    }
}

#[test]
fn every_source_port_is_answered_that_the_guard_allows() {
    let Some(lab) = Lab::new(Options::default()) else { return };
    let check = |source: &str, local: &str, ports: &[u16]| {
        let (mut source, local) = (address(source), address(local));
        let checksum = if local.is_ipv4() { Checksum::Zero } else { Checksum::Correct };
        let mut packet = Packet { checksum, ..Packet::new(source, local, b"Tracy") }.bytes();
        let at = packet.len() - b"Tracy".len() - 8;
        for port in ports {
            source.set_port(*port);
            packet[at..at + 2].copy_from_slice(&port.to_be_bytes());
            let is_answered = matches!(lab.state.program.run(&packet), Run::Sent(_));
            let is_allowed = lab.oracle.guard.check(source, local, b"Tracy").is_ok();
            assert_eq!(is_answered, is_allowed, "{source} to {local}");
        }
    };
    let all = Vec::from_iter(0..=u16::MAX);
    check("203.0.113.7:0", "192.0.2.1:9999", &all);
    check("[2001:db8:9::7]:0", "[2001:db8::1]:9998", &all[..12_000]);
}

#[test]
fn a_reply_has_the_tag_of_its_request_and_no_other_vlan_is_answered() {
    let Some(lab) = Lab::new(Options::default()) else { return };
    for mut request in requests(b"Tracy") {
        // Priority alone is no VLAN.
        for (tag, passed) in [(0, None), (0xe000, None), (6, Some(Passed::Other))] {
            request.tags = vec![tag];
            assert_eq!(lab.check(&request.bytes()), passed, "{tag}");
        }
        let address = if request.source.is_ipv4() { "198.51.100.1" } else { "2001:db8:5::1" };
        request.destination.set_ip(ip(address));
        request.to[5] = 5;
        for (tags, is_answered) in
            [(vec![5], true), (vec![0xb005], true), (vec![], false), (vec![0, 5], false)]
        {
            request.tags = tags;
            assert_eq!(lab.check(&request.bytes()).is_none(), is_answered, "{request:?}");
        }
    }
}

#[test]
fn what_follows_a_datagram_is_sent_back_as_long_as_that_fits() {
    let Some(lab) = Lab::new(Options::default()) else { return };
    for request in requests(b"") {
        let mtu = if request.source.is_ipv4() { 1500 } else { 1280 };
        let room = mtu - (request.bytes().len() - 14) - 8;
        for trailing in (0..100).chain(room - 1..=room + 1) {
            let packet = Packet { trailing, ..request.clone() }.bytes();
            let passed = (trailing > room).then_some(Passed::Other);
            assert_eq!(lab.check(&packet), passed, "{trailing}");
        }
    }
}

#[test]
fn what_follows_a_name_is_no_part_of_it() {
    let Some(lab) = Lab::new(Options::default()) else { return };
    for request in requests(b"Hello, Hello,") {
        let packet = [&request.bytes()[..], b" "].concat();
        assert_eq!(lab.check(&packet), None);
    }
}

#[test]
fn no_length_but_the_right_one_is_answered() {
    let Some(lab) = Lab::new(Options::default()) else { return };
    for request in requests(b"Tracy") {
        for error in (1..100).chain((100..65_436).step_by(509)).chain(65_436..=u16::MAX) {
            let header = Packet { ip_len_error: error, ..request.clone() };
            assert_eq!(lab.check(&header.bytes()), Some(Passed::Other));
            let datagram = Packet { udp_len_error: error, ..request.clone() };
            assert_eq!(lab.check(&datagram.bytes()), Some(Passed::Other));
        }
        for cut_at in 14..request.bytes().len() {
            let cut = Packet { cut_at, ..request.clone() };
            assert_eq!(lab.check(&cut.bytes()), Some(Passed::Other));
        }
    }
}

#[test]
fn names_of_each_length_are_answered_up_to_a_whole_ethernet_frame() {
    let options = Options { mtu: 9000, max_name_len: usize::MAX, ..Options::default() };
    let Some(lab) = Lab::new(options) else { return };
    for request in requests(b"") {
        let longest = if request.source.is_ipv4() { 1480 } else { 1280 - 48 - 8 };
        for len in (0..100).chain((100..longest).step_by(97)).chain(longest - 80..=longest) {
            let name = Vec::from_iter((0..len).map(|i| (i % 251) as u8));
            for checksum in [Checksum::Partial, Checksum::Correct] {
                let packet = Packet { name: name.clone(), checksum, ..request.clone() };
                let passed = (len > 1472).then_some(Passed::Name);
                assert_eq!(lab.check(&packet.bytes()), passed, "{len}");
            }
        }
    }
}

#[test]
fn only_a_reply_that_every_path_takes_whole_forbids_fragments() {
    let options = Options { max_name_len: usize::MAX, ..Options::default() };
    let Some(lab) = Lab::new(options) else { return };
    let [ipv4, ipv6] = requests(b"");
    let packet =
        |request: &Packet, len| Packet { name: vec![b'x'; len], ..request.clone() }.bytes();
    let header = |len| match lab.state.program.run(&packet(&ipv4, len)) {
        Run::Sent(reply) => (u16::from_be_bytes([reply[20], reply[21]]), [reply[18], reply[19]]),
        run => panic!("{run:?}"),
    };
    assert_eq!(header(576 - 28 - 8), (packet::DONT_FRAGMENT, [0; 2]));
    let long = Vec::from_iter((0..4).map(|_| header(576 - 28 - 8 + 1)));
    assert!(long.iter().all(|(fragment, _)| *fragment == 0));
    assert!(long.iter().any(|header| *header != long[0]), "identified at random: {long:?}");
    // Over IPv6, only the sender fragments.
    assert_eq!(lab.check(&packet(&ipv6, 1280 - 48 - 8)), None);
    assert_eq!(lab.check(&packet(&ipv6, 1280 - 48 - 8 + 1)), Some(Passed::Other));
}

#[test]
fn a_checksum_that_is_zero_stands_for_another_and_not_for_none() {
    let Some(lab) = Lab::new(Options::default()) else { return };
    for request in requests(b"") {
        let local = request.destination;
        // Where a checksum of zeros goes, it makes the sum one whose checksum is zero.
        let checksum = |packet: &Packet, name: &[u8]| {
            let at = packet.bytes().len() - packet.name.len() - 2;
            let bytes = Packet { name: name.to_vec(), ..packet.clone() }.bytes();
            [bytes[at], bytes[at + 1]]
        };
        let name = checksum(&request, &[0; 2]);
        assert_eq!(checksum(&request, &name), [0xff; 2]);
        assert_eq!(lab.check(&Packet { name: name.to_vec(), ..request.clone() }.bytes()), None);

        let reply = Packet::new(local, request.source, b"");
        let [high, low] = checksum(&reply, b"Hello, \0\0\0!");
        let name = [0, high, low];
        assert_eq!(checksum(&reply, &[b"Hello, ", &name[..], b"!"].concat()), [0xff; 2]);
        for checksum in [Checksum::Correct, Checksum::Partial] {
            let request = Packet { name: name.to_vec(), checksum, ..request.clone() };
            assert_eq!(lab.check(&request.bytes()), None);
        }
    }
}

#[test]
fn a_sum_that_overflows_twice_is_folded_thrice() {
    let Some(lab) = Lab::new(Options::default()) else { return };
    let source = address("[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:40001");
    let request = Packet::new(source, address("[2001:db8::1]:9999"), &[0; 2]);
    // One of few words makes it do so.
    for word in (0..=u16::MAX).step_by(2) {
        let packet = Packet { name: word.to_be_bytes().to_vec(), ..request.clone() };
        assert_eq!(lab.check(&packet.bytes()), None, "{word}");
    }
}

#[test]
fn no_version_and_no_header_length_but_the_right_ones_is_answered() {
    let Some(lab) = Lab::new(Options::default()) else { return };
    for request in requests(b"Tracy") {
        let mut packet = request.bytes();
        let first = packet[14];
        for byte in 0..=u8::MAX {
            packet[14] = byte;
            let is_plain = if first == 0x45 {
                // The header's checksum is right nevertheless.
                packet[24..26].fill(0);
                let checksum = !packet::sum(&packet[14..34]);
                packet[24..26].copy_from_slice(&checksum.to_be_bytes());
                byte == first
            } else {
                byte >> 4 == 6
            };
            assert_eq!(lab.check(&packet).is_none(), is_plain, "{byte:#x}");
        }
    }
}

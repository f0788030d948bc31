use proptest::prelude::*;

use super::*;
use crate::process::exit::error_chain;

/// An IPv4 packet with a UDP datagram of eight bytes.
const PACKET: &[u8] =
    b"\x45\0\0\x24\0\0\0\0\x40\x11\0\0\xc0\0\x02\x01\xc0\0\x02\x02\0\x05\0\x07\0\x10\0\0AAAAAAAB";

/// 2023-11-14T22:13:20.5Z.
const SECONDS: u32 = 1_700_000_000;
const AT: Duration = Duration::new(SECONDS as u64, 500_000_000);

/// Numbers in one of both byte orders.
#[derive(Clone, Copy)]
struct Order(bool);

impl Order {
    fn number<const N: usize>(self, little: [u8; N]) -> Vec<u8> {
        let mut bytes = little.to_vec();
        if self.0 {
            bytes.reverse();
        }
        bytes
    }

    fn short(self, number: u16) -> Vec<u8> {
        self.number(number.to_le_bytes())
    }

    fn long(self, number: u32) -> Vec<u8> {
        self.number(number.to_le_bytes())
    }

    fn pcap(self, magic: u32, link: u32, packets: &[(u32, u32, &[u8])]) -> Vec<u8> {
        let header = [self.long(magic), self.short(2), self.short(4)].concat();
        let mut file = [header, vec![0; 8], self.long(262_144), self.long(link)].concat();
        for (seconds, fraction, packet) in packets {
            let len = self.long(u32::try_from(packet.len()).expect("short"));
            file.extend([self.long(*seconds), self.long(*fraction), len.clone(), len].concat());
            file.extend(*packet);
        }
        file
    }

    fn block(self, kind: u32, body: &[u8]) -> Vec<u8> {
        let len = self.long(u32::try_from(body.len() + 12).expect("short"));
        [self.long(kind), len.clone(), body.to_vec(), len].concat()
    }

    fn option(self, code: u16, value: &[u8]) -> Vec<u8> {
        let len = self.short(u16::try_from(value.len()).expect("short"));
        let padding = vec![0; value.len().next_multiple_of(4) - value.len()];
        [self.short(code), len, value.to_vec(), padding].concat()
    }

    fn section(self) -> Vec<u8> {
        let body = [self.long(0x1a2b_3c4d), self.short(1), self.short(0), vec![0xff; 8]].concat();
        self.block(0x0a0d_0d0a, &body)
    }

    fn interface(self, link: u16, options: &[u8]) -> Vec<u8> {
        let body = [self.short(link), vec![0; 2], self.long(0), options.to_vec()].concat();
        self.block(1, &body)
    }

    fn packet(self, units: u64, options: &[u8]) -> Vec<u8> {
        let [high, low] = [units >> 32, units & 0xffff_ffff]
            .map(|half| self.long(u32::try_from(half).expect("half")));
        let len = self.long(u32::try_from(PACKET.len()).expect("short"));
        let body = [self.long(0), high, low, len.clone(), len, PACKET.to_vec(), options.to_vec()];
        self.block(6, &body.concat())
    }

    fn statistics(self, code: u16, dropped: u64) -> Vec<u8> {
        let option = self.option(code, &self.number(dropped.to_le_bytes()));
        self.block(5, &[vec![0; 12], option].concat())
    }
}

const BOTH: [Order; 2] = [Order(false), Order(true)];

const MICROS: u64 = SECONDS as u64 * 1_000_000 + 500_000;

/// Returns the capture, and the times and directions of its datagrams.
fn contents(file: &[u8]) -> (Capture, Vec<(Duration, Option<bool>)>) {
    let mut found = Vec::new();
    let capture = read(file, |datagram| {
        assert_eq!(datagram.payload, b"AAAAAAAB");
        found.push((datagram.at, datagram.is_outgoing));
    });
    (capture.expect("a capture"), found)
}

#[test]
fn pcap_has_both_byte_orders_and_both_units_of_time() {
    for order in BOTH {
        for (magic, fraction) in [(0xa1b2_c3d4, 500_000), (0xa1b2_3c4d, 500_000_000)] {
            let file = order.pcap(magic, 101, &[(SECONDS, fraction, PACKET); 3]);
            let (capture, found) = contents(&file);
            assert_eq!((capture.packets, capture.flaw.as_deref()), (3, None));
            assert_eq!(found, [(AT, None); 3]);
            assert!(capture.span.is_whole());
        }
    }
}

#[test]
fn pcapng_has_both_byte_orders_and_units_origins_and_directions() {
    for order in BOTH {
        let units = |tsresol: u8, offset: i64| {
            let offset = order.option(14, &order.number(offset.to_le_bytes()));
            order.interface(101, &[order.option(9, &[tsresol]), offset].concat())
        };
        let flags = |flags: u32| order.option(2, &order.long(flags));
        for (interface, units, options, is_outgoing) in [
            (order.interface(101, &[]), MICROS, vec![], None),
            (units(6, 0), MICROS, flags(1), Some(false)),
            (units(9, 0), MICROS * 1000, flags(2), Some(true)),
            (units(6, 1_600_000_000), 100_000_000_500_000, flags(0), None),
            (units(0x81, 0), u64::from(SECONDS) * 2 + 1, vec![], None),
        ] {
            let file = [order.section(), interface, order.packet(units, &options)].concat();
            let (capture, found) = contents(&file);
            assert_eq!(capture.flaw, None);
            assert_eq!(found, [(AT, is_outgoing)]);
        }
    }
}

#[test]
fn interfaces_belong_to_their_section() {
    let [little, big] = BOTH;
    let file = [
        little.section(),
        little.interface(101, &[]),
        little.packet(MICROS, &[]),
        big.section(),
        big.interface(101, &big.option(9, &[9])),
        big.packet(MICROS * 1000, &[]),
        big.section(),
    ];
    assert_eq!(contents(&file.concat()).1, [(AT, None); 2]);
    let lost = [file.concat(), big.packet(MICROS, &[])].concat();
    let (capture, found) = contents(&lost);
    let flaw = format!("it has a packet of no interface at byte {}", file.concat().len());
    assert_eq!((capture.flaw, found.len()), (Some(flaw), 2));
}

#[test]
fn dropped_packets_of_interfaces_and_systems_are_counted_once() {
    for order in BOTH {
        let file = [
            order.section(),
            order.interface(101, &[]),
            order.statistics(5, 2),
            order.packet(MICROS, &[]),
            order.statistics(7, 5),
            order.section(),
            order.interface(101, &[]),
            order.statistics(5, 1),
        ];
        let (capture, found) = contents(&file.concat());
        assert_eq!((capture.span.dropped(), capture.span.is_whole()), (Some(6), false));
        assert_eq!((found.len(), capture.flaw), (1, None), "drops are counted, and no flaw");
    }
}

#[test]
fn drops_are_known_only_if_the_capture_counts_them() {
    for order in BOTH {
        let packets = [(SECONDS, 500_000, PACKET)];
        let pcap = order.pcap(0xa1b2_c3d4, 101, &packets);
        let ng = [order.section(), order.interface(101, &[]), order.packet(MICROS, &[])].concat();
        let counted = [&ng[..], &order.statistics(5, 0)].concat();
        for (file, dropped) in [(&pcap, None), (&ng, None), (&counted, Some(0))] {
            let (capture, _) = contents(file);
            assert_eq!((capture.span.dropped(), capture.span.is_whole()), (dropped, true));
        }
    }
}

#[test]
fn capture_cut_at_any_byte_has_what_is_before_and_says_where_it_ends() {
    for order in BOTH {
        let pcap = order.pcap(0xa1b2_c3d4, 101, &[(SECONDS, 500_000, PACKET); 2]);
        let header = order.pcap(0xa1b2_c3d4, 101, &[]).len();
        let ng = [order.section(), order.interface(101, &[])].concat();
        let first = ng.len();
        let ng = [ng, order.packet(MICROS, &[]), order.packet(MICROS, &[])].concat();
        for (file, header) in [(pcap, header), (ng, first)] {
            let packet = (file.len() - header) / 2;
            for len in header..=file.len() {
                let (capture, found) = contents(&file[..len]);
                let whole = (len - header) / packet;
                assert_eq!(found.len(), whole, "{len}");
                let start = header + whole * packet;
                let flaw =
                    (len > start).then(|| format!("it ends inside the packet at byte {start}"));
                assert_eq!(capture.span.is_whole(), flaw.is_none());
                assert_eq!(capture.flaw, flaw, "{len} of {}", file.len());
            }
        }
    }
}

#[test]
fn what_is_no_capture_or_of_no_known_link_is_an_error() {
    let error = |file: &[u8]| error_chain(&read(file, |_| ()).expect_err("no capture"));
    for file in [&b""[..], b"\xd4\xc3", b"PK\x03\x04 a zip file", &[0; 100]] {
        assert_eq!(error(file), "not a pcap or pcapng file", "{file:?}");
    }
    let radio = Order(false).pcap(0xa1b2_c3d4, 105, &[(0, 0, PACKET)]);
    assert!(error(&radio).starts_with("link type 105 is not supported: "), "{}", error(&radio));
    let mixed = [
        Order(false).section(),
        Order(false).interface(101, &[]),
        Order(false).interface(105, &[]),
        Order(false).packet(MICROS, &[]),
    ];
    let (capture, found) = contents(&mixed.concat());
    assert_eq!(capture.flaw.as_deref(), Some("link type 105 is not supported"));
    assert_eq!((found.len(), capture.span.is_whole()), (1, false));
}

#[test]
fn blocks_shorter_than_a_block_end_a_capture() {
    for order in BOTH {
        let whole =
            [order.section(), order.interface(101, &[]), order.packet(MICROS, &[])].concat();
        // The parser subtracts 12 from the length of this one, of process information.
        for (kind, len) in [6, 0x8000_0001].into_iter().flat_map(|kind| [(kind, 0), (kind, 11)]) {
            let short = [order.long(kind), order.long(len), vec![0; 24]].concat();
            let (capture, found) = contents(&[&whole[..], &short].concat());
            let flaw = format!("it makes no sense from byte {} on", whole.len());
            assert_eq!((capture.flaw, found.len()), (Some(flaw), 1), "{kind:#x} of {len}");
        }
        let known = order.block(0x8000_0001, &order.long(4711));
        let (capture, found) = contents(&[&whole[..], &known, &whole].concat());
        assert_eq!((capture.flaw, found.len()), (None, 2));
    }
}

#[test]
fn failed_read_is_a_flaw_behind_what_was_read() {
    struct Failing(Vec<u8>);
    impl Read for Failing {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let len = self.0.len().min(buffer.len());
            buffer[..len].copy_from_slice(&self.0[..len]);
            self.0.drain(..len);
            Ok(len)
        }
    }
    let error = read(Failing(vec![]), |_| ()).expect_err("nothing");
    assert_eq!(error_chain(&error), "cannot read it: no storage space");
    // More than the buffer, or the failure would be in the first read.
    let packets = vec![(SECONDS, 500_000, PACKET); 20_000];
    let file = Order(false).pcap(0xa1b2_c3d4, 101, &packets);
    let mut found = 0;
    let capture = read(Failing(file), |_| found += 1).expect("a capture");
    assert!(!capture.span.is_whole() && found > 1000, "{found}");
    assert!(capture.flaw.is_some_and(|flaw| flaw.starts_with("no storage space at byte ")));
}

#[test]
fn long_packets_are_read_and_endless_ones_are_not_held_in_memory() {
    let mut long = PACKET.to_vec();
    long.resize(3_000_000, 0);
    let file = Order(false).pcap(0xa1b2_c3d4, 101, &[(SECONDS, 500_000, &long), (0, 0, PACKET)]);
    let (capture, found) = contents(&file);
    assert_eq!((found.len(), capture.flaw), (2, None));
    let mut endless = Order(false).pcap(0xa1b2_c3d4, 101, &[(SECONDS, 500_000, PACKET)]);
    let start = endless.len();
    endless.extend([[0; 8], [0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0]].concat());
    let capture = read(endless.chain(io::repeat(0)), |_| ()).expect("a capture");
    assert_eq!(capture.flaw, Some(format!("its packet at byte {start} is too long")));
}

#[test]
fn only_captures_on_the_interface_any_show_all_interfaces() {
    let order = Order(false);
    let is_of_all = |file: &[u8]| {
        let capture = read(file, |_| ()).expect("a capture");
        format!("{:?}", capture.span).contains("has_all_interfaces: true")
    };
    // An interface of PPP has the first version of cooked headers as well.
    for (link, is_all, is_any) in [(276, true, true), (113, false, true), (1, false, false)] {
        let pcap = order.pcap(0xa1b2_c3d4, link.into(), &[(SECONDS, 500_000, PACKET)]);
        assert_eq!(is_of_all(&pcap), is_all, "{link}");
        let of = |name: &[u8]| {
            let interface = order.interface(link, &order.option(2, name));
            is_of_all(&[order.section(), interface, order.packet(MICROS, &[])].concat())
        };
        assert_eq!((of(b"any"), of(b"ppp0")), (is_any, false), "{link}");
    }
}

proptest! {
    #[test]
    fn altered_captures_never_fail_otherwise(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        is_big in any::<bool>(),
    ) {
        let order = Order(is_big);
        let ng = [
            order.section(),
            order.interface(1, &order.option(9, &[6])),
            order.packet(MICROS, &order.option(2, &order.long(1))),
            order.statistics(5, 1),
            order.packet(MICROS, &[]),
        ];
        let pcap = order.pcap(0xa1b2_c3d4, 113, &[(SECONDS, 5, PACKET), (SECONDS, 6, PACKET)]);
        for mut file in [ng.concat(), pcap] {
            for (index, byte) in &changes {
                *index.get_mut(&mut file) = *byte;
            }
            if let Ok(capture) = read(&*file, |_| ()) {
                prop_assert!(capture.packets <= 2);
            }
        }
    }
}

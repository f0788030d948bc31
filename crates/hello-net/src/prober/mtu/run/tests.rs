#![cfg(target_os = "linux")]

use std::net::{Ipv4Addr, UdpSocket};

use super::*;
use crate::prober::Prober;

const SENT: Duration = Duration::from_secs(100);

/// Returns where the error with a quote belongs among probes, which have a size and perhaps a reply.
fn quoted(probes: &[(u32, bool)], run_id: u16, quote: &[u8], after: Duration) -> Option<usize> {
    let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = server.local_addr().expect("bound");
    let options = Prober::builder().timeout(Duration::from_secs(1));
    let prober = MtuProber::connect(&options, address).expect("the loopback");
    let mut run = Run::new(&prober, |_: &MtuEvent| ());
    run.run_id = run_id;
    let probe =
        |(size, has_reply): &(u32, bool)| Probe { size: *size, sent: SENT, has_reply: *has_reply };
    run.probes = probes.iter().map(probe).collect();
    run.quoted_place(quote, SENT + after)
}

#[test]
fn every_quoted_byte_of_a_name_counts_and_none_behind_it() {
    let probes = [(1500, false), (100, false)];
    let token = Token { run_id: 0xbeef, seq: Token::FIRST_SEQ + 1 };
    let late = Duration::from_secs(60);
    // Of a packet of 100 bytes, 72 are the name.
    let mut quote = [0; 112];
    token.encode(&mut quote[..72]).expect("long enough");
    assert_eq!(quoted(&probes, 0xbeef, &quote, late), Some(1));
    assert_eq!(quoted(&probes, 0xbeef, &quote[..9], late), Some(1));
    assert_eq!(quoted(&probes, 0xdead, &quote, late), None, "another run");
    assert_eq!(quoted(&probes[..1], 0xbeef, &quote, late), None, "not sent");
    quote[71] ^= 1;
    assert_eq!(quoted(&probes, 0xbeef, &quote, late), None);
}

#[test]
fn error_without_a_token_is_about_the_last_probe_if_all_open_ones_have_one_size() {
    let none = Duration::ZERO;
    for quote in [&b""[..], b"AAAAAAA"] {
        let quoted = |probes: &[_], after| quoted(probes, 0xbeef, quote, after);
        assert_eq!(quoted(&[(1500, false), (1500, false)], none), Some(1));
        assert_eq!(quoted(&[(1500, false), (1400, false)], none), None);
        assert_eq!(quoted(&[(1500, true), (1400, false), (1400, true)], none), Some(1));
        assert_eq!(quoted(&[(1500, false)], Duration::from_secs(1)), None, "it is lost");
        assert_eq!(quoted(&[], none), None);
    }
    assert_eq!(quoted(&[(1500, false)], 0xbeef, b"no token", none), None);
}

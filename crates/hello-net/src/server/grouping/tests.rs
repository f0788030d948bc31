use std::net::SocketAddr;

use hello_proto::MAX_DATAGRAM_LEN;

use super::*;
use crate::server::fixtures::answer;
use crate::udp::mock::{MockSocket, datagram, train};

fn source(number: usize) -> SocketAddr {
    ([198, 51, 100, 7], u16::try_from(40_000 + number).expect("few")).into()
}

fn greeting(name: &[u8]) -> Vec<u8> {
    [b"Hello, ", name, b"!"].concat()
}

#[test]
fn replies_to_one_source_leave_together_and_in_order() {
    let script = MockSocket::default();
    let names = ["Michael", "Tracey!", "Sarah", "Tracy", "Bob", "Al", "Victoria", "Ed"];
    let received = names.iter().enumerate();
    let received = received.map(|(i, name)| datagram(name.as_bytes(), source(i % 2)));
    answer(&script, received.collect());
    // A shorter one ends a message, and a longer one begins the next.
    let messages: [(usize, &[&str]); 5] = [
        (0, &["Michael", "Sarah"]),
        (1, &["Tracey!", "Tracy"]),
        (0, &["Bob"]),
        (1, &["Al", "Ed"]),
        (0, &["Victoria"]),
    ];
    let sent = messages.map(|(number, names)| {
        (source(number), names.iter().map(|name| greeting(name.as_bytes())).collect())
    });
    assert_eq!(script.state().sent, sent);
    assert_eq!(script.state().send_calls, 1);
}

#[test]
fn datagrams_alone_and_in_trains_share_a_message() {
    let script = MockSocket::default();
    let received = [
        datagram(b"Sarah", source(1)),
        train(&[&b"Tracy"[..], b"Peter", b"Al"], source(1)),
        train(&[b"Susan", b"Roger"], source(1)),
        datagram(b"James", source(1)),
    ];
    answer(&script, received.to_vec());
    let names: [&[&[u8]]; 2] =
        [&[b"Sarah", b"Tracy", b"Peter", b"Al"], &[b"Susan", b"Roger", b"James"]];
    let sent =
        names.map(|names| (source(1), names.iter().map(|name| greeting(name)).collect::<Vec<_>>()));
    assert_eq!(script.state().sent, sent);
}

#[test]
fn a_message_is_no_longer_than_the_system_takes() {
    let script = MockSocket::default();
    // One reply more than there are segments; then as many bytes as fit, and more.
    answer(&script, vec![train(&[b"Tracy"; Transmit::MAX_SEGMENTS + 1], source(1))]);
    answer(
        &script,
        vec![train(&[&[b'x'; 1000]; 64], source(2)), train(&[&[b'x'; 1000]; 2], source(2))],
    );
    let counts = Vec::from_iter(script.state().sent.iter().map(|(_, replies)| replies.len()));
    assert_eq!(counts, [Transmit::MAX_SEGMENTS, 1, 64, 2]);
    // Fewer of the longer ones fit.
    let script = MockSocket::default();
    answer(&script, (0..64).map(|_| datagram(&[b'x'; 1200], source(3))).collect());
    let counts = Vec::from_iter(script.state().sent.iter().map(|(_, replies)| replies.len()));
    assert_eq!(counts, [MAX_DATAGRAM_LEN / 1208, 64 - MAX_DATAGRAM_LEN / 1208]);
}

#[test]
fn sources_whose_hashes_are_equal_are_still_apart() {
    let sources = (0..64u8)
        .map(|number| SocketAddr::from(([198, 51, 100, number], 40_000 ^ u16::from(number))));
    let sources = Vec::from_iter(sources);
    let hash = |to: &SocketAddr| Route { to: *to, from: None }.hash() % ROUTES;
    assert!(sources.iter().all(|to| hash(to) == hash(&sources[0])));
    let script = MockSocket::default();
    answer(&script, sources.iter().map(|source| datagram(b"Tracy", *source)).collect());
    let state = script.state();
    assert!(state.sent.iter().map(|(to, _)| to).eq(&sources));
}

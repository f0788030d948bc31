//! One datagram never keeps a guarded server talking, shown by simulation.
//!
//! The rules on addresses and ports are off, so that only the payload can end a loop.

use std::net::SocketAddr;

use hello_proto::{Guard, MAX_DATAGRAM_LEN, OVERHEAD, Refusal, Request};
use proptest::collection::vec;
use proptest::prelude::*;

use super::{config, datagram, greeting};

/// A guard with only the rules on the payload.
fn payload_guard(max_name_len: usize) -> Guard {
    Refusal::ALL
        .into_iter()
        .filter(|refusal| !matches!(refusal, Refusal::NameTooLong | Refusal::GreetedTwice))
        .fold(Guard::new().with_max_name_len(max_name_len), Guard::allow)
}

fn greet(guard: &Guard, datagram: &[u8]) -> Option<Vec<u8>> {
    let own: SocketAddr = ([127, 0, 0, 1], 9999).into();
    let request = guard.check(own, own, datagram).ok()?;
    Some(greeting(request.name()))
}

/// What happens between a server's reply and its next request.
#[derive(Clone, Debug)]
enum Peer {
    Guarded(Guard),
    Echoer,
    /// A greeter without a guard that truncates datagrams to this length.
    Greeter {
        reads: usize,
    },
    UpperCase,
    Reversed,
    Padded {
        by: usize,
    },
    Prefixed(Vec<u8>),
}

impl Peer {
    fn answer(&self, datagram: Vec<u8>) -> Option<Vec<u8>> {
        let answer = match self {
            Peer::Guarded(guard) => greet(guard, &datagram)?,
            Peer::Echoer => datagram,
            Peer::Greeter { reads } => greeting(&datagram[..datagram.len().min(*reads)]),
            Peer::UpperCase => datagram.to_ascii_uppercase(),
            Peer::Reversed => datagram.into_iter().rev().collect(),
            Peer::Padded { by } => [datagram, vec![b'.'; *by]].concat(),
            Peer::Prefixed(prefix) => [&prefix[..], &datagram].concat(),
        };
        (answer.len() <= MAX_DATAGRAM_LEN).then_some(answer)
    }
}

/// Counts the replies of a guarded server to `first` and to everything that its replies return as.
/// Gives up above `bound`.
fn replies(server: &Guard, chain: &[Peer], first: Vec<u8>, bound: usize) -> usize {
    let mut datagram = first;
    for replies in 0..=bound {
        let Some(reply) = greet(server, &datagram) else {
            return replies;
        };
        let back = chain.iter().try_fold(reply, |datagram, peer| peer.answer(datagram));
        let Some(back) = back else { return replies + 1 };
        datagram = back;
    }
    bound + 1
}

fn limit() -> impl Strategy<Value = usize> {
    prop_oneof![0..64_usize, Just(1024), Just(MAX_DATAGRAM_LEN)]
}

/// Greeters with and without a guard, including the tutorial's with 1,024 bytes, and echo services.
fn greeter() -> impl Strategy<Value = Peer> {
    prop_oneof![
        limit().prop_map(|limit| Peer::Guarded(payload_guard(limit))),
        Just(Peer::Echoer),
        Just(Peer::Greeter { reads: 1024 }),
        Just(Peer::Greeter { reads: MAX_DATAGRAM_LEN }),
    ]
}

/// Peers that change datagrams in other ways, and never shorten them.
fn never_shrinking() -> impl Strategy<Value = Peer> {
    prop_oneof![
        Just(Peer::UpperCase),
        Just(Peer::Reversed),
        (0..16_usize).prop_map(|by| Peer::Padded { by }),
        vec(any::<u8>(), 0..16).prop_map(Peer::Prefixed),
        Just(Peer::Echoer),
        Just(Peer::Greeter { reads: MAX_DATAGRAM_LEN }),
    ]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn chains_of_greeters_and_echo_services_get_at_most_two_replies(
        limit in limit(),
        chain in vec(greeter(), 1..5),
        first in datagram(),
    ) {
        prop_assert!(replies(&payload_guard(limit), &chain, first, 2) <= 2);
    }

    #[test]
    fn name_limit_bounds_loops_with_peers_that_never_shorten_a_datagram(
        limit in prop_oneof![0..64_usize, Just(1024)],
        chain in vec(never_shrinking(), 1..4),
        first in datagram(),
    ) {
        let bound = limit / OVERHEAD + 1;
        prop_assert!(replies(&payload_guard(limit), &chain, first, bound) <= bound);
    }
}

/// Both bounds are reached, so silence does not satisfy the properties above.
#[test]
fn loop_bounds_are_reached() {
    let server = payload_guard(1024);
    assert_eq!(replies(&server, &[Peer::Echoer], b"Tracy".to_vec(), 99), 2);
    let greeter = Peer::Greeter { reads: 1024 };
    assert_eq!(replies(&server, &[greeter], b"Tracy".to_vec(), 99), 1);
    assert_eq!(replies(&server, &[Peer::UpperCase], Vec::new(), 999), 1024 / OVERHEAD + 1);
}

/// The rule ends the loop: without it, an echo service keeps the server talking up to the limit.
#[test]
fn echo_loop_runs_to_the_name_limit_without_the_guard_rule() {
    let server = payload_guard(1024).allow(Refusal::GreetedTwice);
    assert_eq!(replies(&server, &[Peer::Echoer], Vec::new(), 999), 1024 / OVERHEAD + 1);
}

/// The documented gap: a peer that strips the prefix can continue forever.
#[test]
fn name_rules_do_not_stop_a_peer_that_shortens_datagrams() {
    let server = payload_guard(1024);
    let mut datagram = b"Tracy".to_vec();
    for _ in 0..1000 {
        let reply = greet(&server, &datagram).expect("a reply");
        datagram = Request::new(&reply[7..12]).expect("short").encode().to_vec();
    }
}

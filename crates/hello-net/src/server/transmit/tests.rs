use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::server::event::Outcome;
use crate::server::fixtures::{answer, answer_each};
use crate::sys::batch::RecvBatch;
use crate::sys::errno;
use crate::udp::mock::{MockSocket, datagram, train};
use crate::udp::tests::{BACK_ENDS, open};

fn source(number: usize) -> SocketAddr {
    ([198, 51, 100, 7], u16::try_from(40_000 + number).expect("few")).into()
}

fn greeting(name: &[u8]) -> Vec<u8> {
    [b"Hello, ", name, b"!"].concat()
}

fn errno(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

fn failed_with(code: i32) -> Outcome {
    Outcome::SendFailed(SocketError::of(&errno(code)))
}

/// What a system reports of a message that it does not take, and the class of that error.
const POISONS: [(i32, ErrorClass); 12] = [
    (errno::EINVAL, ErrorClass::Invalid),
    (errno::EACCES, ErrorClass::Denied),
    (errno::EPERM, ErrorClass::Denied),
    (errno::ENETUNREACH, ErrorClass::Unreachable),
    (errno::EHOSTUNREACH, ErrorClass::Unreachable),
    (errno::ENETDOWN, ErrorClass::Unreachable),
    (errno::EMSGSIZE, ErrorClass::TooLong),
    (errno::EAGAIN, ErrorClass::WouldBlock),
    (errno::ENOBUFS, ErrorClass::NoBuffers),
    (errno::ENOMEM, ErrorClass::NoBuffers),
    (errno::ECONNREFUSED, ErrorClass::ConnectionRefused),
    (errno::EIO, ErrorClass::Other),
];

fn poisoned_with(code: i32, class: ErrorClass) -> Outcome {
    Outcome::SendFailed(SocketError { class, os_error: Some(code) })
}

#[test]
fn a_poisoned_message_costs_exactly_its_reply_wherever_it_stands() {
    const SOURCES: usize = 9;
    for (code, class) in POISONS {
        for poisoned in 0..SOURCES {
            for limit in [None, Some(1), Some(4)] {
                let script = MockSocket::default();
                script.state().limit = limit;
                script.state().take =
                    Some(Box::new(
                        move |to, _| {
                            if to == source(poisoned) { Err(errno(code)) } else { Ok(()) }
                        },
                    ));
                let received = (0..SOURCES).map(|number| datagram(b"Tracy", source(number)));
                let outcomes = answer(&script, received.collect());
                for (number, outcome) in outcomes.into_iter().enumerate() {
                    let failed = number == poisoned;
                    let expected =
                        if failed { poisoned_with(code, class) } else { Outcome::Answered };
                    assert_eq!(outcome, expected, "{number} of those poisoned at {poisoned}");
                }
                assert_eq!(script.state().sent.len(), SOURCES - 1);
            }
        }
    }
}

#[test]
fn a_poisoned_reply_costs_none_of_those_it_shares_a_message_with() {
    const NAMES: [&[u8]; 5] = [b"Tracy", b"Sarah", b"Peter", b"Roger", b"James"];
    let is_full = |class| matches!(class, ErrorClass::WouldBlock | ErrorClass::NoBuffers);
    for (code, class) in POISONS.into_iter().filter(|(_, class)| !is_full(*class)) {
        for (poisoned, bad_name) in NAMES.into_iter().enumerate() {
            for trains in [false, true] {
                let script = MockSocket::default();
                script.state().take = Some(Box::new(move |_, replies| {
                    let bad = replies.contains(&greeting(bad_name));
                    if bad { Err(errno(code)) } else { Ok(()) }
                }));
                let received = match trains {
                    true => vec![datagram(b"Susan", source(1)), train(&NAMES, source(0))],
                    false => NAMES.map(|name| datagram(name, source(0))).into(),
                };
                let outcomes = answer(&script, received);
                let failed = NAMES.map(|name| match name == bad_name {
                    true => poisoned_with(code, class),
                    false => Outcome::Answered,
                });
                assert!(outcomes.ends_with(&failed), "{:?}", outcomes);
                let state = script.state();
                let sent = state.sent.iter().filter(|(to, _)| *to == source(0));
                let expected = NAMES.iter().enumerate().filter(|(i, _)| *i != poisoned);
                let expected = expected.map(|(_, name)| vec![greeting(name)]);
                assert!(
                    sent.map(|(_, replies)| replies.clone()).eq(expected),
                    "one by one, in order"
                );
            }
        }
    }
}

#[test]
fn system_without_segmentation_gets_every_reply_singly() {
    let script = MockSocket::default();
    script.state().take =
        Some(Box::new(
            |_, replies| if replies.len() > 1 { Err(errno(errno::EIO)) } else { Ok(()) },
        ));
    let outcomes = answer(&script, vec![train(&[b"Tracy"; 10], source(0))]);
    assert_eq!(outcomes, [Outcome::Answered; 10]);
    assert_eq!(script.state().sent.len(), 10);
}

#[test]
fn a_train_that_finds_the_buffer_full_is_one_call_and_not_one_for_each_datagram() {
    for code in [errno::EAGAIN, errno::ENOBUFS, errno::ENOMEM] {
        let script = MockSocket::default();
        script.state().take =
            Some(Box::new(move |to, _| if to == source(0) { Err(errno(code)) } else { Ok(()) }));
        let received = vec![train(&[b"Tracy"; 10], source(0)), datagram(b"Sarah", source(1))];
        let mut expected = vec![failed_with(code); 10];
        expected.push(Outcome::Answered);
        assert_eq!(answer(&script, received), expected);
        assert_eq!(script.state().send_calls, 2);
    }
}

#[test]
fn a_destination_whose_trains_are_not_segmented_gets_replies_one_by_one_and_no_other_does() {
    let script = MockSocket::default();
    script.state().take = Some(Box::new(|to, replies| {
        let refuses = to == source(0) && replies.len() > 1;
        if refuses { Err(errno(errno::EIO)) } else { Ok(()) }
    }));
    let batch = || {
        // The path to an address is the same for all its ports.
        let other = SocketAddr::from(([203, 0, 113, 9], 40_000));
        vec![train(&[b"Tracy"; 10], source(0)), train(&[b"Sarah"; 10], other)]
    };
    let mut calls = Vec::new();
    answer_each(&script, [batch(), batch()], |outcomes| {
        assert_eq!(outcomes, [Outcome::Answered; 20]);
        calls.push(script.state().send_calls);
    });
    // As a whole, one by one, and the other train; then each reply and the other train at once.
    assert_eq!(calls, [3, 4]);
    let lens = Vec::from_iter(script.state().sent.iter().map(|(_, replies)| replies.len()));
    assert_eq!(lens, [[1; 10].as_slice(), &[10], &[1; 10], &[10]].concat());
}

#[test]
fn a_send_that_a_signal_interrupts_is_tried_again_but_not_for_ever() {
    for (signals, answered) in [(MAX_INTERRUPTIONS, 2), (MAX_INTERRUPTIONS + 1, 1)] {
        let script = MockSocket::default();
        let mut signals = 0..signals;
        script.state().take =
            Some(Box::new(move |_, _| signals.next().map_or(Ok(()), |_| Err(errno(errno::EINTR)))));
        let received = vec![datagram(b"Tracy", source(0)), datagram(b"Sarah", source(1))];
        let outcomes = answer(&script, received);
        let count = outcomes.iter().filter(|outcome| **outcome == Outcome::Answered).count();
        assert_eq!(count, answered);
        assert_eq!(script.state().sent.len(), answered);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_reply_is_sent_once_and_in_order_or_has_failed(
        arrivals in vec((0..6usize, vec(any::<u8>(), 1..600), 1..200usize), 1..=RecvBatch::CAPACITY),
        bad_source in 0..8usize,
        bad_byte in any::<u8>(),
        segments in any::<bool>(),
        limit in proptest::option::of(1..5usize),
    ) {
        let received = Vec::from_iter(arrivals.iter().map(|(number, bytes, segment)| {
            let names = Vec::from_iter(bytes.chunks(*segment));
            if names.len() > 1 { train(&names, source(*number)) } else { datagram(bytes, source(*number)) }
        }));
        let names = received.iter().flat_map(|(meta, bytes)| {
            bytes.chunks(meta.segment).map(|name| (meta.source.get(), name.to_vec()))
        });
        let names = Vec::from_iter(names);
        let bad = move |to: SocketAddr, reply: &Vec<u8>| {
            to == source(bad_source) || reply.get(7) == Some(&bad_byte)
        };
        let script = MockSocket::default();
        script.state().limit = limit;
        script.state().take = Some(Box::new(move |to, replies| {
            let taken = (segments || replies.len() == 1) && !replies.iter().any(|reply| bad(to, reply));
            if taken { Ok(()) } else { Err(errno(errno::EINVAL)) }
        }));
        let outcomes = answer(&script, received.clone());

        let mut expected: HashMap<SocketAddr, Vec<Vec<u8>>> = HashMap::new();
        prop_assert_eq!(outcomes.len(), names.len());
        for ((to, name), outcome) in names.iter().zip(outcomes) {
            let reply = greeting(name);
            let failed = failed_with(errno::EINVAL);
            prop_assert_eq!(outcome, if bad(*to, &reply) { failed } else { Outcome::Answered });
            if !bad(*to, &reply) {
                expected.entry(*to).or_default().push(reply);
            }
        }
        let mut sent: HashMap<SocketAddr, Vec<Vec<u8>>> = HashMap::new();
        for (to, replies) in &script.state().sent {
            sent.entry(*to).or_default().extend(replies.iter().cloned());
        }
        prop_assert_eq!(sent, expected);
    }
}

/// Receives one message, and returns its datagrams.
fn receive(socket: &dyn DatagramSocket) -> Vec<Vec<u8>> {
    let mut batch = RecvBatch::new();
    socket.receive(&mut batch, true).expect("a message in time");
    assert_eq!(batch.metas().len(), 1);
    batch.datagram_ranges(0).map(|place| batch.bytes(place).to_vec()).collect()
}

#[test]
#[cfg(target_os = "linux")]
fn a_train_leaves_and_arrives_in_one_piece() {
    for &io in BACK_ENDS {
        let ((here, _), (there, address)) = (open(io), open(io));
        let long = [[b'x'; 500], [b'y'; 500]];
        let mut names: Vec<Vec<u8>> = vec![b"Sarah".into(), b"Tracy".into(), b"Al".into()];
        for _ in 0..2 {
            let outcomes = answer(&*here, vec![train(&names, address)]);
            assert_eq!(outcomes, vec![Outcome::Answered; names.len()], "{io:?}");
            let greeting = |name: &Vec<u8>| [b"Hello, ", &name[..], b"!"].concat();
            assert_eq!(receive(&*there), Vec::from_iter(names.iter().map(greeting)));
            names = long.map(Vec::from).into();
        }
    }
}

#[test]
fn message_that_this_system_rejects_costs_no_other_reply_wherever_it_stands() {
    let port_0: SocketAddr = (Ipv4Addr::LOCALHOST, 0).into();
    let everybody: SocketAddr = (Ipv4Addr::BROADCAST, 40_001).into();
    for &io in BACK_ENDS {
        let (here, _) = open(io);
        for poison in [port_0, everybody] {
            for poisoned in 0..5 {
                let peers: [_; 5] = std::array::from_fn(|_| open(io));
                let to = |i: usize| if i == poisoned { poison } else { peers[i].1 };
                let received = (0..5).map(|i| datagram(b"Tracy", to(i)));
                let outcomes = answer(&*here, received.collect());
                for (i, outcome) in outcomes.into_iter().enumerate() {
                    let failed = matches!(outcome, Outcome::SendFailed(_));
                    assert_eq!(failed, i == poisoned, "{io:?}: {i} of {poisoned}: {outcome:?}");
                    if !failed {
                        assert_eq!(receive(&*peers[i].0), [b"Hello, Tracy!"]);
                    }
                }
            }
        }
    }
}

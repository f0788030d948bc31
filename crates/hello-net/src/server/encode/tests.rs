use std::net::SocketAddr;

use hello_proto::{MAX_DATAGRAM_LEN, MAX_NAME_LEN};

use super::*;
use crate::server::fixtures::{answer, receive};
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
        (0, &["Bob"]),
        (0, &["Victoria"]),
        (1, &["Tracey!", "Tracy"]),
        (1, &["Al", "Ed"]),
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

/// Makes the reply to one train, and returns the pieces of the messages.
fn pieces(memory: &mut ReplyMemory, names: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut batch = RecvBatch::new();
    receive(&mut batch, vec![train(names, source(1))]);
    let mut replies = Replies::new(memory);
    let (metas, mut slots) = batch.parts();
    let slot = slots[0].take().expect("a message");
    replies.begin_flow();
    replies.add_train(&metas[0], slot, metas[0].segments().0);
    let pieces = replies.iovecs().iter().map(|piece| piece.to_vec()).collect();
    let iovecs = replies.into_iovecs();
    memory.restore(iovecs, &[]);
    pieces
}

#[test]
fn reply_to_a_lone_datagram_is_made_around_it_in_any_slot() {
    let longest = [b'x'; MAX_NAME_LEN];
    let names: [&[u8]; 4] = [b"Tracy", b"", &longest, b"Michael"];
    let mut batch = RecvBatch::new();
    batch.recv_buffers().for_each(|slot| slot.fill(0xa5));
    receive(&mut batch, names.map(|name| datagram(name, source(1))).into());
    let (metas, mut slots) = batch.parts();
    let mut memory = ReplyMemory::new();
    for ((meta, slot), name) in metas.iter().zip(&mut slots).zip(names) {
        let slot = slot.take().expect("a message");
        let mut replies = Replies::new(&mut memory);
        replies.add_alone(meta, slot, name.len());
        assert_eq!(replies.messages()[0].bytes(replies.iovecs()), greeting(name));
        let iovecs = replies.into_iovecs();
        memory.restore(iovecs, &[]);
    }
    for (message, name) in names.into_iter().enumerate() {
        let place = batch.datagram_ranges(message).next().expect("one");
        assert_eq!(batch.bytes(place.clone()), name);
        assert_eq!(batch.bytes(place.end..place.end + 2), [b'!', 0xa5]);
    }
}

#[test]
fn short_names_of_a_train_are_copied_side_by_side_and_long_ones_left_alone() {
    let mut memory = ReplyMemory::new();
    for len in 1..=MAX_COPIED_NAME + 1 {
        let name = |number: u8| (number..).take(len).collect();
        let names: [Vec<u8>; 3] = [1, 2, 3].map(name);
        let pieces = pieces(&mut memory, &names);
        assert_eq!(pieces.concat(), names.map(|name| greeting(&name)).concat());
        let count = if len <= MAX_COPIED_NAME { 1 } else { 7 };
        assert_eq!(pieces.len(), count, "{len} bytes");
    }
}

#[test]
fn names_that_find_no_room_are_left_to_be_gathered() {
    let mut memory = ReplyMemory::new();
    memory.room.truncate(3 * (5 + OVERHEAD));
    // The first of four is gathered, and then there is room for the rest.
    for (count, expected) in [(3, 1), (4, 4)] {
        let names = vec![b"Tracy".to_vec(); count];
        let pieces = pieces(&mut memory, &names);
        assert_eq!(pieces.concat(), greeting(b"Tracy").repeat(count));
        assert_eq!(pieces.len(), expected);
    }
}

#[test]
fn memory_of_iovecs_is_used_again() {
    let mut memory = ReplyMemory::new();
    pieces(&mut memory, &[vec![b'x'; 500], vec![b'y'; 500]]);
    let (address, capacity) = (memory.iovecs.as_ptr(), memory.iovecs.capacity());
    assert!(capacity >= 5);
    pieces(&mut memory, &[vec![b'x'; 500], vec![b'y'; 500]]);
    assert_eq!((memory.iovecs.as_ptr(), memory.iovecs.capacity()), (address, capacity));
}

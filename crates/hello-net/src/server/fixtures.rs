//! What the tests of the server share.

use hello_proto::{Guard, MAX_NAME_LEN, Refusal};

use super::classify::{Classified, Classifier};
use super::event::Outcome;
use super::outcomes::outcomes;
use super::replies::Replies;
use crate::udp::batch::RecvBatch;
use crate::udp::datagram_socket::DatagramSocket;
use crate::udp::mock::{MockSocket, Received};

/// Puts messages into a batch, as if they had been received.
pub(super) fn receive(batch: &mut RecvBatch, messages: Vec<Received>) {
    let socket = MockSocket::default();
    socket.state().receives.push_back(Ok(messages));
    socket.receive(batch, false).expect("messages");
}

/// Answers all of these messages through a socket, and returns what became of each datagram.
pub(super) fn answer(socket: &dyn DatagramSocket, messages: Vec<Received>) -> Vec<Outcome> {
    answer_with(&mut Replies::new(), socket, messages)
}

/// Does the same with replies that have answered others before.
pub(super) fn answer_with(
    replies: &mut Replies,
    socket: &dyn DatagramSocket,
    messages: Vec<Received>,
) -> Vec<Outcome> {
    let guard = Refusal::ALL.into_iter().fold(Guard::new(), Guard::allow);
    let guard = guard.with_max_name_len(MAX_NAME_LEN);
    let bound = ([192, 0, 2, 1], 9999).into();
    let classifier = Classifier { guard: &guard, limiter: None, bound };
    let (mut batch, mut classified) = (RecvBatch::new(), Classified::default());
    receive(&mut batch, messages);
    let mut messages = 0..batch.metas().len();
    classifier.classify(&mut messages, &batch, &mut classified);
    assert!(messages.is_empty(), "more than are handled together");
    replies.encode(&mut batch, &classified);
    let failures = replies.transmit(socket, &batch);
    outcomes(classified.datagrams(), failures).collect()
}

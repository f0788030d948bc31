//! What the tests of the server share.

use std::cell::RefCell;

use hello_proto::{Guard, MAX_NAME_LEN, Refusal};

use super::classify::Classifier;
use super::counters::Tally;
use super::event::Outcome;
use super::event::ServerEvent;
use super::settle::Settler;
use super::transmit::transmit;
use super::worker::WorkerMemory;
use crate::udp::batch::RecvBatch;
use crate::udp::datagram_socket::DatagramSocket;
use crate::udp::mock::{MockMessage, MockSocket};

/// Puts messages into a batch, as if they had been received.
pub(super) fn receive(batch: &mut RecvBatch, messages: Vec<MockMessage>) {
    let socket = MockSocket::default();
    socket.state().receives.push_back(Ok(messages));
    socket.receive(batch, false).expect("messages");
}

/// Answers all of these messages through a socket, and returns what became of each datagram.
pub(super) fn answer(socket: &dyn DatagramSocket, messages: Vec<MockMessage>) -> Vec<Outcome> {
    answer_with(&mut WorkerMemory::new(), socket, messages)
}

/// Does the same with memory that has served others before.
pub(super) fn answer_with(
    memory: &mut WorkerMemory,
    socket: &dyn DatagramSocket,
    messages: Vec<MockMessage>,
) -> Vec<Outcome> {
    let guard = Refusal::ALL.into_iter().fold(Guard::new(), Guard::allow);
    let guard = guard.with_max_name_len(MAX_NAME_LEN);
    let bound = ([192, 0, 2, 1], 9999).into();
    let classifier = Classifier { guard: &guard, limiter: None, bound };
    let WorkerMemory { batch, classified, encoder, groups, failures } = memory;
    receive(batch, messages);
    let mut messages = 0..batch.metas().len();
    classifier.classify(&mut messages, batch, classified);
    assert!(messages.is_empty(), "more than are handled together");
    encoder.encode(batch, classified, groups);
    transmit(socket, batch, encoder, groups, failures);
    let (tally, outcomes) = (Tally::default(), RefCell::new(Vec::new()));
    let observe = |event: &ServerEvent<'_>| outcomes.borrow_mut().push(event.outcome);
    Settler::new(&tally, observe).settle(batch, classified, failures, 0);
    outcomes.into_inner()
}

//! What the tests of the server share.

use std::cell::RefCell;

use hello_proto::{Guard, MAX_NAME_LEN, Refusal};

use super::answer::Answerer;
use super::classify::Classifier;
use super::counters::Tally;
use super::event::{EventFilter, Outcome, ServerEvent};
use super::settle::Settler;
use crate::sys::batch::RecvBatch;
use crate::sys::datagram_socket::DatagramSocket;
use crate::udp::mock::{MockMessage, MockSocket};

/// Puts messages into a batch, as if they had been received.
pub(super) fn receive(batch: &mut RecvBatch, messages: Vec<MockMessage>) {
    let socket = MockSocket::default();
    socket.state().receives.push_back(Ok(messages));
    socket.receive(batch, false).expect("messages");
}

/// Answers all of these messages through a socket, and returns what became of each datagram.
pub(super) fn answer(socket: &dyn DatagramSocket, messages: Vec<MockMessage>) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    answer_each(socket, [messages], |became| outcomes = became);
    outcomes
}

/// Answers one batch after the other, and shows what became of the datagrams of each.
pub(super) fn answer_each(
    socket: &dyn DatagramSocket,
    batches: impl IntoIterator<Item = Vec<MockMessage>>,
    mut show: impl FnMut(Vec<Outcome>),
) {
    let guard = Refusal::ALL.into_iter().fold(Guard::new(), Guard::allow);
    let guard = guard.with_max_name_len(MAX_NAME_LEN);
    let bound = ([192, 0, 2, 1], 9999).into();
    let (tally, outcomes) = (Tally::default(), RefCell::new(Vec::new()));
    let observe = |event: &ServerEvent<'_>| outcomes.borrow_mut().push(event.outcome);
    let settler = Settler::new(&tally, bound, EventFilter::All, observe);
    let mut answerer = Answerer::new(Classifier::new(&guard, None, bound), settler);
    let mut batch = RecvBatch::new();
    for messages in batches {
        receive(&mut batch, messages);
        answerer.answer(&mut batch, socket);
        show(outcomes.take());
    }
}

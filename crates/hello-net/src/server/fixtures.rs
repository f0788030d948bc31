//! What the tests of the server share.

use super::replies::Replies;
use crate::udp::batch::Batch;
use crate::udp::datagram_socket::DatagramSocket;
use crate::udp::mock::{Received, Script};
use crate::udp::transmit::Route;

/// Answers all of what it is said to have received, by way of a socket.
pub(crate) fn answer(socket: &dyn DatagramSocket, received: Vec<Received>) -> Replies {
    let mut replies = Replies::new();
    answer_with(&mut replies, socket, received);
    replies
}

/// Does the same by way of replies that have answered others before.
pub(crate) fn answer_with(
    replies: &mut Replies,
    socket: &dyn DatagramSocket,
    received: Vec<Received>,
) {
    let (script, mut batch) = (Script::default(), Batch::new());
    replies.clear();
    script.scenes().receives.push_back(Ok(received));
    script.receive(&mut batch, false).expect("what was put there");
    for index in 0..batch.arrivals().len() {
        let arrival = batch.arrivals()[index];
        let lane = replies.lane(Route { to: arrival.source, from: None });
        for name in batch.places(index) {
            let reply = batch.write(&name, arrival.len <= arrival.segment);
            replies.answer(index, name, reply, &lane);
        }
    }
    replies.send(socket, &batch);
}

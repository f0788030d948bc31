//! What the tests of the server share.

use super::replies::Replies;
use crate::udp::batch::RecvBatch;
use crate::udp::datagram_socket::DatagramSocket;
use crate::udp::mock::{MockSocket, Received};
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
    let (script, mut batch) = (MockSocket::default(), RecvBatch::new());
    replies.clear();
    script.state().receives.push_back(Ok(received));
    script.receive(&mut batch, false).expect("what was put there");
    for index in 0..batch.metas().len() {
        let arrival = batch.metas()[index];
        let slot = replies.slot(Route { to: arrival.source, from: None });
        for name in batch.datagram_ranges(index) {
            let reply = batch.encode_reply(&name, arrival.len <= arrival.segment);
            replies.push_reply(index, name, reply, &slot);
        }
    }
    replies.send(socket, &batch);
}

//! The step that sends the replies.

use std::io::{self, IoSlice};
use std::iter;

use super::encode::Encoder;
use super::grouping::{Groups, Reply};
use crate::udp::batch::RecvBatch;
use crate::udp::datagram_socket::DatagramSocket;
use crate::udp::error_class::ErrorClass;
use crate::udp::socket_error::SocketError;
use crate::udp::transmit::{Route, Transmit};

/// A reply that the system did not take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failure {
    /// Which of the classified datagrams it would have answered.
    pub(super) datagram: usize,
    pub(super) error: SocketError,
}

/// Sends all replies. Stores those that the system did not take in `failures`, in the order of
/// their datagrams.
pub(super) fn transmit(
    socket: &dyn DatagramSocket,
    batch: &RecvBatch,
    encoder: &Encoder,
    groups: &mut Groups,
    failures: &mut Vec<Failure>,
) {
    failures.clear();
    let mut iovecs = Vec::with_capacity(groups.replies() + groups.messages().len());
    for (message, replies) in groups.messages_mut() {
        let start = iovecs.len();
        encoder.gather(batch, replies.map(|reply| &reply.bytes), &mut iovecs);
        message.iovecs = start..iovecs.len();
    }
    let mut unsegmented = Vec::new();
    send_all(socket, groups.messages(), &iovecs, |index, error| {
        let (message, replies) = (&groups.messages()[index], groups.replies_of(index));
        let error = SocketError::of(&error);
        let is_full = matches!(error.class, ErrorClass::WouldBlock | ErrorClass::NoBuffers);
        if message.count == 1 || is_full {
            // A message without room as a whole is not tried piece by piece.
            failures.extend(replies.map(|reply| reply.fail(error)));
            return;
        }
        let (singles, failed) = (Vec::from_iter(replies), failures.len());
        send_singly(socket, message.route, &singles, (encoder, batch), failures);
        if failures.len() == failed {
            unsegmented.push(message.route);
        }
    });
    unsegmented.into_iter().for_each(|route| groups.note_unsegmented(route));
    failures.sort_unstable_by_key(|failure| failure.datagram);
}

/// Sends the replies of a message, which was not taken as a whole, one by one.
fn send_singly(
    socket: &dyn DatagramSocket,
    route: Route,
    replies: &[&Reply],
    (encoder, batch): (&Encoder, &RecvBatch),
    failures: &mut Vec<Failure>,
) {
    let (mut iovecs, mut messages) = (Vec::new(), Vec::with_capacity(replies.len()));
    for reply in replies {
        let start = iovecs.len();
        encoder.gather(batch, iter::once(&reply.bytes), &mut iovecs);
        let message = Transmit::new(route, reply.bytes.len());
        messages.push(Transmit { iovecs: start..iovecs.len(), ..message });
    }
    send_all(socket, &messages, &iovecs, |index, error| {
        failures.push(replies[index].fail(SocketError::of(&error)));
    });
}

/// Hands messages to the system, which stops at the first that it does not take; shows the index
/// of each such message to `failed`, and goes on behind it (sendmmsg(2)).
fn send_all(
    socket: &dyn DatagramSocket,
    messages: &[Transmit],
    iovecs: &[IoSlice<'_>],
    mut failed: impl FnMut(usize, io::Error),
) {
    let (mut interruptions, mut next) = (0..MAX_INTERRUPTIONS, 0);
    while let Some(rest @ [_, ..]) = messages.get(next..) {
        next += match socket.send(rest, iovecs) {
            Ok(taken) => taken.get(),
            Err(error)
                if ErrorClass::of(&error) == ErrorClass::Interrupted
                    && interruptions.next().is_some() =>
            {
                0
            }
            Err(error) => {
                failed(next, error);
                1
            }
        };
    }
}

impl Reply {
    fn fail(&self, error: SocketError) -> Failure {
        Failure { datagram: self.datagram, error }
    }
}

/// The most repetitions in a batch of sends that a signal interrupted.
const MAX_INTERRUPTIONS: u32 = 8;

#[cfg(test)]
mod tests;

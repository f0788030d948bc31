//! The step that sends the replies.

use std::io::{self, IoSlice};
use std::net::IpAddr;

use crate::sys::datagram_socket::DatagramSocket;
use crate::sys::error_class::ErrorClass;
use crate::sys::transmit::Transmit;
use crate::udp::socket_error::SocketError;

/// What the system did not take of the replies to a batch.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// The replies, in their order.
    pub(super) replies: Vec<Failure>,
    /// The destinations whose replies it took one by one, and not as one message.
    pub(super) unsegmented: Vec<IpAddr>,
}

/// A reply that the system did not take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failure {
    /// Its number among all replies, counted from 0.
    pub(super) reply: usize,
    pub(super) error: SocketError,
}

/// Sends all replies, and stores what the system did not take.
pub(super) fn transmit(
    socket: &dyn DatagramSocket,
    messages: &[Transmit],
    iovecs: &[IoSlice<'_>],
    Failures { replies: failures, unsegmented }: &mut Failures,
) {
    failures.clear();
    unsegmented.clear();
    // The messages before this one, and the number of their replies.
    let (mut before, mut reply) = (0, 0);
    send_all(socket, messages, iovecs, |index, error| {
        let (message, error) = (&messages[index], SocketError::of(&error));
        reply += messages[before..index].iter().map(|message| message.count).sum::<usize>();
        before = index;
        let is_full = matches!(error.class, ErrorClass::WouldBlock | ErrorClass::NoBuffers);
        if message.count == 1 || is_full {
            // A message without room as a whole is not tried piece by piece.
            let numbers = reply..reply + message.count;
            failures.extend(numbers.map(|reply| Failure { reply, error }));
            return;
        }
        let failed = failures.len();
        send_singly(socket, message, iovecs, |index, error| {
            failures.push(Failure { reply: reply + index, error });
        });
        if failures.len() == failed {
            unsegmented.push(message.route.to.get().ip());
        }
    });
}

/// Sends the datagrams of a message, which was not taken as a whole, one by one, and shows the index of
/// each that is not taken either to `failed`.
fn send_singly(
    socket: &dyn DatagramSocket,
    message: &Transmit,
    iovecs: &[IoSlice<'_>],
    mut failed: impl FnMut(usize, SocketError),
) {
    let bytes = message.bytes(iovecs);
    let datagrams = Vec::from_iter(bytes.chunks(message.segment).map(IoSlice::new));
    let single = |(index, datagram): (usize, &IoSlice<'_>)| Transmit {
        iovecs: index..index + 1,
        ..Transmit::new(message.route, datagram.len())
    };
    let messages = Vec::from_iter(datagrams.iter().enumerate().map(single));
    send_all(socket, &messages, &datagrams, |index, error| failed(index, SocketError::of(&error)));
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

/// The most repetitions in a batch of sends that a signal interrupted.
const MAX_INTERRUPTIONS: u32 = 8;

#[cfg(test)]
mod tests;

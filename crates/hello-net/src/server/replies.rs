use std::io::{self, IoSlice};
use std::iter;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::classify::Classified;
use super::datagram::Verdict;
use super::encode::{Encoded, Encoder};
use crate::udp::batch::RecvBatch;
use crate::udp::datagram_socket::DatagramSocket;
use crate::udp::error_class::ErrorClass;
use crate::udp::socket_error::SocketError;
use crate::udp::transmit::{Route, Transmit};

/// The replies to the datagrams of a batch, and the messages in which they leave.
///
/// Replies to one source share a message as far as they fit, since one with many segments costs
/// the system little more than one with a single datagram (UDP_SEGMENT, udp(7)). Among themselves
/// they keep their order.
#[derive(Debug)]
pub(super) struct Replies {
    encoder: Encoder,
    replies: Vec<Reply>,
    messages: Vec<Transmit>,
    /// The replies of each message.
    chains: Vec<Chain>,
    /// The last message on each route: its index, found by the hash of the route.
    latest: [usize; ROUTES],
    failures: Vec<Failure>,
    unsegmented: Unsegmented,
}

/// The destinations whose replies the system recently sent one by one and not as one message: one
/// for each hash. Trying again for each train would be in vain.
#[derive(Debug)]
struct Unsegmented([Option<(IpAddr, Instant)>; Unsegmented::CAPACITY]);

#[derive(Debug)]
struct Reply {
    /// Which of the classified datagrams it answers.
    datagram: usize,
    bytes: Encoded,
    /// The next reply in the same message, or [`NONE`].
    next: usize,
}

/// A reply that the system did not take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failure {
    /// Which of the classified datagrams it would have answered.
    pub(super) datagram: usize,
    pub(super) error: SocketError,
}

/// The replies of a message: from the first on, each has the index of the next.
#[derive(Clone, Copy, Debug)]
struct Chain {
    first: usize,
    last: usize,
}

/// A route, and where its latest message is noted.
#[derive(Debug)]
struct RouteSlot {
    route: Route,
    entry: usize,
    /// Each reply leaves as a message of its own.
    singly: bool,
}

impl Replies {
    pub(super) fn new() -> Self {
        Self {
            encoder: Encoder::new(),
            replies: Vec::new(),
            messages: Vec::new(),
            chains: Vec::new(),
            latest: [NONE; ROUTES],
            failures: Vec::new(),
            unsegmented: Unsegmented([None; Unsegmented::CAPACITY]),
        }
    }

    /// Makes the reply to each datagram that is answered, and groups them into messages. Forgets
    /// the replies made before.
    pub(super) fn encode(&mut self, batch: &mut RecvBatch, classified: &Classified) {
        self.clear();
        for message in classified.messages() {
            let meta = &batch.metas()[message.index];
            let (alone, slot) = (meta.is_alone(), self.slot(meta.reply_route()));
            for index in message.datagrams.clone() {
                let datagram = &classified.datagrams()[index];
                if datagram.verdict == Verdict::Answer {
                    let bytes = self.encoder.encode(batch, &datagram.name, alone);
                    self.push(index, bytes, &slot);
                }
            }
        }
    }

    /// Sends the replies, and returns those that the system did not take, in the order of their
    /// datagrams.
    pub(super) fn transmit(
        &mut self,
        socket: &dyn DatagramSocket,
        batch: &RecvBatch,
    ) -> &[Failure] {
        let Self { encoder, replies, messages, chains, failures, unsegmented, .. } = self;
        let mut iovecs = Vec::with_capacity(replies.len() + messages.len());
        for (message, chain) in messages.iter_mut().zip(&*chains) {
            let start = iovecs.len();
            encoder.gather(batch, chain.of(replies).map(|reply| &reply.bytes), &mut iovecs);
            message.iovecs = start..iovecs.len();
        }
        send_all(socket, messages, &iovecs, |index, error| {
            let (message, chain) = (&messages[index], chains[index].of(replies));
            let error = SocketError::of(&error);
            let is_full = matches!(error.class, ErrorClass::WouldBlock | ErrorClass::NoBuffers);
            if message.count == 1 || is_full {
                // What has no room as a whole is not tried piece by piece.
                failures.extend(chain.map(|reply| reply.fail(error)));
                return;
            }
            let (singles, failed) = (Vec::from_iter(chain), failures.len());
            send_singly(socket, message.route, &singles, (encoder, batch), failures);
            if failures.len() == failed {
                unsegmented.insert(message.route);
            }
        });
        failures.sort_unstable_by_key(|failure| failure.datagram);
        failures
    }

    fn clear(&mut self) {
        self.encoder.clear();
        self.replies.clear();
        self.messages.clear();
        self.chains.clear();
        self.latest.fill(NONE);
        self.failures.clear();
    }

    /// Looks a route up.
    fn slot(&self, route: Route) -> RouteSlot {
        // Found or free: a batch has at most half as many routes as there are entries.
        let mut entry = route.hash() % ROUTES;
        while self.messages.get(self.latest[entry]).is_some_and(|message| message.route != route) {
            entry = (entry + 1) % ROUTES;
        }
        let singly = self.unsegmented.contains(route);
        RouteSlot { route, entry, singly }
    }

    /// Adds a reply to the latest message on its route, or to a new one.
    fn push(&mut self, datagram: usize, bytes: Encoded, slot: &RouteSlot) {
        let (reply, len) = (self.replies.len(), bytes.len());
        self.replies.push(Reply { datagram, bytes, next: NONE });
        let latest = &mut self.latest[slot.entry];
        match self.messages.get_mut(*latest) {
            Some(message) if message.fits(len) && !slot.singly => {
                message.count += 1;
                message.len += len;
                let chain = &mut self.chains[*latest];
                self.replies[chain.last].next = reply;
                chain.last = reply;
            }
            _ => {
                *latest = self.messages.len();
                self.messages.push(Transmit::new(slot.route, len));
                self.chains.push(Chain { first: reply, last: reply });
            }
        }
    }
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

impl Chain {
    /// Yields the replies, from the first on.
    fn of(self, replies: &[Reply]) -> impl Iterator<Item = &Reply> {
        iter::successors(replies.get(self.first), |reply| replies.get(reply.next))
    }
}

impl Unsegmented {
    const CAPACITY: usize = 64;

    /// How long it is not tried again.
    const PERIOD: Duration = Duration::from_secs(1);

    fn insert(&mut self, route: Route) {
        self.0[route.address_hash() % Self::CAPACITY] = Some((route.to.ip(), Instant::now()));
    }

    fn contains(&self, route: Route) -> bool {
        self.0[route.address_hash() % Self::CAPACITY].is_some_and(|(destination, since)| {
            destination == route.to.ip() && since.elapsed() < Self::PERIOD
        })
    }
}

/// How often in a batch a send that a signal interrupted is repeated.
const MAX_INTERRUPTIONS: u32 = 8;

/// Entries in the table of latest messages.
const ROUTES: usize = 2 * RecvBatch::CAPACITY;

/// A free entry in that table, or the end of a chain.
const NONE: usize = usize::MAX;

#[cfg(test)]
mod tests;

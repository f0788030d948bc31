//! Groups replies into the messages in which they leave.

use std::iter;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use super::datagram::Encoded;
use crate::udp::batch::RecvBatch;
use crate::udp::transmit::{Route, Transmit};

/// The replies to the datagrams of a batch, grouped into messages.
///
/// Replies to one source share a message as far as they fit, since one with many segments costs
/// the system little more than one with a single datagram (UDP_SEGMENT, udp(7)). Among themselves
/// they keep their order.
#[derive(Debug)]
pub(super) struct Groups {
    replies: Vec<Reply>,
    messages: Vec<Transmit>,
    /// The replies of each message.
    chains: Vec<Chain>,
    /// The last message on each route: its index, found by the hash of the route.
    latest: [usize; ROUTES],
    unsegmented: Unsegmented,
}

/// A reply, and which message it is in.
#[derive(Debug)]
pub(super) struct Reply {
    /// Which of the classified datagrams it answers.
    pub(super) datagram: usize,
    pub(super) bytes: Encoded,
    /// The next reply in the same message, or [`NONE`].
    next: usize,
}

/// The replies of a message: from the first on, each has the index of the next.
#[derive(Clone, Copy, Debug)]
struct Chain {
    first: usize,
    last: usize,
}

/// A route, and where its latest message is noted.
#[derive(Debug)]
pub(super) struct RouteSlot {
    route: Route,
    entry: usize,
    /// Each reply leaves as a message of its own.
    singly: bool,
}

/// The destinations whose replies the system recently sent one by one and not as one message: one
/// for each hash. Trying again for each train would be in vain.
#[derive(Debug)]
struct Unsegmented([Option<(IpAddr, Instant)>; Unsegmented::CAPACITY]);

impl Groups {
    pub(super) fn new() -> Self {
        Self {
            replies: Vec::new(),
            messages: Vec::new(),
            chains: Vec::new(),
            latest: [NONE; ROUTES],
            unsegmented: Unsegmented([None; Unsegmented::CAPACITY]),
        }
    }

    /// Forgets the replies.
    pub(super) fn clear(&mut self) {
        self.replies.clear();
        self.messages.clear();
        self.chains.clear();
        self.latest.fill(NONE);
    }

    /// Looks a route up.
    pub(super) fn slot(&self, route: Route) -> RouteSlot {
        // Found or free: a batch has at most half as many routes as there are entries.
        let mut entry = route.hash() % ROUTES;
        while self.messages.get(self.latest[entry]).is_some_and(|message| message.route != route) {
            entry = (entry + 1) % ROUTES;
        }
        let singly = self.unsegmented.contains(route);
        RouteSlot { route, entry, singly }
    }

    /// Adds a reply to the latest message on its route, or to a new one.
    pub(super) fn push(&mut self, datagram: usize, bytes: Encoded, slot: &RouteSlot) {
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

    /// Remembers for a while that the system does not segment messages on this route.
    pub(super) fn note_unsegmented(&mut self, route: Route) {
        self.unsegmented.insert(route);
    }

    pub(super) fn messages(&self) -> &[Transmit] {
        &self.messages
    }

    /// Yields each message with its replies, from the first on.
    pub(super) fn messages_mut(
        &mut self,
    ) -> impl Iterator<Item = (&mut Transmit, impl Iterator<Item = &Reply>)> {
        let Self { replies, messages, chains, .. } = self;
        messages.iter_mut().zip(&*chains).map(|(message, chain)| (message, chain.of(replies)))
    }

    /// Yields the replies of a message, from the first on.
    pub(super) fn replies_of(&self, message: usize) -> impl Iterator<Item = &Reply> {
        self.chains[message].of(&self.replies)
    }

    /// Returns the number of all replies.
    pub(super) fn replies(&self) -> usize {
        self.replies.len()
    }
}

impl Chain {
    fn of(self, replies: &[Reply]) -> impl Iterator<Item = &Reply> {
        iter::successors(replies.get(self.first), |reply| replies.get(reply.next))
    }
}

impl Unsegmented {
    const CAPACITY: usize = 64;

    /// The time before segmenting is tried again.
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

/// Entries in the table of latest messages.
const ROUTES: usize = 2 * RecvBatch::CAPACITY;

/// A free entry in that table, or the end of a chain.
const NONE: usize = usize::MAX;

#[cfg(test)]
mod tests;

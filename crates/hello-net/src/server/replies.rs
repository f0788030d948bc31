use std::io::{self, IoSlice};
use std::iter;
use std::net::IpAddr;
use std::ops::Range;
use std::time::{Duration, Instant};

use hello_proto::{OVERHEAD, PREFIX, SUFFIX};

use super::event::Outcome;
use crate::udp::batch::RecvBatch;
use crate::udp::datagram_socket::DatagramSocket;
use crate::udp::error_class::ErrorClass;
use crate::udp::transmit::{Route, Transmit};

/// The datagrams of a batch in the order in which they came, what becomes of each, and the
/// messages in which the replies leave.
///
/// Replies to one source share a message as far as they fit, for one with many segments costs the
/// system little more than one with a single datagram (UDP_SEGMENT, udp(7)). Among themselves
/// they keep their order.
#[derive(Debug)]
pub(crate) struct Replies {
    datagrams: Vec<Datagram>,
    messages: Vec<Transmit>,
    /// What each message answers.
    chains: Vec<Chain>,
    /// The last message on each route: its index, found by the hash of the route.
    latest: [usize; ROUTES],
    unsegmented: Unsegmented,
}

/// The destinations whose replies the system did not send as one message of late, but one by one:
/// one for each hash. It would be asked in vain for each train again.
#[derive(Debug)]
struct Unsegmented([Option<(IpAddr, Instant)>; Unsegmented::CAPACITY]);

/// A received datagram.
#[derive(Debug)]
pub(crate) struct Datagram {
    /// In which message it came.
    pub(crate) arrival: usize,
    /// Where its bytes are.
    pub(crate) name: Range<usize>,
    pub(crate) outcome: Outcome,
    /// Where its reply stands; without one, it is gathered around the name.
    reply: Option<Range<usize>>,
    /// The next datagram answered by the same message.
    next: Option<usize>,
}

/// The datagrams that a message answers: from the first on, each knows the next.
#[derive(Clone, Copy, Debug)]
struct Chain {
    first: usize,
    last: usize,
}

/// A route, and where its latest message is noted.
#[derive(Debug)]
pub(crate) struct RouteSlot {
    route: Route,
    entry: usize,
    /// Each reply leaves as a message of its own.
    singly: bool,
}

impl Replies {
    pub(crate) fn new() -> Self {
        let (datagrams, messages, chains) = (Vec::new(), Vec::new(), Vec::new());
        let unsegmented = Unsegmented([None; Unsegmented::CAPACITY]);
        Self { datagrams, messages, chains, latest: [NONE; ROUTES], unsegmented }
    }

    pub(crate) fn clear(&mut self) {
        self.datagrams.clear();
        self.messages.clear();
        self.chains.clear();
        self.latest.fill(NONE);
    }

    /// Adds a datagram that gets no reply.
    pub(crate) fn push_refused(&mut self, arrival: usize, name: Range<usize>, outcome: Outcome) {
        self.datagrams.push(Datagram { arrival, name, outcome, reply: None, next: None });
    }

    /// Looks a route up, once for all datagrams of an arrival.
    pub(crate) fn slot(&self, route: Route) -> RouteSlot {
        // Found or free: a batch has no more routes than half as many as there are entries.
        let mut entry = route.hash() % ROUTES;
        while self.messages.get(self.latest[entry]).is_some_and(|message| message.route != route) {
            entry = (entry + 1) % ROUTES;
        }
        let singly = self.unsegmented.contains(route);
        RouteSlot { route, entry, singly }
    }

    /// Adds a datagram that gets a reply, which stands somewhere already or is to be gathered.
    pub(crate) fn push_reply(
        &mut self,
        arrival: usize,
        name: Range<usize>,
        reply: Option<Range<usize>>,
        slot: &RouteSlot,
    ) {
        let (datagram, len) = (self.datagrams.len(), name.len() + OVERHEAD);
        let outcome = Outcome::Answered;
        self.datagrams.push(Datagram { arrival, name, outcome, reply, next: None });

        let latest = &mut self.latest[slot.entry];
        match self.messages.get_mut(*latest) {
            Some(message) if message.fits(len) && !slot.singly => {
                message.count += 1;
                message.len += len;
                let chain = &mut self.chains[*latest];
                self.datagrams[chain.last].next = Some(datagram);
                chain.last = datagram;
            }
            _ => {
                *latest = self.messages.len();
                self.messages.push(Transmit::new(slot.route, len));
                self.chains.push(Chain { first: datagram, last: datagram });
            }
        }
    }

    /// Sends the replies, and notes for each that the system does not take why.
    pub(crate) fn send(&mut self, socket: &dyn DatagramSocket, batch: &RecvBatch) {
        let Self { datagrams, messages, chains, unsegmented, .. } = self;
        let mut iovecs = Vec::with_capacity(datagrams.len() + messages.len());
        for (message, chain) in messages.iter_mut().zip(&*chains) {
            let start = iovecs.len();
            gather(batch, chain.datagrams(datagrams).map(|i| &datagrams[i]), &mut iovecs);
            message.iovecs = start..iovecs.len();
        }
        send_all(socket, messages, &iovecs, |index, error| {
            let (message, chain) = (&messages[index], chains[index]);
            let class = ErrorClass::of(&error);
            let is_full = matches!(class, ErrorClass::WouldBlock | ErrorClass::NoBuffers);
            if message.count == 1 || is_full {
                // What has no room as a whole is not tried piece by piece.
                chain.fail(datagrams, class);
            } else if send_singly(socket, batch, datagrams, message.route, chain) {
                unsegmented.insert(message.route);
            }
        });
    }

    pub(crate) fn datagrams(&self) -> &[Datagram] {
        &self.datagrams
    }
}

/// Sends the replies of a message, which was not taken as a whole, one by one; returns whether all of
/// them were taken.
fn send_singly(
    socket: &dyn DatagramSocket,
    batch: &RecvBatch,
    datagrams: &mut [Datagram],
    route: Route,
    chain: Chain,
) -> bool {
    let answered = Vec::from_iter(chain.datagrams(datagrams));
    let (mut iovecs, mut singles) = (Vec::new(), Vec::with_capacity(answered.len()));
    for datagram in answered.iter().map(|i| &datagrams[*i]) {
        let start = iovecs.len();
        gather(batch, iter::once(datagram), &mut iovecs);
        let single = Transmit::new(route, datagram.name.len() + OVERHEAD);
        singles.push(Transmit { iovecs: start..iovecs.len(), ..single });
    }
    let mut all = true;
    send_all(socket, &singles, &iovecs, |index, error| {
        datagrams[answered[index]].outcome = Outcome::SendFailed(ErrorClass::of(&error));
        all = false;
    });
    all
}

/// Hands messages to the system, which stops at the first that it does not take; shows the
/// index of each such one to `failed`, and goes on behind it (sendmmsg(2)).
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

impl Chain {
    /// Notes why none of the datagrams was answered.
    fn fail(self, datagrams: &mut [Datagram], class: ErrorClass) {
        let mut next = Some(self.first);
        while let Some(datagram) = next {
            datagrams[datagram].outcome = Outcome::SendFailed(class);
            next = datagrams[datagram].next;
        }
    }

    /// Yields the datagrams, from the first on.
    fn datagrams(self, datagrams: &[Datagram]) -> impl Iterator<Item = usize> {
        iter::successors(Some(self.first), |&datagram| datagrams[datagram].next)
    }
}

/// Adds the bytes of the replies to `iovecs`, in as few pieces as can be.
fn gather<'b, 'd>(
    batch: &'b RecvBatch,
    datagrams: impl Iterator<Item = &'d Datagram>,
    iovecs: &mut Vec<IoSlice<'b>>,
) {
    let mut open = PendingPart::Nothing;
    for Datagram { name, reply, .. } in datagrams {
        open = match (open, reply) {
            (PendingPart::Standing(before), Some(reply)) if before.end == reply.start => {
                PendingPart::Standing(before.start..reply.end)
            }
            (open, Some(reply)) => {
                iovecs.extend(open.close(batch));
                PendingPart::Standing(reply.clone())
            }
            (open, None) => {
                match open {
                    PendingPart::Suffix => iovecs.push(IoSlice::new(&SUFFIX_AND_PREFIX)),
                    open => {
                        iovecs.extend(open.close(batch));
                        iovecs.push(IoSlice::new(PREFIX));
                    }
                }
                iovecs.push(IoSlice::new(batch.bytes(name.clone())));
                PendingPart::Suffix
            }
        };
    }
    iovecs.extend(open.close(batch));
}

/// The part of a message that the next reply may make longer.
enum PendingPart {
    Nothing,
    /// Replies that stand side by side.
    Standing(Range<usize>),
    /// The suffix of a gathered reply.
    Suffix,
}

impl PendingPart {
    fn close(self, batch: &RecvBatch) -> Option<IoSlice<'_>> {
        match self {
            Self::Nothing => None,
            Self::Standing(replies) => Some(IoSlice::new(batch.bytes(replies))),
            Self::Suffix => Some(IoSlice::new(SUFFIX)),
        }
    }
}

/// The end of a reply and the beginning of the next one.
const SUFFIX_AND_PREFIX: [u8; OVERHEAD] = {
    let mut bytes = [0; OVERHEAD];
    let (suffix, prefix) = bytes.split_at_mut(SUFFIX.len());
    suffix.copy_from_slice(SUFFIX);
    prefix.copy_from_slice(PREFIX);
    bytes
};

/// How often within a batch a send is tried again that a signal came before.
const MAX_INTERRUPTIONS: u32 = 8;

/// Entries in the table of latest messages.
const ROUTES: usize = 2 * RecvBatch::CAPACITY;

/// A free entry in that table.
const NONE: usize = usize::MAX;

#[cfg(test)]
mod tests;

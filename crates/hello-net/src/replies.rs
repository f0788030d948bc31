use std::borrow::Cow;
use std::io::{self, IoSlice};
use std::iter;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use hello_proto::{MAX_DATAGRAM_LEN, OVERHEAD, PREFIX, SUFFIX};

use crate::batch::{Batch, Origin};
use crate::sys::Datagrams;
use crate::{ErrorClass, Outcome};

/// The datagrams of a batch in the order in which they came, what becomes of each, and the
/// messages in which the replies leave.
///
/// Replies to one source share a message as far as they fit, for one with many segments costs the
/// system little more than one with a single datagram (UDP_SEGMENT, udp(7)). Among themselves
/// they keep their order.
#[derive(Debug)]
pub(crate) struct Replies {
    datagrams: Vec<Datagram>,
    messages: Vec<Message>,
    /// The last message on each route: its index, found by the hash of the route.
    latest: [usize; ROUTES],
}

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

/// Replies on one route that leave as one.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) route: Route,
    /// The length of each reply but the last, which may be shorter, in bytes.
    pub(crate) segment: usize,
    /// How many replies.
    pub(crate) count: usize,
    /// Their length in all, in bytes.
    pub(crate) len: usize,
    /// Which of the parts given beside it are its bytes.
    pub(crate) parts: Range<usize>,
    /// The datagrams that it answers.
    first: usize,
    last: usize,
}

/// Between whom a message travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) to: SocketAddr,
    /// The address to send from, where the socket has several.
    pub(crate) from: Option<Origin>,
}

/// A route, and where its latest message is noted.
#[derive(Debug)]
pub(crate) struct Lane {
    route: Route,
    entry: usize,
}

impl Replies {
    pub(crate) fn new() -> Self {
        Self { datagrams: Vec::new(), messages: Vec::new(), latest: [NONE; ROUTES] }
    }

    pub(crate) fn clear(&mut self) {
        self.datagrams.clear();
        self.messages.clear();
        self.latest.fill(NONE);
    }

    /// Adds a datagram that gets no reply.
    pub(crate) fn refuse(&mut self, arrival: usize, name: Range<usize>, outcome: Outcome) {
        self.datagrams.push(Datagram { arrival, name, outcome, reply: None, next: None });
    }

    /// Looks a route up, once for all datagrams of an arrival.
    pub(crate) fn lane(&self, route: Route) -> Lane {
        // Found or free: a batch has no more routes than half as many as there are entries.
        let mut entry = route.hash() % ROUTES;
        while self.messages.get(self.latest[entry]).is_some_and(|message| message.route != route) {
            entry = (entry + 1) % ROUTES;
        }
        Lane { route, entry }
    }

    /// Adds a datagram that gets a reply, which stands somewhere already or is to be gathered.
    pub(crate) fn answer(
        &mut self,
        arrival: usize,
        name: Range<usize>,
        reply: Option<Range<usize>>,
        lane: &Lane,
    ) {
        let (datagram, len) = (self.datagrams.len(), name.len() + OVERHEAD);
        let outcome = Outcome::Answered;
        self.datagrams.push(Datagram { arrival, name, outcome, reply, next: None });

        let latest = &mut self.latest[lane.entry];
        match self.messages.get_mut(*latest) {
            Some(message) if message.takes(len) => {
                self.datagrams[message.last].next = Some(datagram);
                message.last = datagram;
                message.count += 1;
                message.len += len;
            }
            _ => {
                *latest = self.messages.len();
                self.messages.push(Message::new(lane.route, datagram, len));
            }
        }
    }

    /// Sends the replies, and notes for each that the system does not take why.
    pub(crate) fn send(&mut self, socket: &dyn Datagrams, batch: &Batch) {
        let Self { datagrams, messages, .. } = self;
        let mut parts = Vec::with_capacity(datagrams.len() + messages.len());
        for message in &mut *messages {
            let start = parts.len();
            gather(batch, chain(datagrams, message.first).map(|i| &datagrams[i]), &mut parts);
            message.parts = start..parts.len();
        }
        deliver(socket, messages, &parts, |message, error| {
            if message.count == 1 {
                datagrams[message.first].outcome = Outcome::SendFailed(ErrorClass::of(&error));
            } else {
                send_singly(socket, batch, datagrams, message);
            }
        });
    }

    pub(crate) fn datagrams(&self) -> &[Datagram] {
        &self.datagrams
    }
}

impl Message {
    fn new(route: Route, datagram: usize, len: usize) -> Self {
        let (first, last) = (datagram, datagram);
        Self { route, segment: len, count: 1, len, parts: 0..0, first, last }
    }

    /// Returns its bytes in one piece; `parts` are those of all messages.
    pub(crate) fn bytes<'p>(&self, parts: &'p [IoSlice<'_>]) -> Cow<'p, [u8]> {
        match &parts[self.parts.clone()] {
            [part] => Cow::Borrowed(part),
            parts => parts.iter().flat_map(|part| part.iter()).copied().collect(),
        }
    }

    /// Tells whether a reply of `len` bytes may follow: all before it have the same length, it is
    /// not longer, and the whole is no more than a message can be.
    fn takes(&self, len: usize) -> bool {
        self.len == self.segment * self.count
            && len <= self.segment
            && self.count < MAX_SEGMENTS
            && self.len + len <= MAX_DATAGRAM_LEN
    }
}

impl Route {
    /// A number that differs between routes as well as a few instructions can make it. Somebody
    /// who chooses sources that share one gains nothing: there are only so many in a batch.
    fn hash(self) -> usize {
        let low = match self.to.ip() {
            IpAddr::V4(address) => address.to_bits() as usize,
            IpAddr::V6(address) => address.segments()[7].into(),
        };
        low ^ usize::from(self.to.port())
    }
}

/// Sends the replies of a message each by itself, for it was not taken as a whole.
fn send_singly(
    socket: &dyn Datagrams,
    batch: &Batch,
    datagrams: &mut [Datagram],
    message: &Message,
) {
    let (mut parts, mut singles) = (Vec::new(), Vec::with_capacity(message.count));
    for i in chain(datagrams, message.first) {
        let (start, datagram) = (parts.len(), &datagrams[i]);
        gather(batch, iter::once(datagram), &mut parts);
        let single = Message::new(message.route, i, datagram.name.len() + OVERHEAD);
        singles.push(Message { parts: start..parts.len(), ..single });
    }
    deliver(socket, &singles, &parts, |single, error| {
        datagrams[single.first].outcome = Outcome::SendFailed(ErrorClass::of(&error));
    });
}

/// Hands messages to the system, which stops at the first that it does not take; shows each such
/// one to `failed`, and goes on behind it (sendmmsg(2)).
fn deliver(
    socket: &dyn Datagrams,
    mut messages: &[Message],
    parts: &[IoSlice<'_>],
    mut failed: impl FnMut(&Message, io::Error),
) {
    let mut interruptions = 0..MAX_INTERRUPTIONS;
    while let Some(first) = messages.first() {
        let settled = match socket.send(messages, parts) {
            Ok(taken) => taken.get(),
            Err(error)
                if ErrorClass::of(&error) == ErrorClass::Interrupted
                    && interruptions.next().is_some() =>
            {
                0
            }
            Err(error) => {
                failed(first, error);
                1
            }
        };
        messages = messages.get(settled..).unwrap_or_default();
    }
}

/// Yields the datagrams that one message answers, from the first on.
fn chain(datagrams: &[Datagram], first: usize) -> impl Iterator<Item = usize> {
    iter::successors(Some(first), |&datagram| datagrams[datagram].next)
}

/// Adds the bytes of the replies to `parts`, in as few pieces as can be.
fn gather<'b, 'd>(
    batch: &'b Batch,
    datagrams: impl Iterator<Item = &'d Datagram>,
    parts: &mut Vec<IoSlice<'b>>,
) {
    let mut open = Open::Nothing;
    for Datagram { name, reply, .. } in datagrams {
        open = match (open, reply) {
            (Open::Standing(before), Some(reply)) if before.end == reply.start => {
                Open::Standing(before.start..reply.end)
            }
            (open, Some(reply)) => {
                parts.extend(open.close(batch));
                Open::Standing(reply.clone())
            }
            (open, None) => {
                match open {
                    Open::Suffix => parts.push(IoSlice::new(&SUFFIX_AND_PREFIX)),
                    open => {
                        parts.extend(open.close(batch));
                        parts.push(IoSlice::new(PREFIX));
                    }
                }
                parts.push(IoSlice::new(batch.bytes(name.clone())));
                Open::Suffix
            }
        };
    }
    parts.extend(open.close(batch));
}

/// The part of a message that the next reply may make longer.
enum Open {
    Nothing,
    /// Replies that stand side by side.
    Standing(Range<usize>),
    /// The suffix of a gathered reply.
    Suffix,
}

impl Open {
    fn close(self, batch: &Batch) -> Option<IoSlice<'_>> {
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

/// How many segments a message has at most: what every kernel that segments at all takes
/// (UDP_MAX_SEGMENTS).
const MAX_SEGMENTS: usize = 64;

/// How often within a batch a send is tried again that a signal came before.
const MAX_INTERRUPTIONS: u32 = 8;

/// Entries in the table of latest messages.
const ROUTES: usize = 2 * Batch::CAPACITY;

/// A free entry in that table.
const NONE: usize = usize::MAX;

#[cfg(test)]
mod tests;

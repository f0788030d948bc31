//! The step that makes the replies, and the messages in which they leave.

use std::io::IoSlice;
use std::mem;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use hello_proto::{OVERHEAD, PREFIX, SUFFIX};

use crate::sys::batch::{RecvBatch, RecvMeta, Segments, Slot};
use crate::sys::transmit::Transmit;

/// The replies to a batch, and the messages in which they leave.
///
/// Replies of one flow share a message as far as they fit, since one with many segments costs the
/// system little more than one with a single datagram (UDP_SEGMENT, udp(7)). Among themselves they keep
/// their order.
#[derive(Debug)]
pub(super) struct Replies<'b> {
    messages: &'b mut Vec<Transmit>,
    /// The bytes of the messages, in their order.
    iovecs: Vec<IoSlice<'b>>,
    /// Room for replies that are copied.
    room: &'b mut [u8],
    /// The length of the replies in the last message, in bytes.
    segment: usize,
    /// How many more of them it takes; a shorter one would be its last.
    left: usize,
    /// Whether the system segments messages to the flow's source, once that was looked up.
    is_segmented: Option<bool>,
    unsegmented: &'b Unsegmented,
}

/// Memory for replies, which each batch reuses.
#[derive(Debug)]
pub(super) struct ReplyMemory {
    messages: Vec<Transmit>,
    iovecs: Vec<IoSlice<'static>>,
    room: Vec<u8>,
    unsegmented: Unsegmented,
}

/// The destinations whose replies the system recently sent one by one and not as one message: one
/// for each hash. Trying again for each train would be in vain.
#[derive(Debug)]
struct Unsegmented([Option<(IpAddr, Instant)>; Unsegmented::CAPACITY]);

impl ReplyMemory {
    pub(super) fn new() -> Self {
        Self {
            messages: Vec::new(),
            iovecs: Vec::new(),
            // The system finds memory for a page when something is first copied into it.
            room: vec![0; ROOM_LEN],
            unsegmented: Unsegmented([None; Unsegmented::CAPACITY]),
        }
    }

    /// Takes back the memory of replies that were transmitted, and remembers for a while that the system
    /// does not segment messages to these destinations.
    pub(super) fn restore(&mut self, iovecs: Vec<IoSlice<'static>>, unsegmented: &[IpAddr]) {
        self.iovecs = iovecs;
        unsegmented.iter().for_each(|destination| self.unsegmented.insert(*destination));
    }
}

impl<'b> Replies<'b> {
    pub(super) fn new(memory: &'b mut ReplyMemory) -> Self {
        let ReplyMemory { messages, iovecs, room, unsegmented } = memory;
        messages.clear();
        Self {
            messages,
            iovecs: emptied(mem::take(iovecs)),
            room,
            segment: 0,
            left: 0,
            is_segmented: None,
            unsegmented,
        }
    }

    /// Begins a flow: the next replies take another route.
    #[inline]
    pub(super) fn begin_flow(&mut self) {
        (self.left, self.is_segmented) = (0, None);
    }

    /// Makes the reply to a datagram that arrived alone in its slot, around the name.
    #[inline]
    pub(super) fn add_alone(&mut self, meta: &RecvMeta, slot: &'b mut Slot, len: usize) {
        let reply = &mut slot[..len + OVERHEAD];
        put_around(reply, len);
        self.extend(meta, reply.len(), 1, 1);
        self.iovecs.push(IoSlice::new(reply));
    }

    /// Makes replies to datagrams of a train in its slot: copies of short names, and parts around long
    /// ones.
    #[inline(never)]
    pub(super) fn add_train(&mut self, meta: &RecvMeta, slot: &'b Slot, names: Segments) {
        let (range, len) = (names.range(), names.len);
        let mut names = &slot[PREFIX.len()..][range];
        while !names.is_empty() {
            if len <= MAX_COPIED_NAME && names.len() / len * (len + OVERHEAD) <= self.room.len() {
                let count = self.extend(meta, len + OVERHEAD, names.len() / len, 1);
                let (copied, behind) = names.split_at(count * len);
                self.copy(copied, len);
                names = behind;
            } else {
                let (name, behind) = names.split_at(len);
                self.gather(meta, name);
                names = behind;
            }
        }
    }

    /// Copies replies into the last message.
    fn copy(&mut self, names: &[u8], len: usize) {
        let count = names.len() / len;
        let (copies, room) = mem::take(&mut self.room).split_at_mut(count * (len + OVERHEAD));
        self.room = room;
        for (name, reply) in names.chunks_exact(len).zip(copies.chunks_exact_mut(len + OVERHEAD)) {
            put_around(reply, len);
            copy(name, &mut reply[PREFIX.len()..][..len]);
        }
        self.iovecs.push(IoSlice::new(copies));
    }

    /// Adds a reply whose name stays where it is.
    fn gather(&mut self, meta: &RecvMeta, name: &'b [u8]) {
        self.extend(meta, name.len() + OVERHEAD, 1, 0);
        let Some(message) = self.messages.last_mut() else { return };
        match self.iovecs[message.iovecs.start..].last_mut() {
            Some(suffix) if suffix.len() == SUFFIX.len() => {
                *suffix = IoSlice::new(&SUFFIX_AND_PREFIX);
            }
            _ => self.iovecs.push(IoSlice::new(PREFIX)),
        }
        self.iovecs.extend([IoSlice::new(name), IoSlice::new(SUFFIX)]);
        message.iovecs.end = self.iovecs.len();
    }

    /// Adds up to `count` replies of `len` bytes to the last message, or else to a new one with the route
    /// of a reply to `meta`, and returns how many. The caller pushes the `iovecs` of them.
    #[inline]
    fn extend(&mut self, meta: &RecvMeta, len: usize, count: usize, iovecs: usize) -> usize {
        if self.left > 0
            && len <= self.segment
            && self.is_segmented(meta)
            && let Some(message) = self.messages.last_mut()
        {
            let is_last = len < self.segment;
            let count = if is_last { 1 } else { count.min(self.left) };
            self.left = if is_last { 0 } else { self.left - count };
            message.count += count;
            message.len += count * len;
            message.iovecs.end += iovecs;
            return count;
        }
        let most = Transmit::max_datagrams(len);
        let count = if count > 1 && self.is_segmented(meta) { count.min(most) } else { 1 };
        let (start, route) = (self.iovecs.len(), meta.reply_route());
        self.messages.push(Transmit {
            route,
            segment: len,
            count,
            len: count * len,
            iovecs: start..start + iovecs,
        });
        (self.segment, self.left) = (len, most - count);
        count
    }

    /// Returns whether the system segments messages to the source of the flow, as far as is known.
    #[inline]
    fn is_segmented(&mut self, meta: &RecvMeta) -> bool {
        let look_up = || !self.unsegmented.contains(meta.source.get().ip());
        *self.is_segmented.get_or_insert_with(look_up)
    }

    pub(super) fn messages(&self) -> &[Transmit] {
        self.messages
    }

    pub(super) fn iovecs(&self) -> &[IoSlice<'b>] {
        &self.iovecs
    }

    /// Forgets the replies, and returns the memory of their iovecs.
    pub(super) fn into_iovecs(self) -> Vec<IoSlice<'static>> {
        emptied(self.iovecs)
    }
}

impl Unsegmented {
    const CAPACITY: usize = 64;

    /// The time before segmenting is tried again.
    const PERIOD: Duration = Duration::from_secs(1);

    fn insert(&mut self, destination: IpAddr) {
        self.0[Self::place(destination)] = Some((destination, Instant::now()));
    }

    fn contains(&self, destination: IpAddr) -> bool {
        self.0[Self::place(destination)]
            .is_some_and(|(known, since)| known == destination && since.elapsed() < Self::PERIOD)
    }

    fn place(destination: IpAddr) -> usize {
        let last = match destination {
            IpAddr::V4(address) => address.octets()[3],
            IpAddr::V6(address) => address.octets()[15],
        };
        usize::from(last) % Self::CAPACITY
    }
}

/// Writes the prefix and the suffix around a name of this length.
#[inline]
fn put_around(reply: &mut [u8], len: usize) {
    reply[..PREFIX.len()].copy_from_slice(PREFIX);
    reply[PREFIX.len() + len..].copy_from_slice(SUFFIX);
}

/// Copies a name. Most are short, for which a call of the C library would take longer than the copy.
#[inline]
fn copy(name: &[u8], to: &mut [u8]) {
    match name.len() {
        8..=16 => copy_ends::<8>(name, to),
        17..=32 => copy_ends::<16>(name, to),
        33..=64 => copy_ends::<32>(name, to),
        _ => to.copy_from_slice(name),
    }
}

/// Copies the first and the last `N` bytes, which are all.
#[inline]
fn copy_ends<const N: usize>(name: &[u8], to: &mut [u8]) {
    to[..N].copy_from_slice(&name[..N]);
    let last = name.len() - N;
    to[last..].copy_from_slice(&name[last..]);
}

/// Empties a vector of slices, and keeps its memory for slices that live for another time.
fn emptied<'b>(mut iovecs: Vec<IoSlice<'_>>) -> Vec<IoSlice<'b>> {
    iovecs.clear();
    // Collected in place, since both have the same layout.
    iovecs.into_iter().map(|_| IoSlice::new(&[])).collect()
}

/// The end of a reply and the beginning of the next one.
const SUFFIX_AND_PREFIX: [u8; OVERHEAD] = {
    let mut bytes = [0; OVERHEAD];
    let (suffix, prefix) = bytes.split_at_mut(SUFFIX.len());
    suffix.copy_from_slice(SUFFIX);
    prefix.copy_from_slice(PREFIX);
    bytes
};

/// Up to this length, in bytes, the names of a train are copied: the system takes longer over two
/// more parts of a message than over the bytes.
const MAX_COPIED_NAME: usize = 128;

/// Room for the copied replies to a batch of trains that are as long as Linux sends them
/// (UDP_MAX_SEGMENTS), in bytes. Longer ones may be left as they are.
const ROOM_LEN: usize = RecvBatch::CAPACITY * 128 * (MAX_COPIED_NAME + OVERHEAD);

#[cfg(test)]
mod tests;

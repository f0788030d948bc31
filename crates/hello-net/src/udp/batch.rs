use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::time::Duration;

use hello_proto::{Frame, OVERHEAD, PREFIX, Request, SUFFIX};

/// What one receive call brings: up to [`CAPACITY`](Self::CAPACITY) messages, each in a slot of
/// its own.
///
/// A slot is laid out as a [`Frame`]: a message is received behind the place of the prefix, so
/// that the reply can be made around it.
#[derive(Debug)]
pub(crate) struct RecvBatch {
    /// The slots, and behind them room for replies that are copied.
    memory: Vec<u8>,
    /// Where the room for further copies begins.
    copied: usize,
    metas: Vec<RecvMeta>,
    /// Of how many messages the control information was cut off.
    truncated: u64,
}

impl RecvBatch {
    /// How many messages are received and sent by one call. Twice as many gain nothing, an eighth
    /// of it costs a few per cent.
    pub(crate) const CAPACITY: usize = 64;

    pub(crate) fn new() -> Self {
        // The system finds memory for a slot when something is first received into it.
        let memory = vec![0; SLOTS_LEN + COPIES_LEN];
        let metas = Vec::with_capacity(Self::CAPACITY);
        Self { memory, copied: SLOTS_LEN, metas, truncated: 0 }
    }

    /// Forgets what arrived, and yields where the next messages are to be received. Each space
    /// takes the longest message there is, so that nothing is ever cut off.
    pub(crate) fn recv_buffers(&mut self) -> impl Iterator<Item = &mut [u8]> {
        self.metas.clear();
        self.truncated = 0;
        self.copied = SLOTS_LEN;
        self.memory[..SLOTS_LEN].chunks_exact_mut(SLOT_LEN).map(|slot| &mut slot[PREFIX.len()..])
    }

    /// Notes what was received into the next space.
    pub(crate) fn push(&mut self, meta: RecvMeta) {
        self.truncated += u64::from(meta.discarded);
        self.metas.push(meta);
    }

    /// Leaves out the messages for which `is_unwanted`: they have no datagrams from now on.
    pub(crate) fn discard(&mut self, is_unwanted: impl Fn(&RecvMeta) -> bool) {
        for meta in &mut self.metas {
            meta.discarded |= is_unwanted(meta);
        }
    }

    /// Makes the reply to a name, and returns where it stands: around the name, if that arrived
    /// alone; as a copy, if it is short. `None` if its iovecs are better gathered as it leaves.
    pub(crate) fn encode_reply(
        &mut self,
        name: &Range<usize>,
        alone: bool,
    ) -> Option<Range<usize>> {
        if alone {
            let reply = name.start - PREFIX.len()..name.end + SUFFIX.len();
            let frame = Frame::new(&mut self.memory[reply.start..][..SLOT_LEN]);
            // Neither can fail: a slot has room for the longest reply, and the guard lets no
            // longer name pass.
            return frame.ok()?.reply(name.len()).is_ok().then_some(reply);
        }
        if name.len() > MAX_COPIED_NAME {
            return None;
        }
        let (received, copies) = self.memory.split_at_mut(self.copied);
        let reply = Request::decode(&received[name.clone()]).ok()?.reply();
        let len = reply.encode(copies).ok()?.len();
        self.copied += len;
        Some(self.copied - len..self.copied)
    }

    pub(crate) fn metas(&self) -> &[RecvMeta] {
        &self.metas
    }

    /// Returns how many datagrams arrived, without those of discarded messages.
    pub(crate) fn datagrams(&self) -> u64 {
        let datagrams = |meta: &RecvMeta| meta.len.div_ceil(meta.segment.max(1)).max(1);
        let kept = self.metas.iter().filter(|meta| !meta.discarded);
        kept.map(|meta| datagrams(meta) as u64).sum()
    }

    /// Returns of how many messages the control information was cut off (MSG_CTRUNC, recv(2)): how
    /// many datagrams they are, and where they were sent to, is not known.
    pub(crate) fn truncated(&self) -> u64 {
        self.truncated
    }

    /// Yields where in the memory the datagrams of a message are: the one, or those of a train; none
    /// of a discarded one.
    pub(crate) fn datagram_ranges(
        &self,
        meta: usize,
    ) -> impl Iterator<Item = Range<usize>> + use<> {
        let RecvMeta { len, segment, discarded, .. } = self.metas[meta];
        let start = meta * SLOT_LEN + PREFIX.len();
        let (end, segment) = (start + len.min(SPACE_LEN), segment.clamp(1, SPACE_LEN));
        // An empty message is one datagram, too.
        let behind = if discarded { start } else { end.max(start + 1) };
        let starts = (start..behind).step_by(segment);
        starts.map(move |start| start..end.min(start + segment))
    }

    /// Returns the bytes at a place that [`datagram_ranges`](Self::datagram_ranges) or [`write`](Self::write) told.
    pub(crate) fn bytes(&self, place: Range<usize>) -> &[u8] {
        &self.memory[place]
    }
}

/// A message that the system delivered: a datagram, or a train of them from one source in one
/// piece (UDP_GRO, udp(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecvMeta {
    pub(crate) source: SocketAddr,
    /// Where it was sent to, as far as the socket is told.
    pub(crate) destination: Option<Destination>,
    /// In bytes.
    pub(crate) len: usize,
    /// The length of each datagram in it, in bytes; the last may be shorter.
    pub(crate) segment: usize,
    /// When the system received it, since 1970 (UTC), if the socket asks for that.
    pub(crate) time: Option<Duration>,
    /// Whether it is left out: its control information was cut off, or it is a copy.
    pub(crate) discarded: bool,
}

/// The address that a message was sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    pub(crate) address: IpAddr,
    /// Our own address that a reply comes from; another one only where `address` is not ours
    /// alone.
    pub(crate) reply_from: LocalAddr,
}

impl Destination {
    /// Returns the address as the guard is to see it: of a subnet's broadcast address nothing but
    /// the system knows that it is one.
    pub(crate) fn guard_address(self) -> IpAddr {
        let broadcast = self.is_shared() && !self.address.is_multicast();
        if broadcast { Ipv4Addr::BROADCAST.into() } else { self.address }
    }

    /// Returns whether every socket bound to the port gets a copy: the address is that of a
    /// multicast group or of a subnet's broadcast.
    pub(crate) fn is_shared(self) -> bool {
        self.address != self.reply_from.address
    }
}

/// An address of ours to send from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LocalAddr {
    /// Unspecified where the system is to choose.
    pub(crate) address: IpAddr,
    /// The index of the interface, without which a link-local address means nothing; 0 leaves it
    /// to the routes.
    pub(crate) interface: u32,
}

/// The longest message that a socket delivers, in bytes: IPv6 without the jumbo option
/// (RFC 8200 section 4.5).
const SPACE_LEN: usize = 65_535;

/// A slot in bytes: room for any message and for the longest reply, in an odd number of cache
/// lines, lest the starts of all slots compete for the same few datagram_ranges in the cache.
const SLOT_LEN: usize = 1025 * 64;

/// All slots, in bytes.
const SLOTS_LEN: usize = RecvBatch::CAPACITY * SLOT_LEN;

/// Up to this length, in bytes, the names of a train are copied, for the system takes longer over
/// two more iovecs of a message than over the bytes.
const MAX_COPIED_NAME: usize = 128;

/// Room for the copied replies of a batch of trains with names of a few dozen bytes. Where it does
/// not suffice, the others are gathered.
const COPIES_LEN: usize = 256 * 1024;

const _: () = assert!(SLOT_LEN >= SPACE_LEN + OVERHEAD && SLOT_LEN / 64 % 2 == 1);

#[cfg(test)]
mod tests {
    use hello_proto::MAX_NAME_LEN;

    use super::*;

    fn batch(metas: &[(usize, usize)]) -> RecvBatch {
        let mut batch = RecvBatch::new();
        for &(len, segment) in metas {
            let source = (Ipv4Addr::LOCALHOST, 40_001).into();
            let (destination, time, discarded) = (None, None, false);
            batch.push(RecvMeta { source, destination, len, segment, time, discarded });
        }
        batch
    }

    fn lens(batch: &RecvBatch, meta: usize) -> Vec<usize> {
        batch.datagram_ranges(meta).map(|place| place.len()).collect()
    }

    #[test]
    fn a_message_is_one_datagram_or_a_train_of_them() {
        let batch = batch(&[(0, 0), (5, 5), (5, 9), (12, 5), (10, 5), (3, 1), (7, 0), (0, 5)]);
        let expected: [&[usize]; 8] =
            [&[0], &[5], &[5], &[5, 5, 2], &[5, 5], &[1, 1, 1], &[1; 7], &[0]];
        for (meta, expected) in expected.into_iter().enumerate() {
            assert_eq!(lens(&batch, meta), expected);
        }
        assert_eq!(batch.datagrams(), expected.iter().map(|lens| lens.len() as u64).sum::<u64>());
        let datagram_ranges = Vec::from_iter(batch.datagram_ranges(3));
        assert!(datagram_ranges.windows(2).all(|pair| pair[0].end == pair[1].start));
    }

    #[test]
    fn a_discarded_message_has_no_datagrams_and_moves_no_other() {
        let mut batch = batch(&[(5, 5), (12, 5), (7, 7)]);
        let last = Vec::from_iter(batch.datagram_ranges(2));
        batch.discard(|meta| meta.len == 12);
        assert_eq!((batch.datagrams(), batch.truncated()), (2, 0));
        assert_eq!((lens(&batch, 1), Vec::from_iter(batch.datagram_ranges(2))), (vec![], last));
        let cut = RecvMeta { discarded: true, ..batch.metas()[0] };
        batch.push(cut);
        assert_eq!((batch.datagrams(), batch.truncated()), (2, 1));
    }

    #[test]
    fn no_length_the_system_could_report_leaves_the_slot() {
        let batch = batch(&[(usize::MAX, usize::MAX), (SPACE_LEN, 1)]);
        assert_eq!(lens(&batch, 0), [SPACE_LEN]);
        assert_eq!(lens(&batch, 1).len(), SPACE_LEN);
        assert!(batch.datagram_ranges(1).all(|place| place.end < 2 * SLOT_LEN));
    }

    /// Fills every slot with 0xa5, and the first ones with what arrives.
    fn received(metas: &[&[u8]], segment: usize) -> RecvBatch {
        let mut batch = batch(&Vec::from_iter(metas.iter().map(|bytes| (bytes.len(), segment))));
        batch.memory.fill(0xa5);
        for (slot, bytes) in batch.memory.chunks_mut(SLOT_LEN).zip(metas) {
            slot[PREFIX.len()..][..bytes.len()].copy_from_slice(bytes);
        }
        batch
    }

    #[test]
    fn a_reply_to_a_datagram_alone_is_made_around_it_in_any_slot() {
        let longest = [b'x'; MAX_NAME_LEN];
        let names: [&[u8]; 4] = [b"Tracy", b"", &longest, b"Michael"];
        let mut batch = received(&names, SPACE_LEN);
        for (meta, name) in names.into_iter().enumerate() {
            let place = batch.datagram_ranges(meta).next().expect("one");
            let reply = batch.encode_reply(&place, true).expect("in place");
            assert_eq!(reply.start, meta * SLOT_LEN);
            assert_eq!(batch.memory[reply.end], 0xa5);
            assert_eq!(batch.bytes(reply), [b"Hello, ", name, b"!"].concat());
        }
    }

    #[test]
    fn short_names_of_a_train_are_copied_side_by_side_and_long_ones_left_alone() {
        let mut batch = received(&[b"TracySarahPeter"], 5);
        for _ in 0..2 {
            let datagram_ranges = Vec::from_iter(batch.datagram_ranges(0));
            let replies = datagram_ranges
                .iter()
                .map(|place| batch.encode_reply(place, false).expect("short"));
            let replies = Vec::from_iter(replies);
            assert_eq!(
                batch.bytes(replies[0].start..replies[2].end),
                b"Hello, Tracy!Hello, Sarah!Hello, Peter!"
            );
            assert_eq!(replies[0].start, SLOTS_LEN);
            // As if it was received anew.
            let meta = batch.metas[0];
            let _ = batch.recv_buffers();
            batch.push(meta);
        }
        let mut batch = received(&[&[b'x'; 2 * MAX_COPIED_NAME + 2]], MAX_COPIED_NAME + 1);
        let place = batch.datagram_ranges(0).next().expect("two");
        assert_eq!(batch.encode_reply(&place, false), None);
    }

    #[test]
    fn copies_that_find_no_room_are_left_to_be_gathered() {
        let mut batch = received(&[b"TracySarah"], 5);
        let place = batch.datagram_ranges(0).next().expect("two");
        let copies = (0..).take_while(|_| batch.encode_reply(&place, false).is_some()).count();
        assert_eq!(copies, COPIES_LEN / (5 + OVERHEAD));
        assert_eq!(batch.bytes(place), b"Tracy");
    }

    #[test]
    fn every_space_takes_the_longest_message() {
        let mut batch = batch(&[(5, 5)]);
        let spaces = batch.recv_buffers();
        assert_eq!(spaces.filter(|space| space.len() >= SPACE_LEN).count(), RecvBatch::CAPACITY);
        assert!(batch.metas().is_empty());
    }

    #[test]
    fn only_an_address_that_is_not_ours_alone_is_broadcast_to_the_guard() {
        let [here, all, group] =
            [[192, 0, 2, 1], [192, 0, 2, 255], [224, 0, 0, 1]].map(IpAddr::from);
        let scope = |address, own| {
            Destination { address, reply_from: LocalAddr { address: own, interface: 0 } }
                .guard_address()
        };
        assert_eq!(scope(here, here), here);
        assert_eq!(scope(all, here), IpAddr::from(Ipv4Addr::BROADCAST));
        assert_eq!(scope(group, here), group);
    }
}

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::time::Duration;

use hello_proto::{BufferTooSmall, Frame, OVERHEAD, PREFIX};

use super::transmit::{LocalAddr, Route};

/// The messages of one receive call: up to [`CAPACITY`](Self::CAPACITY), each in a slot of its own.
///
/// A slot is laid out as a [`Frame`]: a message is received behind the room for the prefix, so that
/// the reply can be made around it.
#[derive(Debug)]
pub(crate) struct RecvBatch {
    /// The slots.
    memory: Vec<u8>,
    metas: Vec<RecvMeta>,
    /// The number of messages whose control information was truncated.
    truncated: u64,
}

impl RecvBatch {
    /// The most messages per system call. Twice as many gain nothing; an eighth of it costs a few
    /// per cent.
    pub(crate) const CAPACITY: usize = 64;

    pub(crate) fn new() -> Self {
        // The system allocates the pages of a slot when something is first received into it.
        let memory = vec![0; Self::CAPACITY * SLOT_LEN];
        let metas = Vec::with_capacity(Self::CAPACITY);
        Self { memory, metas, truncated: 0 }
    }

    /// Clears the batch, and yields the buffers to receive the next messages into. Each holds the
    /// longest possible message, so that none is truncated.
    pub(crate) fn recv_buffers(&mut self) -> impl Iterator<Item = &mut [u8]> {
        self.metas.clear();
        self.truncated = 0;
        self.memory.chunks_exact_mut(SLOT_LEN).map(|slot| &mut slot[PREFIX.len()..])
    }

    /// Adds a message that was received into the next buffer.
    pub(crate) fn push(&mut self, meta: RecvMeta) {
        self.truncated += u64::from(meta.discarded);
        self.metas.push(meta);
    }

    /// Discards the messages for which `is_unwanted`: they have no datagrams from now on.
    pub(crate) fn discard(&mut self, is_unwanted: impl Fn(&RecvMeta) -> bool) {
        for meta in &mut self.metas {
            meta.discarded |= is_unwanted(meta);
        }
    }

    /// Returns the frame around a datagram that arrived alone in its message.
    pub(crate) fn frame(&mut self, datagram: &Range<usize>) -> Result<Frame<'_>, BufferTooSmall> {
        Frame::new(&mut self.memory[datagram.start - PREFIX.len()..][..SLOT_LEN])
    }

    pub(crate) fn metas(&self) -> &[RecvMeta] {
        &self.metas
    }

    /// Returns the number of datagrams, without those of discarded messages.
    pub(crate) fn datagrams(&self) -> u64 {
        let datagrams = |meta: &RecvMeta| meta.len.div_ceil(meta.segment.max(1)).max(1);
        let kept = self.metas.iter().filter(|meta| !meta.discarded);
        kept.map(|meta| datagrams(meta) as u64).sum()
    }

    /// Returns the number of messages whose control information was truncated (MSG_CTRUNC,
    /// recv(2)). How many datagrams they are, and where they were sent to, is unknown.
    pub(crate) fn truncated(&self) -> u64 {
        self.truncated
    }

    /// Yields where in the memory the datagrams of a message are: the one, or those of a train. A
    /// discarded message has none.
    pub(crate) fn datagram_ranges(
        &self,
        meta: usize,
    ) -> impl Iterator<Item = Range<usize>> + use<> {
        let RecvMeta { len, segment, discarded, .. } = self.metas[meta];
        let start = meta * SLOT_LEN + PREFIX.len();
        let (end, segment) = (start + len.min(SPACE_LEN), segment.clamp(1, SPACE_LEN));
        // An empty message is also one datagram.
        let behind = if discarded { start } else { end.max(start + 1) };
        let starts = (start..behind).step_by(segment);
        starts.map(move |start| start..end.min(start + segment))
    }

    /// Returns the bytes of a range that [`datagram_ranges`](Self::datagram_ranges) yielded, or one
    /// around it.
    pub(crate) fn bytes(&self, place: Range<usize>) -> &[u8] {
        &self.memory[place]
    }
}

/// Metadata of a message that the system delivered: a datagram, or a train of them from one source
/// in one piece (UDP_GRO, udp(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecvMeta {
    pub(crate) source: SocketAddr,
    /// The address it was sent to, if the system reports it.
    pub(crate) destination: Option<Destination>,
    /// The length of the message, in bytes.
    pub(crate) len: usize,
    /// The length of each datagram in it, in bytes; the last may be shorter.
    pub(crate) segment: usize,
    /// When the system received it, since 1970 (UTC), if the socket has timestamps on.
    pub(crate) time: Option<Duration>,
    /// The TTL or the hop limit that was left, if the socket reports it.
    pub(crate) ttl: Option<u8>,
    /// The byte with the DSCP and the ECN codepoint, if the socket reports it.
    pub(crate) tos: Option<u8>,
    /// Whether it is discarded: its control information was truncated, or it is a copy.
    pub(crate) discarded: bool,
}

impl RecvMeta {
    /// Returns whether it is a single datagram and no train.
    pub(crate) fn is_alone(&self) -> bool {
        self.len <= self.segment
    }

    /// Returns the address it was sent to: the bound one, if the system does not report it.
    pub(crate) fn local(&self, bound: SocketAddr) -> SocketAddr {
        self.destination.map_or(bound, |to| SocketAddr::new(to.address, bound.port()))
    }

    /// Returns the local address for the guard, to which every broadcast address is
    /// 255.255.255.255. Only the system knows which addresses are a subnet's broadcast address.
    pub(crate) fn guard_local(&self, local: SocketAddr) -> SocketAddr {
        match self.destination {
            Some(to) if to.is_subnet_broadcast() => (Ipv4Addr::BROADCAST, local.port()).into(),
            _ => local,
        }
    }

    /// Returns the route of a reply: to its source, from the address it was sent to.
    pub(crate) fn reply_route(&self) -> Route {
        Route { to: self.source, from: self.destination.map(|to| to.reply_from) }
    }
}

/// The address that a message was sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    pub(crate) address: IpAddr,
    /// The address of ours that a reply comes from. It differs from `address` only if that is a
    /// broadcast or multicast address.
    pub(crate) reply_from: LocalAddr,
}

impl Destination {
    /// Returns whether the address is a broadcast address.
    fn is_subnet_broadcast(self) -> bool {
        self.is_shared() && !self.address.is_multicast()
    }

    /// Returns whether every socket bound to the port gets a copy, because the address is a
    /// multicast or broadcast address.
    pub(crate) fn is_shared(self) -> bool {
        self.address != self.reply_from.address
    }
}

/// The longest message that a socket delivers, in bytes: IPv6 without the jumbo option (RFC 8200
/// section 4.5).
const SPACE_LEN: usize = 65_535;

/// The length of a slot, in bytes: room for any message and for the longest reply, in an odd number
/// of cache lines, so that the starts of all slots do not compete for the same few lines of the
/// cache.
const SLOT_LEN: usize = 1025 * 64;

const _: () = assert!(SLOT_LEN >= SPACE_LEN + OVERHEAD && SLOT_LEN / 64 % 2 == 1);

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(metas: &[(usize, usize)]) -> RecvBatch {
        let mut batch = RecvBatch::new();
        for &(len, segment) in metas {
            let source = (Ipv4Addr::LOCALHOST, 40_001).into();
            let (destination, discarded) = (None, false);
            let (time, ttl, tos) = (None, None, None);
            batch.push(RecvMeta { source, destination, len, segment, time, ttl, tos, discarded });
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
    fn no_reported_length_reaches_beyond_the_slot() {
        let batch = batch(&[(usize::MAX, usize::MAX), (SPACE_LEN, 1)]);
        assert_eq!(lens(&batch, 0), [SPACE_LEN]);
        assert_eq!(lens(&batch, 1).len(), SPACE_LEN);
        assert!(batch.datagram_ranges(1).all(|place| place.end < 2 * SLOT_LEN));
    }

    #[test]
    fn every_buffer_holds_the_longest_message() {
        let mut batch = batch(&[(5, 5)]);
        let spaces = batch.recv_buffers();
        assert_eq!(spaces.filter(|space| space.len() >= SPACE_LEN).count(), RecvBatch::CAPACITY);
        assert!(batch.metas().is_empty());
    }

    #[test]
    fn guard_sees_subnet_broadcasts_as_broadcast() {
        let [here, all, group] =
            [[192, 0, 2, 1], [192, 0, 2, 255], [224, 0, 0, 1]].map(IpAddr::from);
        let guard_address = |address, own| {
            let reply_from = LocalAddr { address: own, interface: 0 };
            let destination = Some(Destination { address, reply_from });
            let meta = RecvMeta { destination, ..batch(&[(5, 5)]).metas()[0] };
            meta.guard_local(meta.local(([0, 0, 0, 0], 9999).into())).ip()
        };
        assert_eq!(guard_address(here, here), here);
        assert_eq!(guard_address(all, here), IpAddr::from(Ipv4Addr::BROADCAST));
        assert_eq!(guard_address(group, here), group);
    }
}

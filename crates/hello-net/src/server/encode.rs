//! The step that makes the replies.

use std::io::IoSlice;
use std::ops::Range;

use hello_proto::{OVERHEAD, PREFIX, Request, SUFFIX};

use super::classify::Classified;
use super::datagram::{Encoded, Verdict};
use super::grouping::Groups;
use crate::udp::batch::RecvBatch;

/// Makes replies, each where that costs least.
#[derive(Debug)]
pub(super) struct Encoder {
    /// Room for replies that are copied, one behind the other.
    copies: Vec<u8>,
    /// The part of it that is taken, in bytes.
    used: usize,
}

impl Encoder {
    pub(super) fn new() -> Self {
        // The system finds memory for a page when something is first copied into it.
        Self { copies: vec![0; COPIES_LEN], used: 0 }
    }

    /// Makes the reply to each datagram that is answered, and adds it to a message in `groups`.
    /// Forgets the replies made before.
    pub(super) fn encode(
        &mut self,
        batch: &mut RecvBatch,
        classified: &Classified,
        groups: &mut Groups,
    ) {
        self.clear();
        groups.clear();
        for message in classified.messages() {
            let meta = &batch.metas()[message.index];
            let (alone, slot) = (meta.is_alone(), groups.slot(meta.reply_route()));
            for index in message.datagrams.clone() {
                let datagram = &classified.datagrams()[index];
                if datagram.verdict == Verdict::Answer {
                    groups.push(index, self.reply(batch, &datagram.name, alone), &slot);
                }
            }
        }
    }

    /// Forgets the copies.
    fn clear(&mut self) {
        self.used = 0;
    }

    /// Makes the reply to a name that the guard lets pass: around the name, if that arrived alone
    /// in its message; as a copy, if it is short and there is room.
    fn reply(&mut self, batch: &mut RecvBatch, name: &Range<usize>, alone: bool) -> Encoded {
        let encoded = if alone { in_place(batch, name) } else { self.copy(batch, name) };
        encoded.unwrap_or_else(|| Encoded::Gathered(name.clone()))
    }

    /// Copies a reply; `None` if it is better gathered.
    fn copy(&mut self, batch: &RecvBatch, name: &Range<usize>) -> Option<Encoded> {
        if name.len() > MAX_COPIED_NAME {
            return None;
        }
        let reply = Request::decode(batch.bytes(name.clone())).ok()?.reply();
        let start = self.used;
        self.used += reply.encode(&mut self.copies[start..]).ok()?.len();
        Some(Encoded::Copied(start..self.used))
    }

    /// Adds the bytes of replies, which leave as one message, to `iovecs`, in as few pieces as
    /// possible.
    pub(super) fn gather<'b, 'e>(
        &'b self,
        batch: &'b RecvBatch,
        replies: impl Iterator<Item = &'e Encoded>,
        iovecs: &mut Vec<IoSlice<'b>>,
    ) {
        let mut open = OpenPart::Nothing;
        for reply in replies {
            open = match (open, reply) {
                (OpenPart::Copies(before), Encoded::Copied(copy)) if before.end == copy.start => {
                    OpenPart::Copies(before.start..copy.end)
                }
                (open, Encoded::Copied(copy)) => {
                    iovecs.extend(self.close(open));
                    OpenPart::Copies(copy.clone())
                }
                (open, Encoded::InPlace(reply)) => {
                    iovecs.extend(self.close(open));
                    iovecs.push(IoSlice::new(batch.bytes(reply.clone())));
                    OpenPart::Nothing
                }
                (open, Encoded::Gathered(name)) => {
                    if let OpenPart::Suffix = open {
                        iovecs.push(IoSlice::new(&SUFFIX_AND_PREFIX));
                    } else {
                        iovecs.extend(self.close(open));
                        iovecs.push(IoSlice::new(PREFIX));
                    }
                    iovecs.push(IoSlice::new(batch.bytes(name.clone())));
                    OpenPart::Suffix
                }
            };
        }
        iovecs.extend(self.close(open));
    }

    fn close(&self, part: OpenPart) -> Option<IoSlice<'_>> {
        match part {
            OpenPart::Nothing => None,
            OpenPart::Copies(range) => Some(IoSlice::new(&self.copies[range])),
            OpenPart::Suffix => Some(IoSlice::new(SUFFIX)),
        }
    }
}

/// Makes a reply around its name. Neither step can fail: a slot has room for the longest reply, and
/// the guard lets no longer name pass.
fn in_place(batch: &mut RecvBatch, name: &Range<usize>) -> Option<Encoded> {
    batch.frame(name).ok()?.reply(name.len()).ok()?;
    Some(Encoded::InPlace(name.start - PREFIX.len()..name.end + SUFFIX.len()))
}

/// The part of a message that the next reply may extend.
enum OpenPart {
    Nothing,
    /// Copies that stand side by side.
    Copies(Range<usize>),
    /// The suffix of a gathered reply.
    Suffix,
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

/// Room for the copied replies of a batch of trains with names of a few dozen bytes. Where it does
/// not suffice, the others are gathered.
const COPIES_LEN: usize = 256 * 1024;

#[cfg(test)]
mod tests {
    use hello_proto::MAX_NAME_LEN;

    use super::*;
    use crate::server::fixtures::receive;
    use crate::udp::mock::{MockMessage, datagram, train};

    /// Receives messages into slots that were filled with 0xa5.
    fn received(messages: Vec<MockMessage>) -> RecvBatch {
        let mut batch = RecvBatch::new();
        batch.recv_buffers().for_each(|slot| slot.fill(0xa5));
        receive(&mut batch, messages);
        batch
    }

    fn source() -> std::net::SocketAddr {
        ([198, 51, 100, 7], 40_001).into()
    }

    fn copies(encoder: &Encoder) -> &[u8] {
        &encoder.copies[..encoder.used]
    }

    #[test]
    fn reply_to_a_lone_datagram_is_made_around_it_in_any_slot() {
        let longest = [b'x'; MAX_NAME_LEN];
        let names: [&[u8]; 4] = [b"Tracy", b"", &longest, b"Michael"];
        let mut batch = received(names.map(|name| datagram(name, source())).into());
        for (message, name) in names.into_iter().enumerate() {
            let place = batch.datagram_ranges(message).next().expect("one");
            let encoded = Encoder::new().reply(&mut batch, &place, true);
            let Encoded::InPlace(reply) = encoded else { panic!("{encoded:?}") };
            assert_eq!(reply.start, place.start - PREFIX.len());
            assert_eq!(batch.bytes(reply.end..reply.end + 1), [0xa5]);
            assert_eq!(batch.bytes(reply), [b"Hello, ", name, b"!"].concat());
        }
    }

    #[test]
    fn short_names_of_a_train_are_copied_side_by_side_and_long_ones_left_alone() {
        let mut encoder = Encoder::new();
        let mut batch = received(vec![train(&[b"Tracy", b"Sarah", b"Peter"], source())]);
        for _ in 0..2 {
            encoder.clear();
            for place in batch.datagram_ranges(0) {
                let encoded = encoder.reply(&mut batch, &place, false);
                assert!(matches!(encoded, Encoded::Copied(_)), "{encoded:?}");
            }
            assert_eq!(copies(&encoder), b"Hello, Tracy!Hello, Sarah!Hello, Peter!");
        }
        let mut batch = received(vec![train(&[[b'x'; MAX_COPIED_NAME + 1]; 2], source())]);
        let place = batch.datagram_ranges(0).next().expect("two");
        assert_eq!(encoder.reply(&mut batch, &place, false), Encoded::Gathered(place));
    }

    #[test]
    fn copies_that_find_no_room_are_left_to_be_gathered() {
        let mut encoder = Encoder::new();
        let mut batch = received(vec![train(&[b"Tracy", b"Sarah"], source())]);
        let place = batch.datagram_ranges(0).next().expect("two");
        let is_copied =
            |_: &_| matches!(encoder.reply(&mut batch, &place, false), Encoded::Copied(_));
        assert_eq!((0..).take_while(is_copied).count(), COPIES_LEN / (5 + OVERHEAD));
        assert_eq!(batch.bytes(place), b"Tracy");
    }
}

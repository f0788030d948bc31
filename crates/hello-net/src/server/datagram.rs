use std::net::SocketAddr;
use std::ops::Range;

use hello_proto::{OVERHEAD, Refusal};

/// A message of a batch.
#[derive(Clone, Debug)]
pub(super) struct Message {
    /// Its index in the batch.
    pub(super) index: usize,
    /// The address it was sent to; the bound address, if the system does not report it.
    pub(super) local: SocketAddr,
    /// Its datagrams among those of all messages.
    pub(super) datagrams: Range<usize>,
}

/// A datagram of a batch.
#[derive(Clone, Debug)]
pub(super) struct Datagram {
    /// Where its bytes are in the batch.
    pub(super) name: Range<usize>,
    pub(super) verdict: Verdict,
}

/// What the server does with a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Answer,
    Refuse(Refusal),
    OverLimit,
}

/// Where the bytes of a reply are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Encoded {
    /// In the batch, around the name.
    InPlace(Range<usize>),
    /// In the encoder's memory.
    Copied(Range<usize>),
    /// The name is in the batch; prefix and suffix are added as the reply leaves.
    Gathered(Range<usize>),
}

impl Encoded {
    /// Returns the length of the reply, in bytes.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::InPlace(reply) | Self::Copied(reply) => reply.len(),
            Self::Gathered(name) => name.len() + OVERHEAD,
        }
    }
}

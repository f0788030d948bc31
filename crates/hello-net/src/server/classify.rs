use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use hello_proto::Guard;

use super::datagram::{Datagram, Message, Verdict};
use super::rate_limit::SharedLimiter;
use crate::udp::batch::RecvBatch;

/// Decides which datagrams are answered: the guard by their source, then by their name, and the
/// limiter on what the guard lets pass.
#[derive(Clone, Copy, Debug)]
pub(super) struct Classifier<'a> {
    pub(super) guard: &'a Guard,
    pub(super) limiter: Option<&'a SharedLimiter>,
    /// The bound address.
    pub(super) bound: SocketAddr,
}

/// Datagrams of a batch in the order in which they arrived, each with its verdict.
#[derive(Debug, Default)]
pub(super) struct Classified {
    messages: Vec<Message>,
    datagrams: Vec<Datagram>,
    /// Which datagrams of which source the limiter decides on.
    limited: Vec<(IpAddr, Range<usize>)>,
}

impl Classifier<'_> {
    /// Classifies messages of `batch`, from the front of `messages`, until there are
    /// [`MAX_DATAGRAMS`] or none is left. Returns how many datagrams are answered although they
    /// exceed the limit.
    pub(super) fn classify(
        &self,
        messages: &mut Range<usize>,
        batch: &RecvBatch,
        classified: &mut Classified,
    ) -> u64 {
        let Classified { messages: done, datagrams, limited } = classified;
        done.clear();
        datagrams.clear();
        limited.clear();
        while datagrams.len() < MAX_DATAGRAMS
            && let Some(index) = messages.next()
        {
            let (start, meta) = (datagrams.len(), &batch.metas()[index]);
            let local = meta.local(self.bound);
            let by_source = self.guard.check_addresses(meta.source, meta.guard_local(local));
            let mut passed = false;
            for name in batch.datagram_ranges(index) {
                let by_name = |()| self.guard.check_name(batch.bytes(name.clone()));
                let verdict = match by_source.and_then(by_name) {
                    Ok(_name) => Verdict::Answer,
                    Err(refusal) => Verdict::Refuse(refusal),
                };
                passed |= verdict == Verdict::Answer;
                datagrams.push(Datagram { name, verdict });
            }
            let range = start..datagrams.len();
            if passed
                && let Some(limiter) = self.limiter
                && limiter.is_limited(meta.source.ip())
            {
                limited.push((meta.source.ip(), range.clone()));
            }
            done.push(Message { index, local, datagrams: range });
        }
        self.limiter.map_or(0, |limiter| limiter.check(limited, datagrams))
    }
}

impl Classified {
    pub(super) fn messages(&self) -> &[Message] {
        &self.messages
    }

    pub(super) fn datagrams(&self) -> &[Datagram] {
        &self.datagrams
    }
}

/// The most datagrams that are handled together, unless one message has more: a batch of trains as
/// long as Linux sends them (UDP_MAX_SEGMENTS). It bounds the memory for trains of tiny datagrams.
const MAX_DATAGRAMS: usize = 128 * RecvBatch::CAPACITY;

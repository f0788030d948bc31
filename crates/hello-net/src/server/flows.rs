//! The step that finds which messages belong together.

use std::iter;
use std::ops::Range;

use crate::sys::batch::{RecvBatch, RecvMeta};

/// The messages of a batch, ordered by flow: those with the same source and destination follow each
/// other, so what depends on the addresses is decided once, and replies share messages. The messages of
/// a flow keep their order.
#[derive(Debug)]
pub(super) struct Flows {
    flows: Vec<Flow>,
    /// For each message but the last of a flow, the next one of the flow.
    next: [usize; RecvBatch::CAPACITY],
    /// The indices of the flows, by the hash of their source.
    table: [u8; ENTRIES],
}

/// The messages of a flow: from the first on, each leads to the next.
#[derive(Clone, Copy, Debug)]
struct Flow {
    first: usize,
    last: usize,
}

impl Flows {
    pub(super) fn new() -> Self {
        let (next, table) = ([0; RecvBatch::CAPACITY], [NONE; ENTRIES]);
        Self { flows: Vec::with_capacity(RecvBatch::CAPACITY), next, table }
    }

    /// Orders some of the messages of a batch anew, without those that are discarded.
    pub(super) fn order(&mut self, metas: &[RecvMeta], messages: Range<usize>) {
        let Self { flows, next, table } = self;
        flows.clear();
        table.fill(NONE);
        for message in messages {
            let meta = &metas[message];
            if !meta.is_kept() {
                continue;
            }
            // Found or free: a batch has at most half as many flows as there are entries. Hashes that
            // somebody made collide cost 63 comparisons at most.
            let mut entry = meta.source.hash() % ENTRIES;
            let flow = loop {
                match flows.get_mut(usize::from(table[entry])) {
                    Some(flow) if !is_same(&metas[flow.first], meta) => {
                        entry = (entry + 1) % ENTRIES;
                    }
                    flow => break flow,
                }
            };
            match flow {
                Some(flow) => {
                    next[flow.last] = message;
                    flow.last = message;
                }
                None => {
                    table[entry] = u8::try_from(flows.len()).unwrap_or(NONE);
                    flows.push(Flow { first: message, last: message });
                }
            }
        }
    }

    /// Yields the messages, flow by flow, each with whether it is the first of its flow.
    pub(super) fn messages(&self) -> impl Iterator<Item = (usize, bool)> {
        let (mut flows, mut left) = (self.flows.iter(), None);
        iter::from_fn(move || {
            let (Flow { first, last }, is_first) = match left {
                Some(flow) => (flow, false),
                None => (*flows.next()?, true),
            };
            left = (first != last).then(|| Flow { first: self.next[first], last });
            Some((first, is_first))
        })
    }
}

fn is_same(one: &RecvMeta, other: &RecvMeta) -> bool {
    one.source == other.source && one.destination == other.destination
}

/// Entries of the table.
const ENTRIES: usize = 2 * RecvBatch::CAPACITY;

/// A free entry.
const NONE: u8 = u8::MAX;

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::sys::RawSockAddr;
    use crate::sys::batch::Destination;
    use crate::sys::transmit::LocalAddr;

    fn flows_of(metas: &[RecvMeta]) -> Vec<Vec<usize>> {
        let mut flows = Flows::new();
        // As if other messages had been ordered before.
        flows.order(metas, 0..metas.len() / 2);
        flows.order(metas, 0..metas.len());
        let mut found: Vec<Vec<usize>> = Vec::new();
        for (message, is_first) in flows.messages() {
            if is_first {
                found.push(Vec::new());
            }
            found.last_mut().expect("the first one comes first").push(message);
        }
        found
    }

    fn from(source: SocketAddr) -> RecvMeta {
        RecvMeta::new(RawSockAddr::new(source), 5)
    }

    #[test]
    fn messages_of_a_flow_keep_their_order() {
        let port = |port| from(([198, 51, 100, 7], port).into());
        let metas = [1, 2, 1, 3, 3, 1, 2].map(port);
        assert_eq!(flows_of(&metas), [vec![0, 2, 5], vec![1, 6], vec![3, 4]]);
        assert_eq!(flows_of(&[]), Vec::<Vec<usize>>::new());
    }

    #[test]
    fn destinations_are_apart_even_if_replies_take_one_route() {
        let reply_from = LocalAddr { address: [192, 0, 2, 1].into(), interface: 0 };
        let to = |address: [u8; 4]| {
            let destination = Some(Destination { address: address.into(), reply_from });
            RecvMeta { destination, ..from(([198, 51, 100, 7], 40_001).into()) }
        };
        let metas = [to([192, 0, 2, 1]), to([192, 0, 2, 255]), to([192, 0, 2, 1])];
        assert_eq!(metas[0].reply_route(), metas[1].reply_route());
        assert_eq!(flows_of(&metas), [vec![0, 2], vec![1]]);
    }

    #[test]
    fn sources_whose_hashes_are_equal_are_still_apart() {
        let sources = (0..=u16::MAX).map(|port| from(([198, 51, 100, 7], port).into()));
        let colliding = sources.filter(|meta| meta.source.hash() % ENTRIES == 7);
        let metas = Vec::from_iter(colliding.take(RecvBatch::CAPACITY));
        assert!(flows_of(&metas).into_iter().eq((0..64).map(|message| vec![message])));
    }
}

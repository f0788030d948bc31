//! The steps from a batch of requests to their outcomes.

use std::ops::Range;

use hello_proto::PREFIX;

use super::classify::{Classifier, Run};
use super::encode::{Replies, ReplyMemory};
use super::event::ServerEvent;
use super::flows::Flows;
use super::settle::Settler;
use super::transmit::{Failures, transmit};
use crate::sys::batch::{RecvBatch, RecvMeta, Segments};
use crate::sys::datagram_socket::DatagramSocket;

/// Answers batches, one after the other.
pub(super) struct Answerer<'a, O> {
    classifier: Classifier<'a>,
    settler: Settler<'a, O>,
    // Memory that each batch reuses.
    flows: Flows,
    /// The runs of one message.
    runs: Vec<Run>,
    replies: ReplyMemory,
    failures: Failures,
}

impl<'a, O: Fn(&ServerEvent<'_>)> Answerer<'a, O> {
    pub(super) fn new(classifier: Classifier<'a>, settler: Settler<'a, O>) -> Self {
        let (flows, runs, replies) = (Flows::new(), Vec::new(), ReplyMemory::new());
        Self { classifier, settler, flows, runs, replies, failures: Failures::default() }
    }

    /// Answers a batch: each datagram gets at most one reply, and exactly one outcome.
    pub(super) fn answer(&mut self, batch: &mut RecvBatch, socket: &dyn DatagramSocket) {
        self.classifier.begin_batch();
        let (datagrams, end) = (batch.datagrams(), batch.metas().len());
        self.settler.receive(datagrams);
        let mut start = 0;
        while start < end {
            let rest = &batch.metas()[start..];
            let count = if datagrams > MAX_DATAGRAMS { portion(rest) } else { rest.len() };
            self.answer_portion(batch, start..start + count, socket);
            start += count;
        }
    }

    /// Answers some of the messages of a batch.
    fn answer_portion(
        &mut self,
        batch: &mut RecvBatch,
        messages: Range<usize>,
        socket: &dyn DatagramSocket,
    ) {
        let Self { classifier, settler, flows, runs, replies: memory, failures } = self;
        flows.order(batch.metas(), messages);
        let mut replies = Replies::new(memory);
        let (metas, mut slots) = batch.parts();
        for (message, is_first) in flows.messages() {
            let (meta, Some(slot)) = (&metas[message], slots[message].take()) else { continue };
            if is_first {
                classifier.begin_flow(meta);
                replies.begin_flow();
            }
            if meta.is_alone() {
                let len = meta.len;
                let verdict = classifier.classify_alone(&slot[PREFIX.len()..][..len]);
                settler.note(Run { message, names: Segments::one(len), verdict });
                if verdict.is_answer() {
                    replies.add_alone(meta, slot, len);
                }
            } else {
                classifier.classify((message, meta), &slot[PREFIX.len()..], runs);
                for run in &*runs {
                    settler.note(*run);
                    if run.verdict.is_answer() {
                        replies.add_train(meta, slot, run.names);
                    }
                }
            }
        }
        transmit(socket, replies.messages(), replies.iovecs(), failures);
        let iovecs = replies.into_iovecs();
        memory.restore(iovecs, &failures.unsegmented);
        settler.settle(batch, &failures.replies);
    }
}

/// Returns how many of the next messages are answered together.
fn portion(metas: &[RecvMeta]) -> usize {
    let mut datagrams = 0;
    let fits = |meta: &&RecvMeta| {
        let has_room = datagrams < MAX_DATAGRAMS;
        datagrams += meta.datagrams() as u64;
        has_room
    };
    metas.iter().take_while(fits).count()
}

/// The most datagrams that are answered together, unless one message has more: a batch of trains as
/// long as Linux sends them (UDP_MAX_SEGMENTS). It bounds the memory for trains of tiny datagrams.
const MAX_DATAGRAMS: u64 = 128 * RecvBatch::CAPACITY as u64;

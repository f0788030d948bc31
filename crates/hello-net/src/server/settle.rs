//! The last step of a datagram: its outcome is counted, and shown to the observer.

use std::mem;
use std::net::SocketAddr;

use super::classify::{Run, Verdict};
use super::counters::Tally;
use super::event::{EventFilter, Outcome, ServerEvent};
use super::transmit::Failure;
use crate::sys::batch::RecvBatch;

/// Counts outcomes, and shows them to an observer.
pub(super) struct Settler<'a, O> {
    tally: &'a Tally,
    /// The bound address.
    bound: SocketAddr,
    filter: EventFilter,
    observe: O,
    /// The runs that may be shown, each with the number of replies before it.
    runs: Vec<(Run, usize)>,
    /// The number of replies.
    replies: usize,
}

impl<'a, O: Fn(&ServerEvent<'_>)> Settler<'a, O> {
    pub(super) fn new(
        tally: &'a Tally,
        bound: SocketAddr,
        filter: EventFilter,
        observe: O,
    ) -> Self {
        Self { tally, bound, filter, observe, runs: Vec::new(), replies: 0 }
    }

    /// Counts datagrams that were received. Their outcomes follow.
    pub(super) fn receive(&self, datagrams: u64) {
        self.tally.count_received(datagrams);
    }

    /// Takes note of a run, and counts it if it is not answered. The replies that are transmitted are those
    /// of all runs, in this order.
    #[inline]
    pub(super) fn note(&mut self, run: Run) {
        if self.filter != EventFilter::Nothing {
            self.runs.push((run, self.replies));
        }
        let count = run.names.count;
        if run.verdict == Verdict::Answer {
            self.replies += count;
        } else {
            self.note_exception(run.verdict, count);
        }
    }

    /// Counts datagrams that are refused or exceed the limit.
    #[inline(never)]
    fn note_exception(&mut self, verdict: Verdict, count: usize) {
        match verdict {
            Verdict::Answer => {}
            Verdict::AnswerOverLimit => {
                self.tally.count_over_limit_answered(count);
                self.replies += count;
            }
            Verdict::Refuse(refusal) => self.tally.count_refused(refusal, count),
            Verdict::OverLimit => self.tally.count_over_limit(count),
        }
    }

    /// Settles the replies, which were transmitted: counts their outcomes, and then shows the outcomes
    /// of all datagrams that the filter lets pass, in the order in which these arrived.
    pub(super) fn settle(&mut self, batch: &RecvBatch, failures: &[Failure]) {
        for failure in failures {
            self.tally.count_send_failed(failure.error.class);
        }
        self.tally.count_answered(mem::take(&mut self.replies) - failures.len());
        if self.filter == EventFilter::All || !failures.is_empty() {
            self.show(batch, failures);
        }
        self.runs.clear();
    }

    /// Shows outcomes in the order in which the datagrams arrived.
    fn show(&self, batch: &RecvBatch, failures: &[Failure]) {
        let mut first_runs = [self.runs.len(); RecvBatch::CAPACITY];
        for (index, (run, _)) in self.runs.iter().enumerate().rev() {
            first_runs[run.message] = index;
        }
        for (message, first_run) in first_runs.into_iter().enumerate() {
            let runs = self.runs[first_run..].iter();
            for (run, first) in runs.take_while(|(run, _)| run.message == message) {
                self.show_run(batch, run, *first, failures);
            }
        }
    }

    /// Shows the outcomes of a run, whose first reply has this number.
    fn show_run(&self, batch: &RecvBatch, run: &Run, first: usize, failures: &[Failure]) {
        let (meta, bytes) = (&batch.metas()[run.message], batch.message(run.message));
        let (source, local) = (meta.source.get(), meta.local(self.bound));
        for (reply, name) in (first..).zip(run.names.ranges()) {
            let outcome = match run.verdict {
                Verdict::Refuse(refusal) => Outcome::Refused(refusal),
                Verdict::OverLimit => Outcome::OverLimit,
                Verdict::Answer | Verdict::AnswerOverLimit => sent(reply, failures),
            };
            if self.filter == EventFilter::All || matches!(outcome, Outcome::SendFailed(_)) {
                (self.observe)(&ServerEvent { source, local, name: &bytes[name], outcome });
            }
        }
    }
}

/// Returns the outcome of a reply: the system took it, unless it is among the failures.
fn sent(reply: usize, failures: &[Failure]) -> Outcome {
    match failures.binary_search_by_key(&reply, |failure| failure.reply) {
        Ok(index) => Outcome::SendFailed(failures[index].error),
        Err(_) => Outcome::Answered,
    }
}

//! The last step of a datagram: its outcome is counted, and shown to the observer.

use super::classify::Classified;
use super::counters::Tally;
use super::datagram::{Datagram, Message, Verdict};
use super::event::{Outcome, ServerEvent};
use super::transmit::Failure;
use crate::udp::batch::RecvBatch;

/// Counts outcomes, and shows them to an observer.
pub(super) struct Settler<'a, O> {
    tally: &'a Tally,
    observe: O,
    /// Those of one portion of a batch, in the order of its datagrams.
    outcomes: Vec<Outcome>,
}

impl<'a, O: Fn(&ServerEvent<'_>)> Settler<'a, O> {
    pub(super) fn new(tally: &'a Tally, observe: O) -> Self {
        Self { tally, observe, outcomes: Vec::new() }
    }

    /// Settles datagrams whose replies were transmitted: counts the outcome of each, and then shows
    /// each. `leaked` of them exceeded the limit and were not refused for that.
    pub(super) fn settle(
        &mut self,
        batch: &RecvBatch,
        classified: &Classified,
        failures: &[Failure],
        leaked: u64,
    ) {
        self.outcomes.clear();
        self.outcomes.extend(outcomes(classified.datagrams(), failures));
        self.tally.settle(&self.outcomes, leaked);
        for Message { index, local, datagrams } in classified.messages() {
            let (source, local) = (batch.metas()[*index].source, *local);
            let outcomes = &self.outcomes[datagrams.clone()];
            for (datagram, &outcome) in
                classified.datagrams()[datagrams.clone()].iter().zip(outcomes)
            {
                let name = batch.bytes(datagram.name.clone());
                (self.observe)(&ServerEvent { source, local, name, outcome });
            }
        }
    }
}

/// Yields the outcome of each datagram: one that was to be answered was answered, unless its reply
/// failed.
fn outcomes(datagrams: &[Datagram], failures: &[Failure]) -> impl Iterator<Item = Outcome> {
    let mut failures = failures.iter().peekable();
    datagrams.iter().enumerate().map(move |(index, datagram)| match datagram.verdict {
        Verdict::Refuse(refusal) => Outcome::Refused(refusal),
        Verdict::OverLimit => Outcome::OverLimit,
        Verdict::Answer => match failures.next_if(|failure| failure.datagram == index) {
            Some(failure) => Outcome::SendFailed(failure.error),
            None => Outcome::Answered,
        },
    })
}

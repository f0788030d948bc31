use super::datagram::{Datagram, Verdict};
use super::event::Outcome;
use super::replies::Failure;

/// Yields the outcome of each datagram once replies were transmitted: what was to be answered and
/// did not fail was answered.
pub(super) fn outcomes(
    datagrams: &[Datagram],
    failures: &[Failure],
) -> impl Iterator<Item = Outcome> {
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

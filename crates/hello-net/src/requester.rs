//! What the prober and the load generator do alike: they send requests, and account for what comes.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::time::Duration;

use crate::clock::TimestampMapper;
use crate::udp::batch::RecvBatch;
use crate::udp::error_class::{ErrorClass, is_from_earlier_send};
use crate::udp::socket_error::SocketError;

/// Why a probe that was due did not leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NotSent {
    /// The system did not take it.
    Failed(SocketError),
    /// This process was held up, and its time was over: of a load, as [`LoadGenerator::MAX_LATENESS`] has it;
    /// of a probe, by more than an interval, and by more than a second, or dozens of others have
    /// just left as late. Sent now, it would have been one of a burst.
    ///
    /// [`LoadGenerator::MAX_LATENESS`]: crate::load::LoadGenerator::MAX_LATENESS
    Late,
    /// More probes are in flight than the ledger has room for.
    TooManyInFlight,
}

impl NotSent {
    /// Returns the name under which it is counted, in `kebab-case`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Failed(error) => error.class.label(),
            Self::Late => "late",
            Self::TooManyInFlight => "too-many-in-flight",
        }
    }
}

/// Sends by way of `send`, again after each error that is a report about an earlier datagram: it
/// comes out of the next call, which then has sent nothing (udp(7)). Returns what became of this
/// datagram, whose error is what the system says of it again and again, and the reports.
pub(crate) fn send_past_reports<T>(
    mut send: impl FnMut() -> io::Result<T>,
) -> (io::Result<T>, Vec<io::Error>) {
    let mut earlier = Vec::new();
    let result = loop {
        match send() {
            Err(error) if is_from_earlier_send(&error) && earlier.len() < MAX_REPORTS => {
                earlier.push(error);
            }
            result => break result,
        }
    };
    // What this datagram failed of is no report about an earlier one.
    let own = result.as_ref().err().map(ErrorClass::of);
    earlier.retain(|error| Some(ErrorClass::of(error)) != own);
    (result, earlier)
}

/// Returns when the last message of a batch came; zero, if the system does not say.
pub(crate) fn latest(batch: &RecvBatch, timestamps: &TimestampMapper) -> Duration {
    let latest = batch.metas().iter().filter_map(|arrival| arrival.time).max();
    latest.map_or(Duration::ZERO, |wall| timestamps.to_monotonic(Some(wall)))
}

/// Returns for how long replies are waited for once nothing more is sent. A run that was not told to
/// stop waits for each loss: if it ended sooner, it would not count the last.
pub(crate) fn drain_timeout(
    stopping: bool,
    largest_rtt: Option<Duration>,
    timeout: Duration,
) -> Duration {
    match (stopping, largest_rtt) {
        (false, _) => Duration::MAX,
        (true, Some(rtt)) => rtt.saturating_mul(3).min(timeout),
        (true, None) => Duration::ZERO,
    }
}

/// Draws what tells one run's tokens from those of others.
pub(crate) fn run_id() -> u16 {
    let [a, b, ..] = RandomState::new().build_hasher().finish().to_ne_bytes();
    u16::from_ne_bytes([a, b])
}

/// How many reports in a row one datagram waits for. One slot holds the last report only, so that
/// only a flood of ICMP fills it between two calls.
const MAX_REPORTS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn results(errors: &[i32]) -> impl FnMut() -> io::Result<usize> {
        let mut errors = errors.iter().copied();
        move || errors.next().map_or(Ok(7), |error| Err(io::Error::from_raw_os_error(error)))
    }

    fn classes(errors: &[io::Error]) -> Vec<ErrorClass> {
        errors.iter().map(ErrorClass::of).collect()
    }

    #[test]
    fn reports_about_earlier_datagrams_cost_the_next_one_nothing() {
        let errors = [libc::EPROTO, libc::EACCES, libc::EMSGSIZE, libc::ECONNREFUSED];
        let (sent, reports) = send_past_reports(results(&errors));
        assert_eq!(sent.expect("nothing wrong with it"), 7);
        let expected = [
            ErrorClass::Protocol,
            ErrorClass::Denied,
            ErrorClass::TooLong,
            ErrorClass::ConnectionRefused,
        ];
        assert_eq!(classes(&reports), expected);
    }

    #[test]
    fn what_a_datagram_itself_fails_of_is_its_own_error_and_no_report() {
        let mut errors = vec![libc::ECONNREFUSED];
        errors.extend([libc::ENETUNREACH; 99]);
        let (sent, reports) = send_past_reports(results(&errors));
        assert_eq!(sent.expect_err("no route").raw_os_error(), Some(libc::ENETUNREACH));
        assert_eq!(classes(&reports), [ErrorClass::ConnectionRefused]);
        let (sent, reports) = send_past_reports(results(&[libc::EPERM]));
        assert!(reports.is_empty(), "a firewall's own");
        assert_eq!(sent.expect_err("a firewall").raw_os_error(), Some(libc::EPERM));
    }
}

//! ICMP reports about earlier datagrams, which later calls return.

use std::io;

use crate::sys::ERROR_CODES;
use crate::sys::error_class::ErrorClass;

/// Returns whether an error may be an ICMP report about an earlier datagram. Any call on a
/// connected socket may return it, and has then done nothing else (udp(7)). It is never a reason to
/// stop or to wait, because somebody off the path may have forged it.
pub(crate) fn is_from_earlier_send(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|code| ERROR_CODES.icmp_reports.contains(&code))
}

/// Calls `send` again after each error that is a report about an earlier datagram: such a call sent
/// nothing (udp(7)). Returns the result for this datagram, and the reports. If the same error keeps
/// coming, it is this datagram's own.
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
    // The error of this datagram is no report about an earlier one.
    let own = result.as_ref().err().map(ErrorClass::of);
    earlier.retain(|error| Some(ErrorClass::of(error)) != own);
    (result, earlier)
}

/// The most queued errors taken from a socket at once: a flood of them may never end.
pub(crate) const MAX_QUEUED: usize = 1024;

/// The most reports in a row. The system keeps only the last report of a socket, so only a flood of
/// ICMP stores another one between two calls.
const MAX_REPORTS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::errno;

    fn results(errors: &[i32]) -> impl FnMut() -> io::Result<usize> {
        let mut errors = errors.iter().copied();
        move || errors.next().map_or(Ok(7), |error| Err(io::Error::from_raw_os_error(error)))
    }

    fn classes(errors: &[io::Error]) -> Vec<ErrorClass> {
        errors.iter().map(ErrorClass::of).collect()
    }

    #[test]
    fn reports_about_earlier_datagrams_cost_the_next_one_nothing() {
        let errors =
            [errno::EHOSTUNREACH, errno::ENETUNREACH, errno::EMSGSIZE, errno::ECONNREFUSED];
        let (sent, reports) = send_past_reports(results(&errors));
        assert_eq!(sent.expect("nothing wrong with it"), 7);
        let expected = [
            ErrorClass::Unreachable,
            ErrorClass::Unreachable,
            ErrorClass::TooLong,
            ErrorClass::ConnectionRefused,
        ];
        assert_eq!(classes(&reports), expected);
    }

    #[test]
    #[cfg(unix)]
    fn unix_also_reports_what_a_firewall_or_a_router_rejects() {
        for code in [errno::EPROTO, errno::EACCES, errno::EHOSTDOWN] {
            assert!(is_from_earlier_send(&io::Error::from_raw_os_error(code)), "{code}");
        }
    }

    #[test]
    fn error_that_persists_is_the_datagrams_own_and_no_report() {
        let mut errors = vec![errno::ECONNREFUSED];
        errors.extend([errno::ENETUNREACH; 99]);
        let (sent, reports) = send_past_reports(results(&errors));
        assert_eq!(sent.expect_err("no route").raw_os_error(), Some(errno::ENETUNREACH));
        assert_eq!(classes(&reports), [ErrorClass::ConnectionRefused]);
        let (sent, reports) = send_past_reports(results(&[errno::EPERM]));
        assert!(reports.is_empty(), "a firewall's own");
        assert_eq!(sent.expect_err("a firewall").raw_os_error(), Some(errno::EPERM));
    }
}

//! What the prober and the load generator do alike: they send requests, and account for what comes.

use std::io;
use std::net::UdpSocket;
use std::time::Duration;

use crate::ErrorClass;
use crate::batch::Batch;
use crate::class::is_from_earlier_send;
use crate::sys::{self, Buffer, Datagrams, Fragmentation, Io};

/// Makes a socket ready to receive replies, with the system's times, and takes it over.
pub(crate) fn take(
    socket: UdpSocket,
    fragmentation: Fragmentation,
    batch: &mut Batch,
) -> io::Result<Box<dyn Datagrams>> {
    sys::ask_for_times(&socket)?;
    // What does not fit in while we are held up is not the network's loss.
    let _ = Buffer::Receive.enlarge(&socket, RECEIVE_BUFFER);
    let is_connected = socket.peer_addr().is_ok();
    let socket = Io::default().take(socket, fragmentation)?;
    // The system gives a socket its port a moment before it connects it, and what somebody else
    // sends in that moment stays in it.
    while is_connected && socket.receive(batch, false).is_ok() {}
    Ok(socket)
}

/// Sends by way of `send`, again after each error that is a report about an earlier datagram: it
/// comes out of the next call, which then has sent nothing (udp(7)). Shows the reports to `report`.
///
/// # Errors
///
/// What the system says of this datagram, which is what it says again and again.
pub(crate) fn send_past_reports<T>(
    mut send: impl FnMut() -> io::Result<T>,
    report: impl FnMut(io::Error),
) -> io::Result<T> {
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
    earlier.into_iter().filter(|error| Some(ErrorClass::of(error)) != own).for_each(report);
    result
}

/// Returns for how long replies are waited for once nothing more is sent. A run that was not told to
/// stop waits for each loss: if it ended sooner, it would not count the last.
pub(crate) fn longest_wait(
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

/// The receive buffer asked for, in bytes: for some thousand replies.
const RECEIVE_BUFFER: usize = 4 << 20;

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

    #[test]
    fn reports_about_earlier_datagrams_cost_the_next_one_nothing() {
        let errors = [libc::EPROTO, libc::EACCES, libc::EMSGSIZE, libc::ECONNREFUSED];
        let mut reports = Vec::new();
        let sent =
            send_past_reports(results(&errors), |error| reports.push(ErrorClass::of(&error)));
        assert_eq!(sent.expect("nothing wrong with it"), 7);
        let expected = [
            ErrorClass::Protocol,
            ErrorClass::Denied,
            ErrorClass::TooLong,
            ErrorClass::ConnectionRefused,
        ];
        assert_eq!(reports, expected);
    }

    #[test]
    fn what_a_datagram_itself_fails_of_is_its_own_error_and_no_report() {
        let mut errors = vec![libc::ECONNREFUSED];
        errors.extend([libc::ENETUNREACH; 99]);
        let mut reports = Vec::new();
        let sent =
            send_past_reports(results(&errors), |error| reports.push(ErrorClass::of(&error)));
        assert_eq!(sent.expect_err("no route").raw_os_error(), Some(libc::ENETUNREACH));
        assert_eq!(reports, [ErrorClass::ConnectionRefused]);
        let sent = send_past_reports(results(&[libc::EPERM]), |_| panic!("a firewall's own"));
        assert_eq!(sent.expect_err("a firewall").raw_os_error(), Some(libc::EPERM));
    }
}

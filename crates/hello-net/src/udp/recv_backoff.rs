use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use hello_proto::{Delays, Retry};

use crate::sys::datagram_socket::RECV_TIMEOUT;
use crate::sys::error_class::ErrorClass;

/// Decides how long a worker waits before it receives again, so that no error makes it spin.
#[derive(Debug)]
pub(crate) struct RecvBackoff {
    waits: Delays,
    /// When a receive call last returned nothing.
    last_empty: Option<Instant>,
    /// The number of calls in a row that returned nothing sooner than an idle wait takes.
    short_waits: u32,
}

impl RecvBackoff {
    /// Returns how long to wait after a receive call that returned nothing at `now`; `None` if the
    /// socket is broken.
    ///
    /// - An idle wait takes its own time, and so does one that a signal ends. A pause is needed
    ///   only if the system returns from such waits at once, repeatedly.
    /// - After any other error the pause grows.
    /// - An error that may have a cause outside of the socket, such as a system short of memory,
    ///   may pass, however long that takes. Any other error means that the socket is broken: a
    ///   supervisor can help, this process cannot.
    pub(crate) fn wait(&mut self, class: ErrorClass, now: Instant) -> Option<Duration> {
        let last = self.last_empty.replace(now);
        match class {
            ErrorClass::WouldBlock | ErrorClass::Interrupted => {
                self.waits = RECV_BACKOFF.delays();
                let short_waits = last.is_some_and(|last| now.duration_since(last) < MIN_IDLE_WAIT);
                self.short_waits = if short_waits { self.short_waits.saturating_add(1) } else { 0 };
                Some(if self.short_waits < MAX_SHORT_WAITS {
                    Duration::ZERO
                } else {
                    SHORTEST_PAUSE
                })
            }
            ErrorClass::Invalid | ErrorClass::Other => self.waits.next(),
            _ => Some(self.waits.next().unwrap_or(RECV_BACKOFF.max())),
        }
    }
}

impl Default for RecvBackoff {
    fn default() -> Self {
        Self { waits: RECV_BACKOFF.delays(), last_empty: None, short_waits: 0 }
    }
}

const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// A wait that is shorter is not an idle wait.
const MIN_IDLE_WAIT: Duration = RECV_TIMEOUT.checked_div(2).expect("two is not zero");

/// The short waits in a row after which a worker pauses. A few are normal: signals, and datagrams
/// that another worker took first.
const MAX_SHORT_WAITS: u32 = 16;

/// The pauses after errors. A socket that reports only errors that it does not recover from is
/// given up after all of them, in about three seconds.
pub(crate) const RECV_BACKOFF: Retry = Retry::new(
    SHORTEST_PAUSE,
    NonZeroU32::new(12).expect("twelve is not zero"),
    Duration::from_secs(1),
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_signals_and_full_idle_waits_cause_no_pause() {
        let start = Instant::now();
        let mut backoff = RecvBackoff::default();
        for round in 0..999 {
            let idle = backoff.wait(ErrorClass::WouldBlock, start + RECV_TIMEOUT * round);
            assert_eq!(idle, Some(Duration::ZERO));
        }
        let now = start + RECV_TIMEOUT * 999;
        for _ in 0..MAX_SHORT_WAITS {
            assert_eq!(backoff.wait(ErrorClass::Interrupted, now), Some(Duration::ZERO));
        }
        assert_eq!(backoff.wait(ErrorClass::WouldBlock, now), Some(SHORTEST_PAUSE));
        let idle = backoff.wait(ErrorClass::WouldBlock, now + RECV_TIMEOUT);
        assert_eq!(idle, Some(Duration::ZERO), "time passes again");
    }

    #[test]
    fn only_errors_of_the_socket_itself_exhaust_the_back_off() {
        for class in ErrorClass::ALL {
            let mut backoff = RecvBackoff::default();
            let now = Instant::now();
            let broken = (0..99).any(|_| backoff.wait(class, now).is_none());
            let expected = matches!(class, ErrorClass::Invalid | ErrorClass::Other);
            assert_eq!(broken, expected, "{class:?}");
        }
    }
}

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use hello_proto::{Delays, Retry};

use super::datagram_socket::RECV_TIMEOUT;
use super::error_class::ErrorClass;

/// How long a worker waits before it receives again, so that no error keeps it busy.
#[derive(Debug)]
pub(crate) struct RecvBackoff {
    waits: Delays,
    /// When last_empty was received last.
    last_empty: Option<Instant>,
    /// How often in a row last_empty was received sooner than an idle wait takes.
    short_waits: u32,
}

impl RecvBackoff {
    /// Returns how long to wait after a receive call that brought last_empty, at `now`, if at all;
    /// `None` if the socket is broken.
    ///
    /// - An idle wait takes its time by itself, and so does one that a signal ends. Only a system
    ///   that says so again and again at once has to be waited for.
    /// - What else the system reports is waited after, longer each time.
    /// - Where that can have a cause outside of the socket, such as a system short of memory, it
    ///   may pass, however long it takes. Else the socket is broken, and whoever supervises the
    ///   process can help; but not we.
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

/// What is shorter is no idle wait.
const MIN_IDLE_WAIT: Duration = RECV_TIMEOUT.checked_div(2).expect("two is not zero");

/// After how many receive calls in a row that were too short to be idle waits a worker waits by
/// itself. A few there are: signals, and datagrams that another worker was faster to take.
const MAX_SHORT_WAITS: u32 = 16;

/// How long a worker waits after each error of its socket, and how many in a row it stands of
/// those that a socket does not recover from: about three seconds of last_empty else.
pub(crate) const RECV_BACKOFF: Retry = Retry::new(
    SHORTEST_PAUSE,
    NonZeroU32::new(12).expect("twelve is not zero"),
    Duration::from_secs(1),
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_signals_and_idle_waits_as_long_as_they_should_be_cost_no_pause() {
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
    fn only_what_must_be_the_sockets_fault_wears_patience_out() {
        for class in ErrorClass::ALL {
            let mut backoff = RecvBackoff::default();
            let now = Instant::now();
            let broken = (0..99).any(|_| backoff.wait(class, now).is_none());
            let expected = matches!(class, ErrorClass::Invalid | ErrorClass::Other);
            assert_eq!(broken, expected, "{class:?}");
        }
    }
}

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use hello_proto::{Retry, Waits};

use super::datagram_socket::RECV_TIMEOUT;
use super::error_class::ErrorClass;

/// How long a worker waits before it receives again, so that no error keeps it busy.
#[derive(Debug)]
pub(crate) struct Patience {
    waits: Waits,
    /// When nothing was received last.
    nothing: Option<Instant>,
    /// How often in a row nothing was received sooner than an idle wait takes.
    hasty: u32,
}

impl Patience {
    /// Returns how long to wait after a receive call that brought nothing, at `now`, if at all;
    /// `None` if the socket is broken.
    ///
    /// - An idle wait takes its time by itself, and so does one that a signal ends. Only a system
    ///   that says so again and again at once has to be waited for.
    /// - What else the system reports is waited after, longer each time.
    /// - Where that can have a cause outside of the socket, such as a system short of memory, it
    ///   may pass, however long it takes. Else the socket is broken, and whoever supervises the
    ///   process can help; but not we.
    pub(crate) fn wait(&mut self, class: ErrorClass, now: Instant) -> Option<Duration> {
        let last = self.nothing.replace(now);
        match class {
            ErrorClass::WouldBlock | ErrorClass::Interrupted => {
                self.waits = PATIENCE.waits();
                let hasty = last.is_some_and(|last| now.duration_since(last) < HASTE);
                self.hasty = if hasty { self.hasty.saturating_add(1) } else { 0 };
                Some(if self.hasty < MAX_HASTY { Duration::ZERO } else { SHORTEST_PAUSE })
            }
            ErrorClass::Invalid | ErrorClass::Other => self.waits.next(),
            _ => Some(self.waits.next().unwrap_or(PATIENCE.max())),
        }
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self { waits: PATIENCE.waits(), nothing: None, hasty: 0 }
    }
}

const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// What is shorter is no idle wait.
const HASTE: Duration = RECV_TIMEOUT.checked_div(2).expect("two is not zero");

/// After how many receive calls in a row that were too short to be idle waits a worker waits by
/// itself. A few there are: signals, and datagrams that another worker was faster to take.
const MAX_HASTY: u32 = 16;

/// How long a worker waits after each error of its socket, and how many in a row it stands of
/// those that a socket does not recover from: about three seconds of nothing else.
pub(crate) const PATIENCE: Retry = Retry::new(
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
        let mut patience = Patience::default();
        for round in 0..999 {
            let idle = patience.wait(ErrorClass::WouldBlock, start + RECV_TIMEOUT * round);
            assert_eq!(idle, Some(Duration::ZERO));
        }
        let now = start + RECV_TIMEOUT * 999;
        for _ in 0..MAX_HASTY {
            assert_eq!(patience.wait(ErrorClass::Interrupted, now), Some(Duration::ZERO));
        }
        assert_eq!(patience.wait(ErrorClass::WouldBlock, now), Some(SHORTEST_PAUSE));
        let idle = patience.wait(ErrorClass::WouldBlock, now + RECV_TIMEOUT);
        assert_eq!(idle, Some(Duration::ZERO), "time passes again");
    }

    #[test]
    fn only_what_must_be_the_sockets_fault_wears_patience_out() {
        for class in ErrorClass::ALL {
            let mut patience = Patience::default();
            let now = Instant::now();
            let broken = (0..99).any(|_| patience.wait(class, now).is_none());
            let expected = matches!(class, ErrorClass::Invalid | ErrorClass::Other);
            assert_eq!(broken, expected, "{class:?}");
        }
    }
}

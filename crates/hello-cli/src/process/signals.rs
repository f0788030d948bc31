//! Signals as messages in a channel.

use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::sys::{self, Signal};

/// Receives signals as messages of type `M`.
///
/// SIGINT, SIGTERM and SIGHUP, or Ctrl-C, stop a tool. The first one and the second one each send a message.
/// Half a second after the second one, its default action ends the process, whatever blocks. Once
/// this value is dropped, the first signal has that effect, too.
#[derive(Debug)]
pub struct Signals<M> {
    sender: Sender<M>,
    messages: Receiver<M>,
}

/// Sends a message when it is dropped.
#[derive(Debug)]
pub struct SendOnDrop<M: Copy> {
    sender: Sender<M>,
    message: M,
}

impl<M: Copy + Send + 'static> Signals<M> {
    /// Creates a channel that receives no signals.
    pub(crate) fn new() -> Self {
        let (sender, messages) = mpsc::channel();
        Self { sender, messages }
    }

    /// Handles the signals that stop a tool, and `others`. The first stop signal sends `stop`, the
    /// second one `abort`.
    pub(crate) fn register(
        stop: M,
        abort: M,
        others: impl IntoIterator<Item = (Signal, M)>,
    ) -> Result<Self, SignalsError> {
        let signals = Self::new();
        let others = Vec::from_iter(others);
        let mut handled = sys::stop_signals();
        handled.extend(others.iter().map(|(signal, _)| *signal));
        let (sender, mut presses) = (signals.sender.clone(), Presses::default());
        sys::handle(&handled, move |signal| {
            if let Some((_, message)) = others.iter().find(|(other, _)| *other == signal) {
                let _ = sender.send(*message);
                return;
            }
            let is_last = match presses.add(Instant::now()) {
                Press::First => sender.send(stop).is_err(),
                Press::Echo => false,
                Press::Second => {
                    let _ = sender.send(abort);
                    true
                }
            };
            if is_last {
                thread::sleep(GRACE);
                sys::default_action(signal);
            }
        })?;
        Ok(signals)
    }

    /// Returns a value that sends a message when it is dropped.
    pub fn send_on_drop(&self, message: M) -> SendOnDrop<M> {
        SendOnDrop { sender: self.sender.clone(), message }
    }

    /// Waits for the next message. Returns `None` if none arrives before `deadline`.
    pub fn wait_until(&self, deadline: Instant) -> Option<M> {
        self.messages.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()
    }
}

impl<M: Copy> Drop for SendOnDrop<M> {
    fn drop(&mut self) {
        // Fails if there is no receiver, which does not matter.
        let _ = self.sender.send(self.message);
    }
}

/// Signals cannot be handled.
#[derive(Debug, Error)]
#[error("cannot start the thread that handles signals")]
pub struct SignalsError(#[from] io::Error);

/// The stop signals so far.
#[derive(Debug, Default)]
struct Presses {
    first: Option<Instant>,
}

/// One stop signal among several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Press {
    First,
    /// Part of the first one: timeout(1) sends a signal to the process and to its group.
    Echo,
    Second,
}

impl Presses {
    fn add(&mut self, now: Instant) -> Press {
        match self.first {
            None => {
                self.first = Some(now);
                Press::First
            }
            Some(first) if now.saturating_duration_since(first) < ECHO => Press::Echo,
            Some(_) => Press::Second,
        }
    }
}

/// A stop signal that follows the first one within this time is an echo of it.
const ECHO: Duration = Duration::from_millis(100);

/// The time that the process has after the second signal to print its summary.
const GRACE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_ends_one_wait() {
        let signals = Signals::new();
        let [one, other] = ["one", "other"].map(|message| signals.send_on_drop(message));
        let far = Instant::now() + Duration::from_secs(600);
        thread::scope(|scope| {
            scope.spawn(move || drop(other));
            assert_eq!(signals.wait_until(far), Some("other"));
        });
        drop(one);
        assert_eq!(signals.wait_until(far), Some("one"));
        assert_eq!(signals.wait_until(Instant::now()), None);
    }

    #[test]
    fn queued_message_is_received_after_the_deadline() {
        let signals = Signals::new();
        drop(signals.send_on_drop(7));
        assert_eq!(signals.wait_until(Instant::now()), Some(7));
    }

    #[test]
    fn second_stop_signal_is_told_from_an_echo_of_the_first() {
        let start = Instant::now();
        let mut presses = Presses::default();
        let seen = [0, 0, 99, 100, 101].map(|ms| presses.add(start + Duration::from_millis(ms)));
        let expected = [Press::First, Press::Echo, Press::Echo, Press::Second, Press::Second];
        assert_eq!(seen, expected);
    }
}

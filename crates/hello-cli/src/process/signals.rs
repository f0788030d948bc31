//! Signals as messages in a channel.

use std::fs;
use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::{iterator, low_level};
use thiserror::Error;

/// Receives signals as messages of type `M`.
///
/// SIGINT, SIGTERM and SIGHUP stop a tool. The first one and the second one each send a message.
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
    ///
    /// SIGHUP is not handled if it was ignored at the start, as under nohup(1), or if the system
    /// does not report that.
    pub(crate) fn register(
        stop: M,
        abort: M,
        others: impl IntoIterator<Item = (i32, M)>,
    ) -> Result<Self, SignalsError> {
        let signals = Self::new();
        let others = Vec::from_iter(others);
        let hangup = (!is_hangup_ignored()).then_some(SIGHUP);
        let stops = [SIGINT, SIGTERM].into_iter().chain(hangup);
        let numbers = stops.chain(others.iter().map(|(signal, _)| *signal));
        let mut pending = iterator::Signals::new(numbers)?;
        let sender = signals.sender.clone();
        thread::Builder::new().spawn(move || {
            let mut presses = Presses::default();
            for signal in pending.forever() {
                if let Some((_, message)) = others.iter().find(|(other, _)| *other == signal) {
                    let _ = sender.send(*message);
                    continue;
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
                    let _ = low_level::emulate_default_handler(signal);
                }
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

/// Returns whether SIGHUP was ignored at the start; `true` if the system does not report it.
/// sigaction(2) would require unsafe code.
fn is_hangup_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").ok();
    status.and_then(|status| is_ignored(&status, SIGHUP)).unwrap_or(true)
}

/// Finds a signal in the mask `SigIgn` of a status file (proc_pid_status(5)).
fn is_ignored(status: &str, signal: i32) -> Option<bool> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    let mask = u64::from_str_radix(mask.trim(), 16).ok()?;
    Some(mask & (1 << (signal - 1)) != 0)
}

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

    #[test]
    fn ignored_signals_are_found_in_the_mask() {
        let status = |mask: &str| format!("SigBlk:\tffff\nSigIgn:\t{mask}\nSigCgt:\tffff\n");
        for (text, expected) in [
            (status("0000000000000001"), Some(true)),
            (status("0000000000001000"), Some(false)),
            (status("0000000000001001"), Some(true)),
            (status("x"), None),
            ("SigBlk:\t1\n".into(), None),
        ] {
            assert_eq!(is_ignored(&text, SIGHUP), expected, "{text}");
        }
    }
}

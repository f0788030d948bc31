//! Signals as messages to wait for.

use std::fs;
use std::io;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::{iterator, low_level};
use thiserror::Error;

/// Turns signals into messages of a tool's own.
///
/// SIGINT, SIGTERM and SIGHUP stop a tool. The first one is a message, and so is a second one;
/// half a second after the second one the process dies by it, whatever blocks. Once this value is
/// dropped nobody receives messages any more, and the first one already has that effect.
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
    /// Listens to no signal yet.
    pub fn new() -> Self {
        let (sender, messages) = mpsc::channel();
        Self { sender, messages }
    }

    /// Takes over the signals that stop a tool, and `others`. The first stop signal sends `stop`,
    /// a second one `abort`.
    ///
    /// SIGHUP is left alone if it was ignored at the start, as nohup(1) has it, or if the system
    /// does not report whether it was.
    ///
    /// # Errors
    ///
    /// [`SignalsError`] if the handlers or the thread behind them cannot be had.
    pub fn register(
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

    /// Delays for the next message; `None` if there is none before `deadline`.
    pub fn wait_until(&self, deadline: Instant) -> Option<M> {
        self.messages.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()
    }
}

impl<M: Copy> Drop for SendOnDrop<M> {
    fn drop(&mut self) {
        // Without a receiver, the message is of no use to anybody.
        let _ = self.sender.send(self.message);
    }
}

/// Nothing can wait for signals.
#[derive(Debug, Error)]
#[error("cannot wait for signals, which takes a thread and a pair of sockets")]
pub struct SignalsError(#[from] io::Error);

impl<M: Copy + Send + 'static> Default for Signals<M> {
    fn default() -> Self {
        Self::new()
    }
}

/// The stop signals so far.
#[derive(Debug, Default)]
struct Presses {
    first: Option<Instant>,
}

/// One stop signal among several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Press {
    First,
    /// Sent together with the first one, as timeout(1) does: to the process and to its group.
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

/// The time a process has after the second signal to print what it knows.
const GRACE: Duration = Duration::from_millis(500);

/// Returns whether the parent had SIGHUP ignored; `true` where the system does not report it.
/// Only unsafe code could ask sigaction(2).
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
    fn a_message_ends_the_wait_once_and_before_its_time() {
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
    fn a_message_sent_before_is_received_though_the_time_is_over() {
        let signals = Signals::new();
        drop(signals.send_on_drop(7));
        assert_eq!(signals.wait_until(Instant::now()), Some(7));
    }

    #[test]
    fn a_second_stop_signal_counts_unless_it_is_an_echo_of_the_first() {
        let start = Instant::now();
        let mut presses = Presses::default();
        let seen = [0, 0, 99, 100, 101].map(|ms| presses.add(start + Duration::from_millis(ms)));
        let expected = [Press::First, Press::Echo, Press::Echo, Press::Second, Press::Second];
        assert_eq!(seen, expected);
    }

    #[test]
    fn ignored_signals_are_read_from_the_mask() {
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

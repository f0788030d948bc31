//! Signals, handled by a thread.

use std::fs;
use std::io;
use std::thread;

pub(crate) use signal_hook::consts::{SIGHUP, SIGQUIT, SIGUSR1};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{iterator, low_level};

pub(crate) type Signal = i32;

/// Returns the signals that stop a tool.
///
/// SIGHUP is none if it was ignored at the start, as under nohup(1), or if the system does not
/// report that.
pub(crate) fn stop_signals() -> Vec<Signal> {
    let hangup = (!is_hangup_ignored()).then_some(SIGHUP);
    [SIGINT, SIGTERM].into_iter().chain(hangup).collect()
}

/// Calls a function, in a thread of its own, at each of these signals from now on.
pub(crate) fn handle(
    signals: &[Signal],
    mut heard: impl FnMut(Signal) + Send + 'static,
) -> io::Result<()> {
    let mut pending = iterator::Signals::new(signals)?;
    thread::Builder::new().spawn(move || pending.forever().for_each(&mut heard)).map(drop)
}

/// Does what the signal does in a program that does not handle it.
pub(crate) fn default_action(signal: Signal) {
    let _ = low_level::emulate_default_handler(signal);
}

/// Returns whether SIGHUP was ignored at the start; `true` if the system does not report it.
/// sigaction(2) would require unsafe code.
fn is_hangup_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").ok();
    status.and_then(|status| is_ignored(&status, SIGHUP)).unwrap_or(true)
}

/// Finds a signal in the mask `SigIgn` of a status file (proc_pid_status(5)).
fn is_ignored(status: &str, signal: Signal) -> Option<bool> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    let mask = u64::from_str_radix(mask.trim(), 16).ok()?;
    Some(mask & (1 << (signal - 1)) != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

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

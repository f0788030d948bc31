//! Keys of the console, as the C library turns them into signals.

use std::io;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use signal_hook::consts::SIGINT;
use signal_hook::flag;

pub(crate) type Signal = i32;

/// Ctrl-Break, which the C library calls SIGBREAK.
pub(crate) const SIGQUIT: Signal = 21;

/// No key sends it, nor the next one.
pub(crate) const SIGHUP: Signal = NO_SIGNAL;
pub(crate) const SIGUSR1: Signal = NO_SIGNAL;

const NO_SIGNAL: Signal = 0;

/// Returns the signals that stop a tool: Ctrl-C.
pub(crate) fn stop_signals() -> Vec<Signal> {
    vec![SIGINT]
}

/// Calls a function, in a thread of its own, at each of these signals from now on. Those that follow
/// each other within [`CHECK_PERIOD`] are one.
pub(crate) fn handle(
    signals: &[Signal],
    mut heard: impl FnMut(Signal) + Send + 'static,
) -> io::Result<()> {
    let register = |signal| {
        let raised = Arc::new(AtomicBool::new(false));
        flag::register(signal, Arc::clone(&raised)).map(|_| (signal, raised))
    };
    let keys = signals.iter().copied().filter(|signal| *signal != NO_SIGNAL);
    let flags = keys.map(register).collect::<io::Result<Vec<_>>>()?;
    let look = move || loop {
        for (signal, raised) in &flags {
            if raised.swap(false, SeqCst) {
                heard(*signal);
            }
        }
        thread::sleep(CHECK_PERIOD);
    };
    thread::Builder::new().spawn(look).map(drop)
}

/// Ends the process with the status that the system gives one that Ctrl-C ended
/// (STATUS_CONTROL_C_EXIT).
pub(crate) fn default_action(_: Signal) {
    process::exit(0xc000_013a_u32.cast_signed());
}

/// The period at which the flags are read that signals raise.
const CHECK_PERIOD: Duration = Duration::from_millis(20);

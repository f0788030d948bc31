//! A pseudo-terminal for a process to print to.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// Runs a process at a terminal, sends SIGINT once `is_complete` accepts the output, and returns the
/// whole output.
pub(crate) fn run_at_terminal(command: Command, is_complete: impl Fn(&str) -> bool) -> String {
    let (output, status) = run_at_terminal_of_width(0, command, is_complete);
    assert_eq!(status, Some(0), "{output}");
    output
}

/// Runs a process like [`run_at_terminal`], with this number of columns; 0 if the terminal does not
/// report it. Also returns the exit status.
pub(crate) fn run_at_terminal_of_width(
    columns: u16,
    mut command: Command,
    is_complete: impl Fn(&str) -> bool,
) -> (String, Option<i32>) {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&terminal).and_then(|()| unlockpt(&terminal)).expect("our own");
    let rows = if columns > 0 { 24 } else { 0 };
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&terminal, size).expect("our own");
    let name = ptsname(&terminal, Vec::new()).expect("it has a name");
    let name = OsStr::from_bytes(name.as_bytes());
    let inside = File::options().read(true).write(true).open(name).expect("there");
    let mut process = command.stdout(inside).spawn().expect("runs");
    // Otherwise the output does not end with the process.
    drop(command);
    let (mut output, mut interrupted, mut buf) = (Vec::new(), false, [0; 4096]);
    // Reading from a terminal that was closed fails with EIO.
    while let Ok(len @ 1..) = rustix::io::read(&terminal, &mut buf) {
        output.extend_from_slice(&buf[..len]);
        if !interrupted && is_complete(&String::from_utf8_lossy(&output)) {
            interrupted = true;
            kill_process(Pid::from_child(&process), Signal::INT).expect("our own child");
        }
    }
    let status = process.wait().expect("our own child").code();
    (String::from_utf8(output).expect("UTF-8"), status)
}

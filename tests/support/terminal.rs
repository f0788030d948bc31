//! A pseudo-terminal for a process to print to.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// Runs a process at a terminal, sends SIGINT once `is_complete` accepts the output, and returns the
/// whole output.
pub(crate) fn run_at_terminal(mut command: Command, is_complete: impl Fn(&str) -> bool) -> String {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&terminal).and_then(|()| unlockpt(&terminal)).expect("our own");
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
    assert_eq!(process.wait().expect("our own child").code(), Some(0));
    String::from_utf8(output).expect("UTF-8")
}

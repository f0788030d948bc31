//! Counts the instructions of a process with valgrind's callgrind, for the benchmarks of several crates.

use std::env;
use std::error::Error;
use std::process::{Child, Command, Stdio};

/// Starts this program again, in another role, and counts its instructions.
pub(crate) fn start(role: &[String]) -> Result<Child, Box<dyn Error>> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    command.arg(env::current_exe()?).args(role);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let install = "install it, on Debian with apt-get install valgrind";
    Ok(command.spawn().map_err(|error| format!("valgrind: {error}; {install}"))?)
}

/// Waits for the end of such a process, and returns its instructions.
pub(crate) fn count(process: Child) -> Result<u64, Box<dyn Error>> {
    let output = process.wait_with_output()?;
    let report = String::from_utf8_lossy(&output.stderr);
    let collected = report.lines().find_map(|line| line.split_once("Collected : "));
    match collected {
        Some((_, count)) if output.status.success() => Ok(count.trim().parse()?),
        _ => Err(format!("valgrind did not count:\n{report}").into()),
    }
}

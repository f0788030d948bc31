//! Errors of the system, injected by strace.

mod client;
mod matrix;
mod server;

use std::io::{self, BufRead, BufReader, PipeReader};
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use crate::support::{Process, SERVER, listening};

/// Runs a tool under strace, which makes a system call fail as `fault` says, and which stands
/// aside (`-D`), so that the process we start and signal is the tool itself.
fn injected(fault: &str, tool: &str) -> Command {
    let mut command = Command::new("strace");
    command
        .args(["--quiet=all", "-D", "-f", "-o", "/dev/null", "-e"])
        .arg(format!("inject={fault}"));
    command.arg(tool);
    command
}

/// Starts a server with a fault in one of its system calls.
fn faulty(fault: &str, arguments: &[&str]) -> (Process, SocketAddr, Calls) {
    let call = fault.split(':').next().expect("a system call");
    let (reader, writer) = io::pipe().expect("a pipe");
    let mut command = Command::new("strace");
    command
        .args(["--quiet=all", "-D", "-f", "-r", "-e", "signal=none"])
        .args(["-e", &format!("trace={call}"), "-e", &format!("inject={fault}"), SERVER])
        .args(["--bind", "127.0.0.1:0"])
        .args(arguments)
        .stderr(writer);
    let (server, address) = listening(&mut command);
    (server, address, Calls(BufReader::new(reader)))
}

/// The calls that a server makes of the one that may fail, as strace tells them, until the server
/// ends.
struct Calls(BufReader<PipeReader>);

/// A system call.
struct Call {
    /// How long after the one before it was it made.
    after: Duration,
    injected: bool,
}

impl Iterator for Calls {
    type Item = Call;

    fn next(&mut self) -> Option<Call> {
        let mut line = String::new();
        self.0.read_line(&mut line).expect("UTF-8");
        // "[pid 4711]      0.000123 recvmmsg(…) = -1 EIO (Input/output error) (INJECTED)"
        let seconds = line.split_ascii_whitespace().find_map(|word| word.parse().ok())?;
        let after = Duration::from_secs_f64(seconds);
        Some(Call { after, injected: line.ends_with("(INJECTED)\n") })
    }
}

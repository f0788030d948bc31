//! System errors, injected by strace.

mod client;
mod matrix;
mod ping;
mod server;

use std::io::{self, BufRead, BufReader, PipeReader};
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use crate::support::{Process, SERVER, listening};

/// Runs a tool under strace, which makes a system call fail as `fault` specifies. strace runs as a
/// detached process (`-D`), so that the process that the test starts and signals is the tool.
fn injected(fault: &str, tool: &str) -> Command {
    let mut command = Command::new("strace");
    command
        .args(["--quiet=all", "-D", "-f", "-o", "/dev/null", "-e"])
        .arg(format!("inject={fault}"));
    command.arg(tool);
    command
}

/// Starts a server with a fault in one of its system calls.
fn faulty(fault: &str, arguments: &[&str]) -> (Process, SocketAddr, Faults) {
    let call = fault.split(':').next().expect("a system call");
    let (reader, writer) = io::pipe().expect("a pipe");
    let mut command = Command::new("strace");
    command
        .args(["--quiet=all", "-D", "-f", "-o", "/dev/stderr", "--relative-timestamps=ns"])
        .args(["-e", "signal=none"])
        .args(["-e", &format!("trace={call}"), "-e", &format!("inject={fault}"), SERVER])
        .args(["--bind", "127.0.0.1:0"])
        .args(arguments)
        .stderr(writer);
    let (server, address) = listening(&mut command);
    let main = server.id().to_string();
    (server, address, Faults { log: BufReader::new(reader), main, at: Duration::ZERO })
}

/// The times at which the injected calls failed in a server, until it ends.
///
/// Calls of its main thread are excluded: it waits for signals and serves no requests.
struct Faults {
    log: BufReader<PipeReader>,
    main: String,
    /// Time of the last call in the log.
    at: Duration,
}

impl Iterator for Faults {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        loop {
            // "4711       0.000123456 recvmmsg(…) = -1 EIO (Input/output error) (INJECTED)"
            let mut line = String::new();
            self.log.read_line(&mut line).expect("UTF-8");
            let mut words = line.split_ascii_whitespace();
            let thread = words.next()?;
            let seconds = words.next().and_then(|word| word.parse().ok()).expect("a time");
            self.at += Duration::from_secs_f64(seconds);
            if thread != self.main && line.ends_with("(INJECTED)\n") {
                return Some(self.at);
            }
        }
    }
}

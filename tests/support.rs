//! Processes and peers that the tests start and stop.

mod network;
mod supervisor;
mod terminal;

use std::fs;
use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Read, Write};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use serde_json::Value;

pub(crate) use network::{exchange, have_ipv6, peer, peer_at, receive, skip};
pub(crate) use supervisor::Supervisor;
pub(crate) use terminal::{run_at_terminal, run_at_terminal_of_width};

pub(crate) const CLIENT: &str = env!("CARGO_BIN_EXE_hello-client");
pub(crate) const LOAD: &str = env!("CARGO_BIN_EXE_hello-load");
pub(crate) const PING: &str = env!("CARGO_BIN_EXE_hello-ping");
pub(crate) const SERVER: &str = env!("CARGO_BIN_EXE_hello-server");

/// The back ends of `hello-server --backend`.
pub(crate) const BACK_ENDS: &[&str] =
    if cfg!(target_os = "linux") { &["native", "portable"] } else { &["portable"] };

/// A process that prints lines. It is killed when the test ends, if it still runs.
pub(crate) struct Process {
    child: Child,
    out: Option<BufReader<ChildStdout>>,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self::start_with_own_input(command.stdin(Stdio::piped()))
    }

    /// Starts a process that prints to the test's own pipe.
    pub(crate) fn start_printing_to(command: &mut Command, out: PipeWriter) -> Self {
        let child = command.stdin(Stdio::null()).stdout(out).spawn().expect("it runs");
        // Otherwise the command keeps the pipe open.
        command.stdout(Stdio::null());
        Self { child, out: None }
    }

    /// Starts a process with the standard input that the command sets.
    fn start_with_own_input(command: &mut Command) -> Self {
        let command = command.stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let out = child.stdout.take().map(BufReader::new);
        Self { child, out }
    }

    /// Waits for the next line; panics at the end of the output.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.as_mut().expect("still read").read_line(&mut line).expect("UTF-8");
        assert!(line.ends_with('\n'), "the output ended with {line:?}");
        line.pop();
        line
    }

    /// Waits for the next line and parses it as JSON.
    pub(crate) fn json(&mut self) -> Value {
        json(&self.line())
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.child.stdin.as_mut().expect("still open").write_all(bytes).expect("written");
    }

    pub(crate) fn close_input(&mut self) {
        self.child.stdin = None;
    }

    /// Closes the reading end of the output.
    pub(crate) fn close_output(&mut self) {
        self.out = None;
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("our own child");
    }

    /// Waits until the process has stopped after a SIGSTOP.
    pub(crate) fn wait_until_stopped(&self) {
        let options = WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(Pid::from_child(&self.child)), options).expect("our own child");
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Returns the current number of threads.
    pub(crate) fn threads(&self) -> usize {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id()));
        tasks.expect("Linux provides it").count()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("our own child").is_some()
    }

    /// Waits up to 20 seconds for the exit, and calls `meanwhile` repeatedly.
    pub(crate) fn end(&mut self, mut meanwhile: impl FnMut(&Self)) -> ExitStatus {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(status) = self.child.try_wait().expect("our own child") {
                return status;
            }
            assert!(Instant::now() < deadline, "still running after 20 seconds");
            meanwhile(self);
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for the exit without reading the output.
    pub(crate) fn exit_status(&mut self) -> Option<i32> {
        self.child.wait().expect("our own child").code()
    }

    /// Reads the rest of the output and waits for the exit. The status is `None` if a signal ended
    /// the process.
    pub(crate) fn finish(mut self) -> (Vec<String>, Option<i32>) {
        let mut rest = String::new();
        if let Some(out) = &mut self.out {
            out.read_to_string(&mut rest).expect("UTF-8");
        }
        (rest.lines().map(str::to_owned).collect(), self.exit_status())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both do nothing if the process has already been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A full pipe: a process that prints to it blocks until the test reads everything.
pub(crate) fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    rustix::io::ioctl_fionbio(&writer, true).expect("possible");
    while writer.write(&[b'x'; 4096]).is_ok() {}
    rustix::io::ioctl_fionbio(&writer, false).expect("possible");
    (reader, writer)
}

/// Reads a [full](full_pipe) pipe to its end, and returns the text printed after the filling.
pub(crate) fn read_full_pipe(mut reader: PipeReader) -> String {
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("UTF-8");
    text.trim_start_matches('x').to_owned()
}

/// Starts `hello-server --json` and returns it with the address that it listens on.
pub(crate) fn server(arguments: &[&str]) -> (Process, SocketAddr) {
    listening(Command::new(SERVER).args(arguments))
}

/// Starts a `hello-server` command and returns it as [`server`] does.
pub(crate) fn listening(command: &mut Command) -> (Process, SocketAddr) {
    let mut server = Process::start_with_own_input(command.arg("--json"));
    let line = server.json();
    assert_eq!(line["event"], "listening");
    let address = line["address"].as_str().expect("text").parse().expect("an address");
    (server, address)
}

/// A command that runs `hello-server` with an inherited socket, as systemd does (sd_listen_fds(3)).
pub(crate) fn activated(socket: impl Into<OwnedFd>) -> Command {
    activated_under(&[], socket)
}

/// The same, run by another program that executes the server in its place, such as strace(1).
pub(crate) fn activated_under(front: &[&str], socket: impl Into<OwnedFd>) -> Command {
    let mut command = Command::new("sh");
    let script = "exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\"";
    command.args(["-c", script, "sh"]).args(front).arg(SERVER).stdin(socket.into());
    command
}

/// Stops a server that [`server`] started, and returns its last line.
pub(crate) fn summary(server: Process) -> Value {
    server.signal(Signal::TERM);
    let (lines, status) = server.finish();
    assert_eq!(status, Some(0));
    let summary = json(lines.last().expect("a summary"));
    assert_eq!(summary["event"], "summary");
    summary
}

/// Returns the sum of a summary's answered, refused and failed datagrams.
pub(crate) fn settled(summary: &Value) -> u64 {
    let counts = |name: &str| summary[name].as_object().expect("counts").values();
    let others = counts("refused").chain(counts("send_failed"));
    others.chain([&summary["answered"]]).map(count).sum()
}

pub(crate) fn count(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

/// `hello-client` with a timeout that no slow machine exceeds, so that it never retries.
fn patient(server: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(CLIENT);
    command.args(["--server", server, "--timeout", "20s"]).args(arguments);
    command
}

/// Runs a patient `hello-client` to its end.
pub(crate) fn greet(server: &str, arguments: &[&str]) -> Finished {
    patient(server, arguments).output().expect("the client runs").into()
}

/// Starts a patient `hello-client`.
pub(crate) fn start_client(server: &str, arguments: &[&str]) -> Process {
    Process::start(&mut patient(server, arguments))
}

/// Runs `hello-client` to its end.
pub(crate) fn client(arguments: &[&str]) -> Finished {
    Command::new(CLIENT).args(arguments).output().expect("the client runs").into()
}

/// The output and exit status of a process.
#[derive(Debug, PartialEq)]
pub(crate) struct Finished {
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) status: Option<i32>,
}

impl From<Output> for Finished {
    fn from(output: Output) -> Self {
        let [out, err] =
            [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).expect("UTF-8"));
        Self { out, err, status: output.status.code() }
    }
}

pub(crate) fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// Returns whether a program that a test needs is installed; see [`skip`].
pub(crate) fn have(program: &str, version: &str, test: &str) -> bool {
    let found = Command::new(program).arg(version).output().is_ok();
    found || skip(test, &format!("{program} is not installed"))
}

/// Runs a script in its own network namespace and returns the JSON that it prints. Skips the test
/// and returns `None` if this machine cannot run it.
pub(crate) fn run_in_namespace(test: &str, script: &str, arguments: &[&str]) -> Option<Value> {
    if !have("python3", "--version", test) || !have("ip", "-V", test) || !can_unshare(test) {
        return None;
    }
    let script = format!("{}/../../tests/peers/{script}", env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "python3", "-B", &script, SERVER]).args(arguments);
    let Finished { out, err, status } = command.output().expect("runs").into();
    assert_eq!((&*err, status), ("", Some(0)));
    Some(json(&out))
}

/// Returns whether a network namespace can be created, which requires root; see [`skip`].
pub(crate) fn can_unshare(test: &str) -> bool {
    let output = Command::new("unshare").args(["--net", "--mount", "true"]).output();
    output.is_ok_and(|output| output.status.success())
        || skip(test, "no network namespace can be made, which takes root")
}

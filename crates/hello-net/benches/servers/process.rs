//! A server under test: its process, stopped and continued, and its processor time.

use std::error::Error;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::peers::Peer;

/// A running server; ended when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pub(crate) peer: Peer,
    pub(crate) address: SocketAddr,
}

impl Process {
    /// Starts a server on the processors given.
    pub(crate) fn start(
        peer: Peer,
        processors: &[usize],
        directory: &Path,
        buffer: usize,
    ) -> Result<Self, Box<dyn Error>> {
        let mut command = peer.command(directory, buffer)?;
        // A process has the processors of its parent.
        pin(processors)?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        pin(&[GENERATOR])?;
        let mut child = child.map_err(|error| format!("{}: {error}", peer.name()))?;
        let mut line = String::new();
        if let Some(out) = child.stdout.take() {
            BufReader::new(out).read_line(&mut line)?;
        }
        let address =
            line.trim().parse().map_err(|_| format!("{}: it did not start", peer.name()))?;
        Ok(Self { child, peer, address })
    }

    /// Stops it, so that what is sent to it waits in its receive buffer.
    pub(crate) fn stop(&self) -> Result<(), Box<dyn Error>> {
        kill_process(Pid::from_child(&self.child), Signal::STOP)?;
        self.wait_for("T")
    }

    pub(crate) fn go_on(&self) -> Result<(), Box<dyn Error>> {
        Ok(kill_process(Pid::from_child(&self.child), Signal::CONT)?)
    }

    /// Gives its threads processors of their own, in turn: where the scheduler puts them at first
    /// is chance.
    pub(crate) fn spread(&self) -> Result<(), Box<dyn Error>> {
        for (thread, processor) in
            self.threads()?.into_iter().zip([SERVERS, GENERATOR].iter().cycle())
        {
            let id = thread.file_name().and_then(|id| id.to_str()?.parse().ok());
            sched_setaffinity(id.and_then(Pid::from_raw), &set_of(&[*processor]))?;
        }
        Ok(())
    }

    /// Delays until all of its threads sleep: then its processor time stands still.
    pub(crate) fn wait_for_sleep(&self) -> Result<(), Box<dyn Error>> {
        self.wait_for("S")
    }

    /// Returns the processor time it has used so far: the first number of each thread's schedstat,
    /// in nanoseconds (Linux, Documentation/scheduler/sched-stats.rst).
    pub(crate) fn processor_time(&self) -> Result<Duration, Box<dyn Error>> {
        let mut nanoseconds = 0;
        for text in self.of_each_thread("schedstat")? {
            nanoseconds += text.split(' ').next().unwrap_or_default().parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    fn wait_for(&self, state: &str) -> Result<(), Box<dyn Error>> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let stats = self.of_each_thread("stat")?;
            // The name before the state is in brackets, and may hold anything.
            let mut states = stats.iter().filter_map(|stat| stat.rsplit_once(") ")?.1.get(..1));
            if states.all(|found| found == state) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("{}: not in state {state} after 10 s", self.peer.name()).into());
            }
            thread::sleep(Duration::from_micros(100));
        }
    }

    fn of_each_thread(&self, file: &str) -> Result<Vec<String>, Box<dyn Error>> {
        let threads = self.threads()?.into_iter();
        threads.map(|thread| Ok(fs::read_to_string(thread.join(file))?)).collect()
    }

    fn threads(&self) -> Result<Vec<PathBuf>, Box<dyn Error>> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.child.id()))?;
        let mut threads =
            threads.map(|thread| Ok(thread?.path())).collect::<io::Result<Vec<_>>>()?;
        threads.sort();
        Ok(threads)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The processor of the servers.
pub(crate) const SERVERS: usize = 0;

/// The processor of this process.
pub(crate) const GENERATOR: usize = 1;

fn pin(processors: &[usize]) -> Result<(), Box<dyn Error>> {
    sched_setaffinity(None, &set_of(processors)).map_err(|error| {
        format!("processors {processors:?}, of which two are needed: {error}").into()
    })
}

fn set_of(processors: &[usize]) -> CpuSet {
    let mut set = CpuSet::new();
    processors.iter().for_each(|processor| set.set(*processor));
    set
}

//! The run of `hello-client`.

use std::error::Error;
use std::io::{self, BufRead, BufReader, Stderr, Stdout};
use std::mem;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use hello_net::{Client, Server, Unanswered};
use hello_proto::{Guard, Refusal, Request, Retry};

use super::args::Args;
use super::names::{NameError, Names, Rest};
use super::report::{Counts, Report};
use crate::output::json::Origin;
use crate::output::{OutputError, allow_closed, console};
use crate::process::error::is_broken_pipe;
use crate::process::exit::EXIT_ERROR;
use crate::process::lock;
use crate::process::signals::Signals;

/// Runs the tool and returns its exit status.
///
/// # Errors
///
/// Returns the error for standard error.
pub fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    if args.common.print_generated::<Args>()? {
        return Ok(ExitCode::SUCCESS);
    }
    args.hints()
        .for_each(|hint| console::warn(args.common.color(), &format!("hello-client: {hint}")));
    if args.local {
        // Only this process sends requests, so every name is accepted.
        let guard = Guard::new().allow(Refusal::NameTooLong).allow(Refusal::GreetedTwice);
        let server = Server::builder().guard(guard).bind([(Ipv4Addr::LOCALHOST, 0).into()])?;
        return server.serve_while(|_event| (), || greet_all(args, server.local_addrs()))?;
    }
    // Before signals are handled, because only their default action interrupts a lookup.
    greet_all(args, args.servers()?)
}

/// A message to the main thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    /// Let the current wait end, and send nothing more.
    Stop,
    /// End the current wait.
    Abort,
    /// Every name has been sent.
    End,
}

/// The results so far, which two threads share.
#[derive(Debug)]
struct Run {
    report: Report<Stdout, Stderr>,
    counts: Counts,
    status: u8,
    /// An error that ended the run.
    printed: Result<(), OutputError>,
    rest: Rest,
    /// Whether the other thread waits for a name.
    is_reading: bool,
    is_stopped: bool,
}

/// Sends every name in turn until a signal arrives.
///
/// A thread of its own reads and sends, because nothing interrupts a read from standard input. If
/// it reads when the signal arrives, it ends with the process.
fn greet_all(
    args: &Args,
    servers: impl IntoIterator<Item = SocketAddr>,
) -> Result<ExitCode, Box<dyn Error>> {
    let max = Retry::default().max().max(args.timeout);
    let retry = Retry::new(args.timeout, args.attempts.try_into()?, max);
    let servers = Vec::from_iter(servers);
    let client = Client::builder().retry(retry).connect(servers.iter().copied())?;
    let stopper = client.stopper();
    let signals = Signals::register(Command::Stop, Command::Abort, [])?;
    let mut run = Run::new(args);
    allow_closed(run.report.start(
        &Origin::now("hello-client"),
        &servers,
        args.timeout,
        args.attempts,
    ))?;
    let run = Arc::new(Mutex::new(run));
    let names = Names::new(args.names.clone(), BufReader::new(io::stdin()));
    let (shared, ended) = (Arc::clone(&run), signals.send_on_drop(Command::End));
    let thread = thread::Builder::new().spawn(move || {
        let _ended = ended;
        greet_each(client, names, &shared);
    })?;
    loop {
        match signals.wait_until(Instant::now() + HOUR) {
            Some(Command::Stop) => {
                if lock(&run).stop() {
                    break;
                }
                stopper.stop();
            }
            Some(Command::Abort) => stopper.abort(),
            Some(Command::End) => {
                thread.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause));
                break;
            }
            None => {}
        }
    }
    // From now on, the first signal has the effect of the second one.
    drop(signals);
    Ok(lock(&run).finish()?)
}

/// Sends every name in turn; the failure of one does not affect the others.
fn greet_each(mut client: Client, mut names: Names<impl BufRead>, run: &Mutex<Run>) {
    loop {
        if !lock(run).goes_on(names.rest(), true) {
            return;
        }
        let name = names.next();
        if !lock(run).goes_on(names.rest(), false) {
            return;
        }
        let printed = match name {
            None => return,
            Some(Err(error)) => lock(run).invalid_name(&error),
            Some(Ok(name)) => match Request::new(&name) {
                Ok(request) => greet(&mut client, request, run),
                Err(error) => lock(run).invalid_name(&error.into()),
            },
        };
        match printed {
            Ok(()) => {}
            // The reader has read enough, as `head` has. That ends ping and dig, too.
            Err(error) if is_broken_pipe(&error.0) => return,
            Err(error) => {
                lock(run).printed = Err(error);
                return;
            }
        }
    }
}

/// Sends a name and prints the greeting. The lock is free while the client waits.
fn greet(client: &mut Client, request: Request<'_>, run: &Mutex<Run>) -> Result<(), OutputError> {
    let mut printed = Ok(());
    let result = client.greet(request, |progress| {
        if printed.is_ok() {
            printed = lock(run).report.progress(progress);
        }
    });
    let mut run = lock(run);
    match &result {
        Ok(_) => run.counts.greeted += 1,
        Err(Unanswered { attempts: 0, .. }) => {
            run.rest.names += 1;
            return printed;
        }
        Err(_) => {
            run.counts.not_greeted += 1;
            run.status = run.status.max(1);
        }
    }
    printed.and_then(|()| run.report.result(request, &result))
}

impl Run {
    fn new(args: &Args) -> Self {
        Self {
            report: Report::new(args.common.format(), io::stdout(), io::stderr()),
            counts: Counts::default(),
            status: 0,
            printed: Ok(()),
            rest: Rest::default(),
            is_reading: false,
            is_stopped: false,
        }
    }

    /// Notes what is left, and whether a name is about to be read. Returns `false` once stopped.
    fn goes_on(&mut self, rest: Rest, is_reading: bool) -> bool {
        if !self.is_stopped {
            (self.rest, self.is_reading) = (rest, is_reading);
        }
        !self.is_stopped
    }

    /// Notes a signal. Returns whether nothing is left to wait for.
    fn stop(&mut self) -> bool {
        self.is_stopped = true;
        self.is_reading
    }

    fn invalid_name(&mut self, error: &NameError) -> Result<(), OutputError> {
        self.status = EXIT_ERROR;
        self.report.invalid_name(error)
    }

    /// Reports what a signal left out, and returns the exit status.
    fn finish(&mut self) -> Result<ExitCode, OutputError> {
        mem::replace(&mut self.printed, Ok(()))?;
        if self.is_stopped && self.rest != Rest::default() {
            self.status = self.status.max(1);
            match self.report.interrupted(self.counts, self.rest) {
                Err(error) if is_broken_pipe(&error.0) => {}
                printed => printed?,
            }
        }
        Ok(self.status.into())
    }
}

const HOUR: Duration = Duration::from_secs(3600);

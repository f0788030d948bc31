//! The run of `hello-ping --mtu`: threads and signals.

use std::error::Error;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use hello_net::{MtuProber, ProbeError, Stopper};

use super::args::{Args, Unreachable};
use super::output::json::{mtu as json, unreachable as unreachable_line};
use super::output::text::mtu as text;
use super::path_mtu::{MtuTarget, PathMtu};
use super::probers::{Command, open_all, resolve};
use crate::args::first_reply::Destination;
use crate::output::console::Console;
use crate::output::json::Origin;
use crate::output::status::status_bar;
use crate::output::{Format, allow_closed};
use crate::process::signals::Signals;

/// Searches the path to each target in turn, and returns the exit status.
///
/// # Errors
///
/// Returns the error for standard error.
pub(super) fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    let resolved = resolve(args)?;
    let signals = Signals::register(Command::Stop, Command::Abort, [])?;
    let origin = Origin::now("hello-ping");
    let (searches, unreachable) =
        open_all(args, resolved, |Destination { name, address, tried }| {
            let prober = MtuProber::connect(&args.builder(), address.0)?;
            let (plan, peer, timeout) = (*prober.plan(), args.plan().peer.into(), args.timeout);
            Ok((MtuTarget { name, address, tried, plan, peer, timeout }, prober))
        })?;
    let format = args.common.format();
    let failed = signals.send_on_drop(Command::OutputFailed);
    let out = args.outputs.console(format, args.common.color(), || status_bar(format), failed)?;
    let printer = Printer { args, format, out };
    printer.start(&origin, searches.iter().map(|(target, _)| target), &unreachable);
    let (found, stopped) = printer.search_all(searches, &signals);
    drop(signals);
    printer.out.close(vec![]);
    let printed = allow_closed(printer.out.finish(stopped));
    let found = found?;
    printed?;
    let good = unreachable.is_empty() && found.iter().all(PathMtu::is_found);
    Ok(ExitCode::from(u8::from(!good)))
}

/// Prints the searches.
struct Printer<'a> {
    args: &'a Args,
    format: Format,
    out: Console,
}

impl Printer<'_> {
    /// Prints the lines about the run and about what cannot be probed.
    fn start<'t>(
        &self,
        origin: &Origin,
        searches: impl Iterator<Item = &'t MtuTarget>,
        unreachable: &[Unreachable],
    ) {
        if self.format == Format::Json {
            let source = self.args.plan().source;
            searches
                .for_each(|target| self.out.line(json::start(origin, target, source.as_deref())));
            unreachable.iter().for_each(|one| self.out.line(unreachable_line(one)));
        }
    }

    /// Makes the searches in turn. Returns their results, and whether a signal stopped them.
    fn search_all(
        &self,
        searches: Vec<(MtuTarget, MtuProber)>,
        signals: &Signals<Command>,
    ) -> (Result<Vec<PathMtu>, ProbeError>, bool) {
        let stoppers = Vec::from_iter(searches.iter().map(|(_, prober)| prober.stopper()));
        let ended = signals.send_on_drop(Command::End);
        thread::scope(|scope| {
            let search_all = move || {
                let _ended = ended;
                searches.into_iter().map(|(target, prober)| self.search(target, prober)).collect()
            };
            let thread = match thread::Builder::new().spawn_scoped(scope, search_all) {
                Ok(thread) => thread,
                Err(error) => return (Err(ProbeError::Thread(error)), false),
            };
            let stopped = self.watch(&stoppers, signals);
            (thread.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause)), stopped)
        })
    }

    /// Makes one search, and prints its events and its result.
    fn search(&self, target: MtuTarget, prober: MtuProber) -> Result<PathMtu, ProbeError> {
        let (is_text, layout) = (self.format == Format::Text, self.args.outputs.layout());
        if is_text && !self.args.quiet {
            self.out.line(text::header(&target));
        }
        let (mut found, start) = (PathMtu::new(target), Instant::now());
        let outcome = prober.run(|event| {
            found.observe(event);
            if !self.args.quiet {
                let line = match self.format {
                    Format::Text => text::event(&found.target, event),
                    Format::Json => json::event(&found.target, event),
                };
                line.into_iter().for_each(|line| {
                    self.out.event(line);
                });
            }
            self.out.status(|| text::status(layout, &found, event.size).into());
        })?;
        (found.outcome, found.elapsed) = (outcome, start.elapsed());
        self.out.line(match self.format {
            // Without lines before it, it needs no line between.
            Format::Text if self.args.quiet => text::result(layout, &found).trim_start().into(),
            Format::Text => text::result(layout, &found),
            Format::Json => json::result(&found),
        });
        Ok(found)
    }

    /// Handles signals until the searches end, and returns whether one stopped them.
    fn watch(&self, stoppers: &[Stopper], signals: &Signals<Command>) -> bool {
        let mut stopped = false;
        loop {
            match signals.wait_until(Instant::now() + IDLE) {
                Some(Command::End) => return stopped,
                // The search ends by itself, and has a verdict.
                Some(Command::OutputFailed) if self.out.is_reader_gone() => {}
                // A search has nothing to wait for after a stop, so an abort is the same.
                Some(Command::Stop | Command::Abort | Command::OutputFailed) => {
                    stopped = true;
                    stoppers.iter().for_each(Stopper::abort);
                }
                Some(Command::Snapshot) | None => {}
            }
        }
    }
}

/// A time without messages, after which the wait for one goes on.
const IDLE: Duration = Duration::from_secs(3600);

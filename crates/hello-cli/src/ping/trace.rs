//! The run of `hello-ping --trace`.

use std::error::Error;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use hello_measure::{Path, PathEnd};
use hello_net::{ProbeError, ProbeEvent, ProbeEventKind, Prober, Stopper};

use super::Target;
use super::args::{Args, Unreachable};
use super::output::{json, plot, text};
use super::probers::{Command, run_all};
use super::report::Style;
use super::traced::Traced;
use crate::output::console::Console;
use crate::output::format::count;
use crate::output::json::Origin;
use crate::output::wall_clock::WallClock;
use crate::output::{Format, allow_closed};
use crate::process::lock;
use crate::process::signals::Signals;
use crate::process::ticker::next_tick;

/// Traces each flow of each target, and prints the paths.
///
/// # Errors
///
/// Returns the error for standard error.
pub(crate) fn run(
    args: &Args,
    style: Style,
    origin: &Origin,
    (targets, unreachable): (Vec<Target>, Vec<Unreachable>),
    probers: Vec<Prober>,
    signals: Signals<Command>,
    out: Console,
) -> Result<ExitCode, Box<dyn Error>> {
    let all_reachable = unreachable.is_empty();
    let (plan, is_json) = (args.plan(), style.format == Format::Json);
    if is_json {
        unreachable.iter().for_each(|it| out.line(json::unreachable(it)));
    }
    for (target, prober) in targets.iter().zip(&probers) {
        let hops = prober.plan().trace.map_or(0, |trace| trace.max_hops.get());
        out.line(match style.format {
            Format::Json => json::header(origin, &plan, target),
            Format::Text => text::paths::header(target, hops),
        });
    }
    let session = Session {
        style,
        start: Instant::now(),
        deadline: plan.deadline,
        found: Mutex::new(vec![Found::default(); targets.len()]),
        targets,
        out,
    };
    let watched = session.watch(probers, &signals);
    // From now on, the first signal has the effect of the second one.
    drop(signals);
    let traces = session.traces();
    let last = match style.format {
        Format::Json => traces.iter().map(json::paths::comparison).collect(),
        Format::Text => text::paths::all(style.layout, &traces),
    };
    session.out.close(last);
    let drawn = args.outputs.draw(|| plot::paths::draw(&traces));
    let greeted = |path: &Path| path.end == PathEnd::Reached { greeted: true };
    let good =
        traces.iter().all(|it| it.paths.len() == it.target.flows && it.paths.iter().all(greeted));
    allow_closed(session.out.finish(false))?;
    watched?;
    drawn?;
    Ok(ExitCode::from(u8::from(!(good && all_reachable))))
}

/// A run of traces.
struct Session {
    style: Style,
    start: Instant,
    deadline: Option<Duration>,
    targets: Vec<Target>,
    /// What was found so far, for each target.
    found: Mutex<Vec<Found>>,
    out: Console,
}

/// The paths to a target that are complete, and whether the other kind of server replied.
#[derive(Clone, Debug, Default)]
struct Found {
    paths: Vec<Path>,
    has_other_peer: bool,
}

impl Session {
    /// Traces all flows, until every prober has ended.
    fn watch(&self, probers: Vec<Prober>, signals: &Signals<Command>) -> Result<(), ProbeError> {
        let run = |target: usize, prober: Prober| {
            if let Some(handle) = prober.trace_handle() {
                (0..self.targets[target].flows).for_each(|flow| handle.trace(flow));
            }
            prober.run(|event| self.observe(target, event)).map(drop)
        };
        run_all(probers, signals, Stopper::abort, run, |stoppers| {
            self.watch_signals(stoppers, signals);
        })
    }

    /// Keeps a path, and prints its line in JSON. Notes a reply of the other kind of server.
    fn observe(&self, target: usize, event: &ProbeEvent<'_>) {
        let mut found = lock(&self.found);
        let found = &mut found[target];
        let path = match event.kind {
            ProbeEventKind::Traced(path) => path,
            ProbeEventKind::Received { datagram, .. } => {
                found.has_other_peer |= self.targets[target].peer.is_reply_of_other(datagram);
                return;
            }
            _ => return,
        };
        found.paths.push(path.clone());
        if self.style.format == Format::Json {
            // It is shown as soon as it is complete.
            let line = json::paths::path(&self.targets[target], path, event.at, WallClock::now());
            self.out.line(line);
        }
    }

    /// Handles signals, and shows the progress, until the run ends. A stop and an abort are the same:
    /// what is known then is the result.
    fn watch_signals(&self, stoppers: &[Stopper], signals: &Signals<Command>) {
        let mut deadline = self.deadline.and_then(|after| self.start.checked_add(after));
        let mut second = self.start + SECOND;
        loop {
            match signals.wait_until(deadline.into_iter().fold(second, Instant::min)) {
                Some(Command::End) => return,
                // The exit status is a verdict, even if nobody reads the paths.
                Some(Command::OutputFailed) if self.out.is_reader_gone() => {}
                Some(Command::Stop | Command::Abort | Command::OutputFailed) => {
                    stoppers.iter().for_each(Stopper::abort);
                }
                Some(Command::Snapshot) if self.style.format == Format::Text => {
                    let tables = text::paths::all(self.style.layout, &self.traces());
                    tables.into_iter().for_each(|table| self.out.line(table));
                }
                Some(Command::Snapshot) | None => {}
            }
            let now = Instant::now();
            if deadline.take_if(|deadline| now >= *deadline).is_some() {
                stoppers.iter().for_each(Stopper::abort);
            }
            if now >= second {
                second = next_tick(second, SECOND, now).unwrap_or(now + SECOND);
                self.out.status(|| {
                    let known =
                        lock(&self.found).iter().map(|found| found.paths.len()).sum::<usize>();
                    let all = self.targets.iter().map(|target| target.flows).sum::<usize>();
                    format!("traced {known} of {}", count(all as u64, "flow")).into()
                });
            }
        }
    }

    /// Returns the paths of each target so far, compared.
    fn traces(&self) -> Vec<Traced> {
        let found = lock(&self.found);
        let traced = |(target, found): (&Target, &Found)| {
            let Found { mut paths, has_other_peer } = found.clone();
            paths.sort_by_key(|path| path.flow);
            Traced { has_other_peer, ..Traced::alone(target.clone(), paths) }
        };
        self.targets.iter().zip(found.iter()).map(traced).collect()
    }
}

const SECOND: Duration = Duration::from_secs(1);

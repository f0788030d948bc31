//! The run of a fleet: threads, signals and timers.

mod shared;

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use hello_net::{Fleet, FleetError, FleetEvent, Stopper};

use self::shared::Shared;
use super::file::{self, FileError};
use super::lookup::Lookups;
use super::output::{Plan, json, text};
use super::roster::{Change, Roster, Rules};
use super::watch::FileWatch;
use crate::output::console::Console;
use crate::output::json::Origin;
use crate::output::prometheus::http::{ListenError, MetricsListener, MetricsServer};
use crate::output::prometheus::writer::Textfile;
use crate::output::status::status_bar;
use crate::output::throttle::LineThrottle;
use crate::output::{Format, allow_closed};
use crate::ping::args::Args;
use crate::ping::metrics_outputs::announce;
use crate::process::exit::error_chain;
use crate::process::signals::Signals;
use crate::process::ticker::next_tick;
use crate::sys::{SIGHUP, SIGQUIT};

/// A message to the main thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    /// Stop sending.
    Stop,
    /// Stop sending, and do not wait for replies.
    Abort,
    /// Print the summary, and continue.
    Snapshot,
    /// Read the targets file again.
    Reload,
    /// Nothing more can be printed.
    OutputFailed,
    /// The fleet has ended.
    End,
}

/// Probes the targets of a file, and returns the exit status.
///
/// # Errors
///
/// Returns the error for standard error.
pub fn run(args: &Args, file: &Path) -> Result<ExitCode, Box<dyn Error>> {
    let watch = FileWatch::new(file);
    let entries = file::read(file, args.hosts)?;
    let others = [(SIGQUIT, Command::Snapshot), (SIGHUP, Command::Reload)];
    let signals = Signals::register(Command::Stop, Command::Abort, others)?;
    let origin = Origin::now("hello-ping");
    let fleet = args.fleet_builder().open()?;
    let rules = Rules {
        exclude: args.fleet.exclude().to_vec(),
        interval: args.interval,
        allow_flood: args.allow_flood,
    };
    let mut roster = Roster::new(fleet.handle(), rules);
    roster.set_entries(entries).map_err(|why| FileError::Rate { path: file.into(), why })?;
    let mut lookups = Lookups::start(args.fleet.lookup_interval(), args.hosts)?;
    lookups.set_names(roster.lookups());
    let format = args.common.format();
    let failed = signals.send_on_drop(Command::OutputFailed);
    let out = args.outputs.console(format, args.common.color(), || status_bar(format), failed)?;
    let shared = Arc::new(Shared::new(fleet.handle(), roster));
    let now = Instant::now();
    let mut session = Session {
        args,
        file,
        format,
        watch,
        lookups,
        shared,
        out,
        metrics: None,
        http: None,
        throttle: LineThrottle::new(STATE_LINES),
        start: now,
        second: now + SECOND,
        files: now + FILES,
        is_reload_due: false,
        reload: now,
        is_behind: false,
    };
    let early = session.await_lookups(&signals, &fleet.stopper());
    session.start(&origin, &fleet)?;
    early.into_iter().for_each(|line| session.out.line(line));
    let ran = session.watch(fleet, &signals);
    // From now on, the first signal has the effect of the second one.
    drop(signals);
    let finished = session.finish();
    ran?;
    finished
}

struct Session<'a> {
    args: &'a Args,
    file: &'a Path,
    format: Format,
    watch: FileWatch,
    lookups: Lookups,
    shared: Arc<Shared>,
    out: Console,
    metrics: Option<Textfile>,
    http: Option<MetricsServer>,
    /// Limits the lines about targets, of which thousands may change at once.
    throttle: LineThrottle,
    start: Instant,
    /// When the file is checked next, and the status shown.
    second: Instant,
    /// When the metrics file is written next.
    files: Instant,
    /// Whether a signal asked for the file to be read again, and the earliest time for that.
    is_reload_due: bool,
    reload: Instant,
    /// Whether there was no time for all answers of lookups.
    is_behind: bool,
}

impl Session<'_> {
    /// Waits for the first lookup of each name, for a few seconds at most. Returns the lines about those
    /// that failed.
    fn await_lookups(&mut self, signals: &Signals<Command>, stopper: &Stopper) -> Vec<String> {
        let mut early = Vec::new();
        let deadline = Instant::now() + FIRST_LOOKUPS;
        loop {
            early.extend(self.take_answers(false));
            if self.lookups.are_all_known() || stopper.is_stopped() || Instant::now() >= deadline {
                return early;
            }
            if let Some(Command::Stop | Command::Abort) =
                signals.wait_until(Instant::now() + FIRST_LOOKUPS / 100)
            {
                stopper.abort();
            }
        }
    }

    /// Writes the first metrics file, and prints the first line.
    fn start(&mut self, origin: &Origin, fleet: &Fleet) -> Result<(), Box<dyn Error>> {
        let path = self.args.metrics_file.as_deref();
        self.start = Instant::now();
        let serve = |address| MetricsListener::bind(address)?.serve(Arc::clone(&self.shared));
        self.http =
            self.args.metrics_listen.map(serve).transpose().map_err(ListenError::explain)?;
        self.metrics = path.map(|path| Textfile::start(path, self.shared.text())).transpose()?;
        if let Some(server) = &self.http {
            announce(server, self.format, self.args.common.color(), &self.out);
        }
        let (targets, unresolved) = {
            let roster = self.shared.roster();
            (roster.members().count(), roster.names().filter(|name| !name.is_resolved).count())
        };
        let plan = Plan {
            file: &self.file.to_string_lossy(),
            targets,
            unresolved,
            plan: fleet.plan(),
            lookup_interval: self.args.fleet.lookup_interval(),
            source: self.args.interface.as_deref(),
        };
        self.out.line(match self.format {
            Format::Text => text::header(&plan),
            Format::Json => json::header(origin, &plan),
        });
        Ok(())
    }

    /// Runs the fleet in a thread of its own, and everything else in this one.
    fn watch(&mut self, fleet: Fleet, signals: &Signals<Command>) -> Result<(), FleetError> {
        let (stopper, ended) = (fleet.stopper(), signals.send_on_drop(Command::End));
        let (sender, events) = mpsc::channel();
        thread::scope(|scope| {
            let run = move || {
                let _ended = ended;
                fleet.run(|event| {
                    // Without a receiver, nobody wants to know.
                    let _ = sender.send(*event);
                })
            };
            let thread = thread::Builder::new().spawn_scoped(scope, run);
            let thread = thread.map_err(FleetError::Open)?;
            self.run_timers(&stopper, signals, &events);
            thread.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause))
        })
    }

    /// Runs timers and handles signals until the fleet has ended.
    fn run_timers(
        &mut self,
        stopper: &Stopper,
        signals: &Signals<Command>,
        events: &Receiver<FleetEvent>,
    ) {
        loop {
            let tick = if self.is_behind { Duration::ZERO } else { TICK };
            let command = signals.wait_until(Instant::now() + tick);
            events.try_iter().for_each(|event| self.show(&event));
            match command {
                Some(Command::End) => return,
                Some(Command::Stop) => {
                    stopper.stop();
                }
                Some(Command::OutputFailed) => {
                    let is_bounded = self.args.count.is_some() || self.args.duration.is_some();
                    if !(self.out.is_reader_gone() && is_bounded) {
                        stopper.stop();
                    }
                }
                Some(Command::Abort) => stopper.abort(),
                Some(Command::Snapshot) => self.print_snapshot(),
                Some(Command::Reload) => self.is_reload_due = true,
                None => {}
            }
            self.shared.note_alive();
            self.take_answers(true).into_iter().for_each(|line| self.out.line(line));
            let now = Instant::now();
            // Signals in a row ask for the same, and must not keep a stop waiting behind them.
            if self.is_reload_due && now >= self.reload {
                self.reload();
            }
            if now >= self.second {
                self.second = next_tick(self.second, SECOND, now).unwrap_or(now + SECOND);
                if self.watch.has_changed() {
                    self.reload();
                }
                self.out.suppress(self.throttle.take_suppressed());
                self.out.status(|| text::status(self.shared.records().iter()).into());
            }
            if now >= self.files {
                self.files = next_tick(self.files, FILES, now).unwrap_or(now + FILES);
                if let Some(file) = &self.metrics {
                    file.write(self.shared.text());
                }
            }
        }
    }

    /// Prints that a target became unreachable or answers again.
    fn show(&mut self, event: &FleetEvent) {
        // Before the search, because all targets may change at once.
        if self.args.quiet || !self.throttle.admit(self.start.elapsed()) {
            return;
        }
        // First the throttle: each of thousands of targets may have an event, and one is found slowly.
        if !self.throttle.admit(self.start.elapsed()) {
            return;
        }
        let roster = self.shared.roster();
        let Some(member) = roster.member(event.target) else { return };
        self.out.event(match self.format {
            Format::Text => text::state(member, event.kind),
            Format::Json => json::state(member, event),
        });
    }

    /// Reads the file again. If it is wrong, the targets stay.
    fn reload(&mut self) {
        self.is_reload_due = false;
        self.reload = Instant::now() + SECOND;
        // Only what changes from here on is another change.
        let _ = self.watch.has_changed();
        let entries = file::read_again(self.file, self.args.hosts);
        let entries = entries.map_err(|error| error_chain(&error));
        let (result, targets) = {
            let mut roster = self.shared.roster();
            let result = entries.and_then(|entries| {
                let path = self.file.into();
                roster.set_entries(entries).map_err(|why| FileError::Rate { path, why }.to_string())
            });
            self.lookups.set_names(roster.lookups());
            (result, roster.members().count())
        };
        self.shared.note_reload(result.is_ok());
        let file = self.file.to_string_lossy();
        self.out.line(match self.format {
            Format::Text => text::reload(&file, targets, &result),
            Format::Json => json::reload(&file, targets, &result),
        });
    }

    /// Takes over the lookups that ended, and starts those that are due. Returns the lines about them:
    /// about failures, and if `is_shown`, also about changes.
    fn take_answers(&mut self, is_shown: bool) -> Vec<String> {
        let (now, mut lines) = (Instant::now(), Vec::new());
        let is_shown = is_shown && !self.args.quiet;
        // Signals and timers do not wait for what thousands of answers change.
        self.is_behind = loop {
            if now.elapsed() >= ANSWERS {
                break true;
            }
            let Some(answer) = self.lookups.poll_answer(now) else { break false };
            let name = answer.name.clone();
            let result = self.shared.roster().handle_answer(answer);
            let is_news = result.as_ref().map_or(true, |change| *change != Change::default());
            let is_shown = is_shown || result.is_err();
            if is_shown && is_news && self.throttle.admit(self.start.elapsed()) {
                lines.push(match self.format {
                    Format::Text => text::lookup(&name, &result),
                    Format::Json => json::lookup(&name, &result),
                });
            }
        };
        self.lookups.start_due(now);
        lines
    }

    fn print_snapshot(&self) {
        let (targets, counts) = self.shared.probed(self.start.elapsed());
        let lines = match self.format {
            Format::Text => vec![text::summary(self.args.outputs.layout(), &targets, counts)],
            Format::Json => json::snapshot(&targets, self.start.elapsed()),
        };
        self.out.reserve().fill(&lines);
    }

    /// Prints the summary, writes the last metrics, and returns the exit status.
    fn finish(mut self) -> Result<ExitCode, Box<dyn Error>> {
        let now = self.start.elapsed();
        let (targets, counts) = self.shared.probed(now);
        self.out.suppress(self.throttle.take_suppressed());
        self.out.close(match self.format {
            Format::Text => vec![text::summary(self.args.outputs.layout(), &targets, counts)],
            Format::Json => json::summary(&targets, now, counts),
        });
        let metrics = self.metrics.as_ref();
        let metrics = metrics.map_or(Ok(()), |file| file.finish(self.shared.text()));
        // Thousands of summaries take their time. It is over when the reader reads nothing, and at
        // another signal.
        allow_closed(self.out.finish(false))?;
        metrics?;
        let answered = targets.iter().all(|target| target.summary.answered > 0);
        Ok(ExitCode::from(u8::from(targets.is_empty() || !answered)))
    }
}

const SECOND: Duration = Duration::from_secs(1);

/// The longest wait of the main thread.
const TICK: Duration = Duration::from_millis(200);

/// The time to handle answers of lookups in a row.
const ANSWERS: Duration = Duration::from_millis(50);

/// The period of the metrics file, which may have a hundred thousand lines.
const FILES: Duration = Duration::from_secs(5);

/// The longest wait for the first lookups, before the targets that are known are probed.
const FIRST_LOOKUPS: Duration = Duration::from_secs(5);

/// The most lines per second about targets and names.
const STATE_LINES: u16 = 20;

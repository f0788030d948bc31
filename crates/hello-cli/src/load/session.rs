//! The run of `hello-load`: a single run, a search or a sweep.

mod finish;
mod watch;

use std::error::Error;
use std::net::SocketAddr;
use std::num::{NonZeroU64, NonZeroUsize};
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use hello_measure::{NoAnswer, Search, SearchPlan};
use hello_net::{Contact, GeneratorUsage, LoadBuilder, LoadError, LoadPlan, ZonedAddr};
use indicatif::ProgressStyle;

use self::watch::{Watched, silence};
use super::args::{Args, Mode};
use super::diagnosis::judge_trial;
use super::no_contact::NoContact;
use super::output::{json, text};
use super::plan::{SearchGoal, time_of_trials};
use super::progress::Trial;
use super::recorder::Recorder;
use super::summary::Summary;
use super::throughput::{SearchEnd, Throughput};
use crate::args::first_reply::{Destination, Tried};
use crate::output::Format;
use crate::output::console::{self, Console, Status};
use crate::output::json::Origin;
use crate::output::layout::Layout;
use crate::output::status::status_bar;
use crate::output::wall_clock::WallClock;
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
    args.outputs.check::<Summary>()?;
    // Before signals are handled, because only their default action interrupts a lookup.
    if let Some(hint) = args.hint() {
        console::warn(args.common.color(), &format!("hello-load: {hint}"));
    }
    let destination = args.destination()?;
    if let Some(notice) = destination.notice() {
        console::warn(args.common.color(), &format!("hello-load: {notice}"));
    }
    let signals = Signals::register(Command::Stop, Command::Abort, [])?;
    let mut session = Session::start(args, destination, signals)?;
    let run = session.run();
    // Also prints the result of a run that a broken socket ended.
    let finished = session.finish();
    run?;
    finished
}

/// A message to the main thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Stop sending.
    Stop,
    /// Stop sending, and do not wait for replies.
    Abort,
    /// Nothing more can be printed.
    OutputFailed,
    /// The generator has ended.
    End,
}

/// One or several runs against a server, and their results.
#[derive(Debug)]
pub struct Session<'a> {
    args: &'a Args,
    mode: Mode,
    target: String,
    address: SocketAddr,
    builder: LoadBuilder,
    plan: LoadPlan,
    origin: Origin,
    layout: Layout,
    out: Console,
    signals: Signals<Command>,
    stopped: bool,
    results: Vec<Summary>,
    throughput: Option<Throughput>,
    /// Whether the server has answered anything.
    is_reached: bool,
    no_contact: Option<NoContact>,
    /// The record of the last run.
    last: Recorder,
}

impl<'a> Session<'a> {
    /// Prints the plan for a target of [`Args::destination`].
    pub(crate) fn start(
        args: &'a Args,
        destination: Destination,
        signals: Signals<Command>,
    ) -> Result<Self, Box<dyn Error>> {
        let Destination { name: target, address: ZonedAddr(address), tried } = destination;
        let builder = args.builder()?;
        let plan = builder.check(address)?;
        let (format, layout) = (args.common.format(), args.outputs.layout());
        // A status line of nothing but a result to come would be none.
        let bar_format = if args.quiet { Format::Json } else { format };
        let style = progress_style(layout)?;
        let bar = || status_bar(bar_format).with_style(style);
        let out = args.outputs.console(
            format,
            args.common.color(),
            bar,
            signals.send_on_drop(Command::OutputFailed),
        )?;
        let session = Self {
            args,
            mode: args.mode(),
            target,
            address,
            builder,
            plan,
            origin: Origin::now("hello-load"),
            layout,
            out,
            signals,
            stopped: false,
            results: Vec::new(),
            throughput: None,
            is_reached: false,
            no_contact: None,
            last: Recorder::default(),
        };
        // Without its plan, a record says little.
        if !args.quiet || format == Format::Json {
            session.print_plan(&tried);
        }
        Ok(session)
    }

    fn print_plan(&self, tried: &[Tried]) {
        let (plan, trials) = (&self.plan, self.mode != Mode::Single);
        let (mode, search, sweep) = match &self.mode {
            Mode::Single => ("single", None, None),
            Mode::FindMax(search, tolerance) => {
                ("find-max", Some(SearchGoal::new(search, *tolerance, plan)), None)
            }
            Mode::Sweep(loads) => ("sweep", None, Some(&loads[..])),
        };
        let address = self.address.into();
        if self.args.common.format() == Format::Json {
            let (origin, target) = (&self.origin, &*self.target);
            let plan = json::plan(plan, trials);
            let start = json::Start { origin, target, address, tried, mode, plan, search, sweep };
            return self.out.line(json::header(&start));
        }
        let mut lines = vec![text::header(self.layout, &self.target, address, plan, trials)];
        lines.extend(search.map(|search| text::search_plan(self.layout, &search)));
        lines.extend(sweep.map(|loads| {
            let at_most = time_of_trials(plan, loads.len() as u64);
            text::sweep_plan(self.layout, loads, at_most)
        }));
        self.out.line(lines.join("\n"));
    }

    /// Makes all runs, and prints each trial.
    pub(crate) fn run(&mut self) -> Result<(), Box<dyn Error>> {
        match self.mode.clone() {
            Mode::Single => self.measure(&self.builder.clone(), None),
            Mode::FindMax(plan, tolerance) => self.search(plan, tolerance),
            Mode::Sweep(loads) => self.sweep(&loads),
        }
    }

    fn search(&mut self, plan: SearchPlan, tolerance: f64) -> Result<(), Box<dyn Error>> {
        let mut search = Search::new(plan);
        let goal = (tolerance, plan.resolution, plan.trials.get());
        let note = |session: &mut Self, search: &Search, end| {
            let trial = session.plan.duration;
            session.throughput = Some(Throughput::new(search.outcome(), end, goal, trial));
        };
        note(self, &search, SearchEnd::Open);
        while let Some(load) = search.next_load() {
            let trial = Trial {
                number: self.results.len() + 1,
                of: None,
                load,
                best: search.outcome().carried,
                left_at_most: time_of_trials(&self.plan, search.max_trials()),
            };
            self.trial(trial)?;
            if self.stopped {
                // An interrupted trial has no verdict.
                self.print_trial();
                return Ok(());
            }
            if self.is_silent() || self.is_refused() {
                note(self, &search, SearchEnd::Silent);
                self.print_trial();
                return Ok(());
            }
            let Some(summary) = self.results.last_mut() else { break };
            let verdict = judge_trial(summary, tolerance);
            summary.verdict = Some(verdict);
            search.handle(verdict);
            let is_over = search.next_load().is_none();
            note(self, &search, if is_over { SearchEnd::Found } else { SearchEnd::Open });
            self.print_trial();
        }
        Ok(())
    }

    fn sweep(&mut self, loads: &[NonZeroU64]) -> Result<(), Box<dyn Error>> {
        for (index, &load) in loads.iter().enumerate() {
            let left = (loads.len() - index) as u64;
            self.trial(Trial {
                number: index + 1,
                of: Some(loads.len()),
                load,
                best: None,
                left_at_most: time_of_trials(&self.plan, left),
            })?;
            self.print_trial();
            if self.stopped || self.is_silent() || self.is_refused() {
                break;
            }
        }
        Ok(())
    }

    /// Returns whether no trial had an answer.
    fn is_silent(&self) -> bool {
        self.no_contact.is_some()
            || self.results.iter().all(|summary| summary.no_answer().is_some())
    }

    /// Returns whether no server was listening in the last trial, as if it had ended since: what it
    /// lost says nothing about the load.
    fn is_refused(&self) -> bool {
        self.results.last().is_some_and(Summary::is_refused)
    }

    fn trial(&mut self, trial: Trial) -> Result<(), Box<dyn Error>> {
        self.measure(&self.args.trial(&self.builder, trial.load), Some(trial))
    }

    /// Makes one run, and adds its summary even if it failed after a while.
    fn measure(
        &mut self,
        builder: &LoadBuilder,
        trial: Option<Trial>,
    ) -> Result<(), Box<dyn Error>> {
        let started_at = WallClock::now();
        let generator = builder.clone().connect(self.address);
        let generator = generator.map_err(|error| self.args.explain(error))?;
        let (plan, stopper) = (&generator.plan().clone(), generator.stopper());
        let (contact, threads) = (generator.contact(), plan.threads.get());
        let recorders = Vec::from_iter((0..threads).map(|_| Mutex::new(Recorder::default())));
        let ended = self.signals.send_on_drop(Command::End);
        let run = thread::scope(|scope| {
            let recorders = &recorders;
            let run = move || {
                let _ended = ended;
                generator.run(|events| {
                    let mut recorder = lock(&recorders[events[0].thread]);
                    events.iter().for_each(|event| recorder.observe(event));
                })
            };
            let thread = thread::Builder::new().spawn_scoped(scope, run);
            let thread = thread.map_err(LoadError::Thread)?;
            let (stopper, contact) = (&stopper, &contact);
            let is_ended = self.watch(&Watched { plan, stopper, contact, recorders, trial });
            let run = thread.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause));
            Ok((run, is_ended))
        });
        self.out.status(Status::default);
        let (run, is_ended) = run.map_err(|error| self.args.explain(error))?;
        let (usage, failed) = match run {
            Ok(usage) => (usage, None),
            Err(error) => (GeneratorUsage::default(), Some(error)),
        };
        self.last = Recorder::default();
        for recorder in &recorders {
            self.last.merge(&lock(recorder));
        }
        let mut summary = self.last.summary(&self.target, self.address, plan, usage, started_at);
        summary.interrupted = self.stopped;
        if failed.is_none() {
            let waited = if is_ended { silence(plan) } else { plan.timeout };
            self.note_contact(plan, &summary, &contact, waited);
        }
        if failed.is_none() || summary.common.sent > 0 {
            self.results.push(summary);
        }
        failed.map_or(Ok(()), |error| Err(self.args.explain(error)))
    }

    /// Finds out why nothing was answered so far, unless the run was interrupted before that is known.
    fn note_contact(
        &mut self,
        plan: &LoadPlan,
        summary: &Summary,
        contact: &Contact,
        waited: Duration,
    ) {
        let was_reached = self.is_reached || summary.common.answered > 0;
        self.is_reached = was_reached || contact.has_answer();
        let is_known = matches!(
            summary.no_answer(),
            Some(NoAnswer::Refused | NoAnswer::Late | NoAnswer::Unrelated)
        );
        let was_sent = summary.common.sent > 0 || !plan.warm_up.is_zero();
        let error = contact.error();
        if was_reached
            || self.stopped
            || contact.has_answer() && !is_known
            || !was_sent && error.is_none()
        {
            return;
        }
        let found = (error, contact.has_unrelated());
        let greet = || self.greet(silence(plan));
        let no_contact = NoContact::explain(summary, found, waited, greet);
        self.no_contact = Some(match contact.cause() {
            Some(cause) => no_contact.reported(cause),
            None => no_contact,
        });
    }

    fn print_trial(&self) {
        let Some(summary) = self.results.last() else { return };
        let (is_json, is_sweep) =
            (self.args.common.format() == Format::Json, matches!(self.mode, Mode::Sweep(_)));
        // The trials of a sweep are its result, and text has a table of them.
        if self.args.quiet && !(is_json && is_sweep) {
            return;
        }
        self.out.line(match is_json {
            false => text::trial(self.layout, summary),
            true => json::trial(summary),
        });
    }
}

fn is_narrow(layout: Layout) -> bool {
    layout.width.is_some_and(|width| width.get() < 60)
}

/// Returns the number of columns for the message of the status line, beside the bar.
fn status_room(layout: Layout) -> Option<NonZeroUsize> {
    let bar = if is_narrow(layout) { 0 } else { "########## 100%  ".len() };
    NonZeroUsize::new(layout.width?.get().saturating_sub(bar))
}

/// Returns the style of the status line: a progress bar, if there is room, and a message.
fn progress_style(layout: Layout) -> Result<ProgressStyle, Box<dyn Error>> {
    let template = match is_narrow(layout) {
        true => "{wide_msg}",
        false => "{bar:10} {percent:>3}%  {wide_msg}",
    };
    let style = ProgressStyle::with_template(template)?;
    Ok(if layout.unicode { style } else { style.progress_chars("#>.") })
}

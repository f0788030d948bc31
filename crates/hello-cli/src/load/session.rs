//! The run of `hello-load`: a single run, a search or a sweep.

use std::error::Error;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use hello_measure::{Counts, Interval, Search, SearchPlan};
use hello_net::{GeneratorUsage, LoadBuilder, LoadError, LoadPlan, Stopper, ZonedAddr};
use indicatif::ProgressStyle;

use super::args::{Args, Mode};
use super::diagnosis::judge_trial;
use super::output::{json, plot, text};
use super::plan::Plan;
use super::recorder::Recorder;
use super::summary::Summary;
use super::throughput::{SearchEnd, Throughput};
use crate::args::first_reply::Destination;
use crate::output::Format;
use crate::output::console::{self, Console, Status};
use crate::output::options::print_export;
use crate::output::status::status_bar;
use crate::process::lock;
use crate::process::signals::Signals;
use crate::process::ticker::next_tick;

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
        console::warn(&format!("hello-load: {hint}"));
    }
    let destination = args.destination()?;
    if let Some(notice) = destination.notice() {
        console::warn(&format!("hello-load: {notice}"));
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
    /// The generator has ended.
    End,
}

/// One or several runs against a server, and their results.
#[derive(Debug)]
pub struct Session<'a> {
    args: &'a Args,
    target: String,
    address: SocketAddr,
    builder: LoadBuilder,
    plan: LoadPlan,
    out: Console,
    signals: Signals<Command>,
    stopped: bool,
    results: Vec<Summary>,
    throughput: Option<Throughput>,
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
        let (format, style) = (args.common.format(), ProgressStyle::with_template(PROGRESS)?);
        let bar = || status_bar(format).with_style(style);
        let out = args.outputs.console(
            format,
            args.common.color(),
            bar,
            signals.send_on_drop(Command::Stop),
        )?;
        let trials = args.mode() != Mode::Single;
        out.line(match format {
            Format::Text => text::header(&target, address, &plan, trials),
            Format::Json => json::header(&target, address, &tried, &plan, trials),
        });
        Ok(Self {
            args,
            target,
            address,
            builder,
            plan,
            out,
            signals,
            stopped: false,
            results: Vec::new(),
            throughput: None,
            last: Recorder::default(),
        })
    }

    /// Makes all runs, and prints each trial.
    pub(crate) fn run(&mut self) -> Result<(), Box<dyn Error>> {
        match self.args.mode() {
            Mode::Single => self.measure(self.builder.clone()),
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
            self.trial(load)?;
            if self.stopped {
                // An interrupted trial has no verdict.
                self.print_trial();
                return Ok(());
            }
            if self.is_silent() {
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
        for &load in loads {
            self.trial(load)?;
            self.print_trial();
            if self.stopped || self.is_silent() {
                break;
            }
        }
        Ok(())
    }

    /// Returns whether no trial had an answer.
    fn is_silent(&self) -> bool {
        self.results.iter().all(|summary| summary.no_answer().is_some())
    }

    fn trial(&mut self, load: NonZeroU64) -> Result<(), Box<dyn Error>> {
        self.measure(self.args.trial(&self.builder, load))
    }

    /// Makes one run, and adds its summary even if it failed after a while.
    fn measure(&mut self, builder: LoadBuilder) -> Result<(), Box<dyn Error>> {
        let generator = builder.connect(self.address);
        let generator = generator.map_err(|error| self.args.explain(error))?;
        let (plan, stopper) = (&generator.plan().clone(), generator.stopper());
        let threads = plan.threads.get();
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
            self.watch_signals(&stopper, recorders, plan);
            Ok(thread.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause)))
        });
        self.out.status(Status::default);
        let run = run.map_err(|error| self.args.explain(error))?;
        let (usage, failed) = match run {
            Ok(usage) => (usage, None),
            Err(error) => (GeneratorUsage::default(), Some(error)),
        };
        self.last = Recorder::default();
        for recorder in &recorders {
            self.last.merge(&lock(recorder));
        }
        let summary = self.last.summary(&self.target, self.address, plan, usage);
        if failed.is_none() || summary.common.sent > 0 {
            self.results.push(summary);
        }
        failed.map_or(Ok(()), |error| Err(self.args.explain(error)))
    }

    /// Shows the progress of a run and handles signals, until it ends.
    fn watch_signals(&mut self, stopper: &Stopper, recorders: &[Mutex<Recorder>], plan: &LoadPlan) {
        let start = Instant::now();
        let length = plan.warm_up.saturating_add(plan.duration);
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let rate = Plan::from(plan).rate;
        let seen = || {
            let mut counts = Counts::default();
            for recorder in recorders {
                counts.merge(&lock(recorder).counts());
            }
            (start.elapsed().saturating_sub(plan.warm_up), counts)
        };
        let (mut shown, mut printed) = (seen(), seen());
        // A time that the clock cannot represent is never due.
        let first = self.args.every.and_then(|every| plan.warm_up.checked_add(every));
        let mut interval = first.and_then(|after| start.checked_add(after));
        loop {
            let tick = Instant::now() + TICK;
            let message = self.signals.wait_until(interval.map_or(tick, |at| at.min(tick)));
            match message {
                Some(Command::Stop) => stopper.stop(),
                Some(Command::Abort) => stopper.abort(),
                Some(Command::End) | None => {}
            }
            self.stopped |= matches!(message, Some(Command::Stop | Command::Abort));
            let (is_over, now) = (message == Some(Command::End), Instant::now());
            if let (Some(at), Some(every)) = (interval, self.args.every)
                && (is_over || now >= at)
            {
                let by_now = seen();
                let part = Interval::between(printed, by_now, rate);
                // The last interval may be empty.
                if !(is_over && part.is_empty()) {
                    self.print_interval(&part);
                }
                (printed, interval) = (by_now, next_tick(at, every, now));
            }
            if is_over {
                return;
            }
            self.out.status(|| {
                let by_now = seen();
                let message = match now - start < plan.warm_up {
                    true => "warming up".into(),
                    false => text::status(&Interval::between(shown, by_now, rate)),
                };
                shown = by_now;
                let progress = match plan.count {
                    Some(count) => (by_now.1.sent, count),
                    None => (millis(now - start), millis(length)),
                };
                Status { message, progress: Some(progress) }
            });
        }
    }

    fn print_interval(&self, interval: &Interval) {
        self.out.line(match self.args.common.format() {
            Format::Text => text::interval(interval),
            Format::Json => json::interval(interval),
        });
    }

    fn print_trial(&self) {
        let Some(summary) = self.results.last() else { return };
        self.out.line(match self.args.common.format() {
            Format::Text => text::trial(summary),
            Format::Json => json::trial(summary),
        });
    }

    /// Prints the results, writes the exports, and returns the exit status.
    pub(crate) fn finish(self) -> Result<ExitCode, Box<dyn Error>> {
        // From now on, the first signal has the effect of the second one.
        drop(self.signals);
        let mode = self.args.mode();
        let is_text = self.args.common.format() == Format::Text;
        let lines = match (&mode, &self.throughput) {
            (Mode::Single, _) => {
                let line = if is_text { text::summary } else { json::summary };
                self.results.iter().map(line).collect()
            }
            (_, Some(throughput)) => {
                let line = if is_text { text::throughput } else { json::throughput };
                vec![line(throughput)]
            }
            (Mode::Sweep(loads), None) if is_text && !self.results.is_empty() => {
                vec![format!(
                    "\n{}",
                    text::sweep(self.args.outputs.layout(), &self.results, loads.len())
                )]
            }
            _ => vec![],
        };
        self.out.close(lines);
        let (results, throughput) = (&self.results, self.throughput.as_ref());
        let (last, mut exported) = (&self.last, Vec::new());
        let draw = || match mode {
            Mode::Single => plot::run(&self.target, last),
            _ => plot::loads(&self.target, results, throughput),
        };
        // A failure, or a reader that does not read, does not prevent the other outputs.
        let written = self.args.outputs.write(results, throughput, &mut exported, draw);
        let printed = self.out.finish(self.stopped);
        let printed = printed.and_then(|()| print_export(&exported, self.stopped));
        written?;
        printed?;
        let good = match throughput {
            Some(throughput) => throughput.throughput_per_s.is_some(),
            None => results.iter().any(|summary| summary.common.answered > 0),
        };
        Ok(ExitCode::from(u8::from(!good)))
    }
}

/// The template of the status line: the progress and the rates.
const PROGRESS: &str = "{bar:10} {percent:>3}%  {wide_msg}";

/// The period of the status line.
const TICK: Duration = Duration::from_millis(250);

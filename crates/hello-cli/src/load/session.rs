//! A run under load, a search or a sweep, from its start to its end.

use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use hello_net::{Effort, LoadError, LoadPlan, Loader};
use hello_proto::Counts;
use indicatif::{ProgressBar, ProgressStyle};

use super::args::{Args, Mode};
use super::interval::Interval;
use super::search::{Search, SearchPlan};
use super::summary::{End, Plan, Summary, Throughput};
use super::tally::{Tally, add};
use super::{json, limits, plot, text};
use crate::signals::Signals;
use crate::step::next;
use crate::{Format, OutputError};

/// What a run is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// To send no more.
    Stop,
    /// To wait for nothing more, either.
    Abort,
    /// To look no longer after what has ended.
    End,
}

/// Runs against one server, and what they have come to so far.
#[derive(Debug)]
pub struct Session<'a, O> {
    args: &'a Args,
    target: String,
    address: SocketAddr,
    plan: LoadPlan,
    out: O,
    bar: ProgressBar,
    signals: Signals<Ask>,
    stopped: bool,
    results: Vec<Summary>,
    throughput: Option<Throughput>,
    /// What the last run saw.
    last: Tally,
}

impl<'a, O: Write> Session<'a, O> {
    /// Prints the target, which [`Args::target`] returned, and the plan. `bar` shows how it goes, where there is somebody to see it.
    ///
    /// # Errors
    ///
    /// What [`Args::plan`] reports; [`OutputError`] if nothing can be printed.
    pub fn start(
        args: &'a Args,
        (target, address): (String, SocketAddr),
        (out, bar): (O, ProgressBar),
        signals: Signals<Ask>,
    ) -> Result<Self, Box<dyn Error>> {
        let plan = args.plan()?;
        plan.check(address)?;
        bar.set_style(ProgressStyle::with_template(PROGRESS)?);
        let mut session = Self {
            args,
            target,
            address,
            plan,
            out,
            bar,
            signals,
            stopped: false,
            results: Vec::new(),
            throughput: None,
            last: Tally::default(),
        };
        let Self { target, plan, .. } = &session;
        let trials = args.mode() != Mode::Single;
        session.line(&match args.common.format() {
            Format::Text => text::header(target, address, plan, trials),
            Format::Json => json::header(target, address, plan, trials),
        })?;
        Ok(session)
    }

    /// Makes all runs there are to be, and prints each of several when it is over.
    ///
    /// # Errors
    ///
    /// What goes wrong with a socket of our own, or with the output.
    pub fn run(&mut self) -> Result<(), Box<dyn Error>> {
        match self.args.mode() {
            Mode::Single => self.measure(&self.plan.clone()),
            Mode::FindMax(plan, tolerance) => self.search(plan, tolerance),
            Mode::Sweep(loads) => self.sweep(&loads),
        }
    }

    fn search(&mut self, plan: SearchPlan, tolerance: f64) -> Result<(), Box<dyn Error>> {
        let mut search = Search::new(plan);
        let asked = (tolerance, plan.resolution, plan.trials.get());
        let note = |session: &mut Self, search: &Search, end| {
            let trial = session.plan.duration;
            session.throughput = Some(Throughput::new(search.outcome(), end, asked, trial));
        };
        note(self, &search, End::Open);
        while let Some(load) = search.next_load() {
            self.trial(load)?;
            if self.stopped {
                // What is known of it, without a verdict.
                return Ok(self.print_trial()?);
            }
            if self.is_silent() {
                note(self, &search, End::Silent);
                return Ok(self.print_trial()?);
            }
            let Some(summary) = self.results.last_mut() else { break };
            let verdict = limits::judge(summary, tolerance);
            summary.verdict = Some(verdict);
            search.handle(verdict);
            let is_over = search.next_load().is_none();
            note(self, &search, if is_over { End::Found } else { End::Open });
            self.print_trial()?;
        }
        Ok(())
    }

    fn sweep(&mut self, loads: &[NonZeroU64]) -> Result<(), Box<dyn Error>> {
        for &load in loads {
            self.trial(load)?;
            self.print_trial()?;
            if self.stopped || self.is_silent() {
                break;
            }
        }
        Ok(())
    }

    /// Tells whether nothing was ever answered.
    fn is_silent(&self) -> bool {
        self.results.iter().all(|summary| summary.silence().is_some())
    }

    fn trial(&mut self, load: NonZeroU64) -> Result<(), Box<dyn Error>> {
        self.measure(&self.args.trial(&self.plan, load))
    }

    /// Makes one run, and adds what it came to, also if it failed after a while.
    fn measure(&mut self, plan: &LoadPlan) -> Result<(), Box<dyn Error>> {
        let loader = Loader::new(self.address, plan.clone());
        let loader = loader.map_err(|error| self.args.explain(error))?;
        let threads = plan.threads.get();
        let tallies = Vec::from_iter((0..threads).map(|_| Mutex::new(Tally::default())));
        let ended = self.signals.send_on_drop(Ask::End);
        let run = thread::scope(|scope| {
            let run = || {
                let _ended = ended;
                loader.run(&tallies)
            };
            let thread = thread::Builder::new().spawn_scoped(scope, run);
            let thread = thread.map_err(LoadError::Thread)?;
            let printed = self.look_after(&loader, &tallies, plan);
            let run = thread.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause));
            Ok::<_, LoadError>((run, printed))
        });
        self.bar.set_message("");
        let (run, printed) = run.map_err(|error| self.args.explain(error))?;
        let (effort, failed) = match run {
            Ok(effort) => (effort, None),
            Err(error) => (Effort::default(), Some(error)),
        };
        self.last = Tally::default();
        for tally in tallies {
            self.last.merge(tally.into_inner().unwrap_or_else(PoisonError::into_inner));
        }
        let summary = self.last.summary(&self.target, self.address, plan, effort);
        if failed.is_none() || summary.sent > 0 {
            self.results.push(summary);
        }
        failed.map_or(Ok(()), |error| Err(self.args.explain(error)))?;
        Ok(printed?)
    }

    /// Shows how a run goes and does what signals ask for, until it ends. What cannot be printed
    /// stops it.
    fn look_after(
        &mut self,
        loader: &Loader,
        tallies: &[Mutex<Tally>],
        plan: &LoadPlan,
    ) -> Result<(), OutputError> {
        let start = Instant::now();
        let whole = plan.warm_up.saturating_add(plan.duration);
        self.bar.set_length(match plan.count {
            Some(count) => count,
            None => u64::try_from(whole.as_millis()).unwrap_or(u64::MAX),
        });
        let rate = Plan::from(plan).rate;
        let seen = || {
            let mut counts = Counts::default();
            for tally in tallies {
                add(&mut counts, &tally.lock().unwrap_or_else(PoisonError::into_inner).counts());
            }
            (start.elapsed().saturating_sub(plan.warm_up), counts)
        };
        let (mut shown, mut printed, mut broken) = (seen(), seen(), Ok(()));
        // What is further away than the clock goes is never due.
        let first = self.args.every.and_then(|every| plan.warm_up.checked_add(every));
        let mut interval = first.and_then(|after| start.checked_add(after));
        loop {
            let tick = Instant::now() + TICK;
            let asked = self.signals.wait_until(interval.map_or(tick, |at| at.min(tick)));
            match asked {
                Some(Ask::Stop) => loader.stop(),
                Some(Ask::Abort) => loader.end(),
                Some(Ask::End) | None => {}
            }
            self.stopped |= matches!(asked, Some(Ask::Stop | Ask::Abort));
            let (is_over, now) = (asked == Some(Ask::End), Instant::now());
            if let (Some(at), Some(every)) = (interval, self.args.every)
                && (is_over || now >= at)
            {
                let by_now = seen();
                let part = Interval::between(printed, by_now, rate);
                // At the end, there may be nothing left.
                if !(is_over && part.is_empty())
                    && let Err(error) = self.print_interval(&part)
                {
                    broken = Err(error);
                    self.stopped = true;
                    loader.stop();
                }
                (printed, interval) = (by_now, next(at, every, now).filter(|_| broken.is_ok()));
            }
            if is_over {
                return broken;
            }
            if !self.bar.is_hidden() {
                let by_now = seen();
                self.bar.set_position(match plan.count {
                    Some(_) => by_now.1.sent,
                    None => u64::try_from((now - start).as_millis()).unwrap_or(u64::MAX),
                });
                self.bar.set_message(match now - start < plan.warm_up {
                    true => "warming up".into(),
                    false => text::status(&Interval::between(shown, by_now, rate)),
                });
                shown = by_now;
            }
        }
    }

    fn print_interval(&mut self, interval: &Interval) -> Result<(), OutputError> {
        let line = match self.args.common.format() {
            Format::Text => text::interval(interval),
            Format::Json => json::interval(interval),
        };
        self.line(&line)
    }

    fn print_trial(&mut self) -> Result<(), OutputError> {
        let Some(summary) = self.results.last() else { return Ok(()) };
        let line = match self.args.common.format() {
            Format::Text => text::trial(summary),
            Format::Json => json::trial(summary),
        };
        self.line(&line)
    }

    /// Prints what all came to, writes what else was asked for, and returns the status to exit
    /// with.
    ///
    /// # Errors
    ///
    /// Says which output cannot be written.
    pub fn finish(&mut self, exports: &mut impl Write) -> Result<ExitCode, Box<dyn Error>> {
        self.bar.finish_and_clear();
        let mode = self.args.mode();
        let is_text = self.args.common.format() == Format::Text;
        let lines = match (&mode, &self.throughput) {
            (Mode::Single, _) => {
                let put = if is_text { text::summary } else { json::summary };
                self.results.iter().map(put).collect()
            }
            (_, Some(throughput)) => {
                let put = if is_text { text::throughput } else { json::throughput };
                vec![put(throughput)]
            }
            (Mode::Sweep(loads), None) if is_text && !self.results.is_empty() => {
                vec![format!("\n{}", text::sweep(&self.results, loads.len()))]
            }
            _ => vec![],
        };
        // A reader who has left costs no file.
        let printed = lines.iter().try_for_each(|line| self.line(line));
        let (results, throughput) = (&self.results, self.throughput.as_ref());
        let last = &mut self.last;
        let draw = || match mode {
            Mode::Single => plot::run(&self.target, last),
            _ => plot::loads(&self.target, results, throughput),
        };
        self.args.outputs.write(results, throughput, exports, draw)?;
        printed?;
        let good = match throughput {
            Some(throughput) => throughput.throughput_per_s.is_some(),
            None => results.iter().any(|summary| summary.answered > 0),
        };
        Ok(ExitCode::from(u8::from(!good)))
    }

    fn line(&mut self, line: &str) -> Result<(), OutputError> {
        let out = &mut self.out;
        Ok(self.bar.suspend(|| writeln!(out, "{line}").and_then(|()| out.flush()))?)
    }
}

/// What shows how a run goes: how much of it is over, and the rates.
const PROGRESS: &str = "{bar:10} {percent:>3}%  {wide_msg}";

/// How often it is shown how a run goes.
const TICK: Duration = Duration::from_millis(250);

//! The run of `hello-ping`: threads, signals and timers.

use std::cell::RefCell;
use std::error::Error;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use hello_net::{ProbeError, ProbeEvent, Prober, Stopper};

use super::args::{Args, Unreachable};
use super::metrics_outputs::MetricsOutputs;
use super::output::{metrics, plot};
use super::plan::Plan;
use super::probers::{Command, open_all, resolve, run_all};
use super::report::{Report, Style, print_event};
use super::summary::Summary;
use super::totals::Totals;
use super::{Target, trace};
use crate::args::first_reply::Destination;
use crate::output::allow_closed;
use crate::output::console::{self, Console};
use crate::output::export::NO_TOTALS;
use crate::output::json::Origin;
use crate::output::options::print_export;
use crate::output::status::status_bar;
use crate::output::style::{BAD, paint};
use crate::process::lock;
use crate::process::signals::Signals;
use crate::process::ticker::next_tick;
use crate::sys::SIGQUIT;

/// Probes the targets, and returns the exit status.
///
/// # Errors
///
/// Returns the error for standard error.
pub fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    args.outputs.check::<Summary>()?;
    let resolved = resolve(args)?;
    let signals = Signals::register(Command::Stop, Command::Abort, [(SIGQUIT, Command::Snapshot)])?;
    let origin = Origin::now("hello-ping");
    let (opened, unreachable) =
        open_all(args, resolved, |Destination { name, address, tried }| {
            let prober = args.builder().connect(address.0)?;
            Ok((Target::new(name, address, tried, &prober, &origin), prober))
        })?;
    let (targets, probers): (Vec<_>, Vec<_>) = opened.into_iter().unzip();
    let (format, layout) = (args.common.format(), args.outputs.layout());
    let style = Style { format, quiet: args.quiet, timestamps: args.timestamps, layout };
    let failed = signals.send_on_drop(Command::OutputFailed);
    let out = args.outputs.console(format, args.common.color(), || status_bar(format), failed)?;
    if args.trace {
        return trace::run(args, style, &origin, (targets, unreachable), probers, signals, out);
    }
    let session = Session::start(args, style, &origin, (targets, unreachable), out)?;
    let watched = session.watch(probers, &signals);
    // From now on, the first signal has the effect of the second one.
    drop(signals);
    // Also prints the summary of a run that a broken socket ended.
    let finished = session.finish();
    watched?;
    finished
}

/// A run of probes to one or several targets.
#[derive(Debug)]
pub struct Session<'a> {
    args: &'a Args,
    plan: Plan,
    /// Shared with the threads that send and receive: a lock that is held long delays probes.
    report: Mutex<Report>,
    /// Used by the main thread only.
    totals: RefCell<Totals>,
    out: Console,
    metrics: MetricsOutputs,
    start: Instant,
    stopped: AtomicBool,
}

impl<'a> Session<'a> {
    /// Publishes the first metrics, and prints the headers to `out`.
    pub(crate) fn start(
        args: &'a Args,
        style: Style,
        origin: &Origin,
        (targets, unreachable): (Vec<Target>, Vec<Unreachable>),
        out: Console,
    ) -> Result<Self, Box<dyn Error>> {
        let plan = args.plan();
        let report = Mutex::new(Report::new(style, targets.clone()));
        let totals = Totals::new(style, targets).with_unreachable(unreachable);
        let metrics =
            MetricsOutputs::start(args.metrics_file.as_deref(), args.metrics_listen, || {
                metrics::of_targets(totals.runs(), &totals.summaries(Duration::ZERO))
            })?;
        metrics.announce(style.format, args.common.color(), &out);
        totals.headers(origin, &plan).into_iter().for_each(|line| out.line(line));
        let (totals, start, stopped) = (RefCell::new(totals), Instant::now(), false.into());
        Ok(Self { args, plan, report, totals, out, metrics, start, stopped })
    }

    /// Sends all probes and prints their events, until every prober has ended.
    pub(crate) fn watch(
        &self,
        probers: Vec<Prober>,
        signals: &Signals<Command>,
    ) -> Result<(), ProbeError> {
        if let Some(threshold) = self.plan.trace_on_loss {
            lock(&self.report).trace_on_loss(threshold, probers.iter().map(Prober::trace_handle));
        }
        let (report, out) = (&self.report, &self.out);
        let run = |target, prober: Prober| {
            let print = |event: &ProbeEvent<'_>| print_event(report, out, target, event);
            prober.run(print).map(drop)
        };
        run_all(probers, signals, Stopper::stop, run, |stoppers| {
            self.watch_signals(stoppers, signals);
        })
    }

    /// Prints the summaries, writes the exports, and returns the exit status.
    pub(crate) fn finish(self) -> Result<ExitCode, Box<dyn Error>> {
        let now = self.collect(lock(&self.report));
        let mut totals = self.totals.borrow_mut();
        let mut report = lock(&self.report);
        let summaries = totals.summaries(now);
        // The last interval, so that the intervals add up to the totals.
        let mut last =
            self.plan.every.map_or_else(Vec::new, |every| totals.last_interval(now, every));
        let traces = report.traces();
        last.extend(totals.traces(&traces));
        last.extend(totals.finish(&self.plan, now));
        self.out.suppress(report.take_suppressed());
        self.out.close(last);
        let draw = || {
            let runs = totals.runs().iter().zip(report.timelines()).zip(&summaries);
            let runs = runs.map(|((run, timeline), summary)| (run, timeline, summary));
            plot::draw(&Vec::from_iter(runs), self.plan.interval, &traces)
        };
        let mut exported = Vec::new();
        // A failure, or a reader that does not read, does not prevent the other outputs.
        let outputs = self.args.outputs.write(&summaries, NO_TOTALS, &mut exported, draw);
        let metrics = self.metrics.finish(|| metrics::of_targets(totals.runs(), &summaries));
        let all_reachable = totals.unreachable().is_empty();
        drop((totals, report));
        let stopped = self.stopped.load(Relaxed);
        // Each may have another reader. One that leaves ends the printing, not the verdict.
        let printed = allow_closed(self.out.finish(stopped))
            .and_then(|()| allow_closed(print_export(&exported, stopped)));
        let thresholds = &self.plan.thresholds;
        let violations =
            Vec::from_iter(summaries.iter().flat_map(|one| thresholds.violations(one)));
        if !violations.is_empty() {
            let lines = violations.iter().map(|line| format!("hello-ping: {}", paint(BAD, line)));
            console::warn(self.args.common.color(), &Vec::from_iter(lines).join("\n"));
        }
        outputs?;
        metrics?;
        printed?;
        let enough = match (self.plan.count, self.plan.deadline) {
            (Some(count), Some(_)) => count.get(),
            _ => 1,
        };
        let answered = summaries.iter().all(|summary| summary.common.answered >= enough);
        let good = all_reachable && answered && violations.is_empty();
        Ok(ExitCode::from(u8::from(!good)))
    }

    /// Runs timers and handles signals until the run ends.
    fn watch_signals(&self, stoppers: &[Stopper], signals: &Signals<Command>) {
        // A time that the clock cannot represent is never due.
        let mut deadline = self.plan.deadline.and_then(|after| self.start.checked_add(after));
        let mut interval = self.plan.every.and_then(|every| self.start.checked_add(every));
        let (mut second, mut stopped_at) = (self.start + SECOND, None);
        loop {
            let due = [deadline, interval].into_iter().flatten().fold(second, Instant::min);
            match signals.wait_until(due) {
                Some(Command::End) => return,
                Some(Command::Stop) => {
                    self.stopped.store(true, Relaxed);
                    stoppers.iter().for_each(Stopper::stop);
                    stopped_at = Some(Instant::now());
                    self.show_progress(stopped_at);
                }
                // A run with an end gives its verdict, even if nobody reads the rest of its lines.
                Some(Command::OutputFailed)
                    if self.out.is_reader_gone() && self.plan.is_bounded() => {}
                Some(Command::OutputFailed) => stoppers.iter().for_each(Stopper::stop),
                Some(Command::Abort) => stoppers.iter().for_each(Stopper::abort),
                Some(Command::Snapshot) => {
                    self.print(|totals, now| totals.snapshot(&self.plan, now));
                }
                None => {}
            }
            let now = Instant::now();
            if deadline.take_if(|deadline| now >= *deadline).is_some() {
                stoppers.iter().for_each(Stopper::abort);
            }
            if let (Some(at), Some(every)) = (interval, self.plan.every)
                && now >= at
            {
                interval = next_tick(at, every, now);
                self.print(Totals::interval);
            }
            if now >= second {
                second = next_tick(second, SECOND, now).unwrap_or(now + SECOND);
                self.out.suppress(lock(&self.report).take_suppressed());
                self.show_progress(stopped_at);
            }
        }
    }

    /// Updates the status line and the metrics, if there are any.
    fn show_progress(&self, stopped_at: Option<Instant>) {
        if !self.out.is_watched() && !self.metrics.are_wanted() {
            return;
        }
        let report = lock(&self.report);
        let now = match self.metrics.are_wanted() {
            true => self.collect(report),
            false => self.collect_parts(report),
        };
        let totals = self.totals.borrow();
        self.out.status(|| match stopped_at {
            None => totals.status(&self.plan, now).into(),
            Some(at) => {
                let left = self.plan.timeout.saturating_sub(at.elapsed());
                totals.waiting(now, left).into()
            }
        });
        self.metrics.publish(|| metrics::of_targets(totals.runs(), &totals.summaries(now)));
    }

    /// Prints lines about the events until now, in the place between these and later events.
    fn print(&self, lines: impl FnOnce(&mut Totals, Duration) -> Vec<String>) {
        let report = lock(&self.report);
        let place = self.out.reserve();
        let now = self.collect(report);
        place.fill(&lines(&mut self.totals.borrow_mut(), now));
    }

    /// Adds the events until now to the totals, and returns the time.
    fn collect(&self, report: MutexGuard<'_, Report>) -> Duration {
        let outages = report.outages();
        self.totals.borrow_mut().set_outages(outages);
        self.collect_parts(report)
    }

    /// Does the same without the outages, which take long to find if many probes are in flight.
    fn collect_parts(&self, mut report: MutexGuard<'_, Report>) -> Duration {
        let now = self.start.elapsed();
        let parts = report.take_parts(now);
        drop(report);
        self.totals.borrow_mut().append(&parts);
        now
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::net::{Ipv4Addr, UdpSocket};

    use clap::Parser;
    use indicatif::ProgressBar;

    use super::*;
    use crate::output::Format;
    use crate::output::console::Stream;
    use crate::output::fixtures::Memory;
    use crate::ping::Target;
    use crate::ping::fixtures::{TEXT, answered, sent, target};

    #[test]
    fn reply_while_an_interval_is_summarised_stands_after_its_line_and_counts_in_the_next() {
        let args = Args::parse_from(["hello-ping", "--every", "1s", "localhost"]);
        let origin = Origin::now("hello-ping");
        let memory = Memory::default();
        let stream = Stream::Other(Box::new(memory.clone()));
        let out = Console::start(stream, ProgressBar::hidden(), Format::Text, 9, ());
        let out = out.expect("a thread");
        let session = Session::start(&args, TEXT, &origin, (vec![target()], vec![]), out)
            .expect("no metrics");
        let event = |kind| {
            let event = ProbeEvent::new(SECOND, 0, kind);
            print_event(&session.report, &session.out, 0, &event);
        };
        for seq in 0..3 {
            event(sent(seq));
            session.print(|totals, now| {
                event(answered(SECOND / 1000));
                totals.interval(now)
            });
        }
        session.finish().expect("memory");
        let text = memory.text();
        let lines = text.lines().skip(1).take(7);
        let (replies, intervals) = lines.partition::<Vec<_>, _>(|line| line.contains("bytes from"));
        assert!(replies.len() == 3 && text.lines().nth(2) == Some(replies[0]), "{text}");
        for (line, received) in intervals.iter().zip([0, 1, 1, 1]) {
            assert!(line.contains(&format!(" {received} received")), "{text}");
        }
    }

    #[test]
    fn quiet_run_stops_if_its_summaries_cannot_be_printed() {
        let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = server.local_addr().expect("bound");
        let args = ["hello-ping", "-q", "--every", "1ms", &address.to_string()];
        let args = Args::parse_from(args);
        let target = Target { name: address.to_string(), address: address.into(), ..target() };
        // Has room for the header, but not for more.
        let room = Stream::Other(Box::new(Cursor::new([0; 100])));
        let style = Style { quiet: true, ..TEXT };
        let (signals, origin) = (Signals::new(), Origin::now("hello-ping"));
        let (bar, failed) = (ProgressBar::hidden(), signals.send_on_drop(Command::OutputFailed));
        let out = Console::start(room, bar, Format::Text, 9, failed).expect("a thread");
        let session =
            Session::start(&args, style, &origin, (vec![target], vec![]), out).expect("no metrics");
        let prober = args.builder().connect(address).expect("a port");
        session.watch(vec![prober], &signals).expect("no broken socket");
        let error = session.finish().expect_err("no room");
        assert_eq!(error.to_string(), "cannot write to standard output");
    }
}

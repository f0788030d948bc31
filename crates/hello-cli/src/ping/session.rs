//! A run of probes from its start to its end: threads, signals, times.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use hello_net::{ProbeError, ProbeEvent, Prober};

use super::args::Args;
use super::report::Report;
use super::tally::Tally;
use super::{metrics, plot};
use crate::OutputError;
use crate::export::NOTHING;
use crate::signals::Signals;
use crate::step::next;
use crate::textfile::Textfile;

/// What a run is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// To send no more.
    Stop,
    /// To wait for nothing more, either.
    Abort,
    /// To sum up, and go on.
    Snapshot,
    /// To end, for nothing more is to be waited for.
    End,
}

/// A run of probes to one target or several.
#[derive(Debug)]
pub struct Session<'a, O> {
    args: &'a Args,
    report: Mutex<Report<O>>,
    /// The first error of the output, after which there is none.
    broken: Mutex<Option<io::Error>>,
    metrics: Option<Textfile>,
    start: Instant,
}

impl<'a, O: Write + Send> Session<'a, O> {
    /// Makes ready to print by way of `report`.
    ///
    /// # Errors
    ///
    /// Says that the metrics file cannot be written.
    pub fn new(args: &'a Args, report: Report<O>) -> Result<Self, Box<dyn Error>> {
        let metrics = args.metrics_file.as_deref();
        let metrics =
            metrics.map(|path| Textfile::start(path, in_numbers(&report, Duration::ZERO)));
        let (report, broken) = (Mutex::new(report), Mutex::new(None));
        Ok(Self { args, report, broken, metrics: metrics.transpose()?, start: Instant::now() })
    }

    /// Sends all probes, and prints what happens, until nothing more is to be waited for.
    ///
    /// # Errors
    ///
    /// What goes wrong with a socket of our own, or with the output, once all have ended.
    pub fn watch(&self, probers: &[Prober], signals: &Signals<Ask>) -> Result<(), Box<dyn Error>> {
        let ended = Arc::new(signals.send_on_drop(Ask::End));
        let results = thread::scope(|scope| {
            let mut threads = Vec::new();
            for (target, prober) in probers.iter().enumerate() {
                let ended = Arc::clone(&ended);
                let run = move || {
                    let _ended = ended;
                    let print = |event: &ProbeEvent<'_>| {
                        self.print(probers, |report| report.event(target, event));
                    };
                    prober.run(print).map(drop)
                };
                let thread = thread::Builder::new().spawn_scoped(scope, run);
                threads.push(thread.map_err(|error| {
                    probers.iter().for_each(Prober::stop);
                    ProbeError::Thread(error)
                })?);
            }
            drop(ended);
            self.look_after(probers, signals);
            let join = |thread: thread::ScopedJoinHandle<'_, _>| {
                thread.join().unwrap_or_else(|cause| std::panic::resume_unwind(cause))
            };
            Ok::<_, ProbeError>(Vec::from_iter(threads.into_iter().map(join)))
        })?;
        results.into_iter().collect::<Result<(), _>>()?;
        match lock(&self.broken).take() {
            Some(error) => Err(OutputError::from(error).into()),
            None => Ok(()),
        }
    }

    /// Prints the summaries, writes what else was asked for, and returns the status to exit with.
    ///
    /// # Errors
    ///
    /// Says which output cannot be written.
    pub fn finish(&self, exports: &mut impl Write) -> Result<ExitCode, Box<dyn Error>> {
        let mut report = lock(&self.report);
        let now = self.start.elapsed();
        let summaries = report.summaries(now);
        // A reader who has left costs no file.
        let printed = match self.args.every {
            // What is left, so that the parts add up to the whole.
            Some(_) => report.interval(now).and_then(|()| report.finish(now)),
            None => report.finish(now),
        };
        let draw = || plot::draw(&Vec::from_iter(report.runs()));
        // One that fails costs no other.
        let outputs = self.args.outputs.write(&summaries, NOTHING, exports, draw);
        let last = |file: &Textfile| file.finish(in_numbers(&report, self.start.elapsed()));
        let metrics = self.metrics.as_ref().map_or(Ok(()), last);
        drop(report);
        let thresholds = self.args.thresholds();
        let exceeded = Vec::from_iter(summaries.iter().flat_map(|one| thresholds.exceeded(one)));
        for line in &exceeded {
            let _ = io::stderr().write_all(format!("hello-ping: {line}\n").as_bytes());
        }
        outputs?;
        metrics?;
        printed.map_err(OutputError::from)?;
        let enough = match (self.args.count, self.args.deadline) {
            (Some(count), Some(_)) => count,
            _ => 1,
        };
        let answered = summaries.iter().all(|summary| summary.answered >= enough);
        Ok(ExitCode::from(u8::from(!answered || !exceeded.is_empty())))
    }

    /// Does what is due and what signals ask for, until the run ends.
    fn look_after(&self, probers: &[Prober], signals: &Signals<Ask>) {
        // What is further away than the clock goes is never due.
        let mut deadline = self.args.deadline.and_then(|after| self.start.checked_add(after));
        let mut interval = self.args.every.and_then(|every| self.start.checked_add(every));
        let mut second = self.start + SECOND;
        loop {
            let due = [deadline, interval].into_iter().flatten().fold(second, Instant::min);
            match signals.wait_until(due) {
                Some(Ask::End) => return,
                Some(Ask::Stop) => probers.iter().for_each(Prober::stop),
                Some(Ask::Abort) => probers.iter().for_each(Prober::end),
                Some(Ask::Snapshot) => {
                    self.print(probers, |report| report.snapshot(self.start.elapsed()));
                }
                None => {}
            }
            let now = Instant::now();
            if deadline.take_if(|deadline| now >= *deadline).is_some() {
                probers.iter().for_each(Prober::end);
            }
            if let (Some(at), Some(every)) = (interval, self.args.every)
                && now >= at
            {
                interval = next(at, every, now);
                self.print(probers, |report| report.interval(self.start.elapsed()));
            }
            if now >= second {
                second = next(second, SECOND, now).unwrap_or(now + SECOND);
                lock(&self.report).status(self.start.elapsed());
                // One that fails is tried again in a second, and the last time it counts.
                if let Some(file) = &self.metrics {
                    file.write(in_numbers(&lock(&self.report), self.start.elapsed()));
                }
            }
        }
    }

    /// Prints something. What nobody sees need not go on: an error of the output stops all probers.
    fn print(&self, probers: &[Prober], print: impl FnOnce(&mut Report<O>) -> io::Result<()>) {
        if let Err(error) = print(&mut lock(&self.report)) {
            lock(&self.broken).get_or_insert(error);
            probers.iter().for_each(Prober::stop);
        }
    }
}

/// Puts the run so far into Prometheus' text format.
fn in_numbers<O: Write>(report: &Report<O>, now: Duration) -> String {
    let tallies: Vec<&Tally> = report.runs().map(|(tally, _)| tally).collect();
    metrics::text(&tallies, now)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const SECOND: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, UdpSocket};

    use clap::Parser;
    use indicatif::ProgressBar;

    use super::*;
    use crate::Format;
    use crate::ping::Target;
    use crate::ping::report::Style;

    #[test]
    fn a_run_of_which_nobody_reads_the_summaries_stops_though_no_event_is_printed() {
        let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = server.local_addr().expect("bound");
        let args = ["hello-ping", "-q", "--every", "1ms", &address.to_string()];
        let args = Args::parse_from(args);
        let target = Target { name: address.to_string(), address, name_len: 16, flows: 1 };
        // The head fits in, and then there is no more room.
        let mut room = [0; 100];
        let style = Style { format: Format::Text, quiet: true, terminal: false };
        let report = Report::start(style, &mut room[..], ProgressBar::hidden(), [target]);
        let session = Session::new(&args, report.expect("room")).expect("no metrics");
        let prober = Prober::new(address, args.plan()).expect("a port");
        let signals = Signals::new();
        let error = session.watch(&[prober], &signals).expect_err("no room");
        assert_eq!(error.to_string(), "cannot write to standard output");
    }
}

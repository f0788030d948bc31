//! A run as it goes on and as it ends, in the form asked for.

use std::io::{self, Write};
use std::time::Duration;

use hello_net::{ProbeEvent, ProbeEventKind};
use hello_proto::Arrival;
use indicatif::ProgressBar;

use super::summary::Summary;
use super::tally::Tally;
use super::{Target, json, text};
use crate::Format;
use crate::bars::bars;
use crate::course::Course;

/// How much is printed.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// In which form.
    pub format: Format,
    /// No line for each event.
    pub quiet: bool,
    /// For a terminal: with bars in the summary.
    pub terminal: bool,
}

/// Prints what happens to the probes of all targets, and adds it up.
#[derive(Debug)]
pub struct Report<O> {
    style: Style,
    out: O,
    /// The line below all others.
    bar: ProgressBar,
    runs: Vec<Run>,
}

/// One target of a [`Report`].
#[derive(Debug)]
struct Run {
    whole: Tally,
    /// Since the last interval.
    part: Tally,
    course: Course,
}

impl Run {
    fn handle(&mut self, event: &ProbeEvent<'_>) {
        self.whole.handle(event);
        self.part.handle(event);
        match event.kind {
            ProbeEventKind::Received { arrival: Arrival::Answered { rtt, .. }, .. } => {
                self.course.answered(event.at, rtt);
            }
            ProbeEventKind::Lost { .. } => self.course.lost(event.at),
            _ => {}
        }
    }
}

impl<O: Write> Report<O> {
    /// Says whom the probes go to. `bar` shows how it goes, where there is somebody to see it.
    ///
    /// # Errors
    ///
    /// Whatever `out` reports, here and in the other functions.
    pub fn start(
        style: Style,
        out: O,
        bar: ProgressBar,
        targets: impl IntoIterator<Item = Target>,
    ) -> io::Result<Self> {
        let run = |target| {
            let whole = Tally::new(target);
            Run { part: whole.clone(), whole, course: Course::new() }
        };
        let runs = Vec::from_iter(targets.into_iter().map(run));
        let mut report = Self { style, out, bar, runs };
        for index in 0..report.runs.len() {
            let target = report.runs[index].whole.target();
            report.line(&match style.format {
                Format::Text => text::header(target),
                Format::Json => json::header(target),
            })?;
        }
        Ok(report)
    }

    /// Adds an event up, and prints it. Targets are counted from 0.
    ///
    /// # Errors
    ///
    /// Whatever `out` reports.
    ///
    /// # Panics
    ///
    /// If there is no such target.
    pub fn event(&mut self, target: usize, event: &ProbeEvent<'_>) -> io::Result<()> {
        let run = &mut self.runs[target];
        run.handle(event);
        let line = match self.style.format {
            _ if self.style.quiet => None,
            Format::Text => text::event(run.whole.target(), event),
            Format::Json => json::event(run.whole.target(), event),
        };
        line.map_or(Ok(()), |line| self.line(&line))
    }

    /// Sums up what happened since the last call.
    ///
    /// # Errors
    ///
    /// Whatever `out` reports.
    pub fn interval(&mut self, now: Duration) -> io::Result<()> {
        for index in 0..self.runs.len() {
            let part = &mut self.runs[index].part;
            let summary = part.summary(now);
            part.reset(now);
            self.line(&match self.style.format {
                Format::Text => text::interval(&summary),
                Format::Json => json::interval(&summary, now),
            })?;
        }
        Ok(())
    }

    /// Sums the run up so far, while it goes on.
    ///
    /// # Errors
    ///
    /// Whatever `out` reports.
    pub fn snapshot(&mut self, now: Duration) -> io::Result<()> {
        self.summaries(now).iter().try_for_each(|summary| {
            self.line(&match self.style.format {
                Format::Text => text::summary(summary, &[]),
                Format::Json => json::snapshot(summary, now),
            })
        })
    }

    /// Shows how it goes, if there is somebody to see it.
    pub fn status(&self, now: Duration) {
        if !self.bar.is_hidden() {
            self.bar.set_message(text::status(&self.summaries(now)));
        }
    }

    /// Sums the whole run up: of several targets, each and all side by side.
    ///
    /// # Errors
    ///
    /// Whatever `out` reports.
    pub fn finish(&mut self, now: Duration) -> io::Result<Vec<Summary>> {
        self.bar.finish_and_clear();
        let summaries = self.summaries(now);
        if summaries.len() > 1 && self.style.format == Format::Text {
            self.line(&format!("\n{}", text::comparison(&summaries)))?;
        }
        for (index, summary) in summaries.iter().enumerate() {
            let line = match self.style.format {
                Format::Text => text::summary(summary, &self.more(index, summary)),
                Format::Json => json::summary(summary, now),
            };
            self.line(&line)?;
        }
        Ok(summaries)
    }

    /// Sums up at `now`, without printing it.
    pub fn summaries(&self, now: Duration) -> Vec<Summary> {
        Vec::from_iter(self.runs.iter().map(|run| run.whole.summary(now)))
    }

    /// Yields what happened to each target, for metrics and pictures.
    pub fn runs(&self) -> impl Iterator<Item = (&Tally, &Course)> {
        self.runs.iter().map(|run| (&run.whole, &run.course))
    }

    /// What a summary in text has beside its lines.
    fn more(&self, index: usize, summary: &Summary) -> Vec<String> {
        let mut more = Vec::new();
        if summary.flows.len() > 1 {
            more.push(text::flows(&summary.flows));
        }
        if self.style.terminal && summary.answered > 1 {
            more.push(bars(self.runs[index].whole.rtts(), BAR_WIDTH));
        }
        more
    }

    fn line(&mut self, line: &str) -> io::Result<()> {
        let out = &mut self.out;
        self.bar.suspend(|| writeln!(out, "{line}").and_then(|()| out.flush()))
    }
}

/// What fits beside the numbers in 80 columns.
const BAR_WIDTH: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ping::sample::{answered, lost, sent, target};

    const SECOND: Duration = Duration::from_secs(1);

    /// What is printed of a run of two targets, the second of which is silent.
    fn printed(style: Style) -> String {
        let silent = Target { name: "silent:9999".into(), flows: 2, ..target() };
        let mut out = Vec::new();
        let bar = ProgressBar::hidden();
        let mut report = Report::start(style, &mut out, bar, [target(), silent]).expect("memory");
        let mut event = |target, kind: ProbeEventKind<'_>| {
            report.event(target, &ProbeEvent { at: SECOND, flow: 0, kind }).expect("memory");
        };
        for kind in [sent(0), answered(SECOND / 1000), sent(1), answered(SECOND / 500)] {
            event(0, kind);
        }
        event(1, sent(0));
        event(1, lost(0));
        report.interval(SECOND).expect("memory");
        report.interval(2 * SECOND).expect("memory");
        let summaries = report.finish(3 * SECOND).expect("memory");
        assert_eq!(summaries.iter().map(|summary| summary.sent).sum::<u64>(), 3);
        let losses = report.runs().map(|(tally, course)| {
            (tally.counts().lost, course.periods().map(|(_, period)| period.lost).sum())
        });
        assert_eq!(Vec::from_iter(losses), [(0, 0), (1, 1)]);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn intervals_hold_what_is_new_and_the_end_compares_and_sums_up() {
        let style = Style { format: Format::Text, quiet: false, terminal: true };
        let text = printed(style);
        for part in [
            "PING 192.0.2.1:9999 (192.0.2.1) 16(44) bytes of data.\nPING silent:9999 ",
            "\n24 bytes from 192.0.2.1:9999: seq=0 time=1.000 ms\n",
            "\n192.0.2.1:9999: seq=0 flow=0 lost\n",
            "\nsilent:9999: 1 packets transmitted, 0 received, 100% packet loss, time 1000ms\n",
            "\nsilent:9999: 0 packets transmitted, 0 received, time 1000ms\n",
            "\n\ntarget          sent  lost  ",
            "\n  from ms  to ms  replies",
            "\n  flow  sent  answered  lost  ",
            "\n--- 192.0.2.1:9999 ping statistics ---\n2 packets transmitted, 2 received, 0% ",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        let end = "\n1 packets transmitted, 0 received, 100% packet loss, time 3000ms\n\n";
        assert!(text.ends_with(end), "{text}");
        assert_eq!(text.matches("from ms").count(), 1, "{text}");
        let piped = printed(Style { terminal: false, ..style });
        assert!(!piped.contains("from ms") && !piped.contains('\u{1b}'), "{piped}");
    }

    #[test]
    fn quiet_is_without_the_events_and_with_the_summary() {
        for (format, lines) in [(Format::Text, None), (Format::Json, Some(8))] {
            let text = printed(Style { format, quiet: true, terminal: false });
            assert!(!text.contains("seq"), "{text}");
            assert!(lines.is_none_or(|lines| text.lines().count() == lines), "{text}");
        }
    }
}

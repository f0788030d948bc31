//! A run as it goes on and as it ends, in the form asked for.

use std::time::Duration;

use hello_measure::{ReplyKind, Timeline};
use hello_net::{ProbeEvent, ProbeEventKind};

use super::Target;
use super::output::{json, text};
use super::recorder::Recorder;
use super::summary::Summary;
use crate::output::Format;
use crate::output::histogram::bars;
use crate::output::throttle::LineThrottle;

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

/// Adds up what happens to the probes of all targets, and puts it into lines.
#[derive(Debug)]
pub struct Report {
    style: Style,
    runs: Vec<TargetRun>,
    /// Limits the lines that others than we cause.
    unexpected: LineThrottle,
}

/// One target of a [`Report`].
#[derive(Debug)]
struct TargetRun {
    totals: Recorder,
    /// Since the last interval.
    part: Recorder,
    timeline: Timeline,
}

impl TargetRun {
    fn handle(&mut self, event: &ProbeEvent<'_>) {
        self.totals.handle(event);
        self.part.handle(event);
        match event.kind {
            ProbeEventKind::Received { arrival: ReplyKind::Answered { rtt, .. }, .. } => {
                self.timeline.answered(event.at, rtt);
            }
            ProbeEventKind::Lost { .. } => self.timeline.lost(event.at),
            _ => {}
        }
    }
}

impl Report {
    /// Starts with nothing sent to any target.
    pub fn new(style: Style, targets: impl IntoIterator<Item = Target>) -> Self {
        let run = |target| {
            let totals = Recorder::new(target);
            TargetRun { part: totals.clone(), totals, timeline: Timeline::new() }
        };
        let unexpected = LineThrottle::new(STRANGE_LINES);
        Self { style, runs: Vec::from_iter(targets.into_iter().map(run)), unexpected }
    }

    /// Adds an event up, and returns its line if it has one. Targets are counted from 0.
    ///
    /// Of what is no answer and no loss there is no end: of these, it returns the first
    /// [`STRANGE_LINES`] of each second, and counts the others.
    ///
    /// # Panics
    ///
    /// If there is no such target.
    pub fn event(&mut self, target: usize, event: &ProbeEvent<'_>) -> Option<String> {
        let run = &mut self.runs[target];
        run.handle(event);
        match self.style.format {
            _ if self.style.quiet => None,
            _ if is_strange(event) && !self.unexpected.admit(event.at) => None,
            Format::Text => text::event(run.totals.target(), event),
            Format::Json => json::event(run.totals.target(), event),
        }
    }

    /// Returns how many lines were left out since the last call, for there were too many.
    pub fn take_suppressed(&mut self) -> u64 {
        self.unexpected.take_suppressed()
    }

    /// Sums up what happened since the last call.
    pub fn interval(&mut self, now: Duration) -> Vec<String> {
        let format = self.style.format;
        let lines = self.runs.iter_mut().map(|TargetRun { part, .. }| {
            let summary = part.summary(now);
            part.reset(now);
            match format {
                Format::Text => text::interval(&summary),
                Format::Json => json::interval(&summary, now),
            }
        });
        lines.collect()
    }

    /// Returns a line for each target that stands before all others.
    pub fn headers(&self) -> Vec<String> {
        let header = |run: &TargetRun| match self.style.format {
            Format::Text => text::header(run.totals.target()),
            Format::Json => json::header(run.totals.target()),
        };
        self.runs.iter().map(header).collect()
    }

    /// Sums the run up so far, while it goes on.
    pub fn snapshot(&self, now: Duration) -> Vec<String> {
        let line = |summary: &Summary| match self.style.format {
            Format::Text => text::summary(summary, &[]),
            Format::Json => json::snapshot(summary, now),
        };
        self.summaries(now).iter().map(line).collect()
    }

    /// Returns the progress of the run in one line.
    pub fn status(&self, now: Duration) -> String {
        text::status(&self.summaries(now))
    }

    /// Sums the totals run up: of several targets, each and all side by side.
    pub fn finish(&self, now: Duration) -> Vec<String> {
        let mut lines = Vec::new();
        let summaries = self.summaries(now);
        if summaries.len() > 1 && self.style.format == Format::Text {
            lines.push(format!("\n{}", text::comparison(&summaries)));
        }
        lines.extend(summaries.iter().enumerate().map(
            |(index, summary)| match self.style.format {
                Format::Text => text::summary(summary, &self.more(index, summary)),
                Format::Json => json::summary(summary, now),
            },
        ));
        lines
    }

    /// Sums up at `now`, without printing it.
    pub fn summaries(&self, now: Duration) -> Vec<Summary> {
        Vec::from_iter(self.runs.iter().map(|run| run.totals.summary(now)))
    }

    /// Yields what happened to each target, for metrics and pictures.
    pub fn runs(&self) -> impl Iterator<Item = (&Recorder, &Timeline)> {
        self.runs.iter().map(|run| (&run.totals, &run.timeline))
    }

    /// What a summary in text has beside its lines.
    fn more(&self, index: usize, summary: &Summary) -> Vec<String> {
        let mut more = Vec::new();
        if summary.flows.len() > 1 {
            more.push(text::flows(&summary.flows));
        }
        if self.style.terminal && summary.answered > 1 {
            more.push(bars(self.runs[index].totals.rtts(), BAR_WIDTH));
        }
        more
    }
}

/// Tells whether an event is one that others can cause without end: there is an answer or a loss at
/// most of each probe.
fn is_strange(event: &ProbeEvent<'_>) -> bool {
    use ProbeEventKind::{Dropped, Received, SocketError};

    match event.kind {
        Received { arrival, .. } => {
            !matches!(arrival, ReplyKind::Answered { .. } | ReplyKind::Late { .. })
        }
        SocketError(_) | Dropped { .. } => true,
        _ => false,
    }
}

/// How many lines a second there are at most about what others cause.
pub const STRANGE_LINES: u16 = 1000;

/// What fits beside the numbers in 80 columns.
const BAR_WIDTH: usize = 40;

#[cfg(test)]
mod tests {
    use hello_net::ErrorClass;

    use super::*;
    use crate::ping::fixtures::{answered, lost, sent, target};

    const SECOND: Duration = Duration::from_secs(1);

    /// What is printed of a run of two targets, the second of which is silent.
    fn printed(style: Style) -> String {
        let silent = Target { name: "silent:9999".into(), flows: 2, ..target() };
        let mut report = Report::new(style, [target(), silent]);
        let mut lines = report.headers();
        let mut event = |target, kind: ProbeEventKind<'_>| {
            lines.extend(report.event(target, &ProbeEvent { at: SECOND, flow: 0, kind }));
        };
        for kind in [sent(0), answered(SECOND / 1000), sent(1), answered(SECOND / 500)] {
            event(0, kind);
        }
        event(1, sent(0));
        event(1, lost(0));
        lines.extend(report.interval(SECOND));
        lines.extend(report.interval(2 * SECOND));
        lines.extend(report.finish(3 * SECOND));
        let summaries = report.summaries(3 * SECOND);
        assert_eq!(summaries.iter().map(|summary| summary.sent).sum::<u64>(), 3);
        let losses = report.runs().map(|(recorder, timeline)| {
            (recorder.counts().lost, timeline.bins().map(|(_, period)| period.lost).sum())
        });
        assert_eq!(Vec::from_iter(losses), [(0, 0), (1, 1)]);
        lines.join("\n") + "\n"
    }

    #[test]
    fn of_what_others_cause_a_thousand_lines_a_second_are_printed_and_every_answer() {
        let style = Style { format: Format::Text, quiet: false, terminal: false };
        let mut report = Report::new(style, [target()]);
        let mut lines = |kind: ProbeEventKind<'_>, times: u16| {
            let mut line = || report.event(0, &ProbeEvent { at: SECOND, flow: 0, kind });
            (0..times).filter_map(|_| line()).count()
        };
        assert_eq!(lines(ProbeEventKind::Dropped { count: 7 }, 400), 400);
        assert_eq!(lines(ProbeEventKind::SocketError(ErrorClass::Denied), 800), 600);
        assert_eq!(lines(answered(SECOND / 1000), 1), 1);
        assert_eq!(report.take_suppressed(), 200);
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

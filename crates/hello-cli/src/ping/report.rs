//! The record of a run's events, and their lines.

use std::mem;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use hello_measure::{Attribution, Fate, OutageSummary, Outages, ReplyKind, Timeline};
use hello_net::{ProbeEvent, ProbeEventKind, TraceHandle};

use super::Target;
use super::loss_tracing::LossTracing;
use super::output::{json, text};
use super::recorder::Recorder;
use super::traced::Traced;
use crate::output::Format;
use crate::output::console::Console;
use crate::output::layout::Layout;
use crate::output::throttle::LineThrottle;
use crate::output::wall_clock::WallClock;
use crate::process::lock;

/// The style of the output.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Text or JSON.
    pub format: Format,
    /// Whether events have no lines.
    pub quiet: bool,
    /// Whether lines about probes in text start with the time of day.
    pub timestamps: bool,
    /// The terminal of the output, if it is one; its summary has a histogram.
    pub layout: Layout,
}

/// Records the events of all targets, and returns their lines.
///
/// The threads that send and receive share it, so every call is fast. Summaries, which are not,
/// belong to [`Totals`](super::totals::Totals).
#[derive(Debug)]
pub struct Report {
    style: Style,
    start: Instant,
    parts: Vec<Part>,
    /// Limits the lines about unexpected events, of which others can cause any number.
    unexpected: LineThrottle,
}

/// The events of a target since the last part.
#[derive(Debug)]
struct Part {
    recorder: Recorder,
    /// The traces of the whole run, if losses cause any.
    tracing: Option<LossTracing>,
    /// The timeline of the whole run.
    timeline: Timeline,
    /// The outages of the whole run.
    outages: Outages,
    /// When the prober started, at the latest; `None` before it sent a probe.
    start: Option<Instant>,
}

impl Report {
    /// Creates an empty report.
    pub fn new(style: Style, targets: impl IntoIterator<Item = Target>) -> Self {
        let part = |target: Target| {
            let (timeline, outages) = (Timeline::new(), Outages::new(target.flows));
            Part { recorder: Recorder::new(target), tracing: None, timeline, outages, start: None }
        };
        let unexpected = LineThrottle::new(UNEXPECTED_LINES);
        let parts = targets.into_iter().map(part).collect();
        Self { style, start: Instant::now(), parts, unexpected }
    }

    /// Records an event of the target with this index, and returns its line if it has one.
    ///
    /// Of the unexpected events, [`UNEXPECTED_LINES`] per second have a line; the others are
    /// counted.
    ///
    /// # Panics
    ///
    /// If there is no such target.
    pub fn event(&mut self, target: usize, event: &ProbeEvent<'_>) -> Option<String> {
        self.event_by(target, event, || (Instant::now(), SystemTime::now()))
    }

    /// Does the same with other clocks, both of which `read` reads at once.
    fn event_by(
        &mut self,
        target: usize,
        event: &ProbeEvent<'_>,
        read: impl Fn() -> (Instant, SystemTime),
    ) -> Option<String> {
        let Part { recorder, tracing, timeline, outages, start } = &mut self.parts[target];
        recorder.observe(event);
        if let Some(tracing) = tracing {
            tracing.observe(event);
        }
        match event.kind {
            ProbeEventKind::Sent { seq, .. } => {
                outages.sent(event.flow, seq, event.at);
                // The event is shown right after its time. Of several probes, the one with the
                // shortest delay shows best when the prober started.
                if !self.style.quiet {
                    let started = read().0.checked_sub(event.at);
                    *start = (*start).into_iter().chain(started).min();
                }
            }
            ProbeEventKind::Received { reply: ReplyKind::Answered { seq, rtt, .. }, .. } => {
                timeline.answered(event.at.saturating_sub(rtt), rtt);
                outages.answered(seq);
            }
            ProbeEventKind::Received { reply: ReplyKind::Late { rtt, .. }, .. } => {
                timeline.late(event.at.saturating_sub(rtt), rtt);
            }
            ProbeEventKind::Lost { seq, sent, .. } => {
                timeline.lost(sent);
                outages.lost(seq);
            }
            ProbeEventKind::NotSent(_) => {
                timeline.not_sent(event.at, 1);
                outages.not_sent(event.flow, event.at);
            }
            _ => {}
        }
        let start = start.unwrap_or(self.start);
        let time = || time_of_day(start, event.at, read());
        match self.style.format {
            _ if self.style.quiet => None,
            _ if is_unexpected(event) && !self.unexpected.admit(event.at) => None,
            Format::Text => {
                let line = text::event(recorder.target(), event)?;
                let stamp = self.style.timestamps.then(|| time().stamp());
                Some(stamp.unwrap_or_default() + &line)
            }
            Format::Json => json::event(recorder.target(), event, time()),
        }
    }

    /// Traces flows whose loss exceeds a threshold, by the handle of each target.
    pub fn trace_on_loss(
        &mut self,
        threshold: f64,
        handles: impl IntoIterator<Item = Option<TraceHandle>>,
    ) {
        for (part, handle) in self.parts.iter_mut().zip(handles) {
            let flows = part.recorder.target().flows;
            part.tracing = handle.map(|handle| LossTracing::new(flows, threshold, handle));
        }
    }

    /// Returns the paths of each target with traced flows.
    pub fn traces(&self) -> Vec<Traced> {
        let traced = |part: &Part| part.tracing.as_ref()?.traced(part.recorder.target());
        self.parts.iter().filter_map(traced).collect()
    }

    /// Returns the number of lines suppressed since the last call.
    pub fn take_suppressed(&mut self) -> u64 {
        self.unexpected.take_suppressed()
    }

    /// Returns the record of each target since the last call.
    pub fn take_parts(&mut self, now: Duration) -> Vec<Recorder> {
        let take = |part: &mut Part| {
            let next = part.recorder.next_part(now);
            mem::replace(&mut part.recorder, next)
        };
        self.parts.iter_mut().map(take).collect()
    }

    /// Returns the outages of each target so far.
    pub fn outages(&self) -> Vec<OutageSummary> {
        self.parts.iter().map(|part| part.outages.summary()).collect()
    }

    /// Yields the timeline of each target.
    pub fn timelines(&self) -> impl Iterator<Item = &Timeline> {
        self.parts.iter().map(|part| &part.timeline)
    }
}

/// Records an event and prints its line under one lock, so that lines and counts have the same
/// order.
pub(super) fn print_event(
    report: &Mutex<Report>,
    out: &Console,
    target: usize,
    event: &ProbeEvent<'_>,
) {
    let mut report = lock(report);
    if let Some(line) = report.event(target, event) {
        out.event(line);
    }
}

/// Returns the time of day of an event: the clock now, less the event's age. A step of the clock
/// therefore counts from the next event on.
fn time_of_day(start: Instant, at: Duration, (now, clock): (Instant, SystemTime)) -> WallClock {
    let age = now.saturating_duration_since(start).saturating_sub(at);
    WallClock(clock.checked_sub(age).unwrap_or(clock))
}

/// Returns whether others can cause any number of these events; each probe is answered or lost
/// once.
fn is_unexpected(event: &ProbeEvent<'_>) -> bool {
    use ProbeEventKind::{Dropped, NetworkError, Received, SocketError};

    match event.kind {
        Received { reply, .. } => {
            !matches!(reply, ReplyKind::Answered { .. } | ReplyKind::Late { .. })
        }
        // The line of the first error about a probe is also that of its loss.
        NetworkError { attribution, .. } => !matches!(
            attribution,
            Attribution::Probe { fate: Fate::InFlight { is_first: true }, .. }
        ),
        SocketError(_) | Dropped { .. } => true,
        _ => false,
    }
}

/// The largest number of lines about unexpected events per second.
pub const UNEXPECTED_LINES: u16 = 1000;

#[cfg(test)]
mod tests {
    use hello_measure::{Cause, CauseKind};
    use hello_net::{ErrorClass, NotSent};

    use super::*;
    use crate::ping::fixtures::{TEXT, answered, received, sent, target};

    const SECOND: Duration = Duration::from_secs(1);

    /// 2024-11-26T19:40:00Z.
    fn clock() -> SystemTime {
        SystemTime::UNIX_EPOCH + 1_732_650_000 * SECOND
    }

    #[test]
    fn time_of_an_event_is_the_clock_less_the_age_of_the_event() {
        let start = Instant::now();
        for (at, age) in [(1, 2), (3, 0), (4, 0)] {
            let WallClock(time) = time_of_day(start, at * SECOND, (start + 3 * SECOND, clock()));
            assert_eq!(time, clock() - age * SECOND, "{at}");
        }
    }

    #[test]
    fn time_of_an_event_counts_from_when_the_prober_started_and_not_from_before() {
        let mut report = Report::new(Style { timestamps: true, ..TEXT }, [target()]);
        let started = Instant::now() + 20 * SECOND;
        report.event_by(0, &ProbeEvent::new(Duration::ZERO, 0, sent(1)), || (started, clock()));
        let event = ProbeEvent::new(SECOND, 0, answered(SECOND));
        let line = report.event_by(0, &event, || (started + SECOND, clock() + SECOND));
        let line = line.expect("a line");
        assert!(line.starts_with("[1732650001.000000] "), "{line}");
    }

    #[test]
    fn lines_start_with_the_time_of_day_on_request() {
        let mut report = Report::new(Style { timestamps: true, ..TEXT }, [target()]);
        let event = ProbeEvent::new(Duration::ZERO, 0, answered(Duration::from_millis(1)));
        let line = report.event(0, &event).expect("a line");
        let (stamp, rest) = line.split_once(' ').expect("a stamp");
        let seconds = stamp.trim_matches(['[', ']']).parse::<f64>().expect("a number");
        assert!(stamp.starts_with('[') && seconds > 1e9, "{line}");
        assert!(rest.starts_with("24 bytes from "), "{line}");
    }

    #[test]
    fn timeline_has_every_probe_at_the_time_it_was_sent() {
        let mut report = Report::new(Style { quiet: true, ..TEXT }, [target()]);
        let seconds = Duration::from_secs;
        let late = ReplyKind::Late { seq: 1, rtt: seconds(8) };
        for (at, kind) in [
            (3, answered(seconds(1))),
            (7, ProbeEventKind::Lost { seq: 1, sent: seconds(4), cause: Cause::SILENT }),
            (12, received(late)),
            (6, ProbeEventKind::NotSent(NotSent::Late)),
        ] {
            report.event(0, &ProbeEvent::new(seconds(at), 0, kind));
        }
        let bins = report.timelines().flat_map(Timeline::bins);
        let bins = Vec::from_iter(bins.map(|(at, bin)| {
            let late = bin.late.is_some();
            (at.as_secs_f64().round(), bin.answered, bin.lost, late, bin.not_sent)
        }));
        assert_eq!(bins, [(2.0, 1, 0, false, 0), (4.0, 0, 1, true, 0), (6.0, 0, 0, false, 1)]);
    }

    #[test]
    fn unexpected_events_have_a_thousand_lines_per_second_and_every_answer_has_one() {
        let mut report = Report::new(TEXT, [target()]);
        let mut lines = |kind: ProbeEventKind<'_>, times: u16| {
            let mut line = || report.event(0, &ProbeEvent::new(SECOND, 0, kind));
            (0..times).filter_map(|_| line()).count()
        };
        assert_eq!(lines(ProbeEventKind::Dropped { count: 7 }, 400), 400);
        assert_eq!(lines(ProbeEventKind::SocketError(ErrorClass::Denied.into()), 800), 600);
        assert_eq!(lines(answered(SECOND / 1000), 1), 1);
        // The line of the first error about a probe is that of its loss.
        for (is_first, expected) in [(true, 1), (false, 0)] {
            let attribution = Attribution::Probe { seq: 1, fate: Fate::InFlight { is_first } };
            let cause = Cause { kind: CauseKind::Refused, reporter: None };
            assert_eq!(lines(ProbeEventKind::NetworkError { cause, attribution }, 1), expected);
        }
        assert_eq!(report.take_suppressed(), 201);
    }
}

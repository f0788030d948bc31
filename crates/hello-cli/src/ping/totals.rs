//! The totals of a run, and the lines made from them.

use std::time::Duration;

use hello_measure::OutageSummary;

use super::Target;
use super::args::Unreachable;
use super::output::json;
use super::output::text::{self, outages, status, tables};
use super::plan::Plan;
use super::recorder::Recorder;
use super::report::Style;
use super::summary::Summary;
use super::traced::Traced;
use crate::output::Format;
use crate::output::histogram::bars;
use crate::output::json::Origin;
use crate::output::layout::Layout;

/// Adds up the parts of a run, and summarises them.
#[derive(Debug)]
pub struct Totals {
    style: Style,
    runs: Vec<Recorder>,
    /// The totals since the last interval.
    interval: Vec<Recorder>,
    /// The outages of each run.
    outages: Vec<OutageSummary>,
    /// The targets without a run.
    unreachable: Vec<Unreachable>,
}

impl Totals {
    /// Creates empty totals.
    pub fn new(style: Style, targets: impl IntoIterator<Item = Target>) -> Self {
        let runs = Vec::from_iter(targets.into_iter().map(Recorder::new));
        let outages = vec![OutageSummary::default(); runs.len()];
        Self { style, interval: runs.clone(), runs, outages, unreachable: Vec::new() }
    }

    /// Adds targets that cannot be probed.
    #[must_use]
    pub fn with_unreachable(self, unreachable: Vec<Unreachable>) -> Self {
        Self { unreachable, ..self }
    }

    /// Adds the next part of each target.
    pub fn append(&mut self, parts: &[Recorder]) {
        for totals in [&mut self.runs, &mut self.interval] {
            totals.iter_mut().zip(parts).for_each(|(total, part)| total.append(part));
        }
    }

    /// Replaces the outages of each target by those until now.
    pub fn set_outages(&mut self, outages: Vec<OutageSummary>) {
        self.outages = outages;
    }

    /// Returns the first lines, one for each target. In text, standard error has those of the
    /// unreachable ones.
    pub fn headers(&self, origin: &Origin, plan: &Plan) -> Vec<String> {
        let header = |run: &Recorder| match self.style.format {
            Format::Text => text::header(run.target()),
            Format::Json => json::header(origin, plan, run.target()),
        };
        let unreachable = match self.style.format {
            Format::Text => &[][..],
            Format::Json => &self.unreachable,
        };
        let unreachable = unreachable.iter().map(json::unreachable);
        unreachable.chain(self.runs.iter().map(header)).collect()
    }

    /// Returns the summary of each target since the last call, as that of a whole interval.
    pub fn interval(&mut self, now: Duration) -> Vec<String> {
        self.part(now, |_| false)
    }

    /// Returns the summary of each target since the last interval, which says that it is shorter
    /// than `every`, if it is.
    pub fn last_interval(&mut self, now: Duration, every: Duration) -> Vec<String> {
        self.part(now, |summary| summary.common.duration_s < every.as_secs_f64())
    }

    fn part(&mut self, now: Duration, is_partial: impl Fn(&Summary) -> bool) -> Vec<String> {
        let next = self.runs.iter().map(|run| run.next_part(now)).collect();
        let parts = std::mem::replace(&mut self.interval, next);
        let layout = self.style.layout;
        let line = |part: &Recorder| {
            let summary = part.summary(now);
            let is_partial = is_partial(&summary);
            match self.style.format {
                Format::Text => text::summary::interval(layout, &summary, is_partial),
                Format::Json => json::interval(&summary, now, is_partial),
            }
        };
        parts.iter().map(line).collect()
    }

    /// Returns the summaries of a run that continues.
    pub fn snapshot(&self, plan: &Plan, now: Duration) -> Vec<String> {
        let layout = self.style.layout;
        let line = |summary: &Summary| match self.style.format {
            Format::Text => text::summary::summary(layout, plan, summary, &[]),
            Format::Json => json::snapshot(summary, now),
        };
        self.summaries(now).iter().map(line).collect()
    }

    /// Returns the status line.
    pub fn status(&self, plan: &Plan, now: Duration) -> String {
        status::status(self.style.layout, plan, &self.summaries(now), now)
    }

    /// Returns the status line while the last replies are awaited, for at most `left`.
    pub fn waiting(&self, now: Duration, left: Duration) -> String {
        status::waiting(self.style.layout, &self.summaries(now), left)
    }

    /// Returns the summaries of the whole run, after a table if there are several targets.
    pub fn finish(&self, plan: &Plan, now: Duration) -> Vec<String> {
        let summaries = self.summaries(now);
        let mut lines = Vec::new();
        let layout = self.style.layout;
        if self.style.format == Format::Text {
            if summaries.len() + self.unreachable.len() > 1 {
                let table = tables::comparison(layout, &summaries, &self.unreachable);
                lines.push(format!("\n{table}"));
            }
            let unreachable = self.unreachable.iter();
            lines.extend(unreachable.map(|target| text::summary::unreachable(layout, target)));
        }
        let summary = |(run, summary): (&Recorder, &Summary)| match self.style.format {
            Format::Text => {
                let extras = extras(layout.indented(MARGIN), run, summary);
                text::summary::summary(layout, plan, summary, &extras)
            }
            Format::Json => json::summary(summary, now),
        };
        lines.extend(self.runs.iter().zip(&summaries).map(summary));
        lines
    }

    /// Returns the paths of the targets with traced flows.
    pub fn traces(&self, traces: &[Traced]) -> Vec<String> {
        let line = |traced: &Traced| match self.style.format {
            Format::Json => json::paths::comparison(traced),
            Format::Text => {
                let paths = text::paths::paths(self.style.layout, traced);
                format!("\n{}\n{paths}", text::paths::heading(traced))
            }
        };
        traces.iter().map(line).collect()
    }

    /// Returns the summary of each target at `now`.
    pub fn summaries(&self, now: Duration) -> Vec<Summary> {
        let whole = |(run, outages): (&Recorder, &OutageSummary)| Summary {
            outages: Some(outages.clone()),
            ..run.summary(now)
        };
        self.runs.iter().zip(&self.outages).map(whole).collect()
    }

    /// Returns the targets that are not probed.
    pub fn unreachable(&self) -> &[Unreachable] {
        &self.unreachable
    }

    /// Returns the record of each target.
    pub fn runs(&self) -> &[Recorder] {
        &self.runs
    }
}

/// Returns the tables and bars inside a summary in text.
fn extras(layout: Layout, run: &Recorder, summary: &Summary) -> Vec<String> {
    let mut extras = Vec::new();
    if summary.flows.len() > 1 {
        extras.push(tables::flows(layout, &summary.flows));
    }
    extras.extend(outages::table_of(layout, summary));
    if layout.width.is_some() && summary.common.answered > 1 {
        extras.push(bars(layout, &run.rtts()));
    }
    extras
}

/// The width of the margin of a summary's details.
const MARGIN: usize = 2;

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use hello_net::{ProbeEvent, ProbeEventKind};

    use super::*;
    use crate::output::layout::Layout;
    use crate::ping::fixtures::{TEXT, answered, lost, plan, sent, target};
    use crate::ping::report::Report;

    const SECOND: Duration = Duration::from_secs(1);

    const TERMINAL: Layout = Layout { width: NonZeroUsize::new(80), unicode: false };

    /// Prints a run of two targets, the second of which is silent.
    fn printed(style: Style) -> String {
        let silent = Target { name: "silent:9999".into(), flows: 2, ..target() };
        let targets = [target(), silent];
        let mut report = Report::new(style, targets.clone());
        let mut totals = Totals::new(style, targets);
        let mut lines = totals.headers(&Origin::now("hello-ping"), &plan());
        let mut event = |target, kind: ProbeEventKind<'_>| {
            lines.extend(report.event(target, &ProbeEvent::new(SECOND, 0, kind)));
        };
        for kind in [sent(0), answered(SECOND / 1000), sent(1), answered(SECOND / 500)] {
            event(0, kind);
        }
        event(1, sent(0));
        event(1, lost(0));
        for now in [SECOND, 2 * SECOND] {
            totals.append(&report.take_parts(now));
            totals.set_outages(report.outages());
            lines.extend(match now {
                SECOND => totals.interval(now),
                _ => totals.last_interval(now, SECOND * 3 / 2),
            });
        }
        totals.append(&report.take_parts(3 * SECOND));
        lines.extend(totals.finish(&plan(), 3 * SECOND));
        let summaries = totals.summaries(3 * SECOND);
        assert_eq!(summaries.iter().map(|summary| summary.common.sent).sum::<u64>(), 3);
        let in_timelines =
            report.timelines().map(|timeline| timeline.bins().map(|(_, bin)| bin.lost).sum());
        let losses = summaries.iter().map(|summary| summary.common.lost).zip(in_timelines);
        assert_eq!(Vec::from_iter(losses), [(0, 0), (1, 1_u64)]);
        anstream::adapter::strip_str(&(lines.join("\n") + "\n")).to_string()
    }

    #[test]
    fn intervals_have_only_new_events_and_the_end_has_everything() {
        let style = Style { layout: TERMINAL, ..TEXT };
        let text = printed(style);
        for part in [
            "PING 192.0.2.1:9999 (192.0.2.1) 16(44) bytes of data.\nPING silent:9999 ",
            "\n24 bytes from 192.0.2.1:9999: icmp_seq=1 ttl=64 time=1.000 ms\n",
            "\nno answer yet for icmp_seq=0 from 192.0.2.1:9999 flow=0: lost after 1s\n",
            "\nsilent:9999: 1 packets transmitted, 0 received, 100% packet loss,\n  time 1000ms\n",
            "\nsilent:9999 (partial: 1.000 s): 0 packets transmitted, 0 received, time 1000ms\n",
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
        let piped = printed(Style { layout: Layout::PLAIN, ..style });
        assert!(!piped.contains("from ms") && !piped.contains('\u{1b}'), "{piped}");
    }

    #[test]
    fn quiet_output_has_no_events_but_the_summary() {
        for (format, lines) in [(Format::Text, None), (Format::Json, Some(8))] {
            let text = printed(Style { format, quiet: true, ..TEXT });
            assert!(!text.contains("seq=") && !text.contains("\"seq\""), "{text}");
            assert!(lines.is_none_or(|lines| text.lines().count() == lines), "{text}");
        }
    }
}

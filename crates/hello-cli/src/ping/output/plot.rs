//! The plot of a run.

pub(crate) mod paths;

use std::time::Duration;

use hello_measure::Timeline;

use crate::output::cause;
use crate::output::escape::Escaped;
use crate::output::format::{count, duration};
use crate::output::plot::canvas::MARGIN;
use crate::output::plot::runs::{self, Caption, Run};
use crate::ping::Target;
use crate::ping::recorder::Recorder;
use crate::ping::summary::Summary;
use crate::ping::traced::Traced;

/// Draws the round-trip times, losses, outages and flows of each target, at least one, and the paths of
/// those with traced flows.
pub(crate) fn draw(
    targets: &[(&Recorder, &Timeline, &Summary)],
    interval: Duration,
    traces: &[Traced],
) -> String {
    let runs = targets.iter().map(|&(recorder, timeline, summary)| Run {
        name: Escaped(recorder.target().name.as_bytes()).to_string(),
        counts: recorder.record().counts(),
        timeline,
        times: recorder.rtts(),
        flows: recorder.flows(),
        causes: cause::lines(&summary.common, summary.address),
        outages: summary.outages.as_ref().map_or(&[], |outages| &outages.longest),
    });
    let runs = Vec::from_iter(runs);
    let title = match &runs[..] {
        [run] => format!("Round-trip times to {}", run.name),
        runs => format!("Round-trip times to {}", count(runs.len() as u64, "target")),
    };
    let &Target { name_len, flows, timeout, started_at: start, .. } = targets[0].0.target();
    let [interval, timeout] = [interval, timeout].map(duration);
    let mut parameters =
        format!("A probe every {interval}, timeout {timeout}, {name_len}-byte names");
    if flows > 1 {
        parameters += &format!(", {flows} flows");
    }
    let (title, parameters) = (&title, &parameters);
    let (times, over) = ("round-trip time", "time sent");
    let caption = Caption { title, parameters, start, times, over };
    let (mut canvas, mut y) = runs::draw(&caption, &runs);
    if !traces.is_empty() {
        y = paths::draw_below(&mut canvas, y, traces);
    }
    canvas.finish(y + MARGIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::plot::tests::texts;
    use crate::ping::fixtures::{answered, events, lost, sent, target};

    #[test]
    fn plot_has_the_parameters_the_date_and_the_name_and_counts_of_every_target() {
        let mut recorder = Recorder::new(target());
        events(&mut recorder, [sent(0), answered(Duration::from_millis(12)), sent(1), lost(1)]);
        let hostile = Target { name: "a<b>\x1b&c:1".into(), flows: 2, ..target() };
        let silent = Recorder::new(hostile);
        let timeline = Timeline::new();
        let texts = |targets: &[_]| texts(&draw(targets, Duration::from_millis(25), &[]));
        let summaries = [&recorder, &silent].map(|recorder| recorder.summary(Duration::ZERO));
        let one = (&recorder, &timeline, &summaries[0]);
        let other = (&silent, &timeline, &summaries[1]);
        let counts = "2 sent, 1 answered, 1 lost (50%); max\u{a0}12.0\u{a0}ms";
        for (texts, expected) in [
            (
                texts(&[one]),
                &[
                    "Round-trip times to 192.0.2.1:9999",
                    "A probe every 25ms, timeout 1s, 16-byte names; 2024-11-26T19:40:00Z",
                    counts,
                ][..],
            ),
            (
                texts(&[one, other]),
                &[
                    "Round-trip times to 2 targets",
                    "192.0.2.1:9999",
                    counts,
                    r"a<b>\u{1b}&c:1",
                    "0 sent, 0 answered, 0 lost",
                    "no replies",
                    "flow",
                ],
            ),
        ] {
            for text in expected {
                assert!(texts.iter().any(|other| other == text), "{text} {texts:?}");
            }
        }
    }
}

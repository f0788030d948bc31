//! The plot of a run.

use std::error::Error;

use hello_measure::Timeline;

use crate::output::escape::Escaped;
use crate::output::plot;
use crate::ping::recorder::Recorder;

/// The size in pixels; the height is that of each target.
const WIDTH: u32 = 1200;
const HEIGHT: u32 = 320;

/// The width of the timeline; the distribution has the rest.
const TIMELINE_WIDTH: u32 = 800;

/// The label of the axis.
const WHAT: &str = "round-trip time";

/// Draws each target's round-trip times and losses over the run, and the distribution of the times.
pub(crate) fn draw(targets: &[(&Recorder, &Timeline)]) -> Result<String, Box<dyn Error>> {
    let rows = u32::try_from(targets.len())?.max(1);
    plot::picture((WIDTH, HEIGHT * rows), |area| {
        let rows = area.split_evenly((targets.len().max(1), 1));
        for (area, (recorder, timeline)) in rows.iter().zip(targets) {
            let (left, right) = area.split_horizontally(TIMELINE_WIDTH);
            let (name, counts) = (&recorder.target().name, recorder.record().counts());
            let name = Escaped(name.as_bytes());
            let caption = format!("{name}: {} sent, {} lost", counts.sent, counts.lost);
            plot::timeline(&left, &caption, WHAT, timeline)?;
            plot::distribution(&right, WHAT, &recorder.rtts())?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use hello_net::ProbeEvent;

    use super::*;
    use crate::ping::Target;
    use crate::ping::fixtures::{answered, lost, target};
    use std::time::Duration;

    /// A run of five minutes: a steady path with rare outliers, an outage and a step.
    fn run() -> (Recorder, Timeline) {
        let (mut recorder, mut timeline) = (Recorder::new(target()), Timeline::new());
        for tick in 0..3000_u64 {
            let noise = tick.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 53;
            let outlier = if tick % 400 == 399 { 14_000 } else { 0 };
            let step = if tick > 2000 { 2500 } else { 0 };
            let rtt = Duration::from_micros(9000 + noise + outlier + step);
            let silent = (1200..1260).contains(&tick) || tick % 701 == 700;
            let kind = if silent { lost(0) } else { answered(rtt) };
            let at = Duration::from_millis(100 * tick);
            recorder.observe(&ProbeEvent::new(at, 0, kind));
            if silent { timeline.lost(at) } else { timeline.answered(at, rtt) }
        }
        (recorder, timeline)
    }

    #[test]
    fn every_target_has_its_name_its_losses_and_a_note_without_replies() {
        let (recorder, timeline) = run();
        let name = "a<b>\x1b&c:1";
        let silent = (Recorder::new(Target { name: name.into(), ..target() }), Timeline::new());
        let svg = draw(&[(&recorder, &timeline), (&silent.0, &silent.1)]).expect("a picture");
        let lost = recorder.record().counts().lost;
        assert!(lost > 60);
        for text in [format!("192.0.2.1:9999: 0 sent, {lost} lost"), "no replies".into()] {
            assert!(svg.contains(&text), "{text}");
        }
        assert!(svg.contains(r"a&lt;b&gt;\u{1b}&amp;c:1: 0 sent, 0 lost"), "{svg}");
    }
}

//! The plots of a run and of several trials.

use std::error::Error;

use plotters::prelude::*;

use hello_measure::{TrialVerdict, medians};

use super::text;
use crate::load::recorder::Recorder;
use crate::load::summary::Summary;
use crate::load::throughput::Throughput;
use crate::output::escape::Escaped;
use crate::output::plot::{self, Area};

/// The size of the plot of one run, in pixels.
const RUN: (u32, u32) = (1200, 320);

/// The width of the timeline; the distribution has the rest.
const TIMELINE_WIDTH: u32 = 800;

/// The size of the plot of several trials, in pixels.
const LOADS: (u32, u32) = (1000, 640);

/// The height of the latencies, above the loss.
const LATENCIES_HEIGHT: u32 = 420;

/// Draws the latencies and losses over a run, and the distribution of the latencies.
pub(crate) fn run(target: &str, recorder: &Recorder) -> Result<String, Box<dyn Error>> {
    const WHAT: &str = "latency since due";
    let (name, counts) = (Escaped(target.as_bytes()), recorder.counts());
    let caption = format!("{name}: {} sent, {} lost", counts.sent, counts.lost);
    plot::picture(RUN, |area| {
        let (left, right) = area.split_horizontally(TIMELINE_WIDTH);
        plot::timeline(&left, &caption, WHAT, recorder.timeline())?;
        plot::distribution(&right, WHAT, &recorder.latencies())
    })
}

/// Draws latencies and loss over the load, for a sweep or the trials of a search.
pub(crate) fn loads(
    target: &str,
    summaries: &[Summary],
    throughput: Option<&Throughput>,
) -> Result<String, Box<dyn Error>> {
    let mut caption = Escaped(target.as_bytes()).to_string();
    if let Some(found) = throughput.and_then(text::headline) {
        caption += &format!(": {found}");
    }
    let mut summaries = Vec::from_iter(summaries);
    summaries.sort_by_key(|summary| summary.plan.rate);
    let most = summaries.iter().map(|summary| load(summary)).fold(1.0, f64::max);
    plot::picture(LOADS, |area| {
        let (above, below) = area.split_vertically(LATENCIES_HEIGHT);
        draw_latencies(&above, &caption, most, &summaries)?;
        draw_losses(&below, most, &summaries)
    })
}

fn draw_latencies(
    area: &Area<'_>,
    caption: &str,
    most: f64,
    summaries: &[&Summary],
) -> Result<(), Box<dyn Error>> {
    let points = |of: fn(&Summary) -> Option<f64>| {
        let point = |summary: &&Summary| Some((load(summary), of(summary)?.max(LEAST_MS)));
        Vec::from_iter(summaries.iter().filter_map(point))
    };
    let lines = [
        ("p99 since due", RED, points(|summary| summary.latency_ms?.p99)),
        ("p50 since due", BLUE, points(|summary| summary.latency_ms?.p50)),
        ("p99 since sent", RGBColor(255, 170, 170), points(|summary| summary.common.rtt_ms?.p99)),
        ("p50 since sent", RGBColor(170, 170, 255), points(|summary| summary.common.rtt_ms?.p50)),
    ];
    let all = lines.iter().flat_map(|(_, _, points)| points.iter().map(|(_, time)| *time));
    let (low, high) =
        all.fold((f64::MAX, 0.0_f64), |(low, high), time| (low.min(time), high.max(time)));
    // Leaves room for the legend above the lines.
    let (low, high) = if high > 0.0 { (low / 1.5, high * 8.0) } else { (0.1, 1.0) };
    let mut chart = ChartBuilder::on(area)
        .caption(caption, ("sans-serif", 20))
        .margin(12)
        .margin_right(32)
        .x_label_area_size(16)
        .y_label_area_size(72)
        .build_cartesian_2d(0.0..most * 1.02, (low..high).log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_labels(10)
        .x_label_formatter(&|_| String::new())
        .y_label_formatter(&|time| format!("{time:.3}"))
        .y_desc("latency, ms")
        .draw()?;
    for (name, color, points) in lines {
        chart.draw_series(points.iter().map(|point| Circle::new(*point, 3, color.filled())))?;
        chart
            .draw_series(LineSeries::new(medians(&points), color.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], color.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    Ok(())
}

fn draw_losses(area: &Area<'_>, most: f64, summaries: &[&Summary]) -> Result<(), Box<dyn Error>> {
    let percent = |summary: &&Summary| Some((load(summary), summary.common.loss? * 100.0));
    let losses = Vec::from_iter(summaries.iter().filter_map(percent));
    let top = losses.iter().map(|(_, loss)| loss * 1.1).fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .margin_right(32)
        .x_label_area_size(40)
        .y_label_area_size(72)
        .build_cartesian_2d(0.0..most * 1.02, 0.0..top)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_labels(10)
        .y_labels(5)
        .x_label_formatter(&|load| format!("{load:.0}"))
        .x_desc("load, requests/s; hollow: limited by the generator")
        .y_desc("loss, %")
        .draw()?;
    chart.draw_series(LineSeries::new(medians(&losses), BLACK.mix(0.4)))?;
    for summary in summaries {
        let Some(loss) = summary.common.loss else { continue };
        let color = match summary.verdict {
            Some(TrialVerdict::Carried) => GREEN,
            Some(TrialVerdict::Lost) => RED,
            Some(TrialVerdict::NotOffered) | None => BLACK,
        };
        let limited = !summary.generator.limits.is_empty();
        let style = if limited { color.stroke_width(1) } else { color.filled() };
        chart.draw_series([Circle::new((load(summary), loss * 100.0), 4, style)])?;
    }
    Ok(())
}

fn load(summary: &Summary) -> f64 {
    summary.plan.rate.unwrap_or_default() as f64
}

/// The smallest latency on the logarithmic axis.
const LEAST_MS: f64 = 1e-6;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hello_measure::{Bound, SearchOutcome};

    use super::*;
    use crate::load::fixtures::{recorder, summary};
    use crate::load::throughput::SearchEnd;

    fn drawn(picture: Result<String, Box<dyn Error>>) -> String {
        picture.expect("a picture")
    }

    #[test]
    fn plot_of_a_run_has_its_name_losses_and_latencies() {
        let svg = drawn(run("a<b>\x1b:1", &recorder()));
        assert!(svg.contains(r"a&lt;b&gt;\u{1b}:1: 3 sent, 1 lost"), "{svg}");
        assert!(svg.contains("latency since due, ms"), "{svg}");
    }

    #[test]
    fn trials_have_the_color_of_their_verdict_and_are_hollow_if_limited() {
        let trials = [Some(TrialVerdict::Carried), Some(TrialVerdict::Lost), None].map(|verdict| {
            let mut summary = summary();
            summary.verdict = verdict;
            summary
        });
        let svg = drawn(loads("x:1", &trials, None));
        for color in ["#00FF00", "#000000"] {
            let filled = format!("r=\"4\" opacity=\"1\" fill=\"{color}\"");
            assert_eq!(svg.matches(&filled).count(), 1, "{color} {svg}");
        }
        let mut limited = summary();
        limited.generator.limits.push(crate::load::saturation::GeneratorLimit::Busy { share: 1.0 });
        let svg = drawn(loads("x:1", &[limited], None));
        assert_eq!(svg.matches("r=\"4\" opacity=\"1\" fill=\"none\"").count(), 1, "{svg}");
    }

    #[test]
    fn caption_has_the_throughput_as_in_text() {
        let load = |load| std::num::NonZeroU64::new(load).expect("not zero");
        for (bound, caption) in [
            (Bound::Lost(load(8)), "x:1: throughput 7 requests/s"),
            (Bound::NotOffered(load(8)), "x:1: throughput at least 7 requests/s"),
        ] {
            let outcome = SearchOutcome { carried: Some(load(7)), bound };
            let found =
                Throughput::new(outcome, SearchEnd::Found, (0.0, 0.02, 3), Duration::from_secs(2));
            let svg = drawn(loads("x:1", &[], Some(&found)));
            assert!(svg.contains(caption), "{svg}");
        }
    }

    #[test]
    fn empty_results_have_a_plot() {
        let svg = drawn(loads("x:1", &[], None));
        assert!(svg.contains("x:1"), "{svg}");
        let svg = drawn(run("x:1", &Recorder::default()));
        assert!(svg.contains("no replies"), "{svg}");
    }
}

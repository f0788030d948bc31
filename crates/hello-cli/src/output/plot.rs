//! Plots of times: over the run, and their distribution.

use std::error::Error;

use plotters::coord::Shift;
use plotters::prelude::*;

use hello_measure::{Distribution, Timeline, millis};

/// A part of a plot.
pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws a plot of the given size, and returns it as SVG.
pub(crate) fn picture(
    pixels: (u32, u32),
    draw: impl FnOnce(&Area<'_>) -> Result<(), Box<dyn Error>>,
) -> Result<String, Box<dyn Error>> {
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, pixels).into_drawing_area();
    area.fill(&WHITE)?;
    draw(&area)?;
    area.present()?;
    drop(area);
    Ok(svg)
}

/// Draws times and losses over the run. `what` labels the axis; `caption` must be safe to print.
pub(crate) fn timeline(
    area: &Area<'_>,
    caption: &str,
    what: &str,
    timeline: &Timeline,
) -> Result<(), Box<dyn Error>> {
    let (mut end, mut highest) = (0.0_f64, 0.0_f64);
    for (at, bin) in timeline.bins() {
        end = end.max(at.as_secs_f64());
        highest = highest.max(bin.rtts.map_or(0.0, |(_, max)| millis(max)));
    }
    // Losses are marked above all times.
    let top = if highest > 0.0 { highest * 1.15 } else { 1.0 };
    let mut chart = ChartBuilder::on(area)
        .caption(caption, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..end.max(1e-3) * 1.02, 0.0..top)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc("seconds since the start")
        .y_desc(format!("{what}, ms"))
        .draw()?;
    for (at, bin) in timeline.bins() {
        let x = at.as_secs_f64();
        if bin.lost > 0 {
            let line = [(x, 0.0), (x, top)];
            chart.draw_series([PathElement::new(line, RED.mix(0.25))])?;
            chart.draw_series([Cross::new((x, top * 0.97), 4, RED.stroke_width(2))])?;
        }
        if let Some((min, max)) = bin.rtts.map(|(min, max)| (millis(min), millis(max))) {
            if min < max {
                chart.draw_series([PathElement::new([(x, min), (x, max)], BLUE.mix(0.5))])?;
                chart.draw_series([Circle::new((x, min), 1, BLUE.filled())])?;
            }
            chart.draw_series([Circle::new((x, max), 2, BLUE.filled())])?;
        }
    }
    Ok(())
}

/// Draws the distribution of times up to the 99th percentile, and counts the longer ones in the
/// caption.
pub(crate) fn distribution(
    area: &Area<'_>,
    what: &str,
    times: &Distribution,
) -> Result<(), Box<dyn Error>> {
    let bins = times.bins(BINS);
    // Times beyond the 99th percentile may be much longer, and would compress the rest.
    let (bins, beyond) = match bins.split_at_checked(BINS as usize) {
        Some((bins, [beyond])) => (bins, Some(beyond)),
        _ => (&bins[..], None),
    };
    let (Some(first), Some(last)) = (bins.first(), bins.last()) else {
        let style = ("sans-serif", 20).into_font();
        return Ok(area.draw(&Text::new("no replies", (140, 140), style))?);
    };
    let highest = bins.iter().map(|bin| bin.count).max().unwrap_or(1).max(1);
    let caption = match beyond {
        Some(beyond) => {
            let (count, start, end) = (beyond.count, millis(beyond.start), millis(beyond.end));
            format!("{count} replies from {start:.3} to {end:.3} ms not shown")
        }
        None => String::new(),
    };
    let (from, to) = (millis(first.start), millis(last.end));
    let mut chart = ChartBuilder::on(area)
        .caption(caption, ("sans-serif", 16))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d(from..to.max(from + 1e-3), 0..highest)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .x_labels(5)
        .x_label_formatter(&|x| format!("{x:.3}"))
        .x_desc(format!("{what}, ms"))
        .y_desc("replies")
        .draw()?;
    chart.draw_series(bins.iter().map(|bin| {
        let corners = [(millis(bin.start), 0), (millis(bin.end), bin.count)];
        Rectangle::new(corners, BLUE.mix(0.6).filled())
    }))?;
    Ok(())
}

/// The number of bins up to the 99th percentile.
const BINS: u32 = 40;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MILLI: Duration = Duration::from_millis(1);

    fn drawn(draw: impl FnOnce(&Area<'_>) -> Result<(), Box<dyn Error>>) -> String {
        picture((800, 320), draw).expect("a picture")
    }

    #[test]
    fn timeline_has_a_caption_a_circle_per_answer_and_a_cross_per_loss() {
        let mut run = Timeline::new();
        let nothing = drawn(|area| timeline(area, "a & b", "", &run));
        assert!(nothing.contains("a &amp; b") && !nothing.contains("<circle"), "{nothing}");
        (1..=3).for_each(|second| run.answered(1000 * second * MILLI, second * MILLI));
        assert_eq!(drawn(|area| timeline(area, "", "", &run)).matches("<circle").count(), 3);
        let red = |svg: &str| svg.matches("#FF0000").count();
        assert_eq!(red(&drawn(|area| timeline(area, "", "", &run))), 0);
        run.lost(4000 * MILLI);
        // The two lines of a cross, and one from top to bottom.
        assert_eq!(red(&drawn(|area| timeline(area, "", "", &run))), 3);
    }

    #[test]
    fn replies_beyond_the_99th_percentile_are_counted_in_the_caption() {
        let mut rtts = Distribution::new(3);
        assert!(drawn(|area| distribution(area, "", &rtts)).contains("no replies"));
        (0..1000).for_each(|micros| rtts.record(MILLI + Duration::from_micros(micros)));
        rtts.record_n(500 * MILLI, 2);
        let svg = drawn(|area| distribution(area, "", &rtts));
        assert!(svg.contains(" to 500.000 ms not shown"), "{svg}");
    }
}

//! A run as a picture.

pub mod course;

use std::error::Error;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use self::course::Course;
use super::tally::Tally;
use crate::distribution::Distribution;
use crate::escape::Text as Escaped;
use crate::times::millis;

/// The picture, in pixels; the height is that of each target.
const WIDTH: u32 = 1200;
const HEIGHT: u32 = 320;

/// The room for the round-trip times over time, beside their distribution.
const COURSE_WIDTH: u32 = 800;

/// Draws each target's round-trip times over time, with the losses, and their distribution.
///
/// # Errors
///
/// What the drawing reports, such as that the file cannot be written.
pub fn draw(file: &Path, targets: &[(&Tally, &Course)]) -> Result<(), Box<dyn Error>> {
    let rows = u32::try_from(targets.len())?.max(1);
    let area = SVGBackend::new(file, (WIDTH, HEIGHT * rows)).into_drawing_area();
    area.fill(&WHITE)?;
    for (area, (tally, course)) in area.split_evenly((targets.len().max(1), 1)).iter().zip(targets)
    {
        let (left, right) = area.split_horizontally(COURSE_WIDTH);
        draw_course(&left, &tally.target().name, course)?;
        draw_distribution(&right, tally.rtts())?;
    }
    Ok(area.present()?)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn draw_course(area: &Area<'_>, name: &str, course: &Course) -> Result<(), Box<dyn Error>> {
    let (mut end, mut highest, mut lost) = (0.0_f64, 0.0_f64, 0);
    for (at, period) in course.periods() {
        end = end.max(at.as_secs_f64());
        highest = highest.max(period.rtts.map_or(0.0, |(_, max)| millis(max)));
        lost += period.lost;
    }
    let caption = format!("{}, {lost} lost", Escaped(name.as_bytes()));
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
        .y_desc("round-trip time, ms")
        .draw()?;
    for (at, period) in course.periods() {
        let x = at.as_secs_f64();
        if period.lost > 0 {
            let line = [(x, 0.0), (x, top)];
            chart.draw_series([PathElement::new(line, RED.mix(0.25))])?;
            chart.draw_series([Cross::new((x, top * 0.97), 4, RED.stroke_width(2))])?;
        }
        if let Some((min, max)) = period.rtts.map(|(min, max)| (millis(min), millis(max))) {
            if min < max {
                chart.draw_series([PathElement::new([(x, min), (x, max)], BLUE.mix(0.5))])?;
                chart.draw_series([Circle::new((x, min), 1, BLUE.filled())])?;
            }
            chart.draw_series([Circle::new((x, max), 2, BLUE.filled())])?;
        }
    }
    Ok(())
}

fn draw_distribution(area: &Area<'_>, rtts: &Distribution) -> Result<(), Box<dyn Error>> {
    let bins = rtts.bins(BINS);
    // What is longer than the 99th percentile is told of in words, for it may be much longer.
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
            format!("{} more, up to {:.3} ms", beyond.count, millis(beyond.end))
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
        .x_desc("round-trip time, ms")
        .y_desc("replies")
        .draw()?;
    chart.draw_series(bins.iter().map(|bin| {
        let corners = [(millis(bin.start), 0), (millis(bin.end), bin.count)];
        Rectangle::new(corners, BLUE.mix(0.6).filled())
    }))?;
    Ok(())
}

/// Up to the 99th percentile.
const BINS: u32 = 40;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ping::Target;
    use crate::ping::sample::{answered, lost, target};
    use hello_net::ProbeEvent;
    use std::fs;
    use std::time::Duration;

    /// A run of five minutes: a steady path with rare outliers, an outage, and a step.
    fn run() -> (Tally, Course) {
        let (mut tally, mut course) = (Tally::new(target()), Course::new());
        for tick in 0..3000_u64 {
            let noise = tick.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 53;
            let outlier = if tick % 400 == 399 { 14_000 } else { 0 };
            let step = if tick > 2000 { 2500 } else { 0 };
            let rtt = Duration::from_micros(9000 + noise + outlier + step);
            let silent = (1200..1260).contains(&tick) || tick % 701 == 700;
            let kind = if silent { lost(0) } else { answered(rtt) };
            let event = ProbeEvent { at: Duration::from_millis(100 * tick), flow: 0, kind };
            tally.handle(&event);
            course.handle(&event);
        }
        (tally, course)
    }

    #[test]
    fn every_target_has_its_name_its_losses_and_whether_anybody_answered() {
        let (tally, course) = run();
        let name = "a<b>\x1b&c:1";
        let silent = (Tally::new(Target { name: name.into(), ..target() }), Course::new());
        let file = std::env::temp_dir().join(format!("hello-ping-{}.svg", std::process::id()));
        draw(&file, &[(&tally, &course), (&silent.0, &silent.1)]).expect("a picture");
        let svg = fs::read_to_string(&file).expect("a file");
        fs::remove_file(&file).expect("removed");
        let lost = tally.counts().lost;
        assert!(lost > 60);
        for text in [format!("192.0.2.1:9999, {lost} lost"), "no replies".into()] {
            assert!(svg.contains(&text), "{text}");
        }
        assert!(svg.contains(r"a&lt;b&gt;\u{1b}&amp;c:1, 0 lost"), "{svg}");
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error() {
        let (tally, course) = (Tally::new(target()), Course::new());
        assert!(draw(Path::new("/no/such/directory/x.svg"), &[(&tally, &course)]).is_err());
    }
}

//! The ratios as a picture.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;

use crate::peers::Peer;
use crate::report::Outcome;
use crate::workloads::Kind;

/// The picture, in pixels.
const WIDTH: u32 = 1400;

/// The room for the names of the servers, beside the ratios.
const KEY_WIDTH: u32 = 150;

/// Draws the ratios of every server at every queue and train, on a logarithmic scale.
pub(crate) fn draw(file: &Path, results: &[Outcome]) -> Result<(), Box<dyn Error>> {
    let queues = |outcome: &&Outcome| matches!(outcome.workload.kind, Kind::Queue | Kind::Trains);
    let outcomes = Vec::from_iter(results.iter().filter(queues));
    let Some(first) = outcomes.first() else {
        return Err("there is nothing to draw: no workload with a queue was run".into());
    };
    // The server against itself says nothing here.
    let peers = first.workload.peers.iter().filter(|peer| **peer != Peer::HelloAgain);
    let (peers, width) = (Vec::from_iter(peers), outcomes.len() as f64);
    let area = SVGBackend::new(file, (WIDTH, 640)).into_drawing_area();
    area.fill(&WHITE)?;
    let (plot, key) = area.split_horizontally(WIDTH - KEY_WIDTH);
    let mut chart = ChartBuilder::on(&plot)
        .caption("Processor time for each reply, against C recvmmsg/sendmmsg", ("sans-serif", 22))
        .margin(16)
        .x_label_area_size(40)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..width, (0.01..3.0).log_scale())?;
    // The name of a workload stands in the middle of its place.
    let label = |x: &f64| {
        let middle = |place: usize| (place as f64 + 0.5 - x).abs() < 0.01;
        let outcome = (0..outcomes.len()).find(|place| middle(*place)).map(|place| outcomes[place]);
        outcome.map_or_else(String::new, |outcome| outcome.workload.name())
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(4 * outcomes.len())
        .x_label_formatter(&label)
        .y_desc("ratio")
        .draw()?;
    for (index, &&peer) in peers.iter().enumerate() {
        let colour = Palette99::pick(index).to_rgba();
        let bars = outcomes.iter().enumerate().filter_map(|(place, outcome)| {
            let ratio = outcome.ratio(peer, outcome.workload.reference)?.median;
            let step = 0.8 / peers.len() as f64;
            let left = place as f64 + 0.1 + index as f64 * step;
            Some(Rectangle::new([(left, 0.01), (left + step, ratio)], colour.filled()))
        });
        chart.draw_series(bars)?;
        let line = 60 + 20 * i32::try_from(index)?;
        key.draw(&Rectangle::new([(0, line), (12, line + 12)], colour.filled()))?;
        key.draw(&Text::new(peer.name(), (20, line), ("sans-serif", 14)))?;
    }
    // Ratios that were to be reached, by our server and against the reference.
    for (place, outcome) in outcomes.iter().enumerate() {
        let reference = outcome.workload.reference;
        for &(_, _, at_most) in
            outcome.workload.targets.iter().filter(|target| target.1 == reference)
        {
            let line = [(place as f64 + 0.1, at_most), (place as f64 + 0.9, at_most)];
            chart.draw_series(DashedLineSeries::new(line, 4, 3, BLACK.stroke_width(2)))?;
        }
    }
    let target = 60 + 20 * i32::try_from(peers.len())?;
    key.draw(&Rectangle::new([(0, target + 5), (12, target + 7)], BLACK.filled()))?;
    key.draw(&Text::new("target", (20, target), ("sans-serif", 14)))?;
    let even = [(0.0, 1.0), (width, 1.0)];
    chart.draw_series(LineSeries::new(even, BLACK.stroke_width(1)))?;
    Ok(area.present()?)
}

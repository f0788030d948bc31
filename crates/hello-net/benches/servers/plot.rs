//! The ratios as a picture.

#[expect(dead_code, reason = "the tools draw with the rest")]
#[path = "../../../hello-cli/src/output/plot/axis.rs"]
mod axis;
#[expect(dead_code, reason = "the tools draw with the rest")]
#[path = "../../../hello-cli/src/output/plot/canvas.rs"]
mod canvas;

use std::error::Error;
use std::fs;
use std::path::Path;

use crate::peers::Peer;
use crate::report::Outcome;
use crate::workloads::{Kind, Workload};
use axis::{Axis, plain};
use canvas::{
    BLUE, Canvas, GREEN, Glyph, INK, LINE, MARGIN, MUTED, Mark, ORANGE, Pen, SHADE, Shape, Style,
    VERMILLION, WIDTH,
};

/// The ratios at a workload, and those that were to be reached.
struct Row {
    name: String,
    ratios: Vec<(Peer, f64)>,
    targets: Vec<f64>,
}

/// Draws the ratios of every server at every queue and train, on a logarithmic axis.
pub(crate) fn draw(file: &Path, results: &[Outcome]) -> Result<(), Box<dyn Error>> {
    let queues = |outcome: &&Outcome| outcome.workload.kind == Kind::Queue;
    let rows = results.iter().filter(queues).map(|outcome| {
        let Workload { reference, peers, targets, .. } = &outcome.workload;
        let ratio = |peer: &Peer| Some((*peer, outcome.ratio(*peer, *reference)?.median));
        let targets = targets.iter().filter(|target| target.1 == *reference);
        Row {
            name: outcome.workload.to_string(),
            ratios: peers.iter().filter_map(ratio).collect(),
            targets: targets.map(|target| target.2).collect(),
        }
    });
    let rows = Vec::from_iter(rows);
    if rows.is_empty() {
        return Err("there is nothing to draw: no workload with a queue was run".into());
    }
    Ok(fs::write(file, picture(&rows))?)
}

fn picture(rows: &[Row]) -> String {
    let mut canvas = Canvas::new();
    let top = canvas.heading(
        "Processor time for each reply",
        &["As a ratio to a C loop of recvmmsg and sendmmsg; less is cheaper".to_owned()],
    );
    let peers = MARKS.iter().map(|(_, name, mark)| (vec![Glyph::Mark(*mark)], *name));
    let mut legend = Vec::from_iter(peers);
    legend.push((vec![Glyph::Line(REFERENCE)], "C recvmmsg/sendmmsg"));
    legend.push((vec![Glyph::Line(TARGET)], "to be reached"));
    let top = canvas.legend(top, &legend) + 8.0;
    let bottom = top + ROW * rows.len() as f64;
    let names = rows.iter().map(|row| Style::Plain.width(&row.name)).fold(0.0, f64::max);
    let left = MARGIN + names + 16.0;
    let all = || rows.iter().flat_map(|row| &row.ratios).map(|(_, ratio)| *ratio);
    let x = Axis::log(all().fold(0.5, f64::min), all().fold(2.0, f64::max));
    let x = x.between(left, WIDTH - MARGIN);
    let ticks = x.ticks(9, plain);
    for row in (0..rows.len()).step_by(2) {
        let (at, size) = ((left, top + ROW * row as f64), (WIDTH - MARGIN - left, ROW));
        canvas.rectangle(at, size, SHADE);
    }
    Axis::draw_columns(&mut canvas, (top, bottom), &ticks);
    x.draw_labels(&mut canvas, bottom, &ticks, "ratio");
    canvas.segments([((x.at(1.0), top), (x.at(1.0), bottom))], REFERENCE);
    for (index, row) in rows.iter().enumerate() {
        let middle = top + ROW * (index as f64 + 0.5);
        canvas.text((left - 12.0, middle + 5.0), "end", Style::Plain, &row.name);
        let targets = row.targets.iter().map(|target| x.at(*target));
        canvas.segments(targets.map(|x| ((x, middle - 12.0), (x, middle + 12.0))), TARGET);
        // Servers that are as fast stand below each other.
        for (place, (peer, _, mark)) in MARKS.iter().enumerate().rev() {
            let y = middle + 3.6 * (place as f64 - 3.5);
            let ratios = row.ratios.iter().filter(|(other, _)| other == peer);
            canvas.marks(ratios.map(|(_, ratio)| (x.at(*ratio), y)), *mark);
        }
    }
    canvas.finish(bottom + 2.0 * LINE + MARGIN)
}

/// The height of a row.
const ROW: f64 = 34.0;

const REFERENCE: Pen = Pen::new(MUTED, 1.4);
const TARGET: Pen = Pen { dashed: true, ..Pen::new(INK, 1.6) };

const MARKS: [(Peer, &str, Mark); 8] = [
    (Peer::Hello, "hello-server", Mark::new(Shape::Disc, 5.5, BLUE)),
    (
        Peer::HelloPortable,
        "the same, portable",
        Mark { hollow: true, ..Mark::new(Shape::Disc, 4.5, BLUE) },
    ),
    (Peer::CSingle, "C recvfrom/sendto", Mark::new(Shape::Square, 4.0, INK)),
    (Peer::CGrouped, "C grouped", Mark::new(Shape::Diamond, 4.0, INK)),
    (Peer::RustStd, "Rust std", Mark { hollow: true, ..Mark::new(Shape::Square, 4.0, VERMILLION) }),
    (Peer::Tokio, "tokio", Mark::new(Shape::Triangle, 4.0, VERMILLION)),
    (Peer::QuinnUdp, "quinn-udp", Mark::new(Shape::Diamond, 4.0, ORANGE)),
    (Peer::Python, "Python", Mark { hollow: true, ..Mark::new(Shape::Triangle, 4.0, GREEN) }),
];

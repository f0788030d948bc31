//! The flows of a run.

use hello_measure::FlowSummary;

use super::lanes::draw_lane;
use crate::output::plot::axis::Axis;
use crate::output::plot::canvas::{BLUE, Canvas, Mark, PALE_BLUE, Pen, Shape, VERMILLION};

/// Draws the loss and the times of each flow. If there are very many, neighbours share a place,
/// which shows the worst of them.
pub(super) fn draw_flows(
    canvas: &mut Canvas,
    flows: &[FlowSummary],
    (left, right): (f64, f64),
    lost: (f64, f64),
    y: &Axis,
) {
    let x = flow_axis(flows.len(), (left, right));
    let groups = flows.chunks(flows.len().div_ceil(MAX_FLOWS).max(1));
    let groups = Vec::from_iter(groups.map(|group| {
        let worst =
            |of: fn(&FlowSummary) -> Option<f64>| group.iter().filter_map(of).reduce(f64::max);
        let middle = (group[0].flow + group[group.len() - 1].flow) as f64 / 2.0;
        let p50 = worst(|flow| flow.p50_ms);
        let times = p50.map(|p50| (p50, worst(|flow| flow.p99_ms).unwrap_or(p50)));
        (x.at(middle), worst(|flow| flow.loss), times)
    }));
    let losses = groups.iter().filter_map(|(x, loss, _)| Some((*x, (*loss)?)));
    let width = ((right - left) / groups.len().max(1) as f64 * 0.6).clamp(2.0, 16.0);
    draw_lane(canvas, ("", lost), (left, right), losses, (VERMILLION, width));
    let times =
        Vec::from_iter(groups.iter().filter_map(|(x, _, times)| {
            times.map(|(p50, p99)| ((*x, y.at(p50)), (*x, y.at(p99))))
        }));
    let spans = times.iter().filter(|(p50, p99)| p50.1 - p99.1 > 1.0);
    canvas.segments(spans.copied(), FLOW);
    canvas.marks(times.iter().map(|(p50, _)| *p50), MEDIAN);
}

pub(super) fn flow_axis(flows: usize, (left, right): (f64, f64)) -> Axis {
    Axis::linear(-0.5, flows as f64 - 0.5).between(left, right)
}

/// The most flows with a place of their own.
pub(super) const MAX_FLOWS: usize = 48;

pub(super) const FLOW: Pen = Pen::new(PALE_BLUE, 3.0);
pub(super) const MEDIAN: Mark = Mark::new(Shape::Dot, 2.6, BLUE);

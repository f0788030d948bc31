//! The plot of one or several runs, which share their axes.

mod flows;
mod lanes;

use std::borrow::Cow;
use std::time::Duration;

use hello_measure::{
    Counts, Distribution, FlowSummary, Outage, Quantiles, TimeBin, Timeline, millis,
};

use self::flows::{FLOW, MAX_FLOWS, MEDIAN, draw_flows, flow_axis};
use self::lanes::{OUTAGE, draw_lane, draw_outages};
use super::axis::{Axis, plain, short};
use super::canvas::{
    BLUE, Canvas, Glyph, INK, LINE, MARGIN, MUTED, Mark, ORANGE, PALE_BLUE, Pen, Point, Shape,
    Style, VERMILLION, WIDTH,
};
use crate::output::format::{nonzero, percentile, thousands};
use crate::output::percent;
use crate::output::wall_clock::WallClock;

/// What a plot says about all its runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caption<'a> {
    pub(crate) title: &'a str,
    pub(crate) parameters: &'a str,
    /// When the runs started.
    pub(crate) start: WallClock,
    /// The name of the vertical axis, without its unit.
    pub(crate) times: &'a str,
    /// The name of the horizontal axis, without its unit.
    pub(crate) over: &'a str,
}

/// A run to draw.
#[derive(Debug)]
pub(crate) struct Run<'a> {
    /// Safe to print.
    pub(crate) name: String,
    pub(crate) counts: Counts,
    pub(crate) timeline: &'a Timeline,
    pub(crate) times: Cow<'a, Distribution>,
    /// The flows, if there are several.
    pub(crate) flows: Vec<FlowSummary>,
    /// The lines about the causes of the losses.
    pub(crate) causes: Vec<String>,
    /// The outages to mark.
    pub(crate) outages: &'a [Outage],
}

/// Draws each run: times, losses and probes not sent over the run, the distribution of the times,
/// and the flows. Returns where they end.
pub(crate) fn draw(caption: &Caption<'_>, runs: &[Run<'_>]) -> (Canvas, f64) {
    let mut canvas = Canvas::new();
    let mut paragraphs = vec![format!("{}; {}", caption.parameters, caption.start.seconds())];
    if let [run] = runs {
        paragraphs.push(statistics(run));
        paragraphs.extend(run.causes.iter().cloned());
    }
    let mut y = canvas.heading(caption.title, &paragraphs);
    let layout = Layout::new(runs);
    y = canvas.legend(y, &layout.legend());
    for run in runs {
        if runs.len() > 1 {
            y = canvas.paragraph(y + 12.0, Style::Strong, &run.name);
            y = canvas.paragraph(y, Style::Plain, &statistics(run));
            y = run.causes.iter().fold(y, |y, line| canvas.paragraph(y, Style::Plain, line));
        }
        y = layout.draw(&mut canvas, run, y + 8.0, caption.times);
    }
    y = layout.draw_labels(&mut canvas, runs, y, caption.over);
    (canvas, y)
}

/// What the runs have in common, and where it is drawn.
#[derive(Debug)]
struct Layout {
    /// The time since the start, in `unit`.
    x: Axis,
    unit: (f64, &'static str),
    /// The times in milliseconds. Each run has its own place for it.
    y: Axis,
    counts: Axis,
    timeline: (f64, f64),
    distribution: (f64, f64),
    flows: Option<(f64, f64)>,
    height: f64,
    has_late: bool,
    has_not_sent: bool,
    has_outages: bool,
}

impl Layout {
    fn new(runs: &[Run<'_>]) -> Self {
        let bins = || runs.iter().flat_map(|run| run.timeline.bins());
        let end = bins().map(|(at, _)| at).max().unwrap_or_default().as_secs_f64();
        let unit = match end {
            18_000.0.. => (3600.0, "h"),
            300.0.. => (60.0, "min"),
            _ => (1.0, "s"),
        };
        let y = times(runs);
        let most = runs.iter().flat_map(|run| histogram(&run.times, &y)).max().unwrap_or(0);
        let has_not_sent = bins().any(|(_, bin)| bin.not_sent > 0);
        let lane = if has_not_sent { "not sent" } else { "lost" };
        let labels = y.ticks(TICKS, plain).into_iter().map(|(_, label)| Style::Plain.width(&label));
        let left = MARGIN + 32.0 + labels.fold(Style::Plain.width(lane), f64::max);
        let right = WIDTH - MARGIN;
        let has_flows = runs.iter().any(|run| run.flows.len() > 1);
        let flows = has_flows.then_some((right - SIDE, right));
        let marks = flows.map_or(right, |flows| flows.0 - GAP) - MARKS;
        let distribution = (marks - SIDE, marks);
        let timeline = (left, distribution.0 - GAP);
        Self {
            x: Axis::linear(0.0, end / unit.0).between(timeline.0, timeline.1),
            unit,
            y,
            counts: Axis::rounded(0.0, most.max(4) as f64).between(distribution.0, distribution.1),
            timeline,
            distribution,
            flows,
            height: if runs.len() > 1 { 150.0 } else { 230.0 },
            has_late: bins().any(|(_, bin)| bin.late.is_some()),
            has_not_sent,
            has_outages: runs.iter().any(|run| !run.outages.is_empty()),
        }
    }

    fn legend(&self) -> Vec<(Vec<Glyph>, &'static str)> {
        let square = |color| vec![Glyph::Mark(Mark::new(Shape::Square, 5.0, color))];
        let entries = [
            (true, vec![Glyph::Line(RANGE), Glyph::Mark(REPLY)], "answered"),
            (true, square(VERMILLION), "lost (height: share)"),
            (self.has_late, vec![Glyph::Mark(LATE)], "late reply"),
            (self.has_not_sent, square(INK), "not sent"),
            (
                self.has_outages,
                square(OUTAGE),
                if self.flows.is_some() { "outage of a flow" } else { "outage" },
            ),
            (
                self.flows.is_some(),
                vec![Glyph::Line(FLOW), Glyph::Mark(MEDIAN)],
                "p50 to p99 of a flow",
            ),
        ];
        let shown = entries.into_iter().filter(|(is_shown, ..)| *is_shown);
        shown.map(|(_, glyphs, name)| (glyphs, name)).collect()
    }

    /// Draws a run below `top`, and returns where it ends.
    fn draw(&self, canvas: &mut Canvas, run: &Run<'_>, top: f64, times: &str) -> f64 {
        let lost = (top, top + 34.0);
        let not_sent = (lost.1 + 4.0, lost.1 + 16.0);
        let upper = if self.has_not_sent { not_sent.1 } else { lost.1 } + 12.0;
        let panel = (upper, upper + self.height);
        let y = self.y.between(panel.1, panel.0);
        canvas.upright_text((MARGIN + 12.0, (top + panel.1) / 2.0), &format!("{times}, ms"));

        let bins = Vec::from_iter(
            run.timeline.bins().map(|(at, bin)| (self.x.at(at.as_secs_f64() / self.unit.0), bin)),
        );
        // Bars as wide as their bins, of which each has a request: a gap between would look like one
        // that was answered.
        let requests = run.timeline.bins().map(|(_, bin)| bin.answered + bin.lost + bin.not_sent);
        let most = usize::try_from(requests.sum::<u64>()).unwrap_or(usize::MAX);
        let coarse = run.timeline.coarser(most.min(LANE_BINS));
        let x = |at: Duration| self.x.at(at.as_secs_f64() / self.unit.0);
        let spans = run.outages.iter().map(|outage| {
            let [start, length] = [outage.start_s, outage.duration_s].map(|s| s / self.unit.0);
            (self.x.at(start), self.x.at(start + length))
        });
        draw_outages(canvas, (top, panel.1), self.timeline, spans);
        let length = coarse.bin_length();
        let lane = Vec::from_iter(coarse.bins().map(|(at, bin)| (x(at + length / 2), bin)));
        let width = (x(length) - self.timeline.0).clamp(2.0, self.timeline.1 - self.timeline.0);
        let losses = lane.iter().filter_map(|(x, bin)| Some((*x, bin.loss()?)));
        draw_lane(canvas, ("lost", lost), self.timeline, losses, (VERMILLION, width));
        if self.has_not_sent {
            let missing = lane.iter().filter(|(_, bin)| bin.not_sent > 0).map(|(x, _)| (*x, 1.0));
            draw_lane(canvas, ("not sent", not_sent), self.timeline, missing, (INK, width));
        }
        Axis::draw_columns(canvas, panel, &self.x.ticks(TICKS, plain));
        y.draw_rows(canvas, self.timeline, &y.ticks(TICKS, plain));
        draw_times(canvas, &bins, &y);
        if bins.iter().all(|(_, bin)| bin.rtts.is_none() && bin.late.is_none()) {
            let middle = (self.timeline.0 + self.timeline.1) / 2.0;
            let at = (middle, (panel.0 + panel.1) / 2.0);
            canvas.text(at, "middle", Style::Strong, "no replies");
        }
        self.draw_distribution(canvas, run, panel, &y);
        if let Some(flows) = self.flows {
            draw_flows(canvas, &run.flows, flows, lost, &y);
        }
        panel.1
    }

    /// Draws the labels and names of the horizontal axes, and returns where they end.
    fn draw_labels(&self, canvas: &mut Canvas, runs: &[Run<'_>], top: f64, over: &str) -> f64 {
        let name = format!("{over}, {}", self.unit.1);
        self.x.draw_labels(canvas, top, &self.x.ticks(TICKS, plain), &name);
        self.counts.draw_labels(canvas, top, &self.counts.ticks(3, short), "replies");
        if let Some(flows) = self.flows {
            let most = runs.iter().map(|run| run.flows.len()).max().unwrap_or(1);
            let name = match most.div_ceil(MAX_FLOWS) {
                1 => "flow".into(),
                several => format!("worst of {several} flows"),
            };
            let x = flow_axis(most, flows);
            let numbers = (0..most).step_by(most.div_ceil(3));
            let ticks = numbers.map(|flow| (x.at(flow as f64), flow.to_string()));
            x.draw_labels(canvas, top, &Vec::from_iter(ticks), &name);
        }
        top + 2.0 * LINE
    }

    fn draw_distribution(
        &self,
        canvas: &mut Canvas,
        run: &Run<'_>,
        (upper, lower): (f64, f64),
        y: &Axis,
    ) {
        let (left, right) = self.distribution;
        Axis::draw_columns(canvas, (upper, lower), &self.counts.ticks(3, short));
        let height = (lower - upper) / f64::from(BARS);
        let bars = (0..).zip(histogram(&run.times, y)).filter(|(_, count)| *count > 0);
        let bars = bars.map(|(bar, count)| {
            let middle = lower - (f64::from(bar) + 0.5) * height;
            // Rare times are visible, too.
            ((left, middle), (self.counts.at(count as f64).max(left + 2.0), middle))
        });
        canvas.segments(bars, Pen::new(BLUE, height - 1.0));
        let marks = Vec::from_iter(
            percentiles(&run.times).into_iter().map(|(name, millis)| (name, millis, y.at(millis))),
        );
        let labels = spread(marks.iter().map(|(_, _, at)| *at), (upper, lower));
        for ((name, millis, at), label) in marks.iter().zip(labels) {
            canvas.segments([((left, *at), (right, *at))], MARK);
            canvas.segments([((right, *at), (right + 8.0, label))], Pen::new(MUTED, 1.0));
            let text = format!("{name} {}", percentile(*millis));
            canvas.text((right + 12.0, label + 5.0), "start", Style::Plain, &text);
        }
    }
}

/// Returns the axis of times, which is logarithmic if a tail matters.
fn times(runs: &[Run<'_>]) -> Axis {
    let late = runs.iter().flat_map(|run| run.timeline.bins()).filter_map(|(_, bin)| bin.late);
    let longest =
        runs.iter().filter_map(|run| run.times.max()).chain(late.map(|late| late.1)).max();
    let longest = longest.map_or(1.0, millis);
    let shortest = runs.iter().filter_map(|run| run.times.min()).min().map(millis);
    let median = runs.iter().filter_map(|run| run.times.quantile(500)).min().map(millis);
    match (shortest, median) {
        (Some(shortest), Some(median)) if longest > TAIL * median => Axis::log(shortest, longest),
        (Some(shortest), _) if (longest / 2.0..longest).contains(&shortest) => {
            Axis::rounded(shortest, longest)
        }
        _ => Axis::rounded(0.0, longest * 1.05),
    }
}

/// Returns the number of times in each of [`BARS`] equal parts of an axis.
fn histogram(times: &Distribution, y: &Axis) -> Vec<u64> {
    let bounds = (0..=BARS).map(|bar| y.value(f64::from(bar) / f64::from(BARS)) / 1e3);
    let bounds = bounds.map(|bound| Duration::try_from_secs_f64(bound).unwrap_or(Duration::MAX));
    times.counts_between(&Vec::from_iter(bounds))
}

/// Returns the known percentiles and the maximum in descending order, in milliseconds.
fn percentiles(times: &Distribution) -> Vec<(&'static str, f64)> {
    let Some(times) = Quantiles::from_distribution(times) else { return vec![] };
    let Quantiles { max, p50, p90, p99, p999, .. } = times;
    let all = [("max", Some(max)), ("p99.9", p999), ("p99", p99), ("p90", p90), ("p50", p50)];
    all.into_iter().filter_map(|(name, millis)| Some((name, millis?))).collect()
}

/// Returns what the caption says about a run.
fn statistics(run: &Run<'_>) -> String {
    let counts = run.counts;
    let not_sent = run.timeline.bins().map(|(_, bin)| bin.not_sent).sum();
    let [sent, answered, lost] = [counts.sent, counts.answered, counts.lost].map(thousands);
    let mut text = format!("{sent} sent, {answered} answered, {lost} lost");
    if counts.lost > 0 {
        text += &format!(" ({})", percent::of(counts.lost, counts.settled()));
    }
    let others = [("late", counts.late), ("in flight", counts.in_flight()), ("not sent", not_sent)];
    if let Some(others) = nonzero(&others) {
        text += &format!(", {others}");
    }
    let times = percentiles(&run.times).into_iter().rev();
    // A line may not break before a number or its unit.
    let times = times.map(|(name, millis)| format!("{name}\u{a0}{}", percentile(millis)));
    match run.times.count() {
        0 => text,
        _ => format!("{text}; {}\u{a0}ms", Vec::from_iter(times).join(", ")),
    }
}

/// Draws the times of bins, each with its place.
fn draw_times(canvas: &mut Canvas, bins: &[(f64, TimeBin)], y: &Axis) {
    let ranges = bins.iter().filter_map(|(x, bin)| {
        let (min, max) = bin.rtts?;
        Some(((*x, y_of(y, min)), (*x, y_of(y, max))))
    });
    let ranges = Vec::from_iter(ranges);
    let is_long = |(min, max): &&(Point, Point)| min.1 - max.1 > 1.0;
    canvas.segments(ranges.iter().filter(is_long).copied(), RANGE);
    let ends = ranges.iter().map(|(_, max)| *max);
    let ends = ends.chain(ranges.iter().filter(is_long).map(|(min, _)| *min));
    // Single replies must be seen, and many must not hide each other.
    let radius = if ranges.len() < 200 { 2.4 } else { 1.3 };
    canvas.marks(ends, Mark { radius, ..REPLY });
    let late = bins.iter().filter_map(|(x, bin)| Some((*x, y_of(y, bin.late?.1))));
    canvas.marks(late, LATE);
}

fn y_of(y: &Axis, time: Duration) -> f64 {
    y.at(millis(time))
}

/// Returns places for labels, in descending order of importance from above, so that none overlap.
fn spread(places: impl Iterator<Item = f64>, (upper, lower): (f64, f64)) -> Vec<f64> {
    let mut least = upper;
    let mut places = Vec::from_iter(places.map(|place| {
        let place = place.max(least);
        least = place + LINE - 3.0;
        place
    }));
    let mut most = lower;
    for place in places.iter_mut().rev() {
        *place = place.min(most);
        most = *place - LINE + 3.0;
    }
    places
}

/// The longest time, in medians, from which on the axis is logarithmic.
const TAIL: f64 = 5.0;

/// The number of bars of a distribution.
const BARS: u32 = 40;

/// The most bars of a lane.
const LANE_BINS: usize = 128;

/// The most labels of an axis.
const TICKS: usize = 7;

/// The width of the distribution and of the flows, that of the names of percentiles, and that
/// between two columns.
const SIDE: f64 = 150.0;
const MARKS: f64 = 124.0;
const GAP: f64 = 32.0;

const RANGE: Pen = Pen::new(PALE_BLUE, 1.6);
const REPLY: Mark = Mark::new(Shape::Dot, 2.4, BLUE);
const LATE: Mark = Mark { hollow: true, ..Mark::new(Shape::Diamond, 4.0, ORANGE) };
const MARK: Pen = Pen { dashed: true, ..Pen::new(MUTED, 1.0) };

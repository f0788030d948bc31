//! Reads pictures, and checks that everything in them can be seen.

mod axis;
mod lanes;

use std::borrow::Cow;
use std::time::{Duration, UNIX_EPOCH};

use hello_measure::{Counts, Distribution, Flows, Outages, Timeline};
use svg::node::Attributes;
use svg::node::element::path::{Command, Data, Parameters, Position};
use svg::parser::Event;

use super::canvas::{self, WIDTH};
use super::runs::{Caption, Run, draw};
use crate::output::wall_clock::WallClock;

/// A rectangle: left, upper, right and lower.
type Area = [f64; 4];

const THEME: [&str; 12] = [
    "none",
    canvas::PAPER,
    canvas::SHADE,
    canvas::GRID,
    canvas::MUTED,
    canvas::INK,
    canvas::BLUE,
    canvas::VERMILLION,
    canvas::ORANGE,
    canvas::GREEN,
    canvas::PALE_BLUE,
    canvas::PALE_VERMILLION,
];

/// Checks a picture, and returns its texts.
pub(crate) fn texts(svg: &str) -> Vec<String> {
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    assert!(svg.len() < 400_000, "{} bytes", svg.len());
    let (mut texts, mut marks) = (Vec::<(Area, String)>::new(), Vec::new());
    let (mut at, mut page) = (None, None);
    for event in svg::read(svg).expect("an SVG document") {
        match event {
            Event::Tag("svg", _, attributes) if !attributes.is_empty() => {
                let [_, _, width, height] = numbers(&attributes["viewBox"])[..] else { panic!() };
                assert_eq!(width, WIDTH);
                page = Some([0.0, 0.0, width, height]);
            }
            Event::Tag(name, _, attributes) if !attributes.is_empty() => {
                for paint in ["fill", "stroke"].iter().filter_map(|paint| attributes.get(*paint)) {
                    assert!(THEME.contains(&&**paint), "{paint}");
                }
                let areas = match name {
                    "rect" => vec![rectangle(&attributes)],
                    "path" => strokes(&attributes),
                    "text" => {
                        at = Some(attributes);
                        continue;
                    }
                    "g" => continue,
                    other => panic!("{other}"),
                };
                if name == "path"
                    && (*attributes["fill"] != *"none" || attributes["d"].ends_with("h0"))
                {
                    marks.extend(&areas);
                }
                for area in areas {
                    let [left, upper, right, lower] = area;
                    assert!(left < right && upper < lower, "{name} of no size: {attributes:?}");
                    assert!(is_inside(area, page), "{name} at {area:?} of {page:?}");
                }
            }
            Event::Text(text) => {
                let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
                let area = extent(&at.take().expect("a position"), &text);
                assert!(!text.trim().is_empty());
                assert!(is_inside(area, page), "{text:?} at {area:?} of {page:?}");
                for (other, before) in &texts {
                    assert!(are_apart(area, *other), "{text:?} overlaps {before:?}");
                }
                texts.push((area, text));
            }
            Event::Error(error) => panic!("{error}"),
            _ => {}
        }
    }
    for (area, text) in &texts {
        assert!(marks.iter().all(|mark| are_apart(*area, *mark)), "a mark on {text:?}");
    }
    texts.into_iter().map(|(_, text)| text).collect()
}

fn number(attributes: &Attributes, name: &str) -> Option<f64> {
    attributes.get(name).map(|value| value.parse().expect("a number"))
}

fn numbers(text: &str) -> Vec<f64> {
    text.split_whitespace().map(|number| number.parse().expect("a number")).collect()
}

fn rectangle(attributes: &Attributes) -> Area {
    let [x, y, width, height] =
        ["x", "y", "width", "height"].map(|name| number(attributes, name).expect(name));
    [x, y, x + width, y + height]
}

/// Returns where text is, in a wide font.
fn extent(attributes: &Attributes, text: &str) -> Area {
    let [x, y] = ["x", "y"].map(|name| number(attributes, name).expect(name));
    let size = number(attributes, "font-size").unwrap_or(14.0);
    let em = |char| match char {
        ' ' | '\u{a0}' | '.' | ',' | ':' | ';' | '(' | ')' => 0.4,
        'f' | 'i' | 'j' | 'l' | 'r' | 't' => 0.45,
        'a'..='z' => 0.6,
        _ => 0.65,
    };
    let width = size * text.chars().map(em).sum::<f64>();
    let left = match attributes.get("text-anchor").map_or("start", |anchor| anchor) {
        "middle" => -width / 2.0,
        "end" => -width,
        _ => 0.0,
    };
    let (upper, lower) = (-0.8 * size, 0.25 * size);
    match attributes.contains_key("transform") {
        true => [x + upper, y + left, x + lower, y + left + width],
        false => [x + left, y + upper, x + left + width, y + lower],
    }
}

/// Returns where each part of a path is, with the width of its line. Parts of no length have no
/// area, unless the ends of lines are round.
fn strokes(attributes: &Attributes) -> Vec<Area> {
    let half = number(attributes, "stroke-width").expect("a width") / 2.0;
    let is_round = attributes.contains_key("stroke-linecap");
    let mut parts: Vec<Area> = Vec::new();
    let (mut x, mut y) = (0.0, 0.0);
    for command in Data::parse(&attributes["d"]).expect("a path").iter() {
        let numbers = |numbers: &Parameters| Vec::from_iter(numbers.iter().copied().map(f64::from));
        match command {
            Command::Move(Position::Absolute, to) | Command::Line(Position::Absolute, to) => {
                (x, y) = (numbers(to)[0], numbers(to)[1]);
            }
            Command::HorizontalLine(Position::Absolute, to) => x = numbers(to)[0],
            Command::VerticalLine(Position::Absolute, to) => y = numbers(to)[0],
            Command::Line(Position::Relative, by) => {
                (x, y) = (x + numbers(by)[0], y + numbers(by)[1]);
            }
            Command::HorizontalLine(Position::Relative, by) => x += numbers(by)[0],
            Command::VerticalLine(Position::Relative, by) => y += numbers(by)[0],
            Command::EllipticalArc(Position::Relative, by) => {
                let part = parts.last_mut().expect("a start");
                let radius = numbers(by)[1];
                (part[1], part[3]) = (part[1].min(y - radius), part[3].max(y + radius));
                x += numbers(by)[5];
            }
            Command::Close => continue,
            other => panic!("{other:?}"),
        }
        if matches!(command, Command::Move(..)) {
            parts.push([x, y, x, y]);
        }
        let part = parts.last_mut().expect("a start");
        *part = [part[0].min(x), part[1].min(y), part[2].max(x), part[3].max(y)];
    }
    let is_visible = |[left, upper, right, lower]: &Area| is_round || left < right || upper < lower;
    assert!(!parts.is_empty() && parts.iter().all(is_visible), "{attributes:?}");
    let grown =
        |[left, upper, right, lower]: Area| [left - half, upper - half, right + half, lower + half];
    parts.into_iter().map(grown).collect()
}

fn is_inside(area: Area, page: Option<Area>) -> bool {
    let page = page.expect("a size");
    area[0] >= page[0] && area[1] >= page[1] && area[2] <= page[2] && area[3] <= page[3]
}

fn are_apart(one: Area, other: Area) -> bool {
    one[2] <= other[0] || other[2] <= one[0] || one[3] <= other[1] || other[3] <= one[1]
}

/// What a test records for a run.
#[derive(Clone, Debug)]
struct Sample {
    name: String,
    counts: Counts,
    timeline: Timeline,
    times: Distribution,
    flows: Flows,
    /// The number of flows.
    several: usize,
    outages: Outages,
}

impl Sample {
    /// Returns a long line, if there are losses, as routers with long addresses cause.
    fn causes(&self) -> Vec<String> {
        let cause =
            "2 administratively prohibited (reported by 2001:db8:1234:5678:9abc:def0:1234:5678)";
        let line = format!("lost: {}", [cause; 3].join(", "));
        (self.counts.lost > 0).then_some(line).into_iter().collect()
    }

    fn new(name: &str, flows: usize) -> Self {
        let (counts, timeline) = (Counts::default(), Timeline::new());
        let (times, name, outages) = (Distribution::new(3), name.into(), Outages::new(flows));
        let (flows, several) = (Flows::new(flows), flows);
        Self { name, counts, timeline, times, flows, several, outages }
    }

    fn answered(&mut self, number: u64, rtt: Duration) {
        (self.counts.sent, self.counts.answered) = (self.counts.sent + 1, self.counts.answered + 1);
        self.timeline.answered(at(number), rtt);
        self.times.record(rtt);
        self.flows.answered(self.flow(number), rtt);
        let seq = self.sent(number);
        self.outages.answered(seq);
    }

    fn lost(&mut self, number: u64) {
        (self.counts.sent, self.counts.lost) = (self.counts.sent + 1, self.counts.lost + 1);
        self.timeline.lost(at(number));
        self.flows.lost(self.flow(number));
        let seq = self.sent(number);
        self.outages.lost(seq);
    }

    /// Notes that a probe was sent, and returns its sequence number.
    fn sent(&mut self, number: u64) -> u32 {
        let seq = u32::try_from(number).expect("few");
        self.outages.sent(self.flow(number), seq, at(number));
        seq
    }

    fn flow(&self, number: u64) -> usize {
        usize::try_from(number).expect("few") % self.several
    }

    /// A path with noise, outliers, an outage, a step, late replies and a pause of the sender.
    fn eventful(name: &str, flows: usize, probes: u64) -> Self {
        let mut sample = Self::new(name, flows);
        for number in 0..probes {
            let noise = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 53;
            let outlier = if number % 400 == 399 { 140_000 } else { 0 };
            let step = if number * 3 > probes * 2 { 2500 } else { 0 };
            let is_bad_flow =
                flows > 1 && number % flows as u64 == flows as u64 / 3 && number % 3 == 0;
            match number {
                _ if (probes / 3..probes / 3 + probes / 50).contains(&number) || is_bad_flow => {
                    sample.lost(number);
                }
                _ if number % 701 == 700 => {
                    sample.lost(number);
                    sample.counts.late += 1;
                    sample.timeline.late(at(number), Duration::from_millis(1200));
                }
                _ if number * 2 / (probes / 25 + 1) == 10 => {
                    sample.timeline.not_sent(at(number), 1);
                }
                _ => sample.answered(number, Duration::from_micros(9000 + noise + outlier + step)),
            }
        }
        sample
    }

    /// A sample of times a second apart.
    fn of(rtts: &[Duration]) -> Self {
        let mut sample = Self::new("192.0.2.1:9999", 1);
        (0..).zip(rtts).for_each(|(number, rtt)| sample.answered(number, *rtt));
        sample
    }
}

fn at(number: u64) -> Duration {
    Duration::from_millis(100 * number)
}

fn drawn(samples: &[Sample]) -> String {
    let outages = Vec::from_iter(samples.iter().map(|sample| sample.outages.summary().longest));
    let runs = samples.iter().zip(&outages).map(|(sample, outages)| Run {
        name: sample.name.clone(),
        counts: sample.counts,
        timeline: &sample.timeline,
        times: Cow::Borrowed(&sample.times),
        flows: sample.flows.summaries().collect(),
        causes: sample.causes(),
        outages,
    });
    let caption = Caption {
        title: "Round-trip times",
        parameters: "a probe every 100ms",
        start: WallClock(UNIX_EPOCH),
        times: "round-trip time",
        over: "time sent",
    };
    let (canvas, y) = draw(&caption, &Vec::from_iter(runs));
    canvas.finish(y + canvas::MARGIN)
}

#[test]
fn losing_flow_has_a_bar_of_its_own() {
    let mut sample = Sample::of(&[Duration::from_millis(10); 10]);
    let bars =
        |sample: &Sample| drawn(std::slice::from_ref(sample)).matches(canvas::VERMILLION).count();
    let without = bars(&sample);
    (sample.flows, sample.several) = (Flows::new(4), 4);
    assert_eq!(bars(&sample), without);
    sample.flows.lost(2);
    assert_eq!(bars(&sample), without + 1);
}

#[test]
fn tail_has_a_logarithmic_axis_and_every_percentile_that_the_sample_has() {
    let millis =
        |millis: &[u64]| Vec::from_iter(millis.iter().map(|ms| Duration::from_millis(*ms)));
    let has = |rtts: &[Duration], text: &str| {
        texts(&drawn(&[Sample::of(rtts)])).iter().any(|other| other == text)
    };
    assert!(has(&millis(&[10, 11, 40]), "30"), "linear");
    assert!(!has(&millis(&[10, 11, 60]), "30") && has(&millis(&[10, 11, 60]), "50"), "logarithmic");
    for (count, name) in [
        (1, "max 10.0"),
        (2, "p50 10.0"),
        (10, "p90 10.0"),
        (100, "p99 10.0"),
        (1000, "p99.9 10.0"),
    ] {
        assert!(has(&millis(&vec![10; count]), name), "{name}");
        assert!(!has(&millis(&vec![10; count - 1]), name), "{name}");
    }
}

#[test]
fn nothing_in_a_plot_of_runs_overlaps_or_is_cut_off_whatever_the_sample() {
    let (nano, second) = (Duration::from_nanos(1), Duration::from_secs(1));
    let mut lost = Sample::new("lost", 1);
    (0..100).for_each(|number| lost.lost(number));
    let mut late = Sample::new("late", 1);
    late.lost(0);
    late.timeline.late(Duration::ZERO, 5 * second);
    let mut not_sent = Sample::new("not sent", 1);
    not_sent.timeline.not_sent(second, 30);
    let mut many = Sample::eventful("many", 1, 9000);
    many.times.record_n(second, 10_000_000);
    let long = format!("{}.example.org:9999", "W".repeat(230));
    let eventful = |name: &str| Sample::eventful(name, 1, 3000);
    for samples in [
        vec![Sample::new("none", 1)],
        vec![Sample::of(&[second / 1000])],
        vec![Sample::of(&[Duration::ZERO; 2])],
        vec![Sample::of(&[nano, 9999 * second])],
        vec![Sample::of(&[second / 10; 1000])],
        vec![Sample::of(&[second / 10, second / 10 + 300 * nano])],
        vec![Sample::of(&[3600 * second, 3601 * second])],
        vec![lost.clone()],
        vec![late],
        vec![not_sent],
        vec![many],
        vec![eventful("fe80::1%enp0s31f6:9999")],
        vec![eventful(&long)],
        vec![eventful("a<b>&\"c':9"), eventful(&long), lost],
        Vec::from_iter((1..=6).map(|host| eventful(&format!("192.0.2.{host}:9999")))),
        vec![Sample::eventful("2 flows", 2, 3000)],
        vec![Sample::eventful("16 flows", 16, 3000)],
        vec![Sample::eventful("49 flows", 49, 1000), Sample::new("none", 49)],
        vec![Sample::eventful("3000 flows", 3000, 9000)],
    ] {
        texts(&drawn(&samples));
    }
}

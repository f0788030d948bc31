//! The plot of paths: a row for each router of each hop, and lines between them for the flows.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use hello_measure::{Path, PathNode, PathRow};
use hello_net::ZonedAddr;

use super::canvas::{
    BLUE, Canvas, GREEN, Glyph, INK, LINE, MARGIN, MUTED, Mark, Pen, Point, SHADE, Shape, Style,
    VERMILLION, WIDTH,
};
use crate::output::cause::reporter as router_text;

/// Paths to draw.
#[derive(Debug)]
pub(crate) struct Picture<'a> {
    /// Safe to print, as all texts here.
    pub(crate) name: String,
    /// The address of the target, which has the zone of routers on its link.
    pub(crate) address: ZonedAddr,
    pub(crate) paths: &'a [Path],
    /// The merged paths, as far as they are shown.
    pub(crate) rows: &'a [PathRow],
    pub(crate) losing: &'a [usize],
    /// The name of what the losing flows do.
    pub(crate) lose: &'static str,
    pub(crate) suspects: BTreeSet<IpAddr>,
    /// The addresses of the server.
    pub(crate) servers: BTreeSet<IpAddr>,
    /// The text of a router beside its address.
    pub(crate) details: fn(&PathNode) -> String,
    /// Sentences below the picture.
    pub(crate) verdicts: Vec<String>,
}

/// Draws the paths of each target.
pub(crate) fn draw(title: &str, parameters: &str, pictures: &[Picture<'_>]) -> String {
    let mut canvas = Canvas::new();
    let y = canvas.heading(title, &[parameters.to_owned()]);
    let y = draw_below(&mut canvas, y, pictures);
    canvas.finish(y + MARGIN)
}

/// Draws the paths of each target below `y`, and returns where they end.
pub(crate) fn draw_below(canvas: &mut Canvas, y: f64, pictures: &[Picture<'_>]) -> f64 {
    let mut y = canvas.legend(y, &legend(pictures));
    for picture in pictures {
        if pictures.len() > 1 {
            y = canvas.paragraph(y + 12.0, Style::Strong, &picture.name);
        }
        y = Map::new(picture, y + 12.0).draw(canvas);
        for verdict in &picture.verdicts {
            y = canvas.paragraph(y, Style::Plain, verdict);
        }
    }
    y
}

fn legend(pictures: &[Picture<'_>]) -> Vec<(Vec<Glyph>, &'static str)> {
    let is_silent = |picture: &Picture<'_>| {
        picture.rows.iter().flat_map(|row| &row.nodes).any(|node| node.address.is_none())
    };
    let losing = pictures.iter().find(|picture| !picture.losing.is_empty());
    let has_suspects = pictures.iter().any(|picture| !picture.suspects.is_empty());
    let entries = [
        (true, vec![Glyph::Line(CLEAN)], "flows"),
        (losing.is_some(), vec![Glyph::Line(LOSING)], losing.map_or("", |picture| picture.lose)),
        (true, vec![Glyph::Mark(ROUTER)], "router"),
        (pictures.iter().any(is_silent), vec![Glyph::Mark(SILENT)], "no answer"),
        (true, vec![Glyph::Mark(SERVER)], "server"),
        (has_suspects, vec![Glyph::Mark(SUSPECT)], "only losing flows pass"),
    ];
    let shown = entries.into_iter().filter(|(is_shown, ..)| *is_shown);
    shown.map(|(_, glyphs, name)| (glyphs, name)).collect()
}

/// A router of a hop; `None` is the silence there.
type Place = (u8, Option<IpAddr>);

/// Where everything is.
struct Map<'a> {
    picture: &'a Picture<'a>,
    top: f64,
    /// The place of each router. Those that have no room share one.
    points: BTreeMap<Place, Point>,
    texts: Vec<Row>,
    bottom: f64,
}

/// The text of a row.
struct Row {
    y: f64,
    ttl: Option<u8>,
    mark: Mark,
    at: Point,
    name: String,
    details: String,
}

impl<'a> Map<'a> {
    fn new(picture: &'a Picture<'a>, top: f64) -> Self {
        let mut map =
            Self { picture, top, points: BTreeMap::new(), texts: Vec::new(), bottom: top + ROW };
        let most = picture.rows.iter().map(|row| row.nodes.len().min(MAX_NODES)).max().unwrap_or(1);
        let step = ((LANES.1 - LANES.0) / most.max(2) as f64).min(MAX_STEP);
        let center = f64::midpoint(LANES.0, LANES.1);
        let mut y = top + ROW * 1.5;
        for row in picture.rows {
            let shown = row.nodes.len().min(MAX_NODES);
            let rest = row.nodes.len() - shown;
            for (index, node) in row.nodes.iter().enumerate() {
                let lane = index.min(shown - 1);
                let x = center + step * (lane as f64 - (shown - 1) as f64 / 2.0);
                let place = (row.ttl, node.address);
                if index >= shown {
                    let last = map.texts.last().map_or((x, y), |row| row.at);
                    map.points.insert(place, last);
                    continue;
                }
                map.points.insert(place, (x, y));
                let is_shared = lane + 1 == MAX_NODES && rest > 0;
                let (name, details) = match (is_shared, node.address) {
                    (true, _) => (format!("{} more routers", rest + 1), String::new()),
                    (false, None) => ("*".to_owned(), (picture.details)(node)),
                    (false, Some(address)) => {
                        (router_text(address, picture.address), (picture.details)(node))
                    }
                };
                let mark = match node.address {
                    None => SILENT,
                    Some(address) if picture.suspects.contains(&address) => SUSPECT,
                    Some(address) if picture.servers.contains(&address) => SERVER,
                    Some(_) => ROUTER,
                };
                let ttl = (lane == 0).then_some(row.ttl);
                map.texts.push(Row { y, ttl, mark, at: (x, y), name, details });
                y += ROW;
            }
        }
        map.bottom = y;
        map
    }

    fn draw(&self, canvas: &mut Canvas) -> f64 {
        let right = WIDTH - 2.0 * MARGIN;
        let bands = self.picture.rows.iter().filter_map(|row| {
            let mut ys = row.nodes.iter().filter_map(|it| self.points.get(&(row.ttl, it.address)));
            let first = ys.next()?.1;
            let last = ys.map(|(_, y)| *y).fold(first, f64::max);
            Some((row.ttl, first - ROW / 2.0, last - first + ROW))
        });
        for (_, y, height) in bands.filter(|(ttl, ..)| ttl % 2 == 1) {
            canvas.rectangle((MARGIN, y), (right, height), SHADE);
        }
        let start = (f64::midpoint(LANES.0, LANES.1), self.top + ROW / 2.0);
        for ((from, to), [clean, losing]) in self.edges(start) {
            let both = clean > 0 && losing > 0;
            for (flows, pen, side) in [(clean, CLEAN, -1.0), (losing, LOSING, 1.0)] {
                if flows == 0 {
                    continue;
                }
                let shift = if both { side * 3.5 } else { 0.0 };
                let width = pen.width + (flows as f64).log2().min(4.0) * 0.6;
                let ends = [(from.0 + shift, from.1), (to.0 + shift, to.1)];
                canvas.polyline(&ends, Pen { width, ..pen });
            }
        }
        canvas.marks([start], HOST);
        canvas.text((NAMES, start.1 + 5.0), "start", Style::Strong, "this host");
        for row in &self.texts {
            canvas.marks([row.at], row.mark);
            if let Some(ttl) = row.ttl {
                let at = (MARGIN + 34.0, row.y + 5.0);
                canvas.text(at, "end", Style::Plain, &ttl.to_string());
            }
            canvas.text((NAMES, row.y + 5.0), "start", Style::Strong, &row.name);
            let details = NAMES + Style::Strong.width(&row.name).max(130.0) + 16.0;
            if !row.details.is_empty() {
                canvas.text((details, row.y + 5.0), "start", Style::Plain, &row.details);
            }
        }
        self.bottom - ROW / 2.0 + LINE / 2.0
    }

    /// Returns the lines between places, with the numbers of clean and of losing flows.
    fn edges(&self, start: Point) -> Vec<((Point, Point), [u32; 2])> {
        let losing = BTreeSet::from_iter(self.picture.losing);
        let mut edges = BTreeMap::<(Place, Place), [u32; 2]>::new();
        for path in self.picture.paths {
            let is_losing = losing.contains(&path.flow);
            let mut before = vec![(0, None)];
            for hop in &path.hops {
                let mut here = Vec::from_iter(
                    hop.routers.iter().map(|router| (hop.ttl, Some(router.address))),
                );
                if here.is_empty() {
                    here.push((hop.ttl, None));
                }
                here.retain(|place| self.points.contains_key(place));
                for edge in before.iter().flat_map(|from| here.iter().map(|to| (*from, *to))) {
                    edges.entry(edge).or_default()[usize::from(is_losing)] += 1;
                }
                before = here;
            }
        }
        let at = |place: &Place| self.points.get(place).copied().unwrap_or(start);
        edges.iter().map(|((from, to), flows)| ((at(from), at(to)), *flows)).collect()
    }
}

/// The height of a row.
const ROW: f64 = 30.0;

/// Where routers are drawn, and where their names are.
const LANES: (f64, f64) = (MARGIN + 60.0, MARGIN + 360.0);
const NAMES: f64 = LANES.1 + 30.0;

/// The most routers that are drawn of one hop, and the largest distance between two of them.
const MAX_NODES: usize = 12;
const MAX_STEP: f64 = 70.0;

const CLEAN: Pen = Pen::new(BLUE, 2.0);
const LOSING: Pen = Pen { dashed: true, ..Pen::new(VERMILLION, 2.0) };
const HOST: Mark = Mark::new(Shape::Square, 6.0, INK);
const ROUTER: Mark = Mark::new(Shape::Disc, 6.0, INK);
const SERVER: Mark = Mark::new(Shape::Square, 6.0, GREEN);
const SILENT: Mark = Mark { hollow: true, ..Mark::new(Shape::Disc, 6.0, MUTED) };
const SUSPECT: Mark = Mark::new(Shape::Diamond, 7.0, VERMILLION);

#[cfg(test)]
mod tests;

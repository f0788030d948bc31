//! Drawing in SVG, with one theme for all pictures. The benchmark of the servers draws with it, too.

use std::fmt::Write as _;

use svg::Node as _;
use svg::node::Text;
use svg::node::element::Element;

/// The width of every picture. At 700 pixels, the smallest text has ten.
pub(crate) const WIDTH: f64 = 960.0;
/// The room between the edge of a picture and its contents.
pub(crate) const MARGIN: f64 = 26.0;
/// The distance of two lines of text.
pub(crate) const LINE: f64 = 20.0;

/// The background, which is opaque, so that a picture looks the same on every page.
pub(crate) const PAPER: &str = "#ffffff";
/// The background of a lane.
pub(crate) const SHADE: &str = "#f2f4f6";
/// The lines of a grid, and the edge of a picture.
pub(crate) const GRID: &str = "#dde1e6";
/// Text beside data, and lines that mark a value.
pub(crate) const MUTED: &str = "#57606a";
/// Headings, and series without a meaning of their own.
pub(crate) const INK: &str = "#1f2328";

// The colours of series are those of Okabe and Ito (2008), which stay distinct for colour-blind
// readers. Dashes and the shapes of marks also distinguish series, for print in grey.
pub(crate) const BLUE: &str = "#0072b2";
pub(crate) const VERMILLION: &str = "#d55e00";
pub(crate) const ORANGE: &str = "#e69f00";
pub(crate) const GREEN: &str = "#009e73";
pub(crate) const PALE_BLUE: &str = "#a9d2ea";
pub(crate) const PALE_VERMILLION: &str = "#f6c4a0";

/// A position, in pixels from the upper left corner.
pub(crate) type Point = (f64, f64);

/// The looks of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Title,
    Strong,
    Plain,
}

impl Style {
    const fn size(self) -> f64 {
        if matches!(self, Self::Title) { 20.0 } else { 14.0 }
    }

    /// Returns an upper bound of a text's width, in any usual font without serifs.
    pub(crate) fn width(self, text: &str) -> f64 {
        let em = |char| match char {
            'm' | 'w' | 'M' | 'W' | '@' | '%' => 1.0,
            ' ' | '\u{a0}' | '.' | ',' | ':' | ';' | '\'' | '|' | 'i' | 'j' | 'l' | 'I' => 0.34,
            'f' | 'r' | 't' | '(' | ')' | '/' | '-' => 0.42,
            'A'..='Z' => 0.78,
            ' '..='~' => 0.64,
            _ => 1.3,
        };
        let bold = if self == Self::Plain { 1.0 } else { 1.13 };
        text.chars().map(em).sum::<f64>() * self.size() * bold
    }

    /// Breaks a text into lines of this width: at blanks, or anywhere in a longer word.
    fn wrap(self, text: &str, width: f64) -> Vec<String> {
        let mut lines = vec![String::new()];
        for word in text.split_inclusive(' ') {
            let last = lines.last().map_or(0.0, |line| self.width(line));
            if last > 0.0 && last + self.width(word.trim_end()) > width {
                lines.push(String::new());
            }
            for char in word.chars() {
                let Some(line) = lines.last_mut() else { continue };
                line.push(char);
                if self.width(line.trim_end()) > width {
                    line.pop();
                    lines.push(char.to_string());
                }
            }
        }
        lines
    }
}

/// A line's looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pen {
    pub(crate) color: &'static str,
    pub(crate) width: f64,
    pub(crate) dashed: bool,
    /// Whether its ends and corners are round.
    pub(crate) is_round: bool,
}

impl Pen {
    pub(crate) const fn new(color: &'static str, width: f64) -> Self {
        Self { color, width, dashed: false, is_round: false }
    }
}

/// The shape of a mark.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    /// A disc in few bytes, for thousands of marks; never hollow.
    Dot,
    Disc,
    Square,
    Triangle,
    Diamond,
}

/// The looks of a point of a series.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    pub(crate) shape: Shape,
    pub(crate) radius: f64,
    pub(crate) color: &'static str,
    pub(crate) hollow: bool,
}

impl Mark {
    pub(crate) const fn new(shape: Shape, radius: f64, color: &'static str) -> Self {
        Self { shape, radius, color, hollow: false }
    }
}

/// A part of an entry of a legend.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Glyph {
    Line(Pen),
    Mark(Mark),
}

/// A picture.
#[derive(Debug)]
pub(crate) struct Canvas {
    contents: Element,
}

impl Canvas {
    pub(crate) fn new() -> Self {
        let mut contents = Element::new("g");
        contents.assign("font-family", "Helvetica, Arial, 'DejaVu Sans', sans-serif");
        contents.assign("font-size", Style::Plain.size());
        contents.assign("fill", MUTED);
        Self { contents }
    }

    /// Draws a title, and paragraphs below it. Returns where they end.
    pub(crate) fn heading(&mut self, title: &str, paragraphs: &[String]) -> f64 {
        let mut y = self.paragraph(MARGIN + 4.0, Style::Title, title);
        for text in paragraphs {
            y = self.paragraph(y, Style::Plain, text);
        }
        y
    }

    /// Draws text in as many lines as it needs, and returns where it ends.
    pub(crate) fn paragraph(&mut self, mut y: f64, style: Style, text: &str) -> f64 {
        for line in style.wrap(text, WIDTH - 2.0 * MARGIN) {
            y += style.size() + 6.0;
            self.text((MARGIN, y - 6.0), "start", style, line.trim_end());
        }
        y
    }

    /// Draws the entries of a legend in as many lines as they need, and returns where it ends.
    pub(crate) fn legend(&mut self, mut y: f64, entries: &[(Vec<Glyph>, &str)]) -> f64 {
        const GLYPH: f64 = 28.0;
        let mut x = MARGIN;
        y += LINE;
        for (glyphs, text) in entries {
            let width = GLYPH + Style::Plain.width(text) + 16.0;
            if x > MARGIN && x + width > WIDTH - MARGIN {
                (x, y) = (MARGIN, y + LINE);
            }
            let middle = y - 5.0;
            for glyph in glyphs {
                match *glyph {
                    Glyph::Line(pen) => self.polyline(&[(x, middle), (x + 22.0, middle)], pen),
                    Glyph::Mark(mark) => self.marks([(x + 11.0, middle)], mark),
                }
            }
            self.text((x + GLYPH, y), "start", Style::Plain, text);
            x += width;
        }
        y + 6.0
    }

    /// Draws a line of text. Its anchor is `start`, `middle` or `end`.
    pub(crate) fn text(&mut self, at: Point, anchor: &str, style: Style, text: &str) {
        let element = text_element(at, anchor, style, text);
        self.contents.append(element);
    }

    /// Draws text that reads upwards, around a point.
    pub(crate) fn upright_text(&mut self, (x, y): Point, text: &str) {
        let mut element = text_element((x, y), "middle", Style::Plain, text);
        element.assign("transform", format!("rotate(-90 {} {})", px(x), px(y)));
        self.contents.append(element);
    }

    pub(crate) fn rectangle(&mut self, (x, y): Point, (width, height): Point, fill: &str) {
        let mut element = Element::new("rect");
        let values = [("x", x), ("y", y), ("width", width), ("height", height)];
        values.into_iter().for_each(|(name, value)| element.assign(name, px(value)));
        element.assign("fill", fill);
        self.contents.append(element);
    }

    /// Draws lines between pairs of points.
    pub(crate) fn segments(&mut self, lines: impl IntoIterator<Item = (Point, Point)>, pen: Pen) {
        let mut data = String::new();
        for (from, to) in lines {
            let _ = write!(data, "M{} {}", px(from.0), px(from.1));
            let _ = match (from.0 == to.0, from.1 == to.1) {
                (true, _) => write!(data, "V{}", px(to.1)),
                (_, true) => write!(data, "H{}", px(to.0)),
                _ => write!(data, "L{} {}", px(to.0), px(to.1)),
            };
        }
        self.path(data, "none", pen);
    }

    /// Draws a line through points, if there are two or more.
    pub(crate) fn polyline(&mut self, points: &[Point], pen: Pen) {
        let points = if points.len() < 2 { &[] } else { points };
        let mut data = String::new();
        for (point, (x, y)) in points.iter().enumerate() {
            let _ = write!(data, "{}{} {}", if point == 0 { 'M' } else { 'L' }, px(*x), px(*y));
        }
        self.path(data, "none", pen);
    }

    /// Draws the same mark at some points.
    pub(crate) fn marks(&mut self, points: impl IntoIterator<Item = Point>, mark: Mark) {
        let (mut data, r) = (String::new(), mark.radius);
        for (x, y) in points {
            let start = match mark.shape {
                Shape::Dot => (x, y),
                Shape::Disc => (x - r, y),
                Shape::Square => (x - r * 0.88, y - r * 0.88),
                Shape::Triangle | Shape::Diamond => (x, y - r * 1.2),
            };
            let _ = write!(data, "M{} {}", px(start.0), px(start.1));
            let [a, b, c] = [r * 1.2, r * 1.76, r * 2.0].map(px);
            let _ = match mark.shape {
                Shape::Dot => write!(data, "h0"),
                Shape::Disc => write!(data, "a{r} {r} 0 1 0 {c} 0a{r} {r} 0 1 0 -{c} 0z"),
                Shape::Square => write!(data, "h{b}v{b}h-{b}z"),
                Shape::Triangle => write!(data, "l{a} {c}h-{}z", px(r * 2.4)),
                Shape::Diamond => write!(data, "l{a} {a}l-{a} {a}l-{a} -{a}z"),
            };
        }
        let pen = Pen { is_round: true, ..Pen::new(mark.color, 1.6) };
        match mark.shape {
            // The ends of these lines are round, and the lines have no length.
            Shape::Dot => self.path(data, "none", Pen { width: 2.0 * r, ..pen }),
            _ => self.path(data, if mark.hollow { PAPER } else { mark.color }, pen),
        }
    }

    /// Returns the picture with this height.
    pub(crate) fn finish(self, height: f64) -> String {
        let mut root = Element::new("svg");
        root.assign("xmlns", "http://www.w3.org/2000/svg");
        root.assign("viewBox", format!("0 0 {WIDTH} {}", px(height)));
        root.assign("width", WIDTH);
        root.assign("height", px(height));
        let mut card = Element::new("rect");
        for (name, value) in
            [("x", 0.5), ("y", 0.5), ("rx", 8.0), ("width", WIDTH - 1.0), ("height", height - 1.0)]
        {
            card.assign(name, px(value));
        }
        card.assign("fill", PAPER);
        card.assign("stroke", GRID);
        root.append(card);
        root.append(self.contents);
        format!("{root}\n")
    }

    fn path(&mut self, data: String, fill: &str, pen: Pen) {
        if data.is_empty() {
            return;
        }
        let mut element = Element::new("path");
        element.assign("d", data);
        element.assign("fill", fill);
        element.assign("stroke", pen.color);
        element.assign("stroke-width", pen.width);
        if pen.dashed {
            element.assign("stroke-dasharray", "6 4");
        }
        if pen.is_round {
            element.assign("stroke-linecap", "round");
            element.assign("stroke-linejoin", "round");
        }
        self.contents.append(element);
    }
}

/// Returns a text with only those attributes that differ from the group's.
fn text_element((x, y): Point, anchor: &str, style: Style, text: &str) -> Element {
    let mut element = Element::new("text");
    element.assign("x", px(x));
    element.assign("y", px(y));
    if anchor != "start" {
        element.assign("text-anchor", anchor);
    }
    if style == Style::Title {
        element.assign("font-size", style.size());
    }
    if style != Style::Plain {
        element.assign("font-weight", "bold");
        element.assign("fill", INK);
    }
    element.append(Text::new(text));
    element
}

/// Rounds to a tenth of a pixel.
fn px(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

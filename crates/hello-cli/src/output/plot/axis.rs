//! Axes: where values are drawn, and which of them have labels.

use super::canvas::{Canvas, GRID, LINE, Pen, Style};

/// A linear or logarithmic scale between two pixels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Axis {
    from: f64,
    to: f64,
    is_log: bool,
    /// Where it starts and ends, in pixels.
    start: f64,
    end: f64,
}

/// A label, and its place in pixels.
pub(crate) type Tick = (f64, String);

impl Axis {
    /// Creates a linear axis between two values, or from `from` to one more if that is not more.
    pub(crate) fn linear(from: f64, to: f64) -> Self {
        let to = if to > from { to } else { from + 1.0 };
        Self { from, to, is_log: false, start: 0.0, end: 1.0 }
    }

    /// Creates a linear axis that ends at round numbers.
    pub(crate) fn rounded(from: f64, to: f64) -> Self {
        let Self { from, to, .. } = Self::linear(from, to);
        let step = round_up((to - from) / 6.0);
        Self::linear((from / step + SLACK).floor() * step, (to / step - SLACK).ceil() * step)
    }

    /// Creates a logarithmic axis that ends at 1, 2 or 5 times a power of ten.
    pub(crate) fn log(from: f64, to: f64) -> Self {
        let low = round_numbers().filter(|round| *round <= from * (1.0 + SLACK)).last();
        let (low, high) = (low.unwrap_or(LEAST), round_up(to));
        Self { is_log: true, ..Self::linear(low, if high > low { high } else { 10.0 * low }) }
    }

    /// Puts the axis between two pixels.
    #[must_use]
    pub(crate) fn between(self, start: f64, end: f64) -> Self {
        Self { start, end, ..self }
    }

    /// Returns where a value is drawn: at the end of the axis if it is beyond it.
    pub(crate) fn at(&self, value: f64) -> f64 {
        let part = match self.is_log {
            true => (value.max(LEAST) / self.from).ln() / (self.to / self.from).ln(),
            false => (value - self.from) / (self.to - self.from),
        };
        self.start + (self.end - self.start) * part.clamp(0.0, 1.0)
    }

    /// Returns the value at a part of the axis, from 0 to 1.
    pub(crate) fn value(&self, part: f64) -> f64 {
        match self.is_log {
            true => self.from * (self.to / self.from).powf(part),
            false => self.from + (self.to - self.from) * part,
        }
    }

    /// Returns up to `most` ticks at round numbers, with labels by [`plain`] or [`short`].
    pub(crate) fn ticks(&self, most: usize, label: fn(f64, f64) -> String) -> Vec<Tick> {
        let (least, last) = (self.from * (1.0 - SLACK), self.to * (1.0 + SLACK));
        let is_on = |value: &f64| (least..=last).contains(value);
        if self.is_log {
            let decade = |every| {
                let powers = (LEAST_POWER..=MOST_POWER).filter(move |power| power % every == 0);
                Vec::from_iter(powers.map(|power| 10_f64.powi(power)).filter(is_on))
            };
            let all = Vec::from_iter(round_numbers().filter(is_on));
            let fewer = [all, decade(1), decade(2), decade(4)];
            let values = fewer.into_iter().find(|values| values.len() <= most);
            let tick = |value: f64| (self.at(value), label(value, value));
            return values.unwrap_or_default().into_iter().map(tick).collect();
        }
        let step = round_up((self.to - self.from) / most.max(2) as f64);
        let first = (self.from / step - SLACK).ceil();
        let values = (0..=most).map(|index| (first + index as f64) * step);
        let is_on = |value: &f64| *value <= self.to + step * SLACK;
        values.filter(is_on).map(|value| (self.at(value), label(value, step))).collect()
    }

    /// Draws a vertical axis: lines from `left` to `right`, and the labels before them.
    pub(crate) fn draw_rows(&self, canvas: &mut Canvas, (left, right): (f64, f64), ticks: &[Tick]) {
        canvas.segments(ticks.iter().map(|(y, _)| ((left, *y), (right, *y))), GRID_PEN);
        for (y, label) in ticks {
            canvas.text((left - 8.0, y + 5.0), "end", Style::Plain, label);
        }
    }

    /// Draws a horizontal axis: lines from `top` to `bottom`.
    pub(crate) fn draw_columns(canvas: &mut Canvas, (top, bottom): (f64, f64), ticks: &[Tick]) {
        canvas.segments(ticks.iter().map(|(x, _)| ((*x, top), (*x, bottom))), GRID_PEN);
    }

    /// Draws the labels of a horizontal axis and its name, below `top`.
    pub(crate) fn draw_labels(&self, canvas: &mut Canvas, top: f64, ticks: &[Tick], name: &str) {
        for (x, label) in ticks {
            // A label may protrude, but not as far as those of the next axis.
            let room = OVERHANG - Style::Plain.width(label) / 2.0;
            let x = x.min(self.end + room).max(self.start - room);
            canvas.text((x, top + LINE), "middle", Style::Plain, label);
        }
        let middle = (self.start + self.end) / 2.0;
        canvas.text((middle, top + 2.0 * LINE), "middle", Style::Plain, name);
    }
}

/// Formats a number with as many decimals as distinguish it from those a step away.
pub(crate) fn plain(value: f64, step: f64) -> String {
    let decimals = (0..9).find(|decimals| step * 10_f64.powi(*decimals) > 1.0 - SLACK);
    format!("{value:.*}", usize::try_from(decimals.unwrap_or(9)).unwrap_or_default())
}

/// Formats a number with `k`, `M` or `G` for thousands, millions and more.
pub(crate) fn short(value: f64, step: f64) -> String {
    let (scale, suffix) = match value * (1.0 + SLACK) {
        1e9.. => (1e9, "G"),
        1e6.. => (1e6, "M"),
        1e3.. => (1e3, "k"),
        _ => (1.0, ""),
    };
    let text = plain(value / scale, step / scale);
    let text =
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{suffix}")
}

/// Yields 1, 2 and 5 times each power of ten.
fn round_numbers() -> impl Iterator<Item = f64> {
    let powers = (LEAST_POWER..=MOST_POWER).map(|power| 10_f64.powi(power));
    powers.flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * power))
}

fn round_up(value: f64) -> f64 {
    round_numbers().find(|round| *round >= value * (1.0 - SLACK)).unwrap_or(value)
}

/// The least value of a logarithmic axis, which has no zero. In milliseconds, it is a nanosecond.
const LEAST: f64 = 1e-6;

/// The powers of ten with ticks.
const LEAST_POWER: i32 = -6;
const MOST_POWER: i32 = 21;

/// The relative error of a calculation.
const SLACK: f64 = 1e-9;

/// The number of pixels by which a label may protrude.
const OVERHANG: f64 = 12.0;

const GRID_PEN: Pen = Pen::new(GRID, 1.0);

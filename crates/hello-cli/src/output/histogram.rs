//! A histogram in text.

use hello_measure::{Distribution, millis};

use super::format::thousands;
use super::layout::Layout;
use super::table::{Head, table};

/// Draws a histogram of round-trip times, with bars that fit beside the numbers.
pub fn bars(layout: Layout, rtts: &Distribution) -> String {
    let bins = rtts.bins(BARS);
    let highest = bins.iter().map(|bin| bin.count).max().unwrap_or(1).max(1);
    let numbers = bins.iter().map(|bin| {
        let [start, end] = [bin.start, bin.end].map(|bound| format!("{:.3}", millis(bound)));
        [start, end, thousands(bin.count)]
    });
    let numbers = Vec::from_iter(numbers);
    let width = |column: usize| {
        let texts = numbers.iter().map(|row| row[column].len());
        texts.chain([HEADS[column].0.len()]).max().unwrap_or(0) + SPACE
    };
    let taken: usize = (0..3).map(width).sum();
    let room = layout.width.map_or(LONGEST_BAR, |width| width.get().saturating_sub(taken));
    let length = room.clamp(1, LONGEST_BAR);
    let rows = bins.iter().zip(&numbers).map(|(bin, numbers)| {
        let bar = bar(layout.unicode, bin.count, highest, length);
        numbers.iter().cloned().chain([bar]).collect()
    });
    table(layout, 3, HEADS, rows)
}

const HEADS: &[Head] = &[("from ms", 0), ("to ms", 0), ("replies", 0), ("", 0)];

/// Draws a bar, whose length is rounded up, so that every bin with replies has one.
fn bar(unicode: bool, count: u64, highest: u64, length: usize) -> String {
    let parts = if unicode { EIGHTHS.len() } else { 1 };
    let parts_of = u128::from(count) * (length * parts) as u128;
    let filled = usize::try_from(parts_of.div_ceil(highest.into())).unwrap_or(length * parts);
    let (full, rest) = (if unicode { "\u{2588}" } else { "#" }, filled % parts);
    let rest = if rest == 0 { "" } else { EIGHTHS[rest] };
    full.repeat(filled / parts) + rest
}

/// Blocks whose width is a number of eighths of a character.
const EIGHTHS: [&str; 8] =
    ["", "\u{258f}", "\u{258e}", "\u{258d}", "\u{258c}", "\u{258b}", "\u{258a}", "\u{2589}"];

/// The length of the longest bar, in characters.
const LONGEST_BAR: usize = 40;

/// The space after a column.
const SPACE: usize = 2;

/// The number of bins up to the 99th percentile.
const BARS: u32 = 10;

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::time::Duration;

    use super::*;

    #[test]
    fn longest_bar_fills_the_width_and_shortest_is_visible() {
        let mut rtts = Distribution::new(3);
        rtts.record_n(Duration::from_millis(1), 1000);
        rtts.record(Duration::from_millis(500));
        let expected = format!(
            "from ms    to ms  replies\n  1.000    1.000    1,000  {}\n  1.000  500.000        1  #",
            "#".repeat(40)
        );
        assert_eq!(bars(Layout::PLAIN, &rtts), expected);
    }

    #[test]
    fn bars_fit_the_width_and_have_eighths_of_a_character() {
        let mut rtts = Distribution::new(3);
        rtts.record_n(Duration::from_millis(1), 1000);
        rtts.record_n(Duration::from_millis(500), 11);
        let layout = Layout { width: NonZeroUsize::new(47), unicode: true };
        let text = bars(layout, &rtts);
        assert!(text.contains(&"\u{2588}".repeat(20)), "{text}");
        assert!(!text.contains(&"\u{2588}".repeat(21)), "{text}");
        assert!(text.ends_with("11  \u{258e}"), "{text}");
    }
}

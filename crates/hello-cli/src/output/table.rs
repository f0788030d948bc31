//! Tables in text.

use comfy_table::{CellAlignment, Table, presets};

use super::layout::Layout;

/// A heading, and how soon the column is left out where all do not fit: the highest number first,
/// never 0.
pub type Head = (&'static str, u8);

/// Aligns rows below their headings: the column `words`, if it exists, to the left, and all others
/// to the right. Columns that do not fit are left out, and named in a last line.
pub fn table(
    layout: Layout,
    words: usize,
    heads: &[Head],
    rows: impl Iterator<Item = Vec<String>>,
) -> String {
    let rows = Vec::from_iter(rows);
    let mut shown = Vec::from_iter(0..heads.len());
    loop {
        let text = draw(words, heads, &rows, &shown);
        let width = text.lines().map(|line| line.chars().count()).max().unwrap_or(0);
        let last = shown
            .iter()
            .copied()
            .filter(|column| heads[*column].1 > 0)
            .max_by_key(|column| heads[*column].1);
        match (layout.width, last) {
            (Some(max), Some(last)) if width > max.get() => shown.retain(|column| *column != last),
            _ => return text + &note(layout, heads, &shown),
        }
    }
}

fn draw(words: usize, heads: &[Head], rows: &[Vec<String>], shown: &[usize]) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(shown.iter().map(|column| heads[*column].0));
    for row in rows {
        table.add_row(shown.iter().map(|column| &row[*column]));
    }
    for (index, column) in shown.iter().enumerate() {
        let Some(drawn) = table.column_mut(index) else { continue };
        drawn.set_padding((if index == 0 { 0 } else { 2 }, 0));
        let left = *column == words;
        drawn.set_cell_alignment(if left { CellAlignment::Left } else { CellAlignment::Right });
    }
    table.trim_fmt()
}

/// Returns the line that names the columns left out.
fn note(layout: Layout, heads: &[Head], shown: &[usize]) -> String {
    let hidden = (0..heads.len()).filter(|column| !shown.contains(column));
    let hidden = Vec::from_iter(hidden.map(|column| heads[column].0));
    match hidden.is_empty() {
        true => String::new(),
        false => format!("\n{}", layout.wrap(&format!("(too narrow for: {})", hidden.join(", ")))),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;

    const HEADS: [Head; 4] = [("target", 0), ("sent", 0), ("p50", 1), ("p99", 2)];

    fn drawn(width: Option<usize>) -> String {
        let layout = Layout { width: width.and_then(NonZeroUsize::new), unicode: false };
        let rows = [["a", "10", "0.100", "0.200"], ["longer", "1", "-", "-"]];
        table(layout, 0, &HEADS, rows.iter().map(|row| row.map(str::to_owned).to_vec()))
    }

    #[test]
    fn columns_are_aligned_below_their_headings() {
        let expected = "\
target  sent    p50    p99
a         10  0.100  0.200
longer     1      -      -";
        assert_eq!(drawn(None), expected);
        assert_eq!(drawn(Some(26)), expected);
    }

    #[test]
    fn columns_that_do_not_fit_are_left_out_and_named() {
        let expected = "\
target  sent    p50
a         10  0.100
longer     1      -
(too narrow for: p99)";
        assert_eq!(drawn(Some(25)), expected);
        for width in 1..=26 {
            let text = drawn(Some(width));
            let rows = text.lines().take(3);
            let widest = rows.map(|line| line.chars().count()).max().unwrap_or(0);
            assert!(widest <= width.max(12), "{width}: {text}");
        }
    }
}

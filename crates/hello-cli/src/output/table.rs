//! Tables in text.

use std::iter;

/// Aligns rows below their headings: the column `words`, if it exists, to the left, and all others
/// to the right.
pub fn table(words: usize, heads: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let heads = heads.iter().map(|head| (*head).to_owned()).collect();
    let rows = Vec::from_iter(iter::once(heads).chain(rows));
    let width = |column: usize| rows.iter().map(|row: &Vec<_>| row[column].chars().count()).max();
    let widths = Vec::from_iter((0..rows[0].len()).map(|column| width(column).unwrap_or(0)));
    let line = |row: &Vec<String>| {
        let cells = iter::zip(row, &widths).enumerate().map(|(column, (cell, width))| {
            if column == words { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        Vec::from_iter(cells).join("  ").trim_end().to_owned()
    };
    Vec::from_iter(rows.iter().map(line)).join("\n")
}

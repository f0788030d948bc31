//! Files with the results of a run: JSON, CSV and Markdown.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::iter;
use std::path::{Path, PathBuf};

use serde::Serialize;
use thiserror::Error;

use super::console::PATIENCE;
use super::format;
use super::json::{self, SCHEMA_VERSION};
use super::percent::{self, percent};
use crate::sys;

/// The format of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Export {
    /// One JSON object, with everything under `results`.
    Json,
    /// A line per result, below a header (RFC 4180, except for the line ends).
    Csv,
    /// A Markdown table.
    Markdown,
}

/// A result to export: all of it as JSON, and these columns in tables.
pub trait Tabular: Serialize + Sized + 'static {
    /// Returns the headings of the columns, in order; the first column names the result.
    fn heads() -> Vec<&'static str>;

    /// The headings of the columns of a Markdown table, unless others are chosen: at most eight.
    const BRIEF: &'static [&'static str];

    /// Returns the cells of a row, one for each heading.
    fn cells(&self, format: &CellFormat) -> Vec<String>;
}

/// The heading of a column, and the function that formats its cells.
pub type Column<R> = (&'static str, fn(&R, &CellFormat) -> String);

/// Yields the headings of columns.
pub fn heads<R>(columns: &[Column<R>]) -> impl Iterator<Item = &'static str> {
    columns.iter().map(|(head, _)| *head)
}

/// Returns the cells of a row.
pub fn cells<R>(columns: &[Column<R>], value: &R, format: &CellFormat) -> Vec<String> {
    columns.iter().map(|(_, cell)| cell(value, format)).collect()
}

/// The format of cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellFormat {
    /// The number of decimals of milliseconds; `None` for all.
    digits: Option<usize>,
    /// The text of an unknown value.
    unknown: &'static str,
}

impl Export {
    /// Writes the results to `path`, or to `out` if `path` is `-`. JSON includes the totals.
    pub(crate) fn write<R: Tabular>(
        self,
        path: &Path,
        out: &mut impl Write,
        results: &[R],
        totals: Option<&impl Serialize>,
        columns: &[&str],
    ) -> Result<(), ExportError> {
        let text = self.text(results, totals, columns);
        match path.to_str() {
            Some("-") => {
                let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
                written.map_err(|source| ExportError { path: path.into(), source })
            }
            _ => write(path, &text),
        }
    }

    /// Returns the columns of this format, unless others are chosen.
    pub(crate) fn default_columns<R: Tabular>(self) -> Vec<&'static str> {
        if self == Self::Markdown { R::BRIEF.to_vec() } else { R::heads() }
    }

    /// Formats the results with these columns, and with a newline at the end.
    ///
    /// # Panics
    ///
    /// If a result has no JSON form, such as a map whose keys are not strings.
    pub fn text<R: Tabular>(
        self,
        results: &[R],
        totals: Option<&impl Serialize>,
        columns: &[&str],
    ) -> String {
        match self {
            Self::Json => {
                json::to_line(&Results { schema_version: SCHEMA_VERSION, results, totals }) + "\n"
            }
            Self::Csv => {
                let mut csv = csv::Writer::from_writer(Vec::new());
                for row in rows(results, columns, CellFormat::CSV) {
                    csv.write_record(row).expect("memory, and rows of one length");
                }
                let bytes = csv.into_inner().expect("memory");
                String::from_utf8(bytes).expect("UTF-8")
            }
            Self::Markdown => {
                let cells = |row: Vec<String>| {
                    Vec::from_iter(row.iter().map(|cell| cell.replace('|', "\\|")))
                };
                let mut lines = rows(results, columns, CellFormat::MARKDOWN)
                    .map(|row| format!("| {} |\n", cells(row).join(" | ")));
                let head = lines.next().unwrap_or_default();
                let rule =
                    "|:--|".to_owned() + &"--:|".repeat(columns.len().saturating_sub(1)) + "\n";
                head + &rule + &lines.collect::<String>()
            }
        }
    }
}

impl CellFormat {
    /// All decimals, and an empty cell for an unknown value.
    pub const CSV: Self = Self { digits: None, unknown: "" };

    /// Microseconds, and a dash for an unknown value.
    pub const MARKDOWN: Self = Self { digits: Some(3), unknown: "-" };

    /// Formats a time in milliseconds.
    pub fn time(&self, millis: Option<f64>) -> String {
        self.known(millis, |millis| match self.digits {
            Some(digits) => format!("{millis:.digits$}"),
            None => millis.to_string(),
        })
    }

    /// Formats a share in percent, without the sign; in Markdown with at most one decimal.
    pub fn percent(&self, share: Option<f64>) -> String {
        let is_brief = self.digits.is_some();
        self.known(share, |share| percent(if is_brief { tenth(share) } else { share }))
    }

    /// Formats the share of a count in another in percent, without the sign; in Markdown with the digits
    /// that the counts carry.
    pub fn percent_of(&self, share: Option<f64>, part: u64, whole: u64) -> String {
        match (share, self.digits) {
            (Some(_), Some(_)) => percent::of(part, whole).trim_end_matches('%').into(),
            _ => self.percent(share),
        }
    }

    /// Formats a rate; in Markdown with a decimal only below ten.
    pub fn rate(&self, per_s: Option<f64>) -> String {
        self.known(per_s, |per_s| match self.digits {
            Some(_) => format::rate(per_s).replace(',', ""),
            None => format!("{per_s:.1}"),
        })
    }

    /// Formats a value that may be unknown.
    pub fn known<T>(&self, value: Option<T>, format: impl FnOnce(T) -> String) -> String {
        value.map_or_else(|| self.unknown.to_owned(), format)
    }
}

/// Rounds a share to a tenth of a per cent.
fn tenth(share: f64) -> f64 {
    (share * 1000.0).round() / 1000.0
}

/// Checks that `path` can be written, without a change to an existing file. A missing file is
/// created. A pipe is not opened, because its reader would see the end of it.
pub(crate) fn check(path: &Path) -> Result<(), ExportError> {
    if path.metadata().is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        return Ok(());
    }
    let opened = OpenOptions::new().create(true).append(true).open(path);
    opened.map(drop).map_err(|source| ExportError { path: path.into(), source })
}

/// Writes a file, or to a pipe if its reader reads within [`PATIENCE`].
pub(crate) fn write(path: &Path, text: &str) -> Result<(), ExportError> {
    let written = sys::write(path, text.as_bytes(), PATIENCE);
    written.map_err(|source| ExportError { path: path.into(), source })
}

/// Results cannot be exported.
#[derive(Debug, Error)]
#[error("cannot write {path:?}")]
pub struct ExportError {
    path: PathBuf,
    source: io::Error,
}

#[derive(Serialize)]
struct Results<'a, R, W> {
    schema_version: u32,
    results: &'a [R],
    #[serde(flatten)]
    totals: Option<&'a W>,
}

/// The totals of results that have none.
pub const NO_TOTALS: Option<&()> = None;

/// Yields the headings of these columns, and then a row for each result.
fn rows<R: Tabular>(
    results: &[R],
    columns: &[&str],
    format: CellFormat,
) -> impl Iterator<Item = Vec<String>> {
    let heads = R::heads();
    let column = |name: &&str| heads.iter().position(|head| head == name);
    let columns = Vec::from_iter(columns.iter().filter_map(column));
    let pick = move |row: &[String]| columns.iter().map(|column| row[*column].clone()).collect();
    let heads = Vec::from_iter(heads.into_iter().map(str::to_owned));
    let rows = results.iter().map(move |result| result.cells(&format));
    iter::once(heads).chain(rows).map(move |row| pick(&row))
}

#[cfg(test)]
mod tests;

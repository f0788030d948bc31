//! The summaries of a run, in files.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use thiserror::Error;

use super::summary::Summary;
use crate::escape::Text;
use crate::json;
use crate::percent::percent;

/// In which form summaries are exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Export {
    /// One object with all that is known, as `docs/hello-ping.schema.json` has it.
    Json,
    /// A line for each target, with a head (RFC 4180, but for its line ends).
    Csv,
    /// A table to read.
    Markdown,
}

impl Export {
    /// Writes the summaries to `path`, and to `out` if that is `-`.
    ///
    /// # Errors
    ///
    /// [`ExportError`] if it cannot be written.
    pub fn write(
        self,
        path: &Path,
        out: &mut impl Write,
        summaries: &[Summary],
    ) -> Result<(), ExportError> {
        let text = self.text(summaries);
        let written = match path.to_str() {
            Some("-") => out.write_all(text.as_bytes()).and_then(|()| out.flush()),
            _ => fs::write(path, text),
        };
        written.map_err(|source| ExportError { path: path.into(), source })
    }

    /// Puts the summaries into this form, with a newline at the end.
    pub fn text(self, summaries: &[Summary]) -> String {
        match self {
            Self::Json => json::line(&Results { results: summaries }) + "\n",
            Self::Csv => {
                let cells = |row: [String; COLUMNS.len()]| row.map(|cell| quoted(&cell)).join(",");
                rows(summaries, &|time| time.to_string(), "").map(|row| cells(row) + "\n").collect()
            }
            Self::Markdown => {
                let line = |row: [String; COLUMNS.len()]| format!("| {} |\n", row.join(" | "));
                let mut lines = rows(summaries, &|time| format!("{time:.3}"), "-")
                    .map(|row| line(row.map(|cell| cell.replace('|', "\\|"))));
                let head = lines.next().unwrap_or_default();
                let rule = "|:--|".to_owned() + &"--:|".repeat(COLUMNS.len() - 1) + "\n";
                head + &rule + &lines.collect::<String>()
            }
        }
    }
}

/// Makes sure that `path` can be written to, and leaves what it holds. If there is no such file,
/// there is an empty one after that. A pipe is not opened twice: its reader would see an end.
///
/// # Errors
///
/// [`ExportError`] if it cannot.
pub fn check(path: &Path) -> Result<(), ExportError> {
    if path.metadata().is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        return Ok(());
    }
    let opened = fs::OpenOptions::new().create(true).append(true).open(path);
    opened.map(drop).map_err(|source| ExportError { path: path.into(), source })
}

/// Summaries cannot be exported.
#[derive(Debug, Error)]
#[error("cannot write {path:?}")]
pub struct ExportError {
    path: PathBuf,
    source: io::Error,
}

#[derive(Serialize)]
struct Results<'a> {
    results: &'a [Summary],
}

const COLUMNS: [&str; 28] = [
    "target",
    "sent",
    "answered",
    "lost",
    "in_flight",
    "loss_percent",
    "late",
    "reordered",
    "duplicate",
    "corrupt",
    "foreign",
    "forgotten",
    "errors",
    "not_sent",
    "min_ms",
    "mean_ms",
    "max_ms",
    "stddev_ms",
    "p50_ms",
    "p90_ms",
    "p95_ms",
    "p99_ms",
    "p999_ms",
    "jitter_ms",
    "jitter_rfc3550_ms",
    "timer_error_p99_ms",
    "timer_error_max_ms",
    "duration_s",
];

/// Yields the head and then a row for each summary; `time` puts milliseconds, and `unknown` stands
/// for what nobody knows.
fn rows<'a>(
    summaries: &'a [Summary],
    time: &'a impl Fn(f64) -> String,
    unknown: &'a str,
) -> impl Iterator<Item = [String; COLUMNS.len()]> + 'a {
    let row = move |summary: &Summary| {
        let count = |count: u64| count.to_string();
        let time = |millis: Option<f64>| millis.map_or_else(|| unknown.to_owned(), time);
        let (rtt, jitter) = (summary.rtt_ms, summary.jitter_ms);
        let timer = summary.timer_error_ms;
        [
            Text(summary.target.as_bytes()).to_string(),
            count(summary.sent),
            count(summary.answered),
            count(summary.lost),
            count(summary.in_flight),
            summary.loss.map_or_else(|| unknown.to_owned(), percent),
            count(summary.late),
            count(summary.reordered),
            count(summary.duplicate),
            count(summary.corrupt),
            count(summary.foreign),
            count(summary.forgotten),
            count(summary.errors_total()),
            count(summary.not_sent.values().sum()),
            time(rtt.map(|rtt| rtt.min)),
            time(rtt.map(|rtt| rtt.mean)),
            time(rtt.map(|rtt| rtt.max)),
            time(rtt.map(|rtt| rtt.stddev)),
            time(rtt.map(|rtt| rtt.p50)),
            time(rtt.map(|rtt| rtt.p90)),
            time(rtt.map(|rtt| rtt.p95)),
            time(rtt.map(|rtt| rtt.p99)),
            time(rtt.map(|rtt| rtt.p999)),
            time(jitter.map(|jitter| jitter.mean)),
            time(jitter.map(|jitter| jitter.rfc3550)),
            time(timer.map(|timer| timer.p99)),
            time(timer.map(|timer| timer.max)),
            format!("{:.3}", summary.duration_s),
        ]
    };
    std::iter::once(COLUMNS.map(str::to_owned)).chain(summaries.iter().map(row))
}

fn quoted(cell: &str) -> String {
    match cell.contains(['"', ',', '\r', '\n']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ping::sample::{answered, events, lost, target};
    use crate::ping::tally::Tally;
    use serde_json::Value;
    use std::time::Duration;

    fn summaries() -> Vec<Summary> {
        let mut tally = Tally::new(target());
        events(&mut tally, [answered(Duration::from_micros(1500)), lost(1)]);
        let silent = crate::ping::Target { name: "a,b|\"c\":1".into(), ..target() };
        vec![tally.summary(Duration::from_secs(2)), Tally::new(silent).summary(Duration::ZERO)]
    }

    #[test]
    fn csv_has_a_head_as_many_cells_in_each_line_and_nothing_for_what_is_unknown() {
        let text = Export::Csv.text(&summaries());
        let lines = Vec::from_iter(text.lines());
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0].split(',').count(), COLUMNS.len());
        let loss = COLUMNS.iter().position(|column| *column == "loss_percent").unwrap_or_default();
        let p99 = COLUMNS.iter().position(|column| *column == "p99_ms").unwrap_or_default();
        let cells = Vec::from_iter(lines[1].split(','));
        assert_eq!((cells[0], cells[loss], cells[p99]), ("192.0.2.1:9999", "50", "1.5"));
        let rest =
            lines[2].strip_prefix("\"a,b|\"\"c\"\":1\",").unwrap_or_else(|| panic!("{text}"));
        let cells = Vec::from_iter(rest.split(','));
        assert_eq!((cells.len(), cells[loss - 1], cells[p99 - 1]), (COLUMNS.len() - 1, "", ""));
    }

    #[test]
    fn a_cell_is_quoted_for_each_reason_there_is() {
        for (cell, expected) in
            [("a", "a"), ("a,b", "\"a,b\""), ("a\"b", "\"a\"\"b\""), ("a\nb", "\"a\nb\"")]
        {
            assert_eq!(quoted(cell), expected);
        }
    }

    #[test]
    fn markdown_has_as_many_cells_in_each_line() {
        let text = Export::Markdown.text(&summaries());
        let bars = |line: &str| line.replace("\\|", "").matches('|').count();
        assert_eq!(text.lines().count(), 4);
        assert!(text.lines().all(|line| bars(line) == COLUMNS.len() + 1), "{text}");
    }

    #[test]
    fn json_has_all_targets_under_results() {
        let json: Value = serde_json::from_str(&Export::Json.text(&summaries())).expect("JSON");
        assert_eq!(json["results"][0]["rtt_ms"]["p999"], 1.5);
        assert_eq!(json["results"][1]["rtt_ms"], Value::Null);
    }

    #[test]
    fn a_file_is_left_as_it_is_until_there_is_something_to_write() {
        let path = std::env::temp_dir().join(format!("hello-ping-{}.old", std::process::id()));
        fs::write(&path, "old").expect("written");
        check(&path).expect("writable");
        assert_eq!(fs::read_to_string(&path).expect("a file"), "old");
        fs::remove_file(&path).expect("removed");
        assert_eq!(
            check(Path::new("/")).expect_err("a directory").to_string(),
            "cannot write \"/\""
        );
    }

    #[test]
    fn a_dash_is_the_output_and_a_file_that_cannot_be_written_is_named() {
        let mut out = Vec::new();
        Export::Csv.write(Path::new("-"), &mut out, &summaries()).expect("memory");
        assert_eq!(out, Export::Csv.text(&summaries()).into_bytes());
        let error = Export::Csv.write(Path::new("/"), &mut out, &[]).expect_err("a directory");
        assert_eq!(error.to_string(), "cannot write \"/\"");
    }
}

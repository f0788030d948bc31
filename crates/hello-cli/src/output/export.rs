//! What a run came to, in files.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::iter;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;

use serde::Serialize;
use thiserror::Error;

use super::console::PATIENCE;
use super::json::{self, SCHEMA_VERSION};
use super::percent::percent;

/// In which form results are exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Export {
    /// One object with all that is known, under `results`.
    Json,
    /// A line for each result, with a head (RFC 4180, but for its line ends).
    Csv,
    /// A table to read.
    Markdown,
}

/// A result that is exported: all of it as JSON, and these columns in tables.
pub trait Tabular: Serialize + Sized + 'static {
    /// Returns the heads of the columns, in order; the first one names the result.
    fn heads() -> Vec<&'static str>;

    /// Returns the cells of a row, one for each head.
    fn cells(&self, format: &CellFormat) -> Vec<String>;
}

/// The head of a column, and what stands below it.
pub type Column<R> = (&'static str, fn(&R, &CellFormat) -> String);

/// Yields the heads of columns.
pub fn heads<R>(columns: &[Column<R>]) -> impl Iterator<Item = &'static str> {
    columns.iter().map(|(head, _)| *head)
}

/// Returns the cells of columns for one value.
pub fn cells<R>(columns: &[Column<R>], value: &R, format: &CellFormat) -> Vec<String> {
    columns.iter().map(|(_, cell)| cell(value, format)).collect()
}

/// How a table puts what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellFormat {
    /// How many digits behind the point milliseconds have; all that they have if it is `None`.
    digits: Option<usize>,
    /// Stands for what nobody knows.
    unknown: &'static str,
}

impl Export {
    /// Writes the results to `path`, and to `out` if that is `-`. What they come to together, if
    /// anything, stands beside them in JSON.
    ///
    /// # Errors
    ///
    /// [`ExportError`] if it cannot be written.
    pub fn write<R: Tabular>(
        self,
        path: &Path,
        out: &mut impl Write,
        results: &[R],
        totals: Option<&impl Serialize>,
    ) -> Result<(), ExportError> {
        let text = self.text(results, totals);
        match path.to_str() {
            Some("-") => {
                let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
                written.map_err(|source| ExportError { path: path.into(), source })
            }
            _ => write(path, &text),
        }
    }

    /// Puts the results into this form, with a newline at the end.
    pub fn text<R: Tabular>(self, results: &[R], totals: Option<&impl Serialize>) -> String {
        match self {
            Self::Json => {
                json::to_line(&Results { schema_version: SCHEMA_VERSION, results, totals }) + "\n"
            }
            Self::Csv => {
                let cells = |row: Vec<String>| Vec::from_iter(row.iter().map(|cell| quoted(cell)));
                rows(results, CellFormat::CSV).map(|row| cells(row).join(",") + "\n").collect()
            }
            Self::Markdown => {
                let cells = |row: Vec<String>| {
                    Vec::from_iter(row.iter().map(|cell| cell.replace('|', "\\|")))
                };
                let mut lines = rows(results, CellFormat::MARKDOWN)
                    .map(|row| format!("| {} |\n", cells(row).join(" | ")));
                let head = lines.next().unwrap_or_default();
                let rule = "|:--|".to_owned() + &"--:|".repeat(R::heads().len() - 1) + "\n";
                head + &rule + &lines.collect::<String>()
            }
        }
    }
}

impl CellFormat {
    /// All digits, and nothing for what is unknown.
    pub const CSV: Self = Self { digits: None, unknown: "" };

    /// Microseconds, and a dash for what is unknown.
    pub const MARKDOWN: Self = Self { digits: Some(3), unknown: "-" };

    /// Puts a time in milliseconds.
    pub fn time(&self, millis: Option<f64>) -> String {
        self.known(millis, |millis| match self.digits {
            Some(digits) => format!("{millis:.digits$}"),
            None => millis.to_string(),
        })
    }

    /// Puts a share into percent, without the sign.
    pub fn percent(&self, share: Option<f64>) -> String {
        self.known(share, percent)
    }

    /// Puts what may be unknown.
    pub fn known<T>(&self, value: Option<T>, put: impl FnOnce(T) -> String) -> String {
        value.map_or_else(|| self.unknown.to_owned(), put)
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
    let opened = OpenOptions::new().create(true).append(true).open(path);
    opened.map(drop).map_err(|source| ExportError { path: path.into(), source })
}

/// Writes a file, or to a pipe whose reader reads.
///
/// # Errors
///
/// [`ExportError`] if it cannot be written, or if nobody reads a pipe for [`PATIENCE`].
pub fn write(path: &Path, text: &str) -> Result<(), ExportError> {
    let is_pipe = path.metadata().is_ok_and(|found| found.file_type().is_fifo());
    let written = if is_pipe { write_pipe(path, text.as_bytes()) } else { fs::write(path, text) };
    written.map_err(|source| ExportError { path: path.into(), source })
}

/// Writes to a pipe that others made, and waits for its reader no longer than [`PATIENCE`] at a time.
fn write_pipe(path: &Path, mut bytes: &[u8]) -> io::Result<()> {
    let nobody = || io::Error::new(io::ErrorKind::TimedOut, "nobody reads this pipe");
    let (start, nonblocking) = (Instant::now(), OFlags::NONBLOCK.bits().cast_signed());
    let mut pipe = loop {
        let opened = OpenOptions::new().write(true).custom_flags(nonblocking).open(path);
        match opened {
            // There is no reader yet.
            Err(error) if Errno::from_io_error(&error) == Some(Errno::NXIO) => {
                if start.elapsed() > PATIENCE {
                    return Err(nobody());
                }
                thread::sleep(GLANCE);
            }
            opened => break opened?,
        }
    };
    let patience = Timespec::try_from(PATIENCE).map_err(io::Error::other)?;
    while !bytes.is_empty() {
        match pipe.write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let mut polled = [PollFd::new(&pipe, PollFlags::OUT)];
                match poll(&mut polled, Some(&patience)) {
                    Ok(0) => return Err(nobody()),
                    // A signal is no reader.
                    Ok(_) | Err(Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// How often it is looked whether a pipe has a reader.
const GLANCE: Duration = Duration::from_millis(20);

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

/// What results come to together that have nothing more to say.
pub const NO_TOTALS: Option<&()> = None;

/// Yields the heads, and then a row for each result.
fn rows<R: Tabular>(results: &[R], format: CellFormat) -> impl Iterator<Item = Vec<String>> + '_ {
    let heads = R::heads().into_iter().map(str::to_owned).collect();
    iter::once(heads).chain(results.iter().map(move |result| result.cells(&format)))
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
    use serde_json::Value;

    #[derive(Serialize)]
    struct Trip {
        name: &'static str,
        time_ms: Option<f64>,
        loss: Option<f64>,
    }

    impl Tabular for Trip {
        fn heads() -> Vec<&'static str> {
            heads(COLUMNS).collect()
        }

        fn cells(&self, format: &CellFormat) -> Vec<String> {
            cells(COLUMNS, self, format)
        }
    }

    const COLUMNS: &[Column<Trip>] = &[
        ("name", |trip, _| trip.name.into()),
        ("time_ms", |trip, format| format.time(trip.time_ms)),
        ("loss_percent", |trip, format| format.percent(trip.loss)),
    ];

    const TRIPS: [Trip; 2] = [
        Trip { name: "here", time_ms: Some(1.234_567), loss: Some(0.5) },
        Trip { name: "a,b|\"c\"", time_ms: None, loss: None },
    ];

    #[test]
    fn csv_has_a_head_all_digits_and_nothing_for_what_is_unknown() {
        let expected = "name,time_ms,loss_percent\nhere,1.234567,50\n\"a,b|\"\"c\"\"\",,\n";
        assert_eq!(Export::Csv.text(&TRIPS, NO_TOTALS), expected);
        assert_eq!(Export::Csv.text::<Trip>(&[], NO_TOTALS), "name,time_ms,loss_percent\n");
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
    fn markdown_has_what_a_reader_needs_and_a_dash_for_what_is_unknown() {
        let expected = "\
| name | time_ms | loss_percent |
|:--|--:|--:|
| here | 1.235 | 50 |
| a,b\\|\"c\" | - | - |
";
        assert_eq!(Export::Markdown.text(&TRIPS, NO_TOTALS), expected);
    }

    #[test]
    fn json_has_all_under_results() {
        let json: Value =
            serde_json::from_str(&Export::Json.text(&TRIPS, NO_TOTALS)).expect("JSON");
        assert_eq!(json["results"][0]["time_ms"], 1.234_567);
        assert_eq!(json["results"][1]["time_ms"], Value::Null);
        assert_eq!(
            Export::Json.text::<Trip>(&[], NO_TOTALS),
            "{\"schema_version\":1,\"results\":[]}\n"
        );
        let totals = Trip { name: "both", time_ms: None, loss: Some(0.25) };
        let json: Value =
            serde_json::from_str(&Export::Json.text(&TRIPS, Some(&totals))).expect("JSON");
        assert_eq!((&json["results"][1]["loss"], &json["loss"]), (&Value::Null, &0.25.into()));
    }

    #[test]
    fn a_file_is_left_as_it_is_until_there_is_something_to_write() {
        let path = std::env::temp_dir().join(format!("hello-export-{}.old", std::process::id()));
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
    fn a_pipe_gets_everything_while_it_is_read_and_is_an_error_where_nobody_does() {
        let path = std::env::temp_dir().join(format!("hello-export-{}.pipe", std::process::id()));
        assert!(std::process::Command::new("mkfifo").arg(&path).status().expect("runs").success());
        check(&path).expect("a pipe");
        // More than a pipe holds.
        let text = "x".repeat(1 << 20);
        let read = thread::spawn({
            let path = path.clone();
            move || fs::read_to_string(path)
        });
        write(&path, &text).expect("it is read");
        assert!(read.join().expect("no panic").expect("text") == text);
        let error = write(&path, &text).expect_err("nobody reads it");
        assert_eq!(error.source.kind(), io::ErrorKind::TimedOut);
        fs::remove_file(&path).expect("removed");
    }

    #[test]
    fn a_dash_is_the_output_and_a_file_that_cannot_be_written_is_named() {
        let mut out = Vec::new();
        Export::Csv.write(Path::new("-"), &mut out, &TRIPS, NO_TOTALS).expect("memory");
        assert_eq!(out, Export::Csv.text(&TRIPS, NO_TOTALS).into_bytes());
        let error = Export::Csv
            .write(Path::new("/"), &mut out, &TRIPS, NO_TOTALS)
            .expect_err("a directory");
        assert_eq!(error.to_string(), "cannot write \"/\"");
    }
}

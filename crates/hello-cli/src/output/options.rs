//! What a run comes to, written and drawn where the command line says.

use std::error::Error;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::ProgressBar;
use serde::Serialize;

use super::console::{Console, ROOM, Stream};
use super::export::{self, Export, Tabular};
use super::{Format, OutputError};

/// Where the results of a run are written.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Write the final summaries as JSON; "-" is standard output, and all else goes to standard
    /// error then.
    #[arg(long, value_name = "FILE")]
    export_json: Option<PathBuf>,

    /// Write the final summaries as comma-separated values; "-" is standard output.
    #[arg(long, value_name = "FILE")]
    export_csv: Option<PathBuf>,

    /// Write the final summaries as a Markdown table; "-" is standard output.
    #[arg(long, value_name = "FILE")]
    export_markdown: Option<PathBuf>,

    /// Draw times and losses, as SVG.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

impl ExportArgs {
    /// Yields the files to export results to.
    pub fn exports(&self) -> impl Iterator<Item = (Export, &Path)> {
        [
            (Export::Json, &self.export_json),
            (Export::Csv, &self.export_csv),
            (Export::Markdown, &self.export_markdown),
        ]
        .into_iter()
        .filter_map(|(form, path)| Some((form, path.as_deref()?)))
    }

    /// Tells whether results are exported to the standard output.
    pub fn to_stdout(&self) -> bool {
        self.exports().any(|(_, path)| is_stdout(path))
    }

    /// Makes sure that what the run comes to can be written at its end, for it may be long.
    ///
    /// # Errors
    ///
    /// Says which file cannot be written, or that two cannot share the standard output.
    pub fn check(&self) -> Result<(), Box<dyn Error>> {
        let (out, exports): (Vec<_>, Vec<_>) =
            self.exports().map(|(_, path)| path).partition(|path| is_stdout(path));
        if out.len() > 1 {
            return Err(
                "only one export can have the standard output: give the others a file".into()
            );
        }
        if self.plot.as_deref().is_some_and(is_stdout) {
            return Err("a picture takes a file: give --plot its name".into());
        }
        Ok(exports.into_iter().chain(self.plot.as_deref()).try_for_each(export::check)?)
    }

    /// Starts the output of all else: to standard error if an export has standard output for
    /// itself. `bar` shows the status, but not beside an export. `failed` is dropped at the first
    /// error.
    ///
    /// # Errors
    ///
    /// The system's error if there is no thread to be had.
    pub fn console(
        &self,
        format: Format,
        bar: impl FnOnce() -> ProgressBar,
        failed: impl Send + 'static,
    ) -> io::Result<Console> {
        let (stream, bar) = match self.to_stdout() {
            true => (Stream::Stderr, ProgressBar::hidden()),
            false => (Stream::Stdout, bar()),
        };
        Console::start(stream, bar, format, ROOM, failed)
    }

    /// Writes the results and what they come to together, if anything; to `out` what is for the
    /// standard output; and has the picture drawn if there is to be one. One that fails costs no
    /// other.
    ///
    /// # Errors
    ///
    /// The first one.
    pub fn write<R: Tabular>(
        &self,
        results: &[R],
        totals: Option<&impl Serialize>,
        out: &mut impl Write,
        draw: impl FnOnce() -> Result<String, Box<dyn Error>>,
    ) -> Result<(), Box<dyn Error>> {
        let mut written: Vec<Result<(), Box<dyn Error>>> = Vec::new();
        for (form, path) in self.exports() {
            written.push(form.write(path, out, results, totals).map_err(Into::into));
        }
        if let Some(path) = &self.plot {
            written.push(draw().and_then(|picture| Ok(export::write(path, &picture)?)));
        }
        written.into_iter().collect()
    }
}

/// Prints what [`ExportArgs::write`] wrote for standard output, and waits for its reader as
/// [`Console::finish`] does.
///
/// # Errors
///
/// [`OutputError`] if it cannot be printed, or nobody reads it.
pub fn print_export(text: &[u8], stopped: bool) -> Result<(), OutputError> {
    if text.is_empty() {
        return Ok(());
    }
    let bar = ProgressBar::hidden();
    let out = Console::start(Stream::Stdout, bar, Format::Text, 0, ())?;
    let text = String::from_utf8_lossy(text);
    out.close(vec![text.strip_suffix('\n').unwrap_or(&text).to_owned()]);
    out.finish(stopped)
}

fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::export::{CellFormat, NO_TOTALS};
    use clap::Parser;

    #[derive(Parser)]
    struct Tool {
        #[command(flatten)]
        outputs: ExportArgs,
    }

    fn outputs<const N: usize>(args: [&str; N]) -> ExportArgs {
        Tool::parse_from([&["tool"], &args[..]].concat()).outputs
    }

    #[test]
    fn an_output_that_cannot_be_written_is_an_error_before_the_run() {
        const NOWHERE: &str = "/no/such/directory/x";
        for option in ["--export-json", "--export-csv", "--export-markdown", "--plot"] {
            let error = outputs([option, NOWHERE]).check().expect_err("no directory");
            assert_eq!(error.to_string(), "cannot write \"/no/such/directory/x\"", "{option}");
        }
        outputs(["--export-json", "-"]).check().expect("standard output");
        let error = outputs(["--export-json", "-", "--export-csv", "-"]).check().expect_err("two");
        assert!(error.to_string().starts_with("only one export can have the standard output"));
        let error = outputs(["--plot", "-"]).check().expect_err("no file");
        assert_eq!(error.to_string(), "a picture takes a file: give --plot its name");
    }

    #[test]
    fn only_a_dash_is_the_standard_output() {
        assert!(outputs(["--export-csv", "x", "--export-json", "-"]).to_stdout());
        assert!(!outputs(["--export-csv", "./-", "--plot", "-"]).to_stdout());
    }

    #[test]
    fn one_that_fails_costs_no_other_and_is_the_error() {
        #[derive(Serialize)]
        struct Nothing;
        impl Tabular for Nothing {
            fn heads() -> Vec<&'static str> {
                vec!["nothing"]
            }

            fn cells(&self, _: &CellFormat) -> Vec<String> {
                vec![String::new()]
            }
        }
        let (mut out, mut drawn) = (Vec::new(), false);
        let outputs = outputs(["--export-json", "/", "--export-csv", "-", "--plot", "x.svg"]);
        let draw = || {
            drawn = true;
            Err("cannot draw".into())
        };
        let error =
            outputs.write::<Nothing>(&[], NO_TOTALS, &mut out, draw).expect_err("a directory");
        assert_eq!(error.to_string(), "cannot write \"/\"");
        assert_eq!((&out[..], drawn), (&b"nothing\n"[..], true));
    }
}

//! The options that export and plot the results of a run.

use std::error::Error;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::ProgressBar;
use serde::Serialize;

use super::console::{Console, ROOM, Stream};
use super::export::{self, Export, Tabular};
use super::layout::Layout;
use super::style::Color;
use super::{Format, OutputError};

/// The options for exports and the plot.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Write the final results to FILE as JSON; "-" is standard output
    ///
    /// With "-", all other output goes to standard error.
    #[arg(long, value_name = "FILE")]
    export_json: Option<PathBuf>,

    /// Write the final results to FILE as CSV; "-" is standard output
    #[arg(long, value_name = "FILE")]
    export_csv: Option<PathBuf>,

    /// Write the final results to FILE as Markdown; "-" is standard output
    #[arg(long, value_name = "FILE")]
    export_markdown: Option<PathBuf>,

    /// Export these columns to CSV and Markdown, or all [default: all; up to eight for Markdown]
    #[arg(long, value_name = "NAME,...|all", value_delimiter = ',')]
    columns: Vec<String>,

    /// Draw the results to FILE as an SVG image
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
}

impl ExportArgs {
    /// Yields the exports and their files.
    pub fn exports(&self) -> impl Iterator<Item = (Export, &Path)> {
        [
            (Export::Json, &self.export_json),
            (Export::Csv, &self.export_csv),
            (Export::Markdown, &self.export_markdown),
        ]
        .into_iter()
        .filter_map(|(export, path)| Some((export, path.as_deref()?)))
    }

    /// Returns whether results are exported to standard output.
    pub fn to_stdout(&self) -> bool {
        self.exports().any(|(_, path)| is_stdout(path))
    }

    /// Checks before a run, which may be long, that its results can be written.
    pub(crate) fn check<R: Tabular>(&self) -> Result<(), Box<dyn Error>> {
        self.chosen::<R>()?;
        let (out, exports): (Vec<_>, Vec<_>) =
            self.exports().map(|(_, path)| path).partition(|path| is_stdout(path));
        if out.len() > 1 {
            return Err(
                "only one export can write to standard output; give the others a file".into()
            );
        }
        if self.plot.as_deref().is_some_and(is_stdout) {
            return Err("--plot needs a file name, not \"-\"".into());
        }
        if let Some(plot) = &self.plot
            && let Some(format) = plot.extension().and_then(|name| name.to_str())
            && OTHER_IMAGES.contains(&&*format.to_ascii_lowercase())
        {
            let svg = plot.with_extension("svg");
            return Err(format!("--plot writes SVG, not {format}: name the file {svg:?}").into());
        }
        Ok(exports.into_iter().chain(self.plot.as_deref()).try_for_each(export::check)?)
    }

    /// Returns the layout of the stream that the console prints to.
    pub(crate) fn layout(&self) -> Layout {
        if self.to_stdout() { Layout::of(&io::stderr()) } else { Layout::of(&io::stdout()) }
    }

    /// Starts the console: on standard error without a status line if an export uses standard
    /// output, otherwise on standard output with `bar`. `failed` is dropped at its first error.
    pub(crate) fn console(
        &self,
        format: Format,
        color: Color,
        bar: impl FnOnce() -> ProgressBar,
        failed: impl Send + 'static,
    ) -> io::Result<Console> {
        let (stream, bar) = match self.to_stdout() {
            true => (Stream::Stderr(color), ProgressBar::hidden()),
            false => (Stream::Stdout(color), bar()),
        };
        Console::start(stream, bar, format, ROOM, failed)
    }

    /// Returns the columns of --columns, or `None` for those of the format.
    fn chosen<R: Tabular>(&self) -> Result<Option<Vec<&'static str>>, Box<dyn Error>> {
        let heads = R::heads();
        if self.columns == ["all"] {
            return Ok(Some(heads));
        }
        let find = |name: &String| heads.iter().copied().find(|head| head == name);
        let chosen = self.columns.iter().map(|name| {
            find(name).ok_or_else(|| {
                format!("no column {name:?} for --columns: choose from {}", heads.join(","))
            })
        });
        let chosen = chosen.collect::<Result<Vec<_>, _>>()?;
        Ok((!chosen.is_empty()).then_some(chosen))
    }

    /// Writes the results and their totals to every export, and the plot. An export to standard
    /// output goes to `out`. A failure does not prevent the others; the first one is returned.
    pub(crate) fn write<R: Tabular>(
        &self,
        results: &[R],
        totals: Option<&impl Serialize>,
        out: &mut impl Write,
        draw: impl FnOnce() -> String,
    ) -> Result<(), Box<dyn Error>> {
        let mut written: Vec<Result<(), Box<dyn Error>>> = Vec::new();
        let columns = self.chosen::<R>()?;
        for (export, path) in self.exports() {
            let columns = columns.clone().unwrap_or_else(|| export.default_columns::<R>());
            written.push(export.write(path, out, results, totals, &columns).map_err(Into::into));
        }
        written.push(self.draw(draw));
        written.into_iter().collect()
    }

    /// Writes the plot, if it is asked for.
    pub(crate) fn draw(&self, draw: impl FnOnce() -> String) -> Result<(), Box<dyn Error>> {
        let plot = self.plot.as_ref();
        Ok(plot.map_or(Ok(()), |path| export::write(path, &draw()))?)
    }
}

/// Prints what [`ExportArgs::write`] wrote for standard output, and waits for the reader like
/// [`Console::finish`].
pub(crate) fn print_export(text: &[u8], stopped: bool) -> Result<(), OutputError> {
    if text.is_empty() {
        return Ok(());
    }
    let bar = ProgressBar::hidden();
    let out = Console::start(Stream::Stdout(Color::Always), bar, Format::Text, 0, ())?;
    let text = String::from_utf8_lossy(text);
    out.close(vec![text.strip_suffix('\n').unwrap_or(&text).to_owned()]);
    out.finish(stopped)
}

/// The extensions of images that are not written.
const OTHER_IMAGES: [&str; 8] = ["png", "jpg", "jpeg", "gif", "webp", "bmp", "pdf", "eps"];

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

    #[derive(Serialize)]
    struct Nothing;

    impl Tabular for Nothing {
        const BRIEF: &'static [&'static str] = &["nothing"];

        fn heads() -> Vec<&'static str> {
            vec!["nothing", "void"]
        }

        fn cells(&self, _: &CellFormat) -> Vec<String> {
            vec![String::new(), String::new()]
        }
    }

    #[test]
    fn chosen_columns_are_those_of_the_tool() {
        let chosen = |columns| outputs(["--columns", columns]).chosen::<Nothing>();
        assert_eq!(outputs([]).chosen::<Nothing>().expect("none"), None);
        assert_eq!(chosen("all").expect("all"), Some(vec!["nothing", "void"]));
        assert_eq!(chosen("void").expect("one"), Some(vec!["void"]));
        let error = chosen("void,full").expect_err("an unknown column").to_string();
        assert_eq!(error, "no column \"full\" for --columns: choose from nothing,void");
    }

    #[test]
    fn unwritable_output_is_an_error_before_the_run() {
        const NOWHERE: &str = "/no/such/directory/x";
        for option in ["--export-json", "--export-csv", "--export-markdown", "--plot"] {
            let error = outputs([option, NOWHERE]).check::<Nothing>().expect_err("no directory");
            assert_eq!(error.to_string(), "cannot write \"/no/such/directory/x\"", "{option}");
        }
        outputs(["--export-json", "-"]).check::<Nothing>().expect("standard output");
        let error = outputs(["--export-json", "-", "--export-csv", "-"])
            .check::<Nothing>()
            .expect_err("two");
        assert!(error.to_string().starts_with("only one export can write to standard output"));
        let error = outputs(["--plot", "-"]).check::<Nothing>().expect_err("no file");
        assert_eq!(error.to_string(), "--plot needs a file name, not \"-\"");
    }

    #[test]
    fn plot_of_another_format_is_an_error_that_names_the_format_written() {
        let error = outputs(["--plot", "/tmp/a.b.PNG"]).check::<Nothing>().expect_err("no SVG");
        let expected = "--plot writes SVG, not PNG: name the file \"/tmp/a.b.svg\"";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn only_a_dash_is_standard_output() {
        assert!(outputs(["--export-csv", "x", "--export-json", "-"]).to_stdout());
        assert!(!outputs(["--export-csv", "./-", "--plot", "-"]).to_stdout());
    }

    #[test]
    fn failed_output_prevents_no_other_and_is_the_error() {
        let (mut out, mut drawn) = (Vec::new(), false);
        let outputs = outputs(["--export-json", "/", "--export-csv", "-", "--plot", "/"]);
        let draw = || {
            drawn = true;
            String::new()
        };
        let error =
            outputs.write::<Nothing>(&[], NO_TOTALS, &mut out, draw).expect_err("a directory");
        assert_eq!(error.to_string(), "cannot write \"/\"");
        assert_eq!((&out[..], drawn), (&b"nothing,void\n"[..], true));
    }
}

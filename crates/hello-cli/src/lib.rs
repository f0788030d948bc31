//! What the command-line tools share: they parse, call [`hello_net`], and print.
//!
//! Not a library for others; its interface changes with the tools.

pub mod bars;
pub mod client;
pub mod common;
pub mod counts;
pub mod course;
pub mod descriptors;
pub mod distribution;
pub mod endpoint;
pub mod escape;
pub mod export;
pub mod family;
pub mod generate;
pub mod io_choice;
pub mod json;
pub mod limit;
pub mod load;
pub mod log;
pub mod names;
pub mod network;
pub mod output;
pub mod outputs;
pub mod percent;
pub mod ping;
pub mod plot;
pub mod seconds;
pub mod server;
pub mod signals;
pub mod silence;
#[cfg(test)]
mod sink;
pub mod step;
pub mod table;
pub mod textfile;
pub mod times;

use std::error::Error;
use std::io::{self, IsTerminal};
use std::iter;
use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use thiserror::Error;

/// How a tool prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// A JSON object a line.
    Json,
}

/// The exit status for a command line that makes no sense and for input and output that fail, as
/// clap has it for the former.
pub const EXIT_TROUBLE: u8 = 2;

/// Returns what shows on a terminal, in one line below all others, how things are; nothing
/// elsewhere.
///
/// # Panics
///
/// Never: the template is our own.
pub fn status_bar(format: Format) -> ProgressBar {
    if format == Format::Json || !io::stdout().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_msg}").expect("a template");
    ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout()).with_style(style)
}

/// Ends a tool: prints an error with all its causes, and returns the status to exit with.
///
/// That nobody reads our output any more is no error: `hello-client | head -1` is a success.
pub fn exit(tool: &str, result: Result<ExitCode, Box<dyn Error>>) -> ExitCode {
    let error = match result {
        Ok(code) => return code,
        Err(error) => error,
    };
    if causes(&*error).any(is_broken_pipe) {
        return ExitCode::SUCCESS;
    }
    output::warn(&format!("{tool}: {}", describe(&*error)));
    ExitCode::from(EXIT_TROUBLE)
}

/// Describes an error with all its causes, and adds what to do about a lack of file descriptors.
pub fn describe(error: &(dyn Error + 'static)) -> String {
    let mut texts = Vec::from_iter(causes(error).map(ToString::to_string));
    texts.extend(descriptors::advice(error).map(str::to_owned));
    texts.join(": ")
}

/// What was asked for cannot be printed.
#[derive(Debug, Error)]
#[error("cannot write to standard output")]
pub struct OutputError(#[from] io::Error);

impl OutputError {
    /// Tells whether nobody reads the output any more.
    pub fn is_broken_pipe(&self) -> bool {
        is_broken_pipe(&self.0)
    }
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(Some(error), |&error| error.source())
}

fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

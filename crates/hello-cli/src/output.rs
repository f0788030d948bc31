//! The output of the tools: formats, files, and the thread that prints.

pub mod cause;
pub mod columns;
pub mod console;
pub mod escape;
pub mod export;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod format;
pub mod histogram;
pub mod json;
pub mod layout;
pub mod no_answer;
pub mod not_sent;
pub mod options;
pub mod outages;
pub mod percent;
pub mod plot;
pub mod prometheus;
pub mod status;
pub mod style;
pub mod table;
pub mod throttle;
pub mod wall_clock;

use std::io;

use thiserror::Error;

use crate::process::error::is_broken_pipe;

/// The format of a tool's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Text for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Standard output cannot be written.
#[derive(Debug, Error)]
#[error("cannot write to standard output")]
pub struct OutputError(#[from] pub(crate) io::Error);

/// Ignores that the reader closed the output, as `head` does: that ends the printing, and has no
/// effect on the exit status.
pub(crate) fn allow_closed(printed: Result<(), OutputError>) -> Result<(), OutputError> {
    printed.or_else(|error| if is_broken_pipe(&error.0) { Ok(()) } else { Err(error) })
}

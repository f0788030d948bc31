//! What the tools print, and where to.

pub mod columns;
pub mod console;
pub mod escape;
pub mod export;
#[cfg(test)]
pub(crate) mod fixtures;
pub mod format;
pub mod histogram;
pub mod json;
pub mod no_answer;
pub mod options;
pub mod percent;
pub mod plot;
pub mod prometheus;
pub mod status;
pub mod table;
pub mod throttle;

use std::io;

use thiserror::Error;

use crate::process::exit::is_broken_pipe;

/// How a tool prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// A JSON object a line.
    Json,
}

/// What was asked for cannot be printed.
#[derive(Debug, Error)]
#[error("cannot write to standard output")]
pub struct OutputError(#[from] pub(crate) io::Error);

impl OutputError {
    /// Tells whether nobody reads the output any more.
    pub fn is_broken_pipe(&self) -> bool {
        is_broken_pipe(&self.0)
    }
}

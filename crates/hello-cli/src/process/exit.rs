//! The exit status and the error message of a tool.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use super::descriptors;
use super::error::{causes, is_broken_pipe};
use crate::output::{OutputError, console};

/// The exit status for an invalid command line, as in clap, and for failed input or output.
pub const EXIT_ERROR: u8 = 2;

/// Parses the command line, runs a tool, prints its error with all causes, and returns the exit
/// status.
///
/// A broken pipe is not an error: `hello-client | head -1` succeeds.
pub fn run<Args: Parser>(
    tool: &str,
    run: fn(&Args) -> Result<ExitCode, Box<dyn Error>>,
) -> ExitCode {
    let result = match Args::try_parse() {
        Ok(args) => run(&args),
        Err(message) => print(&message),
    };
    let error = match result {
        Ok(code) => return code,
        Err(error) => error,
    };
    if causes(&*error).any(is_broken_pipe) {
        return ExitCode::SUCCESS;
    }
    console::warn(&format!("{tool}: {}", error_chain(&*error)));
    ExitCode::from(EXIT_ERROR)
}

/// Prints what the parser has to say: help, the version, or an error of the command line.
fn print(message: &clap::Error) -> Result<ExitCode, Box<dyn Error>> {
    let printed = message.print();
    if message.use_stderr() {
        return Ok(EXIT_ERROR.into());
    }
    printed.and_then(|()| io::stdout().flush()).map_err(OutputError)?;
    Ok(ExitCode::SUCCESS)
}

/// Formats an error with all its causes, and with advice for a lack of file descriptors.
pub fn error_chain(error: &(dyn Error + 'static)) -> String {
    let mut texts = Vec::from_iter(causes(error).map(ToString::to_string));
    texts.extend(descriptors::advice(error).map(str::to_owned));
    texts.join(": ")
}

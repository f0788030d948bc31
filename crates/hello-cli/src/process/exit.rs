//! The exit status and the error message of a tool.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use super::descriptors;
use super::error::{causes, is_broken_pipe};
use crate::output::export::ExportError;
use crate::output::style::Color;
use crate::output::{OutputError, console};

/// The exit status for an invalid command line, as in clap, and for failed input or output.
pub const EXIT_ERROR: u8 = 2;

/// Parses the command line, runs a tool, prints its error with all causes, and returns the exit
/// status.
///
/// A broken pipe of standard output is not an error: `hello-client | head -1` succeeds. Tools with a
/// verdict of their own allow it before they give that.
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
    if is_closed_output(&*error) {
        return ExitCode::SUCCESS;
    }
    console::warn(Color::Auto, &format!("{tool}: {}", error_chain(&*error)));
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

/// Returns whether the reader of standard output closed it. An export that its reader did not take is
/// missing, which is an error.
fn is_closed_output(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(is_broken_pipe) && !causes(error).any(<dyn Error>::is::<ExportError>)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{self, ErrorKind, Read};
    use std::thread;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;
    use crate::output::{OutputError, export};

    #[test]
    fn only_a_closed_standard_output_is_no_error() {
        let closed = || io::Error::from(ErrorKind::BrokenPipe);
        assert!(is_closed_output(&OutputError::from(closed())));
        assert!(is_closed_output(&closed()));
        assert!(!is_closed_output(&OutputError::from(io::Error::from(ErrorKind::StorageFull))));

        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("pipe");
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("our own");
        thread::scope(|scope| {
            // Reads the start of the export, and closes the pipe.
            scope.spawn(|| File::open(&path).and_then(|mut pipe| pipe.read(&mut [0])));
            // Longer than a pipe holds.
            let error = export::write(&path, &"x".repeat(1 << 22)).expect_err("no reader");
            assert!(causes(&error).any(is_broken_pipe) && !is_closed_output(&error), "{error:?}");
        });
    }
}

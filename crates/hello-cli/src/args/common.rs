//! The options of every tool.

use std::io::{self, Write};

use clap::{Args, CommandFactory};

use super::generate::Generate;
use crate::output::style::Color;
use crate::output::{Format, OutputError};

/// The options of every tool.
#[derive(Debug, Args)]
pub struct CommonArgs {
    /// Print one JSON object per line instead of text
    ///
    /// Ignore fields you do not know: new versions add some.
    #[arg(long)]
    json: bool,

    /// Colour the output
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    color: Color,

    /// Print a manual page or a shell completion script, then exit
    #[arg(long, value_name = "WHAT")]
    generate: Option<Generate>,
}

impl CommonArgs {
    /// Prints what `--generate` requests, for the tool whose arguments are `Args`. Returns `false`
    /// without that option.
    pub(crate) fn print_generated<Args: CommandFactory>(&self) -> Result<bool, OutputError> {
        let Some(what) = self.generate else { return Ok(false) };
        let mut out = io::stdout().lock();
        what.write::<Args>(&mut out)?;
        // What is left in the buffer would be lost without an error.
        out.flush()?;
        Ok(true)
    }

    /// Returns when the output is coloured.
    pub fn color(&self) -> Color {
        self.color
    }

    /// Returns the output format.
    pub fn format(&self) -> Format {
        if self.json { Format::Json } else { Format::Text }
    }
}

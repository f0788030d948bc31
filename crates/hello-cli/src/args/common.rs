//! The options that every tool has.

use std::io;

use clap::{Args, CommandFactory};

use super::generate::Generate;
use crate::output::Format;

/// The options that every tool has.
#[derive(Debug, Args)]
pub struct CommonArgs {
    /// Print JSON, one object a line.
    #[arg(long)]
    json: bool,

    /// Print a manual page or shell completions, and do nothing else.
    #[arg(long, value_name = "WHAT")]
    generate: Option<Generate>,
}

impl CommonArgs {
    /// Generates what was asked for, for the tool whose arguments are `Args`, and tells whether
    /// anything was.
    ///
    /// # Errors
    ///
    /// What the standard output reports.
    pub fn print_generated<Args: CommandFactory>(&self) -> io::Result<bool> {
        match self.generate {
            None => Ok(false),
            Some(what) => what.write::<Args>(&mut io::stdout()).map(|()| true),
        }
    }

    /// Returns how to print.
    pub fn format(&self) -> Format {
        if self.json { Format::Json } else { Format::Text }
    }
}

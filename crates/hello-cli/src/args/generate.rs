//! Manual pages and shell completion scripts, generated from the options.

use std::io;

use clap::{CommandFactory, ValueEnum};
use clap_complete::Shell;

use super::manual;

/// What `--generate` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Generate {
    /// Manual page in roff format
    Man,
    /// Bash completions
    CompleteBash,
    /// Elvish completions
    CompleteElvish,
    /// Fish completions
    CompleteFish,
    /// PowerShell completions
    CompletePowershell,
    /// Zsh completions
    CompleteZsh,
}

impl Generate {
    /// Writes it to `out`, for the tool whose arguments are `Args`.
    pub(crate) fn write<Args: CommandFactory>(self, out: &mut impl io::Write) -> io::Result<()> {
        let mut command = Args::command();
        let shell = match self {
            Self::Man => {
                command.build();
                return manual::write(&command, out);
            }
            Self::CompleteBash => Shell::Bash,
            Self::CompleteElvish => Shell::Elvish,
            Self::CompleteFish => Shell::Fish,
            Self::CompletePowershell => Shell::PowerShell,
            Self::CompleteZsh => Shell::Zsh,
        };
        // The generator panics if a write fails, so it writes to memory.
        let mut script = Vec::new();
        let name = command.get_name().to_owned();
        clap_complete::generate(shell, &mut command, name, &mut script);
        out.write_all(&script)
    }
}

/// The last line of `-h`, where `--help` has examples, signals and exit status.
pub(crate) const AFTER_HELP: &str = "See --help for examples and exit status.";

//! Manual pages and shell completions, made from the tools' own descriptions.

use std::io;

use clap::{CommandFactory, ValueEnum};
use clap_complete::Shell;

/// What a tool can generate of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Generate {
    /// A manual page, in roff.
    Man,
    /// Completions for bash.
    CompleteBash,
    /// Completions for elvish.
    CompleteElvish,
    /// Completions for fish.
    CompleteFish,
    /// Completions for PowerShell.
    CompletePowershell,
    /// Completions for zsh.
    CompleteZsh,
}

impl Generate {
    /// Writes it for the tool whose arguments are `Args` to `out`.
    ///
    /// # Errors
    ///
    /// Whatever `out` reports.
    pub fn write<Args: CommandFactory>(self, out: &mut impl io::Write) -> io::Result<()> {
        let mut command = Args::command();
        let shell = match self {
            Self::Man => return clap_mangen::Man::new(command).render(out),
            Self::CompleteBash => Shell::Bash,
            Self::CompleteElvish => Shell::Elvish,
            Self::CompleteFish => Shell::Fish,
            Self::CompletePowershell => Shell::PowerShell,
            Self::CompleteZsh => Shell::Zsh,
        };
        // The generator panics where it cannot write, so it writes to memory.
        let mut script = Vec::new();
        let name = command.get_name().to_owned();
        clap_complete::generate(shell, &mut command, name, &mut script);
        out.write_all(&script)
    }
}

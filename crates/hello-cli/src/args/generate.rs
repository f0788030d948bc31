//! Manual pages and shell completions, made from the tools' own descriptions.

use std::io;

use clap::{Command, CommandFactory, ValueEnum};
use clap_complete::Shell;
use clap_mangen::Man;

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
            Self::Man => return manual(command, out),
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

/// Writes a manual page, in which what follows the help has sections of its own.
fn manual(command: Command, out: &mut impl io::Write) -> io::Result<()> {
    let more = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let manual = Man::new(command);
    manual.render_title(out)?;
    manual.render_name_section(out)?;
    manual.render_synopsis_section(out)?;
    manual.render_description_section(out)?;
    manual.render_options_section(out)?;
    for section in more.split("\n\n") {
        let (title, text) = section.split_once(":\n").unwrap_or(("Notes", section));
        let text = text.replace('\\', r"\e").replace('-', r"\-");
        writeln!(out, ".SH \"{}\"\n.nf\n{text}\n.fi", title.to_uppercase())?;
    }
    manual.render_version_section(out)
}

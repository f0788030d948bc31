//! Manual pages and shell completion scripts, generated from the options.

use std::io;

use clap::{Command, CommandFactory, ValueEnum};
use clap_complete::Shell;
use clap_mangen::Man;

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
            Self::Man => return manual(command, out),
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

/// Writes a manual page. The parts of the help that follow the options become sections.
fn manual(mut command: Command, out: &mut impl io::Write) -> io::Result<()> {
    let after = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    let usage = command.render_usage().to_string();
    let others = TOOLS.iter().filter(|tool| **tool != command.get_name());
    let others = Vec::from_iter(others.map(|tool| format!("{tool}(1)"))).join(", ");
    let manual = Man::new(command.override_usage(usage.trim_start_matches("Usage: ").to_owned()));
    manual.render_title(out)?;
    manual.render_name_section(out)?;
    manual.render_synopsis_section(out)?;
    manual.render_description_section(out)?;
    manual.render_options_section(out)?;
    let see_also = format!("See also:\n{others}, ping(8), udp(7)");
    for section in after.split("\n\n").chain([&*see_also]) {
        let (title, text) = section.split_once(":\n").unwrap_or(("Notes", section));
        let text = text.replace('\\', r"\e").replace('-', r"\-");
        writeln!(out, ".SH \"{}\"\n.nf\n{text}\n.fi", title.to_uppercase())?;
    }
    manual.render_version_section(out)
}

const TOOLS: [&str; 4] = ["hello-client", "hello-load", "hello-ping", "hello-server"];

/// The last line of `-h`, where `--help` has examples, signals and exit status.
pub(crate) const AFTER_HELP: &str = "See --help for examples and exit status.";

//! Colours where they have a meaning.
//!
//! Text carries the codes, and the console removes them where they are not wanted.

use std::fmt::Display;
use std::io::Write;

use anstream::stream::{AsLockedWrite, RawStream};
use anstream::{AutoStream, ColorChoice, StripStream};
use anstyle::{AnsiColor, Style};
use clap::ValueEnum;

/// As expected.
pub const GOOD: Style = AnsiColor::Green.on_default();

/// Worth a look.
pub const WARNING: Style = AnsiColor::Yellow.on_default();

/// A failure or a loss.
pub const BAD: Style = AnsiColor::Red.on_default();

/// A heading or a result.
pub const STRONG: Style = Style::new().bold();

/// Returns `text` in a style.
pub fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// When output is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Also in files and pipes
    Always,
    /// Nowhere
    Never,
}

impl Color {
    /// Returns a stream that receives text without its codes unless this stream is coloured.
    pub(crate) fn wrap(
        self,
        stream: impl AsLockedWrite + RawStream + Send + 'static,
    ) -> Box<dyn Write + Send> {
        let is_colored = match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => AutoStream::choice(&stream) != ColorChoice::Never,
        };
        if is_colored { Box::new(stream) } else { Box::new(StripStream::new(stream)) }
    }
}

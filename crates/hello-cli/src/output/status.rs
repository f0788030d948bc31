//! The status line of a terminal.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Format;

/// Returns the status line, which is hidden unless text is printed to a terminal.
pub(crate) fn status_bar(format: Format) -> ProgressBar {
    if format == Format::Json || !io::stdout().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_msg}").expect("a template");
    ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout()).with_style(style)
}

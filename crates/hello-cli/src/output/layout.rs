//! The width and the characters that a reader's terminal offers.

use std::env;
use std::io::IsTerminal;
use std::num::NonZeroUsize;

use anstream::adapter::strip_str;
use comfy_table::{ContentArrangement, Table, presets};

use crate::sys::AsStream;

/// What text output may assume about its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The width in columns; `None` if the output is no terminal.
    pub width: Option<NonZeroUsize>,
    /// Whether characters beyond ASCII are drawn.
    pub unicode: bool,
}

impl Layout {
    /// No limit of width, and ASCII, as for a file.
    pub const PLAIN: Self = Self { width: None, unicode: false };

    /// Returns the layout for a stream: the width of its terminal, or that of `COLUMNS`; and the
    /// characters of the locale (`LC_ALL`, `LC_CTYPE`, `LANG`; locale(7)).
    pub(crate) fn of(stream: &(impl AsStream + IsTerminal)) -> Self {
        if !stream.is_terminal() {
            return Self::PLAIN;
        }
        let columns = env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        let measured = || terminal_size::terminal_size_of(stream).map(|(width, _)| width.0.into());
        let width = columns.or_else(measured).and_then(NonZeroUsize::new);
        // A terminal that does not report its width is as wide as most.
        let width = width.or(NonZeroUsize::new(80));
        Self { width, unicode: is_utf8(|name| env::var(name).ok()) }
    }

    /// Joins parts by two spaces, and continues in another line, indented by this much, where they do
    /// not fit. A part that fits no line continues between its words. Colours have no width.
    pub fn flow(self, parts: &[String], indent: usize) -> String {
        let max = self.width.map_or(usize::MAX, NonZeroUsize::get);
        let pieces = parts.iter().filter(|part| !part.is_empty()).flat_map(|part| {
            let is_long = indent + width(part) > max;
            let words = part.split(if is_long { " " } else { "\0" });
            words.enumerate().map(|(index, word)| (if index == 0 { "  " } else { " " }, word))
        });
        let (mut text, mut used) = (String::new(), 0);
        for (gap, piece) in pieces {
            if text.is_empty() {
                used = width(piece);
            } else if used + gap.len() + width(piece) <= max {
                text += gap;
                used += gap.len() + width(piece);
            } else {
                text.truncate(text.trim_end().len());
                text += &format!("\n{:indent$}", "");
                used = indent + width(piece);
            }
            text += piece;
        }
        text
    }

    /// Returns whether a line fits the width.
    pub fn fits(self, line: &str) -> bool {
        self.width.is_none_or(|max| width(line) <= max.get())
    }

    /// Joins the parts that exist to a line, without those of the highest numbers if not all fit.
    /// Parts with number 0 always remain.
    pub fn fit(self, parts: impl IntoIterator<Item = (u8, Option<String>)>) -> String {
        let parts = parts.into_iter().filter_map(|(rank, part)| Some((rank, part?)));
        let mut parts = Vec::from_iter(parts);
        loop {
            let texts = Vec::from_iter(parts.iter().map(|(_, part)| &**part));
            let text = texts.join(", ");
            let highest = parts.iter().map(|(rank, _)| *rank).max().unwrap_or(0);
            if highest == 0 || self.fits(&text) {
                return text;
            }
            parts.retain(|(rank, _)| *rank < highest);
        }
    }

    /// Returns the layout beside a margin of this width.
    #[must_use]
    pub fn indented(self, by: usize) -> Self {
        let rest = |width: NonZeroUsize| width.get().saturating_sub(by).max(1);
        Self { width: self.width.and_then(|width| NonZeroUsize::new(rest(width))), ..self }
    }

    /// Wraps a line between words, and starts it and its further lines with these margins of equal
    /// width.
    pub fn wrap_with_margin(self, first: &str, further: &str, line: &str) -> String {
        let text = self.indented(further.len()).wrap(line);
        let mut margins = std::iter::once(first).chain(std::iter::repeat(further));
        let lines = text.lines().map(|line| margins.next().unwrap_or_default().to_owned() + line);
        Vec::from_iter(lines).join("\n")
    }

    /// Wraps text between words, if the width is limited.
    pub fn wrap(self, text: &str) -> String {
        let Some(width) = self.width.and_then(|width| u16::try_from(width.get()).ok()) else {
            return text.to_owned();
        };
        let mut paragraph = Table::new();
        paragraph.load_preset(presets::NOTHING).set_width(width);
        paragraph.set_content_arrangement(ContentArrangement::Dynamic);
        for line in text.lines() {
            paragraph.add_row([line]);
        }
        if let Some(column) = paragraph.column_mut(0) {
            column.set_padding((0, 0));
        }
        paragraph.trim_fmt()
    }
}

/// Returns the width of a text in columns, without its colours.
fn width(text: &str) -> usize {
    strip_str(text).to_string().chars().count()
}

/// Returns whether the first of these variables that is set names UTF-8.
fn is_utf8(variable: impl Fn(&str) -> Option<String>) -> bool {
    let names = ["LC_ALL", "LC_CTYPE", "LANG"];
    let locale = names.iter().filter_map(|name| variable(name)).find(|locale| !locale.is_empty());
    let locale = locale.unwrap_or_default().to_ascii_lowercase();
    locale.ends_with("utf-8") || locale.ends_with("utf8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locale_decides_about_characters_beyond_ascii() {
        let unicode = |variables: &[(&str, &str)]| {
            let find = |name: &str| variables.iter().find(|(other, _)| *other == name);
            is_utf8(|name| find(name).map(|(_, value)| (*value).to_owned()))
        };
        assert!(unicode(&[("LANG", "de_DE.UTF-8")]));
        assert!(unicode(&[("LANG", "C"), ("LC_CTYPE", "C.utf8")]));
        assert!(unicode(&[("LC_ALL", ""), ("LANG", "en_US.UTF-8")]));
        assert!(!unicode(&[("LC_ALL", "C"), ("LANG", "en_US.UTF-8")]));
        assert!(!unicode(&[("LANG", "de_DE.ISO-8859-1")]));
        assert!(!unicode(&[]));
    }

    #[test]
    fn parts_continue_in_an_indented_line_and_colours_have_no_width() {
        let parts = ["1.000 s", "", "\u{1b}[31m9\u{1b}[0m lost", "3 in flight"].map(str::to_owned);
        let narrow = Layout { width: NonZeroUsize::new(15), unicode: false };
        let expected = "1.000 s  \u{1b}[31m9\u{1b}[0m lost\n  3 in flight";
        assert_eq!(narrow.flow(&parts, 2), expected);
        assert_eq!(Layout::PLAIN.flow(&parts, 2).lines().count(), 1);
        let long = ["1.000 s", "a part of many words"].map(str::to_owned);
        assert_eq!(narrow.flow(&long, 2), "1.000 s  a part\n  of many words");
    }

    #[test]
    fn text_is_wrapped_between_words_and_keeps_its_lines() {
        let narrow = Layout { width: NonZeroUsize::new(12), unicode: false };
        assert_eq!(
            narrow.wrap("seven words that do not fit here"),
            "seven words\nthat do not\nfit here"
        );
        assert_eq!(narrow.wrap("a\nb"), "a\nb");
        assert_eq!(Layout::PLAIN.wrap("seven words that do not fit here").lines().count(), 1);
    }
}

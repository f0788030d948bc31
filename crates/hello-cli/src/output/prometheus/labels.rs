//! Labels of metrics: their values are escaped, and names that users choose are checked.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};
use thiserror::Error;

use crate::output::escape::Escaped;

/// The labels of a sample. Clones share the values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels(Vec<(Cow<'static, str>, Arc<str>)>);

impl Labels {
    /// Returns no labels.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a label. A name that users chose must have passed [`check_name`].
    ///
    /// Characters of the value that could control a terminal are replaced as [`Escaped`] does. The
    /// formats escape quotes, backslashes and newlines themselves, so these are unchanged for a
    /// reader.
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: &str) -> Self {
        self.0.push((name.into(), harmless(value).into()));
        self
    }
}

impl EncodeLabelSet for Labels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        self.0.encode(encoder)
    }
}

fn harmless(value: &str) -> String {
    let mut harmless = String::with_capacity(value.len());
    for piece in value.split_inclusive(is_escaped_by_formats) {
        let plain = piece.trim_end_matches(is_escaped_by_formats);
        harmless.push_str(&Escaped(plain.as_bytes()).to_string());
        harmless.push_str(&piece[plain.len()..]);
    }
    harmless
}

fn is_escaped_by_formats(char: char) -> bool {
    matches!(char, '\\' | '\n')
}

/// Checks the name of a label that users chose. `ours` are the names that the same metrics have
/// anyway.
///
/// # Errors
///
/// If Prometheus does not allow the name, reserves it, or would find it twice.
pub fn check_name(name: &str, ours: &[&str]) -> Result<(), InvalidLabelName> {
    let is_word = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let starts_well = !name.starts_with(|char: char| char.is_ascii_digit());
    let name_of = || Escaped(name.as_bytes()).to_string();
    if name.is_empty() || !starts_well || !name.chars().all(is_word) {
        Err(InvalidLabelName::Characters(name_of()))
    } else if name.starts_with("__") || RESERVED.contains(&name) {
        Err(InvalidLabelName::Reserved(name_of()))
    } else if ours.contains(&name) {
        Err(InvalidLabelName::Ours(name_of()))
    } else {
        Ok(())
    }
}

/// The labels of histograms and summaries.
const RESERVED: [&str; 2] = ["le", "quantile"];

/// Why a name cannot be that of a label.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InvalidLabelName {
    /// It has other characters than Prometheus allows.
    #[error(
        "{0:?} is not a valid label name: use letters, digits and underscores, and no digit first"
    )]
    Characters(String),
    /// It has a meaning to Prometheus.
    #[error("Prometheus reserves the label {0}: choose another name")]
    Reserved(String),
    /// The metrics have a label of that name.
    #[error("the metrics have the label {0} already: choose another name")]
    Ours(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_cannot_control_a_terminal() {
        for (value, expected) in [
            ("", ""),
            ("192.0.2.1:9999", "192.0.2.1:9999"),
            ("a \"quoted\" 'name'", "a \"quoted\" 'name'"),
            ("C:\\dir\\\nnext", "C:\\dir\\\nnext"),
            ("\u{1b}[31mred\r\0", "\\u{1b}[31mred\\r\\0"),
            ("zw\u{200b}bidi\u{202e}é", "zw\\u{200b}bidi\\u{202e}é"),
        ] {
            assert_eq!(harmless(value), expected);
        }
    }

    #[test]
    fn names_of_users_are_valid_free_and_not_ours() {
        let check = |name| check_name(name, &["target", "cause"]);
        for name in ["site", "_x", "A1", "instance", "Target"] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        for name in ["", "1a", "a-b", "a.b", "é", "a b", "a\"", "a\n", "\u{1b}"] {
            let error = check(name).expect_err(name);
            assert!(matches!(error, InvalidLabelName::Characters(_)), "{error}");
            assert!(!error.to_string().contains(char::is_control), "{error}");
        }
        for name in ["__name__", "__x", "le", "quantile"] {
            assert_eq!(check(name), Err(InvalidLabelName::Reserved(name.into())));
        }
        assert_eq!(check("cause"), Err(InvalidLabelName::Ours("cause".into())));
    }
}

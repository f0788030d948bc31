//! Bytes from the network, escaped for a terminal or a log.

use std::fmt::{self, Write as _};

/// Formats bytes as one line of text that cannot control a terminal. Different bytes give different
/// text.
///
/// Printable UTF-8 is unchanged. Control, format (including bidirectional), unassigned and
/// invisible characters are escaped as in Rust (`\n`, `\u{202e}`). Bytes that are not UTF-8 become
/// `\xff`, and a backslash becomes `\\`.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            // `escape_debug` escapes quotes, which is unnecessary here, but not every invisible
            // character. At the start of a piece, it escapes a combining character.
            for piece in chunk.valid().split_inclusive(is_special) {
                let plain = piece.trim_end_matches(is_special);
                write!(f, "{}", plain.escape_debug())?;
                match piece[plain.len()..].chars().next() {
                    Some(last) if is_invisible(last) => write!(f, "{}", last.escape_unicode())?,
                    Some(quote) => f.write_char(quote)?,
                    None => {}
                }
            }
            write!(f, "{}", chunk.invalid().escape_ascii())?;
        }
        Ok(())
    }
}

/// Formats bytes like [`Escaped`], but only the beginning and the length of long ones.
#[derive(Clone, Copy, Debug)]
pub struct Truncated<'a>(pub &'a [u8]);

impl Truncated<'_> {
    /// The number of bytes shown, less any part of a character.
    const LEN: usize = 64;
}

impl fmt::Display for Truncated<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.len() <= Self::LEN {
            return Escaped(self.0).fmt(f);
        }
        let start = truncate_utf8(self.0, Self::LEN);
        write!(f, "{}… ({} bytes)", Escaped(start), self.0.len())
    }
}

/// Returns the first `max` bytes, or up to three fewer so that no UTF-8 character is cut.
pub fn truncate_utf8(bytes: &[u8], max: usize) -> &[u8] {
    if bytes.len() <= max {
        return bytes;
    }
    let continues = |end: &usize| bytes[*end] & 0b1100_0000 == 0b1000_0000;
    let end = (max.saturating_sub(3)..=max).rev().find(|end| !continues(end));
    &bytes[..end.unwrap_or(max)]
}

/// Returns whether `escape_debug` must not see this character.
fn is_special(char: char) -> bool {
    matches!(char, '\'' | '"') || is_invisible(char)
}

/// Returns whether a text looks the same without a character.
fn is_invisible(char: char) -> bool {
    INVISIBLE.iter().any(|(first, last)| (*first..=*last).contains(&char))
}

/// `Default_Ignorable_Code_Point` of Unicode 16.0 (`DerivedCoreProperties.txt`), and other blank
/// characters: the blank Braille pattern, the Khitan filler, the hieroglyphic blanks, and the null
/// notehead.
const INVISIBLE: [(char, char); 21] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{34f}', '\u{34f}'),
    ('\u{61c}', '\u{61c}'),
    ('\u{115f}', '\u{1160}'),
    ('\u{17b4}', '\u{17b5}'),
    ('\u{180b}', '\u{180f}'),
    ('\u{200b}', '\u{200f}'),
    ('\u{202a}', '\u{202e}'),
    ('\u{2060}', '\u{206f}'),
    ('\u{2800}', '\u{2800}'),
    ('\u{3164}', '\u{3164}'),
    ('\u{fe00}', '\u{fe0f}'),
    ('\u{feff}', '\u{feff}'),
    ('\u{ffa0}', '\u{ffa0}'),
    ('\u{fff0}', '\u{fff8}'),
    ('\u{13441}', '\u{13442}'),
    ('\u{16fe4}', '\u{16fe4}'),
    ('\u{1bca0}', '\u{1bca3}'),
    ('\u{1d159}', '\u{1d159}'),
    ('\u{1d173}', '\u{1d17a}'),
    ('\u{e0000}', '\u{e0fff}'),
];

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use proptest::prelude::*;
    use regex::Regex;

    #[test]
    fn names_of_people_are_unchanged() {
        for name in ["Michael", "José", "O'Brien", "\"Bob\"", "李小龍", "हिन्दी", "🦀", ""]
        {
            assert_eq!(Escaped(name.as_bytes()).to_string(), name);
        }
    }

    #[test]
    fn terminal_control_is_escaped() {
        for (bytes, text) in [
            (&b"\x1b[2J"[..], r"\u{1b}[2J"),
            (b"a\nb\r\t\0", r"a\nb\r\t\0"),
            (b"\x7f", r"\u{7f}"),
            ("\u{9b}31m".as_bytes(), r"\u{9b}31m"),
            ("\u{202e}gnp.exe".as_bytes(), r"\u{202e}gnp.exe"),
            ("\u{301}accent first".as_bytes(), r"\u{301}accent first"),
            (b"\xff\xfe ok", r"\xff\xfe ok"),
            (b"Jos\xe9", r"Jos\xe9"),
            (b"back\\slash", r"back\\slash"),
        ] {
            assert_eq!(Escaped(bytes).to_string(), text);
        }
    }

    #[test]
    fn bounds_of_invisible_ranges_are_escaped_at_any_position() {
        for (first, last) in INVISIBLE {
            for char in [first, last] {
                let escaped = format!(r"\u{{{:x}}}", u32::from(char));
                for (before, after) in [("", ""), ("a", "b"), ("'", "\""), ("\n", "\u{301}")] {
                    let text = format!("{before}{char}{char}{after}");
                    let [before, after] =
                        [before, after].map(|text| Escaped(text.as_bytes()).to_string());
                    let expected = format!("{before}{escaped}{escaped}{after}");
                    assert_eq!(Escaped(text.as_bytes()).to_string(), expected);
                }
            }
        }
    }

    #[test]
    fn invisible_characters_are_unicodes_default_ignorables_and_some_blanks() {
        let blank = |char| "\u{2800}\u{13441}\u{13442}\u{16fe4}\u{1d159}".contains(char);
        let all = String::from_iter('\0'..=char::MAX);
        let ignorable = Regex::new(r"\p{Default_Ignorable_Code_Point}+").expect("a property");
        let expected = Vec::from_iter(ignorable.find_iter(&all).map(|found| found.as_str()));
        let found = all.chars().filter(|char| is_invisible(*char) && !blank(*char));
        assert_eq!(String::from_iter(found), expected.concat());
        assert_eq!(all.chars().filter(|char| is_invisible(*char) && blank(*char)).count(), 5);
    }

    #[test]
    fn long_bytes_are_truncated_with_their_length() {
        let name = [b'x'; 65];
        assert_eq!(Truncated(&name[..64]).to_string(), "x".repeat(64));
        assert_eq!(Truncated(&name).to_string(), format!("{}… (65 bytes)", "x".repeat(64)));
        let name = format!("{}🦀x", "x".repeat(61));
        assert_eq!(
            Truncated(name.as_bytes()).to_string(),
            format!("{}… (66 bytes)", "x".repeat(61))
        );
        let name = [0x80; 65];
        assert_eq!(Truncated(&name).to_string(), format!("{}… (65 bytes)", r"\x80".repeat(64)));
    }

    /// Invisible characters, their escapes, and characters that may affect the escaping.
    const PIECES: [&str; 12] = [
        "\u{34f}",
        r"\u{34f}",
        "\u{fe0f}",
        "\u{e0100}",
        "\u{2800}",
        "\u{3164}",
        "\u{301}",
        "a",
        "\\",
        "'",
        "\"",
        "\n",
    ];

    proptest! {
        #[test]
        fn escaped_text_has_no_control_characters(bytes in any::<Vec<u8>>()) {
            let text = Escaped(&bytes).to_string();
            prop_assert!(!text.contains(char::is_control), "{text:?}");
        }

        #[test]
        fn different_bytes_give_different_texts(all in prop::collection::hash_set(
            prop::collection::vec(prop::sample::select(b"\\xf\xff\xc3\xa9n\n'".to_vec()), 0..6),
            0..40,
        )) {
            let mut seen = HashMap::new();
            for bytes in &all {
                if let Some(other) = seen.insert(Escaped(bytes).to_string(), bytes) {
                    prop_assert!(false, "{other:?} and {bytes:?} look the same");
                }
            }
        }

        #[test]
        fn texts_that_differ_in_invisible_characters_look_different(all in prop::collection::hash_set(
            prop::collection::vec(prop::sample::select(PIECES.to_vec()), 0..6)
                .prop_map(|pieces| pieces.concat()),
            0..40,
        )) {
            let mut seen = HashMap::new();
            for text in &all {
                let shown = Escaped(text.as_bytes()).to_string();
                prop_assert!(!shown.contains(is_invisible), "{shown:?}");
                if let Some(other) = seen.insert(shown, text) {
                    prop_assert!(false, "{other:?} and {text:?} look the same");
                }
            }
        }
    }
}

//! Bytes from the network, made fit for a terminal or a log.

use std::fmt;

/// Shows bytes as text on one line, which does nothing to a terminal; different bytes look
/// different.
///
/// What is printable in UTF-8 stands for itself. Control characters, format characters (those
/// that change the direction of writing among them) and unassigned ones are escaped as Rust does
/// it (`\n`, `\u{202e}`), bytes that are no UTF-8 as `\xff`, and the backslash as `\\`.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a>(pub &'a [u8]);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            // `escape_debug` escapes quotes, too; a greeting has no use for that.
            for piece in chunk.valid().split_inclusive(['\'', '"']) {
                let plain = piece.trim_end_matches(['\'', '"']);
                write!(f, "{}{}", plain.escape_debug(), &piece[plain.len()..])?;
            }
            write!(f, "{}", chunk.invalid().escape_ascii())?;
        }
        Ok(())
    }
}

/// Shows bytes as [`Text`], and of long ones the beginning and how many there are.
#[derive(Clone, Copy, Debug)]
pub struct Brief<'a>(pub &'a [u8]);

impl Brief<'_> {
    /// How many bytes are shown, less what would be a part of a character.
    const LEN: usize = 64;
}

impl fmt::Display for Brief<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.len() <= Self::LEN {
            return Text(self.0).fmt(f);
        }
        let start = start(self.0, Self::LEN);
        write!(f, "{}… ({} bytes)", Text(start), self.0.len())
    }
}

/// Returns the first `max` bytes, or up to three less if that would cut a character of UTF-8.
pub fn start(bytes: &[u8], max: usize) -> &[u8] {
    if bytes.len() <= max {
        return bytes;
    }
    let continues = |end: &usize| bytes[*end] & 0b1100_0000 == 0b1000_0000;
    let end = (max.saturating_sub(3)..=max).rev().find(|end| !continues(end));
    &bytes[..end.unwrap_or(max)]
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_people_are_called_is_shown_as_it_is() {
        for name in ["Michael", "José", "O'Brien", "\"Bob\"", "李小龍", "हिन्दी", "🦀", ""]
        {
            assert_eq!(Text(name.as_bytes()).to_string(), name);
        }
    }

    #[test]
    fn what_would_do_something_to_a_terminal_is_escaped() {
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
            assert_eq!(Text(bytes).to_string(), text);
        }
    }

    #[test]
    fn long_bytes_are_cut_and_counted() {
        let name = [b'x'; 65];
        assert_eq!(Brief(&name[..64]).to_string(), "x".repeat(64));
        assert_eq!(Brief(&name).to_string(), format!("{}… (65 bytes)", "x".repeat(64)));
        let name = format!("{}🦀x", "x".repeat(61));
        assert_eq!(Brief(name.as_bytes()).to_string(), format!("{}… (66 bytes)", "x".repeat(61)));
        let name = [0x80; 65];
        assert_eq!(Brief(&name).to_string(), format!("{}… (65 bytes)", r"\x80".repeat(64)));
    }

    proptest! {
        #[test]
        fn nothing_in_it_controls_and_it_is_one_line(bytes in any::<Vec<u8>>()) {
            let text = Text(&bytes).to_string();
            prop_assert!(!text.contains(char::is_control), "{text:?}");
        }

        #[test]
        fn different_bytes_are_different_texts(all in prop::collection::hash_set(
            prop::collection::vec(prop::sample::select(b"\\xf\xff\xc3\xa9n\n'".to_vec()), 0..6),
            0..40,
        )) {
            let mut seen = HashMap::new();
            for bytes in &all {
                if let Some(other) = seen.insert(Text(bytes).to_string(), bytes) {
                    prop_assert!(false, "{other:?} and {bytes:?} look the same");
                }
            }
        }
    }
}

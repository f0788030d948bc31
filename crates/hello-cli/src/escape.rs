//! Bytes from the network, made fit for a terminal or a log.

use std::fmt;

/// Shows bytes as text on one line, so that no two differ and none does anything to a terminal.
///
/// What is printable in UTF-8 stands for itself. Control characters, invisible ones and those
/// that change the direction of writing are escaped as Rust does it (`\n`, `\u{1b}`), bytes that
/// are no UTF-8 as `\xff`, and the backslash as `\\`.
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
    /// How many bytes are shown.
    const LEN: usize = 64;
}

impl fmt::Display for Brief<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.split_at_checked(Self::LEN) {
            Some((start, rest)) if !rest.is_empty() => {
                write!(f, "{}… ({} bytes)", Text(start), self.0.len())
            }
            _ => Text(self.0).fmt(f),
        }
    }
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

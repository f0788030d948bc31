//! Plain text: one target a line, and perhaps labels.

use super::{LineError, Raw};

/// Parses lines of a target and its labels, `HOST:PORT [NAME=VALUE]...`. A `#` at the start of a line or
/// behind a space starts a comment.
pub(super) fn parse(text: &str) -> Result<Vec<Raw>, LineError> {
    let mut all = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        let words = text.split_whitespace().take_while(|word| !word.starts_with('#'));
        let mut words = words.map(|word| word.trim_start_matches('\u{feff}'));
        let Some(target) = words.next() else { continue };
        if target == "-" || target.starts_with(['{', '"']) || target == "[" {
            let why = "not a target: a file in JSON or YAML needs a name that ends with .json, .yaml \
                       or .yml";
            return Err(LineError { line, why: why.into() });
        }
        let label = |word: &str| match word.split_once('=') {
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None => {
                let why = format!("{word:?} is no label: write NAME=VALUE, or # before a comment");
                Err(LineError { line, why })
            }
        };
        let labels = words.map(label).collect::<Result<_, _>>()?;
        all.push(Raw { target: target.into(), labels, line });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn line_has_a_target_and_its_labels() {
        let text = "# a comment\n\n  192.0.2.1:9999  site=fra rack=7=8 # x=y\r\n[::1]:7#a # b\n";
        let parsed = parse(text).expect("plain");
        let labels = [("site", "fra"), ("rack", "7=8")];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let first = Raw { target: "192.0.2.1:9999".into(), labels, line: 3 };
        let second = Raw { target: "[::1]:7#a".into(), labels: [].into(), line: 4 };
        assert_eq!(parsed, [first, second]);
        assert_eq!(parse("").expect("nothing"), []);
    }

    #[test]
    fn other_formats_and_words_are_named_with_their_line() {
        for (text, line, why) in [
            ("a:1\n- targets: [a:1]", 2, "not a target: a file in JSON or YAML needs a name that"),
            ("[\n", 1, "not a target: "),
            ("a:1 b:1", 1, "\"b:1\" is no label: write NAME=VALUE"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.line == line && error.why.starts_with(why), "{error:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_has_an_error(text in any::<String>()) {
            let lines = text.lines().count();
            match parse(&text) {
                Ok(parsed) => prop_assert!(parsed.len() <= lines),
                Err(error) => prop_assert!((1..=lines).contains(&error.line)),
            }
        }
    }
}

//! JSON and YAML in the format of Prometheus' file-based service discovery. JSON is a part of YAML.

use std::borrow::Cow;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScanError, Span, StrInput};

use super::{LineError, Raw};

/// Parses a list of groups: `[{"targets": ["HOST:PORT", ...], "labels": {"NAME": "VALUE", ...}}, ...]`.
///
/// As Prometheus does, it leaves out labels whose name starts with two underscores.
pub(super) fn parse(text: &str) -> Result<Vec<Raw>, LineError> {
    let text = text.trim_start_matches('\u{feff}');
    let mut reader =
        Reader { parser: Parser::new_from_str(text), line: 1, last: text.lines().count().max(1) };
    let mut all = Vec::new();
    match reader.next()? {
        Some(Event::SequenceStart(..)) => {}
        // An empty document.
        None => return Ok(all),
        Some(event) if scalar(&event).is_some_and(|text| text.is_empty()) => return Ok(all),
        _ => return reader.error(LIST),
    }
    loop {
        match reader.next()? {
            Some(Event::MappingStart(..)) => group(&mut reader, &mut all)?,
            Some(Event::SequenceEnd) => break,
            _ => return reader.error(LIST),
        }
    }
    match reader.next()? {
        None => Ok(all),
        Some(_) => reader.error("a second document: put all groups into one list"),
    }
}

const LIST: &str = "not a list of groups: write [{\"targets\": [\"HOST:PORT\"], \"labels\": {}}]";

/// Parses a group behind its start.
fn group(reader: &mut Reader<'_>, all: &mut Vec<Raw>) -> Result<(), LineError> {
    let (first, mut labels) = (all.len(), Arc::default());
    loop {
        let event = reader.next()?;
        if event == Some(Event::MappingEnd) {
            break;
        }
        let key = event.as_ref().and_then(scalar).map_or("", |key| key);
        match key {
            "targets" => targets(reader, all)?,
            "labels" => labels = self::labels(reader)?.into(),
            _ => {
                let why =
                    format!("{key:?} is no part of a group: it has \"targets\" and \"labels\"");
                return reader.error(why);
            }
        }
    }
    // Shared, because a group may have thousands of targets.
    all[first..].iter_mut().for_each(|raw| raw.labels = Arc::clone(&labels));
    Ok(())
}

fn targets(reader: &mut Reader<'_>, all: &mut Vec<Raw>) -> Result<(), LineError> {
    let Some(Event::SequenceStart(..)) = reader.next()? else {
        return reader.error("\"targets\" must be a list: [\"HOST:PORT\", ...]");
    };
    loop {
        let event = reader.next()?;
        match event.as_ref().and_then(scalar) {
            Some(target) => {
                let (target, line) = (target.clone().into_owned(), reader.line);
                all.push(Raw { target, labels: Arc::default(), line });
            }
            None if event == Some(Event::SequenceEnd) => return Ok(()),
            None => return reader.error("a target must be a text: \"HOST:PORT\""),
        }
    }
}

fn labels(reader: &mut Reader<'_>) -> Result<Vec<(String, String)>, LineError> {
    const WRONG: &str = "\"labels\" must have a text for each name: {\"NAME\": \"VALUE\"}";
    let mut labels = Vec::new();
    match reader.next()? {
        Some(Event::MappingStart(..)) => {}
        Some(event) if scalar(&event).is_some_and(|text| is_null(text)) => return Ok(labels),
        _ => return reader.error(WRONG),
    }
    loop {
        let event = reader.next()?;
        let Some(name) = event.as_ref().and_then(scalar) else {
            return if event == Some(Event::MappingEnd) { Ok(labels) } else { reader.error(WRONG) };
        };
        let event = reader.next()?;
        let Some(value) = event.as_ref().and_then(scalar) else { return reader.error(WRONG) };
        if !name.starts_with("__") {
            labels.push((name.clone().into_owned(), value.clone().into_owned()));
        }
    }
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null")
}

fn scalar<'e, 'input>(event: &'e Event<'input>) -> Option<&'e Cow<'input, str>> {
    match event {
        Event::Scalar(text, ..) => Some(text),
        _ => None,
    }
}

/// Yields the events of the content, and knows their lines.
struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    line: usize,
    /// The last line.
    last: usize,
}

impl<'a> Reader<'a> {
    /// Returns the next event; `None` at the end.
    fn next(&mut self) -> Result<Option<Event<'a>>, LineError> {
        loop {
            let event = match self.parser.next() {
                None => return Ok(None),
                Some(event) => event.map_err(|error| self.invalid(&error))?,
            };
            let (event, Span { start, .. }) = event;
            self.line = start.line().max(1);
            match event {
                Event::StreamStart | Event::StreamEnd | Event::Nothing => {}
                Event::DocumentStart(_) | Event::DocumentEnd => {}
                Event::Alias(_) => {
                    return self.error("an alias (*) is not supported: repeat the text");
                }
                event => return Ok(Some(event)),
            }
        }
    }

    fn invalid(&self, error: &ScanError) -> LineError {
        let line = error.marker().line().clamp(1, self.last);
        LineError { line, why: format!("neither JSON nor YAML: {}", error.info()) }
    }

    fn error<T>(&self, why: impl Into<String>) -> Result<T, LineError> {
        Err(LineError { line: self.line, why: why.into() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const YAML: &str = "\
# Prometheus reads this, too.
- targets:
    - 192.0.2.1:9999
    - 'dns+node.test:9999' # all of them
  labels:
    site: fra
    rack: 7
    __meta_role: node
- targets: [\"[::1]:9999\"]
";

    const JSON: &str = r#"[
	{"labels": {"site": "fra", "rack": "7", "__meta_role": "node"},
	 "targets": ["192.0.2.1:9999",
	             "dns+node.test:9999"]},
	{"targets": ["[::1]:9999"]}
]
"#;

    #[test]
    fn yaml_and_json_are_the_same_groups() {
        let labels = [("site", "fra"), ("rack", "7")];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        for (text, lines) in [(YAML, [3, 4, 9]), (JSON, [3, 4, 5])] {
            let raw = |target: &str, labels: &[_], line| Raw {
                target: target.into(),
                labels: labels.into(),
                line,
            };
            let expected = [
                raw("192.0.2.1:9999", &labels, lines[0]),
                raw("dns+node.test:9999", &labels, lines[1]),
                raw("[::1]:9999", &[], lines[2]),
            ];
            assert_eq!(parse(text).expect("valid"), expected);
        }
        for empty in ["", "[]", "# nothing\n", "---\n", "[{\"targets\": [], \"labels\": null}]"] {
            assert_eq!(parse(empty), Ok(vec![]), "{empty}");
        }
    }

    #[test]
    fn other_shapes_are_named_with_their_line_and_advice() {
        for (text, line, why) in [
            ("{}", 1, "not a list of groups: write ["),
            ("\n\n- a:1", 3, "not a list of groups"),
            ("- targets: a:1", 1, "\"targets\" must be a list"),
            ("- targets:\n  - {}", 2, "a target must be a text"),
            ("- target: [a:1]", 1, "\"target\" is no part of a group"),
            ("- targets: []\n  labels:\n    a: [1]", 3, "\"labels\" must have a text for each"),
            ("- targets: [a:1", 1, "neither JSON nor YAML: "),
            ("- targets: []\n--- []", 2, "a second document"),
            ("- &a targets: [*a]", 1, "an alias (*) is not supported"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.why.starts_with(why), "{text}: {error:?}");
            assert_eq!(error.line, line, "{text}: {error:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_has_an_error(text in "[-\\[\\]{}:,\"'#&*!|>%@` \n\ta0-9.]{0,60}") {
            let _ = parse(&text);
        }

        #[test]
        fn texts_of_json_survive(target in "[ -~é]{1,20}", value in "[ -~é\\n]{0,20}") {
            let text = serde_json::json!([{"targets": [target], "labels": {"a": value}}]).to_string();
            let parsed = parse(&text).expect("valid");
            prop_assert_eq!(&parsed[0].target, &target);
            prop_assert_eq!(&parsed[0].labels[0].1, &value);
        }
    }
}

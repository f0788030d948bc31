//! JSON lines that are safe to print, because they are ASCII.

use std::fmt::{self, Write as _};
use std::io;

use serde::{Serialize, Serializer};
use serde_json::ser::Formatter;

use super::escape::truncate_utf8;
use super::wall_clock::WallClock;
use crate::sys;

/// The version of the JSON of all tools. It changes when a field is renamed,
/// removed or redefined, but not when a field is added.
pub const SCHEMA_VERSION: u32 = 1;

/// What every tool's first line says about the run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Origin {
    /// The version of the schema.
    pub schema_version: u32,
    /// The name of the tool.
    pub tool: &'static str,
    /// The version of the tool.
    pub version: &'static str,
    /// The name of this machine.
    pub host: String,
    /// The time of day at the start.
    pub started_at: WallClock,
}

impl Origin {
    /// Returns the origin of a run that starts now.
    pub fn now(tool: &'static str) -> Self {
        let host = sys::host_name();
        let (version, started_at) = (env!("CARGO_PKG_VERSION"), WallClock::now());
        Self { schema_version: SCHEMA_VERSION, tool, version, host, started_at }
    }
}

/// Returns `value` as a JSON object on one line, without the newline.
///
/// Every character above `~` is escaped (`\u009b`), because some control a terminal.
///
/// # Panics
///
/// If `value` has no JSON form, such as a map whose keys are not strings.
pub fn to_line(value: &impl Serialize) -> String {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Ascii);
    value.serialize(&mut serializer).expect("a JSON form");
    String::from_utf8(bytes).expect("ASCII")
}

/// Returns `value` as [`to_line`] does, with the time of day as its last field, `time`.
///
/// # Panics
///
/// If `value` has no JSON form, or is not an object.
pub fn to_timed_line(value: &impl Serialize) -> String {
    to_line_at(WallClock::now(), value)
}

/// Returns `value` as [`to_timed_line`] does, with this time of day.
///
/// # Panics
///
/// If `value` has no JSON form, or is not an object.
pub fn to_line_at(time: WallClock, value: &impl Serialize) -> String {
    #[derive(Serialize)]
    struct Timed<'a, T> {
        #[serde(flatten)]
        value: &'a T,
        time: WallClock,
    }
    to_line(&Timed { value, time })
}

/// Serializes a value as its text, such as an address with the name of its zone.
pub(crate) fn as_text<S: Serializer>(
    value: &impl fmt::Display,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// A name in JSON: text if it is UTF-8, otherwise its bytes in hexadecimal.
#[derive(Debug, Serialize)]
pub struct JsonName<'a> {
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name_hex: Option<String>,
}

impl<'a> From<&'a [u8]> for JsonName<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        let (name, name_hex) = text_or_hex(bytes);
        Self { name, name_hex }
    }
}

/// A stranger's datagram in JSON: text if it is UTF-8, otherwise its bytes in hexadecimal;
/// truncated like [`shown`].
#[derive(Debug, Serialize)]
pub struct Datagram<'a> {
    datagram: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    datagram_hex: Option<String>,
    /// Whether the datagram is longer than this.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

impl<'a> From<&'a [u8]> for Datagram<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        let (bytes, truncated) = shown(bytes);
        let (datagram, datagram_hex) = text_or_hex(bytes);
        Self { datagram, datagram_hex, truncated }
    }
}

/// The largest number of a stranger's bytes in a line: lines wait in memory for their reader.
pub const SHOWN: usize = 1024;

/// Truncates a stranger's bytes to [`SHOWN`], and returns whether that removed any.
pub fn shown(bytes: &[u8]) -> (&[u8], bool) {
    let shown = truncate_utf8(bytes, SHOWN);
    (shown, shown.len() < bytes.len())
}

/// Returns bytes as text if they are UTF-8, otherwise in hexadecimal.
fn text_or_hex(bytes: &[u8]) -> (Option<&str>, Option<String>) {
    match str::from_utf8(bytes) {
        Ok(text) => (Some(text), None),
        Err(_) => (None, Some(hex(bytes))),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

struct Ascii;

impl Formatter for Ascii {
    fn write_string_fragment<W>(&mut self, out: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + io::Write,
    {
        for char in fragment.chars() {
            if char <= '~' {
                write!(out, "{char}")?;
            } else {
                for unit in char.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn names_are_text_or_hexadecimal() {
        for (name, expected) in [
            (&b"Michael"[..], r#"{"name":"Michael"}"#),
            (b"", r#"{"name":""}"#),
            (b"\"\\\n\x7f\x1b", r#"{"name":"\"\\\n\u007f\u001b"}"#),
            ("é\u{9b}🦀".as_bytes(), r#"{"name":"\u00e9\u009b\ud83e\udd80"}"#),
            (b"\xff\x00", r#"{"name":null,"name_hex":"ff00"}"#),
        ] {
            assert_eq!(to_line(&JsonName::from(name)), expected);
        }
    }

    #[test]
    fn long_datagram_is_truncated_between_characters() {
        let json = |bytes: &[u8]| to_line(&Datagram::from(bytes));
        let text = "x".repeat(SHOWN);
        assert_eq!(json(text.as_bytes()), format!(r#"{{"datagram":"{text}"}}"#));
        let truncated = format!(r#"{{"datagram":"{text}","truncated":true}}"#);
        assert_eq!(json(format!("{text}y").as_bytes()), truncated);
        let truncated = format!(r#"{{"datagram":"{}","truncated":true}}"#, &text[1..]);
        assert_eq!(json(format!("{}é", &text[1..]).as_bytes()), truncated);
        let hex = "ff".repeat(SHOWN);
        let truncated = format!(r#"{{"datagram":null,"datagram_hex":"{hex}","truncated":true}}"#);
        assert_eq!(json(&[0xff; 65_507]), truncated);
    }

    proptest! {
        #[test]
        fn any_text_round_trips_as_printable_ascii(text in any::<String>()) {
            let line = to_line(&text);
            prop_assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            prop_assert_eq!(serde_json::from_str::<Value>(&line)?, Value::String(text));
        }
    }
}

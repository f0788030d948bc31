//! Numbers and lists as text.

use std::collections::BTreeMap;

/// Says those that are not zero, if there are any: `2 late, 1 unsolicited`.
pub fn nonzero(counts: &[(&str, u64)]) -> Option<String> {
    let counts = counts.iter().filter(|(_, count)| *count > 0);
    let counts = Vec::from_iter(counts.map(|(what, count)| format!("{count} {what}")));
    (!counts.is_empty()).then(|| counts.join(", "))
}

/// Says how much of something there was for which reasons, if there was any: `errors: denied 3`.
pub fn by_reason(what: &str, counts: &BTreeMap<&str, u64>) -> Option<String> {
    let counts = Vec::from_iter(counts.iter().map(|(why, count)| format!("{why} {count}")));
    (!counts.is_empty()).then(|| format!("{what}: {}", counts.join(", ")))
}

/// Puts milliseconds as ping does.
pub fn slash_separated(millis: &[f64]) -> String {
    let texts = Vec::from_iter(millis.iter().map(|millis| format!("{millis:.3}")));
    format!("{} ms", texts.join("/"))
}

/// Puts milliseconds to the microsecond, and `-` for what nobody knows.
pub fn or_dash(millis: Option<f64>) -> String {
    millis.map_or_else(|| "-".into(), |millis| format!("{millis:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_was_is_said_and_nothing_of_what_there_was_not() {
        assert_eq!(nonzero(&[("late", 0), ("unsolicited", 0)]), None);
        let counts = [("late", 2), ("unsolicited", 0), ("corrupt", 1)];
        assert_eq!(nonzero(&counts), Some("2 late, 1 corrupt".into()));
        assert_eq!(by_reason("errors", &BTreeMap::new()), None);
        let counts = BTreeMap::from([("too-long", 1), ("denied", 3)]);
        assert_eq!(by_reason("errors", &counts), Some("errors: denied 3, too-long 1".into()));
    }
}

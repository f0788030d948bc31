//! Numbers and lists as text.

/// Lists the counts that are not zero: `2 late, 1 unsolicited`. Returns `None` if all are zero.
pub fn nonzero(counts: &[(&str, u64)]) -> Option<String> {
    let counts = counts.iter().filter(|(_, count)| *count > 0);
    let counts = Vec::from_iter(counts.map(|(what, count)| format!("{count} {what}")));
    (!counts.is_empty()).then(|| counts.join(", "))
}

/// Lists the counts that are not zero by their reason: `errors: denied 3`. Returns `None` if all
/// are zero.
pub fn by_reason<'a>(
    what: &str,
    counts: impl IntoIterator<Item = (&'a &'a str, &'a u64)>,
) -> Option<String> {
    let counts = counts.into_iter().filter(|(_, count)| **count > 0);
    let counts = Vec::from_iter(counts.map(|(why, count)| format!("{why} {count}")));
    (!counts.is_empty()).then(|| format!("{what}: {}", counts.join(", ")))
}

/// Formats a number of things: `1 attempt`, `2 attempts`, `2 addresses`.
pub fn count(number: u64, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ if what.ends_with('s') => format!("{number} {what}es"),
        _ => format!("{number} {what}s"),
    }
}

/// Formats milliseconds as ping does: `0.040/0.050/0.060 ms`.
pub fn slash_separated(millis: &[f64]) -> String {
    let texts = Vec::from_iter(millis.iter().map(|millis| format!("{millis:.3}")));
    format!("{} ms", texts.join("/"))
}

/// Formats milliseconds with three decimals; an unknown value is `-`.
pub fn or_dash(millis: Option<f64>) -> String {
    millis.map_or_else(|| "-".into(), |millis| format!("{millis:.3}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn zero_counts_are_not_listed() {
        assert_eq!(nonzero(&[("late", 0), ("unsolicited", 0)]), None);
        let counts = [("late", 2), ("unsolicited", 0), ("corrupt", 1)];
        assert_eq!(nonzero(&counts), Some("2 late, 1 corrupt".into()));
        assert_eq!(by_reason("errors", &BTreeMap::from([("denied", 0)])), None);
        let counts = BTreeMap::from([("denied", 3), ("refused", 1), ("too-long", 0)]);
        assert_eq!(by_reason("errors", &counts), Some("errors: denied 3, refused 1".into()));
    }
}

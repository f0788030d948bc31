//! Numbers and lists as text.

use std::iter;
use std::time::Duration;

/// Lists the counts that are not zero: `2 late, 1 unsolicited`. Returns `None` if all are zero.
pub fn nonzero(counts: &[(&str, u64)]) -> Option<String> {
    let counts = counts.iter().filter(|(_, count)| *count > 0);
    let counts = counts.map(|(what, count)| format!("{} {what}", thousands(*count)));
    let counts = Vec::from_iter(counts);
    (!counts.is_empty()).then(|| counts.join(", "))
}

/// Lists the counts that are not zero by their reason: `errors: denied 3`. Returns `None` if all
/// are zero.
pub fn by_reason<'a>(
    what: &str,
    counts: impl IntoIterator<Item = (&'a &'a str, &'a u64)>,
) -> Option<String> {
    let counts = counts.into_iter().filter(|(_, count)| **count > 0);
    let counts = counts.map(|(why, count)| format!("{why} {}", thousands(*count)));
    let counts = Vec::from_iter(counts);
    (!counts.is_empty()).then(|| format!("{what}: {}", counts.join(", ")))
}

/// Formats a number of things: `1 attempt`, `2 attempts`, `2 addresses`, `1,000 replies`.
pub fn count(number: u64, what: &str) -> String {
    let number = thousands(number);
    match (&*number, what.strip_suffix('y')) {
        ("1", _) => format!("1 {what}"),
        (_, Some(stem)) => format!("{number} {stem}ies"),
        _ if what.ends_with('s') => format!("{number} {what}es"),
        _ => format!("{number} {what}s"),
    }
}

/// Groups digits by thousands: `1,234,567`.
pub fn thousands(number: u64) -> String {
    group(&number.to_string())
}

fn group(digits: &str) -> String {
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Formats a rate for people: below ten, with one decimal unless that is 0.
pub fn rate(per_second: f64) -> String {
    match per_second {
        ..9.95 => format!("{per_second:.1}").trim_end_matches(".0").to_owned(),
        _ => group(&format!("{per_second:.0}")),
    }
}

/// Formats a rate of bits: `1.23 Mbit/s`, with three digits.
pub fn bit_rate(bits_per_second: f64) -> String {
    let units = [(1e9, "Gbit/s"), (1e6, "Mbit/s"), (1e3, "kbit/s")];
    let unit = units.iter().find(|(size, _)| bits_per_second >= 0.9995 * size);
    let (size, unit) = *unit.unwrap_or(&(1.0, "bit/s"));
    let value = bits_per_second / size;
    let decimals = if size == 1.0 { 0 } else { decimals(value, 3) };
    format!("{value:.decimals$} {unit}")
}

/// Removes the decimals that are 0 from the end of a number.
pub fn without_zeros(number: &str) -> &str {
    match number.contains('.') {
        true => number.trim_end_matches('0').trim_end_matches('.'),
        false => number,
    }
}

/// Formats milliseconds that are known to three digits, and no better than to a microsecond, as
/// percentiles are: `1.23`, `12.3`, `0.045`.
pub fn percentile(millis: f64) -> String {
    // A number below 1 has no digit in front of its point that counts.
    let decimals = if millis < 0.9995 { 3 } else { decimals(millis, 3) };
    format!("{millis:.decimals$}")
}

/// Formats milliseconds that are known to two digits, as the percentiles of a flow are: `1.2`, `12`,
/// `0.12`, `0.045`.
pub fn coarse_percentile(millis: f64) -> String {
    let decimals = match millis {
        ..0.0995 => 3,
        ..0.995 => 2,
        _ => decimals(millis, 2),
    };
    format!("{millis:.decimals$}")
}

/// Returns the number of decimals of a number with this many digits in all.
fn decimals(value: f64, digits: usize) -> usize {
    let bounds = iter::successors(Some(10.0), |bound| Some(bound * 10.0));
    let before = 1 + bounds.take_while(|bound| value >= *bound).count();
    digits.saturating_sub(before)
}

/// Formats the known ones of some percentiles in milliseconds and an exact maximum, with their names:
/// `p50/max = 1.23/4.567 ms`. Returns `None` if none is known.
pub fn named_times(percentiles: &[(&str, Option<f64>)], max: Option<f64>) -> Option<String> {
    let known =
        percentiles.iter().filter_map(|(name, millis)| Some((*name, percentile((*millis)?))));
    let (names, millis): (Vec<_>, Vec<_>) =
        known.chain(max.map(|millis| ("max", exact(millis)))).unzip();
    (!names.is_empty()).then(|| format!("{} = {} ms", names.join("/"), millis.join("/")))
}

/// Formats milliseconds as ping does: `0.040/0.050/0.060 ms`.
pub fn slash_separated(millis: &[f64]) -> String {
    let texts = Vec::from_iter(millis.iter().copied().map(exact));
    format!("{} ms", texts.join("/"))
}

/// Formats milliseconds that are known exactly, with three decimals as in ping.
pub fn exact(millis: f64) -> String {
    format!("{millis:.3}")
}

/// Formats a value that may be unknown, which is `-`.
pub fn known<T>(value: Option<T>, format: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| "-".into(), format)
}

/// Formats a duration in ASCII, in one of the forms in which options take it: `1.5s`, `250us`, `1m30s`.
pub fn duration(duration: Duration) -> String {
    if duration.is_zero() {
        return "0s".into();
    }
    if duration.as_secs() < 60 || duration.subsec_nanos() > 0 {
        return format!("{duration:?}").replace('\u{b5}', "u");
    }
    let mut seconds = duration.as_secs();
    let mut text = String::new();
    for (unit, length) in [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)] {
        if seconds >= length {
            text += &format!("{}{unit}", seconds / length);
            seconds %= length;
        }
    }
    text
}

/// Formats the longest time that something may take, in whole seconds: `1m5s`.
pub fn at_most(time: Duration) -> String {
    duration(Duration::from_secs(time.as_secs() + u64::from(time.subsec_nanos() > 0)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn numbers_for_people_are_grouped_and_have_no_digits_that_nobody_knows() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(thousands(number), text);
        }
        for (per_second, text) in
            [(0.0, "0"), (2.5, "2.5"), (9.94, "9.9"), (9.96, "10"), (104_231.4, "104,231")]
        {
            assert_eq!(rate(per_second), text);
        }
        for (bits, text) in [
            (0.0, "0 bit/s"),
            (999.0, "999 bit/s"),
            (999.7, "1.00 kbit/s"),
            (1_234_567.0, "1.23 Mbit/s"),
            (12_345_678.0, "12.3 Mbit/s"),
            (999_700_000.0, "1.00 Gbit/s"),
            (123e9, "123 Gbit/s"),
        ] {
            assert_eq!(bit_rate(bits), text);
        }
        for (millis, text) in [
            (0.0, "0.000"),
            (0.045, "0.045"),
            (0.9996, "1.00"),
            (1.2345, "1.23"),
            (12.345, "12.3"),
            (123.456, "123"),
            (1234.567, "1235"),
        ] {
            assert_eq!(percentile(millis), text);
        }
        for (millis, text) in [
            (0.0, "0.000"),
            (0.0454, "0.045"),
            (0.2327, "0.23"),
            (0.996, "1.0"),
            (1.2345, "1.2"),
            (12.345, "12"),
            (123.456, "123"),
        ] {
            assert_eq!(coarse_percentile(millis), text);
        }
    }

    #[test]
    fn things_are_counted_in_english() {
        for (number, what, text) in [
            (1, "reply", "1 reply"),
            (2, "reply", "2 replies"),
            (0, "address", "0 addresses"),
            (1000, "attempt", "1,000 attempts"),
        ] {
            assert_eq!(count(number, what), text);
        }
    }

    #[test]
    fn unknown_times_are_not_named() {
        assert_eq!(named_times(&[("p50", None), ("p99", None)], None), None);
        let times = [("p50", Some(1.2345)), ("p99", None)];
        assert_eq!(named_times(&times, None), Some("p50 = 1.23 ms".into()));
        assert_eq!(named_times(&times, Some(1234.5)), Some("p50/max = 1.23/1234.500 ms".into()));
    }

    #[test]
    fn durations_are_those_of_options() {
        for (nanos, text) in [(1, "1ns"), (250_000, "250us"), (1_500_000_000, "1.5s")] {
            assert_eq!(duration(Duration::from_nanos(nanos)), text);
        }
        for (millis, text) in [
            (59_000, "59s"),
            (60_000, "1m"),
            (90_000, "1m30s"),
            (90_500, "90.5s"),
            (3_600_000, "1h"),
            (172_801_000, "2d1s"),
        ] {
            assert_eq!(duration(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn longest_times_are_whole_seconds_and_never_too_short() {
        for (millis, text) in
            [(0, "0s"), (100, "1s"), (9_001, "10s"), (88_000, "1m28s"), (90_061_000, "1d1h1m1s")]
        {
            assert_eq!(at_most(Duration::from_millis(millis)), text);
        }
    }

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

//! Numbers on the command line: one syntax for counts, rates, bytes, durations and percentages.
//!
//! A number may have a decimal point, an exponent and a unit: `10k`, `1.5M`, `1e5`, `100/s`, `4MiB`,
//! `250us`, `1m30s`, `0.5%`.

use std::num::NonZeroU64;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::output::format::thousands;

/// Returns a parser of a count within a range, such as `256` or `10k`.
pub(crate) fn count<T: TryFrom<u64>>(
    range: RangeInclusive<u64>,
) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| within(parse(text, DECIMAL).ok_or("not a number: try 256, 10k or 1e6")?, &range)
}

/// Parses a count of 1 or more.
pub(crate) fn positive<T: TryFrom<NonZeroU64>>(text: &str) -> Result<T, String> {
    let max = u64::MAX >> (64 - 8 * size_of::<T>());
    let number = count::<NonZeroU64>(1..=max)(text)?;
    T::try_from(number).map_err(|_| format!("must be at most {}", thousands(max)))
}

/// Returns a parser of a rate in requests per second within a range, such as `500`, `10k` or
/// `100/s`.
pub(crate) fn rate<T: TryFrom<u64>>(
    range: RangeInclusive<u64>,
) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| {
        let rate = parse(text.strip_suffix("/s").unwrap_or(text), DECIMAL);
        within(rate.ok_or("not a rate in requests per second: try 500, 10k or 1.5M")?, &range)
    }
}

/// Returns a parser of a number of bytes within a range, such as `1200`, `4M` or `4MiB`.
pub(crate) fn bytes<T: TryFrom<u64>>(
    range: RangeInclusive<u64>,
) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| {
        let bytes = text.strip_suffix('B').unwrap_or(text);
        let bytes = parse(bytes, BINARY).or_else(|| parse(bytes, DECIMAL));
        within(bytes.ok_or("not a number of bytes: try 1200, 4M or 4MiB")?, &range)
    }
}

/// Parses a duration above zero: seconds, as in ping (`0.5`), or numbers with units (`500ms`,
/// `1.5s`, `1m30s`).
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    match duration_or_zero(text)? {
        Duration::ZERO => Err("must be longer than 0".into()),
        duration => Ok(duration),
    }
}

/// Parses a duration like [`duration`], and accepts zero.
pub(crate) fn duration_or_zero(text: &str) -> Result<Duration, String> {
    let seconds = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => sum_of_parts(text),
    };
    seconds.ok_or_else(|| "not a duration: try 0.5, 500ms or 1m30s".into())
}

/// Parses a percentage (`1`, `0.5%`) and returns the share.
pub(crate) fn percent(text: &str) -> Result<f64, String> {
    match text.strip_suffix('%').unwrap_or(text).parse::<f64>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent / 100.0),
        Ok(_) => Err("must be between 0 and 100".into()),
        Err(_) => Err("not a percentage: try 1 or 0.5".into()),
    }
}

/// The units of counts, rates and bytes.
const DECIMAL: &[(&str, u64)] = &[("k", 1000), ("K", 1000), ("M", 1_000_000), ("G", 1_000_000_000)];

/// The further units of bytes, without their `B`.
const BINARY: &[(&str, u64)] = &[("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30)];

/// The units of durations in seconds. A unit stands before those that are a part of it.
const DURATIONS: &[(&str, f64)] = &[
    ("ns", 1e-9),
    ("us", 1e-6),
    ("\u{b5}s", 1e-6),
    ("ms", 1e-3),
    ("s", 1.0),
    ("min", 60.0),
    ("m", 60.0),
    ("h", 3600.0),
    ("days", 86_400.0),
    ("day", 86_400.0),
    ("d", 86_400.0),
];

/// Parses a whole number with one of these units.
fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let unit = units.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)));
    let (number, factor) = unit.unwrap_or((text, 1));
    if number.bytes().all(|byte| byte.is_ascii_digit()) {
        return number.parse::<u64>().ok()?.checked_mul(factor);
    }
    let value = unsigned(number)? * factor as f64;
    // Beyond this, an f64 skips whole numbers.
    let is_exact = value.fract() == 0.0 && value <= 2_f64.powi(53);
    is_exact.then(|| format!("{value:.0}").parse().ok())?
}

/// Adds up numbers with units of time: `1m30s`.
fn sum_of_parts(text: &str) -> Option<Duration> {
    let (mut rest, mut sum) = (text, Duration::ZERO);
    while !rest.is_empty() {
        let len = rest.find(|char: char| !char.is_ascii_digit() && char != '.')?;
        let number = unsigned(&rest[..len])?;
        let (unit, factor) = DURATIONS.iter().find(|(unit, _)| rest[len..].starts_with(unit))?;
        sum = sum.checked_add(Duration::try_from_secs_f64(number * factor).ok()?)?;
        rest = rest[len + unit.len()..].trim_start();
    }
    (!text.is_empty()).then_some(sum)
}

/// Parses a number that starts with a digit or a point, which excludes signs, `inf` and `NaN`.
fn unsigned(text: &str) -> Option<f64> {
    text.starts_with(|char: char| char.is_ascii_digit() || char == '.')
        .then(|| text.parse().ok())?
}

fn within<T: TryFrom<u64>>(number: u64, range: &RangeInclusive<u64>) -> Result<T, String> {
    let (min, max) = (thousands(*range.start()), thousands(*range.end()));
    let valid = Some(number).filter(|number| range.contains(number)).map(T::try_from);
    match (valid, *range.end()) {
        (Some(Ok(number)), _) => Ok(number),
        (_, u64::MAX) => Err(format!("must be {min} or more")),
        _ => Err(format!("must be between {min} and {max}")),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use super::*;

    #[test]
    fn numbers_have_a_decimal_point_an_exponent_or_a_unit() {
        let parse = count::<u64>(0..=u64::MAX);
        for (text, expected) in [
            ("0", 0),
            ("256", 256),
            ("10k", 10_000),
            ("10K", 10_000),
            ("1.5M", 1_500_000),
            ("2G", 2_000_000_000),
            ("1e5", 100_000),
            ("1.5e3", 1500),
            (".5k", 500),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
        for text in [
            "",
            "k",
            "-1",
            "+1",
            "1.5",
            "1e-3",
            "10 k",
            "10kk",
            "1e5k5",
            "inf",
            "NaN",
            "0x10",
            "18446744073709551616",
            "1e30",
            "18446744073709551615k",
            ".k",
            "4Mi",
        ] {
            assert_eq!(parse(text), Err("not a number: try 256, 10k or 1e6".into()), "{text}");
        }
    }

    #[test]
    fn numbers_outside_their_range_are_rejected_with_the_range() {
        let parse = count::<u16>(1..=1024);
        assert_eq!((parse("1"), parse("1024")), (Ok(1), Ok(1024)));
        for text in ["0", "1025", "1e9"] {
            assert_eq!(parse(text), Err("must be between 1 and 1,024".into()), "{text}");
        }
        assert_eq!(count::<u64>(1..=u64::MAX)("0"), Err("must be 1 or more".into()));
        assert_eq!(positive::<NonZeroU16>("65535").map(NonZeroU16::get), Ok(u16::MAX));
        assert_eq!(positive::<NonZeroU16>("65536"), Err("must be between 1 and 65,535".into()));
    }

    #[test]
    fn rates_may_say_per_second() {
        let parse = rate::<u64>(1..=u64::MAX);
        for (text, expected) in
            [("500", 500), ("10k", 10_000), ("100/s", 100), ("1.5M/s", 1_500_000)]
        {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
        for text in ["", "/s", "10/ms", "10/min", "1.5"] {
            let error = "not a rate in requests per second: try 500, 10k or 1.5M";
            assert_eq!(parse(text), Err(error.into()), "{text}");
        }
    }

    #[test]
    fn bytes_have_decimal_and_binary_units() {
        let parse = bytes::<u32>(1..=u64::from(u32::MAX));
        for (text, expected) in [
            ("1200", 1200),
            ("1200B", 1200),
            ("4M", 4_000_000),
            ("4MB", 4_000_000),
            ("4MiB", 4 << 20),
            ("4Mi", 4 << 20),
            ("64KiB", 64 << 10),
            ("1.5k", 1500),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
        for text in ["", "B", "4mib", "4 MiB", "4bytes"] {
            let error = "not a number of bytes: try 1200, 4M or 4MiB";
            assert_eq!(parse(text), Err(error.into()), "{text}");
        }
    }

    #[test]
    fn durations_are_seconds_or_have_units() {
        for (text, micros) in [
            ("1", 1_000_000),
            ("0.5", 500_000),
            ("1e-3", 1000),
            ("2s", 2_000_000),
            ("1.5s", 1_500_000),
            ("250ms", 250_000),
            ("250us", 250),
            (".2s", 200_000),
            ("0.25ms", 250),
            ("1m30s", 90_000_000),
            ("1m 30s", 90_000_000),
            ("5min", 300_000_000),
            ("1h", 3_600_000_000),
            ("365days", 31_536_000_000_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_micros(micros)), "{text}");
        }
        for text in
            ["", "-1", "x", "1x", "NaN", "inf", "1e30", "ms", "1m30", "1.s.", "1..5s", "-1s"]
        {
            let error = "not a duration: try 0.5, 500ms or 1m30s";
            assert_eq!(duration(text), Err(error.into()), "{text}");
        }
        for text in ["0", "0.0", "0s", "-0"] {
            assert_eq!(duration(text), Err("must be longer than 0".into()), "{text}");
            assert_eq!(duration_or_zero(text), Ok(Duration::ZERO), "{text}");
        }
    }

    #[test]
    fn percentages_are_parsed_with_and_without_a_sign() {
        for (text, share) in [("1", 0.01), ("0.5%", 0.005), ("0", 0.0), ("100%", 1.0)] {
            assert_eq!(percent(text), Ok(share), "{text}");
        }
        for text in ["-1", "101", "NaN", "inf"] {
            assert_eq!(percent(text), Err("must be between 0 and 100".into()), "{text}");
        }
        for text in ["", "%", "x", "1%%"] {
            assert_eq!(percent(text), Err("not a percentage: try 1 or 0.5".into()), "{text}");
        }
    }
}

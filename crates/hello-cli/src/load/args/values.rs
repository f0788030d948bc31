//! The parsers of option values.

use std::num::{NonZeroU32, NonZeroU64};
use std::ops::RangeInclusive;
use std::time::Duration;

use clap::ValueEnum;
use hello_proto::{MAX_NAME_LEN, Token};

/// Two loads in requests per second, the lower one first.
pub(super) type LoadRange = (NonZeroU64, NonZeroU64);

/// The lengths of names, in bytes.
pub(super) type Size = RangeInclusive<usize>;

/// The kind of source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum SourceKind {
    /// A port of this machine, each with its own socket
    Ports,
    /// An address of 127.0.0.0/8, for servers in that network
    Addresses,
}

/// Parses a load in requests per second: a number, or one with the unit k or M.
pub(super) fn parse_load(text: &str) -> Result<NonZeroU64, String> {
    let load = units(text).ok_or("not a rate in requests per second: try 500, 10k or 1M")?;
    NonZeroU64::new(load).ok_or_else(|| "must be 1 or more".into())
}

/// Parses a positive number of 32 bits, like [`parse_number`].
pub(super) fn parse_count(text: &str) -> Result<NonZeroU32, String> {
    parse_number(text)?.try_into().map_err(|_| format!("must be at most {}", u32::MAX))
}

/// Parses a positive number, or one with the unit k or M.
pub(super) fn parse_number(text: &str) -> Result<NonZeroU64, String> {
    let number = units(text).and_then(NonZeroU64::new);
    number.ok_or_else(|| "not a positive number: try 256 or 10k".into())
}

/// Returns the lowest load at which at least one message is due in a trial.
pub(super) fn least_load(train: u16, trial: Duration) -> NonZeroU64 {
    let least = (u128::from(train) * 1_000_000_000).div_ceil(trial.as_nanos().max(1));
    u64::try_from(least).map_or(NonZeroU64::MAX, at_least_one)
}

/// Returns a load, or 1 for a load of 0.
pub(super) fn at_least_one(load: u64) -> NonZeroU64 {
    NonZeroU64::MIN.saturating_add(load.saturating_sub(1))
}

fn units(text: &str) -> Option<u64> {
    let (digits, unit) = match text.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1000),
        None => text.strip_suffix('M').map_or((text, 1), |digits| (digits, 1_000_000)),
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

/// Parses a range of loads.
pub(super) fn parse_loads(text: &str) -> Result<LoadRange, String> {
    let (from, to) = text.split_once("..").ok_or("not a range of rates: try 10k..200k")?;
    match (parse_load(from)?, parse_load(to)?) {
        (from, to) if from < to => Ok((from, to)),
        _ => Err("the first rate must be lower than the second".into()),
    }
}

/// Parses a length of names or a range of lengths.
pub(super) fn parse_size(text: &str) -> Result<Size, String> {
    let (shortest, longest) = text.split_once("..").unwrap_or((text, text));
    let len =
        |text: &str| text.parse::<usize>().map_err(|_| "not a size in bytes: try 16 or 16..512");
    let (shortest, longest) = (len(shortest)?, len(longest)?);
    let (min, max) = (Token::MIN_LEN, MAX_NAME_LEN);
    if shortest < min || longest > max || shortest > longest {
        return Err(format!("must be between {min} and {max}, the shorter one first"));
    }
    Ok(shortest..=longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(load: u64) -> NonZeroU64 {
        NonZeroU64::new(load).expect("not zero")
    }

    #[test]
    fn loads_are_parsed_with_and_without_a_unit() {
        for (text, expected) in
            [("1", 1), ("500", 500), ("10k", 10_000), ("10K", 10_000), ("2M", 2_000_000)]
        {
            assert_eq!(parse_load(text), Ok(load(expected)), "{text}");
        }
        for text in ["", "k", "-1", "1.5k", "1G", "10 k", "99999999999999999999"] {
            let error = parse_load(text).expect_err(text);
            assert_eq!(error, "not a rate in requests per second: try 500, 10k or 1M");
        }
        assert_eq!(parse_load("0k"), Err("must be 1 or more".into()));
        assert!(parse_load("18446744073709551615k").is_err());
        assert_eq!(parse_loads("10k..1M"), Ok((load(10_000), load(1_000_000))));
        for text in ["10k", "1M..10k", "5..5", "..5", "5..", "1...5"] {
            assert!(parse_loads(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_a_length_or_a_range_with_room_for_a_token() {
        for (text, expected) in [("16", 16..=16), ("8..65499", 8..=65_499)] {
            assert_eq!(parse_size(text), Ok(expected), "{text}");
        }
        for text in ["7", "65500", "16..8", "7..16"] {
            let error = parse_size(text).expect_err(text);
            assert_eq!(error, "must be between 8 and 65499, the shorter one first");
        }
        for text in ["", "x", "8..", "..8", "-1"] {
            let error = parse_size(text).expect_err(text);
            assert_eq!(error, "not a size in bytes: try 16 or 16..512");
        }
    }
}

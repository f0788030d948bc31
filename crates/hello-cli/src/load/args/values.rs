//! The parsers of option values.

use std::num::NonZeroU64;
use std::ops::RangeInclusive;
use std::time::Duration;

use clap::ValueEnum;
use hello_net::LoadPlan;
use hello_proto::{MAX_NAME_LEN, Token};

use crate::args::number;

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

/// Returns the lowest load at which at least one message is due in a trial.
pub(super) fn least_load(train: u16, trial: Duration) -> NonZeroU64 {
    let least = (u128::from(train) * 1_000_000_000).div_ceil(trial.as_nanos().max(1));
    u64::try_from(least).map_or(NonZeroU64::MAX, at_least_one)
}

/// Returns a load, or 1 for a load of 0.
pub(super) fn at_least_one(load: u64) -> NonZeroU64 {
    NonZeroU64::MIN.saturating_add(load.saturating_sub(1))
}

/// Parses a range of loads.
pub(super) fn parse_loads(text: &str) -> Result<LoadRange, String> {
    let (from, to) = text.split_once("..").ok_or("not a range of rates: try 10k..200k")?;
    let rate = number::rate(1..=LoadPlan::MAX_RATE);
    match (rate(from)?, rate(to)?) {
        (from, to) if from < to => Ok((from, to)),
        _ => Err("the first rate must be lower than the second".into()),
    }
}

/// Parses a length of names or a range of lengths.
pub(super) fn parse_size(text: &str) -> Result<Size, String> {
    let (shortest, longest) = text.split_once("..").unwrap_or((text, text));
    let len = number::bytes(Token::MIN_LEN as u64..=MAX_NAME_LEN as u64);
    match (len(shortest)?, len(longest)?) {
        (shortest, longest) if shortest <= longest => Ok(shortest..=longest),
        _ => Err("the first length must not be greater than the second".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(load: u64) -> NonZeroU64 {
        NonZeroU64::new(load).expect("not zero")
    }

    #[test]
    fn range_of_loads_has_the_lower_one_first() {
        assert_eq!(parse_loads("10k..1M"), Ok((load(10_000), load(1_000_000))));
        for text in ["10k", "1M..10k", "5..5", "..5", "5..", "1...5"] {
            assert!(parse_loads(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_a_length_or_a_range_with_room_for_a_token() {
        for (text, expected) in [("16", 16..=16), ("8..65499", 8..=65_499), ("16..1k", 16..=1000)] {
            assert_eq!(parse_size(text), Ok(expected), "{text}");
        }
        for text in ["7", "65500", "7..16"] {
            let error = parse_size(text).expect_err(text);
            assert_eq!(error, "must be between 8 and 65,499");
        }
        let error = parse_size("16..8").expect_err("descending");
        assert_eq!(error, "the first length must not be greater than the second");
        for text in ["", "x", "8..", "..8", "-1"] {
            let error = parse_size(text).expect_err(text);
            assert_eq!(error, "not a number of bytes: try 1200, 4M or 4MiB");
        }
    }
}

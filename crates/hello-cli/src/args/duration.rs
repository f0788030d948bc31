//! Durations on the command line.

use std::time::Duration;

/// Parses a duration above zero: seconds, as in ping (`0.5`), or numbers with units (`500ms`,
/// `1m30s`).
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    match parse_or_zero(text)? {
        Duration::ZERO => Err("must be longer than 0".into()),
        duration => Ok(duration),
    }
}

/// Parses a duration like [`parse`], and accepts zero.
pub(crate) fn parse_or_zero(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let duration = seconds.or_else(|| humantime::parse_duration(text).ok());
    duration.ok_or_else(|| "not a duration: try 0.5, 500ms or 2s".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_numbers_are_seconds() {
        for (text, millis) in [
            ("1", 1000),
            ("0.5", 500),
            ("2s", 2000),
            ("250ms", 250),
            ("1m30s", 90_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn invalid_durations_are_rejected_with_examples() {
        for text in ["", "-1", "x", "1x", "NaN", "inf", "1e30"] {
            assert_eq!(parse(text), Err("not a duration: try 0.5, 500ms or 2s".into()), "{text}");
        }
        for text in ["0", "0.0", "0s", "-0"] {
            assert_eq!(parse(text), Err("must be longer than 0".into()), "{text}");
            assert_eq!(parse_or_zero(text), Ok(Duration::ZERO), "{text}");
        }
    }
}

//! Percentages, on the command line and in the output.

/// Formats a share in percent with up to six significant digits, like ping (`%g`), but never with
/// an exponent.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    // Each digit before the decimal point takes one of those after it.
    let digits = (1..12).rev().find(|digits| percent * 10_f64.powi(*digits) < 1e6).unwrap_or(0);
    let text = format!("{percent:.*}", usize::try_from(digits).unwrap_or(0));
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
}

/// Formats a share in percent with its sign; an unknown share is `-`.
pub fn or_dash(share: Option<f64>) -> String {
    share.map_or_else(|| "-".into(), |share| format!("{}%", percent(share)))
}

/// Parses a percentage (`1`, `0.5%`) and returns the share.
pub(crate) fn parse(text: &str) -> Result<f64, String> {
    match text.strip_suffix('%').unwrap_or(text).parse::<f64>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent / 100.0),
        Ok(_) => Err("must be between 0 and 100".into()),
        Err(_) => Err("not a percentage: try 1 or 0.5".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_have_pings_format() {
        for (share, text) in [
            (0.0, "0"),
            (1.0, "100"),
            (0.5, "50"),
            (1.0 / 3.0, "33.3333"),
            (2.0 / 3.0, "66.6667"),
            (0.999_999_99, "100"),
            (1.0 / 700.0, "0.142857"),
            (1e-9, "0.0000001"),
        ] {
            assert_eq!(percent(share), text);
        }
    }

    #[test]
    fn percentages_are_parsed_with_and_without_a_sign() {
        for (text, share) in [("1", 0.01), ("0.5%", 0.005), ("0", 0.0), ("100%", 1.0)] {
            assert_eq!(parse(text), Ok(share), "{text}");
        }
        for text in ["-1", "101", "NaN", "inf"] {
            assert_eq!(parse(text), Err("must be between 0 and 100".into()), "{text}");
        }
        for text in ["", "%", "x", "1%%"] {
            let error = Err("not a percentage: try 1 or 0.5".into());
            assert_eq!(parse(text), error, "{text}");
        }
    }
}

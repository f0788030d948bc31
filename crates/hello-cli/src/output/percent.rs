//! Percentages.

use hello_measure::Summary;

use super::format::without_zeros;

/// Formats a share in percent with up to six significant digits, like ping (`%g`), but never with
/// an exponent.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    // Each digit before the decimal point takes one of those after it.
    let digits = (1..12).rev().find(|digits| percent * 10_f64.powi(*digits) < 1e6).unwrap_or(0);
    without_zeros(&format!("{percent:.*}", usize::try_from(digits).unwrap_or(0))).into()
}

/// Formats the percentage of `part` in `whole` with its sign, and with no more digits than the counts
/// carry: one more or less changes the last digit. Only nothing is 0%, and only all is 100%.
pub fn of(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".into();
    }
    // 101 to 1000 have one decimal, 1001 to 10,000 two.
    let decimals = (whole.max(2) - 1).ilog10().saturating_sub(1) as usize;
    let text = format!("{:.decimals$}", part as f64 / whole as f64 * 100.0);
    format!("{}%", without_zeros(&text))
}

/// Formats the loss among the requests that were answered or lost.
pub fn loss(summary: &Summary) -> String {
    of(summary.lost, summary.settled())
}

/// Formats the loss if every request in flight is lost.
pub fn worst_case_loss(summary: &Summary) -> String {
    of(summary.lost + summary.in_flight, summary.settled() + summary.in_flight)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentage_of_a_count_has_no_more_digits_than_the_count_carries() {
        for ((part, whole), text) in [
            ((0, 0), "-"),
            ((0, 1), "0%"),
            ((1, 1), "100%"),
            ((1, 6), "17%"),
            ((5, 6), "83%"),
            ((99, 100), "99%"),
            ((1, 101), "1%"),
            ((1, 300), "0.3%"),
            ((999, 1000), "99.9%"),
            ((1, 1001), "0.1%"),
            ((1000, 1001), "99.9%"),
            ((542_742, 1_000_000), "54.2742%"),
            ((1, 10_000_000), "0.00001%"),
            ((u64::MAX, u64::MAX), "100%"),
        ] {
            assert_eq!(of(part, whole), text, "{part} of {whole}");
        }
    }

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
}

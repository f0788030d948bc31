//! A histogram in text.

use hello_measure::{Distribution, millis};

use super::table::table;

/// Draws a histogram of round-trip times, with bars of up to `width` characters.
pub fn bars(rtts: &Distribution, width: usize) -> String {
    let bins = rtts.bins(BARS);
    let highest = bins.iter().map(|bin| bin.count).max().unwrap_or(1).max(1);
    let rows = bins.iter().map(|bin| {
        // Rounded up, so that every bin with replies has a bar.
        let length = (u128::from(bin.count) * width as u128).div_ceil(highest.into());
        let bar = "#".repeat(usize::try_from(length).unwrap_or(width));
        let [start, end] = [bin.start, bin.end].map(|bound| format!("{:.3}", millis(bound)));
        vec![start, end, bin.count.to_string(), bar]
    });
    table(3, &["from ms", "to ms", "replies", ""], rows)
}

/// The number of bins up to the 99th percentile.
const BARS: u32 = 10;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn longest_bar_fills_the_width_and_shortest_is_visible() {
        let mut rtts = Distribution::new(3);
        rtts.record_n(Duration::from_millis(1), 1000);
        rtts.record(Duration::from_millis(500));
        let expected = format!(
            "from ms    to ms  replies\n  1.000    1.000     1000  {}\n  1.000  500.000        1  #",
            "#".repeat(20)
        );
        assert_eq!(bars(&rtts, 20), expected);
    }
}

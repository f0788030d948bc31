//! Lanes of losses and bands of outages over the time of a run.

use crate::output::plot::canvas::{Canvas, PALE_VERMILLION, SHADE, Style};

/// Draws shares over a horizontal axis, as bars from the lower edge of a band.
pub(super) fn draw_lane(
    canvas: &mut Canvas,
    (name, (upper, lower)): (&str, (f64, f64)),
    (left, right): (f64, f64),
    shares: impl Iterator<Item = (f64, f64)>,
    (color, width): (&str, f64),
) {
    canvas.rectangle((left, upper), (right - left, lower - upper), SHADE);
    if !name.is_empty() {
        canvas.text((left - 8.0, (upper + lower) / 2.0 + 5.0), "end", Style::Plain, name);
    }
    let bars = shares.filter(|(_, share)| *share > 0.0);
    let height = |share: f64| (share * (lower - upper)).max(3.0);
    for (x, share) in bars {
        // The last bin may reach beyond the last request.
        let (from, to) = ((x - width / 2.0).max(left), (x + width / 2.0).min(right));
        let height = height(share);
        canvas.rectangle((from, lower - height), (to - from, height), color);
    }
}

/// Draws outages as bands behind everything else, from a little above the lane of losses to the lower
/// edge of the times. One that is short is still seen.
pub(super) fn draw_outages(
    canvas: &mut Canvas,
    (upper, lower): (f64, f64),
    (left, right): (f64, f64),
    spans: impl Iterator<Item = (f64, f64)>,
) {
    for (from, to) in spans {
        let from = from.min(right - MIN_WIDTH).max(left);
        let width = (to - from).max(MIN_WIDTH);
        canvas.rectangle((from, upper - RISE), (width, lower - upper + RISE), OUTAGE);
    }
}

/// The colour of outages.
pub(super) const OUTAGE: &str = PALE_VERMILLION;

/// The least width of an outage.
const MIN_WIDTH: f64 = 2.0;

/// The height of an outage above the lane, where no bar of a loss hides it.
const RISE: f64 = 5.0;

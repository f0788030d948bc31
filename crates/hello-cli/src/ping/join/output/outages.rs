//! A table of the outages of a joined run.

use std::fmt::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use crate::output::format::{count, known, thousands};
use crate::output::layout::Layout;
use crate::output::table::{Head, table};
use crate::output::wall_clock::WallClock;
use crate::ping::join::TargetJoin;

/// Returns a table of the longest outages, with the time of day and the place of each. None without an
/// outage.
pub(super) fn table_of(layout: Layout, joined: &TargetJoin) -> Option<String> {
    let outages = &joined.joined.summary.outages;
    let places = [("there", &outages.there), ("server", &outages.server), ("back", &outages.back)];
    let all: u64 = places.iter().map(|(_, outages)| outages.count).sum();
    let longest =
        places.iter().flat_map(|(place, outages)| outages.longest.iter().map(|one| (*place, one)));
    let mut shown = Vec::from_iter(longest);
    shown.sort_by(|(_, one), (_, other)| other.duration_s.total_cmp(&one.duration_s));
    shown.truncate(ROWS);
    if shown.is_empty() {
        return None;
    }
    let mut heads: Vec<Head> =
        vec![("outage at", 0), ("lasted s", 0), ("where", 0), ("probes", 1), ("icmp_seq", 2)];
    let has_flows = joined.flows > 1;
    if has_flows {
        heads.push(("flow", 3));
    }
    let rows = shown.iter().map(|(place, outage)| {
        let more = if outage.ongoing { "+" } else { "" };
        let mut row = vec![
            time(joined.epoch, outage.start_s),
            format!("{:.3}{more}", outage.duration_s),
            (*place).to_owned(),
            thousands(outage.probes),
            known(outage.first_seq, |seq| seq.to_string()),
        ];
        if has_flows {
            row.push(known(outage.flow, |flow| flow.to_string()));
        }
        row
    });
    let mut text = table(layout, 2, &heads, rows);
    let others = all.saturating_sub(shown.len() as u64);
    if others > 0 {
        let _ = write!(text, "\n(and {})", count(others, "more outage"));
    }
    Some(text)
}

/// Returns the time of day, or the seconds since the start if it is not known when that was.
fn time(epoch: Option<Duration>, start_s: f64) -> String {
    let start = Duration::try_from_secs_f64(start_s).unwrap_or_default();
    let time = epoch.and_then(|epoch| UNIX_EPOCH.checked_add(epoch)?.checked_add(start));
    time.map_or_else(|| format!("{start_s:.3} s"), |time| WallClock(time).seconds().to_string())
}

/// The most rows of the table.
const ROWS: usize = 5;

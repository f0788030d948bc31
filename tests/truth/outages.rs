//! Outages, found again in the sequence numbers that the relay lost.

use serde_json::json;

use super::Run;
use crate::support::count;

impl Run {
    /// Compares the outages with the runs of lost probes; for one flow.
    pub(super) fn assert_outages(&self, lost: &[u32]) {
        let outages = &self.summary["outages"];
        if self.summary["not_sent"] != json!({}) {
            // A probe that was not sent has no sequence number, and may join two runs.
            return;
        }
        let runs = Vec::from_iter(lost.chunk_by(|one, next| one.wrapping_add(1) == *next));
        let lengths = |least: usize| {
            let runs = runs.iter().filter(move |run| run.len() >= least);
            runs.map(|run| (u64::from(run[0]), run.len() as u64))
        };
        let longer = Vec::from_iter(lengths(2));
        let expected = json!({
            "count": longer.len(),
            "probes": longer.iter().map(|(_, probes)| probes).sum::<u64>(),
            "scattered": lengths(1).filter(|(_, probes)| *probes == 1).count(),
            "max_probes": longer.iter().map(|(_, probes)| *probes).max().unwrap_or(0),
            "unlisted": longer.len().saturating_sub(16),
        });
        for (name, expected) in expected.as_object().expect("an object") {
            assert_eq!(&outages[name], expected, "{name}: {outages} {lost:?}");
        }
        let listed = outages["longest"].as_array().expect("a list");
        assert_eq!(listed.len(), longer.len().min(16));
        for outage in listed {
            let run = (count(&outage["first_seq"]), count(&outage["probes"]));
            assert!(longer.contains(&run), "{outage} {lost:?}");
        }
    }
}

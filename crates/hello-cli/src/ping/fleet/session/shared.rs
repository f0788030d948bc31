//! What the main thread shares with the one that serves metrics.

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hello_measure::CompactRecord;
use hello_net::{FleetCounts, FleetHandle};

use crate::output::prometheus::families::MetricFamilies;
use crate::ping::fleet::output::{Probed, metrics};
use crate::ping::fleet::roster::Roster;
use crate::process::lock;

/// The targets and their records, for every output.
#[derive(Debug)]
pub(super) struct Shared {
    handle: FleetHandle,
    roster: Mutex<Roster>,
    reload: Mutex<Reload>,
    start: Instant,
}

/// The last time that the file was read.
#[derive(Clone, Copy, Debug)]
struct Reload {
    is_successful: bool,
    last_success: SystemTime,
}

impl Shared {
    /// Shares a roster whose file was just read.
    pub(super) fn new(handle: FleetHandle, roster: Roster) -> Self {
        let reload = Reload { is_successful: true, last_success: SystemTime::now() };
        Self { handle, roster: roster.into(), reload: reload.into(), start: Instant::now() }
    }

    pub(super) fn roster(&self) -> MutexGuard<'_, Roster> {
        lock(&self.roster)
    }

    /// Notes that the file was read again.
    pub(super) fn note_reload(&self, is_successful: bool) {
        let mut reload = lock(&self.reload);
        reload.is_successful = is_successful;
        if is_successful {
            reload.last_success = SystemTime::now();
        }
    }

    /// Returns the record of each target.
    pub(super) fn records(&self) -> Vec<CompactRecord> {
        self.handle.records().into_iter().map(|(_, record)| record).collect()
    }

    /// Returns each target and its record at `now`, and what belongs to no target.
    pub(super) fn probed(&self, now: Duration) -> (Vec<Probed>, FleetCounts) {
        let roster = self.roster();
        (self.probed_of(&roster, now), self.handle.counts())
    }

    fn probed_of(&self, roster: &Roster, now: Duration) -> Vec<Probed> {
        let records = self.handle.records();
        let probed = roster.members().filter_map(|member| {
            let found = records.binary_search_by_key(&member.id, |(id, _)| *id).ok()?;
            Some(Probed::new(member.clone(), records[found].1.clone(), now))
        });
        probed.collect()
    }

    /// Returns the metrics now.
    pub(super) fn families(&self) -> MetricFamilies {
        let roster = self.roster();
        let reload = *lock(&self.reload);
        let since = reload.last_success.duration_since(UNIX_EPOCH).unwrap_or_default();
        let extras = metrics::Extras {
            names: roster.names().collect(),
            is_last_reload_successful: reload.is_successful,
            last_reload_success: since.as_secs_f64(),
            counts: self.handle.counts(),
        };
        metrics::families(&self.probed_of(&roster, self.start.elapsed()), &extras)
    }
}

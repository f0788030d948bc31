//! What the main thread shares with the one that serves metrics.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hello_measure::CompactRecord;
use hello_net::{FleetCounts, FleetHandle};

use crate::output::prometheus::families::MetricFamilies;
use crate::output::prometheus::source::MetricsSource;
use crate::ping::fleet::output::{Probed, metrics};
use crate::ping::fleet::roster::{Member, Roster};
use crate::process::heartbeat::Heartbeat;
use crate::process::lock;

/// The targets and their records, for every output.
#[derive(Debug)]
pub(super) struct Shared {
    handle: FleetHandle,
    roster: Mutex<Roster>,
    reload: Mutex<Reload>,
    start: Instant,
    /// The metrics that were read last, and when they were made.
    families: Mutex<Option<(Instant, Arc<MetricFamilies>)>>,
    heartbeat: Heartbeat,
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
        let heartbeat = Heartbeat::new();
        heartbeat.beat();
        Self {
            handle,
            roster: roster.into(),
            reload: reload.into(),
            start: Instant::now(),
            families: Mutex::default(),
            heartbeat,
        }
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
        let members = Vec::from_iter(self.roster().members().cloned());
        (self.probed_of(members, now), self.handle.counts())
    }

    fn probed_of(&self, members: Vec<Member>, now: Duration) -> Vec<Probed> {
        let mut records = BTreeMap::from_iter(self.handle.records());
        let probed = members.into_iter().filter_map(|member| {
            let record = records.remove(&member.id)?;
            Some(Probed::new(member, record, now))
        });
        probed.collect()
    }

    /// Notes that the main thread works, if the fleet's thread does, too.
    pub(super) fn note_alive(&self) {
        if self.handle.check_liveness() {
            self.heartbeat.beat();
        }
    }

    /// Returns the metrics now, for a file.
    pub(super) fn text(&self) -> String {
        self.collect().into_text()
    }

    fn collect(&self) -> MetricFamilies {
        // The main thread needs the roster. So it is copied, and everything else is done without the lock.
        let (members, names) = {
            let roster = self.roster();
            (Vec::from_iter(roster.members().cloned()), Vec::from_iter(roster.names()))
        };
        let reload = *lock(&self.reload);
        let since = reload.last_success.duration_since(UNIX_EPOCH).unwrap_or_default();
        let extras = metrics::Extras {
            names,
            is_last_reload_successful: reload.is_successful,
            last_reload_success: since.as_secs_f64(),
            counts: self.handle.counts(),
        };
        metrics::families(&self.probed_of(members, self.start.elapsed()), &extras)
    }
}

/// The metrics are made when they are read, because thousands of targets take milliseconds, and once a
/// second at most: the thread that sends and receives waits while the records are copied.
impl MetricsSource for Shared {
    fn families(&self) -> Arc<MetricFamilies> {
        let mut last = lock(&self.families);
        match &*last {
            Some((at, families)) if at.elapsed() < SHORTEST_AGE => Arc::clone(families),
            _ => {
                let families = Arc::new(self.collect());
                *last = Some((Instant::now(), Arc::clone(&families)));
                families
            }
        }
    }

    fn is_healthy(&self) -> bool {
        self.heartbeat.is_alive(MAX_SILENCE)
    }
}

/// The age of metrics before they are made again.
const SHORTEST_AGE: Duration = Duration::from_secs(1);

/// The time without a sign of life after which a thread hangs.
const MAX_SILENCE: Duration = Duration::from_secs(10);

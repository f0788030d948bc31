//! Metrics that are read while a tool runs.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::families::MetricFamilies;
use crate::process::heartbeat::Heartbeat;
use crate::process::lock;

/// What is read over HTTP. Neither function may wait for a thread that sends or receives.
pub trait MetricsSource: Debug + Send + Sync + 'static {
    /// Returns the metrics of this moment.
    fn families(&self) -> Arc<MetricFamilies>;

    /// Returns whether the tool works.
    fn is_healthy(&self) -> bool;
}

impl<T: MetricsSource> MetricsSource for Arc<T> {
    fn families(&self) -> Arc<MetricFamilies> {
        (**self).families()
    }

    fn is_healthy(&self) -> bool {
        (**self).is_healthy()
    }
}

/// The metrics that a thread published last. A reader keeps nobody waiting: it copies a pointer.
///
/// The tool is healthy while it publishes.
#[derive(Debug)]
pub struct Published {
    families: Mutex<Arc<MetricFamilies>>,
    heartbeat: Heartbeat,
}

impl Published {
    /// Publishes the first metrics.
    pub fn new(families: MetricFamilies) -> Self {
        let published =
            Self { families: Mutex::new(Arc::new(families)), heartbeat: Heartbeat::new() };
        published.heartbeat.beat();
        published
    }

    /// Publishes metrics in the place of the last ones. Call it about every second.
    pub fn publish(&self, families: MetricFamilies) {
        let families = Arc::new(families);
        // The old metrics are dropped after the lock.
        let _old = std::mem::replace(&mut *lock(&self.families), families);
        self.heartbeat.beat();
    }
}

impl MetricsSource for Published {
    fn families(&self) -> Arc<MetricFamilies> {
        Arc::clone(&lock(&self.families))
    }

    fn is_healthy(&self) -> bool {
        self.heartbeat.is_alive(MAX_AGE)
    }
}

/// The age at which published metrics show that their thread hangs.
const MAX_AGE: Duration = Duration::from_secs(10);

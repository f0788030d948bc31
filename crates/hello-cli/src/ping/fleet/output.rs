//! The output of a fleet: text, JSON lines and metrics.

pub(super) mod json;
pub(super) mod metrics;
pub(super) mod text;

use std::time::Duration;

use hello_measure::{CompactRecord, Summary};

use super::roster::Member;

/// A target and its record.
#[derive(Debug)]
pub(super) struct Probed {
    pub(super) member: Member,
    pub(super) record: CompactRecord,
    pub(super) summary: Summary,
}

impl Probed {
    /// Summarises a record `now` after the start of the run.
    pub(super) fn new(member: Member, record: CompactRecord, now: Duration) -> Self {
        // The targets of the file at the start were added before it.
        let summary = record.summary(now.min(member.added.elapsed()));
        Self { member, record, summary }
    }
}

/// What a fleet is told to do.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub(super) file: &'a str,
    pub(super) targets: usize,
    pub(super) unresolved: usize,
    pub(super) plan: &'a hello_net::FleetPlan,
    pub(super) lookup_interval: Duration,
    pub(super) source: Option<&'a str>,
}

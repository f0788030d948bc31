//! The record of a target's events.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::time::Duration;

use hello_measure::{
    ClockCounts, Distribution, FlowSummary, Flows, Record, ReplyHeaders, ReplyKind,
};
use hello_net::{ProbeEvent, ProbeEventKind};

use super::Target;
use super::summary::Summary;

/// Records the events of a target, over the run or a [part](Self::next_part) of it.
#[derive(Clone, Debug)]
pub struct Recorder {
    target: Target,
    record: Record,
    flows: Flows,
    headers: ReplyHeaders,
    clocks: ClockCounts,
    of_other_peer: u64,
}

impl Recorder {
    /// Creates an empty recorder that starts at time 0.
    pub fn new(target: Target) -> Self {
        let (record, flows) = (Record::new(), Flows::new(target.flows));
        Self {
            target,
            record,
            flows,
            headers: ReplyHeaders::default(),
            clocks: ClockCounts::default(),
            of_other_peer: 0,
        }
    }

    /// Records an event.
    pub fn observe(&mut self, event: &ProbeEvent<'_>) {
        event.record_in(&mut self.record);
        match event.kind {
            ProbeEventKind::Sent { .. } => self.flows.sent(event.flow),
            ProbeEventKind::Received {
                reply: ReplyKind::Answered { seq, rtt, .. },
                ttl,
                tos,
                clocks,
                ..
            } => {
                self.clocks.answered(clocks);
                self.flows.answered(event.flow, rtt);
                self.flows.reply_ttl(event.flow, event.at, seq, ttl);
                self.headers.answered(ttl, tos);
            }
            ProbeEventKind::Received { datagram, .. } => {
                let is_other = self.target.peer.is_reply_of_other(datagram);
                self.of_other_peer += u64::from(is_other);
            }
            ProbeEventKind::Lost { .. } => self.flows.lost(event.flow),
            _ => {}
        }
    }

    /// Adds the part that followed this one.
    pub fn append(&mut self, later: &Self) {
        self.record.append(&later.record);
        self.flows.append(&later.flows);
        self.headers.append(&later.headers);
        self.clocks.append(&later.clocks);
        self.of_other_peer += later.of_other_peer;
    }

    /// Returns the recorder of the next part, which starts at `now`. Probes in flight remain in
    /// flight; jitter and route changes continue from the last replies.
    #[must_use]
    pub fn next_part(&self, now: Duration) -> Self {
        let (record, flows) = (self.record.next_part(now), self.flows.next_part());
        Self {
            target: self.target.clone(),
            record,
            flows,
            headers: ReplyHeaders::default(),
            clocks: ClockCounts::default(),
            of_other_peer: 0,
        }
    }

    /// Returns the target.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Returns the counts and the distributions.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Returns the round-trip times.
    pub fn rtts(&self) -> Cow<'_, Distribution> {
        self.record.rtt()
    }

    /// Returns the flows.
    pub fn flows(&self) -> Vec<FlowSummary> {
        self.flows.summaries().collect()
    }

    /// Summarises the part at `now`, without its outages.
    pub fn summary(&self, now: Duration) -> Summary {
        let route_changes = self.flows.route_changes();
        Summary {
            target: self.target.name.clone(),
            address: self.target.address,
            started_at: self.target.started_at,
            common: self.record.summary(now),
            jitter_ms: self.flows.jitter(),
            ttl: self.headers.ttl().clone(),
            dscp: self.headers.dscp(),
            ecn: self.headers.ecn(),
            marks: self.headers.marks().clone(),
            route_changes: route_changes.count,
            last_route_change_s: route_changes.last.map(|at| at.as_secs_f64()),
            clocks: self.clocks,
            of_other_peer: self.of_other_peer,
            outages: None,
            flows: self.flows(),
        }
    }
}

//! The result of `hello-ping --mtu` for a target.

use std::time::Duration;

use hello_measure::{MtuLimit, MtuOutcome, MtuPlan};
use hello_net::{MtuEvent, MtuEventKind, SocketError, ZonedAddr};
use hello_proto::{OVERHEAD, Peer};

use crate::args::first_reply::Tried;

/// A target of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MtuTarget {
    /// The name that the user gave, `HOST:PORT`.
    pub name: String,
    /// The address that the name stands for.
    pub address: ZonedAddr,
    /// The addresses that were tried before the search, if the name has several.
    pub tried: Vec<Tried>,
    /// The sizes of the search.
    pub plan: MtuPlan,
    /// The replies expected.
    pub peer: Peer,
    /// The time after which a probe is lost.
    pub timeout: Duration,
}

/// What a search has found so far.
#[derive(Clone, Debug)]
pub struct PathMtu {
    /// The target.
    pub target: MtuTarget,
    /// The result.
    pub outcome: MtuOutcome,
    /// The number of probes sent.
    pub sent: u64,
    /// The number of probes without a reply in time.
    pub lost: u64,
    /// The last reason why a probe could not be sent.
    pub not_sent: Option<SocketError>,
    /// Whether the other kind of server replied.
    pub has_other_peer: bool,
    /// The time that it took.
    pub elapsed: Duration,
}

impl PathMtu {
    /// Creates a result before the first probe.
    pub fn new(target: MtuTarget) -> Self {
        let outcome = MtuOutcome {
            passed: None,
            answered: None,
            cut_to: None,
            limit: MtuLimit::Open,
            reported: None,
            passing_probes: 0,
            passing_lost: 0,
        };
        Self {
            target,
            outcome,
            sent: 0,
            lost: 0,
            not_sent: None,
            has_other_peer: false,
            elapsed: Duration::ZERO,
        }
    }

    /// Counts an event.
    pub fn observe(&mut self, event: &MtuEvent) {
        match event.kind {
            MtuEventKind::Sent => self.sent += 1,
            MtuEventKind::NotSent(error) => self.not_sent = Some(error),
            MtuEventKind::Lost { .. } => self.lost += 1,
            MtuEventKind::OtherPeer => self.has_other_peer = true,
            MtuEventKind::Answered { .. } | MtuEventKind::Cut { .. } => {
                self.outcome.passed = self.outcome.passed.max(Some(event.size));
            }
            _ => {}
        }
    }

    /// Whether the search found what the path takes.
    pub fn is_found(&self) -> bool {
        self.outcome.passed.is_some() && self.outcome.limit != MtuLimit::Open
    }

    /// Returns the size of the longest complete reply, in bytes.
    pub fn reply(&self) -> Option<u32> {
        let longer = match self.target.peer {
            Peer::Hello => u32::try_from(OVERHEAD).unwrap_or(0),
            Peer::Echo => 0,
        };
        Some(self.outcome.answered? + longer)
    }
}

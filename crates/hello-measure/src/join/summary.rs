use std::collections::BTreeMap;

use super::verdict::Place;
use crate::outages::OutageSummary;
use crate::quantiles::Quantiles;

/// The number of probes by the place where they were lost or delayed.
///
/// ```
/// use hello_measure::{Place, Places};
///
/// let mut lost = Places::default();
/// lost.add(Place::There);
/// lost.add(Place::Back);
/// assert_eq!((lost.there, lost.total()), (1, 2));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Places {
    /// Probes lost or delayed on the way there.
    pub there: u64,
    /// Probes that the server did not answer, or answered late.
    pub server: u64,
    /// Probes lost or delayed on the way back.
    pub back: u64,
    /// Probes for which the place is not known.
    pub not_known: u64,
}

impl Places {
    /// Counts a probe.
    pub const fn add(&mut self, place: Place) {
        match place {
            Place::There => self.there += 1,
            Place::Server => self.server += 1,
            Place::Back => self.back += 1,
            Place::Unknown(_) => self.not_known += 1,
        }
    }

    /// Returns the number of probes.
    pub const fn total(self) -> u64 {
        self.there + self.server + self.back + self.not_known
    }
}

/// The outages of a run by the place where its probes were lost.
///
/// ```
/// use hello_measure::JoinSummary;
///
/// let outages = JoinSummary::default().outages;
/// assert_eq!((outages.there.count, outages.back.count), (0, 0));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct PlaceOutages {
    /// Outages of the way there.
    pub there: OutageSummary,
    /// Outages of the server.
    pub server: OutageSummary,
    /// Outages of the way back.
    pub back: OutageSummary,
}

/// What a capture says about a run; see [`Join`](crate::Join).
///
/// ```
/// use std::time::Duration;
/// use hello_measure::{CaptureSpan, Join, JoinPlan, ProbeOutcome};
/// use hello_proto::Peer;
///
/// let mut join = Join::new(JoinPlan {
///     run_id: 7,
///     peer: Peer::Hello,
///     name_len: 16,
///     timeout: Duration::from_secs(1),
///     server: ([192, 0, 2, 2], 9999).into(),
///     local: vec![([192, 0, 2, 1], 50_000).into()],
/// });
/// join.handle_probe(1, 0, Duration::ZERO, ProbeOutcome::Lost);
/// let summary = join.finish(&CaptureSpan::default()).summary;
/// assert_eq!((summary.lost.not_known, summary.requests_seen), (1, 0));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct JoinSummary {
    /// Probes of the run whose outcome is known.
    pub probes: u64,
    /// Probes answered before their timeout.
    pub answered: u64,
    /// Probes without any reply, by where they were lost.
    pub lost: Places,
    /// The outages of each place: consecutive probes of a flow that were lost there. A probe whose place
    /// is not known ends an outage.
    pub outages: PlaceOutages,
    /// Probes whose reply arrived after their timeout, by where most of the delay arose.
    pub late: Places,
    /// The doubts about places that are not known, with their numbers.
    pub doubts: BTreeMap<&'static str, u64>,
    /// Probes whose request the capture has.
    pub requests_seen: u64,
    /// Probes whose reply the capture has.
    pub replies_seen: u64,
    /// Answered and late probes whose request or reply the capture lacks, although both passed the
    /// server.
    pub missing: u64,
    /// Packets between the two sides that the capture cut before their token.
    pub cut: u64,
    /// Whether absence from the capture counts as a proof.
    pub complete: bool,
    /// Whether the TTLs of the replies show a capture at the server, and not at a router; `None` if no
    /// TTL is known.
    pub at_server: Option<bool>,
    /// The delay variation on the way there: each delay less the shortest (RFC 5481 section 4.2).
    pub there_pdv_ms: Option<Quantiles>,
    /// The delay variation on the way back.
    pub back_pdv_ms: Option<Quantiles>,
    /// The time from a request to its reply at the capture.
    pub server_ms: Option<Quantiles>,
    /// The one-way delay there, if the clocks are synchronised.
    pub there_delay_ms: Option<Quantiles>,
    /// The one-way delay back, if the clocks are synchronised.
    pub back_delay_ms: Option<Quantiles>,
    /// How far below zero the least one-way delay is, if that is more than a millisecond, which proves
    /// that the clocks are not synchronised. There are no one-way delays then.
    pub negative_delay_ms: Option<f64>,
    /// The least movement of the two clocks against each other during the run; 0 if none is proven.
    pub clock_shift_ms: f64,
}

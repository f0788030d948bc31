#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]

mod cause;
mod clocks;
mod compact_record;
mod distance;
mod distribution;
mod flows;
mod histogram;
mod interval;
mod jitter;
mod join;
mod ledger;
mod lost_cause;
mod mark;
mod mtu;
mod nanos;
mod outages;
mod quantiles;
mod quote;
mod record;
mod reply_headers;
mod route_changes;
mod run_length;
mod search;
mod summary;
mod timeline;
mod trace;
mod trend;

pub use cause::{Cause, CauseKind};
pub use clocks::{Clock, ClockCounts, Clocks};
pub use compact_record::{CompactRecord, Reachability};
pub use distribution::{Bin, Distribution};
pub use flows::{FlowSummary, Flows};
pub use histogram::Histogram;
pub use interval::Interval;
pub use jitter::{Jitter, JitterEstimator};
pub use join::capture::CaptureSpan;
pub use join::datagram::CapturedDatagram;
pub use join::probe::ProbeOutcome;
pub use join::summary::{JoinSummary, PlaceOutages, Places};
pub use join::verdict::{Doubt, JoinVerdict, Place};
pub use join::{Join, JoinPlan, Joined};
pub use ledger::{Attribution, Counts, Fate, Ledger, Lost, ReplyKind};
pub use lost_cause::LostCause;
pub use mark::{Dscp, Ecn, Mark};
pub use mtu::outcome::{MtuLimit, MtuOutcome, ReportedMtu};
pub use mtu::{MtuEvidence, MtuPlan, MtuSearch};
pub use outages::{Outage, OutageSummary, Outages};
pub use quantiles::{Quantiles, TimerError, medians, millis};
pub use quote::quoted_token;
pub use record::Record;
pub use reply_headers::ReplyHeaders;
pub use route_changes::RouteChanges;
pub use run_length::RunLength;
pub use search::{Bound, Search, SearchOutcome, SearchPlan, TrialVerdict};
pub use summary::{ByLabel, NoAnswer, REFUSED, Summary};
pub use timeline::{TimeBin, Timeline};
pub use trace::path::{Hop, HopRouter, Path, PathEnd};
pub use trace::plan::TracePlan;
pub use trace::table::separation::Separation;
pub use trace::table::{PathNode, PathRow, PathTable, Suspect};
pub use trace::trigger::LossTrigger;
pub use trace::{PathTracer, TraceProbe};
pub use trend::Trend;

/// The default, but few cases and no files under Miri.
#[cfg(test)]
fn proptest_config() -> proptest::prelude::ProptestConfig {
    use proptest::prelude::ProptestConfig;
    if cfg!(miri) {
        ProptestConfig { cases: 2, failure_persistence: None, ..ProptestConfig::default() }
    } else {
        ProptestConfig::default()
    }
}

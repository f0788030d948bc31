//! What became of each datagram: which probes were answered and which were lost, how long replies
//! took and how that varied, and the highest rate that a server answers without loss.
//!
//! Like [`hello_proto`], this crate has no sockets, no clocks and no threads: what was sent and
//! received is passed in, with the time as a [`Duration`](std::time::Duration) since any origin. All
//! of it takes constant memory, however long a run lasts.
#![forbid(unsafe_code)]

mod distribution;
mod ledger;
mod quantiles;
mod search;
mod timeline;

pub use distribution::Distribution;
pub use ledger::{Counts, Ledger, ReplyKind};
pub use quantiles::{Quantiles, TimerError, millis};
pub use search::{Bound, Search, SearchOutcome, SearchPlan, TrialVerdict};
pub use timeline::{TimeBin, Timeline};

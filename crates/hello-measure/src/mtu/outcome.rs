use std::net::IpAddr;

use hello_proto::Guard;

use super::MtuPlan;
use crate::cause::Cause;

/// The result of a [`MtuSearch`](crate::MtuSearch). Sizes are those of whole IP packets, in bytes.
///
/// ```
/// use hello_measure::{MtuEvidence, MtuLimit, MtuPlan, MtuSearch};
///
/// let mut search = MtuSearch::new(MtuPlan::ipv4());
/// search.handle(44, MtuEvidence::Answered);
/// let outcome = search.outcome();
/// assert_eq!((outcome.passed, outcome.limit), (Some(44), MtuLimit::Open));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MtuOutcome {
    /// The longest packet that arrived at the server; `None` if no reply arrived.
    pub passed: Option<u32>,
    /// The longest packet to which a complete reply arrived; `None` if none did.
    pub answered: Option<u32>,
    /// The longest name in the replies that hold only the start of one, in bytes; `None` if all replies
    /// were complete.
    pub cut_to: Option<u32>,
    /// The reason why no longer packet passed.
    pub limit: MtuLimit,
    /// The MTU that a router reported last, unless a reply to a longer packet refuted it. It exceeds
    /// [`passed`](Self::passed) if something else ends the search, such as the server's limit.
    pub reported: Option<ReportedMtu>,
    /// The number of probes of sizes that pass.
    pub passing_probes: u64,
    /// Those of them without a reply in time, which the path loses whatever their size is. If there are
    /// any, a limit that rests on silence may be too low.
    pub passing_lost: u64,
}

impl MtuOutcome {
    /// Returns the longest name that a server answers by default, in bytes, if just that one was the
    /// longest to be answered. A black hole of this size looks the same.
    pub fn suspected_name_limit(&self, plan: &MtuPlan) -> Option<u32> {
        let is_silent = self.limit == MtuLimit::NoReply { cause: Cause::SILENT };
        let name_len = plan.name_len(self.passed?);
        (is_silent && name_len == DEFAULT_NAME_LIMIT).then_some(name_len)
    }
}

/// The longest name that a guard admits by default.
const DEFAULT_NAME_LIMIT: u32 = 1024;

const _: () = assert!(DEFAULT_NAME_LIMIT as usize == Guard::DEFAULT_MAX_NAME_LEN);

/// The MTU that a router reported.
///
/// ```
/// use hello_measure::ReportedMtu;
///
/// let reported = ReportedMtu { mtu: 1400, reporter: Some([10, 80, 2, 2].into()) };
/// assert!(reported.mtu < 1500);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportedMtu {
    /// The MTU, in bytes.
    pub mtu: u32,
    /// The router; `None` if its address is unknown.
    pub reporter: Option<IpAddr>,
}

/// The reason why a packet one byte longer did not pass.
///
/// ```
/// use hello_measure::MtuLimit;
///
/// assert_eq!(MtuLimit::Link.label(), "link");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MtuLimit {
    /// Unknown: the search is not over.
    Open,
    /// It is longer than the own link takes.
    Link,
    /// A router reported that it is too big for the next link.
    Router {
        /// The router; `None` if its address is unknown.
        reporter: Option<IpAddr>,
    },
    /// It got no reply. Either it vanishes on the path without a message (a black hole, RFC 2923
    /// section 2.1), or the server does not answer names of this length.
    NoReply {
        /// The last other error that was reported about it, or [`Cause::SILENT`].
        cause: Cause,
    },
    /// None: the longest size of the plan passed.
    Max,
}

impl MtuLimit {
    /// Returns the name of the limit in `kebab-case`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Link => "link",
            Self::Router { .. } => "router",
            Self::NoReply { .. } => "no-reply",
            Self::Max => "max",
        }
    }
}

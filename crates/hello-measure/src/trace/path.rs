use std::net::IpAddr;
use std::time::Duration;

use crate::cause::Cause;

/// The path of one flow, as a [`PathTracer`](crate::PathTracer) found it.
///
/// ```
/// use hello_measure::{Hop, HopRouter, Path, PathEnd};
///
/// let hop = |ttl, routers: &[[u8; 4]]| Hop {
///     ttl,
///     routers: routers.iter().map(|router| HopRouter::new((*router).into())).collect(),
///     unanswered: 0,
/// };
/// let hops = vec![hop(1, &[[10, 80, 1, 1]]), hop(2, &[]), hop(3, &[[10, 80, 4, 2]])];
/// let path = Path { flow: 0, hops, end: PathEnd::Reached { greeted: true } };
/// assert!(path.hops[1].is_silent());
/// assert!(!path.is_complete());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// The number of the flow.
    pub flow: usize,
    /// Each hop, from the nearest. If the end is [`Reached`](PathEnd::Reached), the last is the server.
    pub hops: Vec<Hop>,
    /// Where the path ends.
    pub end: PathEnd,
}

impl Path {
    /// Returns whether each router up to the server is known.
    pub fn is_complete(&self) -> bool {
        matches!(self.end, PathEnd::Reached { .. }) && !self.hops.iter().any(Hop::is_silent)
    }

    /// Returns the hop with this number; those up to it are added if they are missing.
    pub(super) fn hop_mut(&mut self, ttl: u8) -> &mut Hop {
        let ttl = ttl.max(1);
        for ttl in u8::try_from(self.hops.len()).unwrap_or(u8::MAX)..ttl {
            self.hops.push(Hop { ttl: ttl + 1, routers: Vec::new(), unanswered: 0 });
        }
        &mut self.hops[usize::from(ttl) - 1]
    }

    /// Returns the number of silent hops at the end.
    pub(super) fn silent_at_end(&self) -> usize {
        self.hops.iter().rev().take_while(|hop| hop.is_silent()).count()
    }

    /// Returns whether a hop behind this one answered.
    pub(super) fn is_known_behind(&self, ttl: u8) -> bool {
        self.hops.iter().any(|hop| hop.ttl > ttl && !hop.is_silent())
    }

    /// Returns the entry of a router that reports something else than the end of a TTL, about a probe
    /// with this TTL.
    ///
    /// A router looks at the TTL before it looks at anything that it may reject, so that one may come
    /// from the router a hop before. The entry is `None` if its hop is not certain.
    pub(super) fn reporter_mut(&mut self, ttl: u8, router: IpAddr) -> Option<&mut HopRouter> {
        let before = usize::from(ttl).saturating_sub(1);
        let seen = self.hops.iter().take(before).rposition(|hop| hop.has(router));
        if let Some(index) = seen {
            return self.hops[index].router_mut(router);
        }
        let is_certain =
            before == 0 || self.hops.get(before - 1).is_some_and(|hop| !hop.is_silent());
        is_certain.then(|| self.hop_mut(ttl).router_mut(router)).flatten()
    }
}

/// One hop of a path.
///
/// ```
/// use hello_measure::Hop;
///
/// let hop = Hop { ttl: 4, routers: vec![], unanswered: 3 };
/// assert!(hop.is_silent());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The TTL of the probes that end there: 1 is the first router.
    pub ttl: u8,
    /// Each router that answered, the first one first. There are several if the route changed, or if
    /// a router spreads the packets of a flow.
    pub routers: Vec<HopRouter>,
    /// The number of probes that were not answered. That is no loss: a router need not answer, and
    /// most limit how often they do.
    pub unanswered: u16,
}

impl Hop {
    /// Returns whether nobody answered.
    pub fn is_silent(&self) -> bool {
        self.routers.is_empty()
    }

    fn has(&self, address: IpAddr) -> bool {
        self.routers.iter().any(|router| router.address == address)
    }

    /// Returns the entry of a router, which is added if there is room for it.
    pub(super) fn router_mut(&mut self, address: IpAddr) -> Option<&mut HopRouter> {
        if !self.has(address) && self.routers.len() < MAX_ROUTERS {
            self.routers.push(HopRouter::new(address));
        }
        self.routers.iter_mut().find(|router| router.address == address)
    }
}

/// A router that answered, or the server.
///
/// ```
/// use hello_measure::HopRouter;
///
/// let router = HopRouter::new([10, 80, 1, 1].into());
/// assert_eq!((router.rtts.len(), router.mtu), (0, None));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HopRouter {
    /// The address that it answers from: that of an interface. One router may have several.
    pub address: IpAddr,
    /// The round-trip times, in the order of the answers; empty if they are not certain.
    pub rtts: Vec<Duration>,
    /// The maximum transmission unit of its next link, in bytes of whole packets, if it reported that
    /// a probe is too big.
    pub mtu: Option<u32>,
}

impl HopRouter {
    /// Makes an entry without times.
    pub fn new(address: IpAddr) -> Self {
        Self { address, rtts: Vec::new(), mtu: None }
    }
}

/// Where a [`Path`] ends.
///
/// ```
/// use hello_measure::{Cause, CauseKind, PathEnd};
///
/// let firewall = Cause { kind: CauseKind::Prohibited, reporter: Some([10, 80, 3, 2].into()) };
/// assert_ne!(PathEnd::Unreachable(firewall), PathEnd::Reached { greeted: false });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathEnd {
    /// At the server.
    Reached {
        /// Whether a greeting arrived; if not, the host reports that no server listens there.
        greeted: bool,
    },
    /// Somebody rejects each of a few probes in a row, and none gets farther.
    Unreachable(Cause),
    /// Several consecutive hops are silent.
    Silent,
    /// At the last hop that the plan allows.
    MaxHops,
    /// The system sends no probe.
    NotSent,
    /// The trace did not end yet, or was ended early.
    Unfinished,
}

/// The most routers that are noted for one hop of one flow.
const MAX_ROUTERS: usize = 8;

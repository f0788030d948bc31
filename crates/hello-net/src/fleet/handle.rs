use std::mem;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hello_measure::CompactRecord;

use super::plan::FleetError;
use super::state::State;
use crate::requester;
use crate::sys;

/// A target of a [`Fleet`](crate::fleet::Fleet). No other target of the fleet ever has the same id.
///
/// ```
/// use std::net::SocketAddr;
///
/// use hello_net::Fleet;
///
/// let (handle, server) = (Fleet::builder().open()?.handle(), SocketAddr::from(([127, 0, 0, 1], 9999)));
/// let first = handle.add(server)?;
/// handle.remove(first);
/// assert!(handle.add(server)? > first);
/// # Ok::<(), hello_net::FleetError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetId(pub(super) u64);

/// Changes and shows the targets of a [`Fleet`](crate::fleet::Fleet), before and while it runs.
///
/// Clones belong to the same fleet.
///
/// ```
/// use std::net::SocketAddr;
///
/// use hello_net::Fleet;
///
/// let fleet = Fleet::builder().open()?;
/// let handle = fleet.handle();
/// let [server, other] = [1, 2].map(|host| SocketAddr::from(([127, 0, 0, host], 9999)));
/// let target = handle.add(server)?;
/// handle.set_address(target, Some(other));
/// assert_eq!(handle.records().len(), 1);
/// let record = handle.remove(target).ok_or("it was added")?;
/// assert_eq!((record.counts().sent, handle.records().len()), (0, 0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FleetHandle {
    state: Arc<Mutex<State>>,
}

impl FleetHandle {
    pub(super) fn new(state: State) -> Self {
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Adds a target, which is probed from within the next interval on; without an address, its probes
    /// are due but [not sent](crate::requester::NotSent::Unresolved).
    ///
    /// An unspecified address means this host's loopback address.
    ///
    /// # Errors
    ///
    /// [`FleetError::TooManyTargets`].
    pub fn add(&self, address: impl Into<Option<SocketAddr>>) -> Result<TargetId, FleetError> {
        self.state().add(sys::monotonic(), address.into(), requester::run_id)
    }

    /// Removes a target, and returns its record. Its probes in flight end: nothing more is recorded
    /// about them.
    pub fn remove(&self, target: TargetId) -> Option<CompactRecord> {
        self.state().remove(target)
    }

    /// Changes the address of a target, if it has another one. Its record continues; its probes in
    /// flight may still be answered from the address that they were sent to.
    pub fn set_address(&self, target: TargetId, address: impl Into<Option<SocketAddr>>) {
        self.state().set_address(target, address.into());
    }

    /// Returns the record of a target; `None` if it was removed.
    pub fn record(&self, target: TargetId) -> Option<CompactRecord> {
        self.state().record(target).cloned()
    }

    /// Returns the records of all targets, in the order in which they were added.
    pub fn records(&self) -> Vec<(TargetId, CompactRecord)> {
        self.state().records().map(|(target, record)| (target, record.clone())).collect()
    }

    /// Returns what was received that belongs to no target.
    pub fn counts(&self) -> FleetCounts {
        self.state().counts
    }

    /// Returns whether the fleet's thread has made progress since the last call: the liveness signal for
    /// a watchdog. It waits for a tenth of a second at most.
    pub fn check_liveness(&self) -> bool {
        mem::take(&mut self.state().has_progressed)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a [`Fleet`](crate::fleet::Fleet) received that belongs to none of its targets.
///
/// ```
/// use hello_net::{Fleet, FleetCounts};
///
/// assert_eq!(Fleet::builder().open()?.handle().counts(), FleetCounts::default());
/// # Ok::<(), hello_net::FleetError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FleetCounts {
    /// Datagrams from another address than that of the target whose probe they name, or of no target.
    pub unsolicited: u64,
    /// Errors from the network that quote no probe of a target, or another destination than its.
    pub unattributed: u64,
    /// Errors of receive calls.
    pub receive_errors: u64,
    /// Messages that the system dropped before they could be received: a receive buffer was full,
    /// because this process was held up or flooded, or their checksums were wrong.
    pub dropped: u64,
}

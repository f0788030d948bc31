use std::time::Duration;

use hello_measure::Cause;

use super::handle::TargetId;

/// An event of a [`Fleet`](crate::fleet::Fleet)'s run: a target became unreachable, or answers again.
///
/// ```
/// use std::net::{Ipv4Addr, UdpSocket};
/// use std::time::Duration;
///
/// use hello_net::{Fleet, FleetEventKind};
///
/// let silent = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
/// let (interval, timeout) = (Duration::from_millis(20), Duration::from_millis(10));
/// let fleet = Fleet::builder().count(3).interval(interval).timeout(timeout).open()?;
/// let target = fleet.handle().add(silent.local_addr()?)?;
/// let mut events = vec![];
/// fleet.run(|event| events.push(*event))?;
/// assert_eq!((events.len(), events[0].target), (1, target));
/// assert!(matches!(events[0].kind, FleetEventKind::Unreachable { .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FleetEvent {
    /// When it was noticed, since the run started.
    pub at: Duration,
    /// The target.
    pub target: TargetId,
    /// What happened.
    pub kind: FleetEventKind,
}

/// What happened to a target.
///
/// ```
/// use hello_measure::Cause;
/// use hello_net::FleetEventKind;
///
/// let kind = FleetEventKind::Unreachable { cause: Some(Cause::SILENT) };
/// assert_ne!(kind, FleetEventKind::Answering);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FleetEventKind {
    /// [Several](hello_measure::Reachability::FAILURES) probes in a row were lost or not sent.
    Unreachable {
        /// The cause of the last loss; `None` if the last probe was not sent.
        cause: Option<Cause>,
    },
    /// It answered after it was unreachable.
    Answering,
}

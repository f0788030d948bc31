use std::collections::BTreeMap;
use std::net::IpAddr;

use super::cause::{Cause, CauseKind};

/// The number of requests lost for one cause.
///
/// ```
/// use hello_measure::{Cause, CauseKind, Record};
///
/// let router = Some([10, 80, 2, 2].into());
/// let mut record = Record::new();
/// record.lost(Cause { kind: CauseKind::TooBig { mtu: Some(1400) }, reporter: router });
/// let causes = record.summary(std::time::Duration::ZERO).lost_causes;
/// assert_eq!((causes[0].cause, causes[0].reporter, causes[0].mtu), ("too-big", router, Some(1400)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct LostCause {
    /// The cause's [label](CauseKind::label).
    pub cause: &'static str,
    /// The router or the host that reported it; `None` if nobody did.
    pub reporter: Option<IpAddr>,
    /// The MTU that was reported, in bytes of whole packets; `None` if none was.
    pub mtu: Option<u32>,
    /// The number of lost requests.
    pub lost: u64,
}

impl LostCause {
    /// Lists causes, the most frequent first.
    pub(crate) fn list(causes: &BTreeMap<Cause, i64>) -> Vec<Self> {
        let counted = causes.iter().filter_map(|(cause, lost)| {
            let mtu = match cause.kind {
                CauseKind::TooBig { mtu } => mtu,
                _ => None,
            };
            let lost = u64::try_from(*lost).ok().filter(|lost| *lost > 0)?;
            Some(Self { cause: cause.kind.label(), reporter: cause.reporter, mtu, lost })
        });
        let mut list = Vec::from_iter(counted);
        list.sort_by_key(|cause| std::cmp::Reverse(cause.lost));
        list
    }
}

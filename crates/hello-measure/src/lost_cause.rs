use std::collections::BTreeMap;

use super::cause::Cause;

/// The number of requests lost for one cause.
///
/// ```
/// use hello_measure::{Cause, CauseKind, Record};
///
/// let (kind, reporter) = (CauseKind::TooBig { mtu: Some(1400) }, Some([10, 80, 2, 2].into()));
/// let mut record = Record::new();
/// record.lost(Cause { kind, reporter });
/// let causes = record.summary(std::time::Duration::ZERO).lost_causes;
/// assert_eq!((causes[0].cause.reporter, causes[0].lost), (reporter, 1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct LostCause {
    /// The cause.
    #[cfg_attr(feature = "serde", serde(flatten))]
    pub cause: Cause,
    /// The number of lost requests.
    pub lost: u64,
}

impl LostCause {
    /// Lists causes, the most frequent first.
    pub(crate) fn list(causes: &BTreeMap<Cause, i64>) -> Vec<Self> {
        let counted = causes.iter().filter_map(|(&cause, &lost)| {
            let lost = u64::try_from(lost).ok().filter(|lost| *lost > 0)?;
            Some(Self { cause, lost })
        });
        let mut list = Vec::from_iter(counted);
        list.sort_by_key(|cause| std::cmp::Reverse(cause.lost));
        list
    }
}

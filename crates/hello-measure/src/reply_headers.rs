use std::collections::BTreeMap;

use super::mark::Mark;
use super::summary::ByLabel;

/// The TTLs and the marks of the replies that answered a probe, counted by value: at most 256 of each,
/// however long the run is.
///
/// Both are what is left after the way back. They say nothing about the way there.
///
/// ```
/// use hello_measure::ReplyHeaders;
///
/// let mut headers = ReplyHeaders::default();
/// headers.answered(Some(57), Some(0xb8));
/// headers.answered(Some(57), Some(0xba));
/// headers.answered(Some(56), None);
/// assert_eq!(headers.ttl(), &[(56, 1), (57, 2)].into());
/// assert_eq!(headers.dscp(), [(46, 2)].into());
/// assert_eq!(headers.ecn(), [("not-ect", 1), ("ect0", 1)].into());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplyHeaders {
    ttl: BTreeMap<u8, u64>,
    marks: BTreeMap<Mark, u64>,
}

impl ReplyHeaders {
    /// Records the headers of a reply: the TTL (IPv4) or hop limit (IPv6) that was left, and the byte
    /// with the [mark](Mark). What is unknown is not counted.
    pub fn answered(&mut self, ttl: Option<u8>, tos: Option<u8>) {
        if let Some(ttl) = ttl {
            *self.ttl.entry(ttl).or_default() += 1;
        }
        if let Some(tos) = tos {
            *self.marks.entry(Mark::from_byte(tos)).or_default() += 1;
        }
    }

    /// Adds those of another part of the run.
    pub fn append(&mut self, other: &Self) {
        for (ttl, count) in &other.ttl {
            *self.ttl.entry(*ttl).or_default() += count;
        }
        for (mark, count) in &other.marks {
            *self.marks.entry(*mark).or_default() += count;
        }
    }

    /// Returns the number of replies with each TTL.
    pub fn ttl(&self) -> &BTreeMap<u8, u64> {
        &self.ttl
    }

    /// Returns the number of replies with each mark.
    pub fn marks(&self) -> &BTreeMap<Mark, u64> {
        &self.marks
    }

    /// Returns the number of replies with each DSCP.
    pub fn dscp(&self) -> BTreeMap<u8, u64> {
        let mut dscp = BTreeMap::new();
        for (mark, count) in &self.marks {
            *dscp.entry(mark.dscp.value()).or_default() += count;
        }
        dscp
    }

    /// Returns the number of replies with each ECN codepoint.
    pub fn ecn(&self) -> ByLabel {
        let mut ecn = ByLabel::new();
        for (mark, count) in &self.marks {
            *ecn.entry(mark.ecn.label()).or_default() += count;
        }
        ecn
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    type Header = (Option<u8>, Option<u8>);

    fn recorded(headers: &[Header]) -> ReplyHeaders {
        let mut recorded = ReplyHeaders::default();
        headers.iter().for_each(|(ttl, tos)| recorded.answered(*ttl, *tos));
        recorded
    }

    proptest! {
        #![proptest_config(crate::proptest_config())]

        /// Every known value is counted once in each distribution, however the run is divided.
        #[test]
        fn counts_add_up_and_parts_equal_the_whole(
            headers in vec(any::<Header>(), 0..200),
            at in any::<proptest::sample::Index>(),
        ) {
            let (first, second) = headers.split_at(at.index(headers.len() + 1));
            let (mut sum, whole) = (recorded(first), recorded(&headers));
            sum.append(&recorded(second));
            prop_assert_eq!(&sum, &whole);
            let known = |known: fn(&Header) -> bool| {
                headers.iter().filter(|header| known(header)).count() as u64
            };
            let marked = known(|(_, tos)| tos.is_some());
            prop_assert_eq!(whole.ttl().values().sum::<u64>(), known(|(ttl, _)| ttl.is_some()));
            prop_assert_eq!(whole.marks().values().sum::<u64>(), marked);
            prop_assert_eq!(whole.dscp().values().sum::<u64>(), marked);
            prop_assert_eq!(whole.ecn().values().sum::<u64>(), marked);
        }
    }

    #[test]
    fn size_is_bounded_by_the_values_of_a_byte() {
        let mut headers = ReplyHeaders::default();
        for _ in 0..3 {
            (0..=u8::MAX).for_each(|byte| headers.answered(Some(byte), Some(byte)));
        }
        assert_eq!((headers.ttl().len(), headers.marks().len()), (256, 256));
        assert_eq!((headers.dscp().len(), headers.ecn().len()), (64, 4));
    }
}

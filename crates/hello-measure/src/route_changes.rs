use std::time::Duration;

/// The changes of route that the TTLs of the replies to a target's probes show.
///
/// A change is a TTL that differs from that of the answer before it, in the order in which the probes
/// were sent, within one flow. An answer that was overtaken by that of a later probe is compared with
/// none: around a change, reordered answers would otherwise count it several times.
///
/// A route of the same length has the same TTL, so this is a lower bound. It is of the way back: the
/// TTL of the way there ends at the server.
///
/// ```
/// use std::time::Duration;
/// use hello_measure::Flows;
///
/// let mut flows = Flows::new(1);
/// for (second, seq, ttl) in [(1, 1, 57), (2, 2, 56), (3, 3, 56), (4, 4, 57)] {
///     flows.reply_ttl(0, Duration::from_secs(second), seq, Some(ttl));
/// }
/// let changes = flows.route_changes();
/// assert_eq!((changes.count, changes.last), (2, Some(Duration::from_secs(4))));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouteChanges {
    /// The number of changes, in all flows.
    pub count: u64,
    /// When the first answer by the last new route arrived.
    pub last: Option<Duration>,
}

impl RouteChanges {
    /// Adds the changes of a later part.
    pub(crate) fn append(&mut self, later: &Self) {
        self.count += later.count;
        self.last = self.last.max(later.last);
    }

    /// Counts a change.
    pub(crate) fn record(&mut self, at: Duration) {
        self.count += 1;
        self.last = self.last.max(Some(at));
    }
}

/// The answer of a flow that a next one is compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Route {
    /// The sequence number of the newest answered probe, and the TTL of its answer.
    newest: Option<(u32, u8)>,
    /// The TTL of the newest answer of this part.
    ttl: Option<u8>,
}

impl Route {
    /// Compares an answer with the newest one before it, and returns whether the TTL changed.
    pub(crate) fn changed(&mut self, seq: u32, ttl: u8) -> bool {
        // Sequence numbers wrap around, and half of them are before any (RFC 1982 section 3.2).
        let is_newer = |newest| (1..=u32::MAX / 2).contains(&seq.wrapping_sub(newest));
        if self.newest.is_some_and(|(newest, _)| !is_newer(newest)) {
            return false;
        }
        self.ttl = Some(ttl);
        let before = self.newest.replace((seq, ttl));
        before.is_some_and(|(_, before)| ttl != before)
    }

    /// Returns the TTL of the newest answer of this part.
    pub(crate) fn ttl(self) -> Option<u8> {
        self.ttl
    }

    /// Returns the start of the next part, which continues from the last answer.
    pub(crate) fn next_part(self) -> Self {
        Self { ttl: None, ..self }
    }

    /// Adds a later part, which continued from this one.
    pub(crate) fn append(&mut self, later: Self) {
        self.newest = later.newest.or(self.newest);
        self.ttl = later.ttl.or(self.ttl);
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::flows::Flows;
    use super::*;

    fn changes(answers: &[(u32, u8)]) -> u64 {
        let mut flows = Flows::new(1);
        for (seq, ttl) in answers {
            flows.reply_ttl(0, Duration::ZERO, *seq, Some(*ttl));
        }
        flows.route_changes().count
    }

    #[test]
    fn change_counts_once_even_if_answers_around_it_are_reordered() {
        for (answers, expected) in [
            (&[][..], 0),
            (&[(1, 57)], 0),
            (&[(1, 57), (2, 57), (3, 56), (4, 56)], 1),
            (&[(1, 57), (2, 56), (3, 57)], 2),
            // The change is between 2 and 3.
            (&[(1, 57), (3, 56), (2, 57), (4, 56)], 1),
            (&[(3, 56), (1, 57), (2, 57), (4, 56)], 0),
            // A repeated number is no newer answer.
            (&[(1, 57), (1, 56), (2, 57)], 0),
            // Losses do not hide a change.
            (&[(1, 57), (900, 56)], 1),
            (&[(u32::MAX, 57), (0, 56), (u32::MAX - 1, 57), (1, 56)], 1),
        ] {
            assert_eq!(changes(answers), expected, "{answers:?}");
        }
    }

    #[test]
    fn flows_are_compared_each_with_itself_and_unknown_ttls_with_nothing() {
        let mut flows = Flows::new(2);
        let second = Duration::from_secs(1);
        for (at, flow, ttl) in [
            (1, 0, Some(57)),
            (2, 1, Some(50)),
            (3, 0, None),
            (4, 1, Some(50)),
            (5, 0, Some(57)),
            (6, 7, Some(1)),
        ] {
            flows.reply_ttl(flow, at * second, at, ttl);
        }
        assert_eq!(flows.route_changes(), RouteChanges::default());
        let ttls = flows.summaries().map(|flow| flow.ttl);
        assert_eq!(Vec::from_iter(ttls), [Some(57), Some(50)]);
        flows.reply_ttl(1, 7 * second, 7, Some(51));
        flows.reply_ttl(0, 6 * second, 8, Some(56));
        assert_eq!(flows.route_changes(), RouteChanges { count: 2, last: Some(7 * second) });
    }

    proptest! {
        #![proptest_config(crate::proptest_config())]

        /// In sending order, the count is that of neighbours that differ, from any first number on and
        /// however the run is divided.
        #[test]
        fn changes_are_those_between_neighbours(
            first in any::<u32>(),
            ttls in vec(60u8..64, 0..100),
            at in any::<proptest::sample::Index>(),
        ) {
            let expected = ttls.windows(2).filter(|pair| pair[0] != pair[1]).count() as u64;
            let middle = at.index(ttls.len() + 1);
            let mut whole = Flows::new(1);
            let mut part = whole.next_part();
            for (index, ttl) in (0..).zip(&ttls) {
                if index as usize == middle {
                    whole.append(&part);
                    part = part.next_part();
                }
                let at = Duration::from_secs(index.into());
                part.reply_ttl(0, at, first.wrapping_add(index), Some(*ttl));
            }
            whole.append(&part);
            prop_assert_eq!(whole.route_changes().count, expected);
            prop_assert_eq!(whole.route_changes().last.is_some(), expected > 0);
        }

        /// Any order of the answers of a run with one change shows at most that one.
        #[test]
        fn reordering_never_adds_a_change(
            order in Just(Vec::from_iter(0u32..40)).prop_shuffle(),
            change in 0u32..40,
        ) {
            let answers = order.iter().map(|seq| (*seq, if *seq < change { 57 } else { 56 }));
            prop_assert!(changes(&Vec::from_iter(answers)) <= 1);
        }
    }
}

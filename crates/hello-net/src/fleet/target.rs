use std::net::SocketAddr;
use std::time::Duration;

use hello_measure::{CompactRecord, Ledger};
use hello_proto::Token;

use super::plan::FleetPlan;
use crate::clock::from_nanos;
use crate::requester::NotSent;

/// A target: its address, its schedule, and what became of its probes.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) address: Option<SocketAddr>,
    /// The sequence number of the first probe that is sent there.
    first_there: u32,
    /// The address that probes were sent to before, the number of the first and that behind the last.
    before: Option<(SocketAddr, u32, u32)>,
    pub(super) ledger: Ledger,
    pub(super) record: CompactRecord,
    pub(super) run_id: u16,
    /// The sequence number of the next probe.
    next: u32,
    /// Whether the fleet waits for a timeout of this target.
    pub(super) has_timeout: bool,
    schedule: Schedule,
}

/// The due times of a target's probes.
#[derive(Debug)]
pub(super) struct Schedule {
    first: Duration,
    interval: Duration,
    /// The number of the next probe, from 0.
    next: u64,
    /// The number of probes in all.
    count: u64,
}

impl Target {
    pub(super) fn new(
        address: Option<SocketAddr>,
        run_id: u16,
        plan: &FleetPlan,
        schedule: Schedule,
    ) -> Self {
        let first = Token { run_id, seq: Token::FIRST_SEQ };
        let ledger = Ledger::new(first, plan.window(), plan.timeout).with_peer(plan.peer);
        let record = CompactRecord::new();
        let (next, first_there, before) = (first.seq, first.seq, None);
        let has_timeout = false;
        Self { address, first_there, before, ledger, record, run_id, next, has_timeout, schedule }
    }

    pub(super) fn set_schedule(&mut self, schedule: Schedule) {
        self.schedule = schedule;
    }

    /// Changes the address.
    pub(super) fn set_address(&mut self, address: Option<SocketAddr>) {
        let before = self.address.filter(|_| self.next != self.first_there);
        if let Some(before) = before {
            self.before = Some((before, self.first_there, self.next));
            self.first_there = self.next;
        }
        self.address = address;
    }

    /// Returns whether an address is the one that the probe with this number was sent to.
    pub(super) fn was_sent_to(&self, address: SocketAddr, seq: u32) -> bool {
        // Sequence numbers wrap around.
        let is_within = |first: u32, end: u32| seq.wrapping_sub(first) < end.wrapping_sub(first);
        let is_before = |(before, first, end)| address == before && is_within(first, end);
        match is_within(self.first_there, self.next) {
            true => self.address == Some(address),
            false => self.before.is_some_and(is_before),
        }
    }

    /// Takes the probe that is due at `now` off the schedule, after those that are late by an interval
    /// and more. Returns its token, or why it cannot be sent; `None` if it is one of the late.
    pub(super) fn take_due(
        &mut self,
        now: Duration,
    ) -> Option<Result<(Token, SocketAddr), NotSent>> {
        let late = self.schedule.skip_late(now);
        if late > 0 {
            // A stall of this process is no reason to call every target unreachable.
            self.record.missed(NotSent::Late.label(), late);
        }
        if !self.schedule.take(now) {
            return None;
        }
        let Some(address) = self.address else { return Some(Err(NotSent::Unresolved)) };
        let token = self.ledger.tokens().next().ok_or(NotSent::TooManyInFlight);
        Some(token.map(|token| (token, address)))
    }

    /// Records that the probe of the last due time was sent.
    pub(super) fn handle_sent(&mut self, name_len: usize, now: Duration) {
        self.ledger.handle_sent(name_len, now);
        self.record.sent();
        self.next = self.next.wrapping_add(1);
    }

    /// Returns when the next probe is due; `None` after the last one.
    pub(super) fn due(&self) -> Option<Duration> {
        self.schedule.due()
    }
}

impl Schedule {
    /// Makes the schedule of a target that is added at `now`. First probes are due at the fraction
    /// `phase` of an interval later, and none is due at the end of the run or after.
    pub(super) fn new(now: Duration, phase: u32, plan: &FleetPlan, end: Option<Duration>) -> Self {
        let interval = plan.interval;
        let offset = (interval.as_nanos() * u128::from(phase)) >> u32::BITS;
        let first = now.saturating_add(from_nanos(offset));
        let until_end = end.map(|end| {
            let intervals = end.saturating_sub(first).as_nanos().div_ceil(interval.as_nanos());
            u64::try_from(intervals).unwrap_or(u64::MAX)
        });
        let count = until_end.into_iter().chain(plan.count).min().unwrap_or(u64::MAX);
        Self { first, interval, next: 0, count }
    }

    fn due(&self) -> Option<Duration> {
        let offset = self.interval.as_nanos().checked_mul(self.next.into())?;
        (self.next < self.count).then(|| self.first.saturating_add(from_nanos(offset)))
    }

    /// Skips the probes that are late by an interval and more, and returns their number.
    fn skip_late(&mut self, now: Duration) -> u64 {
        let Some(due) = self.due() else { return 0 };
        let late = now.saturating_sub(due).as_nanos() / self.interval.as_nanos();
        let late = u64::try_from(late).unwrap_or(u64::MAX).min(self.count - self.next);
        self.next += late;
        late
    }

    /// Goes on to the next probe if one is due at `now`.
    fn take(&mut self, now: Duration) -> bool {
        let is_due = self.due().is_some_and(|due| due <= now);
        self.next += u64::from(is_due);
        is_due
    }
}

#[cfg(test)]
mod tests {
    use hello_measure::Reachability;
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn schedule(phase: u32, count: Option<u64>, end: Option<Duration>) -> Schedule {
        Schedule::new(100 * SECOND, phase, &FleetPlan { count, ..FleetPlan::DEFAULT }, end)
    }

    #[test]
    fn probes_are_an_interval_apart_from_their_phase_on_up_to_the_count_or_the_end() {
        let mut quarter = schedule(1 << 30, Some(2), None);
        let first = 100 * SECOND + SECOND / 4;
        assert_eq!(quarter.due(), Some(first));
        assert!(!quarter.take(first - Duration::from_nanos(1)));
        assert!(quarter.take(first));
        assert_eq!(quarter.due(), Some(first + SECOND));
        assert!(quarter.take(first + SECOND));
        assert_eq!((quarter.due(), quarter.take(Duration::MAX)), (None, false));
        for (end, count) in [(100, 0), (101, 1), (103, 3), (104, 3)] {
            assert_eq!(schedule(1 << 30, Some(3), Some(end * SECOND)).count, count, "{end}");
        }
    }

    #[test]
    fn stalled_target_skips_what_is_late_and_sends_one_probe() {
        let plan = FleetPlan { count: Some(10), ..FleetPlan::DEFAULT };
        let schedule = || Schedule::new(100 * SECOND, 0, &plan, None);
        let address = Some(([192, 0, 2, 1], 9999).into());
        let mut target = Target::new(address, 7, &plan, schedule());
        let sent = target.take_due(103 * SECOND + SECOND / 2).expect("one is due");
        assert_eq!(sent.expect("an address").0, Token { run_id: 7, seq: Token::FIRST_SEQ });
        assert_eq!(target.record.not_sent_total(), 3);
        assert_eq!(target.record.reachability(), Reachability::Unknown);
        assert_eq!((target.take_due(103 * SECOND), target.due()), (None, Some(104 * SECOND)));
        let mut ended = Target::new(address, 7, &plan, schedule());
        assert_eq!((ended.take_due(200 * SECOND), ended.record.not_sent_total()), (None, 10));
    }

    #[test]
    fn probe_in_flight_may_be_answered_from_the_address_before() {
        let [one, other] = [1, 2].map(|host| SocketAddr::from(([192, 0, 2, host], 9999)));
        let plan = FleetPlan::DEFAULT;
        let mut target = Target::new(Some(one), 7, &plan, schedule(0, None, None));
        target.handle_sent(16, SECOND);
        assert!(target.was_sent_to(one, 1) && !target.was_sent_to(other, 1));
        target.set_address(Some(other));
        target.set_address(None);
        assert!(target.was_sent_to(one, 1) && !target.was_sent_to(one, 2));
        assert!(!target.was_sent_to(other, 1), "nothing was sent there");
        target.set_address(Some(other));
        target.handle_sent(16, SECOND);
        assert!(target.was_sent_to(one, 1) && !target.was_sent_to(other, 1));
        assert!(target.was_sent_to(other, 2) && !target.was_sent_to(one, 2));
    }

    proptest! {
        #[test]
        fn every_due_probe_is_taken_or_late_whenever_the_process_runs(
            phase in any::<u32>(),
            count in 0..50_u64,
            steps in prop::collection::vec(0..5_000_u64, 1..60),
        ) {
            let mut schedule = schedule(phase, Some(count), None);
            let (mut now, mut taken, mut late) = (100 * SECOND, 0, 0);
            for step in steps {
                now += Duration::from_millis(step);
                let due = |k: u64| schedule.first + SECOND * u32::try_from(k).expect("few") <= now;
                let expected = (0..count).filter(|k| due(*k)).count() as u64;
                late += schedule.skip_late(now);
                let sent = u64::from(schedule.take(now));
                taken += sent;
                prop_assert_eq!(taken + late, expected);
                prop_assert!(!schedule.take(now), "never two at once");
            }
        }
    }
}

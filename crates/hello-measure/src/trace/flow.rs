use std::collections::VecDeque;
use std::net::IpAddr;
use std::num::NonZeroU8;
use std::time::Duration;

use super::path::{Hop, Path, PathEnd};
use super::plan::TracePlan;
use crate::cause::Cause;

/// The trace of one flow.
#[derive(Clone, Debug)]
pub(super) struct Flow {
    pub(super) path: Path,
    /// From when on the next probe may be sent.
    pub(super) ready: Duration,
    /// The last probes, the latest one last.
    sent: VecDeque<Sent>,
    /// The hop to ask.
    ttl: u8,
    /// The probes to this hop that brought no answer.
    tries: u8,
    /// The probes in a row that the system did not send.
    failures: u8,
    /// The last report that a probe to this hop is too big.
    too_big: Option<Cause>,
    /// The last rejection at the nearest hop, since a probe got farther.
    rejection: Option<Rejection>,
    /// The TTLs of the samples to take; `None` while the path is traced.
    samples: Option<VecDeque<u8>>,
}

/// A probe that was sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    seq: u32,
    ttl: u8,
    pub(super) at: Duration,
    state: State,
}

impl Sent {
    /// Returns whether it timed out, but an answer to it may still arrive.
    fn may_be_answered(&self, now: Duration, plan: &TracePlan) -> bool {
        self.state == State::TimedOut
            && now < self.at.saturating_add(plan.timeout.saturating_mul(2))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    InFlight,
    TimedOut,
    Answered,
}

/// A report that somebody does not let a probe pass, whatever its size.
#[derive(Clone, Copy, Debug)]
struct Rejection {
    ttl: u8,
    cause: Cause,
    router: Option<IpAddr>,
    rtt: Option<Duration>,
    /// The number of rejections up to this one.
    count: u8,
}

/// What an answer says.
#[derive(Clone, Copy, Debug)]
pub(super) enum Answer {
    Router(IpAddr),
    Target { address: IpAddr, greeted: bool },
    TooBig { cause: Cause, router: Option<IpAddr>, mtu: Option<u32> },
    Unreachable { cause: Cause, router: Option<IpAddr> },
}

impl Flow {
    pub(super) fn new(flow: usize) -> Self {
        Self {
            path: Path { flow, hops: Vec::new(), end: PathEnd::Unfinished },
            ready: Duration::ZERO,
            sent: VecDeque::new(),
            ttl: 1,
            tries: 0,
            failures: 0,
            too_big: None,
            rejection: None,
            samples: None,
        }
    }

    /// Returns since when a probe may be sent, if it may be sent now.
    pub(super) fn ready_at(&self, now: Duration) -> Option<Duration> {
        (self.in_flight().is_none() && self.ready <= now).then_some(self.ready)
    }

    pub(super) fn in_flight(&self) -> Option<&Sent> {
        self.sent.back().filter(|sent| sent.state == State::InFlight)
    }

    /// Records a probe, and returns its TTL.
    pub(super) fn send(&mut self, seq: u32, now: Duration) -> u8 {
        let sample = self.samples.as_mut().and_then(VecDeque::pop_front);
        let ttl = sample.unwrap_or(self.ttl);
        if self.sent.len() == REMEMBERED {
            self.sent.pop_front();
        }
        self.sent.push_back(Sent { seq, ttl, at: now, state: State::InFlight });
        ttl
    }

    pub(super) fn sent_mut(&mut self, seq: u32) -> Option<&mut Sent> {
        self.sent.iter_mut().find(|sent| sent.seq == seq)
    }

    pub(super) fn not_sent(&mut self, seq: u32, now: Duration, plan: &TracePlan) {
        if self.in_flight().is_none_or(|sent| sent.seq != seq) {
            return;
        }
        self.sent.pop_back();
        self.failures = self.failures.saturating_add(1);
        self.ready = now.saturating_add(plan.timeout);
        if self.failures >= plan.tries.get() {
            match &mut self.samples {
                None => self.path.end = PathEnd::NotSent,
                Some(samples) => samples.clear(),
            }
        }
    }

    /// Returns the probe that an error without a token is about, if there is only one.
    pub(super) fn only_candidate(&self, now: Duration, plan: &TracePlan) -> Option<u32> {
        let in_flight = self.in_flight()?;
        let is_other = |sent: &Sent| sent.ttl != in_flight.ttl && sent.may_be_answered(now, plan);
        (!self.sent.iter().any(is_other)).then_some(in_flight.seq)
    }

    /// Returns how long the answer to a probe took; `None` if it may answer an earlier probe to the
    /// same hop, because it has no token.
    pub(super) fn rtt(
        &self,
        seq: u32,
        has_token: bool,
        now: Duration,
        plan: &TracePlan,
    ) -> Option<Duration> {
        let probe = self.sent.iter().find(|sent| sent.seq == seq)?;
        let is_other = |sent: &Sent| sent.ttl == probe.ttl && sent.may_be_answered(now, plan);
        let is_certain = has_token || !self.sent.iter().any(is_other);
        is_certain.then(|| now.saturating_sub(probe.at))
    }

    /// Records an answer to a probe. Returns the number of the hop that answered, if it is the first
    /// answer to a probe that is still remembered.
    pub(super) fn answer(
        &mut self,
        seq: u32,
        answer: Answer,
        rtt: Option<Duration>,
        plan: &TracePlan,
    ) -> Option<u8> {
        let sent = self.sent_mut(seq).filter(|sent| sent.state != State::Answered)?;
        // If it may be the answer to another probe, this one's may still arrive.
        sent.state = if rtt.is_some() { State::Answered } else { State::TimedOut };
        let ttl = sent.ttl;
        self.failures = 0;
        match answer {
            Answer::Router(router) => self.passed(ttl, router, rtt, plan),
            Answer::Target { address, greeted } => self.reached(ttl, address, rtt, greeted),
            Answer::TooBig { cause, router, mtu } => {
                let router = router.and_then(|router| self.path.reporter_mut(ttl, router));
                if let Some(router) = router {
                    router.mtu = mtu.or(router.mtu);
                }
                self.too_big(ttl, cause, plan);
            }
            Answer::Unreachable { cause, router } => {
                let count = self.rejection.map_or(0, |before| before.count).saturating_add(1);
                self.rejected(Rejection { ttl, cause, router, rtt, count }, plan);
            }
        }
        Some(ttl)
    }

    /// A router of the path answered.
    fn passed(&mut self, ttl: u8, router: IpAddr, rtt: Option<Duration>, plan: &TracePlan) {
        if matches!(self.path.end, PathEnd::Reached { .. } | PathEnd::Unreachable(_))
            && usize::from(ttl) > self.path.hops.len()
        {
            return;
        }
        if let Some(router) = self.path.hop_mut(ttl).router_mut(router) {
            router.rtts.extend(rtt);
        }
        self.rejection = self.rejection.filter(|rejection| rejection.ttl > ttl);
        if self.path.end == PathEnd::Unfinished && ttl == self.ttl {
            self.advance(plan);
        }
    }

    /// The server answered: it is at most at this hop.
    fn reached(&mut self, ttl: u8, address: IpAddr, rtt: Option<Duration>, greeted: bool) {
        let is_known = matches!(self.path.end, PathEnd::Reached { .. });
        let before = self.path.end == PathEnd::Reached { greeted: true };
        let last = self.path.hops.len();
        // An error from a nearer hop does not move a greeting there.
        if is_known && usize::from(ttl) > last || before && !greeted && usize::from(ttl) < last {
            return;
        }
        self.path.hop_mut(ttl);
        self.path.hops.truncate(ttl.into());
        if let Some(router) = self.path.hop_mut(ttl).router_mut(address) {
            router.rtts.extend(rtt);
        }
        self.path.end = PathEnd::Reached { greeted: greeted || before };
    }

    /// Somebody does not let the probe pass, because it is too big. The system then may send smaller
    /// fragments, so the hop is asked again.
    fn too_big(&mut self, ttl: u8, cause: Cause, plan: &TracePlan) {
        if self.path.end == PathEnd::Unfinished && ttl == self.ttl {
            self.too_big = Some(cause);
            self.count_try(plan.tries.get(), plan);
        }
    }

    /// Somebody does not let the probe pass, whatever its size. Others may pass, so the hop is asked
    /// again.
    fn rejected(&mut self, mut rejection: Rejection, plan: &TracePlan) {
        let is_open = !matches!(self.path.end, PathEnd::Reached { .. } | PathEnd::Unreachable(_));
        if !is_open || self.path.is_known_behind(rejection.ttl) {
            return;
        }
        let ttl = rejection.ttl;
        if let Some(nearer) = self.rejection.filter(|before| before.ttl < ttl) {
            rejection = Rejection { count: rejection.count, ..nearer };
        }
        self.rejection = Some(rejection);
        if self.path.end != PathEnd::Unfinished || rejection.count >= plan.tries.get() {
            self.end_by(rejection);
        } else if ttl == self.ttl {
            self.count_try(plan.tries.get(), plan);
        }
    }

    /// Ends the path where probes are rejected.
    fn end_by(&mut self, Rejection { ttl, cause, router, rtt, .. }: Rejection) {
        self.path.hops.truncate(ttl.into());
        if let Some(router) = router.and_then(|router| self.path.reporter_mut(ttl, router)) {
            router.rtts.extend(rtt);
        }
        // The reporter is this host, at the hop before this one, or not known.
        if self.path.hops.get(usize::from(ttl) - 1).is_some_and(Hop::is_silent) {
            self.path.hops.truncate(usize::from(ttl) - 1);
        }
        self.path.end = PathEnd::Unreachable(cause);
    }

    /// Ends the wait for the probe in flight if its timeout is over.
    pub(super) fn expire(&mut self, now: Duration, plan: &TracePlan, answered: &[bool; 256]) {
        let Some(sent) = self.sent.back_mut().filter(|sent| sent.state == State::InFlight) else {
            return;
        };
        if now < sent.at.saturating_add(plan.timeout) {
            return;
        }
        sent.state = State::TimedOut;
        let (ttl, at) = (sent.ttl, sent.at);
        self.failures = 0;
        if self.path.end == PathEnd::Unfinished || usize::from(ttl) <= self.path.hops.len() {
            let hop = self.path.hop_mut(ttl);
            hop.unanswered = hop.unanswered.saturating_add(1);
        }
        if self.path.end == PathEnd::Unfinished && ttl == self.ttl {
            let is_known = answered[usize::from(ttl)] && self.rejection.is_none();
            if is_known {
                self.ready = at.saturating_add(KNOWN_HOP_SPACING);
            }
            let tries = if is_known { plan.known_hop_tries } else { plan.tries };
            self.count_try(tries.get(), plan);
        }
    }

    /// Counts a probe without an answer, and goes on to the next hop after `max` of them.
    fn count_try(&mut self, max: u8, plan: &TracePlan) {
        self.tries = self.tries.saturating_add(1);
        if self.tries < max {
            return;
        }
        match (self.rejection, self.too_big) {
            (Some(rejection), _) => self.end_by(rejection),
            (None, Some(cause)) => self.path.end = PathEnd::Unreachable(cause),
            (None, None) => self.advance(plan),
        }
    }

    fn advance(&mut self, plan: &TracePlan) {
        if self.path.silent_at_end() >= plan.max_silent_hops.get().into() {
            self.path.end = PathEnd::Silent;
        } else if self.ttl >= plan.max_hops.get() {
            self.path.end = PathEnd::MaxHops;
        } else {
            self.ttl += 1;
        }
        (self.tries, self.too_big) = (0, None);
    }

    /// Returns whether nothing is left to send or to wait for.
    pub(super) fn is_ended(&self) -> bool {
        match &self.samples {
            None => self.path.end != PathEnd::Unfinished,
            Some(samples) => samples.is_empty() && self.in_flight().is_none(),
        }
    }

    /// Returns whether it asks a hop more often than one that answered nobody.
    pub(super) fn is_patient(&self, plan: &TracePlan) -> bool {
        self.tries >= plan.tries.get()
    }

    pub(super) fn is_sampled(&self) -> bool {
        self.samples.is_some()
    }

    /// Begins the samples of a path that is known. Returns whether there are any to take.
    pub(super) fn begin_samples(&mut self, samples: NonZeroU8) -> bool {
        if self.samples.is_some() {
            return false;
        }
        let ttls = |_| self.path.hops.iter().filter(|hop| !hop.is_silent()).map(|hop| hop.ttl);
        let samples = VecDeque::from_iter((1..samples.get()).flat_map(ttls));
        let any = !samples.is_empty();
        self.samples = Some(samples);
        any
    }

    /// Forgets the probes: the path does not change any more.
    pub(super) fn finish(&mut self) {
        self.sent = VecDeque::new();
    }
}

/// The shortest time between tries at a hop that answered another flow: Linux limits a router to one
/// error per second.
const KNOWN_HOP_SPACING: Duration = Duration::from_secs(1);

/// The number of probes of a flow that are remembered.
const REMEMBERED: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_that_the_system_does_not_send_end_after_as_many_failures_as_tries() {
        let (plan, second) = (TracePlan::default(), Duration::from_secs(1));
        let mut flow = Flow::new(0);
        flow.send(0, Duration::ZERO);
        let answer = Answer::Target { address: [10, 80, 4, 2].into(), greeted: true };
        flow.answer(0, answer, Some(second), &plan);
        let end = flow.path.end;
        assert!(flow.is_ended() && flow.begin_samples(NonZeroU8::MAX));
        for failures in 1..=plan.tries.get() {
            assert!(!flow.is_ended(), "{failures}");
            flow.send(failures.into(), second * failures.into());
            flow.not_sent(failures.into(), second * failures.into(), &plan);
        }
        // What is known remains.
        assert_eq!((flow.is_ended(), flow.path.end), (true, end));
    }
}

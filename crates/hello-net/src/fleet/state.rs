//! The core of a fleet, without sockets and clocks.

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use hello_measure::{Cause, CompactRecord, Reachability, ReplyKind, quoted_token};
use hello_proto::Token;

use super::Fleet;
use super::event::{FleetEvent, FleetEventKind};
use super::handle::{FleetCounts, TargetId};
use super::plan::{FleetError, FleetPlan};
use super::target::{Schedule, Target};
use crate::requester::NotSent;

/// The targets, and what is due for them.
#[derive(Debug)]
pub(super) struct State {
    plan: FleetPlan,
    targets: BTreeMap<TargetId, Target>,
    by_run_id: HashMap<u16, TargetId>,
    by_address: HashMap<SocketAddr, Vec<TargetId>>,
    next_id: u64,
    /// The fraction of the interval at which the next new target's probes are due.
    phase: u32,
    /// When the run started.
    start: Option<Duration>,
    /// The due time of each target's next probe. Removed targets stay in it until then.
    due: BinaryHeap<Reverse<(Duration, TargetId)>>,
    /// A time for each target with probes in flight, at which or after which the first of them is lost.
    timeouts: BinaryHeap<Reverse<(Duration, TargetId)>>,
    in_flight: u64,
    events: VecDeque<FleetEvent>,
    pub(super) counts: FleetCounts,
    /// Whether a round of the loop began since somebody last looked.
    pub(super) has_progressed: bool,
}

/// A probe to send now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Probe {
    pub(super) target: TargetId,
    pub(super) to: SocketAddr,
    pub(super) token: Token,
}

impl State {
    /// Creates a fleet without targets. `phase` spreads the probes of several fleets.
    pub(super) fn new(plan: &FleetPlan, phase: u16) -> Self {
        Self {
            plan: plan.clone(),
            targets: BTreeMap::new(),
            by_run_id: HashMap::new(),
            by_address: HashMap::new(),
            next_id: 0,
            phase: u32::from(phase) << 16,
            start: None,
            due: BinaryHeap::new(),
            timeouts: BinaryHeap::new(),
            in_flight: 0,
            events: VecDeque::new(),
            counts: FleetCounts::default(),
            has_progressed: false,
        }
    }

    /// Starts the run. The targets that were added before are due within an interval.
    pub(super) fn start(&mut self, now: Duration) {
        self.start = Some(now);
        let ids = Vec::from_iter(self.targets.keys().copied());
        ids.into_iter().for_each(|id| self.schedule(id, now));
    }

    /// Adds a target, with a run id of its own that `draw` draws.
    pub(super) fn add(
        &mut self,
        now: Duration,
        address: Option<SocketAddr>,
        mut draw: impl FnMut() -> u16,
    ) -> Result<TargetId, FleetError> {
        if self.targets.len() >= Fleet::MAX_TARGETS {
            return Err(FleetError::TooManyTargets { max: Fleet::MAX_TARGETS });
        }
        let mut run_id = draw();
        while self.by_run_id.contains_key(&run_id) {
            run_id = run_id.wrapping_add(draw() | 1);
        }
        let id = TargetId(self.next_id);
        self.next_id += 1;
        let schedule = Schedule::new(now, 0, &self.plan, None);
        self.targets.insert(id, Target::new(None, run_id, &self.plan, schedule));
        self.by_run_id.insert(run_id, id);
        self.set_address(id, address);
        if self.start.is_some() {
            self.schedule(id, now);
        }
        Ok(id)
    }

    /// Removes a target, and returns its record.
    pub(super) fn remove(&mut self, id: TargetId) -> Option<CompactRecord> {
        self.set_address(id, None);
        let target = self.targets.remove(&id)?;
        self.by_run_id.remove(&target.run_id);
        self.in_flight -= target.record.counts().in_flight();
        Some(target.record)
    }

    pub(super) fn set_address(&mut self, id: TargetId, address: Option<SocketAddr>) {
        let address = address.map(reachable);
        let Some(target) = self.targets.get_mut(&id).filter(|target| target.address != address)
        else {
            return;
        };
        if let Some(before) = target.address
            && let Some(ids) = self.by_address.get_mut(&before)
        {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_address.remove(&before);
            }
        }
        target.set_address(address);
        if let Some(address) = address {
            self.by_address.entry(address).or_default().push(id);
        }
    }

    pub(super) fn record(&self, id: TargetId) -> Option<&CompactRecord> {
        self.targets.get(&id).map(|target| &target.record)
    }

    pub(super) fn records(&self) -> impl Iterator<Item = (TargetId, &CompactRecord)> {
        self.targets.iter().map(|(id, target)| (*id, &target.record))
    }

    /// Returns the most probes that are sent at once: more would be a burst after a stall.
    pub(super) fn max_burst(&self) -> usize {
        let per_tick = self.targets.len() as u128 * self.plan.tick().as_nanos()
            / self.plan.interval.as_nanos();
        usize::try_from(2 * per_tick).unwrap_or(usize::MAX).max(MIN_BURST)
    }

    /// Returns the next probe to send at `now`, and records those due that cannot be sent. Call
    /// [`handle_sent`](Self::handle_sent) or [`handle_failed`](Self::handle_failed) for it before the
    /// next call.
    pub(super) fn poll_due(&mut self, now: Duration) -> Option<Probe> {
        loop {
            let Reverse((_, id)) = *self.due.peek().filter(|Reverse((due, _))| *due <= now)?;
            self.due.pop();
            let mut taken = None;
            self.update(id, now, |target| {
                taken = target.take_due(now);
                if let Some(Err(reason)) = taken {
                    target.record.not_sent(reason.label(), 1);
                }
                0
            });
            let due = self.targets.get(&id).and_then(Target::due);
            self.due.extend(due.map(|due| Reverse((due, id))));
            if let Some(Ok((token, to))) = taken {
                return Some(Probe { target: id, to, token });
            }
        }
    }

    /// Records that a probe was sent.
    pub(super) fn handle_sent(&mut self, probe: Probe, now: Duration) {
        if let Some(target) = self.targets.get_mut(&probe.target) {
            target.handle_sent(self.plan.name_len, now);
            self.in_flight += 1;
            if !std::mem::replace(&mut target.has_timeout, true) {
                let timeout = now.saturating_add(self.plan.timeout);
                self.timeouts.push(Reverse((timeout, probe.target)));
            }
        }
    }

    /// Records that a probe could not be sent.
    pub(super) fn handle_failed(&mut self, probe: Probe, reason: NotSent, now: Duration) {
        self.update(probe.target, now, |target| {
            target.record.not_sent(reason.label(), 1);
            0
        });
    }

    /// Records a received datagram, for the target whose probe it answers or whose address it is from.
    pub(super) fn handle_datagram(&mut self, source: SocketAddr, datagram: &[u8], now: Duration) {
        let token = self.plan.peer.decode_name(datagram).ok().and_then(Token::decode);
        let id = match token {
            Some(token) => self.sent_to(token, source),
            None => self.only_at(source),
        };
        let Some(id) = id else {
            self.counts.unsolicited += 1;
            return;
        };
        self.update(id, now, |target| {
            let reply = target.ledger.handle_datagram(datagram, now);
            target.record.received(reply);
            u64::from(matches!(reply, ReplyKind::Answered { .. }))
        });
    }

    /// Records an ICMP error about a datagram to `destination`.
    pub(super) fn handle_error(
        &mut self,
        quote: &[u8],
        destination: Option<SocketAddr>,
        cause: Cause,
        now: Duration,
    ) {
        let id = match quoted_token(quote, Token::MIN_LEN) {
            Some(token) => match destination {
                Some(destination) => self.sent_to(token, destination),
                None => self.by_run_id.get(&token.run_id).copied(),
            },
            // A router may quote the ports only.
            None if quote.len() < Token::MIN_LEN => destination.and_then(|to| self.only_at(to)),
            None => None,
        };
        let Some(id) = id else {
            self.counts.unattributed += 1;
            return;
        };
        self.update(id, now, |target| {
            let attribution = target.ledger.handle_error(quote, |_| true, cause);
            target.record.network_error(cause, attribution);
            0
        });
    }

    /// Records each probe that is lost at `now`.
    pub(super) fn settle(&mut self, now: Duration) {
        while let Some(Reverse((timeout, id))) = self.timeouts.peek().copied()
            && timeout <= now
        {
            self.update(id, now, |target| {
                let mut lost = 0;
                while let Some(probe) = target.ledger.poll_lost(now) {
                    target.record.lost(probe.cause);
                    lost += 1;
                }
                lost
            });
            self.renew_first_timeout();
        }
    }

    /// Returns when the next probe is due or the next one may be lost.
    pub(super) fn poll_timeout(&mut self, is_sending: bool) -> Option<Duration> {
        while let Some(Reverse((timeout, id))) = self.timeouts.peek() {
            let open = self.targets.get(id).and_then(|target| target.ledger.poll_timeout());
            if open.is_some_and(|open| open <= *timeout) {
                break;
            }
            self.renew_first_timeout();
        }
        let timeout = self.timeouts.peek().map(|Reverse((timeout, _))| *timeout);
        let due = self.due.peek().map(|Reverse((due, _))| *due).filter(|_| is_sending);
        timeout.into_iter().chain(due).min()
    }

    /// Replaces the first timeout by that of the same target's first probe in flight, if there is one.
    fn renew_first_timeout(&mut self) {
        let Some(Reverse((_, id))) = self.timeouts.pop() else { return };
        let Some(target) = self.targets.get_mut(&id) else { return };
        let timeout = target.ledger.poll_timeout();
        target.has_timeout = timeout.is_some();
        self.timeouts.extend(timeout.map(|timeout| Reverse((timeout, id))));
    }

    /// Returns whether no probe is in flight, and none will be sent.
    pub(super) fn is_over(&self, is_sending: bool) -> bool {
        let is_sending = is_sending && !(self.plan.is_bounded() && self.due.is_empty());
        !is_sending && self.in_flight == 0
    }

    /// Returns the next event.
    pub(super) fn poll_event(&mut self) -> Option<FleetEvent> {
        self.events.pop_front()
    }

    /// Sets when the first probe of a target is due. The fractions of the golden ratio are evenly spread,
    /// however many of them there are.
    fn schedule(&mut self, id: TargetId, now: Duration) {
        let Some(target) = self.targets.get_mut(&id) else { return };
        self.phase = self.phase.wrapping_add(GOLDEN_RATIO);
        let end =
            self.plan.duration.zip(self.start).map(|(after, start)| start.saturating_add(after));
        target.set_schedule(Schedule::new(now, self.phase, &self.plan, end));
        self.due.extend(target.due().map(|due| Reverse((due, id))));
    }

    /// Returns the target of a token if its probe was sent to this address.
    fn sent_to(&self, token: Token, address: SocketAddr) -> Option<TargetId> {
        let id = self.by_run_id.get(&token.run_id)?;
        self.targets[id].was_sent_to(address, token.seq).then_some(*id)
    }

    /// Returns the only target at an address.
    fn only_at(&self, address: SocketAddr) -> Option<TargetId> {
        match &self.by_address.get(&address)?[..] {
            [id] => Some(*id),
            _ => None,
        }
    }

    /// Changes a target, and notes whether it became unreachable or answers again. `change` returns how
    /// many of its probes are no longer in flight.
    fn update(&mut self, id: TargetId, now: Duration, change: impl FnOnce(&mut Target) -> u64) {
        let Some(target) = self.targets.get_mut(&id) else { return };
        let before = target.record.reachability();
        self.in_flight -= change(target);
        let kind = match (before, target.record.reachability()) {
            (before, after) if before == after => return,
            (_, Reachability::Unreachable) => {
                FleetEventKind::Unreachable { cause: target.record.last_cause() }
            }
            (Reachability::Unreachable, Reachability::Answering) => FleetEventKind::Answering,
            _ => return,
        };
        let at = now.saturating_sub(self.start.unwrap_or(now));
        self.events.push_back(FleetEvent { at, target: id, kind });
    }
}

/// Makes an address one that replies come from: an unspecified one means this host, and an IPv4 address
/// may be written as an IPv6 one.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip().to_canonical() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    match (address, ip) {
        (SocketAddr::V6(address), IpAddr::V6(ip)) => {
            SocketAddrV6::new(ip, address.port(), 0, address.scope_id()).into()
        }
        _ => (ip, address.port()).into(),
    }
}

/// The fractional part of the golden ratio, in fractions of 2^32.
const GOLDEN_RATIO: u32 = 0x9e37_79b9;

/// The most probes that are always sent at once.
const MIN_BURST: usize = 64;

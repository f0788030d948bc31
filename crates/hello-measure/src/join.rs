pub(crate) mod capture;
pub(crate) mod datagram;
pub(crate) mod probe;
mod settle;
pub(crate) mod summary;
#[cfg(test)]
mod tests;
pub(crate) mod verdict;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use hello_proto::{Peer, Token};

use self::capture::CaptureSpan;
use self::datagram::{CapturedDatagram, Form, Name};
use self::probe::{Probe, ProbeOutcome};
use self::settle::Settlement;
use self::summary::JoinSummary;
use self::verdict::JoinVerdict;

/// Joins a run of probes with a capture taken at the server: where was each lost probe lost, and each
/// late one delayed?
///
/// Pass in each probe with its outcome, then each datagram of the capture, in any order. A probe's
/// token identifies its request and its reply. Datagrams of others, duplicates, and the copies that
/// several interfaces show of one packet change nothing. Time and memory are constant for each
/// datagram.
///
/// # Proof
///
/// A reply in the capture proves that the server sent it, whatever else the capture lacks: if the run
/// has no reply, and lacks no lines, it was lost on the way back. That a packet is *not* in the capture is a proof only if
/// the capture has all others: the request and the reply of every probe that was answered, in time or
/// late, because these certainly passed the server; no packet that it counts as dropped or cut before
/// the token; and packets from before the probe was sent until the timeout after it. One of these
/// missing turns every verdict that rests on absence into [`Place::Unknown`].
///
/// The TTLs of the replies show a capture that was taken at a router instead, where a missing reply does
/// not prove that the server sent none.
///
/// A capture that lacks packets of lost probes only, and counts no drops, looks complete and is not.
///
/// ```
/// use std::time::Duration;
/// use hello_measure::{CaptureSpan, CapturedDatagram, Join, JoinPlan, Place, ProbeOutcome};
/// use hello_proto::{Peer, Request, Token};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (client, server) = (([192, 0, 2, 1], 50_000).into(), ([192, 0, 2, 2], 9999).into());
/// let mut join = Join::new(JoinPlan {
///     run_id: 7,
///     peer: Peer::Hello,
///     name_len: 16,
///     timeout: Duration::from_secs(1),
///     server,
///     local: vec![client],
/// });
/// join.handle_probe(1, 0, Duration::ZERO, ProbeOutcome::Lost);
///
/// let mut name = [0; 16];
/// Token { run_id: 7, seq: 1 }.encode(&mut name)?;
/// let reply = Request::new(&name)?.reply().parts().concat();
/// join.handle_datagram(&CapturedDatagram {
///     at: Duration::from_secs(1000),
///     source: server,
///     destination: client,
///     payload: &reply,
///     len: reply.len(),
///     is_fragment: false,
///     is_outgoing: Some(true),
///     ttl: Some(64),
/// });
/// assert_eq!(join.finish(&CaptureSpan::default()).verdicts[0].place, Place::Back);
/// # Ok(())
/// # }
/// ```
///
/// [`Place::Unknown`]: crate::Place::Unknown
#[derive(Clone, Debug)]
pub struct Join {
    plan: JoinPlan,
    probes: BTreeMap<u32, Probe>,
    /// Where each flow comes from, once it is known.
    sources: Vec<Option<SocketAddr>>,
    /// Whether the capture has the addresses of the run, and not those of a NAT.
    has_own_addresses: bool,
    /// Packets between the two sides that were cut before their token.
    cut: u64,
    /// The time of the capture's clock at the start of the run, if both clocks are synchronised.
    epoch: Option<Duration>,
    /// Requests that arrived at the machine of the capture, and requests that left it.
    arriving: u64,
    leaving: u64,
    /// Whether the run lacks lines about probes.
    lacks_lines: bool,
    /// Whether a reply had a TTL that systems start with, and whether one had another.
    has_initial_ttl: bool,
    has_other_ttl: bool,
}

/// What a run says about itself; see [`Join`].
///
/// ```
/// use std::time::Duration;
/// use hello_measure::JoinPlan;
/// use hello_proto::Peer;
///
/// let plan = JoinPlan {
///     run_id: 0xbeef,
///     peer: Peer::Echo,
///     name_len: 16,
///     timeout: Duration::from_secs(1),
///     server: ([192, 0, 2, 2], 7).into(),
///     local: vec![([192, 0, 2, 1], 50_000).into()],
/// };
/// assert_eq!(plan.local.len(), 1);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinPlan {
    /// The run's number in each token.
    pub run_id: u16,
    /// The kind of the server.
    pub peer: Peer,
    /// The length of each name, in bytes.
    pub name_len: usize,
    /// The time after which an unanswered probe was lost.
    pub timeout: Duration,
    /// The server's address, as the run saw it.
    pub server: SocketAddr,
    /// The source address of each flow, as the run saw it.
    pub local: Vec<SocketAddr>,
}

/// The result of a [`Join`].
///
/// ```
/// use hello_measure::{Joined, JoinSummary};
///
/// let joined = Joined { summary: JoinSummary::default(), verdicts: vec![] };
/// assert_eq!(joined.summary.lost.total(), 0);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Joined {
    /// All probes together.
    pub summary: JoinSummary,
    /// The lost and the late probes, by their sequence numbers.
    pub verdicts: Vec<JoinVerdict>,
}

impl Join {
    /// Creates a join without probes.
    pub fn new(plan: JoinPlan) -> Self {
        let sources = vec![None; plan.local.len()];
        Self {
            plan,
            probes: BTreeMap::new(),
            sources,
            has_own_addresses: false,
            cut: 0,
            epoch: None,
            arriving: 0,
            leaving: 0,
            lacks_lines: false,
            has_initial_ttl: false,
            has_other_ttl: false,
        }
    }

    /// Adds a probe of the run, sent at this time since the start. Call it before you pass in
    /// datagrams. A late reply to a probe that was reported as lost may follow.
    ///
    /// Probes without an outcome, such as those in flight at the end, are left out.
    pub fn handle_probe(&mut self, seq: u32, flow: usize, sent: Duration, outcome: ProbeOutcome) {
        let add = |probe: &mut Probe| probe.merge(flow, sent, outcome);
        self.probes.entry(seq).and_modify(add).or_insert_with(|| Probe::new(flow, sent, outcome));
    }

    /// Sets the time of the capture's clock at the start of the run. Do so only if the clocks of both
    /// machines are synchronised; there are one-way delays then. Those down to a millisecond below zero
    /// count as zero, because the start of a run is known no better.
    pub const fn set_epoch(&mut self, epoch: Duration) {
        self.epoch = Some(epoch);
    }

    /// Notes that the run lacks some of its lines. A probe that it reports as lost may have been late then,
    /// so a reply to it in the capture proves nothing.
    pub const fn handle_suppressed(&mut self) {
        self.lacks_lines = true;
    }

    /// Returns the number of probes.
    pub fn probes(&self) -> usize {
        self.probes.len()
    }

    /// Looks for the probes of the run in a datagram of the capture. Returns whether there is one.
    pub fn handle_datagram(&mut self, datagram: &CapturedDatagram<'_>) -> bool {
        let mut is_ours = false;
        for name in datagram.names(self.plan.peer, self.plan.name_len) {
            match name {
                Name::Of(form, token) => is_ours |= self.handle_token(form, token, datagram),
                Name::Cut => self.cut += u64::from(self.is_between(datagram)),
                Name::Foreign => {}
            }
        }
        is_ours
    }

    /// Settles every lost and every late probe.
    pub fn finish(self, capture: &CaptureSpan) -> Joined {
        Settlement::new(&self, capture).joined()
    }

    fn handle_token(&mut self, form: Form, token: Token, datagram: &CapturedDatagram<'_>) -> bool {
        if token.run_id != self.plan.run_id {
            return false;
        }
        let Some(probe) = self.probes.get(&token.seq) else { return false };
        let flow = probe.flow;
        let Some(is_request) = self.is_request(form, flow, datagram) else { return false };
        let client = if is_request { datagram.source } else { datagram.destination };
        if !self.admit(flow, client) {
            return false;
        }
        if is_request {
            match datagram.is_outgoing {
                Some(true) => self.leaving += 1,
                Some(false) => self.arriving += 1,
                None => {}
            }
        } else if let Some(ttl) = datagram.ttl {
            let is_initial = INITIAL_TTLS.contains(&ttl);
            self.has_initial_ttl |= is_initial;
            self.has_other_ttl |= !is_initial;
        }
        if let Some(probe) = self.probes.get_mut(&token.seq) {
            let sighting = if is_request { &mut probe.request } else { &mut probe.reply };
            sighting.add(datagram.at, datagram.is_fragment);
        }
        true
    }

    /// Returns whether a datagram is a request, and not a reply; `None` if neither its bytes nor its
    /// addresses show it.
    fn is_request(&self, form: Form, flow: usize, datagram: &CapturedDatagram<'_>) -> Option<bool> {
        let (source, destination) = (datagram.source, datagram.destination);
        match form {
            Form::Request => return Some(true),
            Form::Reply => return Some(false),
            Form::Unclear => {}
        }
        let decide = |from_client: bool, from_server: bool| match (from_client, from_server) {
            (true, false) => Some(true),
            (false, true) => Some(false),
            _ => None,
        };
        let (local, server) = (self.plan.local.get(flow), self.plan.server);
        let is_local = |address| local.is_some_and(|local| is_same(*local, address));
        decide(is_local(source), is_local(destination))
            .or_else(|| decide(is_same(server, destination), is_same(server, source)))
            .or_else(|| decide(server.port() == destination.port(), server.port() == source.port()))
    }

    /// Returns whether a flow has this address at the client: that of the run, or the first one that
    /// a NAT gave it. Another one is that of another run with the same number.
    fn admit(&mut self, flow: usize, client: SocketAddr) -> bool {
        let Some(local) = self.plan.local.get(flow) else { return false };
        if is_same(*local, client) {
            if !self.has_own_addresses {
                self.has_own_addresses = true;
                // What had other addresses was not of this run.
                self.probes.values_mut().for_each(Probe::clear);
                (self.arriving, self.leaving) = (0, 0);
                (self.has_initial_ttl, self.has_other_ttl) = (false, false);
            }
            return true;
        }
        let source = &mut self.sources[flow];
        !self.has_own_addresses && is_same(*source.get_or_insert(client), client)
    }

    /// Returns whether the capture was taken at the server: each router takes 1 from the TTL of a reply.
    /// `None` without a reply. A host that forwards to its containers has each reply with both TTLs.
    fn is_at_server(&self) -> Option<bool> {
        (self.has_initial_ttl || self.has_other_ttl).then_some(self.has_initial_ttl)
    }

    /// Returns whether a datagram may be one between the two sides, by its addresses.
    fn is_between(&self, datagram: &CapturedDatagram<'_>) -> bool {
        let ends = [datagram.source, datagram.destination];
        ends.iter().any(|end| {
            is_same(self.plan.server, *end)
                || self.plan.local.iter().any(|local| is_same(*local, *end))
                || self.sources.iter().flatten().any(|source| is_same(*source, *end))
                || end.port() == self.plan.server.port()
        })
    }
}

/// The TTLs and hop limits that systems start with.
const INITIAL_TTLS: [u8; 4] = [32, 64, 128, 255];

/// Returns whether two addresses are equal, in either notation of IPv4 and without their zones.
fn is_same(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() == other.port() && one.ip().to_canonical() == other.ip().to_canonical()
}

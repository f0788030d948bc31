mod flow;
pub(crate) mod path;
pub(crate) mod plan;
pub(crate) mod table;
pub(crate) mod trigger;

#[cfg(test)]
mod network;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use hello_proto::Token;

use self::flow::{Answer, Flow, Sent};
use self::path::Path;
use self::plan::TracePlan;
use super::cause::{Cause, CauseKind};
use super::distance::distance;

/// Finds the paths of several flows at the same time, by probes whose TTL ends on the path.
///
/// A flow is a source port. Routers that balance load choose by addresses and ports, so a probe with
/// a small TTL from the same port follows the flow's own path up to the router where it ends
/// (Augustin et al., "Avoiding traceroute anomalies with Paris traceroute", IMC 2006). The tracer has
/// no socket and no clock: the caller sends each probe with its TTL, and passes in the replies and
/// the ICMP errors.
///
/// ```
/// use std::time::Duration;
/// use hello_measure::{Cause, CauseKind, PathEnd, PathTracer, TracePlan};
/// use hello_proto::Token;
///
/// let (target, router) = ([10, 80, 4, 2].into(), [10, 80, 1, 1].into());
/// let first = Token { run_id: 0xbeef, seq: Token::FIRST_SEQ };
/// let mut tracer = PathTracer::new(target, first, TracePlan::default());
/// tracer.add_flow(0);
///
/// let (mut now, rtt) = (Duration::ZERO, Duration::from_millis(2));
/// while !tracer.is_done() {
///     while let Some(probe) = tracer.poll_probe(now) {
///         // Send the token from the flow's port with `probe.ttl`. The server is at hop 2:
///         let (flow, token) = (probe.flow, probe.token);
///         if probe.ttl < 2 {
///             let cause = Cause { kind: CauseKind::TtlExceeded, reporter: Some(router) };
///             tracer.handle_error(flow, Some(token), cause, now + rtt);
///         } else {
///             tracer.handle_reply(flow, token, now + rtt);
///         }
///     }
///     now = tracer.poll_timeout().unwrap_or(now);
/// }
/// let path = tracer.poll_path().ok_or("no path")?;
/// assert_eq!(path.end, PathEnd::Reached { greeted: true });
/// assert_eq!(path.hops[0].routers[0].address, router);
/// assert_eq!(path.hops[1].routers[0].address, target);
/// # Ok::<(), &str>(())
/// ```
///
/// # Rate limits of routers
///
/// Routers limit how many ICMP errors they send (RFC 1812 section 4.3.2.8). Linux sends a host up to
/// six at once and then one per second (`icmp_ratelimit` in icmp(7)). One answer is enough to know a
/// router, so each hop of each flow is asked until it answers once or its tries are over, and further
/// [samples](TracePlan::samples) are taken after all paths are known. A hop that answered another
/// flow is asked more often than one that answered nobody, and a second apart: it exists. A limited
/// number of flows is traced at the same time, and each has at most one probe in flight.
///
/// # Memory
///
/// Memory depends on the number of flows and hops only. A probe is remembered until its flow sent 16
/// more: a later answer is ignored.
///
/// # Errors that quote too little
///
/// RFC 792 lets routers quote 8 bytes of a datagram, which hold the ports and no token. Such an error
/// is attributed to the probe in flight, unless it may be about one that another hop left unanswered
/// within the last two timeouts. Of these errors, only the end of a TTL counts.
#[derive(Clone, Debug)]
pub struct PathTracer {
    target: IpAddr,
    /// The address that the probes are sent from.
    source: Option<IpAddr>,
    plan: TracePlan,
    /// The token of the next probe.
    next: Token,
    /// The number of probes handed out.
    probes: u64,
    flows: BTreeMap<usize, Flow>,
    /// Flows to trace.
    queued: VecDeque<usize>,
    /// Flows that are traced or sampled now.
    active: Vec<usize>,
    /// Flows with known paths that wait for samples.
    unsampled: VecDeque<usize>,
    /// Flows with results that were not polled.
    finished: VecDeque<usize>,
    /// Whether the hop with this number answered any flow.
    answered: [bool; 256],
    next_send: Duration,
}

/// A probe to send, with a TTL of its own.
///
/// ```
/// use std::time::Duration;
/// use hello_measure::{PathTracer, TraceProbe, TracePlan};
/// use hello_proto::Token;
///
/// let token = Token { run_id: 0xbeef, seq: Token::FIRST_SEQ };
/// let mut tracer = PathTracer::new([10, 80, 4, 2].into(), token, TracePlan::default());
/// tracer.add_flow(3);
/// let probe = tracer.poll_probe(Duration::ZERO);
/// assert_eq!(probe, Some(TraceProbe { flow: 3, ttl: 1, token }));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceProbe {
    /// The flow whose source port sends it.
    pub flow: usize,
    /// Its TTL (IPv4) or hop limit (IPv6).
    pub ttl: u8,
    /// The token that its name starts with.
    pub token: Token,
}

impl PathTracer {
    /// Creates a tracer of paths to a server, without flows. Its first probe has the token `first`,
    /// whose run id no other probes may have.
    pub fn new(target: IpAddr, first: Token, plan: TracePlan) -> Self {
        Self {
            target,
            source: None,
            plan,
            next: first,
            probes: 0,
            flows: BTreeMap::new(),
            queued: VecDeque::new(),
            active: Vec::new(),
            unsampled: VecDeque::new(),
            finished: VecDeque::new(),
            answered: [false; 256],
            next_send: Duration::ZERO,
        }
    }

    /// Sets the address that the probes are sent from. An error from it is this host's own, and no hop
    /// of a path.
    ///
    /// ```
    /// use std::time::Duration;
    /// use hello_measure::{Cause, CauseKind, PathEnd, PathTracer, TracePlan};
    /// use hello_proto::Token;
    ///
    /// let (target, own) = ([10, 80, 1, 9].into(), [10, 80, 1, 1].into());
    /// let first = Token { run_id: 0xbeef, seq: Token::FIRST_SEQ };
    /// let mut tracer = PathTracer::new(target, first, TracePlan::default()).with_source(own);
    /// tracer.add_flow(0);
    /// // The neighbour does not answer.
    /// let cause = Cause { kind: CauseKind::HostUnreachable, reporter: Some(own) };
    /// while let Some(now) = tracer.poll_timeout() {
    ///     let probe = tracer.poll_probe(now).ok_or("no probe")?;
    ///     tracer.handle_error(0, Some(probe.token), cause, now);
    /// }
    /// let path = tracer.poll_path().ok_or("no path")?;
    /// assert_eq!((path.end, path.hops.len()), (PathEnd::Unreachable(cause), 0));
    /// # Ok::<(), &str>(())
    /// ```
    #[must_use]
    pub fn with_source(self, source: IpAddr) -> Self {
        Self { source: Some(source), ..self }
    }

    /// Adds a flow to trace. Returns `false` if it was added before: each is traced once.
    pub fn add_flow(&mut self, flow: usize) -> bool {
        let new = !self.flows.contains_key(&flow);
        if new {
            self.flows.insert(flow, Flow::new(flow));
            self.queued.push_back(flow);
        }
        new
    }

    /// Returns the next probe to send; it is in flight from `now` on. Call it until it returns
    /// `None`, and again at [`poll_timeout`](Self::poll_timeout) or after an answer.
    pub fn poll_probe(&mut self, now: Duration) -> Option<TraceProbe> {
        self.expire(now);
        self.activate();
        if now < self.next_send {
            return None;
        }
        let waiting = |number: &&usize| self.flows[*number].ready_at(now).is_some();
        let number = *self
            .active
            .iter()
            .filter(waiting)
            .min_by_key(|number| self.flows[*number].ready_at(now))?;
        let flow = self.flows.get_mut(&number)?;
        let token = self.next;
        let ttl = flow.send(token.seq, now);
        self.next.seq = token.seq.wrapping_add(1);
        self.probes += 1;
        self.next_send = now.saturating_add(self.plan.pace);
        Some(TraceProbe { flow: number, ttl, token })
    }

    /// Records when a probe left, if that is later than it was polled.
    pub fn handle_sent(&mut self, probe: TraceProbe, now: Duration) {
        if let Some(sent) = self.sent_mut(probe.flow, probe.token.seq) {
            sent.at = now;
        }
    }

    /// Records that a probe could not be sent. Its hop is asked again after a timeout; the trace of
    /// the flow ends after a few failures in a row.
    pub fn handle_not_sent(&mut self, probe: TraceProbe, now: Duration) {
        if let Some(flow) = self.flows.get_mut(&probe.flow) {
            flow.not_sent(probe.token.seq, now, &self.plan);
        }
        self.settle(probe.flow);
    }

    /// Records a reply from the server. Returns whether it answers a probe of this trace, of
    /// whatever age.
    pub fn handle_reply(&mut self, flow: usize, token: Token, now: Duration) -> bool {
        self.handle_answer(flow, Some(token), self.target_answer(true), now)
    }

    /// Records an ICMP error that a flow's socket received. `quoted` is the token in the datagram
    /// that the error quotes, if it is complete. Returns whether the error is about a probe of this
    /// trace.
    ///
    /// Pass in an error without a token only if it cannot be about another probe from this port. It
    /// names a router, but ends no path: who knows the port alone can forge it.
    pub fn handle_error(
        &mut self,
        flow: usize,
        quoted: Option<Token>,
        cause: Cause,
        now: Duration,
    ) -> bool {
        let answer = match (cause.kind, cause.reporter) {
            (CauseKind::TtlExceeded, Some(router)) => Answer::Router(router),
            // Nobody is known to have answered.
            (CauseKind::TtlExceeded, None) | (CauseKind::Silent, _) => {
                return quoted.is_some_and(|token| self.is_own(token));
            }
            (CauseKind::Refused, Some(router)) if router == self.target => {
                self.target_answer(false)
            }
            (kind, reporter) => {
                let router = reporter.filter(|reporter| Some(*reporter) != self.source);
                match kind {
                    CauseKind::TooBig { mtu } => Answer::TooBig { cause, router, mtu },
                    _ => Answer::Unreachable { cause, router },
                }
            }
        };
        self.handle_answer(flow, quoted, answer, now)
    }

    /// Returns when [`poll_probe`](Self::poll_probe) is due again, unless an answer arrives; `None`
    /// if the trace is done.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let due = |number: &usize| match self.flows[number].in_flight() {
            Some(sent) => sent.at.saturating_add(self.plan.timeout),
            None => self.flows[number].ready.max(self.next_send),
        };
        let active = self.active.iter().map(due).min();
        let starts = self.startable().then_some(self.next_send);
        active.into_iter().chain(starts).min()
    }

    /// Returns whether each flow was traced.
    pub fn is_done(&self) -> bool {
        self.active.is_empty() && self.queued.is_empty() && self.unsampled.is_empty()
    }

    /// Ends all traces early: no further probe is sent, and [`poll_path`](Self::poll_path) returns each
    /// path as far as it is known.
    pub fn finish(&mut self) {
        let queues = self.queued.drain(..).chain(self.unsampled.drain(..));
        let open = BTreeSet::from_iter(self.active.drain(..).chain(queues));
        self.finished.extend(open);
        self.flows.values_mut().for_each(Flow::finish);
    }

    /// Returns the path of a flow whose trace ended; each once, in the order of their ends.
    pub fn poll_path(&mut self) -> Option<&Path> {
        let number = self.finished.pop_front()?;
        self.flows.get(&number).map(|flow| &flow.path)
    }

    /// Yields the path of each flow as far as it is known, in the order of the flows' numbers.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.flows.values().map(|flow| &flow.path)
    }

    /// Returns whether a token is one of a probe that was handed out.
    fn is_own(&self, token: Token) -> bool {
        distance(self.next, self.probes, token).is_some()
    }

    fn target_answer(&self, greeted: bool) -> Answer {
        Answer::Target { address: self.target, greeted }
    }

    fn handle_answer(
        &mut self,
        number: usize,
        token: Option<Token>,
        answer: Answer,
        now: Duration,
    ) -> bool {
        if token.is_some_and(|token| !self.is_own(token)) {
            return false;
        }
        let Some(flow) = self.flows.get_mut(&number) else { return token.is_some() };
        let seq = token.map(|token| token.seq).or_else(|| flow.only_candidate(now, &self.plan));
        let Some(seq) = seq else { return false };
        if token.is_none() && !matches!(answer, Answer::Router(_)) {
            return true;
        }
        let rtt = flow.rtt(seq, token.is_some(), now, &self.plan);
        if let Some(ttl) = flow.answer(seq, answer, rtt, &self.plan) {
            self.answered[usize::from(ttl)] = true;
        }
        self.settle(number);
        true
    }

    fn sent_mut(&mut self, flow: usize, seq: u32) -> Option<&mut Sent> {
        self.flows.get_mut(&flow)?.sent_mut(seq)
    }

    /// Ends the wait for each probe that timed out.
    fn expire(&mut self, now: Duration) {
        for number in self.active.clone() {
            if let Some(flow) = self.flows.get_mut(&number) {
                flow.expire(now, &self.plan, &self.answered);
            }
            self.settle(number);
        }
    }

    /// Moves a flow on whose trace or samples are complete.
    fn settle(&mut self, number: usize) {
        let Some(flow) = self.flows.get_mut(&number) else { return };
        let Some(index) = self.active.iter().position(|active| *active == number) else { return };
        if !flow.is_ended() {
            return;
        }
        self.active.remove(index);
        if flow.begin_samples(self.plan.samples) {
            self.unsampled.push_back(number);
        } else {
            flow.finish();
            self.finished.push_back(number);
        }
    }

    /// Begins as many flows as may be traced at the same time.
    fn activate(&mut self) {
        while self.startable() {
            let next = self.queued.pop_front().or_else(|| self.unsampled.pop_front());
            self.active.extend(next);
        }
    }

    /// Returns whether a flow may begin. Samples wait until all paths are known, and further flows
    /// while a flow tries again and again: they would cost it the answers.
    fn startable(&self) -> bool {
        let mut active = self.active.iter().map(|number| &self.flows[number]);
        self.active.len() < usize::from(self.plan.concurrent.get())
            && match self.queued.is_empty() {
                true => !self.unsampled.is_empty() && active.all(Flow::is_sampled),
                false => !active.any(|flow| flow.is_patient(&self.plan)),
            }
    }
}

//! A network that routers of the tests make up, with an independent idea of each true path.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use hello_proto::Token;

use super::path::{Path, PathEnd};
use super::plan::TracePlan;
use super::{PathTracer, TraceProbe};
use crate::cause::{Cause, CauseKind};

pub(super) const TARGET: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 99, 0, 1));
pub(super) const FIRST: Token = Token { run_id: 0xbeef, seq: u32::MAX - 20 };

/// What the server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Server {
    Greets,
    Refuses,
    Silent,
}

#[derive(Clone, Debug)]
pub(super) struct Router {
    pub(super) silent: bool,
    /// Whether errors quote 8 bytes only.
    pub(super) quotes_little: bool,
    /// Whether it limits its errors as Linux does: six, and then one per second.
    pub(super) limited: bool,
    /// The probability that it loses a packet, in per cent.
    pub(super) loss: u64,
    /// The kind of error with which it rejects what it does not drop for its TTL.
    pub(super) rejects: Option<CauseKind>,
    /// Errors that it may still send, and since when.
    pub(super) tokens: (f64, Duration),
}

impl Router {
    pub(super) const PLAIN: Self = Self {
        silent: false,
        quotes_little: false,
        limited: false,
        loss: 0,
        rejects: None,
        tokens: (6.0, Duration::ZERO),
    };
    pub(super) const LINUX: Self = Self { limited: true, ..Self::PLAIN };

    fn answers(&mut self, now: Duration) -> bool {
        if self.silent {
            return false;
        }
        let (tokens, since) = self.tokens;
        let tokens = (tokens + (now - since).as_secs_f64()).min(6.0);
        let answers = !self.limited || tokens >= 1.0;
        self.tokens = (if answers { tokens - 1.0 } else { tokens }, now);
        answers
    }
}

#[derive(Debug)]
pub(super) struct Network {
    pub(super) routers: Vec<Router>,
    /// The routers on the path of each flow.
    pub(super) paths: Vec<Vec<usize>>,
    pub(super) server: Server,
    /// The probability that an answer arrives twice, or after the timeout, in per cent.
    pub(super) duplicated: u64,
    pub(super) delayed: u64,
    pub(super) random: u64,
    pub(super) sent: usize,
}

/// Something that arrives.
#[derive(Clone, Copy, Debug)]
enum Arrival {
    Reply(usize, Token),
    Error(usize, Option<Token>, Cause),
}

impl Network {
    pub(super) fn new(routers: Vec<Router>, paths: Vec<Vec<usize>>) -> Self {
        let (server, random) = (Server::Greets, 1);
        Self { routers, paths, server, duplicated: 0, delayed: 0, random, sent: 0 }
    }

    pub(super) fn address(router: usize) -> IpAddr {
        Ipv4Addr::new(10, 1, 0, u8::try_from(router).expect("few routers")).into()
    }

    /// Traces all flows, and returns the tracer and how long that took. Checks that no flow has two
    /// probes in flight, and that the tracer neither spins nor stops.
    pub(super) fn trace(&mut self, plan: TracePlan) -> (PathTracer, Duration) {
        self.routers.iter_mut().for_each(|router| router.tokens = Router::PLAIN.tokens);
        self.sent = 0;
        let mut tracer = PathTracer::new(TARGET, FIRST, plan);
        for flow in 0..self.paths.len() {
            assert!(tracer.add_flow(flow));
        }
        let mut now = Duration::ZERO;
        let mut arrivals = BTreeMap::<(Duration, u64), Arrival>::new();
        let mut in_flight = BTreeMap::<usize, (Token, Duration)>::new();
        let mut idle = 0;
        while let Some(due) = tracer.poll_timeout() {
            let arrival = arrivals.first_key_value().map(|((at, _), _)| *at);
            now = now.max(arrival.map_or(due, |at| at.min(due)));
            idle += 1;
            while let Some(entry) = arrivals.first_entry().filter(|entry| entry.key().0 <= now) {
                idle = 0;
                match entry.remove() {
                    Arrival::Reply(flow, token) => {
                        assert!(tracer.handle_reply(flow, token, now));
                        if in_flight.get(&flow).is_some_and(|(last, _)| *last == token) {
                            in_flight.remove(&flow);
                        }
                    }
                    Arrival::Error(flow, token, cause) => {
                        let own = tracer.handle_error(flow, token, cause, now);
                        assert!(own || token.is_none());
                        if token.is_none_or(|token| {
                            in_flight.get(&flow).is_some_and(|(last, _)| *last == token)
                        }) {
                            in_flight.remove(&flow);
                        }
                    }
                }
            }
            while let Some(probe) = tracer.poll_probe(now) {
                idle = 0;
                self.sent += 1;
                let before = in_flight.insert(probe.flow, (probe.token, now));
                let is_over = |(_, at): (Token, Duration)| now >= at + plan.timeout;
                assert!(before.is_none_or(is_over), "two probes in flight: {probe:?}");
                for (at, arrival) in self.answers(probe, now) {
                    arrivals.insert((at, self.random()), arrival);
                }
            }
            assert!(idle < 1000, "no progress at {now:?}: {tracer:?}");
        }
        assert!(tracer.is_done());
        (tracer, now)
    }

    fn answers(&mut self, probe: TraceProbe, now: Duration) -> Vec<(Duration, Arrival)> {
        let Some(arrival) = self.arrival(probe, now) else { return Vec::new() };
        let rtt = Duration::from_millis(2 * u64::from(probe.ttl));
        let late = if self.chance(self.delayed) { self.random() % 1900 } else { 0 };
        let mut answers = vec![(now + rtt + Duration::from_millis(late), arrival)];
        if self.chance(self.duplicated) && !matches!(arrival, Arrival::Error(_, None, _)) {
            answers.push((answers[0].0 + rtt, arrival));
        }
        answers
    }

    /// Returns what a probe brings back.
    fn arrival(&mut self, probe: TraceProbe, now: Duration) -> Option<Arrival> {
        let TraceProbe { flow, ttl, token } = probe;
        let path = self.paths[flow].clone();
        for (router, hop) in path.into_iter().zip(1_u8..) {
            let Router { quotes_little, loss, rejects, .. } = self.routers[router];
            if self.chance(loss) {
                return None;
            }
            let kind = if hop == ttl { Some(CauseKind::TtlExceeded) } else { rejects };
            if let Some(kind) = kind {
                let reporter = Some(Self::address(router));
                let quoted = (!quotes_little).then_some(token);
                let error = Arrival::Error(flow, quoted, Cause { kind, reporter });
                return self.routers[router].answers(now).then_some(error);
            }
        }
        let refused = Cause { kind: CauseKind::Refused, reporter: Some(TARGET) };
        match self.server {
            Server::Greets => Some(Arrival::Reply(flow, token)),
            Server::Refuses => Some(Arrival::Error(flow, Some(token), refused)),
            Server::Silent => None,
        }
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.random() % 100 < percent
    }

    /// Marsaglia's xorshift.
    pub(super) fn random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random >> 33
    }

    /// Checks that a path has nothing in it that is not true.
    pub(super) fn check(&self, path: &Path) {
        let truth = &self.paths[path.flow];
        for (index, hop) in path.hops.iter().enumerate() {
            assert_eq!(usize::from(hop.ttl), index + 1);
            let here = BTreeSet::from_iter(hop.routers.iter().map(|router| router.address));
            let true_one = truth.get(index).map(|router| Self::address(*router));
            let expected = true_one.unwrap_or(TARGET);
            assert!(here.iter().all(|it| *it == expected), "{expected} is at {hop:?} of {path:?}");
        }
        match path.end {
            PathEnd::Reached { greeted } => {
                assert_eq!(greeted, self.server == Server::Greets);
                let last = path.hops.last().expect("the server's hop");
                assert_eq!(last.routers.first().map(|router| router.address), Some(TARGET));
            }
            PathEnd::Unreachable(cause) => {
                let by = |router: &&usize| Some(Self::address(**router)) == cause.reporter;
                let router = *truth.iter().find(by).expect("a router of the path");
                assert_eq!(self.routers[router].rejects, Some(cause.kind));
            }
            PathEnd::Silent | PathEnd::MaxHops => {}
            PathEnd::NotSent | PathEnd::Unfinished => panic!("{path:?}"),
        }
    }

    /// Returns whether all of a path is known.
    pub(super) fn is_complete(&self, path: &Path) -> bool {
        path.is_complete() && path.hops.len() == self.paths[path.flow].len() + 1
    }
}

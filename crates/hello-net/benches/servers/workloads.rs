//! What the servers are asked for, and which of them are compared.

use std::fmt;

use crate::buffers;
use crate::peers::Peer;

/// Work for servers, and whom to compare at it.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    pub(crate) kind: Kind,
    /// How many clients ask.
    pub(crate) sources: usize,
    /// The length of each name, in bytes.
    pub(crate) len: usize,
    /// How many requests a message has. With several it is a train (UDP_SEGMENT), and the clients
    /// take trains (UDP_GRO).
    pub(crate) train: usize,
    /// How many requests an episode has; their datagrams and the replies fit the buffers.
    pub(crate) requests: usize,
    pub(crate) peers: &'static [Peer],
    /// The one that the others are compared to.
    pub(crate) reference: Peer,
    /// A ratio to be reached: of whom, to whom, at most.
    pub(crate) targets: &'static [(Peer, Peer, f64)],
}

/// How the requests come, and what is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// All at once while the server is stopped: processor time for each reply.
    Queue,
    /// The same as `Queue`, with the guard on and off, and with a limit besides.
    Guard,
    /// The same as `Queue`, with one worker and two on two processors, with a limit and without:
    /// the time from the first reply to the last, by the kernel's timestamps.
    Workers,
    /// The same servers, and processor time for each reply.
    Rate,
    /// One after the other, each when the reply to the one before it is there.
    PingPong(Figure),
}

/// What is measured of a ping-pong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Figure {
    /// The median. Higher percentiles are the machine's: a server differs from itself by more
    /// than from any other.
    RoundTripTime,
    /// Processor time for each reply.
    ProcessorTime,
}

impl Workload {
    pub(crate) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for sources in [256, 16, 1] {
            for len in LENS {
                let targets: &[_] = match (sources, len) {
                    (256, 8) => TARGETS_256,
                    (16, _) => &[(Peer::Hello, Peer::CBatch, 0.66)],
                    (1, 8) => &[(Peer::Hello, Peer::CBatch, 0.45)],
                    (1, 1200) => &[(Peer::Hello, Peer::CBatch, 0.50)],
                    _ => &[],
                };
                all.extend(Self::queue(sources, len, targets).with_common());
            }
        }
        for len in LENS {
            let targets: &[_] = match len {
                8 => &[(Peer::Hello, Peer::CBatch, 0.025)],
                1200 => &[(Peer::Hello, Peer::CBatch, 0.11)],
                _ => &[],
            };
            all.extend(Self::trains(len, targets).with_common());
        }
        all.push(Self {
            kind: Kind::Guard,
            peers: &[Peer::Hello, Peer::HelloLimited, Peer::HelloUnguarded, Peer::HelloAgain],
            reference: Peer::HelloUnguarded,
            ..Self::queue(256, 8, &[(Peer::HelloLimited, Peer::HelloUnguarded, 1.04)])
        });
        let workers = Self {
            kind: Kind::Workers,
            requests: 10_000,
            peers: WORKERS_PEERS,
            reference: Peer::Hello,
            ..Self::queue(256, 8, TARGETS_WORKERS)
        };
        all.push(workers.clone());
        for sources in [16, 1] {
            // 64 full batches for both workers together.
            let (train, requests) = (train(8), 4096 * train(8));
            all.push(Self { sources, train, requests, ..workers.clone() });
        }
        all.push(Self { kind: Kind::Rate, targets: TARGETS_RATE, ..workers });
        for figure in [Figure::RoundTripTime, Figure::ProcessorTime] {
            let targets: &[_] = match figure {
                Figure::RoundTripTime => &[
                    (Peer::Hello, Peer::CSingle, 1.05),
                    (Peer::HelloSpinning, Peer::CSingle, 0.40),
                ],
                Figure::ProcessorTime => &[],
            };
            all.push(Self {
                kind: Kind::PingPong(figure),
                requests: 300,
                peers: &[Peer::Hello, Peer::CSingle, Peer::HelloSpinning, Peer::HelloAgain],
                reference: Peer::CSingle,
                ..Self::queue(1, 8, targets)
            });
        }
        all
    }

    fn queue(sources: usize, len: usize, targets: &'static [(Peer, Peer, f64)]) -> Self {
        let requests = if len <= 64 { COMMON } else { 2048 };
        let (kind, peers, reference) = (Kind::Queue, QUEUE_PEERS, Peer::CBatch);
        Self { kind, sources, len, train: 1, requests, peers, reference, targets }
    }

    fn trains(len: usize, targets: &'static [(Peer, Peer, f64)]) -> Self {
        let train = train(len);
        let requests = if len <= 64 { 120 * train } else { 40 * train };
        Self { train, requests, ..Self::queue(1, len, targets) }
    }

    /// Returns the workload, and the same with the number of requests that all queues have in
    /// common, if its own is another.
    fn with_common(self) -> impl Iterator<Item = Self> {
        let common = (self.requests != COMMON).then(|| Self { requests: COMMON, ..self.clone() });
        [self].into_iter().chain(common)
    }

    /// The name to choose it by.
    pub(crate) fn name(&self) -> String {
        match self.kind {
            Kind::Queue => {
                let name = match self.train {
                    1 => format!("queue-{}-{}", self.sources, self.len),
                    _ => format!("trains-{}", self.len),
                };
                // Queues of short names have that number anyway.
                let is_second = self.requests == COMMON && (self.train > 1 || self.len > 64);
                if is_second { format!("{name}-{COMMON}") } else { name }
            }
            Kind::Guard => "guard".into(),
            Kind::Workers if self.train > 1 => format!("workers-trains-{}", self.sources),
            Kind::Workers => "workers".into(),
            Kind::Rate => "limit".into(),
            Kind::PingPong(Figure::RoundTripTime) => "ping-pong".into(),
            Kind::PingPong(Figure::ProcessorTime) => "ping-pong-cpu".into(),
        }
    }

    /// Whether the server has both processors.
    pub(crate) fn is_spread(&self) -> bool {
        matches!(self.kind, Kind::Workers | Kind::Rate)
    }

    /// The size of the server's receive buffer and of each client's, in bytes.
    pub(crate) fn buffer(&self) -> usize {
        if self.len > 512 && self.requests == COMMON { buffers::LARGE } else { buffers::USUAL }
    }
}

/// The lengths of names, in bytes.
const LENS: [usize; 4] = [8, 64, 512, 1200];

/// A number of requests with which every queue is measured, whatever its names and messages are.
const COMMON: usize = 4096;

/// How many datagrams a train has: what is taken by every kernel, and its replies by IPv4.
fn train(len: usize) -> usize {
    64.min(65_000 / (len + 8))
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sources, len, requests, .. } = self;
        let what = match self.kind {
            Kind::Queue => "",
            Kind::Guard => "guard on, with a limit, and off, ",
            Kind::Workers | Kind::Rate => "one worker and two, with a limit and without, ",
            Kind::PingPong(_) => return write!(f, "ping-pong, one request outstanding"),
        };
        let trains = if self.train > 1 { "trains, " } else { "" };
        let plural = if *sources == 1 { "" } else { "s" };
        write!(f, "{what}{trains}{sources} source{plural}, names of {len} bytes, {requests} queued")
    }
}

const QUEUE_PEERS: &[Peer] = &[
    Peer::Hello,
    Peer::CBatch,
    Peer::CSingle,
    Peer::CGrouped,
    Peer::RustStd,
    Peer::Tokio,
    Peer::QuinnUdp,
    Peer::Python,
    Peer::HelloPortable,
    Peer::HelloAgain,
];

const TARGETS_256: &[(Peer, Peer, f64)] = &[
    (Peer::Hello, Peer::CBatch, 0.98),
    (Peer::Hello, Peer::RustStd, 0.80),
    (Peer::Hello, Peer::Tokio, 0.80),
    (Peer::Hello, Peer::QuinnUdp, 0.80),
];

const WORKERS_PEERS: &[Peer] = &[
    Peer::Hello,
    Peer::HelloLimited,
    Peer::HelloTwoWorkers,
    Peer::HelloTwoWorkersLimited,
    Peer::HelloAgain,
];

const TARGETS_WORKERS: &[(Peer, Peer, f64)] = &[
    (Peer::HelloTwoWorkers, Peer::Hello, 1.0 / 1.6),
    (Peer::HelloTwoWorkersLimited, Peer::HelloLimited, 1.0 / 1.7),
];

const TARGETS_RATE: &[(Peer, Peer, f64)] = &[
    (Peer::HelloLimited, Peer::Hello, 1.04),
    (Peer::HelloTwoWorkersLimited, Peer::HelloTwoWorkers, 1.04),
];

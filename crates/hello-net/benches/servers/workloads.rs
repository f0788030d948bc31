//! What the servers are asked for, and which of them are compared.

use std::fmt;

use crate::peers::Peer;

/// Work for servers, and whom to compare at it.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    pub(crate) kind: Kind,
    /// How many clients ask.
    pub(crate) sources: usize,
    /// The length of each name, in bytes.
    pub(crate) len: usize,
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
    /// The same in trains (UDP_SEGMENT) from a client that takes trains (UDP_GRO).
    Trains,
    /// The same as `Queue`, with the guard on and off, and with a limit besides.
    Guard,
    /// The same as `Queue`, with one worker and two on two processors: the time from the first
    /// reply to the last, by the kernel's timestamps.
    Workers,
    /// The same as `Queue` on two processors, with one worker and two, with a limit and without.
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
            for len in [8, 64, 512, 1200] {
                let targets = match (sources, len) {
                    (256, 8) => TARGETS_256,
                    (16, _) => &[(Peer::Hello, Peer::CBatch, 0.66)],
                    (1, 8) => &[(Peer::Hello, Peer::CBatch, 0.43)],
                    (1, 1200) => &[(Peer::Hello, Peer::CBatch, 0.50)],
                    _ => &[],
                };
                all.push(Self::queue(Kind::Queue, sources, len, targets));
            }
        }
        for len in [8, 64, 512, 1200] {
            let targets: &[_] = match len {
                8 => &[(Peer::Hello, Peer::CBatch, 0.03)],
                1200 => &[(Peer::Hello, Peer::CBatch, 0.11)],
                _ => &[],
            };
            all.push(Self::queue(Kind::Trains, 1, len, targets));
        }
        all.push(Self {
            peers: &[Peer::Hello, Peer::HelloLimited, Peer::HelloUnguarded, Peer::HelloAgain],
            reference: Peer::HelloUnguarded,
            ..Self::queue(Kind::Guard, 256, 8, &[(Peer::HelloLimited, Peer::HelloUnguarded, 1.04)])
        });
        all.push(Self {
            peers: &[Peer::Hello, Peer::HelloTwoWorkers, Peer::HelloAgain],
            reference: Peer::Hello,
            ..Self::queue(Kind::Workers, 256, 8, &[(Peer::HelloTwoWorkers, Peer::Hello, 1.0 / 1.6)])
        });
        all.push(Self {
            peers: &[
                Peer::Hello,
                Peer::HelloLimited,
                Peer::HelloTwoWorkers,
                Peer::HelloTwoWorkersLimited,
                Peer::HelloAgain,
            ],
            reference: Peer::Hello,
            ..Self::queue(
                Kind::Rate,
                256,
                8,
                &[
                    (Peer::HelloLimited, Peer::Hello, 1.04),
                    (Peer::HelloTwoWorkersLimited, Peer::HelloTwoWorkers, 1.04),
                ],
            )
        });
        for figure in [Figure::RoundTripTime, Figure::ProcessorTime] {
            let targets: &[_] = match figure {
                Figure::RoundTripTime => &[
                    (Peer::Hello, Peer::CSingle, 1.05),
                    (Peer::HelloSpinning, Peer::CSingle, 0.40),
                ],
                Figure::ProcessorTime => &[],
            };
            all.push(Self {
                peers: &[Peer::Hello, Peer::CSingle, Peer::HelloSpinning, Peer::HelloAgain],
                reference: Peer::CSingle,
                ..Self::queue(Kind::PingPong(figure), 1, 8, targets)
            });
        }
        all
    }

    fn queue(
        kind: Kind,
        sources: usize,
        len: usize,
        targets: &'static [(Peer, Peer, f64)],
    ) -> Self {
        Self { kind, sources, len, peers: QUEUE_PEERS, reference: Peer::CBatch, targets }
    }

    /// The name to choose it by.
    pub(crate) fn name(&self) -> String {
        match self.kind {
            Kind::Queue => format!("queue-{}-{}", self.sources, self.len),
            Kind::Trains => format!("trains-{}", self.len),
            Kind::Guard => "guard".into(),
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

    /// How many requests an episode has; their datagrams and the replies fit the buffers.
    pub(crate) fn requests(&self) -> usize {
        match (self.kind, self.len) {
            (Kind::PingPong(_), _) => 300,
            (Kind::Workers | Kind::Rate, _) => 10_000,
            (Kind::Trains, ..=64) => 120 * self.train(),
            (Kind::Trains, _) => 40 * self.train(),
            (_, ..=64) => 4096,
            _ => 2048,
        }
    }

    /// How many datagrams a train has: what is taken by every kernel, and its replies by IPv4.
    pub(crate) fn train(&self) -> usize {
        64.min(65_000 / (self.len + 8))
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sources, len, .. } = self;
        let plural = if *sources == 1 { "" } else { "s" };
        match self.kind {
            Kind::Queue => write!(f, "{sources} source{plural}, names of {len} bytes"),
            Kind::Trains => write!(f, "trains, names of {len} bytes"),
            Kind::Guard => write!(
                f,
                "guard on, with a limit, and off, {sources} sources, names of {len} bytes"
            ),
            Kind::Workers => {
                write!(f, "two workers and one, {sources} sources, names of {len} bytes")
            }
            Kind::Rate => write!(
                f,
                "one worker and two, with a limit and without, {sources} sources, names of {len} bytes"
            ),
            Kind::PingPong(_) => write!(f, "ping-pong, one request outstanding"),
        }
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

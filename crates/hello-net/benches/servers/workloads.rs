//! The workloads, and the servers that are compared under each.

use std::fmt;

use crate::peers::Peer;

/// A workload, and the servers to compare under it.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    pub(crate) kind: Kind,
    /// The number of clients.
    pub(crate) sources: usize,
    /// The length of each name, in bytes.
    pub(crate) len: usize,
    pub(crate) peers: &'static [Peer],
    /// The server that the others are compared to.
    pub(crate) reference: Peer,
    /// Target ratios: of which server, to which server, at most.
    pub(crate) targets: &'static [(Peer, Peer, f64)],
}

/// How requests arrive, and what is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// All at once while the server is stopped: CPU time per reply.
    Queue,
    /// The same in trains (UDP_SEGMENT) from a client that receives trains (UDP_GRO).
    Trains,
    /// The same as `Queue`, with the guard on and off, and with a limit too.
    Guard,
    /// The same as `Queue`, with one worker and two on two processors: the time from the first
    /// reply to the last, by the kernel's timestamps.
    Workers,
    /// The same as `Queue` on two processors, with one worker and two, with a limit and without.
    Rate,
    /// One request at a time, each sent when the reply to the last has arrived.
    PingPong(Figure),
}

/// The figure measured by a ping-pong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Figure {
    /// The median. Higher percentiles depend on the machine: a server differs more from itself than
    /// from any other.
    RoundTripTime,
    /// CPU time per reply.
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

    /// The name that selects it.
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

    /// The number of requests in an episode; they and their replies fit the buffers.
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

    /// The number of datagrams in a train: a number that every kernel accepts, and that fits its
    /// replies over IPv4.
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

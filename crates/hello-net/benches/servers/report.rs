//! The results, as a table and as JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;

use serde::Serialize;

use crate::peers::Peer;
use crate::stats::Summary;
use crate::workloads::{Figure, Kind, Workload};

/// What came out of a workload.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) workload: Workload,
    /// Of each cycle, in nanoseconds.
    times: BTreeMap<Peer, Vec<f64>>,
}

/// The largest difference between two processes of the same server; beyond it, all else is noise,
/// too.
const SAME: RangeInclusive<f64> = 0.96..=1.04;

impl Outcome {
    pub(crate) fn new(workload: &Workload) -> Self {
        Self { workload: workload.clone(), times: BTreeMap::new() }
    }

    pub(crate) fn add(&mut self, peer: Peer, nanoseconds: f64) {
        self.times.entry(peer).or_default().push(nanoseconds);
    }

    /// Returns how one server's times relate to another's, cycle by cycle.
    pub(crate) fn ratio(&self, peer: Peer, to: Peer) -> Option<Summary> {
        let pairs = self.times.get(&peer)?.iter().zip(self.times.get(&to)?);
        Summary::of(&Vec::from_iter(pairs.map(|(time, reference)| time / reference)))
    }

    /// Returns whether the server differs from itself, so that the other ratios mean nothing.
    pub(crate) fn is_void(&self) -> bool {
        !self.ratio(Peer::HelloAgain, Peer::Hello).is_some_and(|ratio| SAME.contains(&ratio.median))
    }

    fn time(&self, peer: Peer) -> Option<Summary> {
        self.times.get(&peer).and_then(|times| Summary::of(times))
    }

    /// Yields whose ratio was to be at most what, and what it is.
    fn targets(&self) -> impl Iterator<Item = Target> {
        self.workload.targets.iter().filter_map(|&(of, to, at_most)| {
            let Summary { median: ratio, low, high } = self.ratio(of, to)?;
            Some(Target { of, to, at_most, ratio, low, high, met: ratio <= at_most })
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (reference, cycles) =
            (self.workload.reference, self.times.values().map(Vec::len).max());
        let what = match self.workload.kind {
            Kind::PingPong(Figure::RoundTripTime) => "median round-trip time",
            Kind::Workers => "time for each reply",
            _ => "processor time for each reply",
        };
        writeln!(f, "\n{} [{}]: {what}", self.workload, self.workload.name())?;
        writeln!(
            f,
            "  {:26} {:>9} {:>7}  10th to 90th percentile of {} cycles",
            "",
            "us",
            "ratio",
            cycles.unwrap_or(0)
        )?;
        for &peer in self.times.keys() {
            let Some(time) = self.time(peer) else { continue };
            write!(f, "  {:26} {:9.3}", peer.name(), time.median / 1000.0)?;
            // Without the reference there is no ratio.
            if let Some(Summary { median, low, high }) = self.ratio(peer, reference) {
                write!(f, " {median:7.3}  {low:.3} to {high:.3}")?;
            }
            writeln!(f)?;
        }
        for Target { of, to, at_most, ratio, low, high, met } in self.targets() {
            let (of, to, verdict) = (of.name(), to.name(), if met { "met" } else { "MISSED" });
            writeln!(
                f,
                "  target: {of} / {to} at most {at_most:.3}: {ratio:.3} ({low:.3} to {high:.3}), {verdict}"
            )?;
        }
        match self.ratio(Peer::HelloAgain, Peer::Hello) {
            Some(ratio) if self.is_void() => {
                writeln!(
                    f,
                    "  VOID: the server against itself is {:.3}; run it again",
                    ratio.median
                )
            }
            Some(ratio) => writeln!(f, "  the server against itself: {:.3}", ratio.median),
            None => writeln!(f, "  VOID: the server was not measured against itself"),
        }
    }
}

/// All results, as they are written to a file.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    kernel: String,
    processors: usize,
    workloads: Vec<Entry>,
}

#[derive(Debug, Serialize)]
struct Entry {
    name: String,
    description: String,
    void: bool,
    reference: Peer,
    servers: Vec<Server>,
    targets: Vec<Target>,
}

#[derive(Debug, Serialize)]
struct Server {
    name: Peer,
    nanoseconds: Option<Summary>,
    ratio: Option<Summary>,
    /// In nanoseconds, cycle by cycle.
    cycles: Vec<f64>,
}

#[derive(Debug, Serialize)]
struct Target {
    of: Peer,
    to: Peer,
    at_most: f64,
    ratio: f64,
    /// The 10th and the 90th percentile of the ratio.
    low: f64,
    high: f64,
    met: bool,
}

impl Report {
    pub(crate) fn new(results: &[Outcome]) -> Self {
        let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
        let processors = std::thread::available_parallelism().map_or(0, Into::into);
        let workloads = results.iter().map(|result| {
            let reference = result.workload.reference;
            let servers = result.times.iter().map(|(&name, cycles)| Server {
                name,
                nanoseconds: result.time(name),
                ratio: result.ratio(name, reference),
                cycles: cycles.clone(),
            });
            Entry {
                name: result.workload.name(),
                description: result.workload.to_string(),
                void: result.is_void(),
                reference,
                servers: servers.collect(),
                targets: result.targets().collect(),
            }
        });
        Self { kernel, processors, workloads: workloads.collect() }
    }
}

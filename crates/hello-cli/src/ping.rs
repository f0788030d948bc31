//! `hello-ping`: probes servers and summarises the events.
//!
//! A [`Recorder`](recorder::Recorder) counts the events of a target and returns a
//! [`Summary`](summary::Summary), from which every output is made.

pub mod args;
#[cfg(test)]
mod fixtures;
pub mod fleet;
pub mod join;
pub mod loss_tracing;
pub mod metrics_outputs;
mod mtu;
pub mod output;
pub mod path_mtu;
pub mod plan;
mod probers;
pub mod recorder;
pub mod report;
pub mod session;
pub mod summary;
pub mod thresholds;
pub mod totals;
pub(crate) mod trace;
pub mod traced;

use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use hello_net::{Prober, ZonedAddr};

use self::args::Args;
use crate::args::first_reply::Tried;
use crate::args::peer::PeerArg;
use crate::output::json::Origin;
use crate::output::wall_clock::WallClock;

/// Runs the tool and returns its exit status.
///
/// # Errors
///
/// Returns the error for standard error.
pub fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    if args.common.print_generated::<Args>()? {
        return Ok(ExitCode::SUCCESS);
    }
    if args.mtu {
        return mtu::run(args);
    }
    if let Some(file) = args.fleet.file() {
        return fleet::session::run(args, file);
    }
    match args.join.files() {
        Some((run, capture)) => join::run(args, run, capture),
        None => session::run(args),
    }
}

/// A target of probes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The name that the user gave, `HOST:PORT`.
    pub name: String,
    /// The address that the name stands for.
    pub address: ZonedAddr,
    /// The addresses that were tried before the run, if the name has several.
    pub tried: Vec<Tried>,
    /// The replies expected.
    pub peer: PeerArg,
    /// The length of the names sent, in bytes.
    pub name_len: usize,
    /// The number of source ports.
    pub flows: usize,
    /// The source port of each flow; empty if they are not known.
    pub ports: Vec<u16>,
    /// The address of each source port.
    pub local: Vec<SocketAddr>,
    /// The run's number in the token of each probe.
    pub run_id: u16,
    /// The time after which an unanswered probe is lost.
    pub timeout: Duration,
    /// The time of day at the start of the run.
    pub started_at: WallClock,
}

impl Target {
    /// Describes the target of a prober.
    pub(crate) fn new(
        name: String,
        address: ZonedAddr,
        tried: Vec<Tried>,
        prober: &Prober,
        origin: &Origin,
    ) -> Self {
        let plan = prober.plan();
        Self {
            name,
            address,
            tried,
            peer: plan.peer.into(),
            name_len: plan.name_len,
            flows: plan.flows.get().into(),
            ports: prober.local_addrs().map(|local| local.port()).collect(),
            local: prober.local_addrs().collect(),
            run_id: prober.run_id(),
            timeout: plan.timeout,
            started_at: origin.started_at,
        }
    }
}

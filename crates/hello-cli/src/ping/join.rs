//! `hello-ping --join`: joins a run with a capture taken at the server.

pub mod args;
pub mod capture;
mod output;
mod packet;
pub mod run;

use std::error::Error;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use hello_measure::Joined;

use self::run::{LostBy, Suspicion, TargetRun};
use super::args::Args;
use crate::output::layout::Layout;
use crate::output::{Format, OutputError};
use crate::process::exit::error_chain;

/// Joins a run with a capture, and prints the result.
pub(super) fn run(args: &Args, run: &Path, capture: &Path) -> Result<ExitCode, Box<dyn Error>> {
    if is_stdin(run) && is_stdin(capture) {
        return Err("only one of --join and --capture can be standard input".into());
    }
    let describe = |path: &Path, error: &(dyn Error + 'static)| {
        format!("{}: {}", path.display().to_string().escape_debug(), error_chain(error))
    };
    let input = open(run).map_err(|error| describe(run, &error))?;
    let mut runs = run::read(BufReader::new(input)).map_err(|error| describe(run, &error))?;
    if args.join.are_clocks_synchronised() {
        runs.iter_mut().for_each(TargetRun::synchronise);
    }
    let input = open(capture).map_err(|error| describe(capture, &error))?;
    let mut found = false;
    let read = capture::read(input, |datagram| {
        for run in &mut runs {
            found |= run.join.handle_datagram(datagram);
        }
    });
    let read = read.map_err(|error| describe(capture, &error))?;
    if !found {
        let flaw = read.flaw.map(|flaw| format!(" ({flaw})")).unwrap_or_default();
        return Err(format!(
            "{}: no packet of this run is in it{flaw}: take it at the server, during the run",
            capture.display().to_string().escape_debug()
        )
        .into());
    }
    let joined = runs.into_iter().map(|run| TargetJoin {
        target: run.target,
        sent: run.sent,
        lost: run.lost,
        causes: run.causes,
        suspicion: run.suspicion,
        flows: run.flows,
        epoch: run.epoch,
        joined: run.join.finish(&read.span),
    });
    let joined = Vec::from_iter(joined);
    let (stdout, format) = (io::stdout(), args.common.format());
    let layout = Layout::of(&stdout);
    let mut out = args.common.color().wrap(stdout);
    let lines = joined.iter().flat_map(|joined| match format {
        Format::Text => vec![output::text(layout, joined, &read)],
        Format::Json => output::json(joined, &read, args.quiet),
    });
    for line in lines {
        writeln!(out, "{line}").map_err(OutputError)?;
    }
    out.flush().map_err(OutputError)?;
    Ok(ExitCode::SUCCESS)
}

/// The probes of a run to one target, joined with a capture.
struct TargetJoin {
    target: String,
    /// The probes sent, if the run says so.
    sent: Option<u64>,
    /// The probes lost, if the run says so.
    lost: Option<u64>,
    causes: Vec<LostBy>,
    suspicion: Option<Suspicion>,
    flows: usize,
    /// The time of day at the start, since 1970.
    epoch: Option<Duration>,
    joined: Joined,
}

impl TargetJoin {
    /// Returns the number of lost probes without a line in the run; `None` for a run without a summary.
    fn unlisted(&self) -> Option<u64> {
        let summary = &self.joined.summary;
        Some(self.lost?.saturating_sub(summary.lost.total() + summary.late.total()))
    }
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn open(path: &Path) -> io::Result<Box<dyn Read + Send>> {
    Ok(match is_stdin(path) {
        true => Box::new(io::stdin()),
        false => Box::new(File::open(path)?),
    })
}

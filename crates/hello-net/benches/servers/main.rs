//! Compares the server with others at the same work, and says by how much each is cheaper.
//!
//! `cargo bench --package hello-net --bench servers` runs everything; see docs/performance.md.

mod buffers;
mod generator;
mod peers;
mod plot;
mod process;
mod report;
mod stats;
mod workloads;

use std::collections::BTreeSet;
use std::error::Error;
use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{env, fs, io};

use clap::{Parser, Subcommand, value_parser};
use rustix::process::{Signal, set_parent_process_death_signal};

use peers::Peer;
use process::{GENERATOR, Process, SERVERS};
use report::Outcome;
use workloads::Workload;

/// Compares the Hello server with others at the same work.
#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    command: Option<Role>,

    /// How often each server has its turn, twice in each cycle.
    #[arg(long, default_value = "31", value_parser = value_parser!(u32).range(1..))]
    cycles: u32,

    /// Only the workloads whose names begin so; may be given several times.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,

    /// Succeed even if a server differs too much from itself for the ratios to mean something.
    #[arg(long)]
    even_if_void: bool,

    /// Print the names of the workloads, and do nothing else.
    #[arg(long)]
    list: bool,

    /// Write all results, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Draw the ratios.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,

    /// What `cargo bench` says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Is one of the servers.
    #[command(hide = true)]
    Serve { peer: Peer, buffer: usize },

    /// Becomes one of the servers that are programs of their own.
    #[command(hide = true)]
    Become { program: PathBuf, arguments: Vec<OsString> },
}

impl Role {
    /// Returns only if it fails.
    fn play(&self) -> Result<(), Box<dyn Error>> {
        // However the benchmark ends, no server is left behind, not even a stopped one. The
        // signal outlasts execve (PR_SET_PDEATHSIG(2const)).
        set_parent_process_death_signal(Some(Signal::KILL))?;
        match self {
            Self::Serve { peer, buffer } => peer.serve(*buffer),
            Self::Become { program, arguments } => {
                let error = Command::new(program).args(arguments).exec();
                Err(format!("{}: {error}", program.display()).into())
            }
        }
    }
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("servers: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    if let Some(role) = &args.command {
        return role.play().map(|()| ExitCode::SUCCESS);
    }
    if args.list {
        Workload::all().iter().for_each(|workload| println!("{:20} {workload}", workload.name()));
        return Ok(ExitCode::SUCCESS);
    }
    if !args.bench {
        println!("This is a benchmark: cargo bench --package hello-net --bench servers");
        return Ok(ExitCode::SUCCESS);
    }
    let chosen = |workload: &Workload| {
        args.only.is_empty() || args.only.iter().any(|name| workload.name().starts_with(name))
    };
    let workloads = Vec::from_iter(Workload::all().into_iter().filter(chosen));
    if workloads.is_empty() {
        return Err("no workload has such a name; --list names all".into());
    }
    // Before all the work, and not after it.
    for workload in &workloads {
        buffers::check(workload.buffer())
            .map_err(|error| format!("{}: {error}", workload.name()))?;
    }
    for file in args.json.iter().chain(&args.svg) {
        writable(file).map_err(|error| format!("{}: {error}", file.display()))?;
    }
    let directory = env::temp_dir().join(format!("hello-servers-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    let results = measure(args, &workloads, &directory);
    fs::remove_dir_all(&directory)?;
    let results = results?;
    if let Some(file) = &args.json {
        fs::write(file, serde_json::to_string_pretty(&report::Report::new(&results))?)?;
    }
    if let Some(file) = &args.svg {
        plot::draw(file, &results)?;
    }
    let valid = args.even_if_void || results.iter().all(|result| !result.is_void());
    Ok(if valid { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn writable(file: &Path) -> io::Result<()> {
    fs::OpenOptions::new().create(true).append(true).open(file).map(drop)
}

fn measure(
    args: &Args,
    workloads: &[Workload],
    directory: &Path,
) -> Result<Vec<Outcome>, Box<dyn Error>> {
    let (mut results, mut peers) = (Vec::new(), BTreeSet::new());
    for &peer in BTreeSet::from_iter(workloads.iter().flat_map(|workload| workload.peers)) {
        match peer.prepare(directory) {
            Ok(()) => drop(peers.insert(peer)),
            Err(error) => println!("LEFT OUT: {error}"),
        }
    }
    for workload in workloads {
        let mut result = Outcome::new(workload);
        let mut left = args.cycles;
        while left > 0 {
            let cycles = left.min(CYCLES_OF_A_PROCESS);
            measure_processes(cycles, &peers, directory, &mut result)?;
            left -= cycles;
        }
        print!("{result}");
        results.push(result);
    }
    Ok(results)
}

/// How many cycles a process lives. Where its memory is makes a difference of a few per cent, which
/// must be chance and not part of the result.
const CYCLES_OF_A_PROCESS: u32 = 4;

/// Starts the servers, and gives each its turns.
fn measure_processes(
    cycles: u32,
    peers: &BTreeSet<Peer>,
    directory: &Path,
    result: &mut Outcome,
) -> Result<(), Box<dyn Error>> {
    let processors: &[usize] =
        if result.workload.is_spread() { &[SERVERS, GENERATOR] } else { &[SERVERS] };
    let peers = result.workload.peers.iter().filter(|peer| peers.contains(peer));
    let buffer = result.workload.buffer();
    let servers = peers.map(|peer| Process::start(*peer, processors, directory, buffer));
    let servers = servers.collect::<Result<Vec<_>, _>>()?;
    // The first cycle warms up and is not counted.
    for cycle in 0..=cycles {
        let mut times = vec![0.0; servers.len()];
        // There and back again, so that a machine that becomes slower does so for all.
        for index in (0..servers.len()).chain((0..servers.len()).rev()) {
            let server = &servers[index];
            let time = generator::episode(&result.workload, server);
            times[index] += time.map_err(|error| format!("{}: {error}", server.peer.name()))?;
        }
        if cycle > 0 {
            let times = servers.iter().zip(times);
            times.for_each(|(server, time)| result.add(server.peer, time / 2.0));
        }
    }
    Ok(())
}

//! Counts the processor instructions that our own code takes for each datagram, with valgrind's
//! callgrind: in the server from the receive call's glue to the accounting of the replies, in the load
//! generator and the prober from the token of a request to the accounting of its reply. The system's
//! own instructions are not among them. The numbers hardly differ between runs, whatever else the
//! machine does.
//!
//! `cargo bench --package hello-net --bench instructions` prints two tables, and `-- --check FILE`
//! compares them with those in a document: it fails if a number of the server has grown by more than 5
//! per cent, or one of the others, which depend on when replies arrive, by more than 50.

mod askers;
#[path = "../../../../tests/support/callgrind.rs"]
mod callgrind;
mod server;

use std::error::Error;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use askers::Asker;
use server::{Configuration, WORKLOADS};

/// Counts the instructions of our own code for each datagram.
#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    command: Option<Role>,

    /// Fail if a number has grown since it was written into this document's tables.
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,

    /// What `cargo bench` says to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Is the server whose instructions are counted.
    #[command(hide = true)]
    Serve { configuration: Configuration },

    /// Is the load generator or the prober whose instructions are counted.
    #[command(hide = true)]
    Ask { asker: Asker, requests: u64, server: SocketAddr },
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    match args.command {
        Some(Role::Serve { configuration }) => return server::serve(configuration),
        Some(Role::Ask { asker, requests, server }) => return asker.ask(requests, server),
        None if !args.bench => {
            println!("This is a benchmark: cargo bench --package hello-net --bench instructions");
            return Ok(());
        }
        None => {}
    }
    let document = args.check.as_ref().map(fs::read_to_string).transpose()?;
    let mut table = Table { document, grown: Vec::new() };
    println!("| instructions per datagram | plain | with a limit | with an observer |");
    println!("|---|---|---|---|");
    for workload in &WORKLOADS {
        let counts = Configuration::value_variants().iter();
        let counts = counts.map(|configuration| workload.instructions_each(*configuration));
        table.print(workload.name, &counts.collect::<Result<Vec<_>, _>>()?, 5)?;
    }
    println!("\n| instructions per request and reply | |");
    println!("|---|---|");
    for asker in Asker::value_variants() {
        table.print(asker.name(), &[asker.instructions_each()?], 50)?;
    }
    if table.grown.is_empty() {
        return Ok(());
    }
    Err(format!("more instructions than committed: {}", table.grown.join("; ")).into())
}

/// Rows that are compared with a document's.
struct Table {
    document: Option<String>,
    /// The numbers that have grown.
    grown: Vec<String>,
}

impl Table {
    /// Prints a row, and compares it: the numbers may exceed the committed ones by this percentage.
    fn print(&mut self, name: &str, counts: &[u64], percent: u64) -> Result<(), Box<dyn Error>> {
        println!("| {name} | {} |", Vec::from_iter(counts.iter().map(u64::to_string)).join(" | "));
        let Some(document) = &self.document else { return Ok(()) };
        let committed = committed(document, name)?;
        if committed.len() != counts.len() {
            return Err(format!("the row for {name} has not {} numbers", counts.len()).into());
        }
        for (count, committed) in counts.iter().zip(committed) {
            if 100 * count > (100 + percent) * committed {
                self.grown.push(format!("{name}: {committed} to {count}"));
            }
        }
        Ok(())
    }
}

/// Returns the numbers of a row of a document's table.
fn committed(document: &str, name: &str) -> Result<Vec<u64>, Box<dyn Error>> {
    let row = document.lines().find_map(|line| line.strip_prefix(&format!("| {name} | ")));
    let row = row.ok_or_else(|| format!("the document has no row for {name}"))?;
    let numbers = row.trim_end_matches(" |").split(" | ").map(str::parse);
    Ok(numbers.collect::<Result<_, _>>().map_err(|error| format!("{row}: {error}"))?)
}

/// Returns the instructions of one datagram from those of two processes, of which the second handled this
/// number of datagrams more.
fn each([fewer, more]: [u64; 2], datagrams: usize) -> u64 {
    let datagrams = datagrams as u64;
    (more.saturating_sub(fewer) + datagrams / 2) / datagrams
}

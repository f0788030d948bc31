//! Counts the processor instructions of each operation, with valgrind's callgrind: the same number
//! at every run, whatever else the machine does.
//!
//! `cargo bench --package hello-proto --bench instructions` prints a table, and fails if an
//! operation that must not depend on the length of the name does.

use std::env;
use std::error::Error;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Command, ExitCode};

use hello_proto::{
    Frame, Guard, MAX_DATAGRAM_LEN, MAX_NAME_LEN, OVERHEAD, PREFIX, Reply, Request, SUFFIX,
};

/// An operation, by its name in the table.
#[derive(Clone, Copy)]
struct Operation {
    name: &'static str,
    /// From this length of the name on, it costs the same for any; `None` if it copies the name.
    constant_from: Option<usize>,
    run: fn(&mut [u8], usize),
}

const OPERATIONS: [Operation; 7] = [
    Operation { name: "decode a request", constant_from: Some(0), run: decode_request },
    Operation { name: "decode a reply", constant_from: Some(0), run: decode_reply },
    Operation { name: "reply in place", constant_from: Some(0), run: reply_in_place },
    Operation { name: "encode a reply", constant_from: None, run: encode_reply },
    Operation { name: "guard, answered", constant_from: Some(PREFIX.len()), run: guard_answered },
    Operation { name: "guard, name only", constant_from: Some(PREFIX.len()), run: guard_name },
    Operation { name: "guard, refused", constant_from: Some(0), run: guard_refused },
];

const LENGTHS: [usize; 5] = [0, 8, 64, 1024, MAX_NAME_LEN];

/// How often an operation runs; what the two runs differ by is its own.
const TIMES: [u64; 2] = [1000, 3000];

fn main() -> ExitCode {
    let result = match &*Vec::from_iter(env::args().skip(1)) {
        [counted, operation, len, times] if counted == COUNTED => run(operation, len, times),
        arguments if arguments.iter().any(|argument| argument == "--bench") => measure(),
        _ => {
            println!("This is a benchmark: cargo bench --package hello-proto --bench instructions");
            Ok(())
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Says that this process is one whose instructions are counted.
const COUNTED: &str = "--counted";

/// Runs an operation so many times, under valgrind.
fn run(operation: &str, len: &str, times: &str) -> Result<(), Box<dyn Error>> {
    let (len, mut buf) = (len.parse()?, vec![b'x'; 2 * MAX_DATAGRAM_LEN]);
    let run = OPERATIONS[operation.parse::<usize>()?].run;
    for _ in 0..times.parse::<u64>()? {
        run(black_box(&mut buf), black_box(len));
    }
    Ok(())
}

fn measure() -> Result<(), Box<dyn Error>> {
    print!("{:18}", "instructions for");
    LENGTHS.iter().for_each(|len| print!("{len:>8}"));
    println!("   bytes of name");
    let mut uneven = Vec::new();
    for (index, operation) in OPERATIONS.iter().enumerate() {
        let mut row = format!("{:18}", operation.name);
        let mut counts = Vec::new();
        for len in LENGTHS {
            let count = instructions_each(index, len)?;
            row += &format!("{count:8}");
            counts.push(count);
        }
        println!("{row}");
        let constant_from = operation.constant_from.unwrap_or(usize::MAX);
        let long = LENGTHS.iter().zip(&counts).filter(|(len, _)| **len >= constant_from);
        let long = Vec::from_iter(long.map(|(_, count)| count));
        if long.iter().any(|count| *count != long[0]) {
            uneven.push(operation.name);
        }
    }
    if uneven.is_empty() {
        return Ok(());
    }
    Err(format!("these depend on the length of the name, and must not: {}", uneven.join(", "))
        .into())
}

/// Returns how many instructions an operation takes, without those of the program's start.
fn instructions_each(operation: usize, len: usize) -> Result<u64, Box<dyn Error>> {
    let [fewer, more] = TIMES.map(|times| instructions(operation, len, times));
    let (all, times) = (more?.saturating_sub(fewer?), TIMES[1] - TIMES[0]);
    if all == 0 || all % times != 0 {
        return Err(format!("{all} more instructions for {times} more operations").into());
    }
    Ok(all / times)
}

/// Returns how many instructions this program takes to run an operation so many times.
fn instructions(operation: usize, len: usize, times: u64) -> Result<u64, Box<dyn Error>> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(env::current_exe()?);
    command.arg(COUNTED).args([operation.to_string(), len.to_string(), times.to_string()]);
    let output = command.output().map_err(|error| {
        format!("valgrind: {error}; install it, on Debian with apt-get install valgrind")
    })?;
    let report = String::from_utf8_lossy(&output.stderr);
    let collected = report.lines().find_map(|line| line.split_once("Collected : "));
    match collected {
        Some((_, count)) if output.status.success() => Ok(count.trim().parse()?),
        _ => Err(format!("valgrind did not count:\n{report}").into()),
    }
}

fn decode_request(buf: &mut [u8], len: usize) {
    let _ = black_box(Request::decode(&buf[..len]));
}

fn decode_reply(buf: &mut [u8], len: usize) {
    buf[..PREFIX.len()].copy_from_slice(PREFIX);
    buf[len + PREFIX.len()..len + OVERHEAD].copy_from_slice(SUFFIX);
    let _ = black_box(Reply::decode(&buf[..len + OVERHEAD]));
}

fn reply_in_place(buf: &mut [u8], len: usize) {
    let _ = Frame::new(buf).map(|mut frame| {
        let _ = black_box(frame.reply(len));
    });
}

fn encode_reply(buf: &mut [u8], len: usize) {
    let (name, space) = buf.split_at_mut(len);
    let reply = Request::new(name).map(Request::reply);
    let _ = black_box(reply.map(|reply| reply.encode(space).map(<[u8]>::len)));
}

const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9999);
const SOURCE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 40_001);

fn guard() -> Guard {
    Guard::new().with_max_name_len(MAX_NAME_LEN)
}

fn guard_answered(buf: &mut [u8], len: usize) {
    let _ = black_box(black_box(guard()).check(black_box(SOURCE), black_box(LOCAL), &buf[..len]));
}

fn guard_name(buf: &mut [u8], len: usize) {
    let _ = black_box(black_box(guard()).check_name(&buf[..len]));
}

fn guard_refused(buf: &mut [u8], len: usize) {
    let source = SocketAddr::new(SOURCE.ip(), 0);
    let _ = black_box(black_box(guard()).check(black_box(source), black_box(LOCAL), &buf[..len]));
}

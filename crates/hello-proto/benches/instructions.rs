//! Counts the processor instructions of each operation with valgrind's callgrind. The numbers are
//! the same at every run, whatever else the machine does.
//!
//! `cargo bench --package hello-proto --bench instructions` prints a table. It fails if an
//! operation depends on the length of the name and must not.

#[path = "../../../tests/support/callgrind.rs"]
mod callgrind;

use std::env;
use std::error::Error;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use hello_proto::{Frame, Guard, MAX_DATAGRAM_LEN, MAX_NAME_LEN, PREFIX, Reply, Request, SUFFIX};

/// An operation, by its name in the table.
struct Operation {
    name: &'static str,
    /// The name length from which the cost is constant; `None` if the operation copies the name.
    constant_from: Option<usize>,
    /// Runs it this many times on a name.
    run: fn(u64, &[u8]),
}

/// The guard compares no byte of a name that is too short for the prefix. A name too short for two
/// prefixes was not greeted twice, and is answered.
const OPERATIONS: [Operation; 9] = [
    Operation { name: "nothing", constant_from: Some(0), run: nothing },
    Operation { name: "decode a request", constant_from: Some(0), run: decode_request },
    Operation { name: "decode a reply", constant_from: Some(0), run: decode_reply },
    Operation { name: "reply in place", constant_from: Some(0), run: reply_in_place },
    Operation { name: "encode a reply", constant_from: None, run: encode_reply },
    Operation { name: "guard, answered", constant_from: Some(PREFIX.len()), run: guard_answered },
    Operation { name: "guard, name only", constant_from: Some(PREFIX.len()), run: guard_name },
    Operation { name: "guard, greeted", constant_from: Some(2 * PREFIX.len()), run: guard_greeted },
    Operation { name: "guard, port 0", constant_from: Some(0), run: guard_port_zero },
];

const LENGTHS: [usize; 6] = [0, 8, 64, 512, 1024, MAX_NAME_LEN];

/// Repetitions; the difference between the two runs is the operation itself.
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

/// Marks the process whose instructions are counted.
const COUNTED: &str = "--counted";

/// Runs an operation this many times under valgrind.
fn run(operation: &str, len: &str, times: &str) -> Result<(), Box<dyn Error>> {
    let name = Aligned([b'x'; MAX_DATAGRAM_LEN]);
    let operation = &OPERATIONS[operation.parse::<usize>()?];
    (operation.run)(times.parse()?, &name.0[..len.parse()?]);
    Ok(())
}

/// Bytes aligned to a page, wherever the environment moves the stack, because the cost of copying
/// them depends on their alignment.
#[repr(align(4096))]
struct Aligned([u8; MAX_DATAGRAM_LEN]);

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
            if operation.constant_from.is_some_and(|from| len >= from) {
                counts.push(count);
            }
        }
        println!("{row}");
        if counts.iter().any(|count| *count != counts[0]) {
            uneven.push(operation.name);
        }
    }
    if uneven.is_empty() {
        return Ok(());
    }
    Err(format!(
        "these operations must not depend on the length of the name: {}",
        uneven.join("; ")
    )
    .into())
}

/// Returns the instructions of one operation, without those of the program's start.
fn instructions_each(operation: usize, len: usize) -> Result<u64, Box<dyn Error>> {
    let [fewer, more] = TIMES.map(|times| instructions(operation, len, times));
    let (all, times) = (more?.saturating_sub(fewer?), TIMES[1] - TIMES[0]);
    if all == 0 || all % times != 0 {
        return Err(format!("{all} more instructions for {times} more operations").into());
    }
    Ok(all / times)
}

/// Returns the instructions that this program takes to run an operation this many times.
fn instructions(operation: usize, len: usize, times: u64) -> Result<u64, Box<dyn Error>> {
    let arguments = [operation.to_string(), len.to_string(), times.to_string()];
    callgrind::count(callgrind::start(&[&[COUNTED.into()][..], &arguments].concat())?)
}

fn repeat<T>(times: u64, mut operation: impl FnMut() -> T) {
    for _ in 0..times {
        black_box(operation());
    }
}

/// The cost of the loop, which is part of every other number.
fn nothing(times: u64, _name: &[u8]) {
    repeat(times, || ());
}

fn decode_request(times: u64, name: &[u8]) {
    repeat(times, || Request::decode(black_box(name)));
}

fn decode_reply(times: u64, name: &[u8]) {
    let datagram = [PREFIX, name, SUFFIX].concat();
    repeat(times, || Reply::decode(black_box(&datagram)));
}

fn reply_in_place(times: u64, name: &[u8]) {
    let mut buf = [0; MAX_DATAGRAM_LEN];
    let mut frame = Frame::new(&mut buf).expect("room for any name");
    repeat(times, || black_box(black_box(&mut frame).reply(black_box(name.len()))).is_ok());
}

fn encode_reply(times: u64, name: &[u8]) {
    let reply = Request::new(name).expect("short").reply();
    let mut buf = Aligned([0; MAX_DATAGRAM_LEN]);
    repeat(times, || black_box(black_box(reply).encode(black_box(&mut buf.0))).is_ok());
}

const GUARD: Guard = Guard::new().with_max_name_len(MAX_NAME_LEN);
const LOCAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9999);

fn guard_answered(times: u64, name: &[u8]) {
    check(times, name, 40_001);
}

fn guard_port_zero(times: u64, name: &[u8]) {
    check(times, name, 0);
}

fn guard_greeted(times: u64, name: &[u8]) {
    let greeted = [PREFIX, PREFIX, name].concat();
    check(times, &greeted[..name.len()], 40_001);
}

fn check(times: u64, name: &[u8], port: u16) {
    let source = SocketAddr::new(LOCAL.ip(), port);
    repeat(times, || black_box(GUARD).check(black_box(source), black_box(LOCAL), black_box(name)));
}

fn guard_name(times: u64, name: &[u8]) {
    repeat(times, || black_box(GUARD).check_name(black_box(name)));
}

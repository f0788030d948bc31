//! `hello-server`: greets whoever sends a name over UDP.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::{Parser, value_parser};
use hello_cli::common::Common;
use hello_cli::endpoint::Endpoint;
use hello_cli::io_choice::IoChoice;
use hello_cli::log::Log;
use hello_cli::seconds;
use hello_cli::server::{self as report, ReceiveBuffer};
use hello_cli::signals::StopSignals;
use hello_net::{Builder, Event, Server, ServerError};
use hello_proto::{Guard, MAX_NAME_LEN};

/// Greets whoever sends a name over UDP: the reply to NAME is "Hello, NAME!".
///
/// Prints where it listens and who was greeted; at SIGINT or SIGTERM, what it counted.
#[derive(Debug, Parser)]
#[command(name = "hello-server", version, after_help = EXAMPLES)]
struct Args {
    // No documentation comment: rustdoc takes the brackets for a link.
    #[arg(
        long,
        help = "Where to listen: HOST, HOST:PORT or [IPV6]:PORT; may be given several times",
        value_name = "HOST:PORT",
        default_values_t = [Endpoint::default()],
    )]
    bind: Vec<Endpoint>,

    /// The longest name that is greeted, in bytes; longer ones are refused, not cut short.
    #[arg(
        long,
        value_name = "BYTES",
        default_value_t = Guard::DEFAULT_MAX_NAME_LEN as u64,
        value_parser = value_parser!(u64).range(..=MAX_NAME_LEN as u64),
    )]
    max_name: u64,

    /// How many threads serve each address.
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "1",
        value_parser = value_parser!(u16).range(1..=1024),
    )]
    workers: u16,

    /// Give each thread a socket of its own (SO_REUSEPORT); the system deals the clients out.
    #[arg(long)]
    reuseport: bool,

    /// Ask for datagrams again and again for so long before waiting for one: faster replies, for
    /// more of the processor's time.
    #[arg(long, value_name = "DURATION", value_parser = seconds::parse)]
    spin: Option<Duration>,

    /// How much room to ask the system for, for datagrams that wait to be received.
    #[arg(
        long,
        value_name = "BYTES",
        value_parser = value_parser!(u32).range(1..=MAX_RECEIVE_BUFFER),
    )]
    receive_buffer: Option<u32>,

    /// By which system calls to receive and send.
    #[arg(long, value_name = "HOW", default_value_t)]
    io: IoChoice,

    /// Print nothing about single datagrams.
    #[arg(long, short)]
    quiet: bool,

    /// How many lines about datagrams are printed in any second, at most; the others are counted.
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "20",
        value_parser = value_parser!(u16).range(1..=10_000),
        conflicts_with = "quiet",
    )]
    max_lines: u16,

    #[command(flatten)]
    common: Common,
}

const EXAMPLES: &str = "\
Examples:
  hello-server                                      serve this machine, at 127.0.0.1:9999
  hello-server --bind 127.0.0.1:7777 --bind ::1     two addresses, the second at port 9999
  hello-server --bind 127.0.0.1:0 --json            any free port, and say which
  hello-server --max-name 65499                     greet every name there can be
  hello-server --bind 0.0.0.0 --bind ::             every address of this machine
  hello-server --workers 4 --quiet --receive-buffer 4194304
                                                    under heavy load

Exit status:
  0  stopped by SIGINT or SIGTERM
  2  the command line is at fault, or a socket cannot be had or fails";

/// The largest receive buffer that can be asked for, in bytes: what Linux can double.
const MAX_RECEIVE_BUFFER: i64 = (i32::MAX / 2) as i64;

fn main() -> ExitCode {
    hello_cli::exit("hello-server", run(&Args::parse()))
}

fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    if args.common.generated::<Args>()? {
        return Ok(ExitCode::SUCCESS);
    }
    let format = args.common.format();
    let stop = StopSignals::register()?;
    let server = builder(args)?.bind(addresses(args)?).map_err(advise)?;
    let left_out = move |lines| report::left_out(format, lines);
    let buffer = ReceiveBuffer { asked: args.receive_buffer, given: server.receive_buffer() };
    let listening = server.local_addrs().map(|address| report::listening(format, address, buffer));
    let (log, printer) = Log::start(io::stdout(), listening.collect(), args.max_lines, left_out)?;

    let served = serve(&server, stop, |event| {
        if !args.quiet {
            log.line(|| report::event(format, event));
        }
    });
    let counters = server.counters();
    // From here on nobody is kept waiting: who asks now is refused.
    drop(server);
    printer.finish(log, report::summary(format, &counters));
    served.map(|()| ExitCode::SUCCESS)
}

fn builder(args: &Args) -> Result<Builder, Box<dyn Error>> {
    let builder = Server::builder()
        .guard(Guard::new().with_max_name_len(args.max_name.try_into()?))
        .io(args.io.into())
        .workers(NonZeroUsize::try_from(usize::from(args.workers))?)
        .reuse_port(args.reuseport)
        .spin(args.spin.unwrap_or_default());
    Ok(match args.receive_buffer {
        Some(bytes) => builder.receive_buffer(bytes.try_into()?),
        None => builder,
    })
}

/// Serves until a signal comes or a socket fails.
fn serve(
    server: &Server,
    mut stop: StopSignals,
    observe: impl Fn(&Event<'_>) + Sync,
) -> Result<(), Box<dyn Error>> {
    let end_wait = stop.end_wait()?;
    thread::scope(|scope| {
        // However serving ends, the wait is not to be waited for.
        let _end_wait = end_wait;
        thread::Builder::new().spawn_scoped(scope, || {
            stop.wait();
            server.stop();
        })?;
        Ok(server.serve(observe)?)
    })
}

fn addresses(args: &Args) -> Result<Vec<SocketAddr>, Box<dyn Error>> {
    let mut addresses = Vec::new();
    for endpoint in &args.bind {
        addresses.extend(endpoint.resolve()?);
    }
    Ok(addresses)
}

/// Adds to an error what to do about it.
fn advise(error: ServerError) -> Box<dyn Error> {
    let ServerError::Bind { source, .. } = &error else { return error.into() };
    let advice = match source.kind() {
        ErrorKind::AddrInUse => "it is taken already; choose another --bind HOST:PORT",
        ErrorKind::AddrNotAvailable => "this machine has no such address; choose one of its own",
        ErrorKind::PermissionDenied => "ports below 1024 need a privilege; choose a higher one",
        _ => return error.into(),
    };
    format!("{error}: {source}: {advice}").into()
}

//! The command line of `hello-server`.

use std::error::Error;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Parser, value_parser};
use hello_net::{Server, ServerBuilder, ServerError};
use hello_proto::{Guard, MAX_NAME_LEN, Refusal};

use super::rate_limit::LimitArgs;
use super::report::buffers::{Buffer, Buffers};
use super::systemd;
use crate::args::backend::BackendArg;
use crate::args::common::CommonArgs;
use crate::args::duration;
use crate::args::endpoint::Endpoint;

/// Greets whoever sends a name over UDP: the reply to NAME is "Hello, NAME!".
///
/// Prints where it listens and who was greeted; at SIGUSR1, and when a signal stops it, what it
/// counted.
#[derive(Debug, Parser)]
#[command(name = "hello-server", version, after_help = EXAMPLES)]
pub struct Args {
    // No documentation comment: rustdoc takes the brackets for a link.
    #[arg(
        long,
        help = "Where to listen: HOST, HOST:PORT or [IPV6]:PORT; may be given several times \
                [default: 127.0.0.1:9999, or the sockets that systemd hands over]",
        value_name = "HOST:PORT"
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

    /// Answer what one of the rules against reply loops and reflection would refuse; may be given
    /// several times.
    #[arg(long, value_name = "RULE", value_parser = refusal())]
    allow: Vec<Refusal>,

    // No documentation comment: it would become that of the command.
    #[command(flatten)]
    #[expect(missing_docs, reason = "it would become the help of the whole command")]
    pub limit: LimitArgs,

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

    /// Ask for datagrams again and again for so long, such as 50us, before waiting for one: faster
    /// replies, for more of the processor's time.
    #[arg(long, value_name = "DURATION", value_parser = spin)]
    spin: Option<Duration>,

    /// Ask the system for a receive buffer of this size for each socket [default: 4 MiB]. It holds
    /// what comes in a burst.
    #[arg(long, value_name = "BYTES", value_parser = value_parser!(u32).range(1..=MAX_BUFFER))]
    receive_buffer: Option<u32>,

    /// Ask the system for a send buffer of this size for each socket [default: 16 MiB]. It holds
    /// replies that wait for address resolution; while it is full, nobody is answered.
    #[arg(long, value_name = "BYTES", value_parser = value_parser!(u32).range(1..=MAX_BUFFER))]
    send_buffer: Option<u32>,

    /// By which system calls to receive and send.
    #[arg(long, value_name = "BACKEND", default_value_t)]
    backend: BackendArg,

    /// Print nothing about single datagrams but errors.
    #[arg(long, short)]
    pub quiet: bool,

    /// How many lines about datagrams are printed in any second, at most; the others are counted.
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "20",
        value_parser = value_parser!(u16).range(1..=10_000),
        conflicts_with = "quiet",
    )]
    pub max_lines: u16,

    /// Print what was counted, and how much of it a second, that often.
    #[arg(long, value_name = "SECONDS", value_parser = period)]
    pub stats: Option<Duration>,

    /// Keep a file with the counters for Prometheus, as the node exporter's textfile collector
    /// reads it.
    #[arg(long, value_name = "PATH")]
    pub metrics_file: Option<PathBuf>,

    // No documentation comment: it would become that of the command.
    #[command(flatten)]
    #[expect(missing_docs, reason = "it would become the help of the whole command")]
    pub common: CommonArgs,
}

const EXAMPLES: &str = "\
Examples:
  hello-server                                      serve this machine, at 127.0.0.1:9999
  hello-server --bind 127.0.0.1:7777 --bind ::1     two addresses, the second at port 9999
  hello-server --bind 127.0.0.1:0 --json            any free port, and say which
  hello-server --max-name 65499                     greet every name there can be
  hello-server --bind 0.0.0.0 --bind ::             every address of this machine
  hello-server --bind 0.0.0.0 --limit 100 --stats 60 --quiet
                                                    for strangers
  hello-server --workers 4 --quiet --receive-buffer 16777216
                                                    under heavy load

Signals:
  SIGINT, SIGTERM, SIGHUP  stop, and print the summary; a second signal ends the server within half
                           a second
  SIGUSR1                  print the counts so far, write the metrics file, and go on

Exit status:
  0  stopped by SIGINT, SIGTERM or SIGHUP
  2  the command line is at fault, or a socket cannot be had or fails";

/// The largest buffer that can be asked for, in bytes: what Linux can double.
const MAX_BUFFER: i64 = (i32::MAX / 2) as i64;

impl Args {
    /// Opens the server's sockets, or takes over those that the supervisor hands over.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the options or with the sockets, and what to do about it.
    pub fn open(&self) -> Result<Server, Box<dyn Error>> {
        let sockets = systemd::sockets()?;
        if sockets.is_empty() {
            return self.builder()?.bind(self.addresses()?).map_err(advise);
        }
        for (given, option) in [(!self.bind.is_empty(), "--bind"), (self.reuseport, "--reuseport")]
        {
            if given {
                return Err(format!("{option} does not go with sockets that are handed over (LISTEN_FDS); leave one of them out").into());
            }
        }
        Ok(self.builder()?.adopt(sockets)?)
    }

    fn builder(&self) -> Result<ServerBuilder, Box<dyn Error>> {
        let guard = Guard::new().with_max_name_len(self.max_name.try_into()?);
        let mut builder = Server::builder()
            .guard(self.allow.iter().copied().fold(guard, Guard::allow))
            .backend(self.backend.into())
            .workers(NonZeroUsize::try_from(usize::from(self.workers))?)
            .reuse_port(self.reuseport)
            .spin(self.spin.unwrap_or_default())
            .rate_limit(self.limit.rate_limit()?);
        if let Some(bytes) = self.receive_buffer {
            builder = builder.receive_buffer(bytes.try_into()?);
        }
        if let Some(bytes) = self.send_buffer {
            builder = builder.send_buffer(bytes.try_into()?);
        }
        Ok(builder)
    }

    /// Returns the sizes of a server's buffers, as they were asked for and as they are.
    pub fn buffers(&self, server: &Server) -> Buffers {
        let buffer = |asked: Option<u32>, default, given| Buffer {
            asked: asked.map_or(default, |bytes| bytes as usize),
            is_default: asked.is_none(),
            given,
        };
        Buffers {
            receive: buffer(self.receive_buffer, Server::RECEIVE_BUFFER, server.receive_buffer()),
            send: buffer(self.send_buffer, Server::SEND_BUFFER, server.send_buffer()),
        }
    }

    fn addresses(&self) -> Result<Vec<SocketAddr>, Box<dyn Error>> {
        if self.bind.is_empty() {
            return Ok(Endpoint::default().resolve()?);
        }
        let mut addresses = Vec::new();
        for endpoint in &self.bind {
            addresses.extend(endpoint.resolve()?);
        }
        Ok(addresses)
    }
}

/// Reads how long to spin.
fn spin(text: &str) -> Result<Duration, String> {
    const LONGEST: Duration = Duration::from_secs(1);
    match duration::parse(text)? {
        spin if spin <= LONGEST => Ok(spin),
        _ => Err("must be 1s at the most: try 50us".into()),
    }
}

/// Reads how often something is to be done.
fn period(text: &str) -> Result<Duration, String> {
    const SHORTEST: Duration = Duration::from_millis(10);
    const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    let period = duration::parse(text)?;
    match (SHORTEST..=LONGEST).contains(&period) {
        true => Ok(period),
        false => Err("must be from 10ms to 365days".into()),
    }
}

/// Reads a rule of the guard by its label.
fn refusal() -> impl TypedValueParser<Value = Refusal> {
    let value = |refusal: Refusal| PossibleValue::new(refusal.label()).help(refusal.to_string());
    PossibleValuesParser::new(Refusal::ALL.map(value)).try_map(|label| {
        let known = Refusal::ALL.into_iter().find(|refusal| refusal.label() == label);
        known.ok_or("no such rule")
    })
}

/// Adds to an error what to do about it.
fn advise(error: ServerError) -> Box<dyn Error> {
    let ServerError::Bind { address, source } = &error else { return error.into() };
    let advice = match source.kind() {
        ErrorKind::AddrInUse => "it is taken already; choose another --bind HOST:PORT",
        ErrorKind::AddrNotAvailable => "this machine has no such address; choose one of its own",
        ErrorKind::PermissionDenied if (1..1024).contains(&address.port()) => {
            "ports below 1024 need a privilege; choose a higher one"
        }
        _ => return error.into(),
    };
    format!("{error}: {source}: {advice}").into()
}

//! The command line of `hello-server`.

use std::error::Error;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use hello_net::{EventFilter, Server, ServerBuilder, ServerError};
use hello_proto::{DEFAULT_PORT, Guard, MAX_NAME_LEN, Refusal};

use super::rate_limit::LimitArgs;
use super::report::Plan;
use super::report::buffers::{Buffer, Buffers};
use super::systemd;
use super::xdp::{self, XdpArgs};
use crate::args::backend::BackendArg;
use crate::args::common::CommonArgs;
use crate::args::endpoint::{Endpoint, EndpointError};
use crate::args::generate::AFTER_HELP;
use crate::args::listen;
use crate::args::number;

/// Reply "Hello, NAME!" to every name received over UDP
///
/// Print the addresses served and every name greeted. Print the counts on SIGUSR1, and a summary at
/// the end.
#[derive(Debug, Parser)]
#[command(name = "hello-server", version, after_help = AFTER_HELP, after_long_help = AFTER_LONG_HELP)]
pub struct Args {
    // No documentation comment: rustdoc takes the brackets for a link.
    #[arg(
        long,
        help = "Listen on this address; repeat for several [default: 127.0.0.1:9999]",
        long_help = "Listen on this address: HOST, HOST:PORT or [IPV6]:PORT; repeat for several \
                     [default: 127.0.0.1:9999]\n\n\
                     With socket activation, the server uses the sockets from systemd instead, \
                     and --bind is an error.",
        value_name = "HOST:PORT",
        value_parser = parse_bind,
    )]
    bind: Vec<Endpoint>,

    /// Listen on PORT where --bind names none [default: 9999]
    #[arg(long, short, value_name = "PORT")]
    port: Option<u16>,

    /// Refuse names longer than BYTES
    ///
    /// They are refused, never truncated.
    #[arg(
        long,
        value_name = "BYTES",
        default_value_t = Guard::DEFAULT_MAX_NAME_LEN as u64,
        value_parser = number::bytes::<u64>(0..=MAX_NAME_LEN as u64),
    )]
    max_name: u64,

    /// Answer requests that RULE would refuse; repeat for several
    ///
    /// The rules prevent reply loops and reflection. docs/protocol.md explains each of them.
    #[arg(long, value_name = "RULE", value_parser = refusal())]
    allow: Vec<Refusal>,

    // No documentation comment: it would become that of the command.
    #[command(flatten)]
    pub(super) limit: LimitArgs,

    /// Serve each address with COUNT threads
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "1",
        value_parser = number::count::<u16>(1..=1024),
    )]
    workers: u16,

    /// Open one socket per thread (SO_REUSEPORT)
    ///
    /// The kernel distributes the clients among the sockets. Without this option, all threads of an
    /// address share one socket, which balances the load better.
    #[arg(long)]
    reuseport: bool,

    // No documentation comment: it would become that of the command.
    #[command(flatten)]
    pub(super) xdp: XdpArgs,

    /// Busy-poll the socket for TIME before blocking, e.g. 50us
    ///
    /// Replies are faster, at the cost of CPU time.
    #[arg(long, value_name = "TIME", value_parser = spin)]
    spin: Option<Duration>,

    /// Request a receive buffer of BYTES per socket [default: 4 MiB]
    ///
    /// It holds requests during a burst or a restart. The kernel caps it at net.core.rmem_max
    /// unless the server has CAP_NET_ADMIN.
    #[arg(long, value_name = "BYTES", value_parser = number::bytes::<u32>(1..=MAX_BUFFER))]
    receive_buffer: Option<u32>,

    /// Request a send buffer of BYTES per socket [default: 16 MiB]
    ///
    /// It holds replies that wait for address resolution. While it is full, replies are dropped.
    /// The kernel caps it at net.core.wmem_max unless the server has CAP_NET_ADMIN.
    #[arg(long, value_name = "BYTES", value_parser = number::bytes::<u32>(1..=MAX_BUFFER))]
    send_buffer: Option<u32>,

    /// Select the I/O back end
    #[arg(long, value_name = "BACKEND", default_value_t)]
    backend: BackendArg,

    /// Print no lines about single datagrams, except errors
    #[arg(long, short)]
    pub(super) quiet: bool,

    /// Print at most COUNT lines about datagrams per second; count the rest
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "20",
        value_parser = number::count::<u16>(1..=10_000),
        conflicts_with = "quiet",
    )]
    pub(super) max_lines: u16,

    /// Print counts and rates every TIME, e.g. 60 or 5m
    #[arg(long, value_name = "TIME", value_parser = period)]
    pub(super) stats: Option<Duration>,

    /// Keep Prometheus metrics in FILE
    ///
    /// The node exporter's textfile collector reads them. FILE is replaced atomically, so a reader
    /// always finds it complete. Its directory must be writable.
    #[arg(long, value_name = "FILE")]
    pub(super) metrics_file: Option<PathBuf>,

    /// Serve Prometheus metrics over HTTP at ADDRESS:PORT, or on PORT of the loopback
    ///
    /// GET /metrics returns them, and GET /healthz the status 200 while every thread makes progress.
    /// Port 0 chooses a free port, which is printed. Everyone who can reach the address can read the
    /// metrics.
    #[arg(long, value_name = "[ADDRESS:]PORT", value_parser = listen::parse)]
    pub(super) metrics_listen: Option<SocketAddr>,

    // No documentation comment: it would become that of the command.
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

const AFTER_LONG_HELP: &str = "\
Units:
  TIME   seconds, or numbers with units: 0.5, 50us, 1m30s
  RATE   requests per second

Examples:
  hello-server                                   Serve this machine at 127.0.0.1:9999
  hello-server --bind 127.0.0.1:7777 --bind ::1  Serve two addresses, the second at port 9999
  hello-server --bind 127.0.0.1:0 --json         Pick a free port and print it
  hello-server --max-name 65499                  Accept names of any length
  hello-server --bind 0.0.0.0 --bind ::          Serve every address of this machine
  hello-server --bind 0.0.0.0 --limit 100 --stats 60 --quiet
                                                 Serve the internet with a lower limit
  hello-server --workers 4 --quiet --receive-buffer 16MiB
                                                 Serve a heavy load
  hello-server --bind 0.0.0.0 --bind :: --xdp eth0
                                                 Answer in the driver of eth0, too

Signals:
  SIGINT, SIGTERM, SIGHUP  Stop and print the summary. A second signal exits within half a second.
  SIGUSR1                  Print the counts, write the metrics file, and continue
  On Windows, Ctrl-C is SIGINT, and nothing is SIGUSR1.

Exit status:
  0  Stopped by SIGINT, SIGTERM or SIGHUP
  2  Invalid command line, a socket could not be opened or failed, or the metrics file could not be
     written";

/// The largest buffer size that can be requested, in bytes: Linux doubles the value.
const MAX_BUFFER: u64 = (i32::MAX / 2) as u64;

impl Args {
    /// Opens the server's sockets, or adopts those of socket activation.
    pub(crate) fn open(&self) -> Result<Server, Box<dyn Error>> {
        let sockets = systemd::sockets()?;
        if sockets.is_empty() {
            return self.builder()?.bind(self.addresses()?).map_err(advise);
        }
        for (given, option) in [
            (!self.bind.is_empty(), "--bind"),
            (self.port.is_some(), "--port"),
            (self.reuseport, "--reuseport"),
        ] {
            if given {
                let error =
                    format!("{option} cannot be combined with socket activation (LISTEN_FDS)");
                return Err(error.into());
            }
        }
        self.builder()?.adopt(sockets).map_err(advise)
    }

    fn builder(&self) -> Result<ServerBuilder, Box<dyn Error>> {
        let guard = Guard::new().with_max_name_len(self.max_name.try_into()?);
        let mut builder = Server::builder()
            .guard(self.allow.iter().copied().fold(guard, Guard::allow))
            .backend(self.backend.into())
            .workers(NonZeroUsize::try_from(usize::from(self.workers))?)
            .reuse_port(self.reuseport)
            .spin(self.spin.unwrap_or_default())
            .events(if self.quiet { EventFilter::SendFailures } else { EventFilter::All })
            .rate_limit(self.limit.rate_limit()?)
            .xdp(self.xdp.interfaces()?);
        if let Some(bytes) = self.receive_buffer {
            builder = builder.receive_buffer(bytes.try_into()?);
        }
        if let Some(bytes) = self.send_buffer {
            builder = builder.send_buffer(bytes.try_into()?);
        }
        Ok(builder)
    }

    /// Returns the requested and the actual sizes of a server's socket buffers.
    pub fn buffers(&self, server: &Server) -> Buffers {
        let buffer = |requested: Option<u32>, default, actual| Buffer {
            requested: requested.map_or(default, |bytes| bytes as usize),
            is_default: requested.is_none(),
            actual,
        };
        Buffers {
            receive: buffer(self.receive_buffer, Server::RECEIVE_BUFFER, server.receive_buffer()),
            send: buffer(self.send_buffer, Server::SEND_BUFFER, server.send_buffer()),
        }
    }

    /// Returns the options that the first line of JSON shows.
    pub fn plan(&self) -> Plan {
        Plan {
            max_name: self.max_name,
            allow: self.allow.iter().map(|rule| rule.label()).collect(),
            workers: self.workers,
            reuseport: self.reuseport,
            spin_s: self.spin.unwrap_or_default().as_secs_f64(),
            backend: self.backend.to_string(),
            xdp: self.xdp.names(),
        }
    }

    fn addresses(&self) -> Result<Vec<SocketAddr>, Box<dyn Error>> {
        let port = self.port.unwrap_or(DEFAULT_PORT);
        if self.bind.is_empty() {
            return Ok(Endpoint::default().or_port(port).resolve()?);
        }
        let mut addresses = Vec::new();
        for endpoint in &self.bind {
            addresses.extend(endpoint.clone().or_port(port).resolve()?);
        }
        Ok(addresses)
    }

    /// Yields the hints about addresses that were perhaps meant otherwise.
    pub fn hints(&self) -> impl Iterator<Item = String> {
        self.bind.iter().filter_map(Endpoint::hint)
    }
}

/// Parses an address to listen on.
fn parse_bind(text: &str) -> Result<Endpoint, String> {
    text.parse().map_err(|error| match error {
        EndpointError::OnlyPort(port) => {
            format!("{error}, or 0.0.0.0:{port} for every address")
        }
        error => error.to_string(),
    })
}

/// Parses the time to busy-poll.
fn spin(text: &str) -> Result<Duration, String> {
    const LONGEST: Duration = Duration::from_secs(1);
    match number::duration(text)? {
        spin if spin <= LONGEST => Ok(spin),
        _ => Err("must be at most 1s, e.g. 50us".into()),
    }
}

/// Parses the period of the statistics.
fn period(text: &str) -> Result<Duration, String> {
    const SHORTEST: Duration = Duration::from_millis(10);
    const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    let period = number::duration(text)?;
    match (SHORTEST..=LONGEST).contains(&period) {
        true => Ok(period),
        false => Err("must be between 10ms and 365days".into()),
    }
}

/// Parses a rule of the guard by its label.
fn refusal() -> impl TypedValueParser<Value = Refusal> {
    let value = |refusal: Refusal| PossibleValue::new(refusal.label()).help(refusal.to_string());
    PossibleValuesParser::new(Refusal::ALL.map(value)).try_map(|label| {
        let known = Refusal::ALL.into_iter().find(|refusal| refusal.label() == label);
        known.ok_or("no such rule")
    })
}

/// Adds advice to an error.
fn advise(error: ServerError) -> Box<dyn Error> {
    let advised = match &error {
        ServerError::Bind { address, source } => {
            let advice = listen::advice(source, address.port(), "--bind HOST:PORT");
            advice.map(|advice| format!("{error}: {source}: {advice}"))
        }
        ServerError::Xdp(source) => Some(format!("{error}: {}", xdp::advise(source))),
        _ => None,
    };
    advised.map_or_else(|| error.into(), Into::into)
}

//! The command line of `hello-client`.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::time::Duration;

use clap::Parser;

use crate::args::common::CommonArgs;
use crate::args::endpoint::Endpoint;
use crate::args::generate::AFTER_HELP;
use crate::args::number;
use crate::args::resolve::{ResolveArgs, ResolveError};

/// Send names to a Hello server and print its greetings
///
/// Each name is one UDP request; the server replies "Hello, NAME!". Without a reply, the client
/// sends the request again, and doubles the wait each time.
#[derive(Debug, Parser)]
#[command(name = "hello-client", version, after_help = AFTER_HELP, after_long_help = AFTER_LONG_HELP)]
pub struct Args {
    /// Names to send; "-" reads names from standard input, one per line
    ///
    /// A name may contain any bytes.
    #[arg(value_name = "NAME", default_values = ["Michael", "Tracy", "Sarah"])]
    pub(super) names: Vec<OsString>,

    // No documentation comment: rustdoc takes the brackets for a link.
    #[arg(
        long,
        help = "Send to this server [default: 127.0.0.1]",
        long_help = "Send to this server: HOST, HOST:PORT or [IPV6]:PORT [default: 127.0.0.1]\n\n\
                     Every address of HOST is tried.",
        value_name = "HOST:PORT",
        value_parser = Endpoint::parse_destination,
    )]
    server: Option<Endpoint>,

    // No documentation comment: it would become that of the command.
    #[command(flatten)]
    hosts: ResolveArgs,

    /// Start a server on a free loopback port and send to it
    #[arg(long, conflicts_with_all = ["server", "port", "ipv4", "ipv6"])]
    pub(super) local: bool,

    /// Wait TIME for a reply to the first attempt
    ///
    /// The wait doubles with each attempt, up to one minute.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = number::duration)]
    pub(super) timeout: Duration,

    /// Send each name up to COUNT times
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "3",
        value_parser = number::count::<u32>(1..=u64::from(u32::MAX)),
    )]
    pub(super) attempts: u32,

    #[command(flatten)]
    pub(super) common: CommonArgs,
}

impl Args {
    /// Resolves the server, and returns its addresses.
    pub(crate) fn servers(&self) -> Result<Vec<SocketAddr>, ResolveError> {
        let server = self.server.clone().unwrap_or_default();
        Ok(self.hosts.resolve(&server)?.addresses)
    }

    /// Yields the hints about a server or names that were perhaps meant otherwise.
    pub fn hints(&self) -> impl Iterator<Item = String> {
        let is_default = self.server.is_none() && !self.local;
        let names = self.names.iter().filter(move |_| is_default).filter_map(|name| name.to_str());
        let as_servers = names.filter(|name| looks_like_server(name)).map(|name| {
            format!("{name} is sent as a name; to send to that server, write --server {name}")
        });
        self.server.iter().filter_map(Endpoint::hint).chain(as_servers)
    }
}

/// Returns whether a name is an IP address, or a host of plain letters and digits with a port.
fn looks_like_server(name: &str) -> bool {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || ".-[]:%".contains(char);
    name.chars().all(is_plain)
        && Endpoint::parse_destination(name)
            .is_ok_and(|server| server.is_address() || server.has_port())
}

const AFTER_LONG_HELP: &str = "\
Units:
  TIME  seconds, or numbers with units: 0.5, 200ms, 1m30s

Examples:
  hello-client --local           Greet three names without a separate server
  hello-client Alice Bob         Send two names to a server on this machine
  hello-client --server ::1 Bob  Send over IPv6
  hello-client - < names.txt     Send each line of a file
  hello-client --timeout 200ms --attempts 1 && echo up
                                 Check a server in a script

Signals:
  SIGINT, SIGTERM, SIGHUP  Send nothing more, wait until the current attempt ends, and report the
                           names left out. A second signal skips the wait.
  On Windows, Ctrl-C is SIGINT.

Exit status:
  0  Every name was greeted, or the reader closed the output before one was not
  1  At least one name was not greeted, or was not sent because of a signal
  2  Invalid command line, a name is too long, or input or output failed";

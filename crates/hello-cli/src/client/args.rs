//! The options of `hello-client`.

use std::ffi::OsString;
use std::time::Duration;

use clap::{Parser, value_parser};

use crate::args::common::CommonArgs;
use crate::args::duration;
use crate::args::endpoint::Endpoint;

/// Asks a server for greetings over UDP, and prints them.
///
/// Each name is sent to the server, which replies "Hello, NAME!". If no reply comes, the client
/// asks again, waiting twice as long each time.
#[derive(Debug, Parser)]
#[command(name = "hello-client", version, after_help = EXAMPLES)]
pub struct Args {
    /// Names to be greeted, any bytes; "-" stands for the lines of standard input.
    #[arg(value_name = "NAME", default_values = ["Michael", "Tracy", "Sarah"])]
    pub names: Vec<OsString>,

    // No documentation comment: rustdoc takes the brackets for a link.
    #[arg(
        long,
        help = "Whom to ask: HOST, HOST:PORT or [IPV6]:PORT",
        value_name = "HOST:PORT",
        default_value_t,
        value_parser = Endpoint::parse_to_ask,
    )]
    pub server: Endpoint,

    /// Start a server of our own on a free port of the loopback, and ask that.
    #[arg(long, conflicts_with = "server")]
    pub local: bool,

    /// How long to wait after the first attempt, such as 0.5, 500ms or 2s; then twice as
    /// long, up to a minute.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration::parse)]
    pub timeout: Duration,

    /// How often to ask for a name before giving it up.
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "3",
        value_parser = value_parser!(u32).range(1..),
    )]
    pub attempts: u32,

    #[command(flatten)]
    pub common: CommonArgs,
}

const EXAMPLES: &str = "\
Examples:
  hello-client --local                     greet the three names, no server needed
  hello-client Alice Bob                   ask a server on this machine
  hello-client --server ::1 Alice          ask over IPv6
  hello-client - < names.txt               one name a line
  hello-client --timeout 200ms --attempts 1 && echo up

Exit status:
  0  every name was greeted
  1  some were not; standard error says why
  2  the command line is at fault, a name is too long, or input or output failed";

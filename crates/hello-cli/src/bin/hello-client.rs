//! `hello-client`: asks for greetings over UDP, and says what became of each request.

use std::error::Error;
use std::ffi::OsString;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, value_parser};
use hello_cli::client::Report;
use hello_cli::common::Common;
use hello_cli::endpoint::Endpoint;
use hello_cli::names::names;
use hello_cli::{EXIT_TROUBLE, seconds};
use hello_net::{Client, Server};
use hello_proto::{Guard, Refusal, Request, Retry};

/// Asks a server for greetings over UDP, and prints them.
///
/// Each name is sent to the server, which replies "Hello, NAME!". If no reply comes, the client
/// asks again, waiting twice as long each time.
#[derive(Debug, Parser)]
#[command(name = "hello-client", version, after_help = EXAMPLES)]
struct Args {
    /// Names to be greeted, any bytes; "-" stands for the lines of standard input.
    #[arg(value_name = "NAME", default_values = ["Michael", "Tracy", "Sarah"])]
    names: Vec<OsString>,

    // No documentation comment: rustdoc takes the brackets for a link.
    #[arg(
        long,
        help = "Whom to ask: HOST, HOST:PORT or [IPV6]:PORT",
        value_name = "HOST:PORT",
        default_value_t,
        value_parser = Endpoint::parse_to_ask,
    )]
    server: Endpoint,

    /// Start a server of our own on a free port of the loopback, and ask that.
    #[arg(long, conflicts_with = "server")]
    local: bool,

    /// How long to wait after the first attempt, such as 0.5, 500ms or 2s; then twice as
    /// long, up to a minute.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = seconds::parse)]
    timeout: Duration,

    /// How often to ask for a name before giving it up.
    #[arg(
        long,
        value_name = "COUNT",
        default_value = "3",
        value_parser = value_parser!(u32).range(1..),
    )]
    attempts: u32,

    #[command(flatten)]
    common: Common,
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

fn main() -> ExitCode {
    hello_cli::exit("hello-client", run(&Args::parse()))
}

fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    if args.common.generated::<Args>()? {
        return Ok(ExitCode::SUCCESS);
    }
    if args.local {
        // Nobody else is to be greeted, so no name of ours is refused.
        let guard = Guard::new().allow(Refusal::NameTooLong).allow(Refusal::GreetedTwice);
        let server = Server::builder().guard(guard).bind([(Ipv4Addr::LOCALHOST, 0).into()])?;
        return server.serve_while(|_event| (), || greet(args, server.local_addrs()))?;
    }
    greet(args, args.server.resolve()?)
}

/// Asks for every name in turn, and loses none for the failure of another.
fn greet(
    args: &Args,
    servers: impl IntoIterator<Item = SocketAddr>,
) -> Result<ExitCode, Box<dyn Error>> {
    let longest = Retry::default().max().max(args.timeout);
    let retry = Retry::new(args.timeout, args.attempts.try_into()?, longest);
    let mut client = Client::new(servers, retry)?;
    let mut report = Report::new(args.common.format(), io::stdout(), io::stderr());
    let mut status = 0;

    for name in names(&args.names, &mut io::stdin().lock()) {
        let printed = match name {
            Ok(name) => {
                let request = Request::new(&name)?;
                let mut printed = Ok(());
                let result = client.greet(request, |progress| {
                    if printed.is_ok() {
                        printed = report.progress(progress);
                    }
                });
                status = status.max(u8::from(result.is_err()));
                printed.and_then(|()| report.result(request, &result))
            }
            Err(error) => {
                status = EXIT_TROUBLE;
                report.no_name(&error)
            }
        };
        match printed {
            // Whoever reads our output has read enough; that is no failure.
            Err(error) if error.is_broken_pipe() => break,
            printed => printed?,
        }
    }
    Ok(status.into())
}

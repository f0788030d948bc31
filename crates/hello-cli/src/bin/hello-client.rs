//! `hello-client`: asks for greetings over UDP, and says what became of each request.

use std::error::Error;
use std::ffi::OsString;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use hello_cli::client::Report;
use hello_cli::common::Common;
use hello_cli::endpoint::Endpoint;
use hello_cli::escape::Brief;
use hello_cli::names::{NameError, names};
use hello_cli::{EXIT_TROUBLE, seconds};
use hello_net::{Client, Event, GreetError, Outcome, Server};
use hello_proto::{Request, Retry};

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
        default_value_t
    )]
    server: Endpoint,

    /// Start a server of our own on a free port of the loopback, and ask that.
    #[arg(long, conflicts_with = "server")]
    local: bool,

    /// How long to wait after the first attempt, such as 0.5, 500ms or 2s; then twice as long.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = seconds::parse)]
    timeout: Duration,

    /// How often to ask for a name before giving it up.
    #[arg(long, value_name = "COUNT", default_value = "3")]
    attempts: NonZeroU32,

    #[command(flatten)]
    common: Common,
}

const EXAMPLES: &str = "\
Examples:
  hello-client --local                     greet the three names, no server needed
  hello-client Alice Bob                   ask a server on this machine
  hello-client --server [::1]:9999 Alice   ask over IPv6
  hello-client - < names.txt               one name a line
  hello-client --timeout 200ms --attempts 1 && echo up

Exit status:
  0  every name was greeted
  1  some were not: refused, where nothing listens, or no answer
  2  the command line, a name, input or output is at fault";

fn main() -> ExitCode {
    hello_cli::exit("hello-client", run(&Args::parse()))
}

fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    if args.common.generated::<Args>()? {
        return Ok(ExitCode::SUCCESS);
    }
    if args.local {
        let server = Server::builder().bind(&[(Ipv4Addr::LOCALHOST, 0).into()])?;
        return server.serve_while(explain_refusal, || greet(args, server.local_addrs()))?;
    }
    greet(args, args.server.resolve()?)
}

/// Asks for every name in turn, and loses none for the failure of another.
fn greet(
    args: &Args,
    servers: impl IntoIterator<Item = SocketAddr>,
) -> Result<ExitCode, Box<dyn Error>> {
    let longest = Retry::default().max().max(args.timeout);
    let mut client = Client::connect(servers, Retry::new(args.timeout, args.attempts, longest))?;
    let servers = Vec::from_iter(client.servers());
    let format = args.common.format();
    let mut report = Report::new(format, io::stdout(), io::stderr());
    let mut status = 0;

    for name in names(&args.names, &mut io::stdin().lock()) {
        let name = match name {
            Ok(name) => name,
            Err(error @ NameError::TooLong(_)) => {
                report.no_name(&error)?;
                status = EXIT_TROUBLE;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let request = Request::new(&name)?;
        let mut printed = Ok(());
        let result = client.greet(request, |progress| {
            if printed.is_ok() {
                printed = report.progress(progress);
            }
        });
        printed?;
        report.result(request, &servers, &result)?;
        status = status.max(match result {
            Ok(_) => 0,
            Err(GreetError::Unanswered { .. }) => 1,
            Err(GreetError::Socket(_)) => EXIT_TROUBLE,
        });
    }
    Ok(status.into())
}

/// Says why our own server gives no answer: the client would never know.
fn explain_refusal(event: &Event<'_>) {
    if let Outcome::Refused(refusal) = event.outcome {
        eprintln!("hello-client: our own server refuses {}: {refusal}", Brief(event.name));
    }
}

//! The run of `hello-client`.

use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use hello_net::{Client, Server};
use hello_proto::{Guard, Refusal, Request, Retry};

use super::args::Args;
use super::names::read_names;
use super::report::Report;
use crate::process::exit::EXIT_ERROR;

/// Runs the tool, and returns the status to exit with.
///
/// # Errors
///
/// What makes the tool fail as a whole, for a message to standard error.
pub fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    if args.common.print_generated::<Args>()? {
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
    let mut client = Client::builder().retry(retry).connect(servers)?;
    let mut report = Report::new(args.common.format(), io::stdout(), io::stderr());
    let mut status = 0;

    for name in read_names(&args.names, &mut io::stdin().lock()) {
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
                status = EXIT_ERROR;
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

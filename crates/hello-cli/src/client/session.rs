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
use crate::output::console;
use crate::process::error::is_broken_pipe;
use crate::process::exit::EXIT_ERROR;

/// Runs the tool and returns its exit status.
///
/// # Errors
///
/// Returns the error for standard error.
pub fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    if args.common.print_generated::<Args>()? {
        return Ok(ExitCode::SUCCESS);
    }
    args.hints().for_each(|hint| console::warn(&format!("hello-client: {hint}")));
    if args.local {
        // Only this process sends requests, so every name is accepted.
        let guard = Guard::new().allow(Refusal::NameTooLong).allow(Refusal::GreetedTwice);
        let server = Server::builder().guard(guard).bind([(Ipv4Addr::LOCALHOST, 0).into()])?;
        return server.serve_while(|_event| (), || greet(args, server.local_addrs()))?;
    }
    greet(args, args.servers()?)
}

/// Sends every name in turn; the failure of one does not affect the others.
fn greet(
    args: &Args,
    servers: impl IntoIterator<Item = SocketAddr>,
) -> Result<ExitCode, Box<dyn Error>> {
    let max = Retry::default().max().max(args.timeout);
    let retry = Retry::new(args.timeout, args.attempts.try_into()?, max);
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
                report.invalid_name(&error)
            }
        };
        match printed {
            // The reader has read enough, which is not a failure.
            Err(error) if is_broken_pipe(&error.0) => break,
            printed => printed?,
        }
    }
    Ok(status.into())
}

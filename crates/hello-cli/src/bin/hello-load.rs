//! `hello-load`: how much a hello server carries.

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;
use hello_cli::load::args::Args;
use hello_cli::load::session::{Ask, Session};
use hello_cli::signals::Signals;

fn main() -> ExitCode {
    hello_cli::exit("hello-load", run(&Args::parse()))
}

fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    if args.common.generated::<Args>()? {
        return Ok(ExitCode::SUCCESS);
    }
    args.outputs.check()?;
    // Before signals are taken over, for nothing but their default action ends a lookup.
    let target = args.target()?;
    let signals = Signals::register(Ask::Stop, Ask::Abort, [])?;
    let mut session = Session::start(args, target, signals)?;
    let run = session.run();
    // What is known always, also of a run that a broken socket ended.
    let finished = session.finish();
    run?;
    finished
}

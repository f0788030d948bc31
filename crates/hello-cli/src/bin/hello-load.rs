//! `hello-load`: how much a hello server carries.

use std::error::Error;
use std::io;
use std::process::ExitCode;

use clap::Parser;
use hello_cli::load::args::Args;
use hello_cli::load::session::{Ask, Session};
use hello_cli::signals::Signals;
use signal_hook::consts::{SIGINT, SIGTERM};

fn main() -> ExitCode {
    hello_cli::exit("hello-load", run(&Args::parse()))
}

fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    if args.common.generated::<Args>()? {
        return Ok(ExitCode::SUCCESS);
    }
    let signals = Signals::register([(SIGINT, Ask::Stop), (SIGTERM, Ask::Stop)])?;
    args.outputs.check()?;
    let printer = args.outputs.printer(args.common.format());
    let mut session = Session::start(args, printer, signals)?;
    let run = session.run();
    // What is known always, also of a run that a broken socket ended.
    let finished = session.finish(&mut io::stdout());
    run?;
    finished
}

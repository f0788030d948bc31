//! `hello-ping`: what the way to a hello server is worth.

use std::error::Error;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::Parser;
use hello_cli::ping::Target;
use hello_cli::ping::args::Args;
use hello_cli::ping::report::{Report, Style};
use hello_cli::ping::session::{Ask, Session};
use hello_cli::signals::Signals;
use hello_cli::status_bar;
use hello_net::Prober;
use signal_hook::consts::SIGQUIT;

fn main() -> ExitCode {
    hello_cli::exit("hello-ping", run(&Args::parse()))
}

fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    if args.common.generated::<Args>()? {
        return Ok(ExitCode::SUCCESS);
    }
    args.outputs.check()?;
    // Before signals are taken over, for nothing but their default action ends a lookup.
    let named = args.targets()?;
    let signals = Signals::register(Ask::Stop, Ask::Abort, [(SIGQUIT, Ask::Snapshot)])?;
    let (mut targets, mut probers) = (Vec::new(), Vec::new());
    for (name, address) in named {
        let plan = args.plan();
        let (name_len, flows) = (plan.name_len, plan.flows.get().into());
        targets.push(Target { name, address, name_len, flows });
        probers.push(Prober::new(address, plan).map_err(|error| args.explain(error))?);
    }
    let (format, terminal) = (args.common.format(), io::stdout().is_terminal());
    let style = Style { format, quiet: args.quiet, terminal };
    let failed = signals.send_on_drop(Ask::Stop);
    let out = args.outputs.console(format, || status_bar(format), failed)?;
    let session = Session::start(args, Report::new(style, targets), out)?;
    let watched = session.watch(&probers, &signals);
    // From here on, the first signal ends the tool as a second one does.
    drop(signals);
    // A summary always, also of a run that a broken socket ended.
    let finished = session.finish();
    watched?;
    finished
}

//! The run of `hello-server`.

use std::error::Error;
use std::process::ExitCode;
use std::time::SystemTime;

use hello_net::{Outcome, Server, ServerEvent};
use signal_hook::consts::SIGUSR1;

use super::args::Args;
use super::housekeeping::{Command, Housekeeping};
use super::log::{self, Failure, Log};
use super::metrics::MetricsFile;
use super::report;
use super::systemd::Notifier;
use crate::output::Format;
use crate::output::console::{Console, Stream};
use crate::output::status::status_bar;
use crate::process::signals::Signals;

/// Runs the tool, and returns the status to exit with.
///
/// # Errors
///
/// What makes the tool fail as a whole, for a message to standard error.
pub fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    if args.common.print_generated::<Args>()? {
        return Ok(ExitCode::SUCCESS);
    }
    let format = args.common.format();
    // Before anything else is opened, for a descriptor that is to be handed over and is not open
    // is not to be somebody else's.
    let server = args.open()?;
    // Before signals are handled: until then, one ends a start that waits for a hung file system.
    let metrics = args.metrics_file.as_deref();
    let start = |path| MetricsFile::start(path, SystemTime::now(), &server.counters());
    let metrics = metrics.map(start).transpose()?;
    let signals = Signals::register(Command::Stop, Command::Stop, [(SIGUSR1, Command::Snapshot)])?;

    let (buffers, addresses) = (args.buffers(&server), Vec::from_iter(server.local_addrs()));
    let limit = args.limit.in_force(addresses.iter().copied());
    // An output that fails stops the log and not the server.
    let out = Console::start(Stream::Stdout, status_bar(format), format, log::ROOM, ())?;
    for address in &addresses {
        let limit = args.limit.in_force([*address]);
        out.line(report::listening(format, *address, &buffers, limit));
    }
    buffers.lines(format, &addresses).into_iter().for_each(|line| out.line(line));
    // In JSON, the lines above have it.
    let notice = limit.filter(|_| format == Format::Text).map(|limit| limit.notice());
    notice.into_iter().for_each(|line| out.line(line));
    let log = Log::new(out, args.max_lines);

    let served = serve(args, &server, &log, metrics.as_ref(), &signals);
    // From here on, the first signal ends the server as a second one does.
    drop(signals);
    let counters = server.counters();
    // From here on nobody is kept waiting: who asks now is refused.
    drop(server);
    let written = metrics.map_or(Ok(()), |file| file.finish(&counters));
    // Nor is it a failure if nobody reads the summary.
    let _ = log.finish(report::summary(format, &counters, limit));
    served?;
    written?;
    Ok(ExitCode::SUCCESS)
}

/// Serves until a signal comes or a socket fails, and looks after the rest meanwhile.
fn serve(
    args: &Args,
    server: &Server,
    log: &Log,
    metrics: Option<&MetricsFile>,
    signals: &Signals<Command>,
) -> Result<(), Box<dyn Error>> {
    let format = args.common.format();
    let ended = signals.send_on_drop(Command::Stop);
    let observe = move |event: &ServerEvent<'_>| {
        // However serving ends, this is dropped then, and the chores are to end, too.
        let _ended = &ended;
        match event.outcome {
            Outcome::SendFailed(error) => log.failure(Failure::Send(error.class), 1, |errors| {
                report::event(format, event, errors - 1)
            }),
            _ if args.quiet => {}
            _ => log.line(|| report::event(format, event, 0)),
        }
    };
    let supervisor = Notifier::from_env();
    let mut chores = Housekeeping::new(server, log, &supervisor, format, args.stats, metrics);
    let during = || {
        chores.run(signals);
        supervisor.stopping();
    };
    Ok(server.serve_while(observe, during)?)
}

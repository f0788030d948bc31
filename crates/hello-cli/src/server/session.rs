//! The run of `hello-server`.

use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use hello_net::{Outcome, Server, ServerEvent};

use super::args::Args;
use super::housekeeping::{Command, Housekeeping};
use super::log::{self, Failure, Log};
use super::metrics::{MetricsFile, ServerMetrics};
use super::report;
use super::systemd::Notifier;
use super::xdp::InterfaceLog;
use crate::output::Format;
use crate::output::console::{self, Console, Stream};
use crate::output::json::Origin;
use crate::output::prometheus::http::{ListenError, MetricsListener};
use crate::output::status::status_bar;
use crate::output::style::Color;
use crate::process::error::is_broken_pipe;
use crate::process::heartbeat::Heartbeat;
use crate::process::signals::Signals;
use crate::sys::SIGUSR1;

/// Runs the tool and returns its exit status.
///
/// # Errors
///
/// Returns the error for standard error.
pub fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    if args.common.print_generated::<Args>()? {
        return Ok(ExitCode::SUCCESS);
    }
    args.hints()
        .for_each(|hint| console::warn(args.common.color(), &format!("hello-server: {hint}")));
    let format = args.common.format();
    // First of all: another file must not take the number of an inherited descriptor that is
    // closed.
    let server = Arc::new(args.open()?);
    // Before any thread is started, which would keep them.
    server.give_up_xdp_capabilities()?;
    let listener = args.metrics_listen.map(MetricsListener::bind).transpose();
    let listener = listener.map_err(ListenError::explain)?;
    // Before signals are handled, so that a signal still ends a start that hangs in a file system.
    let metrics = args.metrics_file.as_deref();
    let start = SystemTime::now();
    let start_file =
        |path| MetricsFile::start(path, start, &server.counters(), &server.xdp_interfaces());
    let metrics = metrics.map(start_file).transpose()?;
    let signals = Signals::register(Command::Stop, Command::Stop, [(SIGUSR1, Command::Snapshot)])?;

    let (buffers, addresses) = (args.buffers(&server), Vec::from_iter(server.local_addrs()));
    let limit = args.limit.in_force(addresses.iter().copied());
    // A failing output stops the log, not the server.
    let out = Console::start_with(
        Stream::Stdout(args.common.color()),
        status_bar(format),
        format,
        log::ROOM,
        report_failure,
    )?;
    let (origin, plan) = (Origin::now("hello-server"), args.plan());
    for address in &addresses {
        let limit = args.limit.in_force([*address]);
        out.line(report::listening(format, *address, &origin, &plan, &buffers, limit));
    }
    buffers.lines(format, &addresses).into_iter().for_each(|line| out.line(line));
    let (mut interfaces, shown) = (InterfaceLog::new(format), server.xdp_interfaces());
    let notices = report::xdp::notices(format, &shown, args.quiet);
    interfaces.lines(shown).into_iter().chain(notices).for_each(|line| out.line(line));
    // In JSON, the first lines contain the limit.
    let notice = limit.filter(|_| format == Format::Text).map(|limit| limit.notice());
    notice.into_iter().for_each(|line| out.line(line));
    let liveness = Arc::new(Heartbeat::new());
    let scraped = listener.map(|listener| {
        out.line(report::metrics::serving(format, listener.local_addr()));
        let (server, liveness) = (Arc::clone(&server), Arc::clone(&liveness));
        listener.serve(ServerMetrics { server, start, liveness })
    });
    let scraped = scraped.transpose()?;
    let log = Log::new(out, args.max_lines);

    let served = serve(args, &server, &liveness, interfaces, &log, metrics.as_ref(), &signals);
    // From now on, the first signal has the effect of the second one.
    drop(signals);
    // Before the server, which has to be the last of its owners to close the sockets.
    drop(scraped);
    let (counters, interfaces) = (server.counters(), server.xdp_interfaces());
    // Closes the sockets, so that clients are refused and do not wait.
    drop(server);
    let written = metrics.map_or(Ok(()), |file| file.finish(&counters, &interfaces));
    // An unread summary is not a failure.
    let _ = log.finish(report::summary(format, &counters, limit));
    served?;
    written?;
    Ok(ExitCode::SUCCESS)
}

/// Reports that nothing more is logged. A reader that has gone knows it.
fn report_failure(error: &io::Error) {
    if !is_broken_pipe(error) {
        console::warn(
            Color::Auto,
            &format!(
                "hello-server: cannot write to standard output: {error}; serving without a log"
            ),
        );
    }
}

/// Serves until a signal arrives or a socket fails, and runs the housekeeping meanwhile.
fn serve(
    args: &Args,
    server: &Server,
    liveness: &Heartbeat,
    interfaces: InterfaceLog,
    log: &Log,
    metrics: Option<&MetricsFile>,
    signals: &Signals<Command>,
) -> Result<(), Box<dyn Error>> {
    let format = args.common.format();
    let ended = signals.send_on_drop(Command::Stop);
    let observe = move |event: &ServerEvent<'_>| {
        // Dropped however serving ends, which stops the housekeeping.
        let _ended = &ended;
        match event.outcome {
            Outcome::SendFailed(error) => log.failure(Failure::Send(error.class), 1, |errors| {
                report::event(format, event, errors - 1)
            }),
            _ => log.line(|| report::event(format, event, 0)),
        }
    };
    let supervisor = Notifier::from_env();
    let tasks = Housekeeping::new(server, log, &supervisor, format, args.stats, metrics);
    let mut tasks = tasks.with_heartbeat(liveness).with_interfaces(interfaces);
    let during = || {
        tasks.run(signals);
        supervisor.stopping();
    };
    Ok(server.serve_while(observe, during)?)
}

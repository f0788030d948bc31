//! The metrics of `hello-server`, in a file and over HTTP.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hello_net::{DriverCounters, Server, ServerCounters, XdpInterface, XdpState};

use super::report::{by_class, refusals, xdp};
use crate::output::prometheus::families::MetricFamilies;
use crate::output::prometheus::file::TextfileError;
use crate::output::prometheus::labels::Labels;
use crate::output::prometheus::source::MetricsSource;
use crate::output::prometheus::writer::Textfile;
use crate::process::heartbeat::Heartbeat;

/// A file with the server's counters in Prometheus' text format.
#[derive(Debug)]
pub struct MetricsFile {
    file: Textfile,
    start: SystemTime,
}

impl MetricsFile {
    /// Writes the first counters to `path`; `start` is the time at which the server started.
    pub(crate) fn start(
        path: &Path,
        start: SystemTime,
        counters: &ServerCounters,
        interfaces: &[XdpInterface],
    ) -> Result<Self, TextfileError> {
        let families = families(counters, interfaces, start);
        Ok(Self { file: Textfile::start(path, families.into_text())?, start })
    }

    /// Queues the counters for writing, and returns immediately.
    pub fn write(&self, counters: &ServerCounters, interfaces: &[XdpInterface]) {
        self.file.write(families(counters, interfaces, self.start).into_text());
    }

    /// Returns the error to report, like [`Textfile::failure`].
    pub fn failure(&self) -> Option<TextfileError> {
        self.file.failure()
    }

    /// Writes the last counters, and waits like [`Textfile::finish`].
    pub(crate) fn finish(
        &self,
        counters: &ServerCounters,
        interfaces: &[XdpInterface],
    ) -> Result<(), TextfileError> {
        self.file.finish(families(counters, interfaces, self.start).into_text())
    }
}

/// The metrics of a running server. Reading them holds up no thread that serves.
#[derive(Debug)]
pub struct ServerMetrics {
    /// The server.
    pub server: Arc<Server>,
    /// The time at which it started.
    pub start: SystemTime,
    /// Beats when every thread of the server was found to make progress.
    pub liveness: Arc<Heartbeat>,
}

impl MetricsSource for ServerMetrics {
    fn families(&self) -> Arc<MetricFamilies> {
        let (counters, interfaces) = (self.server.counters(), self.server.xdp_interfaces());
        Arc::new(families(&counters, &interfaces, self.start))
    }

    fn is_healthy(&self) -> bool {
        self.liveness.is_alive(MAX_SILENCE)
    }
}

/// The time without progress after which the server is not healthy. Progress is checked every second at
/// least.
const MAX_SILENCE: Duration = Duration::from_secs(5);

/// Returns the counters as metrics, with the interfaces in whose drivers requests are answered; `start`
/// is the time at which the server started.
pub fn families(
    counters: &ServerCounters,
    interfaces: &[XdpInterface],
    start: SystemTime,
) -> MetricFamilies {
    let mut families = MetricFamilies::new("hello_server");
    let driver = counters.driver();
    let unlabelled = |value: u64| vec![(Labels::new(), value)];
    let labelled = |name: &'static str, counts: &[(&str, u64)]| {
        let sample = |(value, count): &(&str, u64)| (Labels::new().with(name, value), *count);
        Vec::from_iter(counts.iter().map(sample))
    };
    for (name, help, samples) in [
        ("received", "Datagrams received.", unlabelled(counters.received())),
        (
            "answered",
            "Replies sent, by sockets or by the drivers of interfaces (XDP).",
            labelled("by", &answered(counters)),
        ),
        (
            "refused",
            "Datagrams refused, by the rule that refused them.",
            labelled("reason", &refusals(counters)),
        ),
        (
            "over_limit_answered",
            "Requests over the rate limit that were answered: one in four, or all in a dry run.",
            unlabelled(counters.over_limit_answered()),
        ),
        (
            "send_failed",
            "Replies that could not be sent, by error class.",
            labelled("class", &by_class(counters, ServerCounters::send_failed)),
        ),
        (
            "receive_errors",
            "Receive calls that failed, by error class.",
            labelled("class", &by_class(counters, ServerCounters::receive_errors)),
        ),
    ] {
        families.counter(name, help, samples);
    }
    if let Some(dropped) = counters.dropped() {
        let help = "Messages that the kernel dropped: receive buffer full, or bad checksum.";
        families.counter("dropped", help, unlabelled(dropped));
    }
    let help = "Packets that XDP passed to the kernel instead of an answer, by reason.";
    let passed = driver.map(|driver| labelled("reason", &xdp::passed(driver)));
    families.counter("driver_passed", help, passed.unwrap_or_default());
    let help = "Addresses that XDP answers for at an interface, 0 if it is not attached there.";
    families.gauge("driver_addresses", help, interfaces.iter().map(addresses));
    let start = start.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let help = "Start time of the server, in seconds since 1970 (UTC).";
    families.gauge("start_time_seconds", help, unlabelled(start));
    let version = Labels::new().with("version", env!("CARGO_PKG_VERSION"));
    families.info("Version of the server.", version);
    families
}

/// Returns the number of replies by what sent them.
fn answered(counters: &ServerCounters) -> Vec<(&'static str, u64)> {
    let driver = counters.driver().map(DriverCounters::answered);
    let sockets = ("socket", counters.answered() - driver.unwrap_or_default());
    [sockets].into_iter().chain(driver.map(|driver| ("driver", driver))).collect()
}

/// Returns the number of addresses that are answered for at an interface, with its mode.
fn addresses(interface: &XdpInterface) -> (Labels, u64) {
    let labels = Labels::new().with("interface", &interface.name);
    let labels = match interface.state {
        XdpState::Attached(mode) => labels.with("mode", mode.label()),
        _ => labels,
    };
    (labels, interface.services as u64)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::net::{Ipv4Addr, UdpSocket};
    use std::sync::{Mutex, mpsc};
    use std::thread;
    use std::time::Instant;

    use hello_net::ServerEvent;
    use indicatif::ProgressBar;

    use super::*;
    use crate::output::Format;
    use crate::output::console::{Console, Stream};
    use crate::process::lock;
    use crate::server::housekeeping::Housekeeping;
    use crate::server::log::Log;
    use crate::server::systemd::Notifier;

    /// Returns whether a check notes that every thread makes progress.
    fn beats(tasks: &mut Housekeeping<'_>, heartbeat: &Heartbeat) -> bool {
        let last = heartbeat.last();
        while heartbeat.is_alive(Duration::ZERO) {
            thread::yield_now();
        }
        tasks.run_due(Instant::now());
        heartbeat.last() != last
    }

    #[test]
    fn server_is_healthy_until_a_thread_makes_no_progress() {
        let server = Server::builder().bind([(Ipv4Addr::LOCALHOST, 0).into()]);
        let server = Arc::new(server.expect("a free port"));
        let liveness = Arc::new(Heartbeat::new());
        let source = ServerMetrics {
            server: Arc::clone(&server),
            start: SystemTime::now(),
            liveness: Arc::clone(&liveness),
        };
        assert!(!source.is_healthy(), "it does not serve yet");
        let nowhere = Stream::Other(Box::new(io::sink()));
        let out = Console::start(nowhere, ProgressBar::hidden(), Format::Text, 0, ());
        let log = Log::new(out.expect("a thread"), 0);
        let supervisor = Notifier::new(None, None);
        let tasks = Housekeeping::new(&server, &log, &supervisor, Format::Text, None, None);
        let mut tasks = tasks.with_heartbeat(&liveness);
        assert!(!beats(&mut tasks, &liveness));
        // The thread of the server hangs from a datagram until the end of the test.
        let (hang, hung) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let released = Mutex::new(released);
        let observe = |_: &ServerEvent<'_>| {
            let _ = hang.send(());
            let _ = lock(&released).recv();
        };
        let during = || {
            while !server.is_serving() {
                thread::yield_now();
            }
            assert!(beats(&mut tasks, &liveness) && source.is_healthy());
            let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
            let address = server.local_addrs().next().expect("one");
            client.send_to(b"Tracy", address).expect("sent");
            hung.recv().expect("received");
            // The progress before that.
            beats(&mut tasks, &liveness);
            assert!(!beats(&mut tasks, &liveness));
            drop(release);
        };
        server.serve_while(observe, during).expect("no broken socket");
    }
}

//! The main thread's tasks while workers serve: statistics, metrics file and notifications.

use std::time::{Duration, Instant};

use hello_net::{ErrorClass, Server, ServerCounters};

use super::log::{Failure, Log};
use super::metrics::MetricsFile;
use super::report::{self, Rates};
use super::systemd::Notifier;
use crate::output::Format;
use crate::process::exit::error_chain;
use crate::process::heartbeat::Heartbeat;
use crate::process::signals::Signals;
use crate::process::ticker::next_tick;

/// The effect of a signal on the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Stop serving.
    Stop,
    /// Print the counts so far.
    Snapshot,
}

/// Prints statistics, writes the metrics file and notifies the supervisor, each when it is due.
#[derive(Debug)]
pub struct Housekeeping<'a> {
    server: &'a Server,
    log: &'a Log,
    supervisor: &'a Notifier,
    /// Whether the supervisor has been notified that the server is ready.
    ready_sent: bool,
    format: Format,
    metrics: Option<&'a MetricsFile>,
    heartbeat: Option<&'a Heartbeat>,
    start: Instant,
    stats: Option<RateTicker>,
    status: RateTicker,
    files: RateTicker,
    /// When the next liveness check is due.
    liveness: Instant,
    /// The receive errors already logged, by class.
    receive_errors: [u64; ErrorClass::ALL.len()],
}

impl<'a> Housekeeping<'a> {
    /// Prepares to print statistics every `stats`, to update `metrics` and to notify `supervisor`.
    pub fn new(
        server: &'a Server,
        log: &'a Log,
        supervisor: &'a Notifier,
        format: Format,
        stats: Option<Duration>,
        metrics: Option<&'a MetricsFile>,
    ) -> Self {
        let start = Instant::now();
        let ticker = |period| RateTicker::new(period, start, server.counters());
        Self {
            server,
            log,
            supervisor,
            ready_sent: false,
            format,
            metrics,
            heartbeat: None,
            start,
            stats: stats.map(ticker),
            status: ticker(SECOND),
            files: ticker(FILES),
            liveness: start,
            receive_errors: [0; ErrorClass::ALL.len()],
        }
    }

    /// Also notes in `heartbeat` that every thread makes progress.
    #[must_use]
    pub fn with_heartbeat(self, heartbeat: &'a Heartbeat) -> Self {
        Self { heartbeat: Some(heartbeat), ..self }
    }

    /// Runs until a signal stops the server.
    pub fn run(&mut self, signals: &Signals<Command>) {
        loop {
            match signals.wait_until(self.due()) {
                Some(Command::Stop) => return,
                Some(Command::Snapshot) => self.snapshot(),
                None => {}
            }
            let now = Instant::now();
            if now >= self.due() {
                self.run_due(now);
            }
        }
    }

    /// Returns when the next task is due.
    fn due(&self) -> Instant {
        let tickers = [&self.status, &self.files].into_iter().chain(&self.stats);
        tickers.fold(self.liveness, |due, ticker| due.min(ticker.due))
    }

    fn snapshot(&mut self) {
        let counters = self.server.counters();
        self.log.note(report::snapshot(self.format, &counters, self.start.elapsed()));
        self.write(&counters);
    }

    pub(super) fn run_due(&mut self, now: Instant) {
        self.ready_sent = self.ready_sent || self.server.is_serving() && self.supervisor.ready();
        let period = match self.supervisor.watchdog_timeout() {
            // Readiness is reported as soon as every worker serves.
            _ if !self.ready_sent && self.supervisor.is_connected() => MIN_PERIOD,
            Some(timeout) => SECOND.min(timeout / 4),
            None => SECOND,
        };
        self.liveness = now + period.max(MIN_PERIOD);
        if self.server.check_liveness() {
            if self.ready_sent {
                self.supervisor.watchdog();
            }
            // Also if the supervisor could not be notified.
            if self.server.is_serving() {
                self.heartbeat.into_iter().for_each(Heartbeat::beat);
            }
        }
        let counters = self.server.counters();
        self.log_receive_errors(&counters);
        self.report_write_failure();
        if let Some(rates) = self.status.rates(now, counters) {
            self.log.status(|| report::status(&rates));
        }
        if let Some(rates) = self.stats.as_mut().and_then(|ticker| ticker.rates(now, counters)) {
            self.log.note(report::stats(self.format, &counters, &rates, self.start.elapsed()));
        }
        if let Some(rates) = self.files.rates(now, counters) {
            self.supervisor.status(&report::status(&rates));
            self.write(&counters);
        }
    }

    fn log_receive_errors(&mut self, counters: &ServerCounters) {
        for (logged, class) in self.receive_errors.iter_mut().zip(ErrorClass::ALL) {
            let count = counters.receive_errors(class);
            let new = count - std::mem::replace(logged, count);
            // A signal is not an error.
            if new > 0 && class != ErrorClass::Interrupted {
                let line = |times| report::receive_failed(self.format, class, times);
                self.log.failure(Failure::Receive(class), new, line);
            }
        }
    }

    fn write(&self, counters: &ServerCounters) {
        if let Some(file) = self.metrics {
            file.write(counters);
        }
    }

    fn report_write_failure(&self) {
        if let Some(error) = self.metrics.and_then(MetricsFile::failure) {
            let line = |times| report::error(self.format, &error_chain(&error), times);
            self.log.failure(Failure::Metrics, 1, line);
        }
    }
}

/// A periodic task with the rates since its last run.
#[derive(Debug)]
struct RateTicker {
    period: Duration,
    due: Instant,
    last: Instant,
    counters: ServerCounters,
}

impl RateTicker {
    fn new(period: Duration, now: Instant, counters: ServerCounters) -> Self {
        Self { period, due: now + period, last: now, counters }
    }

    /// Returns the rates since the last run if the next one is due.
    fn rates(&mut self, now: Instant, counters: ServerCounters) -> Option<Rates> {
        if now < self.due {
            return None;
        }
        self.due = next_tick(self.due, self.period, now).unwrap_or(now + self.period);
        let (before, last) = (self.counters, self.last);
        (self.counters, self.last) = (counters, now);
        Some(Rates::between(&before, &counters, now - last))
    }
}

const SECOND: Duration = Duration::from_secs(1);

/// The period of the metrics file and of the status for the supervisor.
const FILES: Duration = Duration::from_secs(5);

/// The shortest period of the liveness check.
const MIN_PERIOD: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::net::{Ipv4Addr, UdpSocket};
    use std::os::unix::net::UnixDatagram;
    use std::sync::{Mutex, mpsc};
    use std::time::SystemTime;
    use std::{env, fs, io, process, thread};

    use indicatif::ProgressBar;

    use super::*;
    use crate::output::console::{Console, Stream};

    #[test]
    fn late_runs_keep_their_period() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut ticker = RateTicker::new(Duration::from_secs(1), start, ServerCounters::default());
        let due = [999, 1000, 1999, 2500, 2501, 2999, 3000, 9100, 9999, 10_000]
            .map(|millis| ticker.rates(at(millis), ServerCounters::default()).is_some());
        assert_eq!(due, [false, true, false, true, false, false, true, true, false, true]);
    }

    #[test]
    fn next_task_is_due_after_the_shortest_period() {
        let server = Server::builder().bind([(Ipv4Addr::LOCALHOST, 0).into()]);
        let server = server.expect("a free port");
        let log = log();
        for (stats, watchdog, due) in [
            (None, None, 1000),
            (Some(200), None, 200),
            (Some(5000), None, 1000),
            (Some(200), Some(400), 100),
            (Some(10), Some(400), 10),
            (None, Some(1), 10),
        ] {
            let [stats, watchdog] = [stats, watchdog].map(|time| time.map(Duration::from_millis));
            let supervisor = Notifier::new(None, watchdog);
            let mut housekeeping =
                Housekeeping::new(&server, &log, &supervisor, Format::Text, stats, None);
            assert_eq!(housekeeping.due(), housekeeping.start, "the first check");
            housekeeping.run_due(housekeeping.start);
            let wait = housekeeping.due() - housekeeping.start;
            assert_eq!(wait, Duration::from_millis(due), "{stats:?}, {watchdog:?}");
        }
    }

    /// Returns a supervisor's socket, and what notifies it.
    fn supervised(test: &str, watchdog: Option<Duration>) -> (UnixDatagram, Notifier) {
        let path = env::temp_dir().join(format!("hello-housekeeping-{test}-{}", process::id()));
        let socket = UnixDatagram::bind(&path).expect("a new name");
        socket.set_nonblocking(true).expect("possible");
        let supervisor = Notifier::new(Some(OsStr::new(&path)), watchdog);
        fs::remove_file(&path).expect("ours");
        (socket, supervisor)
    }

    #[test]
    fn readiness_is_sent_again_after_a_full_socket_and_only_once() {
        let path = env::temp_dir().join(format!("hello-housekeeping-full-{}", process::id()));
        let socket = UnixDatagram::bind(&path).expect("a new name");
        socket.set_read_timeout(Some(Duration::from_secs(20))).expect("not zero");
        let supervisor = Notifier::new(Some(OsStr::new(&path)), None);
        fs::remove_file(&path).expect("ours");
        let server = Server::builder().bind([(Ipv4Addr::LOCALHOST, 0).into()]);
        let server = server.expect("a free port");
        let log = log();
        let mut housekeeping =
            Housekeeping::new(&server, &log, &supervisor, Format::Text, None, None);
        let mut sent = 0;
        while supervisor.ready() {
            sent += 1;
        }
        let run_due = || {
            while !server.is_serving() {
                thread::yield_now();
            }
            housekeeping.run_due(housekeeping.start);
            for _ in 0..sent {
                received(&socket);
            }
            housekeeping.run_due(housekeeping.start);
            housekeeping.run_due(housekeeping.start);
            supervisor.stopping();
        };
        server.serve_while(|_| (), run_due).expect("no broken socket");
        assert_eq!([received(&socket), received(&socket)], ["READY=1", "STOPPING=1"]);
    }

    #[test]
    fn readiness_is_sent_when_every_worker_serves_and_not_before() {
        let (socket, supervisor) = supervised("ready", None);
        let server = Server::builder().bind([(Ipv4Addr::LOCALHOST, 0).into(); 2]);
        let server = server.expect("free ports");
        let log = log();
        let mut housekeeping =
            Housekeeping::new(&server, &log, &supervisor, Format::Text, None, None);
        housekeeping.run_due(housekeeping.start);
        assert!(socket.recv(&mut [0; 64]).is_err(), "no worker serves yet");
        assert_eq!(housekeeping.due() - housekeeping.start, MIN_PERIOD, "checked again soon");
        let serving = || {
            while !server.is_serving() {
                assert!(!housekeeping.ready_sent);
                thread::yield_now();
            }
            housekeeping.run_due(housekeeping.start);
            received(&socket)
        };
        assert_eq!(server.serve_while(|_| (), serving).expect("no broken socket"), "READY=1");
    }

    fn received(socket: &UnixDatagram) -> String {
        let mut buf = [0; 64];
        let len = socket.recv(&mut buf).expect("what was sent");
        String::from_utf8_lossy(&buf[..len]).into_owned()
    }

    fn log() -> Log {
        let nowhere = Stream::Other(Box::new(io::sink()));
        let out = Console::start(nowhere, ProgressBar::hidden(), Format::Text, 0, ());
        Log::new(out.expect("a thread"), 0)
    }

    #[test]
    fn snapshot_writes_the_metrics_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.prom");
        let server = Server::builder().bind([(Ipv4Addr::LOCALHOST, 0).into()]);
        let server = server.expect("a free port");
        let file = MetricsFile::start(&path, SystemTime::now(), &server.counters());
        let file = file.expect("a new name");
        let log = log();
        let supervisor = Notifier::new(None, None);
        let mut housekeeping =
            Housekeeping::new(&server, &log, &supervisor, Format::Text, None, Some(&file));
        fs::remove_file(&path).expect("there");
        housekeeping.snapshot();
        let deadline = Instant::now() + Duration::from_secs(20);
        while !path.exists() {
            assert!(Instant::now() < deadline, "the file is not written");
        }
    }

    /// Calls `run_due` directly, so that the supervisor's own pauses do not matter.
    #[test]
    fn watchdog_is_silent_while_one_worker_is_stalled() {
        let (socket, supervisor) = supervised("watchdog", Some(Duration::from_secs(1)));
        let server = Server::builder().bind([(Ipv4Addr::LOCALHOST, 0).into(); 2]);
        let server = server.expect("free ports");
        let log = log();
        let mut housekeeping =
            Housekeeping::new(&server, &log, &supervisor, Format::Text, None, None);
        let mut notifications = || {
            housekeeping.run_due(housekeeping.start);
            let (mut buf, mut received) = ([0; 64], 0);
            while let Ok(len) = socket.recv(&mut buf) {
                received += usize::from(&buf[..len] == b"WATCHDOG=1");
            }
            received
        };
        let (go_on, wait) = mpsc::channel::<()>();
        let wait = Mutex::new(wait);
        let stall = |_: &hello_net::ServerEvent<'_>| {
            let _ = wait.lock().expect("no panic").recv();
        };
        let check = || {
            let deadline = Instant::now() + Duration::from_secs(20);
            while notifications() == 0 {
                assert!(Instant::now() < deadline, "no notification of a live server");
            }
            let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
            client.set_read_timeout(Some(Duration::from_secs(20))).expect("not zero");
            let server = server.local_addrs().next().expect("two");
            client.send_to(b"Tracy", server).expect("sent");
            client.recv(&mut [0; 64]).expect("a reply");
            // The worker that answered is stalled now; it made progress at most once before.
            let later = Instant::now() + Duration::from_millis(400);
            let mut received = 0;
            while Instant::now() < later {
                received += notifications();
            }
            assert!(received <= 1, "one of two workers is stalled");
            drop(go_on);
            let deadline = Instant::now() + Duration::from_secs(20);
            while notifications() == 0 {
                assert!(Instant::now() < deadline, "no notification after the stall");
            }
        };
        server.serve_while(stall, check).expect("no broken socket");
    }
}

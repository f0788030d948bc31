//! What is done while others serve: counts printed, files written, supervisors told.

use std::time::{Duration, Instant};

use hello_net::{ErrorClass, Server, ServerCounters};

use super::log::{Failure, Log};
use super::metrics::MetricsFile;
use super::report::{self, Rates};
use super::systemd::Notifier;
use crate::output::Format;
use crate::process::exit::error_chain;
use crate::process::signals::Signals;
use crate::process::ticker::next_tick;

/// What a signal asks of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// To end.
    Stop,
    /// To say what it counted so far.
    Snapshot,
}

/// What is done beside serving, each at its time.
#[derive(Debug)]
pub struct Housekeeping<'a> {
    server: &'a Server,
    log: &'a Log,
    supervisor: &'a Notifier,
    /// The supervisor has ready_sent that the server serves.
    ready_sent: bool,
    format: Format,
    metrics: Option<&'a MetricsFile>,
    start: Instant,
    stats: Option<RateTicker>,
    status: RateTicker,
    files: RateTicker,
    /// When the server's pulse is to be taken again.
    pulse: Instant,
    /// The receive errors that were looked at, by class.
    receive_errors: [u64; ErrorClass::ALL.len()],
}

impl<'a> Housekeeping<'a> {
    /// Makes ready to print `stats` that often, to keep a file of `metrics`, and to tell the
    /// supervisor how the server is.
    pub fn new(
        server: &'a Server,
        log: &'a Log,
        supervisor: &'a Notifier,
        format: Format,
        stats: Option<Duration>,
        metrics: Option<&'a MetricsFile>,
    ) -> Self {
        let start = Instant::now();
        let pace = |period| RateTicker::new(period, start, server.counters());
        Self {
            server,
            log,
            supervisor,
            ready_sent: false,
            format,
            metrics,
            start,
            stats: stats.map(pace),
            status: pace(SECOND),
            files: pace(FILES),
            pulse: start,
            receive_errors: [0; ErrorClass::ALL.len()],
        }
    }

    /// Goes on until a signal asks to stop.
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

    /// Returns when the next of all that is to be done is due.
    fn due(&self) -> Instant {
        let paces = [&self.status, &self.files].into_iter().chain(&self.stats);
        paces.fold(self.pulse, |due, pace| due.min(pace.due))
    }

    fn snapshot(&mut self) {
        let counters = self.server.counters();
        self.log.note(report::snapshot(self.format, &counters, self.start.elapsed()));
        self.write(&counters);
    }

    fn run_due(&mut self, now: Instant) {
        self.ready_sent = self.ready_sent || self.server.is_serving() && self.supervisor.ready();
        let often = match self.supervisor.watchdog_timeout() {
            // It is told as soon as every thread serves.
            _ if !self.ready_sent && self.supervisor.listens() => SHORTEST,
            Some(timeout) => SECOND.min(timeout / 4),
            None => SECOND,
        };
        self.pulse = now + often.max(SHORTEST);
        if self.server.check_liveness() && self.ready_sent {
            self.supervisor.watchdog();
        }
        let counters = self.server.counters();
        self.log_receive_errors(&counters);
        self.report_write_failure();
        if let Some(rates) = self.status.rates(now, counters) {
            self.log.status(|| report::status(&rates));
        }
        if let Some(rates) = self.stats.as_mut().and_then(|pace| pace.rates(now, counters)) {
            self.log.note(report::stats(self.format, &counters, &rates));
        }
        if let Some(rates) = self.files.rates(now, counters) {
            self.supervisor.status(&report::status(&rates));
            self.write(&counters);
        }
    }

    fn log_receive_errors(&mut self, counters: &ServerCounters) {
        for (told, class) in self.receive_errors.iter_mut().zip(ErrorClass::ALL) {
            let count = counters.receive_errors(class);
            let new = count - std::mem::replace(told, count);
            // A signal is no error.
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

/// When something is due again, and what was counted when it was.
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

    /// Returns the rates since it was due last, if it is due again.
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

/// How often files are written, and supervisors told how the server is doing.
const FILES: Duration = Duration::from_secs(5);

/// The server's pulse is taken no more often than that.
const SHORTEST: Duration = Duration::from_millis(10);

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
    fn what_is_due_has_the_rates_since_it_was_due_last_and_keeps_in_step() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut pace = RateTicker::new(Duration::from_secs(1), start, ServerCounters::default());
        let due = [999, 1000, 1999, 2500, 2501, 2999, 3000, 9100, 9999, 10_000]
            .map(|millis| pace.rates(at(millis), ServerCounters::default()).is_some());
        assert_eq!(due, [false, true, false, true, false, false, true, true, false, true]);
    }

    #[test]
    fn who_looks_after_the_rest_waits_for_what_is_due_first() {
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
            let mut chores =
                Housekeeping::new(&server, &log, &supervisor, Format::Text, stats, None);
            assert_eq!(chores.due(), chores.start, "the first look");
            chores.run_due(chores.start);
            let wait = chores.due() - chores.start;
            assert_eq!(wait, Duration::from_millis(due), "{stats:?}, {watchdog:?}");
        }
    }

    #[test]
    fn a_supervisor_whose_ears_are_full_is_told_again_that_the_server_serves() {
        let path = env::temp_dir().join(format!("hello-chores-full-{}", process::id()));
        let ear = UnixDatagram::bind(&path).expect("a new name");
        ear.set_read_timeout(Some(Duration::from_secs(20))).expect("not zero");
        let supervisor = Notifier::new(Some(OsStr::new(&path)), None);
        fs::remove_file(&path).expect("ours");
        let server = Server::builder().bind([(Ipv4Addr::LOCALHOST, 0).into()]);
        let server = server.expect("a free port");
        let log = log();
        let mut chores = Housekeeping::new(&server, &log, &supervisor, Format::Text, None, None);
        let mut noise = 0;
        while supervisor.ready() {
            noise += 1;
        }
        let run_due = || {
            while !server.is_serving() {
                thread::yield_now();
            }
            chores.run_due(chores.start);
            for _ in 0..noise {
                hear(&ear);
            }
            chores.run_due(chores.start);
            chores.run_due(chores.start);
            supervisor.stopping();
        };
        server.serve_while(|_| (), run_due).expect("no broken socket");
        assert_eq!([hear(&ear), hear(&ear)], ["READY=1", "STOPPING=1"], "once is enough");
    }

    #[test]
    fn a_supervisor_is_told_that_the_server_serves_when_every_thread_does_and_not_before() {
        let path = env::temp_dir().join(format!("hello-chores-ready-{}", process::id()));
        let ear = UnixDatagram::bind(&path).expect("a new name");
        ear.set_nonblocking(true).expect("possible");
        let supervisor = Notifier::new(Some(OsStr::new(&path)), None);
        fs::remove_file(&path).expect("ours");
        let server = Server::builder().bind([(Ipv4Addr::LOCALHOST, 0).into(); 2]);
        let server = server.expect("free ports");
        let log = log();
        let mut chores = Housekeeping::new(&server, &log, &supervisor, Format::Text, None, None);
        chores.run_due(chores.start);
        assert!(ear.recv(&mut [0; 64]).is_err(), "nobody serves yet");
        assert_eq!(chores.due() - chores.start, SHORTEST, "it is looked at soon again");
        let serving = || {
            while !server.is_serving() {
                assert!(!chores.ready_sent);
                thread::yield_now();
            }
            chores.run_due(chores.start);
            hear(&ear)
        };
        assert_eq!(server.serve_while(|_| (), serving).expect("no broken socket"), "READY=1");
    }

    fn hear(ear: &UnixDatagram) -> String {
        let mut buf = [0; 64];
        let len = ear.recv(&mut buf).expect("what was sent");
        String::from_utf8_lossy(&buf[..len]).into_owned()
    }

    fn log() -> Log {
        let nowhere = Stream::Other(Box::new(io::sink()));
        let out = Console::start(nowhere, ProgressBar::hidden(), Format::Text, 0, ());
        Log::new(out.expect("a thread"), 0)
    }

    #[test]
    fn a_snapshot_writes_the_metrics_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a.prom");
        let server = Server::builder().bind([(Ipv4Addr::LOCALHOST, 0).into()]);
        let server = server.expect("a free port");
        let file = MetricsFile::start(&path, SystemTime::now(), &server.counters());
        let file = file.expect("a new name");
        let log = log();
        let supervisor = Notifier::new(None, None);
        let mut chores =
            Housekeeping::new(&server, &log, &supervisor, Format::Text, None, Some(&file));
        fs::remove_file(&path).expect("there");
        chores.snapshot();
        let deadline = Instant::now() + Duration::from_secs(20);
        while !path.exists() {
            assert!(Instant::now() < deadline, "nothing is written");
        }
    }

    /// A supervisor that stands still itself would not be ready_sent; so this calls by hand.
    #[test]
    fn a_supervisor_hears_no_more_of_a_server_of_which_one_thread_stands_still() {
        let path = env::temp_dir().join(format!("hello-chores-{}", process::id()));
        let ear = UnixDatagram::bind(&path).expect("a new name");
        ear.set_nonblocking(true).expect("possible");
        let supervisor = Notifier::new(Some(OsStr::new(&path)), Some(Duration::from_secs(1)));
        fs::remove_file(&path).expect("ours");
        let server = Server::builder().bind([(Ipv4Addr::LOCALHOST, 0).into(); 2]);
        let server = server.expect("free ports");
        let log = log();
        let mut chores = Housekeeping::new(&server, &log, &supervisor, Format::Text, None, None);
        let mut beats = || {
            chores.run_due(chores.start);
            let (mut buf, mut ready_sent) = ([0; 64], 0);
            while let Ok(len) = ear.recv(&mut buf) {
                ready_sent += usize::from(&buf[..len] == b"WATCHDOG=1");
            }
            ready_sent
        };
        let (go_on, wait) = mpsc::channel::<()>();
        let wait = Mutex::new(wait);
        let stand_still = |_: &hello_net::ServerEvent<'_>| {
            let _ = wait.lock().expect("no panic").recv();
        };
        let look = || {
            let deadline = Instant::now() + Duration::from_secs(20);
            while beats() == 0 {
                assert!(Instant::now() < deadline, "nothing is ready_sent of a living server");
            }
            let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
            client.set_read_timeout(Some(Duration::from_secs(20))).expect("not zero");
            let server = server.local_addrs().next().expect("two");
            client.send_to(b"Tracy", server).expect("sent");
            client.recv(&mut [0; 64]).expect("a reply");
            // The thread that answered waits for us now, and went round once before at the most.
            let later = Instant::now() + Duration::from_millis(400);
            let mut ready_sent = 0;
            while Instant::now() < later {
                ready_sent += beats();
            }
            assert!(ready_sent <= 1, "one of two stands still");
            drop(go_on);
            let deadline = Instant::now() + Duration::from_secs(20);
            while beats() == 0 {
                assert!(Instant::now() < deadline, "nothing is ready_sent though it goes on");
            }
        };
        server.serve_while(stand_still, look).expect("no broken socket");
    }
}

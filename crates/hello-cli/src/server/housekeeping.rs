//! The main thread's tasks while workers serve: statistics, metrics file and notifications.

use std::time::{Duration, Instant};

use hello_net::{ErrorClass, Server, ServerCounters};

use super::log::{Failure, Log};
use super::metrics::MetricsFile;
use super::report::{self, Rates};
use super::systemd::Notifier;
use super::xdp::InterfaceLog;
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
    interfaces: InterfaceLog,
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
            interfaces: InterfaceLog::new(format),
        }
    }

    /// Continues a log of interfaces.
    #[must_use]
    pub fn with_interfaces(self, interfaces: InterfaceLog) -> Self {
        Self { interfaces, ..self }
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
        let changes = self.interfaces.lines(self.server.xdp_interfaces());
        changes.into_iter().for_each(|line| self.log.note(line));
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
            file.write(counters, &self.server.xdp_interfaces());
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
mod tests;

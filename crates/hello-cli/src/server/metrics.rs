//! The counters of a server for Prometheus.

use std::path::Path;
use std::time::SystemTime;

use hello_net::ServerCounters;

use super::report::{by_class, refusals};
use crate::output::prometheus::file::TextfileError;
use crate::output::prometheus::writer::Textfile;
use crate::output::prometheus::{MetricFamilies, Sample};

/// A file that holds the counters in Prometheus' text format.
#[derive(Debug)]
pub struct MetricsFile {
    file: Textfile,
    start: SystemTime,
}

impl MetricsFile {
    /// Writes the counters to `path` for the first time; the server started at `start`.
    ///
    /// # Errors
    ///
    /// What [`Textfile::start`] reports.
    pub fn start(
        path: &Path,
        start: SystemTime,
        counters: &ServerCounters,
    ) -> Result<Self, TextfileError> {
        Ok(Self { file: Textfile::start(path, text(counters, start))?, start })
    }

    /// Queues the counters to be written, and returns at once.
    pub fn write(&self, counters: &ServerCounters) {
        self.file.write(text(counters, self.start));
    }

    /// Returns an error to report, as [`Textfile::failure`] does.
    pub fn failure(&self) -> Option<TextfileError> {
        self.file.failure()
    }

    /// Writes the counters for the last time, and waits as [`Textfile::finish`] does.
    ///
    /// # Errors
    ///
    /// [`TextfileError`] if they are not written by then.
    pub fn finish(&self, counters: &ServerCounters) -> Result<(), TextfileError> {
        self.file.finish(text(counters, self.start))
    }
}

/// Puts the counters into Prometheus' text format.
fn text(counters: &ServerCounters, start: SystemTime) -> String {
    let mut families = MetricFamilies::new("hello_server");
    let unlabelled = |value: u64| vec![Sample::unlabelled(value)];
    let labelled = |key: &str, counts: &[(&str, u64)]| {
        let sample = |(label, count): &(&str, u64)| Sample::new(&[(key, label)], *count);
        Vec::from_iter(counts.iter().map(sample))
    };
    let start = start.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    for (name, help, samples) in [
        ("received_total", "Datagrams received.", unlabelled(counters.received())),
        (
            "answered_total",
            "Datagrams whose reply the system took.",
            unlabelled(counters.answered()),
        ),
        (
            "refused_total",
            "Datagrams refused, by the rule that refused them.",
            labelled("reason", &refusals(counters)),
        ),
        (
            "over_limit_answered_total",
            "Datagrams over the rate limit that were not refused: one of four, or all in a dry run.",
            unlabelled(counters.over_limit_answered()),
        ),
        (
            "send_failed_total",
            "Datagrams whose reply the system did not take, by the class of its error.",
            labelled("class", &by_class(counters, ServerCounters::send_failed)),
        ),
        (
            "receive_errors_total",
            "Receive calls that failed, by the class of their error.",
            labelled("class", &by_class(counters, ServerCounters::receive_errors)),
        ),
    ] {
        families.add(name, "counter", help, &samples);
    }
    if let Some(dropped) = counters.dropped() {
        let help =
            "Messages that the system dropped: the receive buffer was full, or the checksum wrong.";
        families.add("dropped_total", "counter", help, &unlabelled(dropped));
    }
    let help = "When the server started, in seconds since 1970 (UTC).";
    families.add("start_time_seconds", "gauge", help, &unlabelled(start));
    families.into_text()
}

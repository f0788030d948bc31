//! The metrics file of `hello-server`.

use std::path::Path;
use std::time::SystemTime;

use hello_net::ServerCounters;

use super::report::{by_class, refusals};
use crate::output::prometheus::file::TextfileError;
use crate::output::prometheus::writer::Textfile;
use crate::output::prometheus::{MetricFamilies, Sample};

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
    ) -> Result<Self, TextfileError> {
        Ok(Self { file: Textfile::start(path, text(counters, start))?, start })
    }

    /// Queues the counters for writing, and returns immediately.
    pub fn write(&self, counters: &ServerCounters) {
        self.file.write(text(counters, self.start));
    }

    /// Returns the error to report, like [`Textfile::failure`].
    pub fn failure(&self) -> Option<TextfileError> {
        self.file.failure()
    }

    /// Writes the last counters, and waits like [`Textfile::finish`].
    pub(crate) fn finish(&self, counters: &ServerCounters) -> Result<(), TextfileError> {
        self.file.finish(text(counters, self.start))
    }
}

/// Formats the counters as Prometheus' text format.
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
        ("answered_total", "Replies sent.", unlabelled(counters.answered())),
        (
            "refused_total",
            "Datagrams refused, by the rule that refused them.",
            labelled("reason", &refusals(counters)),
        ),
        (
            "over_limit_answered_total",
            "Requests over the rate limit that were answered: one in four, or all in a dry run.",
            unlabelled(counters.over_limit_answered()),
        ),
        (
            "send_failed_total",
            "Replies that could not be sent, by error class.",
            labelled("class", &by_class(counters, ServerCounters::send_failed)),
        ),
        (
            "receive_errors_total",
            "Receive calls that failed, by error class.",
            labelled("class", &by_class(counters, ServerCounters::receive_errors)),
        ),
    ] {
        families.add(name, "counter", help, &samples);
    }
    if let Some(dropped) = counters.dropped() {
        let help = "Messages that the kernel dropped: receive buffer full, or bad checksum.";
        families.add("dropped_total", "counter", help, &unlabelled(dropped));
    }
    let help = "Start time of the server, in seconds since 1970 (UTC).";
    families.add("start_time_seconds", "gauge", help, &unlabelled(start));
    families.into_text()
}

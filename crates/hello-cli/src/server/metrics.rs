//! The metrics of `hello-server`, and the file that has them.

use std::path::Path;
use std::time::SystemTime;

use hello_net::ServerCounters;

use super::report::{by_class, refusals};
use crate::output::prometheus::families::MetricFamilies;
use crate::output::prometheus::file::TextfileError;
use crate::output::prometheus::labels::Labels;
use crate::output::prometheus::writer::Textfile;

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
        Ok(Self { file: Textfile::start(path, families(counters, start).into_text())?, start })
    }

    /// Queues the counters for writing, and returns immediately.
    pub fn write(&self, counters: &ServerCounters) {
        self.file.write(families(counters, self.start).into_text());
    }

    /// Returns the error to report, like [`Textfile::failure`].
    pub fn failure(&self) -> Option<TextfileError> {
        self.file.failure()
    }

    /// Writes the last counters, and waits like [`Textfile::finish`].
    pub(crate) fn finish(&self, counters: &ServerCounters) -> Result<(), TextfileError> {
        self.file.finish(families(counters, self.start).into_text())
    }
}

/// Returns the counters as metrics; `start` is the time at which the server started.
pub fn families(counters: &ServerCounters, start: SystemTime) -> MetricFamilies {
    let mut families = MetricFamilies::new("hello_server");
    let unlabelled = |value: u64| vec![(Labels::new(), value)];
    let labelled = |name: &'static str, counts: &[(&str, u64)]| {
        let sample = |(value, count): &(&str, u64)| (Labels::new().with(name, value), *count);
        Vec::from_iter(counts.iter().map(sample))
    };
    for (name, help, samples) in [
        ("received", "Datagrams received.", unlabelled(counters.received())),
        ("answered", "Replies sent.", unlabelled(counters.answered())),
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
    let start = start.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let help = "Start time of the server, in seconds since 1970 (UTC).";
    families.gauge("start_time_seconds", help, unlabelled(start));
    let version = Labels::new().with("version", env!("CARGO_PKG_VERSION"));
    families.info("Version of the server.", version);
    families
}

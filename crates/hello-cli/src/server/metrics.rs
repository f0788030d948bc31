//! The counters of a server for Prometheus.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use hello_net::Counters;
use thiserror::Error;

use crate::server::report::{by_class, refusals};

/// A file that always holds what was counted last, in Prometheus' text format
/// (exposition format 0.0.4).
#[derive(Clone, Debug)]
pub struct MetricsFile {
    path: PathBuf,
    /// What is not whole yet, beside the file, so that it can be renamed to it; whoever reads all
    /// files `*.prom` of the directory passes it over.
    unfinished: PathBuf,
    start: SystemTime,
}

impl MetricsFile {
    /// Writes to `path` from now on; the server started at `start`.
    ///
    /// # Errors
    ///
    /// [`MetricsError`] if the path names no file.
    pub fn new(path: &Path, start: SystemTime) -> Result<Self, MetricsError> {
        let failed =
            || MetricsError { path: path.into(), source: io::ErrorKind::IsADirectory.into() };
        let mut unfinished = path.file_name().ok_or_else(failed)?.to_owned();
        unfinished.push(".unfinished");
        Ok(Self { path: path.into(), unfinished: path.with_file_name(unfinished), start })
    }

    /// Replaces the file as a whole, so that whoever reads it finds one state and no half.
    ///
    /// # Errors
    ///
    /// [`MetricsError`] if it cannot be written.
    pub fn write(&self, counters: &Counters) -> Result<(), MetricsError> {
        fs::write(&self.unfinished, text(counters, self.start))
            .and_then(|()| fs::rename(&self.unfinished, &self.path))
            .map_err(|source| MetricsError { path: self.path.clone(), source })
    }
}

/// The metrics file cannot be written.
#[derive(Debug, Error)]
#[error("cannot write the metrics file {path:?}; its directory has to exist and be writable")]
pub struct MetricsError {
    path: PathBuf,
    source: io::Error,
}

/// Puts the counters into Prometheus' text format.
fn text(counters: &Counters, start: SystemTime) -> String {
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, help: &str, samples: &[(String, u64)]| {
        let name = format!("hello_server_{name}");
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in samples {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    };
    let alone = |value: u64| [(String::new(), value)];
    let labelled = |key: &str, counts: &[(&str, u64)]| {
        let sample = |(label, count): &(&str, u64)| (format!("{{{key}=\"{label}\"}}"), *count);
        Vec::from_iter(counts.iter().map(sample))
    };
    let start = start.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    for (name, help, samples) in [
        ("received_total", "Datagrams received.", &alone(counters.received())[..]),
        ("answered_total", "Datagrams whose reply the system took.", &alone(counters.answered())),
        (
            "refused_total",
            "Datagrams refused, by the rule that refused them.",
            &labelled("reason", &refusals(counters)),
        ),
        (
            "over_limit_answered_total",
            "Datagrams over the rate limit that were not refused: one of four, or all in a dry run.",
            &alone(counters.over_limit_answered()),
        ),
        (
            "send_failed_total",
            "Datagrams whose reply the system did not take, by the class of its error.",
            &labelled("class", &by_class(counters, Counters::send_failed)),
        ),
        (
            "receive_errors_total",
            "Receive calls that failed, by the class of their error.",
            &labelled("class", &by_class(counters, Counters::receive_errors)),
        ),
    ] {
        family(name, "counter", help, samples);
    }
    if let Some(dropped) = counters.dropped() {
        let help = "Messages that the system dropped because the receive buffer was full.";
        family("dropped_total", "counter", help, &alone(dropped));
    }
    let help = "When the server started, in seconds since 1970 (UTC).";
    family("start_time_seconds", "gauge", help, &alone(start));
    text
}

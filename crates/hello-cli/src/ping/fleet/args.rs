//! The options of a fleet.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::args::number;

/// The options of a fleet.
#[derive(Debug, Args)]
pub struct FleetArgs {
    /// Probe the targets in FILE, up to thousands of them
    ///
    /// FILE has one target per line: HOST:PORT, then labels for metrics as NAME=VALUE. With the extension
    /// .json, .yaml or .yml, it has the format of Prometheus' file_sd. The target dns+NAME:PORT stands for
    /// each address of NAME. FILE is read again when it changes and on SIGHUP; targets that stay are not
    /// disturbed.
    #[arg(id = "targets_file", long = "targets", value_name = "FILE", conflicts_with_all = EXCLUDED)]
    file: Option<PathBuf>,

    /// Leave out targets with this ADDRESS, such as this machine's own
    #[arg(long, value_name = "ADDRESS", requires = "targets_file")]
    exclude: Vec<IpAddr>,

    /// Look up the names in the targets file again every TIME
    ///
    /// A name whose lookup fails keeps its address.
    #[arg(
        long,
        value_name = "TIME",
        default_value = "60s",
        value_parser = number::duration,
        requires = "targets_file",
    )]
    lookup_interval: Duration,
}

impl FleetArgs {
    /// Returns the targets file; `None` without --targets.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Returns the addresses that are left out.
    pub fn exclude(&self) -> &[IpAddr] {
        &self.exclude
    }

    /// Returns the time between two lookups of a name.
    pub fn lookup_interval(&self) -> Duration {
        self.lookup_interval
    }
}

/// The options that have no effect on a fleet.
const EXCLUDED: [&str; 20] = [
    "targets",
    "deadline",
    "flows",
    "trace",
    "trace_on_loss",
    "mtu",
    "join",
    "capture",
    "max_loss",
    "max_p99",
    "max_jitter",
    "max_outage",
    "timestamps",
    "every",
    "export_json",
    "export_csv",
    "export_markdown",
    "columns",
    "plot",
    "clocks_synchronised",
];

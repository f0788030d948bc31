//! Metrics for Prometheus: [`MetricFamilies`](families::MetricFamilies), as text in either of its formats,
//! and the file that the node exporter's textfile collector reads.

pub mod families;
pub mod file;
pub mod labels;
pub mod text;
pub mod writer;

//! Metrics for Prometheus: [`MetricFamilies`](families::MetricFamilies), as text in either of its formats.
//! They are read from a [file](writer::Textfile), by the node exporter's textfile collector, or
//! [over HTTP](http::MetricsServer).

pub mod families;
pub mod file;
pub mod http;
pub mod labels;
pub mod source;
pub mod text;
pub mod writer;

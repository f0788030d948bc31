//! The two formats in which Prometheus reads metrics.

use std::sync::Arc;

use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::registry::Registry;

use super::families::MetricFamilies;

/// A format of metrics as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextFormat {
    /// Prometheus' own (0.0.4), which the textfile collector and every scraper reads.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl TextFormat {
    /// Returns the media type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => prometheus_text::CONTENT_TYPE,
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// Formats metrics.
    pub(crate) fn encode(self, families: &Arc<MetricFamilies>) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Arc::clone(families)));
        let mut text = String::new();
        let encoded = match self {
            Self::Prometheus => prometheus_text::encode(&mut text, &registry),
            Self::OpenMetrics => text::encode(&mut text, &registry),
        };
        encoded.expect("a string has room");
        text
    }
}

impl MetricFamilies {
    /// Formats the metrics for a file.
    pub(crate) fn into_text(self) -> String {
        TextFormat::Prometheus.encode(&Arc::new(self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::prometheus::families::Histogram;
    use crate::output::prometheus::labels::Labels;

    /// Returns a family of each kind.
    fn example() -> Arc<MetricFamilies> {
        let mut families = MetricFamilies::new("hello");
        let labels = Labels::new().with("a", "x\"y\\z\n\u{1b}").with("b", "");
        families.counter("seen", "Greetings.", [(Labels::new(), u64::MAX)]);
        families.gauge("up", "Whether.", [(labels.clone(), true)]);
        families.gauge("share", "How much.", [(Labels::new(), 0.5)]);
        let up_to = [(0.5_f64.powi(15), 1), (1.0, 3)];
        families.histogram("took_seconds", "How long.", [(labels, Histogram::new(up_to, 2.5, 4))]);
        families.info("Which.", Labels::new().with("version", "1.2"));
        Arc::new(families)
    }

    #[test]
    fn format_of_prometheus_has_every_kind_and_escaped_labels() {
        let expected = r#"# HELP hello_seen_total Greetings.
# TYPE hello_seen_total counter
hello_seen_total 18446744073709551615
# HELP hello_up Whether.
# TYPE hello_up gauge
hello_up{a="x\"y\\z\n\\u{1b}",b=""} 1
# HELP hello_share How much.
# TYPE hello_share gauge
hello_share 0.5
# HELP hello_took_seconds How long.
# TYPE hello_took_seconds histogram
hello_took_seconds_bucket{a="x\"y\\z\n\\u{1b}",b="",le="3.0517578125e-05"} 1
hello_took_seconds_bucket{a="x\"y\\z\n\\u{1b}",b="",le="1"} 3
hello_took_seconds_bucket{a="x\"y\\z\n\\u{1b}",b="",le="+Inf"} 4
hello_took_seconds_sum{a="x\"y\\z\n\\u{1b}",b=""} 2.5
hello_took_seconds_count{a="x\"y\\z\n\\u{1b}",b=""} 4
# HELP hello_info Which.
# TYPE hello_info gauge
hello_info{version="1.2"} 1
"#;
        assert_eq!(TextFormat::Prometheus.encode(&example()), expected);
    }

    #[test]
    fn openmetrics_has_every_kind_and_an_end() {
        let expected = r#"# HELP hello_seen Greetings.
# TYPE hello_seen counter
hello_seen_total 18446744073709551615
# HELP hello_up Whether.
# TYPE hello_up gauge
hello_up{a="x\"y\\z\n\\u{1b}",b=""} 1
# HELP hello_share How much.
# TYPE hello_share gauge
hello_share 0.5
# HELP hello_took_seconds How long.
# TYPE hello_took_seconds histogram
hello_took_seconds_sum{a="x\"y\\z\n\\u{1b}",b=""} 2.5
hello_took_seconds_count{a="x\"y\\z\n\\u{1b}",b=""} 4
hello_took_seconds_bucket{le="0.000030517578125",a="x\"y\\z\n\\u{1b}",b=""} 1
hello_took_seconds_bucket{le="1.0",a="x\"y\\z\n\\u{1b}",b=""} 3
hello_took_seconds_bucket{le="+Inf",a="x\"y\\z\n\\u{1b}",b=""} 4
# HELP hello Which.
# TYPE hello info
hello_info{version="1.2"} 1
# EOF
"#;
        assert_eq!(TextFormat::OpenMetrics.encode(&example()), expected);
    }
}

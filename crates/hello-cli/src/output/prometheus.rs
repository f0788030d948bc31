//! Metrics files for the textfile collector of Prometheus' node exporter.

pub mod file;
pub mod writer;

use std::fmt::{Display, Write as _};

pub use self::file::TextfileError;
pub use self::writer::Textfile;

/// Metrics in Prometheus' text format (0.0.4), all with the same prefix.
#[derive(Debug)]
pub struct MetricFamilies {
    prefix: &'static str,
    text: String,
}

impl MetricFamilies {
    /// Creates an empty set of metrics whose names start with `prefix` and an underscore.
    pub fn new(prefix: &'static str) -> Self {
        Self { prefix, text: String::new() }
    }

    /// Adds a metric with all its samples.
    pub fn add(&mut self, name: &str, kind: &str, help: &str, samples: &[Sample]) {
        let Self { prefix, text } = self;
        let _ = writeln!(text, "# HELP {prefix}_{name} {help}\n# TYPE {prefix}_{name} {kind}");
        for Sample { suffix, labels, value } in samples {
            let _ = writeln!(text, "{prefix}_{name}{suffix}{labels} {value}");
        }
    }

    /// Returns the metrics as text.
    pub fn into_text(self) -> String {
        self.text
    }
}

/// One value of a metric.
#[derive(Clone, Debug)]
pub struct Sample {
    suffix: &'static str,
    labels: String,
    value: String,
}

impl Sample {
    /// Creates the only value of its metric.
    pub fn unlabelled(value: impl Display) -> Self {
        Self::new(&[], value)
    }

    /// Creates the value for these labels.
    pub fn new(labels: &[(&str, &str)], value: impl Display) -> Self {
        let pair = |(key, label): &(&str, &str)| format!("{key}=\"{}\"", escaped(label));
        let labels = match &Vec::from_iter(labels.iter().map(pair))[..] {
            [] => String::new(),
            pairs => format!("{{{}}}", pairs.join(",")),
        };
        Self { suffix: "", labels, value: value.to_string() }
    }

    /// Makes it a part of a histogram (`_bucket`, `_sum`, `_count`).
    pub fn with_suffix(self, suffix: &'static str) -> Self {
        Self { suffix, ..self }
    }
}

/// Escapes the value of a label.
fn escaped(label: &str) -> String {
    label.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_have_help_type_and_escaped_labels() {
        let mut families = MetricFamilies::new("hello");
        families.add("up", "gauge", "Whether.", &[Sample::unlabelled(1)]);
        let labelled = Sample::new(&[("a", "x\"y\\z\n"), ("b", "")], 0.5).with_suffix("_sum");
        families.add("took", "histogram", "How long.", &[labelled]);
        let expected = "# HELP hello_up Whether.\n# TYPE hello_up gauge\nhello_up 1\n\
            # HELP hello_took How long.\n# TYPE hello_took histogram\n\
            hello_took_sum{a=\"x\\\"y\\\\z\\n\",b=\"\"} 0.5\n";
        assert_eq!(families.into_text(), expected);
    }
}

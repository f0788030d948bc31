//! Families of metrics with their samples.

use std::collections::HashMap;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeGaugeValue, GaugeValueEncoder, MetricEncoder,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;

use super::labels::Labels;

/// Families of metrics, all with the same prefix.
#[derive(Clone, Debug)]
pub struct MetricFamilies {
    prefix: &'static str,
    families: Vec<Family>,
}

/// Samples with a common name and meaning.
#[derive(Clone, Debug)]
struct Family {
    /// Without the suffixes that belong to the type, such as `_total`.
    name: String,
    help: &'static str,
    samples: Samples,
}

#[derive(Clone, Debug)]
enum Samples {
    Counters(Vec<(Labels, u64)>),
    Gauges(Vec<(Labels, GaugeValue)>),
    Info(Labels),
    Histograms(Vec<(Labels, Histogram)>),
}

impl MetricFamilies {
    /// Returns no families yet. Their names will start with `prefix` and an underscore.
    pub fn new(prefix: &'static str) -> Self {
        Self { prefix, families: Vec::new() }
    }

    /// Adds a family of counters. `_total` is added to the name.
    pub fn counter(
        &mut self,
        name: &str,
        help: &'static str,
        samples: impl IntoIterator<Item = (Labels, u64)>,
    ) {
        self.add(name, help, Samples::Counters(samples.into_iter().collect()));
    }

    /// Adds a family of gauges.
    pub fn gauge<V: Into<GaugeValue>>(
        &mut self,
        name: &str,
        help: &'static str,
        samples: impl IntoIterator<Item = (Labels, V)>,
    ) {
        let samples = samples.into_iter().map(|(labels, value)| (labels, value.into()));
        self.add(name, help, Samples::Gauges(samples.collect()));
    }

    /// Adds a family of histograms.
    pub fn histogram(
        &mut self,
        name: &str,
        help: &'static str,
        samples: impl IntoIterator<Item = (Labels, Histogram)>,
    ) {
        self.add(name, help, Samples::Histograms(samples.into_iter().collect()));
    }

    /// Adds the metric `PREFIX_info`, which is always 1 and says something in its labels.
    pub fn info(&mut self, help: &'static str, labels: Labels) {
        let name = self.prefix.to_owned();
        self.families.push(Family { name, help, samples: Samples::Info(labels) });
    }

    fn add(&mut self, name: &str, help: &'static str, samples: Samples) {
        let name = format!("{}_{name}", self.prefix);
        self.families.push(Family { name, help, samples });
    }
}

impl Collector for MetricFamilies {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.families.iter().try_for_each(|Family { name, help, samples }| {
            samples.encode(encoder.encode_descriptor(name, help, None, samples.kind())?)
        })
    }
}

impl Samples {
    fn kind(&self) -> MetricType {
        match self {
            Self::Counters(_) => MetricType::Counter,
            Self::Gauges(_) => MetricType::Gauge,
            Self::Info(_) => MetricType::Info,
            Self::Histograms(_) => MetricType::Histogram,
        }
    }

    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        match self {
            Self::Counters(samples) => samples.iter().try_for_each(|(labels, value)| {
                encoder.encode_family(labels)?.encode_counter(value, NO_EXEMPLAR)
            }),
            Self::Gauges(samples) => samples
                .iter()
                .try_for_each(|(labels, value)| encoder.encode_family(labels)?.encode_gauge(value)),
            Self::Info(labels) => encoder.encode_info(labels),
            Self::Histograms(samples) => samples.iter().try_for_each(|(labels, histogram)| {
                let Histogram { buckets, sum, count } = histogram;
                let mut encoder = encoder.encode_family(labels)?;
                encoder.encode_histogram(*sum, *count, buckets, NO_EXEMPLARS)
            }),
        }
    }
}

const NO_EXEMPLAR: Option<&Exemplar<Labels, f64>> = None;
const NO_EXEMPLARS: Option<&HashMap<usize, Exemplar<Labels, f64>>> = None;

/// The value of a gauge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum GaugeValue {
    /// A count.
    Integer(u64),
    /// Any other number.
    Float(f64),
}

impl From<u64> for GaugeValue {
    fn from(value: u64) -> Self {
        Self::Integer(value)
    }
}

impl From<bool> for GaugeValue {
    fn from(value: bool) -> Self {
        Self::Integer(value.into())
    }
}

impl From<f64> for GaugeValue {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl EncodeGaugeValue for GaugeValue {
    fn encode(&self, encoder: &mut GaugeValueEncoder<'_>) -> fmt::Result {
        match self {
            Self::Integer(value) => value.encode(encoder),
            Self::Float(value) => value.encode(encoder),
        }
    }
}

/// The number of values up to each of several bounds, and their sum.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// The upper bound of each bucket, the last of them infinite, and the number of values in it and in
    /// no bucket before it.
    buckets: Vec<(f64, u64)>,
    sum: f64,
    count: u64,
}

impl Histogram {
    /// Makes a histogram of `count` values. Each of the ascending finite bounds comes with the number
    /// of values up to it.
    pub fn new(up_to: impl IntoIterator<Item = (f64, u64)>, sum: f64, count: u64) -> Self {
        let mut below = 0;
        let mut bucket = |(bound, up_to): (f64, u64)| {
            let in_it = up_to.saturating_sub(below);
            below += in_it;
            (bound, in_it)
        };
        let finite = up_to.into_iter().map(|(bound, up_to)| (bound, up_to.min(count)));
        let all = finite.chain([(f64::INFINITY, count)]);
        Self { buckets: all.map(&mut bucket).collect(), sum, count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_of_a_histogram_add_up_to_its_count() {
        let up_to = [(0.5, 1), (1.0, 1), (2.0, 4), (4.0, 3), (8.0, 9)];
        let histogram = Histogram::new(up_to, 10.5, 7);
        let expected = [(0.5, 1), (1.0, 0), (2.0, 3), (4.0, 0), (8.0, 3), (f64::INFINITY, 0)];
        assert_eq!(histogram.buckets, expected);
        assert_eq!(Histogram::new([], 1.0, 2).buckets, [(f64::INFINITY, 2)]);
    }
}

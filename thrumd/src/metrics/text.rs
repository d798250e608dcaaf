//! The text of `/metrics`, in one of Prometheus's two formats.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeGaugeValue, NoLabelSet, prometheus_text, text,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::histogram::Histogram;
use super::requests::RequestMetrics;

/// A text format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Version 0.0.4, for whoever does not ask for the other one: `promtool`, node_exporter.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// The format for a request with this `Accept`.
    pub fn accepted(accept: Option<&str>) -> Self {
        let kinds = accept.unwrap_or_default().split(',');
        let mut names = kinds.map(|kind| kind.split(';').next().unwrap_or_default().trim());
        match names.any(|name| name.eq_ignore_ascii_case("application/openmetrics-text")) {
            true => Self::OpenMetrics,
            false => Self::Text,
        }
    }

    /// The content type.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => prometheus_text::CONTENT_TYPE,
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// The text of what `write` puts on the page.
///
/// # Errors
/// When a value can't be written, which none of ours is.
pub fn render(
    format: Format,
    write: impl Fn(&mut Page<'_>) -> fmt::Result + Send + Sync + 'static,
) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Written(write)));
    let mut page = String::new();
    match format {
        Format::Text => prometheus_text::encode(&mut page, &registry)?,
        Format::OpenMetrics => text::encode(&mut page, &registry)?,
    }
    Ok(page)
}

struct Written<W>(W);

impl<W> fmt::Debug for Written<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Written")
    }
}

impl<W: Fn(&mut Page<'_>) -> fmt::Result + Send + Sync + 'static> Collector for Written<W> {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        (self.0)(&mut Page(encoder))
    }
}

/// The names of the labels of a family.
type Names<const N: usize> = [&'static str; N];

fn labels<const N: usize>(names: Names<N>, values: [&str; N]) -> [(&str, &str); N] {
    std::array::from_fn(|at| (names[at], values[at]))
}

/// The page that families are written to. The name of a counter has no `_total`: that is added.
pub struct Page<'a>(DescriptorEncoder<'a>);

impl Page<'_> {
    /// A gauge.
    pub fn gauge(&mut self, name: &str, help: &str, value: impl EncodeGaugeValue) -> fmt::Result {
        self.gauges(name, help, [], [([], value)])
    }

    /// A gauge for each set of labels.
    pub fn gauges<'l, const N: usize, V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        names: Names<N>,
        samples: impl IntoIterator<Item = ([&'l str; N], V)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (values, value) in samples {
            family.encode_family(&labels(names, values))?.encode_gauge(&value)?;
        }
        Ok(())
    }

    /// A counter.
    pub fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.counters(name, help, [], [([], value)])
    }

    /// A counter of seconds.
    pub fn counter_of_seconds(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        family.encode_counter::<NoLabelSet, _, u64>(&value, None)
    }

    /// A counter for each set of labels.
    pub fn counters<'l, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        names: Names<N>,
        samples: impl IntoIterator<Item = ([&'l str; N], u64)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (values, value) in samples {
            let labels = labels(names, values);
            family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&value, None)?;
        }
        Ok(())
    }

    /// A histogram.
    pub fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) -> fmt::Result {
        self.histograms(name, help, [], [([], histogram)])
    }

    /// A histogram for each set of labels.
    pub fn histograms<'l, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        names: Names<N>,
        samples: impl IntoIterator<Item = ([&'l str; N], &'l Histogram)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (values, histogram) in samples {
            let buckets = histogram.buckets();
            let count = buckets.iter().map(|(_, count)| count).sum();
            let labels = labels(names, values);
            family.encode_family(&labels)?.encode_histogram::<NoLabelSet>(
                histogram.sum(),
                count,
                &buckets,
                None,
            )?;
        }
        Ok(())
    }

    /// The requests of these surfaces.
    pub fn requests(&mut self, surfaces: &[(&'static str, &RequestMetrics)]) -> fmt::Result {
        let counts: Vec<_> = surfaces
            .iter()
            .flat_map(|(surface, of)| of.counts().map(move |(m, code, n)| (*surface, m, code, n)))
            .collect();
        self.counters(
            "thrumd_requests",
            "Answered requests, by where they came from, method and outcome.",
            ["surface", "method", "code"],
            counts
                .iter()
                .map(|(surface, method, code, n)| ([*surface, *method, code.as_str()], *n)),
        )?;
        let failures = surfaces
            .iter()
            .flat_map(|(surface, of)| of.failures().map(move |(code, n)| ([*surface, code], n)));
        self.counters(
            "thrumd_request_failures",
            "Of those, requests that failed by a fault of thrumd or its disk.",
            ["surface", "code"],
            failures,
        )?;
        let timed = surfaces
            .iter()
            .flat_map(|(surface, of)| of.durations().map(move |(m, it)| ([*surface, m], it)));
        self.histograms(
            "thrumd_request_duration_seconds",
            "From a request until its answer, without methods that wait for something to happen.",
            ["surface", "method"],
            timed,
        )
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn written(page: &mut Page<'_>) -> fmt::Result {
        page.counters("thrumd_x", "Of a kind.", ["kind"], [(["odd"], 3)])?;
        page.gauges("thrumd_y", "A name.", ["name"], [(["a\"b\\c\nd{}=,"], 1_u64)])?;
        let histogram = Histogram::new(&[0.5, 1.0]);
        histogram.observe(Duration::from_millis(750));
        page.histogram("thrumd_z_seconds", "Times.", &histogram)
    }

    #[test]
    fn the_text_is_that_of_the_format() {
        let expected = "\
# HELP thrumd_x_total Of a kind.
# TYPE thrumd_x_total counter
thrumd_x_total{kind=\"odd\"} 3
# HELP thrumd_y A name.
# TYPE thrumd_y gauge
thrumd_y{name=\"a\\\"b\\\\c\\nd{}=,\"} 1
# HELP thrumd_z_seconds Times.
# TYPE thrumd_z_seconds histogram
thrumd_z_seconds_bucket{le=\"0.5\"} 0
thrumd_z_seconds_bucket{le=\"1\"} 1
thrumd_z_seconds_bucket{le=\"+Inf\"} 1
thrumd_z_seconds_sum 0.75
thrumd_z_seconds_count 1
";
        assert_eq!(render(Format::Text, written).unwrap(), expected);
        let open = render(Format::OpenMetrics, written).unwrap();
        assert!(open.contains("# TYPE thrumd_x counter\nthrumd_x_total{kind=\"odd\"} 3"), "{open}");
        assert!(open.contains("thrumd_z_seconds_bucket{le=\"+Inf\"} 1"), "{open}");
        assert!(open.ends_with("# EOF\n"), "{open}");
    }

    #[test]
    fn openmetrics_is_for_those_who_ask_for_it() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2";
        assert_eq!(Format::accepted(Some(prometheus)), Format::OpenMetrics);
        for other in [None, Some("*/*"), Some("text/plain;version=0.0.4"), Some("")] {
            assert_eq!(Format::accepted(other), Format::Text, "{other:?}");
        }
    }
}

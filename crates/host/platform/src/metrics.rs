//! Counters, gauges and histograms that cost one atomic addition, rendered in Prometheus' text format.
//!
//! A room asks the [`Metrics`] it was given for an instrument once, keeps it, and counts with it. Asking again
//! for the same name and labels gives the same instrument. Label values come from our own code, never from a
//! peer: each value is a time series for ever.
//!
//! Our own, because what we need of a metrics library is this file; the libraries bring registries, derive
//! macros and protocol encoders of fourteen crates and more.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

/// Time series of one name at most; more would be a label fed from outside. Instruments beyond it work but
/// are not shown.
pub const SERIES_PER_NAME_MAX: usize = 256;

/// Bounds in seconds for what a person or a peer waits for.
pub const SECONDS_BOUNDS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];

/// Bounds in octets for messages.
pub const OCTETS_BOUNDS: &[f64] =
    &[1024.0, 4096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0, 4_194_304.0, 16_777_216.0, 67_108_864.0];

/// The registry. Clones share it.
#[derive(Clone, Default)]
pub struct Metrics {
    families: Arc<Mutex<BTreeMap<&'static str, Family>>>,
}

struct Family {
    help: &'static str,
    kind: Kind,
    series: BTreeMap<String, Instrument>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

enum Instrument {
    Counter(Counter),
    Gauge(Gauge),
    Read(Box<dyn Fn() -> f64 + Send + Sync>),
    Histogram(Histogram),
}

/// Something that only grows.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

/// Something that goes up and down.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicI64>);

/// How values spread over buckets.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<Buckets>);

#[derive(Debug)]
struct Buckets {
    bounds: &'static [f64],
    /// One count for each bound and one for what lies above the last.
    counts: Vec<AtomicU64>,
    /// The sum of all values: the bits of an `f64`.
    sum: AtomicU64,
}

/// A gauge raised by one while this value lives.
#[derive(Debug)]
pub struct GaugeHold(Gauge);

/// The labels of one instrument, name and value.
pub type Labels<'a> = &'a [(&'static str, &'a str)];

impl Metrics {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A counter; by Prometheus' custom its name ends in `_total`.
    #[must_use]
    pub fn counter(&self, name: &'static str, help: &'static str, labels: Labels<'_>) -> Counter {
        let new = || Instrument::Counter(Counter::default());
        self.instrument(name, help, Kind::Counter, labels, new, |instrument| match instrument {
            Instrument::Counter(counter) => Some(counter.clone()),
            _ => None,
        })
        .unwrap_or_default()
    }

    /// A gauge.
    #[must_use]
    pub fn gauge(&self, name: &'static str, help: &'static str, labels: Labels<'_>) -> Gauge {
        let new = || Instrument::Gauge(Gauge::default());
        self.instrument(name, help, Kind::Gauge, labels, new, |instrument| match instrument {
            Instrument::Gauge(gauge) => Some(gauge.clone()),
            _ => None,
        })
        .unwrap_or_default()
    }

    /// A gauge whose value is asked for each time the registry is rendered: for what the system or a table
    /// already counts. `read` must be quick and must not use this registry.
    pub fn gauge_read<R>(&self, name: &'static str, help: &'static str, labels: Labels<'_>, read: R)
    where
        R: Fn() -> f64 + Send + Sync + 'static,
    {
        let new = || Instrument::Read(Box::new(read));
        self.instrument(name, help, Kind::Gauge, labels, new, |_| Some(()));
    }

    /// A histogram with these upper bounds, growing.
    #[must_use]
    pub fn histogram(
        &self,
        name: &'static str,
        help: &'static str,
        bounds: &'static [f64],
        labels: Labels<'_>,
    ) -> Histogram {
        let new = || Instrument::Histogram(Histogram::with_bounds(bounds));
        self.instrument(name, help, Kind::Histogram, labels, new, |instrument| match instrument {
            Instrument::Histogram(histogram) => Some(histogram.clone()),
            _ => None,
        })
        .unwrap_or_else(|| Histogram::with_bounds(bounds))
    }

    /// All instruments in Prometheus' text format 0.0.4.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        for (name, family) in self.families.lock().iter() {
            // Writing to a `String` cannot fail.
            let _ = family.render(name, &mut text);
        }
        text
    }

    /// Finds or makes an instrument; `None` when the name is used for another kind or has too many series.
    fn instrument<T>(
        &self,
        name: &'static str,
        help: &'static str,
        kind: Kind,
        labels: Labels<'_>,
        new: impl FnOnce() -> Instrument,
        pick: impl FnOnce(&Instrument) -> Option<T>,
    ) -> Option<T> {
        let key = labels_text(labels);
        let mut families = self.families.lock();
        let family = families.entry(name).or_insert_with(|| Family { help, kind, series: BTreeMap::new() });
        let room = family.series.len() < SERIES_PER_NAME_MAX || family.series.contains_key(&key);
        if family.kind != kind || !room {
            tracing::error!(name, "a metric is registered as two kinds or with too many labels; not shown");
            return None;
        }
        pick(family.series.entry(key).or_insert_with(new))
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Metrics({} names)", self.families.lock().len())
    }
}

impl Counter {
    /// One more.
    pub fn increment(&self) {
        self.add(1);
    }

    /// `amount` more.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// The count so far.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Adds to it, or takes from it.
    pub fn add(&self, amount: i64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// Raises it by one until the hold is dropped.
    #[must_use]
    pub fn hold(&self) -> GaugeHold {
        self.add(1);
        GaugeHold(self.clone())
    }

    /// Its value.
    #[must_use]
    pub fn value(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for GaugeHold {
    fn drop(&mut self) {
        self.0.add(-1);
    }
}

impl Histogram {
    fn with_bounds(bounds: &'static [f64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self(Arc::new(Buckets { bounds, counts, sum: AtomicU64::new(0.0_f64.to_bits()) }))
    }

    /// Counts one value.
    pub fn observe(&self, value: f64) {
        let place = self.0.bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.0.counts.get(place) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let add = |bits| Some((f64::from_bits(bits) + value).to_bits());
        // The closure never gives `None`, so this cannot fail.
        let _ = self.0.sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// Counts a duration, in seconds.
    pub fn observe_duration(&self, duration: Duration) {
        self.observe(duration.as_secs_f64());
    }
}

impl Family {
    fn render(&self, name: &str, out: &mut String) -> fmt::Result {
        let kind = match self.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let help = self.help.replace('\\', r"\\").replace('\n', r"\n");
        writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}")?;
        for (labels, instrument) in &self.series {
            match instrument {
                Instrument::Counter(counter) => {
                    writeln!(out, "{name}{} {}", braced(labels), counter.value())?
                }
                Instrument::Gauge(gauge) => writeln!(out, "{name}{} {}", braced(labels), gauge.value())?,
                Instrument::Read(read) => writeln!(out, "{name}{} {}", braced(labels), read())?,
                Instrument::Histogram(histogram) => histogram.render(name, labels, out)?,
            }
        }
        Ok(())
    }
}

impl Histogram {
    fn render(&self, name: &str, labels: &str, out: &mut String) -> fmt::Result {
        let comma = if labels.is_empty() { "" } else { "," };
        let mut total = 0;
        let bounds = self.0.bounds.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
        for (bound, count) in bounds.zip(&self.0.counts) {
            total += count.load(Ordering::Relaxed);
            writeln!(out, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {total}")?;
        }
        let sum = f64::from_bits(self.0.sum.load(Ordering::Relaxed));
        writeln!(out, "{name}_sum{} {sum}\n{name}_count{} {total}", braced(labels), braced(labels))
    }
}

fn labels_text(labels: Labels<'_>) -> String {
    let mut text = String::new();
    for (place, (name, value)) in labels.iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        let value = value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n");
        let _ = write!(text, "{comma}{name}=\"{value}\"");
    }
    text
}

fn braced(labels: &str) -> String {
    if labels.is_empty() { String::new() } else { format!("{{{labels}}}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_what_prometheus_reads() {
        let metrics = Metrics::new();
        let smtp = metrics.counter("connections_total", "Connections accepted.", &[("door", "smtp")]);
        metrics.counter("connections_total", "Connections accepted.", &[("door", "imap")]).add(2);
        smtp.increment();
        metrics.gauge("open", "Open now.", &[]).set(-3);
        metrics.gauge_read("resident", "Memory.", &[], || 4096.0);
        let wait = metrics.histogram("wait_seconds", "Waits.", &[0.1, 1.0], &[("door", "smtp")]);
        for value in [0.1, 0.5, 7.0] {
            wait.observe(value);
        }
        let expected = r#"# HELP connections_total Connections accepted.
# TYPE connections_total counter
connections_total{door="imap"} 2
connections_total{door="smtp"} 1
# HELP open Open now.
# TYPE open gauge
open -3
# HELP resident Memory.
# TYPE resident gauge
resident 4096
# HELP wait_seconds Waits.
# TYPE wait_seconds histogram
wait_seconds_bucket{door="smtp",le="0.1"} 1
wait_seconds_bucket{door="smtp",le="1"} 2
wait_seconds_bucket{door="smtp",le="+Inf"} 3
wait_seconds_sum{door="smtp"} 7.6
wait_seconds_count{door="smtp"} 3
"#;
        assert_eq!(metrics.render(), expected);
    }

    #[test]
    fn the_same_name_and_labels_give_the_same_instrument() {
        let metrics = Metrics::new();
        metrics.counter("a_total", "A.", &[("x", "1")]).increment();
        metrics.clone().counter("a_total", "A.", &[("x", "1")]).increment();
        assert_eq!(metrics.counter("a_total", "A.", &[("x", "1")]).value(), 2);
    }

    #[test]
    fn label_values_cannot_break_the_format() {
        let metrics = Metrics::new();
        metrics.counter("a_total", "One\nline.", &[("x", "a\"b\\c\nd")]).increment();
        let expected =
            "# HELP a_total One\\nline.\n# TYPE a_total counter\na_total{x=\"a\\\"b\\\\c\\nd\"} 1\n";
        assert_eq!(metrics.render(), expected);
    }

    #[test]
    fn a_name_is_of_one_kind_and_of_bounded_series() {
        let metrics = Metrics::new();
        metrics.counter("a_total", "A.", &[]).increment();
        metrics.gauge("a_total", "A.", &[]).set(9);
        assert_eq!(metrics.counter("a_total", "A.", &[]).value(), 1);
        for number in 0..=SERIES_PER_NAME_MAX {
            metrics.counter("b_total", "B.", &[("n", &number.to_string())]).increment();
        }
        let shown = metrics.render().lines().filter(|line| line.starts_with("b_total{")).count();
        assert_eq!(shown, SERIES_PER_NAME_MAX);
    }

    #[test]
    fn a_hold_lowers_its_gauge_when_dropped() {
        let gauge = Metrics::new().gauge("open", "Open.", &[]);
        let hold = gauge.hold();
        assert_eq!(gauge.value(), 1);
        drop(hold);
        assert_eq!(gauge.value(), 0);
    }
}

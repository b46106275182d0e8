//! Counters, gauges and histograms that cost one atomic addition, rendered in Prometheus' text format.
//!
//! A room asks the [`Metrics`] it was given for an instrument once, keeps it, and counts with it. Asking again
//! for the same name and labels gives the same instrument.

/// The registry. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Metrics {}

/// Something that only grows.
#[derive(Clone, Debug)]
pub struct Counter {}

/// Something that goes up and down.
#[derive(Clone, Debug)]
pub struct Gauge {}

/// How values spread over buckets.
#[derive(Clone, Debug)]
pub struct Histogram {}

/// A gauge raised by one while this value lives.
#[derive(Debug)]
pub struct GaugeHold {}

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
        unimplemented!("{name}{help}{labels:?}")
    }

    /// A gauge.
    #[must_use]
    pub fn gauge(&self, name: &'static str, help: &'static str, labels: Labels<'_>) -> Gauge {
        unimplemented!("{name}{help}{labels:?}")
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
        unimplemented!("{name}{help}{labels:?}{bounds:?}")
    }

    /// All instruments in Prometheus' text format 0.0.4.
    #[must_use]
    pub fn render(&self) -> String {
        unimplemented!()
    }
}

impl Counter {
    /// One more.
    pub fn increment(&self) {
        self.add(1);
    }

    /// `amount` more.
    pub fn add(&self, amount: u64) {
        unimplemented!("{amount}")
    }

    /// The count so far.
    #[must_use]
    pub fn value(&self) -> u64 {
        unimplemented!()
    }
}

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: i64) {
        unimplemented!("{value}")
    }

    /// Adds to it, or takes from it.
    pub fn add(&self, amount: i64) {
        unimplemented!("{amount}")
    }

    /// Raises it by one until the hold is dropped.
    #[must_use]
    pub fn hold(&self) -> GaugeHold {
        unimplemented!()
    }

    /// Its value.
    #[must_use]
    pub fn value(&self) -> i64 {
        unimplemented!()
    }
}

impl Histogram {
    /// Counts one value.
    pub fn observe(&self, value: f64) {
        unimplemented!("{value}")
    }

    /// Counts a duration, in seconds.
    pub fn observe_duration(&self, duration: std::time::Duration) {
        self.observe(duration.as_secs_f64());
    }
}

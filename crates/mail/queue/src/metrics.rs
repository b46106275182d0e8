//! What the queue counts.

use platform::metrics::{Counter, Gauge, Metrics};

/// The queue's instruments.
#[derive(Debug)]
pub(crate) struct QueueMetrics {
    pub(crate) accepted: Counter,
    pub(crate) delivered: Counter,
    pub(crate) failed: Counter,
    pub(crate) deferred: Counter,
    pub(crate) expired: Counter,
    pub(crate) unreachable: Counter,
    pub(crate) in_memory: Gauge,
    pub(crate) connections: Gauge,
    pub(crate) messages: Gauge,
}

impl QueueMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let outcome = |what| {
            metrics.counter(
                "mailstead_queue_recipients_total",
                "Recipients of queued messages, by what became of them.",
                &[("outcome", what)],
            )
        };
        Self {
            accepted: metrics.counter("mailstead_queue_accepted_total", "Messages queued.", &[]),
            delivered: outcome("delivered"),
            failed: outcome("failed"),
            deferred: outcome("deferred"),
            expired: outcome("expired"),
            unreachable: metrics.counter(
                "mailstead_queue_unreachable_total",
                "Connections that found a destination unreachable.",
                &[],
            ),
            in_memory: metrics.gauge("mailstead_queue_in_memory", "Queued messages in memory.", &[]),
            connections: metrics.gauge("mailstead_queue_connections", "Connections given out.", &[]),
            messages: metrics.gauge("mailstead_queue_messages", "Messages in the queue's index.", &[]),
        }
    }
}

//! What is counted of mail going out. How much waits, the queue counts.

use platform::metrics::{Counter, Histogram, Metrics, SECONDS_BOUNDS};
use queue::RecipientOutcome;
use tls::Version;

use crate::way::PolicySource;

/// All instruments of the way out.
pub(crate) struct OutCounts {
    delivered: Counter,
    relayed: Counter,
    failed: Counter,
    deferred: Counter,
    pub(crate) connections_made: Counter,
    pub(crate) connections_failed: Counter,
    tls12: Counter,
    tls13: Counter,
    clear: Counter,
    pub(crate) tls_failures: Counter,
    protected: Vec<(PolicySource, Counter)>,
    unprotected: Vec<(PolicySource, Counter)>,
    pub(crate) reports: Counter,
    pub(crate) reports_lost: Counter,
    pub(crate) transaction: Histogram,
}

impl OutCounts {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let recipients = |result| {
            let help = "Recipients of mail going out, by what each attempt came to.";
            metrics.counter("mailstead_out_recipients_total", help, &[("result", result)])
        };
        let connections = |result| {
            let help = "Connections to other servers, by whether they came to a greeting.";
            metrics.counter("mailstead_out_connections_total", help, &[("result", result)])
        };
        let tls = |version| {
            let help = "Connections to other servers that mail could go over, by TLS version.";
            metrics.counter("mailstead_out_tls_total", help, &[("version", version)])
        };
        let protected = |result| {
            let help =
                "Connections to other servers, by who said how to protect them and whether that was done.";
            let counter = |source: PolicySource| {
                let labels = [("policy", source.as_str()), ("result", result)];
                (source, metrics.counter("mailstead_out_tls_policy_total", help, &labels))
            };
            PolicySource::ALL.map(counter).to_vec()
        };
        let reports = |result| {
            metrics.counter("mailstead_out_reports_total", "Delivery reports.", &[("result", result)])
        };
        Self {
            delivered: recipients("delivered"),
            relayed: recipients("relayed"),
            failed: recipients("failed"),
            deferred: recipients("deferred"),
            connections_made: connections("made"),
            connections_failed: connections("failed"),
            tls12: tls("TLS1.2"),
            tls13: tls("TLS1.3"),
            clear: tls("none"),
            tls_failures: metrics.counter(
                "mailstead_out_tls_failures_total",
                "TLS handshakes with other servers that failed.",
                &[],
            ),
            protected: protected("kept"),
            unprotected: protected("failed"),
            reports: reports("written"),
            reports_lost: reports("impossible"),
            transaction: metrics.histogram(
                "mailstead_out_transaction_seconds",
                "Time from MAIL to the last word on a message.",
                SECONDS_BOUNDS,
                &[],
            ),
        }
    }

    pub(crate) fn recipient(&self, outcome: &RecipientOutcome) {
        match outcome {
            RecipientOutcome::Delivered => self.delivered.increment(),
            RecipientOutcome::Relayed => self.relayed.increment(),
            RecipientOutcome::Failed(_) => self.failed.increment(),
            RecipientOutcome::Deferred(_) => self.deferred.increment(),
        }
    }

    /// A connection that was protected as `source` says, or not.
    pub(crate) fn protected(&self, source: PolicySource, is_kept: bool) {
        let counters = if is_kept { &self.protected } else { &self.unprotected };
        if let Some((_, counter)) = counters.iter().find(|(of, _)| *of == source) {
            counter.increment();
        }
    }

    pub(crate) fn tls(&self, version: Option<Version>) {
        match version {
            Some(Version::Tls12) => self.tls12.increment(),
            Some(Version::Tls13) => self.tls13.increment(),
            None => self.clear.increment(),
        }
    }
}

//! What the door counts.

use platform::metrics::{Counter, Histogram, Metrics, OCTETS_BOUNDS, SECONDS_BOUNDS};

use crate::Listener;
use crate::inspect::Applied;

/// All instruments of the door.
pub(crate) struct Counts {
    relay: Counter,
    submission: Counter,
    lmtp: Counter,
    pub(crate) messages_refused: Counter,
    pub(crate) senders_refused: Counter,
    pub(crate) recipients_refused: Counter,
    checked_taken: Counter,
    checked_junk: Counter,
    checked_refused: Counter,
    pub(crate) recipients_filed: Counter,
    pub(crate) recipients_queued: Counter,
    pub(crate) logins: Counter,
    pub(crate) logins_refused: Counter,
    pub(crate) handshakes_failed: Counter,
    pub(crate) octets: Histogram,
    pub(crate) filing: Histogram,
}

impl Counts {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let accepted = |listener| {
            let help = "Messages taken by SMTP and LMTP, on disk before we said so.";
            metrics.counter("mailstead_smtp_messages_total", help, &[("listener", listener)])
        };
        let refused = |stage| {
            let help = "Refusals, temporary ones included, by what was refused.";
            metrics.counter("mailstead_smtp_refused_total", help, &[("stage", stage)])
        };
        let logins = |result| {
            metrics.counter("mailstead_smtp_logins_total", "Log-ins for submission.", &[("result", result)])
        };
        let checked = |outcome| {
            let help = "Messages whose sender was checked, by what followed.";
            metrics.counter("mailstead_smtp_checked_total", help, &[("outcome", outcome)])
        };
        Self {
            relay: accepted("smtp"),
            submission: accepted("submission"),
            lmtp: accepted("lmtp"),
            messages_refused: refused("message"),
            senders_refused: refused("sender"),
            recipients_refused: refused("recipient"),
            checked_taken: checked("taken"),
            checked_junk: checked("junk"),
            checked_refused: checked("refused"),
            recipients_filed: metrics.counter(
                "mailstead_smtp_recipients_filed_total",
                "Recipients whose message was filed.",
                &[],
            ),
            recipients_queued: metrics.counter(
                "mailstead_smtp_recipients_queued_total",
                "Recipients elsewhere whose message was queued.",
                &[],
            ),
            logins: logins("accepted"),
            logins_refused: logins("refused"),
            handshakes_failed: metrics.counter(
                "mailstead_smtp_tls_failures_total",
                "TLS handshakes that failed.",
                &[],
            ),
            octets: metrics.histogram(
                "mailstead_smtp_message_octets",
                "Octets of the messages taken.",
                OCTETS_BOUNDS,
                &[],
            ),
            filing: metrics.histogram(
                "mailstead_smtp_filing_seconds",
                "Time from a message's last octet until it is on disk for all recipients.",
                SECONDS_BOUNDS,
                &[],
            ),
        }
    }

    /// A message's sender was checked.
    pub(crate) fn checked(&self, applied: Applied) {
        match applied {
            Applied::Nothing => self.checked_taken.increment(),
            Applied::Junk => self.checked_junk.increment(),
            Applied::Refused => self.checked_refused.increment(),
        }
    }

    pub(crate) fn accepted(&self, listener: Listener) -> &Counter {
        match listener {
            Listener::Relay => &self.relay,
            Listener::Submission | Listener::ImplicitSubmission => &self.submission,
            Listener::Lmtp => &self.lmtp,
        }
    }
}

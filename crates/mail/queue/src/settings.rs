//! What the operator may set about the queue: plain values, checked by the settings table.

use std::time::Duration;

/// The queue's settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How long a message is tried before its sender gets it back. RFC 5321 §4.5.4.1 asks for 4 to 5 days.
    pub lifetime: Duration,
    /// The same for reports: nobody waits for them as long.
    pub report_lifetime: Duration,
    /// When a sender is told that a message is late. RFC 5321 leaves it to us; people ask after some hours.
    pub warn_after: Duration,
    /// The first interval between two tries. RFC 5321 §4.5.4.1 asks for 30 minutes on average; greylisting lets in
    /// after one to five.
    pub retry_first: Duration,
    /// The longest interval; they double up to it.
    pub retry_longest: Duration,
    /// Connections in all.
    pub connections_max: usize,
    /// Connections to one destination.
    pub destination_connections_max: usize,
    /// Connections to a destination of which nothing is known yet.
    pub destination_connections_first: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lifetime: Duration::from_secs(5 * 24 * 3600),
            report_lifetime: Duration::from_secs(24 * 3600),
            warn_after: Duration::from_secs(4 * 3600),
            retry_first: Duration::from_secs(60),
            retry_longest: Duration::from_secs(3600),
            connections_max: 200,
            destination_connections_max: 20,
            destination_connections_first: 2,
        }
    }
}

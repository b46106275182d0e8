//! What the operator may choose about reading mail, as plain values that are already valid.

use std::time::Duration;

use imap::Separator;
use mailstore::QuotaLimit;

/// The IMAP door's settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What parts the levels of mailbox names that clients see.
    pub separator: Separator,
    /// Octets of the largest message that APPEND takes (RFC 7889).
    pub message_octets_max: u64,
    /// How long a client that has logged in may be silent, IDLE included.
    pub idle_timeout: Duration,
    /// How long a stranger may take to log in, from the greeting on.
    pub login_timeout: Duration,
    /// How long a client may go on without taking an octet of what we send.
    pub write_timeout: Duration,
    /// Sessions that one account may have at a time.
    pub sessions_per_account_max: usize,
    /// Commands in a row that may be BAD, or passwords that may be wrong, before the connection ends.
    pub errors_max: u32,
    /// What accounts may keep that have no quota of their own.
    pub quota_default: QuotaLimit,
    /// Where scripts are kept that may run on what clients do to messages (RFC 6785 §3.7); `None` where none run.
    pub script_url: Option<String>,
    /// How long one SEARCH or LIST may take before it is given up.
    pub search_time_max: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            separator: Separator::Slash,
            message_octets_max: 50 * 1024 * 1024,
            // RFC 9051 §5.4: at least 30 minutes.
            idle_timeout: Duration::from_secs(30 * 60),
            login_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(120),
            sessions_per_account_max: 100,
            errors_max: 50,
            quota_default: QuotaLimit::NONE,
            script_url: None,
            search_time_max: Duration::from_secs(60),
        }
    }
}

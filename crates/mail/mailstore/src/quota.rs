//! How much an account holds and may hold. Copies count each: what a client sees as a message is one.

/// What an account may hold; `None` is without limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct QuotaLimit {
    /// Octets of all messages.
    pub octets: Option<u64>,
    /// Number of messages.
    pub messages: Option<u64>,
}

/// What an account holds, filings under way included.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct QuotaUsage {
    /// Octets of all messages.
    pub octets: u64,
    /// Number of messages.
    pub messages: u64,
}

impl QuotaLimit {
    /// No limit.
    pub const NONE: Self = Self { octets: None, messages: None };
}

impl QuotaUsage {
    /// Whether this much is within the limit.
    #[must_use]
    pub fn is_within(self, limit: QuotaLimit) -> bool {
        limit.octets.is_none_or(|most| self.octets <= most)
            && limit.messages.is_none_or(|most| self.messages <= most)
    }
}

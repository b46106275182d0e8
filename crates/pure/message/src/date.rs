//! Dates of header fields (RFC 5322 §3.3, §4.3).

/// A moment with the zone it was written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub unix_seconds: i64,
    /// Minutes the written local time is ahead of UTC.
    pub zone_minutes: i16,
}

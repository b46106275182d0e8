//! How much of a message is kept for parsing: the bounds that make the scanner's memory and time independent of
//! what a sender writes.

/// Bounds of one scan. Whatever lies beyond a bound is still stored and served; it is only not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of a message's header that are parsed. Real mail stays below 64 KiB; mailing-list loops reach 100 KiB.
    pub header_octets_max: usize,
    /// Octets of one body part's MIME header that are parsed.
    pub part_header_octets_max: usize,
    /// Nodes of the part tree. Behind the last one, a multipart's remaining octets belong to its last part.
    pub parts_max: usize,
    /// Open multiparts and messages inside each other, at most [`DEPTH_MAX`]. A deeper one is treated as a leaf.
    pub depth_max: usize,
    /// Parameters of one Content-Type or Content-Disposition field (CVE-2026-27859: parameter floods).
    pub parameters_max: usize,
    /// Entries of all address lists of one envelope together (CVE-2024-23184: address floods).
    pub addresses_max: usize,
    /// Message identifiers kept for threading: the first, and the last ones.
    pub references_max: usize,
    /// Octets of raw header fields kept for clients' BODY[HEADER.FIELDS (...)].
    pub cached_octets_max: usize,
    /// Octets of text kept in the whole part tree and all envelopes.
    pub retained_octets_max: usize,
}

/// Longest boundary we look for. RFC 2046 §5.1.1 allows 70; some senders write twice that.
pub const BOUNDARY_OCTETS_MAX: usize = 256;

/// Deepest part tree there is, whatever the limits say: trees are walked by recursion, which has to fit on a thread's stack.
pub const DEPTH_MAX: usize = 64;

impl Default for Limits {
    fn default() -> Self {
        Limits {
            header_octets_max: 256 * 1024,
            part_header_octets_max: 32 * 1024,
            parts_max: 1_000,
            depth_max: 50,
            parameters_max: 32,
            addresses_max: 4_096,
            references_max: 64,
            cached_octets_max: 16 * 1024,
            retained_octets_max: 256 * 1024,
        }
    }
}

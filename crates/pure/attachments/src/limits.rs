//! How far is looked: the bounds that make the memory and time of one message independent of what a sender packs into it.

/// Bounds of the examination of one message. Where one is reached something is said in the report, and nothing is expanded
/// any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Archives, documents and messages inside each other, at most [`DEPTH_MAX`].
    pub depth_max: usize,
    /// Body parts of the message and of all messages inside it.
    pub parts_max: usize,
    /// Entries of all archives together.
    pub entries_max: usize,
    /// Octets that all archives together may become.
    pub expanded_octets_max: u64,
    /// How many times the packed octets one entry may become, once it is longer than [`RATIO_FREE_OCTETS`].
    pub ratio_max: u64,
    /// Octets of the windows that one message's unpackers of bzip2, xz, zstd, RAR and cabinets keep; all messages' together are bounded by
    /// [`WindowAllowance`](crate::WindowAllowance).
    pub window_octets_max: usize,
    /// Findings that are told. Beyond it the mildest are left out.
    pub findings_max: usize,
}

/// Deepest nesting there is, whatever the limits say: each level that is unpacked holds a window of 32 KiB and what
/// belongs to it, which is what the memory of an examination mostly is.
pub const DEPTH_MAX: usize = 6;

/// Octets that any entry may become, however small it is. Empty pages of databases and pictures pack a thousandfold.
pub const RATIO_FREE_OCTETS: u64 = 8 * 1024 * 1024;

impl Default for Limits {
    fn default() -> Self {
        Limits {
            depth_max: 5,
            parts_max: 1_000,
            entries_max: 2_000,
            expanded_octets_max: 128 * 1024 * 1024,
            ratio_max: 250,
            // What xz keeps as it is mostly used; of bzip2 two at a time.
            window_octets_max: 8 * 1024 * 1024,
            findings_max: 64,
        }
    }
}

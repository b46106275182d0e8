//! Raw header fields kept with the summary.

/// Raw header fields in their order, with the knowledge of which names are wholly here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CachedFields {
    octets: Vec<u8>,
    elsewhere: Vec<u16>,
    is_whole_header_known: bool,
}

impl CachedFields {
    /// Whether all fields of this name are here (or the message has none): if not, the message must be read.
    pub fn covers(&self, name: &[u8]) -> bool {
        self.is_whole_header_known && name.is_empty() && self.elsewhere.is_empty()
    }

    /// All kept fields, raw.
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }
}

//! The charsets in which SEARCH may bring its texts (RFC 9051 §6.4.4): all become UTF-8 here.

/// Whether we can read texts in this charset.
pub(crate) fn is_known(name: &str) -> bool {
    is_utf8(name) || message::is_known_charset(name.as_bytes())
}

/// The text in UTF-8; `None` if it is not what its charset says.
/// US-ASCII may be UTF-8 in truth: clients that never name a charset send what they have.
pub(crate) fn to_utf8(charset: &str, octets: &[u8]) -> Option<String> {
    if is_utf8(charset) {
        return std::str::from_utf8(octets).ok().map(str::to_owned);
    }
    Some(message::decode_charset(charset.as_bytes(), octets))
}

fn is_utf8(name: &str) -> bool {
    ["UTF-8", "US-ASCII"].iter().any(|known| name.eq_ignore_ascii_case(known))
}

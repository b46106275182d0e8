//! PEM: keys as text between dashes (RFC 7468).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::dkim::public_key::decode_base64;

/// Octets of base64 on a line (RFC 7468 §2).
const LINE_OCTETS: usize = 64;

/// A block: its label and what it holds.
pub(crate) struct Block<'a> {
    pub(crate) label: &'a str,
    pub(crate) der: Option<Vec<u8>>,
    /// Whether its old-style header says that it is encrypted (RFC 1421 §4.6.1.1).
    pub(crate) is_encrypted: bool,
}

/// The blocks of a text; what stands around them is passed over (RFC 7468 §5.2).
pub(crate) fn blocks(text: &str) -> impl Iterator<Item = Block<'_>> {
    text.split("-----BEGIN ").skip(1).filter_map(|after| {
        let (label, rest) = after.split_once("-----")?;
        let (inside, _) = rest.split_once("-----END ")?;
        let is_encrypted = inside.contains("ENCRYPTED");
        Some(Block { label, der: decode_base64(inside.as_bytes()), is_encrypted })
    })
}

/// Writes a block.
pub(crate) fn write(label: &str, der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE_OCTETS));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

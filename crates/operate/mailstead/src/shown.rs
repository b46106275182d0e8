//! What people are shown of a message's header.

use message::{Summary, decode_field_text, fields};

/// The fields that the store keeps at hand of a message (`Row::summary`).
pub(crate) fn kept_header(summary: Option<&[u8]>) -> Vec<u8> {
    let summary = summary.and_then(|summary| Summary::decode(summary).ok());
    summary.map(|summary| summary.fields.octets().to_vec()).unwrap_or_default()
}

/// The first field of a name, as people read it.
pub(crate) fn field_text(header: &[u8], name: &str) -> String {
    let field = fields(header).find(|field| field.is_named(name));
    field.map(|field| decode_field_text(&field.unfolded()).trim().to_owned()).unwrap_or_default()
}

//! ID: what the client tells of itself (RFC 2971), bounded as that RFC bounds it.

use super::IdParameters;
use super::cursor::{Cursor, Parsed};

/// `id = "ID" SP id-params-list`; `()` stands for NIL, as several mobile clients write it.
pub(super) fn id(cursor: &mut Cursor<'_>) -> Parsed<IdParameters> {
    let mut pairs = Vec::new();
    if cursor.take_word("NIL") {
        return Ok(IdParameters(pairs));
    }
    cursor.expect(b'(', "Expected NIL or a list")?;
    cursor.take_spaces();
    while !cursor.take(b')') {
        if pairs.len() == IdParameters::PAIRS_MAX {
            return Err(cursor.complain("ID has at most 30 pairs"));
        }
        let start = cursor.clone();
        let field = cursor.string("Expected a string")?;
        if field.len() > IdParameters::FIELD_OCTETS_MAX {
            return Err(start.complain("A field name of ID has at most 30 octets"));
        }
        cursor.space()?;
        let start = cursor.clone();
        let value = cursor.nstring("Expected a string or NIL")?;
        if value.as_ref().is_some_and(|value| value.len() > IdParameters::VALUE_OCTETS_MAX) {
            return Err(start.complain("A value of ID has at most 1,024 octets"));
        }
        pairs.push((text(&field), value.as_deref().map(text)));
        cursor.take_spaces();
    }
    Ok(IdParameters(pairs))
}

/// Only for logs and people: what is not UTF-8 is replaced.
fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

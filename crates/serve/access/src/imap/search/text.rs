//! Looking for words in headers and bodies: `message` extracts, decodes and folds the text, here its octets are brought
//! (RFC 9051 §6.4.4). Messages stream by; of none more than a window is in memory.

use imap::fetch::FieldName;
use mailstore::StoreError;
use message::{
    Choice, Summary, TextExtraction, TextPiece, TextScope, TextSearch, choose_fields, decode_field_text,
    fields,
};

use super::super::octets::Octets;

/// Octets of a header that are searched; what `message` reads of one at most.
const HEADER_OCTETS_MAX: u64 = 256 * 1024;

/// Whether the text of the message has what is searched for.
///
/// # Errors
/// What the store says.
pub(crate) async fn in_text(
    octets: &mut Octets,
    summary: &Summary,
    scope: TextScope,
    mut search: TextSearch,
) -> Result<bool, StoreError> {
    let mut extraction = TextExtraction::new(&summary.structure, scope, u64::MAX);
    while !search.has_found_all()
        && let Some(wanted) = extraction.wanted()
    {
        let run = octets.run(wanted.start..wanted.end).await?;
        extraction.give(run, |piece| search.take(piece));
    }
    Ok(search.has_found_all())
}

/// Whether a header field of this name has what is searched for; the empty needle asks for the field alone.
///
/// # Errors
/// What the store says.
pub(crate) async fn in_field(
    octets: &mut Octets,
    summary: &Summary,
    name: &FieldName,
    mut search: TextSearch,
) -> Result<bool, StoreError> {
    let names = [name.as_str().as_bytes()];
    let mut chosen = Vec::new();
    if summary.fields.choose(&names, &mut chosen).is_none() {
        let header = header(octets, summary).await?;
        choose_fields(&header, &names, Choice::Named, &mut chosen);
    }
    let mut named = fields(&chosen).filter(|field| field.is_named(name.as_str()));
    Ok(named.any(|field| {
        search.take(TextPiece::Text(&decode_field_text(field.value)));
        search.take(TextPiece::End);
        search.has_found_all()
    }))
}

async fn header(octets: &mut Octets, summary: &Summary) -> Result<Vec<u8>, StoreError> {
    let span = summary.structure.header;
    let (mut at, end) = (span.start, span.end.min(span.start + HEADER_OCTETS_MAX));
    let mut header = Vec::new();
    while at < end {
        let piece = octets.within(at..end).await?;
        if piece.is_empty() {
            break;
        }
        header.extend_from_slice(piece);
        at += piece.len() as u64;
    }
    Ok(header)
}

//! FETCH: attributes, macros, sections, partial ranges and modifiers (RFC 9051 §6.4.5, §9 fetch-att, RFC 7162 §3.1.4, §3.2.6).

use mail_types::ModSeq;

use super::Fetch;
use super::cursor::{Cursor, Parsed, is_atom_octet};
use crate::fetch::{
    BinarySection, BodySection, FetchAttribute, FieldName, PartPath, Partial, PreviewUrgency, Reading,
    Section, SectionText,
};
use crate::sequence::Numbering;

/// Most attributes of one FETCH: each part of a large message, and then some.
pub(super) const ATTRIBUTES_MAX: usize = 256;
/// Most field names of one HEADER.FIELDS; mail lists ask for about thirty.
pub(super) const FIELD_NAMES_MAX: usize = 256;
/// Deepest part number: deeper than any message that we take apart.
pub(super) const PART_DEPTH_MAX: usize = 128;

/// `fetch = "FETCH" SP sequence-set SP ("ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")") [fetch-modifiers]`
pub(super) fn fetch(cursor: &mut Cursor<'_>, numbering: Numbering) -> Parsed<Fetch> {
    let set = cursor.sequence_set()?;
    cursor.space()?;
    let attributes = attributes(cursor)?;
    let (changed_since, vanished) = modifiers(cursor, numbering)?;
    Ok(Fetch { numbering, set, attributes, changed_since, vanished })
}

fn attributes(cursor: &mut Cursor<'_>) -> Parsed<Vec<FetchAttribute>> {
    if let Some(attributes) = macro_attributes(cursor) {
        return Ok(attributes);
    }
    if !cursor.take(b'(') {
        return attribute(cursor).map(|attribute| vec![attribute]);
    }
    let mut attributes = Vec::new();
    cursor.take_spaces();
    loop {
        let attribute = attribute(cursor)?;
        if !attributes.contains(&attribute) {
            if attributes.len() == ATTRIBUTES_MAX {
                return Err(cursor.complain("Too many attributes"));
            }
            attributes.push(attribute);
        }
        let spaces = cursor.take_spaces();
        if cursor.take(b')') {
            return Ok(attributes);
        }
        if !spaces {
            return Err(cursor.complain("Expected a space or the end of the attributes"));
        }
    }
}

fn macro_attributes(cursor: &mut Cursor<'_>) -> Option<Vec<FetchAttribute>> {
    use FetchAttribute::{Body, Envelope, Flags, InternalDate, Rfc822Size};
    if cursor.take_word("FAST") {
        Some(vec![Flags, InternalDate, Rfc822Size])
    } else if cursor.take_word("ALL") {
        Some(vec![Flags, InternalDate, Rfc822Size, Envelope])
    } else if cursor.take_word("FULL") {
        Some(vec![Flags, InternalDate, Rfc822Size, Envelope, Body])
    } else {
        None
    }
}

fn attribute(cursor: &mut Cursor<'_>) -> Parsed<FetchAttribute> {
    let start = cursor.clone();
    let name = cursor.take_while(|octet| is_atom_octet(octet) && octet != b'[').to_ascii_uppercase();
    let has_section = cursor.take(b'[');
    Ok(match (name.as_slice(), has_section) {
        (b"UID", false) => FetchAttribute::Uid,
        (b"FLAGS", false) => FetchAttribute::Flags,
        (b"INTERNALDATE", false) => FetchAttribute::InternalDate,
        (b"RFC822.SIZE", false) => FetchAttribute::Rfc822Size,
        (b"ENVELOPE", false) => FetchAttribute::Envelope,
        (b"BODY", false) => FetchAttribute::Body,
        (b"BODYSTRUCTURE", false) => FetchAttribute::BodyStructure,
        (b"MODSEQ", false) => FetchAttribute::ModSeq,
        (b"EMAILID", false) => FetchAttribute::EmailId,
        (b"THREADID", false) => FetchAttribute::ThreadId,
        (b"SAVEDATE", false) => FetchAttribute::SaveDate,
        (b"PREVIEW", false) => FetchAttribute::Preview(preview_urgency(cursor)?),
        (b"RFC822", false) => FetchAttribute::Rfc822,
        (b"RFC822.HEADER", false) => FetchAttribute::Rfc822Header,
        (b"RFC822.TEXT", false) => FetchAttribute::Rfc822Text,
        (b"BODY", true) => FetchAttribute::Section(body_section(cursor, Reading::MarksSeen)?),
        (b"BODY.PEEK", true) => FetchAttribute::Section(body_section(cursor, Reading::Peeks)?),
        (b"BINARY", true) => FetchAttribute::Binary(binary_section(cursor, Reading::MarksSeen)?),
        (b"BINARY.PEEK", true) => FetchAttribute::Binary(binary_section(cursor, Reading::Peeks)?),
        (b"BINARY.SIZE", true) => FetchAttribute::BinarySize(binary_part(cursor)?),
        _ => return Err(start.complain("Unknown attribute")),
    })
}

/// `[SP "(" preview-mod *(SP preview-mod) ")"]` (RFC 8970 §6)
fn preview_urgency(cursor: &mut Cursor<'_>) -> Parsed<PreviewUrgency> {
    let before = cursor.clone();
    if !(cursor.take_spaces() && cursor.take(b'(')) {
        *cursor = before;
        return Ok(PreviewUrgency::Now);
    }
    if !cursor.take_word("LAZY") {
        // A list that is not ours: the modifiers of FETCH.
        *cursor = before;
        return Ok(PreviewUrgency::Now);
    }
    cursor.expect(b')', "Expected the end of the preview's modifiers")?;
    Ok(PreviewUrgency::Lazy)
}

fn body_section(cursor: &mut Cursor<'_>, reading: Reading) -> Parsed<BodySection> {
    let section = section(cursor)?;
    Ok(BodySection { section, reading, partial: partial(cursor)? })
}

fn binary_section(cursor: &mut Cursor<'_>, reading: Reading) -> Parsed<BinarySection> {
    let part = binary_part(cursor)?;
    Ok(BinarySection { part, reading, partial: partial(cursor)? })
}

/// `section-binary = "[" [section-part] "]"`, behind its bracket.
fn binary_part(cursor: &mut Cursor<'_>) -> Parsed<PartPath> {
    let (part, awaits_text) = part_path(cursor)?;
    if awaits_text {
        return Err(cursor.complain("Expected a part number"));
    }
    cursor.expect(b']', "Expected the end of the section")?;
    Ok(part)
}

/// `section = "[" [section-spec] "]"`, behind its bracket.
fn section(cursor: &mut Cursor<'_>) -> Parsed<Section> {
    let (part, awaits_text) = part_path(cursor)?;
    let needs_text = awaits_text || (part.0.is_empty() && cursor.peek() != Some(b']'));
    let text = if needs_text { Some(section_text(cursor, &part)?) } else { None };
    cursor.expect(b']', "Expected the end of the section")?;
    Ok(Section { part, text })
}

/// `section-part`, and whether a dot behind it announces a text.
fn part_path(cursor: &mut Cursor<'_>) -> Parsed<(PartPath, bool)> {
    let mut numbers = Vec::new();
    while cursor.peek().is_some_and(|octet| octet.is_ascii_digit()) {
        if numbers.len() == PART_DEPTH_MAX {
            return Err(cursor.complain("A part number is too deep"));
        }
        numbers.push(cursor.number_not_zero("Expected a part number")?);
        if !cursor.take(b'.') {
            return Ok((PartPath(numbers), false));
        }
    }
    let awaits_text = !numbers.is_empty();
    Ok((PartPath(numbers), awaits_text))
}

/// `section-text = section-msgtext / "MIME"`
fn section_text(cursor: &mut Cursor<'_>, part: &PartPath) -> Parsed<SectionText> {
    if cursor.take_word("HEADER.FIELDS.NOT") {
        field_names(cursor).map(SectionText::HeaderFieldsNot)
    } else if cursor.take_word("HEADER.FIELDS") {
        field_names(cursor).map(SectionText::HeaderFields)
    } else if cursor.take_word("HEADER") {
        Ok(SectionText::Header)
    } else if cursor.take_word("TEXT") {
        Ok(SectionText::Text)
    } else if !part.0.is_empty() && cursor.take_word("MIME") {
        Ok(SectionText::Mime)
    } else {
        Err(cursor.complain("Unknown section"))
    }
}

/// `header-list = "(" header-fld-name *(SP header-fld-name) ")"`
fn field_names(cursor: &mut Cursor<'_>) -> Parsed<Vec<FieldName>> {
    cursor.space()?;
    cursor.expect(b'(', "Expected field names in parentheses")?;
    cursor.take_spaces();
    let mut names = Vec::new();
    while !cursor.take(b')') {
        if names.len() == FIELD_NAMES_MAX {
            return Err(cursor.complain("Too many field names"));
        }
        let start = cursor.clone();
        let name = cursor.astring("Expected a field name")?;
        let name = std::str::from_utf8(&name).ok().and_then(FieldName::parse);
        names.push(name.ok_or_else(|| start.complain("No header field can be called so"))?);
        cursor.take_spaces();
    }
    if names.is_empty() {
        return Err(cursor.complain("Expected a field name before this"));
    }
    Ok(names)
}

/// `partial = "<" number64 "." nz-number64 ">"`
fn partial(cursor: &mut Cursor<'_>) -> Parsed<Option<Partial>> {
    if !cursor.take(b'<') {
        return Ok(None);
    }
    let start = cursor.number("Expected where the range starts")?;
    cursor.expect(b'.', "Expected a dot and how many octets")?;
    let before = cursor.clone();
    let octets = cursor.number("Expected how many octets")?;
    if octets == 0 {
        return Err(before.complain("A number must not be zero"));
    }
    cursor.expect(b'>', "Expected the end of the range")?;
    Ok(Some(Partial { start, octets }))
}

/// `fetch-modifiers = SP "(" fetch-modifier *(SP fetch-modifier) ")"`
fn modifiers(cursor: &mut Cursor<'_>, numbering: Numbering) -> Parsed<(Option<ModSeq>, bool)> {
    let (mut changed_since, mut vanished) = (None, false);
    if !cursor.take_space_before_more() {
        return Ok((changed_since, vanished));
    }
    let start = cursor.clone();
    cursor.expect(b'(', "Expected modifiers in parentheses")?;
    cursor.take_spaces();
    while !cursor.take(b')') {
        if cursor.take_word("CHANGEDSINCE") {
            cursor.space()?;
            changed_since = Some(cursor.mod_seq()?);
        } else if cursor.take_word("VANISHED") {
            vanished = true;
        } else {
            return Err(cursor.complain("Unknown modifier"));
        }
        cursor.take_spaces();
    }
    if vanished && (numbering != Numbering::Uid || changed_since.is_none()) {
        return Err(start.complain("VANISHED needs UID FETCH and CHANGEDSINCE"));
    }
    Ok((changed_since, vanished))
}

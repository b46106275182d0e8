//! GETMETADATA, SETMETADATA and what LIST is asked of annotations (RFC 5464 §4.2, §4.3; RFC 9590 §3).

use mail_types::{AnnotationName, AnnotationNameError, MailboxName};

use super::bad::BadKind;
use super::cursor::{Cursor, Parsed};
use super::{GetMetadata, MetadataDepth, MetadataQuestion, SetMetadata};
use crate::mailbox_name;

/// `getmetadata = "GETMETADATA" [SP getmetadata-options] SP mailbox SP entries`. Options are read behind the mailbox, too,
/// where several examples of the RFC have them.
pub(super) fn get_metadata(cursor: &mut Cursor<'_>) -> Parsed<GetMetadata> {
    let mut question = MetadataQuestion { names: Vec::new(), depth: MetadataDepth::Named, octets_max: None };
    if cursor.take(b'(') {
        options(cursor, &mut question)?;
        cursor.space()?;
    }
    let mailbox = mailbox(cursor)?;
    cursor.space()?;
    options_and_names(cursor, &mut question)?;
    Ok(GetMetadata { mailbox, question })
}

/// `METADATA`'s arguments among the return options of LIST.
pub(super) fn question(cursor: &mut Cursor<'_>) -> Parsed<MetadataQuestion> {
    let mut question = MetadataQuestion { names: Vec::new(), depth: MetadataDepth::Named, octets_max: None };
    options_and_names(cursor, &mut question)?;
    Ok(question)
}

/// `setmetadata = "SETMETADATA" SP mailbox SP entry-values`
pub(super) fn set_metadata(cursor: &mut Cursor<'_>) -> Parsed<SetMetadata> {
    let mailbox = mailbox(cursor)?;
    cursor.space()?;
    cursor.expect(b'(', "Expected annotations in parentheses")?;
    let mut changes: Vec<(AnnotationName, Option<Vec<u8>>)> = Vec::new();
    cursor.take_spaces();
    loop {
        let start = cursor.clone();
        let name = name(cursor)?;
        if name.is_scope() {
            return Err(start.complain("That annotation can have no value"));
        }
        cursor.space()?;
        let value = cursor.nstring("Expected a value or NIL")?.map(std::borrow::Cow::into_owned);
        // The last word counts, as if they had come one after the other.
        changes.retain(|(other, _)| *other != name);
        if changes.len() == MetadataQuestion::NAMES_MAX {
            return Err(start.complain("Too many annotations in one command"));
        }
        changes.push((name, value));
        cursor.take_spaces();
        if cursor.take(b')') {
            return Ok(SetMetadata { mailbox, changes });
        }
    }
}

fn options_and_names(cursor: &mut Cursor<'_>, question: &mut MetadataQuestion) -> Parsed<()> {
    let start = cursor.clone();
    if cursor.take(b'(') {
        cursor.take_spaces();
        // A name begins with a slash or a quote; an option does with a letter.
        if cursor.peek().is_some_and(|octet| octet.is_ascii_alphabetic()) {
            options(cursor, question)?;
            cursor.space()?;
        } else {
            *cursor = start;
        }
    }
    names(cursor, question)
}

/// `getmetadata-options = "(" getmetadata-option *(SP getmetadata-option) ")"`, behind the parenthesis.
fn options(cursor: &mut Cursor<'_>, question: &mut MetadataQuestion) -> Parsed<()> {
    cursor.take_spaces();
    while !cursor.take(b')') {
        let start = cursor.clone();
        match cursor.word("Expected MAXSIZE or DEPTH")?.as_str() {
            "MAXSIZE" => {
                cursor.space()?;
                question.octets_max = Some(cursor.number("Expected a number of octets")?);
            }
            "DEPTH" => {
                cursor.space()?;
                let start = cursor.clone();
                question.depth = match cursor.word("Expected 0, 1 or infinity")?.as_str() {
                    "0" => MetadataDepth::Named,
                    "1" => MetadataDepth::OneBelow,
                    "INFINITY" => MetadataDepth::AllBelow,
                    _ => return Err(start.complain("Expected 0, 1 or infinity")),
                };
            }
            _ => return Err(start.complain("Expected MAXSIZE or DEPTH")),
        }
        cursor.take_spaces();
    }
    Ok(())
}

/// `entries = entry / "(" entry *(SP entry) ")"`
fn names(cursor: &mut Cursor<'_>, question: &mut MetadataQuestion) -> Parsed<()> {
    if !cursor.take(b'(') {
        question.names.push(name(cursor)?);
        return Ok(());
    }
    cursor.take_spaces();
    loop {
        let start = cursor.clone();
        let name = name(cursor)?;
        if !question.names.contains(&name) {
            if question.names.len() == MetadataQuestion::NAMES_MAX {
                return Err(start.complain("Too many annotations in one command"));
            }
            question.names.push(name);
        }
        cursor.take_spaces();
        if cursor.take(b')') {
            return Ok(());
        }
    }
}

/// `mailbox`, of which the empty one means the server.
fn mailbox(cursor: &mut Cursor<'_>) -> Parsed<Option<MailboxName>> {
    let octets = cursor.astring("Expected a mailbox name")?;
    if octets.is_empty() {
        return Ok(None);
    }
    mailbox_name::from_wire(&octets, cursor.dialect).map(Some).map_err(BadKind::MailboxName)
}

/// `entry = astring`
fn name(cursor: &mut Cursor<'_>) -> Parsed<AnnotationName> {
    let start = cursor.clone();
    let octets = cursor.astring("Expected the name of an annotation")?;
    let text = std::str::from_utf8(&octets).map_err(|_| start.complain("A name is not US-ASCII"))?;
    AnnotationName::parse(text).map_err(|error| {
        start.complain(match error {
            AnnotationNameError::TooLong => "An annotation's name is too long",
            AnnotationNameError::NoScope => "An annotation's name begins with /private/ or /shared/",
            AnnotationNameError::EmptyPart => "An annotation's name has an empty part",
            AnnotationNameError::BadCharacter => "An annotation's name has a character that it must not have",
        })
    })
}

//! LIST in its plain and extended forms, and LSUB (RFC 9051 §6.3.9, RFC 5258, RFC 5819, RFC 6154 §2, RFC 3501 §6.3.9).

use mail_types::MAILBOX_NAME_OCTETS_MAX;

use super::cursor::{Cursor, Parsed};
use super::{List, ListReturn, ListSelection, Lsub, MetadataQuestion, metadata, status};
use crate::list_pattern::ListPattern;
use crate::mailbox_name;

/// Most patterns in one LIST: each is held against each mailbox.
pub(super) const PATTERNS_MAX: usize = 64;

/// `list = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat [SP list-return-opts]`
pub(super) fn list(cursor: &mut Cursor<'_>) -> Parsed<List> {
    let mut extended = false;
    let mut selection = ListSelection::default();
    if cursor.take(b'(') {
        extended = true;
        selection = selection_options(cursor)?;
        cursor.space()?;
    }
    let reference = reference(cursor)?;
    let mut patterns = Vec::new();
    if cursor.take(b'(') {
        extended = true;
        pattern_list(cursor, &reference, &mut patterns)?;
    } else {
        patterns.extend(pattern(cursor, &reference)?);
    }
    let mut returns = ListReturn::default();
    let mut metadata = None;
    if cursor.take_space_before_more() {
        extended = true;
        (returns, metadata) = return_options(cursor)?;
    }
    Ok(List { selection, patterns, returns, metadata, extended })
}

/// `lsub = "LSUB" SP mailbox SP list-mailbox`
pub(super) fn lsub(cursor: &mut Cursor<'_>) -> Parsed<Lsub> {
    let reference = reference(cursor)?;
    let pattern = pattern(cursor, &reference)?;
    Ok(Lsub { pattern })
}

/// The reference: the start of a name, perhaps empty, perhaps ending within a level.
fn reference(cursor: &mut Cursor<'_>) -> Parsed<String> {
    let start = cursor.clone();
    let octets = cursor.astring("Expected a reference name")?;
    let text = mailbox_name::text_from_wire(&octets, cursor.dialect)
        .map_err(|_| start.complain("The reference name is not UTF-8"))?;
    cursor.space()?;
    Ok(text)
}

/// One pattern joined to the reference; `None` for the empty one, which asks for the separator or, among others, for nothing.
fn pattern(cursor: &mut Cursor<'_>, reference: &str) -> Parsed<Option<ListPattern>> {
    let start = cursor.clone();
    let octets = cursor.list_mailbox("Expected a mailbox pattern")?;
    if octets.is_empty() {
        return Ok(None);
    }
    let text = mailbox_name::text_from_wire(&octets, cursor.dialect)
        .map_err(|_| start.complain("The pattern is not UTF-8"))?;
    if reference.len() + text.len() > MAILBOX_NAME_OCTETS_MAX {
        return Err(start.complain("The pattern is longer than any mailbox name"));
    }
    Ok(Some(ListPattern::new(&format!("{reference}{text}"))))
}

fn pattern_list(cursor: &mut Cursor<'_>, reference: &str, patterns: &mut Vec<ListPattern>) -> Parsed<()> {
    cursor.take_spaces();
    while !cursor.take(b')') {
        if patterns.len() == PATTERNS_MAX {
            return Err(cursor.complain("Too many patterns"));
        }
        patterns.extend(pattern(cursor, reference)?);
        cursor.take_spaces();
    }
    Ok(())
}

fn selection_options(cursor: &mut Cursor<'_>) -> Parsed<ListSelection> {
    let mut selection = ListSelection::default();
    cursor.take_spaces();
    while !cursor.take(b')') {
        let start = cursor.clone();
        let option = match cursor.word("Expected a selection option")?.as_str() {
            "SUBSCRIBED" => &mut selection.subscribed,
            "REMOTE" => &mut selection.remote,
            "RECURSIVEMATCH" => &mut selection.recursive_match,
            "SPECIAL-USE" => &mut selection.special_use,
            _ => return Err(start.complain("Unknown selection option")),
        };
        *option = true;
        cursor.take_spaces();
    }
    // RFC 5258 §3.1: RECURSIVEMATCH needs an option that it can modify.
    if selection.recursive_match && !selection.subscribed && !selection.special_use {
        return Err(cursor.complain("RECURSIVEMATCH needs another selection option"));
    }
    Ok(selection)
}

/// `list-return-opts = "RETURN" SP "(" [return-option *(SP return-option)] ")"`
fn return_options(cursor: &mut Cursor<'_>) -> Parsed<(ListReturn, Option<MetadataQuestion>)> {
    let mut returns = ListReturn::default();
    let mut metadata = None;
    if !cursor.take_word("RETURN") {
        return Err(cursor.complain("Expected RETURN"));
    }
    cursor.space()?;
    cursor.expect(b'(', "Expected return options in parentheses")?;
    cursor.take_spaces();
    while !cursor.take(b')') {
        let start = cursor.clone();
        match cursor.word("Expected a return option")?.as_str() {
            "SUBSCRIBED" => returns.subscribed = true,
            "CHILDREN" => returns.children = true,
            "SPECIAL-USE" => returns.special_use = true,
            "STATUS" => {
                cursor.space()?;
                returns.status = Some(status::items(cursor)?);
            }
            "METADATA" => {
                cursor.space()?;
                metadata = Some(metadata::question(cursor)?);
            }
            _ => return Err(start.complain("Unknown return option")),
        }
        cursor.take_spaces();
    }
    Ok((returns, metadata))
}

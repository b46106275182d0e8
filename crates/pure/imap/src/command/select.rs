//! SELECT and EXAMINE with what CONDSTORE and QRESYNC add (RFC 9051 §6.3.2, RFC 7162 §3.1.8, §3.2.5).

use mail_types::{UidSet, UidValidity};

use super::cursor::{Cursor, Parsed};
use super::{Opening, Qresync, Select, SequenceMatch};

/// `select = "SELECT" SP mailbox [select-params]`
pub(super) fn select(cursor: &mut Cursor<'_>, opening: Opening) -> Parsed<Select> {
    let mailbox = cursor.mailbox()?;
    let mut select = Select { mailbox, opening, condstore: false, qresync: None };
    if !cursor.take_space_before_more() {
        return Ok(select);
    }
    cursor.expect(b'(', "Expected parameters in parentheses")?;
    cursor.take_spaces();
    while !cursor.take(b')') {
        parameter(cursor, &mut select)?;
        cursor.take_spaces();
    }
    Ok(select)
}

fn parameter(cursor: &mut Cursor<'_>, select: &mut Select) -> Parsed<()> {
    if cursor.take_word("CONDSTORE") {
        select.condstore = true;
    } else if cursor.take_word("QRESYNC") {
        cursor.space()?;
        select.qresync = Some(qresync(cursor)?);
    } else {
        return Err(cursor.complain("Unknown parameter"));
    }
    Ok(())
}

/// `"(" uidvalidity SP mod-sequence-value [SP known-uids] [SP seq-match-data] ")"`
fn qresync(cursor: &mut Cursor<'_>) -> Parsed<Qresync> {
    cursor.expect(b'(', "Expected what QRESYNC knows in parentheses")?;
    // Zero is no UIDVALIDITY: it equals none, so that the client gets all there is.
    let uid_validity = UidValidity(cursor.number32("Expected a UIDVALIDITY")?);
    cursor.space()?;
    let mod_seq = cursor.mod_seq()?;
    let mut qresync = Qresync { uid_validity, mod_seq, known_uids: None, samples: None };
    cursor.take_spaces();
    if !matches!(cursor.peek(), Some(b'(' | b')')) {
        qresync.known_uids = Some(known(cursor)?);
        cursor.take_spaces();
    }
    if cursor.take(b'(') {
        qresync.samples = Some(sequence_match(cursor)?);
        cursor.take_spaces();
    }
    cursor.expect(b')', "Expected the end of what QRESYNC knows")?;
    Ok(qresync)
}

/// `seq-match-data = "(" known-sequence-set SP known-uid-set ")"`, behind its parenthesis.
fn sequence_match(cursor: &mut Cursor<'_>) -> Parsed<SequenceMatch> {
    let start = cursor.clone();
    let numbers = known(cursor)?;
    cursor.space()?;
    let uids = known(cursor)?;
    if numbers.count() != uids.count() {
        return Err(start.complain("Each sequence number needs its unique identifier"));
    }
    cursor.expect(b')', "Expected the end of the sequence match")?;
    Ok(SequenceMatch { numbers, uids })
}

/// A sequence set without `*` and `$`.
fn known(cursor: &mut Cursor<'_>) -> Parsed<UidSet> {
    let start = cursor.clone();
    cursor.sequence_set()?.known_uids().ok_or_else(|| start.complain("Expected numbers without * and $"))
}

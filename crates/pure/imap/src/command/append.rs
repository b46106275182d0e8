//! APPEND up to each of its messages, and between them (RFC 9051 §6.3.12, RFC 3502, RFC 3516 §4.4, RFC 6855 §4).

use super::bad::BadKind;
use super::cursor::{Cursor, Parsed};
use super::parse::tag;
use super::{Append, AppendForm, AppendMessage, FlagNames, Tag};
use crate::date::DateTime;
use crate::dialect::Dialect;
use crate::framing::Announcement;

/// What an announcement of a literal means that ends the octets received so far.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Prefix {
    /// No APPEND, or a literal before its message, such as its mailbox: an ordinary literal.
    Ordinary,
    /// The first message of an APPEND.
    Message(Append, Box<AppendMessage>),
    /// An APPEND that cannot be read.
    Bad(Option<Tag>, BadKind),
}

/// Looks whether these octets, which end with this announcement, are an APPEND up to its first message.
pub(crate) fn prefix(octets: &[u8], announcement: &Announcement, dialect: Dialect) -> Prefix {
    let mut cursor = Cursor::new(octets, dialect);
    let Ok(tag) = tag(&mut cursor) else { return Prefix::Ordinary };
    if !cursor.take_word("APPEND") || !cursor.take_spaces() {
        return Prefix::Ordinary;
    }
    // The mailbox itself is the literal announced.
    if cursor.position() == announcement.starts_at {
        return Prefix::Ordinary;
    }
    let message = cursor.mailbox().and_then(|mailbox| {
        cursor.space()?;
        Ok((mailbox, message(&mut cursor, announcement)?))
    });
    match message {
        Ok((mailbox, message)) => Prefix::Message(Append { tag, mailbox }, Box::new(message)),
        Err(kind) => Prefix::Bad(Some(tag), kind),
    }
}

/// What follows a message: nothing, or the next message, whose announcement ends the octets.
pub(crate) fn next_message(
    octets: &[u8],
    before: AppendForm,
    announcement: Option<&Announcement>,
    dialect: Dialect,
) -> Parsed<Option<AppendMessage>> {
    let mut cursor = Cursor::new(octets, dialect);
    if before == AppendForm::Utf8 {
        cursor.expect(b')', "Expected a parenthesis behind the message")?;
    }
    let Some(announcement) = announcement else {
        cursor.end()?;
        return Ok(None);
    };
    cursor.space()?;
    message(&mut cursor, announcement).map(Some)
}

/// `[flag-list SP] [date-time SP] literal`, literal8 or UTF8 form, up to the announcement.
fn message(cursor: &mut Cursor<'_>, announcement: &Announcement) -> Parsed<AppendMessage> {
    let mut flags = FlagNames::default();
    if cursor.peek() == Some(b'(') {
        flags = cursor.flags()?;
        cursor.space()?;
    }
    let mut internal_date = None;
    if cursor.peek() == Some(b'"') {
        let start = cursor.clone();
        let text = cursor.string("Expected a date")?;
        let date = DateTime::parse(&text);
        internal_date =
            Some(date.ok_or_else(|| start.complain("Expected a date like 17-Jul-1996 02:44:25 -0700"))?);
        cursor.space()?;
    }
    let mut form = if announcement.is_literal8 { AppendForm::Binary } else { AppendForm::Text };
    if cursor.take_word("UTF8") {
        cursor.space()?;
        cursor.expect(b'(', "Expected a parenthesis before the message")?;
        form = AppendForm::Utf8;
    }
    if cursor.position() != announcement.starts_at {
        return Err(cursor.complain("Expected a message as a literal"));
    }
    Ok(AppendMessage {
        flags,
        internal_date,
        octets: announcement.octets,
        form,
        synchronising: announcement.synchronising,
    })
}

//! From a command's octets to a [`TaggedCommand`]: tag and verb here, arguments in a file for each group of commands (RFC 9051 §6, §9 command).

use super::bad::{BadCommand, BadKind};
use super::cursor::{Cursor, Parsed};
use super::tag::Tag;
use super::{Command, Copy, Opening, StatusItems, TaggedCommand};
use super::{fetch, id, list, login, mailbox, metadata, quota, search, select, status, store};
use crate::dialect::Dialect;
use crate::sequence::Numbering;

impl TaggedCommand {
    /// Reads a whole command: its lines without the last line end, its literals in their places.
    /// APPEND is none of these: its messages never come here.
    ///
    /// # Errors
    /// [`BadCommand`] says what was wrong, with the tag if there was one.
    pub fn parse(octets: &[u8], dialect: Dialect) -> Result<Self, BadCommand> {
        let mut cursor = Cursor::new(octets, dialect);
        let tag = tag(&mut cursor).map_err(|kind| BadCommand { tag: None, kind })?;
        let command = command(&mut cursor).and_then(|command| {
            cursor.end()?;
            Ok(command)
        });
        match command {
            Ok(command) => Ok(Self { tag, command }),
            Err(kind) => Err(BadCommand { tag: Some(tag), kind }),
        }
    }
}

/// `tag SP`; the space may be missing, as then the missing command is what should be complained of.
pub(crate) fn tag(cursor: &mut Cursor<'_>) -> Parsed<Tag> {
    let start = cursor.clone();
    let octets = cursor.take_while(|octet| octet != b' ');
    let tag = Tag::parse(octets).ok_or_else(|| start.complain("Expected a tag"))?;
    cursor.take_spaces();
    Ok(tag)
}

fn command(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    let verb = cursor.word("Expected a command")?;
    let plain = match verb.as_str() {
        "CAPABILITY" => Command::Capability,
        "NOOP" => Command::Noop,
        "LOGOUT" => Command::Logout,
        "STARTTLS" => Command::StartTls,
        "NAMESPACE" => Command::Namespace,
        "IDLE" => Command::Idle,
        "CHECK" => Command::Check,
        "CLOSE" => Command::Close,
        "UNSELECT" => Command::Unselect,
        "EXPUNGE" => Command::Expunge(None),
        _ => {
            cursor.space_before_arguments()?;
            return with_arguments(&verb, cursor);
        }
    };
    Ok(plain)
}

fn with_arguments(verb: &str, cursor: &mut Cursor<'_>) -> Parsed<Command> {
    match verb {
        "AUTHENTICATE" => login::authenticate(cursor).map(Command::Authenticate),
        "LOGIN" => login::login(cursor).map(Command::Login),
        "ID" => id::id(cursor).map(Command::Id),
        "ENABLE" => login::enable(cursor).map(Command::Enable),
        "SELECT" => select::select(cursor, Opening::ReadWrite).map(Command::Select),
        "EXAMINE" => select::select(cursor, Opening::ReadOnly).map(Command::Select),
        "CREATE" => mailbox::create(cursor).map(Command::Create),
        "DELETE" => cursor.mailbox().map(Command::Delete),
        "RENAME" => mailbox::rename(cursor),
        "SUBSCRIBE" => cursor.mailbox().map(Command::Subscribe),
        "UNSUBSCRIBE" => cursor.mailbox().map(Command::Unsubscribe),
        "LIST" => list::list(cursor).map(Command::List),
        "LSUB" => list::lsub(cursor).map(Command::Lsub),
        "STATUS" => status_of_mailbox(cursor),
        "GETQUOTA" => quota::get_quota(cursor),
        "GETQUOTAROOT" => cursor.mailbox().map(Command::GetQuotaRoot),
        "SETQUOTA" => quota::set_quota(cursor),
        "GETMETADATA" => metadata::get_metadata(cursor).map(Command::GetMetadata),
        "SETMETADATA" => metadata::set_metadata(cursor).map(Command::SetMetadata),
        "UID" => {
            let verb = cursor.word("Expected a command after UID")?;
            cursor.space_before_arguments()?;
            numbered(&verb, cursor, Numbering::Uid)
        }
        _ => numbered(verb, cursor, Numbering::Sequence),
    }
}

/// Commands on messages, which `UID` may stand before.
fn numbered(verb: &str, cursor: &mut Cursor<'_>, numbering: Numbering) -> Parsed<Command> {
    match (verb, numbering) {
        ("SEARCH", _) => search::search(cursor, numbering).map(Command::Search),
        ("FETCH", _) => fetch::fetch(cursor, numbering).map(Command::Fetch),
        ("STORE", _) => store::store(cursor, numbering).map(Command::Store),
        ("COPY", _) => copy(cursor, numbering).map(Command::Copy),
        ("MOVE", _) => copy(cursor, numbering).map(Command::Move),
        ("EXPUNGE", Numbering::Uid) => cursor.sequence_set().map(|set| Command::Expunge(Some(set))),
        // An APPEND without a message literal; with one it would not have come here.
        ("APPEND", Numbering::Sequence) => Err(cursor.complain("APPEND needs a message as a literal")),
        _ => Err(BadKind::UnknownCommand),
    }
}

/// `copy = "COPY" SP sequence-set SP mailbox`, and MOVE likewise (RFC 6851 §6).
fn copy(cursor: &mut Cursor<'_>, numbering: Numbering) -> Parsed<Copy> {
    let set = cursor.sequence_set()?;
    cursor.space()?;
    let mailbox = cursor.mailbox()?;
    Ok(Copy { numbering, set, mailbox })
}

/// `status = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")"`
fn status_of_mailbox(cursor: &mut Cursor<'_>) -> Parsed<Command> {
    let mailbox = cursor.mailbox()?;
    cursor.space()?;
    let items: StatusItems = status::items(cursor)?;
    Ok(Command::Status { mailbox, items })
}

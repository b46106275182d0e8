//! What a mailbox holds and how it changes: EXISTS, RECENT, EXPUNGE, VANISHED, FLAGS, STATUS (RFC 9051 §7.3–7.5, RFC 7162).

use mail_types::{Flags, Keyword, MailboxId, MailboxName, ModSeq, SystemFlag, Uid, UidSet, UidValidity};

use super::string::{write_mailbox, write_number, write_ranges};
use crate::dialect::Dialect;
use crate::object_id;

/// Whether identifiers vanished before the client came back, or just now (RFC 7162 §3.2.10).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Vanished {
    /// `VANISHED (EARLIER)`: sequence numbers don't move.
    Earlier,
    /// `VANISHED`: sequence numbers move, as with EXPUNGE.
    Now,
}

/// The values of a STATUS response; `None` for what was not asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StatusValues {
    /// `MESSAGES`
    pub messages: Option<u32>,
    /// `RECENT`
    pub recent: Option<u32>,
    /// `UIDNEXT`
    pub uid_next: Option<Uid>,
    /// `UIDVALIDITY`
    pub uid_validity: Option<UidValidity>,
    /// `UNSEEN`
    pub unseen: Option<u32>,
    /// `DELETED`
    pub deleted: Option<u32>,
    /// `SIZE`, in octets.
    pub size: Option<u64>,
    /// `HIGHESTMODSEQ`
    pub highest_mod_seq: Option<ModSeq>,
    /// `APPENDLIMIT`, in octets.
    pub append_limit: Option<u64>,
    /// `MAILBOXID`
    pub mailbox_id: Option<MailboxId>,
    /// `DELETED-STORAGE`, in octets.
    pub deleted_storage: Option<u64>,
}

/// Writes how many messages the mailbox has.
pub fn write_exists(out: &mut Vec<u8>, messages: u32) {
    write_counted(out, messages, "EXISTS");
}

/// Writes how many messages are recent: for clients of RFC 3501, which must be told at SELECT.
pub fn write_recent(out: &mut Vec<u8>, messages: u32) {
    write_counted(out, messages, "RECENT");
}

/// Writes that the message with this sequence number is gone; the numbers above it fall by one.
pub fn write_expunge(out: &mut Vec<u8>, number: u32) {
    write_counted(out, number, "EXPUNGE");
}

/// Writes that these messages are gone; nothing for none.
pub fn write_vanished(out: &mut Vec<u8>, vanished: Vanished, uids: &UidSet) {
    if uids.is_empty() {
        return;
    }
    out.extend_from_slice(match vanished {
        Vanished::Earlier => b"* VANISHED (EARLIER) ",
        Vanished::Now => b"* VANISHED ",
    });
    write_ranges(out, uids.ranges());
    out.extend_from_slice(b"\r\n");
}

/// Writes the flags that messages of the mailbox may have: all system flags and the mailbox's keywords.
pub fn write_flags(out: &mut Vec<u8>, keywords: &[Keyword]) {
    out.extend_from_slice(b"* FLAGS (");
    write_flag_names(out, SystemFlag::ALL, keywords);
    out.extend_from_slice(b")\r\n");
}

/// Writes a STATUS response.
pub fn write_status(out: &mut Vec<u8>, mailbox: &MailboxName, values: &StatusValues, dialect: Dialect) {
    out.extend_from_slice(b"* STATUS ");
    write_mailbox(out, mailbox, dialect);
    out.extend_from_slice(b" (");
    let start = out.len();
    let numbers = [
        ("MESSAGES", values.messages.map(u64::from)),
        ("RECENT", values.recent.map(u64::from)),
        ("UIDNEXT", values.uid_next.map(|uid| u64::from(uid.0))),
        ("UIDVALIDITY", values.uid_validity.map(|validity| u64::from(validity.0))),
        ("UNSEEN", values.unseen.map(u64::from)),
        ("DELETED", values.deleted.map(u64::from)),
        ("SIZE", values.size),
        ("HIGHESTMODSEQ", values.highest_mod_seq.map(|mod_seq| mod_seq.0)),
        ("APPENDLIMIT", values.append_limit),
        ("DELETED-STORAGE", values.deleted_storage),
    ];
    for (name, number) in numbers {
        let Some(number) = number else { continue };
        separate(out, start);
        out.extend_from_slice(name.as_bytes());
        out.push(b' ');
        write_number(out, number);
    }
    if let Some(mailbox) = values.mailbox_id {
        separate(out, start);
        out.extend_from_slice(b"MAILBOXID (");
        out.extend_from_slice(object_id::mailbox_id(mailbox).as_bytes());
        out.push(b')');
    }
    out.extend_from_slice(b")\r\n");
}

/// Writes a message's flags, keywords by the mailbox's table, without parentheses.
pub(super) fn write_flags_of(out: &mut Vec<u8>, flags: Flags, keywords: &[Keyword]) {
    let system = SystemFlag::ALL.into_iter().filter(|&flag| flags.has(flag));
    write_flag_names(out, system, flags.keywords.numbers().filter_map(|number| keywords.get(number)));
}

/// Writes flag names with spaces between them.
pub(super) fn write_flag_names<'a>(
    out: &mut Vec<u8>,
    system: impl IntoIterator<Item = SystemFlag>,
    keywords: impl IntoIterator<Item = &'a Keyword>,
) {
    let start = out.len();
    for flag in system {
        separate(out, start);
        out.extend_from_slice(flag.name().as_bytes());
    }
    for keyword in keywords {
        separate(out, start);
        out.extend_from_slice(keyword.as_str().as_bytes());
    }
}

/// A space, unless nothing has been written since `start`.
pub(super) fn separate(out: &mut Vec<u8>, start: usize) {
    if out.len() > start {
        out.push(b' ');
    }
}

fn write_counted(out: &mut Vec<u8>, number: u32, name: &str) {
    out.extend_from_slice(b"* ");
    write_number(out, u64::from(number));
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\r\n");
}

//! OK, NO, BAD, BYE and continuation requests, with their response codes (RFC 9051 §7.1, RFC 5530).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_types::{Keyword, MailboxId, ModSeq, SystemFlag, Uid, UidSet, UidValidity};

use super::mailbox::write_flag_names;
use super::string::{write_number, write_ranges};
use crate::command::{BadCommand, BadKind, Tag};
use crate::object_id;

/// How a command ended, or what an untagged text means.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Condition {
    /// Done.
    Ok,
    /// Not done, for a reason of ours.
    No,
    /// Not understood or not possible now.
    Bad,
}

/// A response code: what a program, not a person, should know of a status response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Code<'a> {
    /// `ALERT`: the text must be shown to the person.
    Alert,
    /// `ALREADYEXISTS`
    AlreadyExists,
    /// `APPENDUID`: where the messages of an APPEND went, in their order (RFC 4315 §3).
    AppendUid(UidValidity, &'a UidSet),
    /// `AUTHENTICATIONFAILED`
    AuthenticationFailed,
    /// `AUTHORIZATIONFAILED`
    AuthorizationFailed,
    /// `BADCHARSET` with the charsets that every server knows.
    BadCharset,
    /// `CANNOT`
    Cannot,
    /// `CAPABILITY`, names parted by spaces.
    Capability(&'a str),
    /// `CLIENTBUG`
    ClientBug,
    /// `CLOSED`: responses before it were of the mailbox selected before (RFC 9051 §7.1).
    Closed,
    /// `CONTACTADMIN`
    ContactAdmin,
    /// `COPYUID`: the target's validity, identifiers there and here, ascending and in step (RFC 4315 §3).
    CopyUid {
        /// The target mailbox's UIDVALIDITY.
        uid_validity: UidValidity,
        /// Identifiers of the messages copied.
        from: &'a UidSet,
        /// Identifiers of the copies.
        to: &'a UidSet,
    },
    /// `CORRUPTION`
    Corruption,
    /// `EXPIRED`
    Expired,
    /// `EXPUNGEISSUED`
    ExpungeIssued,
    /// `HASCHILDREN`
    HasChildren,
    /// `HIGHESTMODSEQ` (RFC 7162 §3.1.2.1)
    HighestModSeq(ModSeq),
    /// `INUSE`
    InUse,
    /// `LIMIT`
    Limit,
    /// `MAILBOXID` (RFC 8474 §4)
    MailboxId(MailboxId),
    /// `METADATA LONGENTRIES`: the octets of the longest value that was left out (RFC 5464 §4.2.1)
    MetadataLongEntries(u64),
    /// `METADATA MAXSIZE`: the octets of the longest value that can be kept (RFC 5464 §4.3)
    MetadataMaxSize(u64),
    /// `METADATA TOOMANY` (RFC 5464 §4.3)
    MetadataTooMany,
    /// `MODIFIED`: messages that STORE left alone, sequence numbers or identifiers as the command had them (RFC 7162 §3.1.3).
    Modified(&'a [(u32, u32)]),
    /// `NOMODSEQ`
    NoModSeq,
    /// `NONEXISTENT`
    NonExistent,
    /// `NOPERM`
    NoPerm,
    /// `NOTSAVED` (RFC 5182 §2.1)
    NotSaved,
    /// `OVERQUOTA`
    OverQuota,
    /// `PERMANENTFLAGS`: every system flag, these keywords, and perhaps any new ones.
    PermanentFlags(PermanentFlags<'a>),
    /// `PRIVACYREQUIRED`
    PrivacyRequired,
    /// `READ-ONLY`
    ReadOnly,
    /// `READ-WRITE`
    ReadWrite,
    /// `SERVERBUG`
    ServerBug,
    /// `TOOBIG` (RFC 7889 §5)
    TooBig,
    /// `TRYCREATE`
    TryCreate,
    /// `UIDNEXT`
    UidNext(Uid),
    /// `UIDNOTSTICKY`
    UidNotSticky,
    /// `UIDVALIDITY`
    UidValidity(UidValidity),
    /// `UNAVAILABLE`
    Unavailable,
    /// `UNKNOWN-CTE` (RFC 3516 §4.3)
    UnknownCte,
    /// `UNSEEN`: the first message without `\Seen`, by sequence number; gone in IMAP4rev2.
    Unseen(u32),
    /// `USEATTR` (RFC 6154 §3)
    UseAttr,
}

/// The flags that a client can change for good in a mailbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PermanentFlags<'a> {
    /// None: the mailbox was opened by EXAMINE.
    None,
    /// Every system flag and these keywords.
    Known(&'a [Keyword]),
    /// Every system flag, these keywords, and any others the client thinks of.
    KnownAndNew(&'a [Keyword]),
}

/// Writes the answer that ends a command.
pub fn write_tagged(out: &mut Vec<u8>, tag: &Tag, condition: Condition, code: Option<&Code<'_>>, text: &str) {
    out.extend_from_slice(tag.as_str().as_bytes());
    out.push(b' ');
    write_condition(out, condition, code, text);
}

/// Writes an untagged OK, NO or BAD, the greeting included.
pub fn write_untagged(out: &mut Vec<u8>, condition: Condition, code: Option<&Code<'_>>, text: &str) {
    out.extend_from_slice(b"* ");
    write_condition(out, condition, code, text);
}

/// Writes BYE: the connection ends behind it.
pub fn write_bye(out: &mut Vec<u8>, code: Option<&Code<'_>>, text: &str) {
    out.extend_from_slice(b"* BYE ");
    write_code_and_text(out, code, text);
}

/// Writes the request to go on: with a literal, with IDLE.
pub fn write_continuation(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(b"+ ");
    write_text(out, text);
    out.extend_from_slice(b"\r\n");
}

/// Writes a challenge of AUTHENTICATE, or the empty one that asks for the initial response.
pub fn write_challenge(out: &mut Vec<u8>, challenge: &[u8]) {
    out.extend_from_slice(b"+ ");
    out.extend_from_slice(STANDARD.encode(challenge).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Writes the answer to a command that could not be read.
pub fn write_bad(out: &mut Vec<u8>, bad: &BadCommand) {
    let text = bad.kind.to_string();
    let (condition, code) = match bad.kind {
        BadKind::OutOfStep => return write_bye(out, Some(&Code::TooBig), &text),
        BadKind::Syntax { .. } | BadKind::UnknownCommand => (Condition::Bad, None),
        BadKind::TooLarge(_) => (Condition::Bad, Some(Code::TooBig)),
        BadKind::MailboxName(_) => (Condition::No, Some(Code::Cannot)),
        BadKind::Charset { .. } => (Condition::No, Some(Code::BadCharset)),
        BadKind::SpecialUse => (Condition::No, Some(Code::UseAttr)),
    };
    match &bad.tag {
        Some(tag) => write_tagged(out, tag, condition, code.as_ref(), &text),
        None => write_untagged(out, condition, code.as_ref(), &text),
    }
}

fn write_condition(out: &mut Vec<u8>, condition: Condition, code: Option<&Code<'_>>, text: &str) {
    out.extend_from_slice(match condition {
        Condition::Ok => b"OK ",
        Condition::No => b"NO ",
        Condition::Bad => b"BAD ",
    });
    write_code_and_text(out, code, text);
}

fn write_code_and_text(out: &mut Vec<u8>, code: Option<&Code<'_>>, text: &str) {
    if let Some(code) = code {
        out.push(b'[');
        write_code(out, code);
        out.extend_from_slice(b"] ");
    }
    write_text(out, text);
    out.extend_from_slice(b"\r\n");
}

/// Text for people: one line, never empty (RFC 9051 §9 resp-text), never to be taken for a code.
fn write_text(out: &mut Vec<u8>, text: &str) {
    if text.is_empty() {
        out.push(b'.');
    }
    let not_a_code =
        text.chars().enumerate().map(|(at, char)| if at == 0 && char == '[' { '(' } else { char });
    out.extend(not_a_code.map(|char| match char {
        ' '..='~' => char as u8,
        _ => b'?',
    }));
}

fn write_code(out: &mut Vec<u8>, code: &Code<'_>) {
    match *code {
        Code::AppendUid(uid_validity, uids) => {
            write_numbered(out, "APPENDUID", u64::from(uid_validity.0));
            out.push(b' ');
            write_ranges(out, uids.ranges());
        }
        Code::CopyUid { uid_validity, from, to } => {
            write_numbered(out, "COPYUID", u64::from(uid_validity.0));
            out.push(b' ');
            write_ranges(out, from.ranges());
            out.push(b' ');
            write_ranges(out, to.ranges());
        }
        Code::Modified(ranges) => {
            out.extend_from_slice(b"MODIFIED ");
            write_ranges(out, ranges);
        }
        Code::Capability(names) => {
            out.extend_from_slice(b"CAPABILITY ");
            write_text(out, names);
        }
        Code::MailboxId(mailbox) => {
            out.extend_from_slice(b"MAILBOXID (");
            out.extend_from_slice(object_id::mailbox_id(mailbox).as_bytes());
            out.push(b')');
        }
        Code::PermanentFlags(flags) => write_permanent_flags(out, flags),
        Code::HighestModSeq(mod_seq) => write_numbered(out, "HIGHESTMODSEQ", mod_seq.0),
        Code::MetadataLongEntries(octets) => write_numbered(out, "METADATA LONGENTRIES", octets),
        Code::MetadataMaxSize(octets) => write_numbered(out, "METADATA MAXSIZE", octets),
        Code::UidNext(uid) => write_numbered(out, "UIDNEXT", u64::from(uid.0)),
        Code::UidValidity(uid_validity) => write_numbered(out, "UIDVALIDITY", u64::from(uid_validity.0)),
        Code::Unseen(number) => write_numbered(out, "UNSEEN", u64::from(number)),
        _ => out.extend_from_slice(plain_name(code).as_bytes()),
    }
}

fn write_numbered(out: &mut Vec<u8>, name: &str, number: u64) {
    out.extend_from_slice(name.as_bytes());
    out.push(b' ');
    write_number(out, number);
}

fn write_permanent_flags(out: &mut Vec<u8>, flags: PermanentFlags<'_>) {
    out.extend_from_slice(b"PERMANENTFLAGS (");
    match flags {
        PermanentFlags::None => {}
        PermanentFlags::Known(keywords) => write_flag_names(out, SystemFlag::ALL, keywords),
        PermanentFlags::KnownAndNew(keywords) => {
            write_flag_names(out, SystemFlag::ALL, keywords);
            out.extend_from_slice(b" \\*");
        }
    }
    out.push(b')');
}

/// The codes that have no arguments.
const fn plain_name(code: &Code<'_>) -> &'static str {
    match code {
        Code::Alert => "ALERT",
        Code::AlreadyExists => "ALREADYEXISTS",
        Code::AppendUid(..) => "APPENDUID",
        Code::AuthenticationFailed => "AUTHENTICATIONFAILED",
        Code::AuthorizationFailed => "AUTHORIZATIONFAILED",
        Code::BadCharset => "BADCHARSET (US-ASCII UTF-8)",
        Code::Cannot => "CANNOT",
        Code::Capability(_) => "CAPABILITY",
        Code::ClientBug => "CLIENTBUG",
        Code::Closed => "CLOSED",
        Code::ContactAdmin => "CONTACTADMIN",
        Code::CopyUid { .. } => "COPYUID",
        Code::Corruption => "CORRUPTION",
        Code::Expired => "EXPIRED",
        Code::ExpungeIssued => "EXPUNGEISSUED",
        Code::HasChildren => "HASCHILDREN",
        Code::HighestModSeq(_) => "HIGHESTMODSEQ",
        Code::InUse => "INUSE",
        Code::Limit => "LIMIT",
        Code::MailboxId(_) => "MAILBOXID",
        Code::MetadataLongEntries(_) => "METADATA LONGENTRIES",
        Code::MetadataMaxSize(_) => "METADATA MAXSIZE",
        Code::MetadataTooMany => "METADATA TOOMANY",
        Code::Modified(_) => "MODIFIED",
        Code::NoModSeq => "NOMODSEQ",
        Code::NonExistent => "NONEXISTENT",
        Code::NoPerm => "NOPERM",
        Code::NotSaved => "NOTSAVED",
        Code::OverQuota => "OVERQUOTA",
        Code::PermanentFlags(_) => "PERMANENTFLAGS",
        Code::PrivacyRequired => "PRIVACYREQUIRED",
        Code::ReadOnly => "READ-ONLY",
        Code::ReadWrite => "READ-WRITE",
        Code::ServerBug => "SERVERBUG",
        Code::TooBig => "TOOBIG",
        Code::TryCreate => "TRYCREATE",
        Code::UidNext(_) => "UIDNEXT",
        Code::UidNotSticky => "UIDNOTSTICKY",
        Code::UidValidity(_) => "UIDVALIDITY",
        Code::Unavailable => "UNAVAILABLE",
        Code::UnknownCte => "UNKNOWN-CTE",
        Code::Unseen(_) => "UNSEEN",
        Code::UseAttr => "USEATTR",
    }
}

//! What a script asks of the world around it, and does not find out itself.

use std::sync::Arc;

use mail_types::MailboxName;

use crate::message::Message;
use crate::script::Script;

/// The world a script runs in. Every question has an answer by default: the one of a world with nothing in it.
///
/// Whoever implements it may block; a run is bounded by its own cost, not by the time that answers take.
pub trait World {
    /// The present time.
    fn now(&self) -> Now {
        Now::default()
    }

    /// The envelope.
    fn envelope(&self) -> Envelope {
        Envelope::default()
    }

    /// An item of the environment (RFC 5183, RFC 6785 §4.9), its name in lower case. `None`: it is not known here.
    fn environment(&self, _item: &str) -> Option<String> {
        None
    }

    /// The flags that the message has: what the variable of imap4flags holds when the scripts begin (RFC 6785 §4.4).
    fn flags(&self) -> Vec<String> {
        Vec::new()
    }

    /// The addresses of the one the script runs for, the main one first: who a reply may be for and is from.
    fn own_addresses(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether mail can be filed into the mailbox now (RFC 5490 §3.1).
    fn has_mailbox(&self, _mailbox: &MailboxName) -> bool {
        false
    }

    /// The mailbox with this identifier (RFC 9042).
    fn mailbox_with_id(&self, _id: &str) -> Option<MailboxName> {
        None
    }

    /// The mailboxes with this special use, `\Junk` for example (RFC 8579).
    fn mailboxes_with_use(&self, _special_use: &str) -> Vec<MailboxName> {
        Vec::new()
    }

    /// The value of an annotation of a mailbox, or of the server where there is none (RFC 5490 §3.3, §3.5).
    fn metadata(&self, _mailbox: Option<&MailboxName>, _annotation: &str) -> Option<String> {
        None
    }

    /// Whether this identifier was marked before; for `duplicate` (RFC 7352) the engine says afterwards what to mark.
    fn was_seen(&self, _identifier: &[u8]) -> bool {
        false
    }

    /// Whether the value is in the list (RFC 6134).
    fn is_listed(&self, _list: &str, _value: &str) -> bool {
        false
    }

    /// Whether there is such a list (RFC 6134 §2.7), and mail may be redirected to it.
    fn has_list(&self, _list: &str) -> bool {
        false
    }

    /// What is known about spam in the message, as a part of 1 (RFC 5235): 0 is certainly none, 1 certainly spam.
    fn spam(&self) -> Score {
        Score::Untested
    }

    /// What is known about viruses in the message, 0 to 5 (RFC 5235 §2.4).
    fn virus(&self) -> Option<u8> {
        None
    }

    /// A script to include (RFC 6609).
    ///
    /// # Errors
    /// There is one, but it cannot be used; the text says why.
    fn script(&self, _place: ScriptPlace, _name: &str) -> Result<Option<Arc<Script>>, String> {
        Ok(None)
    }

    /// Runs a program that the administrator has named (vnd.dovecot.filter and execute).
    ///
    /// # Errors
    /// It could not be run, or it failed; the text says why.
    fn run_program(&self, _program: &Program<'_>) -> Result<Finished, String> {
        Err("programs are not allowed here".to_owned())
    }
}

/// A moment, and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Now {
    /// Seconds since 1970.
    pub unix_seconds: i64,
    /// The local zone's minutes east of Greenwich.
    pub zone_minutes: i16,
}

/// The envelope as it came. Addresses are as written: with or without angle brackets, empty for the null path.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Envelope {
    /// The reverse-path.
    pub from: Option<String>,
    /// The forward-path as it was delivered to.
    pub to: Option<String>,
    /// The forward-path as it was asked for, before aliases.
    pub original_to: Option<String>,
    /// Who authenticated (Pigeonhole's `auth`).
    pub auth: Option<String>,
    /// RFC 3461 NOTIFY.
    pub notify: Option<String>,
    /// RFC 3461 RET.
    pub ret: Option<String>,
    /// RFC 3461 ENVID, decoded.
    pub envid: Option<String>,
    /// RFC 3461 ORCPT: address type and address, decoded.
    pub orcpt: Option<String>,
    /// RFC 2852 BY: the moment, in seconds since 1970.
    pub by_unix_seconds: Option<i64>,
    /// RFC 2852: `R` or `N`.
    pub by_mode: Option<char>,
    /// RFC 2852: whether it is traced.
    pub by_trace: bool,
}

/// What a filter for spam has said.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub enum Score {
    /// Nothing.
    #[default]
    Untested,
    /// The message is certainly none at 0 and certainly spam at 1.
    Part(f64),
}

/// Where a script to include lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScriptPlace {
    /// Among the account's own.
    Personal,
    /// Among those that the administrator gives to all.
    Global,
}

/// A program to be run.
#[derive(Clone)]
pub struct Program<'p> {
    /// The name the administrator has given it.
    pub name: &'p str,
    /// Its arguments.
    pub arguments: &'p [String],
    /// What it reads.
    pub input: ProgramInput<'p>,
    /// Whether the script waits for what it writes.
    pub wants_output: bool,
    /// What it is run for.
    pub purpose: ProgramPurpose,
}

/// What a program is run for; who may be run for what is the administrator's to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgramPurpose {
    /// To change the message (vnd.dovecot.filter).
    Filter,
    /// To tell the script something (vnd.dovecot.execute).
    Execute,
}

/// What a program reads.
#[derive(Clone, Copy)]
pub enum ProgramInput<'p> {
    /// Nothing.
    Nothing,
    /// These octets.
    Octets(&'p [u8]),
    /// The message, as edited so far.
    Message(&'p Message),
}

/// A program that ran to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finished {
    /// Whether it ended well.
    pub is_success: bool,
    /// What it wrote.
    pub output: Vec<u8>,
}

/// The world with nothing in it: what checking a script without a server needs.
#[derive(Clone, Copy, Debug, Default)]
pub struct EmptyWorld;

impl World for EmptyWorld {}

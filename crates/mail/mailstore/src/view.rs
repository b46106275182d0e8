//! A mailbox as sessions see it: who is there in which order, with which flags, at one moment.
//!
//! Views are immutable and share their chunks, so a change costs little and a thousand sessions cost one view.
//! `\Recent` is not kept: RFC 9051 dropped it, and RFC 3501 lets a server answer 0.

use std::sync::Arc;

use mail_types::{Flags, Keyword, MailboxId, ModSeq, Uid, UidSet, UidValidity};

/// One message in a view.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its identifier.
    pub uid: Uid,
    /// Its flags; keyword numbers stand in [`View::keywords`].
    pub flags: Flags,
    /// When it last changed.
    pub modseq: ModSeq,
}

/// A mailbox at one moment.
#[derive(Clone, Debug)]
pub struct View {
    mailbox: MailboxId,
    uid_validity: UidValidity,
    uid_next: Uid,
    highest_modseq: ModSeq,
    keywords: Arc<[Keyword]>,
}

/// What became of an older view.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Changes {
    /// Messages of the old view that are gone: their sequence numbers there, and identifiers; ascending.
    pub vanished: Vec<(u32, Uid)>,
    /// Sequence numbers in the new view of messages of both whose flags or mod-sequence changed; ascending.
    pub changed: Vec<u32>,
    /// How many messages at the end of the new view are new.
    pub arrived: u32,
    /// Whether the mailbox has keywords that it had not.
    pub has_new_keywords: bool,
}

impl View {
    /// Which mailbox.
    #[must_use]
    pub fn mailbox(&self) -> MailboxId {
        self.mailbox
    }

    /// UIDVALIDITY.
    #[must_use]
    pub fn uid_validity(&self) -> UidValidity {
        self.uid_validity
    }

    /// UIDNEXT.
    #[must_use]
    pub fn uid_next(&self) -> Uid {
        self.uid_next
    }

    /// HIGHESTMODSEQ.
    #[must_use]
    pub fn highest_modseq(&self) -> ModSeq {
        self.highest_modseq
    }

    /// The mailbox's keywords by number.
    #[must_use]
    pub fn keywords(&self) -> &Arc<[Keyword]> {
        &self.keywords
    }

    /// How many messages: the greatest sequence number.
    #[must_use]
    pub fn messages(&self) -> u32 {
        0
    }

    /// The message with this sequence number, from 1.
    #[must_use]
    pub fn entry(&self, sequence: u32) -> Option<Entry> {
        let _ = sequence;
        None
    }

    /// The sequence number and entry of the message with this identifier.
    #[must_use]
    pub fn find(&self, uid: Uid) -> Option<(u32, Entry)> {
        let _ = uid;
        None
    }

    /// The sequence number that the first message with this or a greater identifier has, or would have.
    #[must_use]
    pub fn sequence_from(&self, uid: Uid) -> u32 {
        let _ = uid;
        1
    }

    /// Every message with its sequence number, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u32, Entry)> + '_ {
        std::iter::empty()
    }

    /// The messages with sequence numbers `first..=last`.
    pub fn range(&self, first: u32, last: u32) -> impl Iterator<Item = (u32, Entry)> + '_ {
        let _ = (first, last);
        std::iter::empty()
    }

    /// The messages of `uids` that are here, with their sequence numbers, ascending.
    pub fn select<'a>(&'a self, uids: &'a UidSet) -> impl Iterator<Item = (u32, Entry)> + 'a {
        let _ = uids;
        std::iter::empty()
    }

    /// The identifiers of all messages.
    #[must_use]
    pub fn uids(&self) -> UidSet {
        UidSet::new()
    }

    /// What changed from `old` to this view of the same mailbox; costs as much as what changed.
    #[must_use]
    pub fn changes_since(&self, old: &View) -> Changes {
        let _ = old;
        Changes::default()
    }

    /// This view, with the messages of `old` that have vanished since kept in their places: what a session may
    /// show while it may not yet say EXPUNGE (RFC 9051 §5.5). They keep their last flags.
    #[must_use]
    pub fn keeping_vanished_of(&self, old: &View) -> View {
        let _ = old;
        self.clone()
    }
}

//! Learning from what people do with their mail: what they move into the mailbox for junk is unwanted, what they take out of it
//! wanted; clients that have a button for it set `$Junk` and `$NotJunk`.

use std::io;

use mail_types::{AccountId, MailboxId, MailboxName, SpecialUse, UidSet};
use mailstore::{Account, Entry, MailboxInfo, MailboxList, MessageReader, StoreError, Want};
use platform::clock::Timestamp;
use platform::workers::WorkError;
use spam::{Class, MESSAGE_OCTETS_MAX, Taught, features};
use storage::StorageError;

use super::lessons::{OPERATOR, message_key};
use super::mark::without_marks;
use super::{Content, day_of};
use crate::filter::{EventCause, MailboxEvent};

/// Messages of one command that are learned; the others of a larger one are passed over.
const MESSAGES_MAX: usize = 1_000;

/// What clients call unwanted (the registry of RFC 5788, and Thunderbird).
const UNWANTED_KEYWORDS: [&str; 2] = ["$Junk", "Junk"];
/// What they call wanted.
const WANTED_KEYWORDS: [&str; 3] = ["$NotJunk", "NonJunk", "NotJunk"];

/// Whose word a lesson is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lesson {
    /// An account's: its own model learns, and the shared one a little.
    Account(AccountId),
    /// Of who runs the server: the shared model learns.
    Operator,
}

/// What became of a lesson.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Learned {
    /// All models have learned that may.
    Whole,
    /// The account's own model has learned alone: it has moved the shared one enough for this day.
    OwnAlone,
    /// It was learned before.
    Before,
}

/// Why nothing was learned.
#[derive(Debug, thiserror::Error)]
pub enum LessonError {
    /// A model cannot be written.
    #[error("a model of the content filter")]
    Models(#[from] io::Error),
    /// The memory of lessons does not answer.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Too much is being learned already.
    #[error(transparent)]
    Busy(#[from] WorkError),
    /// The message cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Content {
    /// Whether something may be learned from that: known without waiting.
    #[must_use]
    pub fn hears_of(&self, cause: &EventCause) -> bool {
        let is_named = |flag: &String| {
            let names = UNWANTED_KEYWORDS.iter().chain(&WANTED_KEYWORDS);
            names.into_iter().any(|name| flag.eq_ignore_ascii_case(name))
        };
        let may = match cause {
            EventCause::Append | EventCause::Copy { .. } => true,
            EventCause::Flag(flags) => flags.iter().any(is_named),
        };
        may && self.0.settings.load().learns
    }

    /// Learns what a client of IMAP has said of messages.
    pub async fn learn_from(&self, event: MailboxEvent, now: Timestamp) {
        if let Err(error) = self.learn_event(event, now).await {
            tracing::warn!(%error, "what a client did to mail is not learned");
        }
    }

    async fn learn_event(&self, event: MailboxEvent, now: Timestamp) -> Result<(), LessonError> {
        let MailboxEvent { account, mailbox, uids, cause } = event;
        let list = account.mailboxes().await?;
        let said = match &cause {
            EventCause::Append => said_by_place(&list, None, mailbox).filter(|said| *said == Class::Unwanted),
            EventCause::Copy { from } => said_by_place(&list, Some(*from), mailbox),
            EventCause::Flag(_) => {
                return self.learn_flagged(&account, mailbox, &uids, now).await;
            }
        };
        let Some(class) = said else { return Ok(()) };
        self.learn_messages(&account, mailbox, &uids, now, |_| Some(class)).await.map(drop)
    }

    async fn learn_flagged(
        &self,
        account: &Account,
        mailbox: MailboxId,
        uids: &UidSet,
        now: Timestamp,
    ) -> Result<(), LessonError> {
        let view = account.open_mailbox(mailbox).await?;
        let has = |entry: &Entry, names: &[&str]| {
            let keywords = entry.flags.keywords.numbers().filter_map(|number| view.keywords().get(number));
            let mut keywords = keywords.map(|keyword| keyword.as_str());
            keywords.any(|keyword| names.iter().any(|name| keyword.eq_ignore_ascii_case(name)))
        };
        let said = |entry: &Entry| match (has(entry, &UNWANTED_KEYWORDS), has(entry, &WANTED_KEYWORDS)) {
            (true, false) => Some(Class::Unwanted),
            (false, true) => Some(Class::Wanted),
            // Nothing is said any more, or two things at once.
            _ => None,
        };
        self.learn_messages(account, mailbox, uids, now, said).await.map(drop)
    }

    /// Learns all messages of a mailbox, on the word of who runs the server for its account; how many were new, and how many
    /// were looked at.
    ///
    /// # Errors
    /// [`LessonError`].
    pub async fn learn_mailbox(
        &self,
        account: &Account,
        mailbox: MailboxId,
        class: Class,
        now: Timestamp,
    ) -> Result<(u64, u64), LessonError> {
        let view = account.open_mailbox(mailbox).await?;
        let all: Vec<_> = view.uids().iter().collect();
        let (mut new, mut seen) = (0, 0);
        for some in all.chunks(MESSAGES_MAX) {
            let uids: UidSet = some.iter().copied().collect();
            new += self.learn_messages(account, mailbox, &uids, now, |_| Some(class)).await?;
            seen += some.len() as u64;
        }
        Ok((new, seen))
    }

    /// Learns those of which something is said; how many of them were new. What is gone meanwhile is passed over.
    async fn learn_messages(
        &self,
        account: &Account,
        mailbox: MailboxId,
        uids: &UidSet,
        now: Timestamp,
        said: impl Fn(&Entry) -> Option<Class>,
    ) -> Result<u64, LessonError> {
        let view = account.open_mailbox(mailbox).await?;
        let uids: UidSet = uids.iter().take(MESSAGES_MAX).collect();
        let mut new = 0;
        for row in account.rows(mailbox, &uids, Want::Facts).await? {
            let Some(class) = view.find(row.uid).and_then(|(_, entry)| said(&entry)) else { continue };
            let Ok(reader) = account.reader(row.email).await else { continue };
            let octets = beginning(&reader).await?;
            let learned = self.learn(Lesson::Account(account.id()), octets, class, now).await?;
            new += u64::from(learned != Learned::Before);
        }
        Ok(new)
    }

    /// Learns what a message is.
    ///
    /// # Errors
    /// [`LessonError`].
    pub async fn learn(
        &self,
        lesson: Lesson,
        octets: Vec<u8>,
        class: Class,
        now: Timestamp,
    ) -> Result<Learned, LessonError> {
        let this = self.clone();
        self.0.teacher.run(move || this.learn_here(lesson, octets, class, day_of(now))).await?
    }

    fn learn_here(
        &self,
        lesson: Lesson,
        octets: Vec<u8>,
        class: Class,
        day: u32,
    ) -> Result<Learned, LessonError> {
        let octets = without_marks(octets);
        let key = message_key(&octets);
        let inner = &self.0;
        let whose = match lesson {
            Lesson::Account(account) => account,
            Lesson::Operator => OPERATOR,
        };
        if !inner.lessons.is_new(whose, &key, class)? {
            return Ok(Learned::Before);
        }
        let features = features(&octets);
        let learned = match lesson {
            Lesson::Account(account) => match inner.models.teach(account, &features, class, day)? {
                Taught::Both => Learned::Whole,
                Taught::PersonalOnly => Learned::OwnAlone,
            },
            Lesson::Operator => {
                inner.models.learn(&features, class);
                Learned::Whole
            }
        };
        inner.lessons.note(whose, &key, class, day)?;
        let [wanted, unwanted] = &inner.counts.lessons;
        match class {
            Class::Wanted => wanted.increment(),
            Class::Unwanted => unwanted.increment(),
        }
        tracing::info!(account = whose.0, ?class, ?learned, "a lesson of the content filter");
        Ok(learned)
    }
}

/// As much of a message as is looked at.
pub(super) async fn beginning(reader: &MessageReader) -> Result<Vec<u8>, StoreError> {
    let mut octets = Vec::new();
    while octets.len() < MESSAGE_OCTETS_MAX {
        let piece = reader.read(octets.len() as u64..MESSAGE_OCTETS_MAX as u64).await?;
        if piece.is_empty() {
            break;
        }
        octets.extend(piece);
    }
    Ok(octets)
}

/// What it says of messages that they come into a mailbox.
fn said_by_place(list: &MailboxList, from: Option<MailboxId>, to: MailboxId) -> Option<Class> {
    let junk = junk(list)?.id;
    let is_trash = |mailbox: &MailboxInfo| {
        mailbox.special_use == Some(SpecialUse::Trash)
            || mailbox.name.to_string().eq_ignore_ascii_case("Trash")
    };
    match from {
        from if to == junk => (from != Some(junk)).then_some(Class::Unwanted),
        // Who throws junk away says nothing.
        Some(from) if from == junk => list.by_id(to).filter(|to| !is_trash(to)).map(|_| Class::Wanted),
        _ => None,
    }
}

/// The mailbox for junk, found as the rule finds it that files there.
pub(super) fn junk(list: &MailboxList) -> Option<&MailboxInfo> {
    let named = |name: &str| list.by_name(&MailboxName::parse(name).ok()?);
    list.by_special_use(SpecialUse::Junk).or_else(|| named("Junk")).or_else(|| named("Spam"))
}

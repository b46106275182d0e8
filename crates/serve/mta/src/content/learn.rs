//! Learning from what people do with their mail: what they move into the mailbox for junk is unwanted, what they take out of it
//! wanted; clients that have a button for it set `$Junk` and `$NotJunk`.

use std::io;
use std::net::IpAddr;

use mail_types::{AccountId, DomainName, MailboxId, MailboxName, SpecialUse, UidSet};
use mailstore::{Account, Entry, EventCause, MailboxEvent, MailboxInfo, MailboxList, StoreError, View, Want};
use message::fields;
use platform::clock::Timestamp;
use platform::network::is_public;
use platform::workers::WorkError;
use sender_auth::results::AuthenticationResults;
use spam::{Class, MESSAGE_OCTETS_MAX, Taught, ToldVerdict, features};
use storage::StorageError;

use super::judge::author;
use super::lessons::{Moved, NOBODY, Subjects, author_key, client_key, domain_key, message_key};
use super::mark::without_marks;
use super::{Content, day_of};
use crate::screen::{Sender, Worth, client_block};

/// Messages of one command that are learned; the others of a larger one are passed over.
const MESSAGES_MAX: usize = 1_000;

/// What clients call unwanted (the registry of RFC 5788, and Thunderbird).
const UNWANTED_KEYWORDS: [&str; 2] = ["$Junk", "Junk"];
/// What they call wanted.
const WANTED_KEYWORDS: [&str; 3] = ["$NotJunk", "NonJunk", "NotJunk"];

/// What clients call mailboxes for what is thrown away, and for junk, whether or not they mark them (RFC 6154).
const THROWN_AWAY: [&str; 9] = [
    "Trash",
    "Bin",
    "Deleted",
    "Deleted Items",
    "Deleted Messages",
    "Junk",
    "Junk E-mail",
    "Spam",
    "Bulk Mail",
];

/// Whose word a lesson is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lesson {
    /// An account's: its own model learns, and the shared one a little.
    Account(AccountId),
    /// Of who runs the server: the shared model learns.
    Operator,
    /// Nobody's: what came to a trap, or answers us, says itself what it is. The shared model learns as little as from any
    /// account, since whoever knows of it could send what he likes.
    Nobody,
}

/// What is said of the messages of a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Said {
    /// All are this.
    All(Class),
    /// What the keywords of each say.
    ByKeywords,
    /// Clients that keep mail at home (mbsync) have neither COPY nor MOVE: what their owner takes out of junk, they append
    /// elsewhere as something new. What was unwanted is wanted then.
    TakenBack,
}

impl Said {
    /// Of one of them.
    fn of(self, entry: &Entry, view: &View) -> Option<Class> {
        let has = |names: &[&str]| {
            let keywords = entry.flags.keywords.numbers().filter_map(|number| view.keywords().get(number));
            let mut keywords = keywords.map(|keyword| keyword.as_str());
            keywords.any(|keyword| names.iter().any(|name| keyword.eq_ignore_ascii_case(name)))
        };
        match self {
            Self::All(class) => Some(class),
            Self::TakenBack => Some(Class::Wanted),
            Self::ByKeywords => match (has(&UNWANTED_KEYWORDS), has(&WANTED_KEYWORDS)) {
                (true, false) => Some(Class::Unwanted),
                (false, true) => Some(Class::Wanted),
                // Nothing is said any more, or two things at once.
                _ => None,
            },
        }
    }
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
            EventCause::Append => match said_by_place(&list, None, mailbox) {
                None if !is_trash(&list, mailbox) => Some(Said::TakenBack),
                class => class.map(Said::All),
            },
            EventCause::Copy { from } => said_by_place(&list, Some(*from), mailbox).map(Said::All),
            EventCause::Flag(_) => Some(Said::ByKeywords),
        };
        let Some(said) = said else { return Ok(()) };
        self.learn_messages(&account, mailbox, &uids, said, now).await.map(drop)
    }

    /// Whether a message was unwanted so far: an account said so, or we did.
    fn was_unwanted(&self, account: AccountId, octets: &[u8]) -> Result<bool, LessonError> {
        let inner = &self.0;
        // Who has taught nothing has no model, and no lesson to look for.
        let said = match inner.models.personal(account) {
            Some(_) => inner.lessons.said(account, &message_key(&without_marks(octets.to_vec())))?,
            None => None,
        };
        let by_us = || ToldVerdict::read(octets).is_some_and(|told| told.is_unwanted) && is_explained(octets);
        Ok(said.map_or_else(by_us, |said| said == Class::Unwanted))
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
            new += self.learn_messages(account, mailbox, &uids, Said::All(class), now).await?;
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
        said: Said,
        now: Timestamp,
    ) -> Result<u64, LessonError> {
        let view = account.open_mailbox(mailbox).await?;
        let uids: UidSet = uids.iter().take(MESSAGES_MAX).collect();
        let id = account.id();
        let mut new = 0;
        for row in account.rows(mailbox, &uids, Want::Facts).await? {
            let Some((_, entry)) = view.find(row.uid) else { continue };
            let Some(class) = said.of(&entry, &view) else { continue };
            let Ok(reader) = account.reader(row.email).await else { continue };
            let mut octets = reader.beginning(MESSAGE_OCTETS_MAX).await?;
            if said == Said::TakenBack {
                let this = self.clone();
                let ask = move || this.was_unwanted(id, &octets).map(|was| was.then_some(octets));
                let Some(unwanted) = self.0.teacher.run(ask).await?? else { continue };
                octets = unwanted;
            }
            let learned = self.learn(Lesson::Account(id), octets, class, now).await?;
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
        let hostname = self.0.settings.load().hostname.clone().filter(|_| self.0.senders.is_some());
        let of =
            hostname.map(|us| Sender { domain: proven_domain(&octets, &us), address: client(&octets, &us) });
        let mut of = of.unwrap_or_default();
        let (this, whom) = (self.clone(), of.clone());
        let (learned, moved) =
            self.0.teacher.run(move || this.learn_of(lesson, octets, &whom, class, day_of(now))).await??;
        // Only as much as an account may move in a day, and of one sender at all: a reputation is what several agree on.
        let is_operators = lesson == Lesson::Operator;
        of.domain = of.domain.filter(|_| moved.domain || is_operators);
        of.address = of.address.filter(|_| moved.client || is_operators);
        if let (Some(senders), Learned::Whole) = (&self.0.senders, learned) {
            let worth = match class {
                Class::Wanted => Worth::Wanted,
                Class::Unwanted => Worth::Unwanted,
            };
            senders.note(&of, worth, 1.0).await;
        }
        Ok(learned)
    }

    pub(super) fn learn_here(
        &self,
        lesson: Lesson,
        octets: Vec<u8>,
        class: Class,
        day: u32,
    ) -> Result<Learned, LessonError> {
        self.learn_of(lesson, octets, &Sender::default(), class, day).map(|(learned, _)| learned)
    }

    /// What was learned, and whether it has changed what the account thinks of the author's domain and of who brought it.
    fn learn_of(
        &self,
        lesson: Lesson,
        octets: Vec<u8>,
        of: &Sender,
        class: Class,
        day: u32,
    ) -> Result<(Learned, Moved), LessonError> {
        let octets = without_marks(octets);
        let key = message_key(&octets);
        let inner = &self.0;
        let whose = match lesson {
            Lesson::Account(account) => account,
            Lesson::Operator | Lesson::Nobody => NOBODY,
        };
        if !inner.lessons.is_new(whose, &key, class)? {
            return Ok((Learned::Before, Moved::default()));
        }
        let author = author(&octets).map(|author| author_key(&author));
        let features = features(&octets);
        let learned = match lesson {
            Lesson::Account(_) | Lesson::Nobody => match inner.models.teach(whose, &features, class, day)? {
                Taught::Both => Learned::Whole,
                Taught::PersonalOnly => Learned::OwnAlone,
            },
            Lesson::Operator => {
                inner.models.learn(&features, class);
                Learned::Whole
            }
        };
        let domain = of.domain.as_ref().map(domain_key);
        let client = of.address.and_then(client_block).map(client_key);
        let about = Subjects { author: author.as_ref(), domain: domain.as_ref(), client: client.as_ref() };
        let moved = inner.lessons.note(whose, &key, about, class, day)?;
        let [wanted, unwanted] = &inner.counts.lessons;
        match class {
            Class::Wanted => wanted.increment(),
            Class::Unwanted => unwanted.increment(),
        }
        tracing::info!(account = whose.0, ?class, ?learned, "a lesson of the content filter");
        Ok((learned, moved))
    }
}

/// The author's domain, if it was proven when the message came: our field stands above all others. What another server says
/// of it is not ours to believe (RFC 8601 §5).
fn proven_domain(octets: &[u8], us: &DomainName) -> Option<DomainName> {
    let first = fields(octets).find(|field| field.is_named("Authentication-Results"))?;
    let results = AuthenticationResults::parse(&first.unfolded()).ok().filter(|results| results.is_of(us))?;
    let passed = results.results.iter().any(|result| result.method == "dmarc" && result.result == "pass");
    author(octets).filter(|_| passed)?.domain_name().cloned()
}

/// Who brought the message from the Internet, as we have written it above all others: `from NAME (HOST [ADDRESS]) by US`.
fn client(octets: &[u8], us: &DomainName) -> Option<IpAddr> {
    let first = fields(octets).find(|field| field.is_named("Received"))?.unfolded();
    let (from, _) = std::str::from_utf8(&first).ok()?.split_once(&format!(") by {us} "))?;
    let (_, literal) = from.strip_suffix(']')?.rsplit_once('[')?;
    let address: IpAddr = literal.strip_prefix("IPv6:").unwrap_or(literal).parse().ok()?;
    is_public(address).then_some(address)
}

/// Whether a verdict in a header is in our words.
fn is_explained(octets: &[u8]) -> bool {
    fields(octets).any(|field| field.is_named("X-Mailstead-Why"))
}

/// What it says of messages that they come into a mailbox.
fn said_by_place(list: &MailboxList, from: Option<MailboxId>, to: MailboxId) -> Option<Class> {
    let junk = junk(list)?.id;
    match from {
        from if to == junk => (from != Some(junk)).then_some(Class::Unwanted),
        // Who throws junk away says nothing.
        Some(from) if from == junk => (!is_trash(list, to)).then_some(Class::Wanted),
        _ => None,
    }
}

/// Whether a mailbox has what is thrown away, or more junk, or is no more.
fn is_trash(list: &MailboxList, mailbox: MailboxId) -> bool {
    list.by_id(mailbox).is_none_or(|mailbox| {
        matches!(mailbox.special_use, Some(SpecialUse::Trash | SpecialUse::Junk))
            || is_thrown_away(&mailbox.name.to_string())
    })
}

/// Whether a mailbox of this name is where clients put what they throw away, or more junk, without saying so.
fn is_thrown_away(name: &str) -> bool {
    let last = name.rsplit('/').next().unwrap_or(name);
    THROWN_AWAY.iter().any(|known| last.eq_ignore_ascii_case(known))
}

/// The mailbox for junk, found as the rule finds it that files there.
pub(super) fn junk(list: &MailboxList) -> Option<&MailboxInfo> {
    let named = |name: &str| list.by_name(&MailboxName::parse(name).ok()?);
    list.by_special_use(SpecialUse::Junk).or_else(|| named("Junk")).or_else(|| named("Spam"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_we_have_written_is_believed() {
        let us = DomainName::parse("mail.example.org").unwrap();
        let proven = |field: &str| {
            let message = format!("{field}\r\nFrom: eve@elsewhere.example\r\n\r\nx\r\n");
            proven_domain(message.as_bytes(), &us).map(|domain| domain.to_string())
        };
        let passed = "dmarc=pass header.from=elsewhere.example";
        for (field, expected) in [
            (format!("Authentication-Results: mail.example.org; {passed}"), Some("elsewhere.example")),
            (format!("Authentication-Results: MAIL.example.org 1;\r\n {passed}"), Some("elsewhere.example")),
            (format!("Authentication-Results: other.example; {passed}"), None),
            (format!("Authentication-Results: mail.example.org.evil.example; {passed}"), None),
            ("Authentication-Results: mail.example.org; dmarc=fail".to_owned(), None),
            // Below ours, or where ours should be, stands what another wrote.
            (
                format!(
                    "Authentication-Results: other.example; none\r\nAuthentication-Results: mail.example.org; {passed}"
                ),
                None,
            ),
        ] {
            assert_eq!(proven(&field).as_deref(), expected, "{field}");
        }
    }

    #[test]
    fn who_brought_a_message_stands_in_our_own_field() {
        let us = DomainName::parse("mail.example.org").unwrap();
        for (received, expected) in [
            ("from x.example (x.example [11.0.0.7]) by mail.example.org with ESMTP", Some("11.0.0.7")),
            ("from [11.1.1.1] ([11.0.0.7]) by mail.example.org with ESMTP", Some("11.0.0.7")),
            ("from x.example ([IPv6:2a00::7]) by mail.example.org\r\n with ESMTP", Some("2a00::7")),
            ("from x.example ([11.0.0.7]) by other.example with ESMTP", None),
            ("from x.example ([172.17.0.1]) by mail.example.org with ESMTP", None),
            ("by mail.example.org with ESMTPSA", None),
        ] {
            let below = "Received: from y ([11.2.2.2]) by mail.example.org with ESMTP";
            let message = format!("Received: {received}\r\n{below}\r\n\r\nx\r\n");
            assert_eq!(client(message.as_bytes(), &us).map(|one| one.to_string()).as_deref(), expected);
        }
    }

    #[test]
    fn junk_that_is_thrown_away_is_not_called_wanted() {
        for name in ["Trash", "Deleted Items", "INBOX/Deleted Messages", "spam", "Junk E-mail"] {
            assert!(is_thrown_away(name), "{name}");
        }
        for name in ["INBOX", "Archive", "Trash/kept", "Invoices deleted"] {
            assert!(!is_thrown_away(name), "{name}");
        }
    }
}

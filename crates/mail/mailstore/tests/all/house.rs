//! A store in a directory of its own, and short words for what tests do with it.

use std::path::Path;

use mail_types::{AccountId, Keyword, MailboxId, MailboxName, SystemFlag, TransactionId, Uid, UidSet};
use mailstore::{
    Account, Append, Arriving, Filed, Filing, FilingTarget, FlagChange, FlagChangeMode, FlagNames,
    QuotaLimit, Settings, Store, StoreError, Want,
};
use platform::clock::{Clock, Timestamp};
use tempfile::TempDir;

pub(crate) const ANN: AccountId = AccountId(1);
pub(crate) const BEN: AccountId = AccountId(2);
pub(crate) const WAY: TransactionId = TransactionId(7);

/// A store, its clock and its place.
pub(crate) struct House {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) data: TempDir,
}

pub(crate) fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.packs.pack_octets = 1 << 20;
    settings.packs.free_octets_min = 0;
    settings.packs.reserve_octets = 0;
    settings
}

pub(crate) fn clock() -> Clock {
    Clock::settable(Timestamp::from_unix_seconds(1_700_000_000))
}

pub(crate) fn open(data: &Path, clock: &Clock) -> Store {
    Store::open(data, settings(), clock.clone()).unwrap()
}

impl House {
    pub(crate) fn new() -> Self {
        let (data, clock) = (tempfile::tempdir().unwrap(), clock());
        Self { store: open(data.path(), &clock), clock, data }
    }

    pub(crate) async fn account(&self, id: AccountId) -> Account {
        self.store.account(id).await.unwrap()
    }

    /// Closes in order and opens again.
    pub(crate) async fn reopened(self) -> Self {
        let Self { store, clock, data } = self;
        store.close().await.unwrap();
        Self { store: open(data.path(), &clock), clock, data }
    }
}

pub(crate) fn text(number: usize) -> Vec<u8> {
    format!(
        "From: Ann <ann@example.org>\r\nTo: ben@example.org\r\nSubject: Message {number}\r\n\
         Message-ID: <{number}@example.org>\r\n\r\nThis is message {number}.\r\n"
    )
    .into_bytes()
}

pub(crate) async fn arriving(store: &Store, octets: &[u8]) -> Arriving {
    let mut intake = store.intake().unwrap();
    for piece in octets.chunks(30_000) {
        intake.write(piece).await.unwrap();
    }
    intake.finish().await.unwrap()
}

pub(crate) fn filing(account: AccountId, target: FilingTarget) -> Filing {
    Filing {
        account,
        mailbox: target,
        flags: FlagNames::default(),
        internal_date: Timestamp::from_unix_seconds(1_600_000_000),
        quota: QuotaLimit::NONE,
        way: WAY,
    }
}

pub(crate) fn inbox() -> FilingTarget {
    FilingTarget::Name(MailboxName::inbox())
}

pub(crate) fn name(text: &str) -> MailboxName {
    MailboxName::parse(text).unwrap()
}

pub(crate) async fn deliver(store: &Store, account: AccountId, octets: &[u8]) -> Filed {
    let message = arriving(store, octets).await;
    let mut answers = store.deliver(message, vec![filing(account, inbox())]).await.unwrap();
    answers.remove(0).unwrap()
}

/// Hands a message that has these octets over to another's inbox.
pub(crate) async fn hand_over(
    store: &Store,
    (from, mailbox, uid): (&Account, MailboxId, u32),
    octets: &[u8],
    to: AccountId,
) -> Result<Filed, StoreError> {
    let message = arriving(store, octets).await;
    store.hand_over(from, (mailbox, Uid(uid)), message, filing(to, inbox())).await
}

pub(crate) async fn append(
    store: &Store,
    account: &Account,
    mailbox: MailboxId,
    texts: &[Vec<u8>],
) -> Vec<Filed> {
    let mut messages = Vec::new();
    for octets in texts {
        let message = arriving(store, octets).await;
        messages.push(Append { message, flags: FlagNames::default(), internal_date: None });
    }
    account.append(mailbox, messages, QuotaLimit::NONE, WAY).await.unwrap()
}

/// Fills the mailbox with small messages, numbered from `first`.
pub(crate) async fn fill(store: &Store, account: &Account, mailbox: MailboxId, first: usize, count: usize) {
    let texts: Vec<Vec<u8>> = (first..first + count).map(text).collect();
    for some in texts.chunks(500) {
        append(store, account, mailbox, some).await;
    }
}

pub(crate) async fn mailbox(account: &Account, text: &str) -> MailboxId {
    account.mailboxes().await.unwrap().by_name(&name(text)).unwrap().id
}

pub(crate) fn flags(system: &[SystemFlag], keywords: &[&str]) -> FlagNames {
    FlagNames {
        system: system.iter().fold(0, |bits, flag| bits | *flag as u8),
        keywords: keywords.iter().map(|keyword| Keyword::parse(keyword).unwrap()).collect(),
    }
}

pub(crate) fn add(system: &[SystemFlag], keywords: &[&str]) -> FlagChange {
    FlagChange { mode: FlagChangeMode::Add, flags: flags(system, keywords) }
}

pub(crate) fn uids(text: &str) -> UidSet {
    let number = |text: &str| text.parse::<u32>().unwrap();
    UidSet::from_ranges(text.split(',').filter(|part| !part.is_empty()).map(|part| {
        let (first, last) = part.split_once(':').unwrap_or((part, part));
        (number(first), number(last))
    }))
}

pub(crate) fn all() -> UidSet {
    UidSet::from_ranges([(1, u32::MAX)])
}

/// Expunges some messages.
pub(crate) async fn expunge(account: &Account, mailbox: MailboxId, which: &UidSet) -> UidSet {
    account.store_flags(mailbox, which, &add(&[SystemFlag::Deleted], &[]), None).await.unwrap();
    account.expunge(mailbox, Some(which)).await.unwrap()
}

pub(crate) async fn read(account: &Account, mailbox: MailboxId, uid: u32) -> Vec<u8> {
    let rows = account.rows(mailbox, &UidSet::from_ranges([(uid, uid)]), Want::Facts).await.unwrap();
    let reader = account.reader(rows[0].email).await.unwrap();
    reader.beginning(usize::MAX).await.unwrap()
}

/// Everything a client can see of an account but mod-sequences of mailboxes and when what was saved, as lines to compare.
pub(crate) async fn picture(account: &Account) -> Vec<String> {
    let list = account.mailboxes().await.unwrap();
    let mut lines: Vec<String> = list.subscriptions.iter().map(|name| format!("subscribed {name}")).collect();
    for mailbox in &list.mailboxes {
        lines.push(format!("{mailbox:?}"));
        let view = account.open_mailbox(mailbox.id).await.unwrap();
        let rows = account.rows(mailbox.id, &all(), Want::Summaries).await.unwrap();
        assert_eq!(rows.len(), view.messages() as usize);
        for (row, (_, entry)) in rows.iter().zip(view.iter()) {
            assert_eq!(row.uid, entry.uid);
            lines.push(format!("{entry:?} {row:?}"));
        }
        let vanished = account.vanished_since(mailbox.id, mail_types::ModSeq(0)).await.unwrap();
        lines.push(format!("vanished {vanished} keywords {:?}", view.keywords()));
    }
    lines
}

pub(crate) async fn assert_sound(store: &Store) {
    let faults = store.verify().await.unwrap();
    assert!(faults.is_empty(), "{faults:#?}");
}

//! Mail that is kept apart: in the log as all mail is, in an account that nobody can log in to, a mailbox for each account whose
//! mail it is. Only the operator's commands lead there; after a while it goes.

use std::time::Duration;

use directory::Directory;
use mail_types::{AccountId, Flags, Keyword, MailboxName, ModSeq, SystemFlag, TransactionId, Uid, UidSet};
use mailstore::{
    Account, Entry, Filing, FilingTarget, FlagChange, FlagChangeMode, FlagNames, MailboxInfo, MessageReader,
    QuotaLimit, Row, Store, StoreError, TENANTS_FROM, Want,
};
use platform::clock::Timestamp;

use super::orders::Order;

/// The account that has it: the last number of an account, which no person will ever have. Those above are tenants of the log:
/// after a crash, mail that was filed there would be taken for notes of theirs.
pub const APART: AccountId = AccountId(TENANTS_FROM - 1);
/// Messages whose rows are read at once.
const BATCH: usize = 500;
/// Messages of one account that are told of, or asked for, at once.
const TOLD_MAX: usize = 1_000;
/// How often an order is tried again because others change the same messages in the same moment.
const WANT_TRIES: u32 = 10;

/// What is kept apart of one account's mail at most.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QuarantineLimits {
    /// Messages.
    pub messages: u64,
    /// Their octets. The newest message stays, however large it is.
    pub octets: u64,
}

/// What is kept apart. Clones share it.
#[derive(Clone, Debug)]
pub struct Quarantine {
    store: Store,
    directory: Directory,
}

/// A message that is kept apart.
#[derive(Clone, Debug)]
pub struct Quarantined {
    /// Its name in commands.
    pub id: String,
    /// Whose it is.
    pub account: AccountId,
    /// When it came.
    pub time: Timestamp,
    /// Its length.
    pub octets: u64,
    /// What the store knows of it, as `message::Summary::decode` reads it.
    pub summary: Option<Box<[u8]>>,
    place: (MailboxInfo, Row),
}

impl Quarantined {
    /// Its number among its account's.
    #[must_use]
    pub fn uid(&self) -> Uid {
        self.place.1.uid
    }
}

/// Why something cannot be done with what is kept apart.
#[derive(Debug, thiserror::Error)]
pub enum QuarantineError {
    /// There is no such message.
    #[error("there is no such message; `mailstead quarantine list` shows them all")]
    NoSuchMessage,
    /// Its account is gone.
    #[error("its account is gone")]
    NoSuchAccount,
    /// The store's.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The mailbox of an account's mail that is kept apart.
fn mailbox_of(account: AccountId) -> Option<MailboxName> {
    MailboxName::parse(&account.0.to_string()).ok()
}

/// Where a message for an account is filed so that it is kept apart.
pub(crate) fn filing(account: AccountId, now: Timestamp, way: TransactionId) -> Option<Filing> {
    Some(Filing {
        account: APART,
        mailbox: FilingTarget::Name(mailbox_of(account)?),
        flags: FlagNames::default(),
        internal_date: now,
        quota: QuotaLimit::NONE,
        way,
    })
}

impl Quarantine {
    /// What this store keeps apart.
    #[must_use]
    pub fn new(store: Store, directory: Directory) -> Self {
        Self { store, directory }
    }

    /// What is kept apart of an account's mail, or of everybody's, the oldest first, at most so much.
    ///
    /// # Errors
    /// [`QuarantineError::Store`].
    pub async fn list(
        &self,
        account: Option<AccountId>,
        most: usize,
    ) -> Result<Vec<Quarantined>, QuarantineError> {
        let apart = self.store.account(APART).await?;
        let mut found = Vec::new();
        for mailbox in &apart.mailboxes().await?.mailboxes {
            let Some(of) = account_of(mailbox).filter(|of| account.is_none_or(|wanted| wanted == *of)) else {
                continue;
            };
            let view = apart.open_mailbox(mailbox.id).await?;
            let uids: Vec<Uid> = view.uids().iter().take(most).collect();
            for some in uids.chunks(BATCH) {
                let uids: UidSet = some.iter().copied().collect();
                let rows = apart.rows(mailbox.id, &uids, Want::Summaries).await?;
                found.extend(rows.into_iter().map(|row| quarantined(of, mailbox, row)));
            }
            // No more than is asked for stays in memory, however many accounts there are.
            if found.len() > most {
                keep_oldest(&mut found, most);
            }
        }
        keep_oldest(&mut found, most);
        Ok(found)
    }

    /// One message.
    ///
    /// # Errors
    /// [`QuarantineError`].
    pub async fn find(&self, id: &str) -> Result<(Quarantined, MessageReader), QuarantineError> {
        let (account, uid) = parse_id(id).ok_or(QuarantineError::NoSuchMessage)?;
        let apart = self.store.account(APART).await?;
        let name = mailbox_of(account).ok_or(QuarantineError::NoSuchMessage)?;
        let list = apart.mailboxes().await?;
        let mailbox = list.by_name(&name).ok_or(QuarantineError::NoSuchMessage)?;
        let rows = apart.rows(mailbox.id, &[uid].into_iter().collect(), Want::Summaries).await?;
        let row = rows.into_iter().next().ok_or(QuarantineError::NoSuchMessage)?;
        let reader = apart.reader(row.email).await?;
        Ok((quarantined(account, mailbox, row), reader))
    }

    /// Gives a message to whom it is for, into the inbox: it is either here or there, whatever happens. What it was is returned,
    /// so that it can be learned.
    ///
    /// # Errors
    /// [`QuarantineError`].
    pub async fn release(
        &self,
        id: &str,
        way: TransactionId,
        now: Timestamp,
    ) -> Result<(Quarantined, MessageReader), QuarantineError> {
        let (message, reader) = self.find(id).await?;
        self.directory.account(message.account).ok_or(QuarantineError::NoSuchAccount)?;
        let mut intake = self.store.intake()?;
        let mut at = 0;
        while at < reader.octets() {
            let piece = reader.read(at..u64::MAX).await?;
            if piece.is_empty() {
                return Err(StoreError::Busy.into());
            }
            at += piece.len() as u64;
            intake.write(&piece).await?;
        }
        let arriving = intake.finish().await?;
        let flags =
            FlagNames { keywords: Keyword::parse("$NotJunk").into_iter().collect(), ..FlagNames::default() };
        let filing = Filing {
            account: message.account,
            mailbox: FilingTarget::Name(MailboxName::inbox()),
            flags,
            internal_date: now,
            // Somebody has asked for it by name.
            quota: QuotaLimit::NONE,
            way,
        };
        let apart = self.store.account(APART).await?;
        let (mailbox, row) = &message.place;
        let handed = self.store.hand_over(&apart, (mailbox.id, row.uid), arriving, filing).await;
        handed.map_err(|error| match error {
            StoreError::NoSuchMessage => QuarantineError::NoSuchMessage,
            error => error.into(),
        })?;
        Ok((message, reader))
    }

    /// Throws a message away.
    ///
    /// # Errors
    /// [`QuarantineError`].
    pub async fn drop_message(&self, id: &str) -> Result<Quarantined, QuarantineError> {
        let (message, _) = self.find(id).await?;
        self.remove(&message).await?;
        Ok(message)
    }

    async fn remove(&self, message: &Quarantined) -> Result<(), QuarantineError> {
        let apart = self.store.account(APART).await?;
        let (mailbox, row) = &message.place;
        remove(&apart, mailbox, [row.uid].into_iter().collect(), None).await?;
        Ok(())
    }

    /// What nobody has been told of yet, by whose it is.
    ///
    /// # Errors
    /// [`QuarantineError::Store`].
    pub async fn untold(&self) -> Result<Vec<(AccountId, Vec<Quarantined>)>, QuarantineError> {
        let apart = self.store.account(APART).await?;
        let mut found = Vec::new();
        for mailbox in &apart.mailboxes().await?.mailboxes {
            let Some(of) = account_of(mailbox) else { continue };
            let view = apart.open_mailbox(mailbox.id).await?;
            let untold = view.iter().filter(|(_, entry)| !entry.flags.has(SystemFlag::Seen));
            let uids: UidSet = untold.map(|(_, entry)| entry.uid).take(TOLD_MAX).collect();
            let rows = apart.rows(mailbox.id, &uids, Want::Summaries).await?;
            if !rows.is_empty() {
                found.push((of, rows.into_iter().map(|row| quarantined(of, mailbox, row)).collect()));
            }
        }
        Ok(found)
    }

    /// Their owner has been told of these messages, which are of one account.
    ///
    /// # Errors
    /// [`QuarantineError::Store`].
    pub async fn told(&self, messages: &[Quarantined]) -> Result<(), QuarantineError> {
        let Some((mailbox, _)) = messages.first().map(|message| &message.place) else { return Ok(()) };
        let apart = self.store.account(APART).await?;
        let uids: UidSet = messages.iter().map(Quarantined::uid).collect();
        mark(&apart, mailbox, &uids, SystemFlag::Seen, None).await?;
        Ok(())
    }

    /// Writes down that the messages of an order are wanted, as far as they are still there: once this returns, they are
    /// released, whatever happens meanwhile.
    ///
    /// # Errors
    /// [`QuarantineError::Store`].
    pub(crate) async fn want(&self, order: Order) -> Result<(), QuarantineError> {
        let apart = self.store.account(APART).await?;
        let list = apart.mailboxes().await?;
        let Some(mailbox) = mailbox_of(order.account).and_then(|name| list.by_name(&name)) else {
            return Ok(());
        };
        for _ in 0..WANT_TRIES {
            let view = apart.open_mailbox(mailbox.id).await?;
            let is_meant =
                |entry: &Entry| (order.first..=order.last).contains(&entry.uid) && !is_going(entry);
            let wanted = view.iter().map(|(_, entry)| entry).filter(is_meant).take(TOLD_MAX);
            let wanted: UidSet = wanted.map(|entry| entry.uid).collect();
            // What is thrown away in this moment is no longer there, and is not promised.
            let changed = view.highest_modseq();
            if wanted.is_empty() || mark(&apart, mailbox, &wanted, WANTED, Some(changed)).await?.is_empty() {
                return Ok(());
            }
        }
        Err(StoreError::Busy.into())
    }

    /// The names of the messages that are wanted, of an account or of everybody who is still there.
    ///
    /// # Errors
    /// [`QuarantineError::Store`].
    pub async fn wanted(&self, account: Option<AccountId>) -> Result<Vec<String>, QuarantineError> {
        let apart = self.store.account(APART).await?;
        let mut found = Vec::new();
        for mailbox in &apart.mailboxes().await?.mailboxes {
            let is_meant = |of: &AccountId| match account {
                Some(account) => account == *of,
                None => self.directory.account(*of).is_some(),
            };
            let Some(of) = account_of(mailbox).filter(is_meant) else { continue };
            let view = apart.open_mailbox(mailbox.id).await?;
            let wanted = view.iter().filter(|(_, entry)| is_wanted(entry));
            found.extend(wanted.map(|(_, entry)| id_of(of, entry.uid)));
        }
        Ok(found)
    }

    /// Throws away the oldest of what is kept apart beyond the limits, but for what is wanted; of whose mail how many.
    ///
    /// # Errors
    /// [`QuarantineError::Store`].
    pub async fn trim(&self, limits: QuarantineLimits) -> Result<Vec<(AccountId, u64)>, QuarantineError> {
        let apart = self.store.account(APART).await?;
        let mut trimmed = Vec::new();
        for mailbox in &apart.mailboxes().await?.mailboxes {
            let Some(of) = account_of(mailbox) else { continue };
            let fits = u64::from(mailbox.messages) <= limits.messages && mailbox.octets <= limits.octets;
            if !fits {
                let gone = trim(&apart, mailbox, limits).await?;
                trimmed.extend((gone > 0).then_some((of, gone)));
            }
        }
        Ok(trimmed)
    }

    /// Throws away what has been there for so long, but for what is wanted, and what was for accounts that are gone; how much
    /// that was.
    ///
    /// # Errors
    /// [`QuarantineError::Store`].
    pub async fn expire(&self, kept: Duration, now: Timestamp) -> Result<u64, QuarantineError> {
        let apart = self.store.account(APART).await?;
        let mut gone = 0;
        for mailbox in &apart.mailboxes().await?.mailboxes {
            let Some(of) = account_of(mailbox) else { continue };
            let is_orphan = self.directory.account(of).is_none();
            let view = apart.open_mailbox(mailbox.id).await?;
            let may_go = view.iter().filter(|(_, entry)| is_orphan || !is_wanted(entry));
            let uids: Vec<Uid> = may_go.map(|(_, entry)| entry.uid).collect();
            for some in uids.chunks(BATCH) {
                let asked: UidSet = some.iter().copied().collect();
                let rows = apart.rows(mailbox.id, &asked, Want::Facts).await?;
                let is_old = |row: &&Row| is_orphan || now.since(row.internal_date) >= kept;
                let old: UidSet = rows.iter().filter(is_old).map(|row| row.uid).collect();
                if !old.is_empty() {
                    gone += remove(&apart, mailbox, old, Some(view.highest_modseq())).await?;
                }
            }
        }
        Ok(gone)
    }
}

fn keep_oldest(found: &mut Vec<Quarantined>, most: usize) {
    found.sort_by_key(|message| (message.time, message.place.1.uid, message.account));
    found.truncate(most);
}

/// What marks a message as wanted by its owner.
const WANTED: SystemFlag = SystemFlag::Flagged;

/// Whether a message is being thrown away.
fn is_going(entry: &Entry) -> bool {
    entry.flags.has(SystemFlag::Deleted)
}

fn is_wanted(entry: &Entry) -> bool {
    entry.flags.has(WANTED) && !is_going(entry)
}

/// Marks messages, but for those that have changed since: these are returned.
async fn mark(
    apart: &Account,
    mailbox: &MailboxInfo,
    uids: &UidSet,
    flag: SystemFlag,
    unchanged_since: Option<ModSeq>,
) -> Result<UidSet, StoreError> {
    let flags = FlagNames { system: Flags::default().with(flag).system, keywords: Vec::new() };
    let change = FlagChange { mode: FlagChangeMode::Add, flags };
    Ok(apart.store_flags(mailbox.id, uids, &change, unchanged_since).await?.modified)
}

/// Throws away the oldest messages of a mailbox until the others fit; how many.
async fn trim(apart: &Account, mailbox: &MailboxInfo, limits: QuarantineLimits) -> Result<u64, StoreError> {
    let view = apart.open_mailbox(mailbox.id).await?;
    let wanted: UidSet =
        view.iter().filter(|(_, entry)| is_wanted(entry)).map(|(_, entry)| entry.uid).collect();
    let mut uids: Vec<Uid> = view.uids().iter().collect();
    let (mut messages, mut octets) = (uids.len() as u64, mailbox.octets);
    // The newest stays: its sender has just been told that it is kept.
    uids.pop();
    let mut gone = 0;
    for some in uids.chunks(BATCH) {
        if messages <= limits.messages && octets <= limits.octets {
            break;
        }
        let rows = apart.rows(mailbox.id, &some.iter().copied().collect(), Want::Facts).await?;
        let mut old = Vec::new();
        for row in rows.iter().filter(|row| !wanted.contains(row.uid)) {
            if messages <= limits.messages && octets <= limits.octets {
                break;
            }
            old.push(row.uid);
            messages -= 1;
            octets = octets.saturating_sub(row.octets);
        }
        if !old.is_empty() {
            gone += remove(apart, mailbox, old.into_iter().collect(), Some(view.highest_modseq())).await?;
        }
    }
    Ok(gone)
}

/// Takes messages out of a mailbox, but for those that have changed since: somebody may want them now. Only what is marked as
/// deleted is expunged.
async fn remove(
    apart: &Account,
    mailbox: &MailboxInfo,
    uids: UidSet,
    unchanged_since: Option<ModSeq>,
) -> Result<u64, StoreError> {
    let changed = mark(apart, mailbox, &uids, SystemFlag::Deleted, unchanged_since).await?;
    let uids = uids.iter().filter(|uid| !changed.contains(*uid)).collect();
    Ok(apart.expunge(mailbox.id, Some(&uids)).await?.iter().count() as u64)
}

fn account_of(mailbox: &MailboxInfo) -> Option<AccountId> {
    mailbox.name.to_string().parse().ok().map(AccountId)
}

fn quarantined(account: AccountId, mailbox: &MailboxInfo, mut row: Row) -> Quarantined {
    Quarantined {
        id: id_of(account, row.uid),
        account,
        time: row.internal_date,
        octets: row.octets,
        summary: row.summary.take(),
        place: (mailbox.clone(), row),
    }
}

fn id_of(account: AccountId, uid: Uid) -> String {
    format!("q{}-{}", account.0, uid.0)
}

fn parse_id(id: &str) -> Option<(AccountId, Uid)> {
    let (account, uid) = id.strip_prefix('q')?.split_once('-')?;
    Some((AccountId(account.parse().ok()?), Uid(uid.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use directory::{NewAccount, NewPassword, Quota};
    use mail_types::{Address, DomainName};
    use platform::clock::Clock;
    use platform::metrics::Metrics;

    use super::*;

    /// A quarantine with a message of account 1, its account and the mailbox that it is in.
    async fn with_one(place: &std::path::Path) -> (Quarantine, Account, MailboxInfo) {
        let clock = Clock::settable(Timestamp::from_unix_seconds(0));
        let store = Store::open(place, mailstore::Settings::default(), clock.clone()).unwrap();
        let (path, settings) = (place.join("directory.db"), directory::Settings::default());
        let directory = Directory::open(&path, settings, clock, &Metrics::new()).unwrap();
        directory.add_domain(&DomainName::parse("example.org").unwrap()).unwrap();
        let ann = NewAccount {
            address: Address::parse("ann@example.org").unwrap(),
            password: NewPassword::Hash("{PLAIN}secret".into()),
            display_name: None,
            quota: Quota::default(),
        };
        assert_eq!(directory.add_account(ann).unwrap().id, AccountId(1));
        let mut intake = store.intake().unwrap();
        intake.write(b"Subject: x\r\n\r\nx\r\n").await.unwrap();
        let filing = filing(AccountId(1), Timestamp::from_unix_seconds(0), TransactionId(1)).unwrap();
        store.deliver(intake.finish().await.unwrap(), vec![filing]).await.unwrap().remove(0).unwrap();
        let apart = store.account(APART).await.unwrap();
        let mailboxes = apart.mailboxes().await.unwrap();
        let mailbox = mailboxes.by_name(&mailbox_of(AccountId(1)).unwrap()).unwrap().clone();
        (Quarantine::new(store, directory), apart, mailbox)
    }

    #[tokio::test]
    async fn what_is_ordered_while_it_is_thrown_away_stays_or_was_gone_before() {
        let place = tempfile::tempdir().unwrap();
        let (quarantine, apart, mailbox) = with_one(place.path()).await;
        let order = Order { account: AccountId(1), first: Uid(1), last: Uid(1) };
        let all: UidSet = [Uid(1)].into_iter().collect();
        let before = apart.open_mailbox(mailbox.id).await.unwrap().highest_modseq();
        quarantine.want(order).await.unwrap();
        assert_eq!(remove(&apart, &mailbox, all.clone(), Some(before)).await.unwrap(), 0);
        assert_eq!(quarantine.wanted(Some(AccountId(1))).await.unwrap(), ["q1-1"]);
        // What is being thrown away is not released.
        mark(&apart, &mailbox, &all, SystemFlag::Deleted, None).await.unwrap();
        quarantine.want(order).await.unwrap();
        assert!(quarantine.wanted(Some(AccountId(1))).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_message_that_is_released_twice_at_once_comes_once() {
        let place = tempfile::tempdir().unwrap();
        let (quarantine, apart, mailbox) = with_one(place.path()).await;
        let release = |way| quarantine.release("q1-1", TransactionId(way), Timestamp::from_unix_seconds(0));
        let (first, second) = tokio::join!(release(2), release(3));
        assert_ne!(first.is_ok(), second.is_ok());
        assert_eq!(apart.open_mailbox(mailbox.id).await.unwrap().messages(), 0);
        let ann = quarantine.store.account(AccountId(1)).await.unwrap();
        let mailboxes = ann.mailboxes().await.unwrap();
        assert_eq!(mailboxes.by_name(&MailboxName::inbox()).unwrap().messages, 1);
    }

    #[test]
    fn names_of_messages_are_read_as_they_are_written() {
        assert_eq!(parse_id("q12-3"), Some((AccountId(12), Uid(3))));
        for other in ["", "12-3", "q12", "q-3", "q12-", "q1x-3", "q99999999999-1"] {
            assert_eq!(parse_id(other), None, "{other}");
        }
    }
}

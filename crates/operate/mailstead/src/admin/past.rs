//! Mail that is there, looked at again: what scripts or the filter would do with it now.

use std::collections::VecDeque;
use std::time::Duration;

use mail_types::{Address, ReversePath, SpecialUse, UidSet};
use mailstore::{Account, MailboxInfo, MessageReader, Row, StoreError, Want};
use message::fields;
use platform::clock::Timestamp;

/// Messages whose rows are read at once.
const BATCH: u32 = 500;

/// The mail of an account that may have been delivered to it, a message after the other: not what one has written oneself, or
/// thrown away.
pub(super) struct PastMail<'a> {
    account: &'a Account,
    want: Want,
    /// Milliseconds since 1970.
    since: i64,
    mailboxes: VecDeque<MailboxInfo>,
    /// The next message that is asked for, in the first of them.
    next: u32,
    rows: VecDeque<Row>,
    /// So many are looked at still.
    left: u64,
    /// Whether there was more.
    is_cut: bool,
}

/// One of these messages.
pub(super) struct PastMessage<'a> {
    pub(super) mailbox: &'a MailboxInfo,
    pub(super) row: Row,
    pub(super) octets: MessageReader,
}

impl PastMessage<'_> {
    /// Whether it lies in junk.
    pub(super) fn is_junk(&self) -> bool {
        self.mailbox.special_use == Some(SpecialUse::Junk)
    }
}

impl<'a> PastMail<'a> {
    /// What has come in the last time, at most so many messages.
    pub(super) async fn of(
        account: &'a Account,
        want: Want,
        (last, now): (Duration, Timestamp),
        most: u64,
    ) -> Result<Self, StoreError> {
        let is_delivered_to = |mailbox: &&MailboxInfo| {
            !matches!(mailbox.special_use, Some(SpecialUse::Sent | SpecialUse::Drafts | SpecialUse::Trash))
        };
        let mailboxes =
            account.mailboxes().await?.mailboxes.iter().filter(is_delivered_to).cloned().collect();
        let last = i64::try_from(last.as_millis()).unwrap_or(i64::MAX);
        let since = now.unix_millis().saturating_sub(last);
        let rows = VecDeque::new();
        Ok(Self { account, want, since, mailboxes, next: 1, rows, left: most, is_cut: false })
    }

    /// The next message. What goes away meanwhile is passed over.
    pub(super) async fn next(&mut self) -> Result<Option<PastMessage<'_>>, StoreError> {
        let (row, octets) = loop {
            let Some(row) = self.next_row().await? else { return Ok(None) };
            if let Ok(octets) = self.account.reader(row.email).await {
                break (row, octets);
            }
        };
        self.is_cut = self.left == 0;
        if self.is_cut {
            return Ok(None);
        }
        self.left -= 1;
        Ok(self.mailboxes.front().map(|mailbox| PastMessage { mailbox, row, octets }))
    }

    /// Whether there was more than was to be looked at.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// The next of the first mailbox that has one.
    async fn next_row(&mut self) -> Result<Option<Row>, StoreError> {
        while self.rows.is_empty() {
            let Some(mailbox) = self.mailboxes.front() else { return Ok(None) };
            if self.next >= mailbox.uid_next.0 {
                self.mailboxes.pop_front();
                self.next = 1;
                continue;
            }
            let last = self.next.saturating_add(BATCH - 1);
            let uids = UidSet::from_ranges([(self.next, last)]);
            let rows = self.account.rows(mailbox.id, &uids, self.want).await?;
            self.rows.extend(rows.into_iter().filter(|row| row.internal_date.unix_millis() >= self.since));
            self.next = last.saturating_add(1);
        }
        Ok(self.rows.pop_front())
    }
}

/// The sender that a message of ours has on top, by its beginning.
pub(super) fn reverse_path_in(octets: &[u8]) -> ReversePath {
    let field = fields(octets).find(|field| field.is_named("Return-Path"));
    let path = field.map(|field| String::from_utf8_lossy(field.value).trim().to_owned());
    let address = path.as_deref().map(|path| path.trim_matches(['<', '>']));
    address.and_then(|address| Address::parse(address).ok()).map_or(ReversePath::Null, ReversePath::Address)
}

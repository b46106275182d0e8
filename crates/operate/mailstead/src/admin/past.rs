//! Mail that is there, looked at again: what scripts or the filter would do with it now.

use std::collections::VecDeque;
use std::time::Duration;

use mail_types::{SpecialUse, UidSet};
use mailstore::{Account, MailboxInfo, Row, StoreError, Want};
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
}

impl<'a> PastMail<'a> {
    /// What has come in the last time.
    pub(super) async fn of(
        account: &'a Account,
        want: Want,
        last: Duration,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let is_delivered_to = |mailbox: &&MailboxInfo| {
            !matches!(mailbox.special_use, Some(SpecialUse::Sent | SpecialUse::Drafts | SpecialUse::Trash))
        };
        let mailboxes =
            account.mailboxes().await?.mailboxes.iter().filter(is_delivered_to).cloned().collect();
        let last = i64::try_from(last.as_millis()).unwrap_or(i64::MAX);
        let since = now.unix_millis().saturating_sub(last);
        Ok(Self { account, want, since, mailboxes, next: 1, rows: VecDeque::new() })
    }

    /// The next message, and where it lies.
    pub(super) async fn next(&mut self) -> Result<Option<(&MailboxInfo, Row)>, StoreError> {
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
        Ok(self.mailboxes.front().zip(self.rows.pop_front()))
    }
}

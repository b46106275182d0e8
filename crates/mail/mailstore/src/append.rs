//! Filing what clients APPEND (RFC 9051 §6.3.12, MULTIAPPEND RFC 3502), and the proof of filing.

use std::sync::Arc;

use mail_types::{AccountId, EmailId, Flags, MailboxId, ModSeq, TransactionId, Uid, UidValidity};
use platform::clock::Timestamp;

use crate::account::Account;
use crate::engine::{Entry, Share, Turn, received};
use crate::error::StoreError;
use crate::flags::FlagNames;
use crate::intake::Arriving;
use crate::keywords::{KeywordTable, known_flags};
use crate::note::{FiledRecord, Record, Stored};
use crate::open_account::{Decided, OpenAccount};
use crate::quota::{QuotaLimit, QuotaUsage};
use crate::state::AccountState;

/// One message of an APPEND.
#[derive(Debug)]
pub struct Append {
    /// The message.
    pub message: Arriving,
    /// Its flags.
    pub flags: FlagNames,
    /// INTERNALDATE; now, if not given.
    pub internal_date: Option<Timestamp>,
}

/// Proof that a message is filed and on disk: only this crate makes one.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Filed {
    /// Whose.
    pub account: AccountId,
    /// Where.
    pub mailbox: MailboxId,
    /// The mailbox's UIDVALIDITY.
    pub uid_validity: UidValidity,
    /// The message's identifier there.
    pub uid: Uid,
    /// The mod-sequence of its filing.
    pub modseq: ModSeq,
    /// Its octets' identifier in the account.
    pub email: EmailId,
}

impl Account {
    /// Files messages, all or none (RFC 3502); returns when they are on disk and every reader sees them.
    /// The answers stand in the order of the messages.
    ///
    /// # Errors
    /// [`StoreError::OverQuota`], [`StoreError::NoSuchMailbox`], [`StoreError::Full`], [`StoreError::Limit`].
    pub async fn append(
        &self,
        mailbox: MailboxId,
        messages: Vec<Append>,
        quota: QuotaLimit,
        way: TransactionId,
    ) -> Result<Vec<Filed>, StoreError> {
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let core = self.core();
        let names: Vec<&FlagNames> = messages.iter().map(|append| &append.flags).collect();
        let flags = core.flags_for(mailbox, &names).await?;
        let room =
            core.engine.room_for(messages.iter().map(|append| append.message.digest.octets()).sum()).await?;
        let (filed, receiver) = {
            let mut state = core.state();
            core.check()?;
            let (entries, filed) =
                core.filings(&mut state, mailbox, messages.into_iter().zip(flags), (quota, way))?;
            (filed, core.submit_applied(entries, Some(room), Turn::none()))
        };
        received(receiver.await)?;
        Ok(filed)
    }
}

impl OpenAccount {
    /// An entry and a proof for each message; the proofs are given out when the entries are durable.
    fn filings(
        self: &Arc<Self>,
        state: &mut AccountState,
        mailbox: MailboxId,
        messages: impl ExactSizeIterator<Item = (Append, Flags)>,
        (quota, way): (QuotaLimit, TransactionId),
    ) -> Result<(Vec<Entry>, Vec<Filed>), StoreError> {
        let now = self.engine.clock.now();
        let mut entries = Vec::with_capacity(messages.len());
        let mut filed = Vec::with_capacity(messages.len());
        for (append, flags) in messages {
            let octets = append.message.octets();
            let reservation = self.reserve(state, QuotaUsage { octets, messages: 1 }, quota)?;
            let email = EmailId(state.next_modseq()?.0);
            let place = Place {
                mailbox,
                email,
                octets,
                flags,
                way,
                internal_date: append.internal_date.unwrap_or(now),
            };
            let (record, proof) = place.file(self.id, state, now)?;
            let records = vec![Record::Stored(Stored { email, octets, thread: None }), record];
            entries.push(Entry {
                blob: Some(append.message.blob),
                digest: Some(append.message.digest),
                shares: vec![Share { core: Arc::clone(self), records, reservations: vec![reservation] }],
                note: None,
            });
            filed.push(proof);
        }
        Ok((entries, filed))
    }

    /// Flags by number, after keywords that the mailbox did not have were added to it.
    pub(crate) async fn flags_for(
        self: &Arc<Self>,
        mailbox: MailboxId,
        names: &[&FlagNames],
    ) -> Result<Vec<Flags>, StoreError> {
        if let Some(flags) = known(&self.state().mailbox(mailbox)?.keywords, names) {
            return Ok(flags);
        }
        let turn = self.turn().await?;
        let add = |state: &mut AccountState| {
            let mut table = KeywordTable::new(&state.mailbox(mailbox)?.keywords);
            let flags = names.iter().map(|names| table.flags(names)).collect::<Result<_, _>>()?;
            Ok(Decided::new(state.with_keywords(mailbox, table)?.into_iter().collect(), flags))
        };
        self.change(turn, add).await.map(|(flags, _)| flags)
    }
}

fn known(keywords: &[mail_types::Keyword], names: &[&FlagNames]) -> Option<Vec<Flags>> {
    names.iter().map(|names| known_flags(names, keywords)).collect()
}

/// A place for an email, about to be taken.
pub(crate) struct Place {
    pub(crate) mailbox: MailboxId,
    pub(crate) email: EmailId,
    pub(crate) octets: u64,
    pub(crate) flags: Flags,
    pub(crate) internal_date: Timestamp,
    pub(crate) way: TransactionId,
}

impl Place {
    /// Gives the place its numbers.
    pub(crate) fn file(
        self,
        account: AccountId,
        state: &mut AccountState,
        now: Timestamp,
    ) -> Result<(Record, Filed), StoreError> {
        let modseq = state.next_modseq()?;
        let mailbox = state.mailbox_mut(self.mailbox)?;
        let uid = mailbox.next_uid()?;
        let filed = Filed {
            account,
            mailbox: self.mailbox,
            uid_validity: mailbox.row.state.uid_validity,
            uid,
            modseq,
            email: self.email,
        };
        let record = Record::Filed(FiledRecord {
            mailbox: self.mailbox,
            uid,
            modseq,
            flags: self.flags,
            internal_date: self.internal_date,
            save_date: now,
            email: self.email,
            octets: self.octets,
            way: self.way,
        });
        Ok((record, filed))
    }
}

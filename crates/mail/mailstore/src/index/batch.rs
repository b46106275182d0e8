//! Applying records to the SQLite index, many in one transaction.
//!
//! Rows of mailboxes and of the account are read once, changed in memory and written at the end. In the log's order
//! mod-sequences only grow, so a record with one that was seen before is a purge's copy, and nothing is done twice;
//! in a rebuild the phases order what must be ordered, and mod-sequences decide the rest.

use std::collections::BTreeMap;

use mail_types::{Flags, KeywordSet, MailboxId, ModSeq, SystemFlag, Uid};
use platform::clock::Timestamp;
use storage::rusqlite::{self, CachedStatement, Connection, OptionalExtension, params};

use super::sqlite::{MAILBOX_COLUMNS, account_row, keywords_text, mailbox_row, number};
use super::{AccountRow, Applied, MailboxRow, Order, Phase, ToApply};
use crate::note::{Expunged, FiledRecord, FlagsSet, MailboxDeleted, MailboxState, Record, Subscription};

pub(super) type SqlResult<T> = Result<T, rusqlite::Error>;

/// A batch under way.
pub(super) struct Batch<'a> {
    connection: &'a Connection,
    pub(super) order: Order,
    account: AccountRow,
    /// The account's last mod-sequence before the entry under way.
    modseq_before: ModSeq,
    mailboxes: BTreeMap<MailboxId, Option<Touched>>,
}

/// A mailbox while its batch is applied.
pub(super) struct Touched {
    row: MailboxRow,
    pub(super) tombstones: u64,
    pub(super) vanished_known_from: ModSeq,
    is_changed: bool,
}

/// Sums over messages about to change.
struct Sums {
    messages: u64,
    seen: u64,
    deleted: u64,
    octets: u64,
}

impl<'a> Batch<'a> {
    pub(super) fn begin(connection: &'a Connection, order: Order) -> SqlResult<Self> {
        let account = account_row(connection)?;
        Ok(Self {
            connection,
            order,
            account,
            modseq_before: account.modseq_last,
            mailboxes: BTreeMap::new(),
        })
    }

    pub(super) fn entry(&mut self, entry: &ToApply<'_>) -> SqlResult<()> {
        if self.order == Order::Log && entry.position <= self.account.applied {
            return Ok(());
        }
        self.account.applied = self.account.applied.max(entry.position);
        self.modseq_before = self.account.modseq_last;
        for record in entry.records {
            if !self.account.is_removed && self.belongs_here(record) {
                self.record(record, entry)?;
            }
        }
        Ok(())
    }

    fn belongs_here(&self, record: &Record) -> bool {
        let Order::Rebuild(phase) = self.order else { return true };
        match record {
            Record::Filed(_) => phase == Phase::Messages,
            Record::FlagsSet(_) | Record::Expunged(_) => phase == Phase::Changes,
            Record::Stored(_)
            | Record::Mailbox(_)
            | Record::MailboxDeleted(_)
            | Record::Subscription(_)
            | Record::Script(_)
            | Record::ActiveScript(_)
            | Record::Annotation(_)
            | Record::AccountRemoved => phase == Phase::Mailboxes,
        }
    }

    fn record(&mut self, record: &Record, entry: &ToApply<'_>) -> SqlResult<()> {
        if self.is_copy(record) {
            return match record {
                Record::Stored(stored) => self.place(stored, entry).map(drop),
                _ => Ok(()),
            };
        }
        match record {
            Record::Stored(stored) => self.stored(stored, entry),
            Record::Filed(filed) => self.filed(filed),
            Record::FlagsSet(set) => self.flags_set(set),
            Record::Expunged(expunged) => self.expunged(expunged),
            Record::Mailbox(state) => self.mailbox_state(state),
            Record::MailboxDeleted(deleted) => self.mailbox_deleted(deleted),
            Record::Subscription(subscription) => self.subscription(subscription),
            Record::Script(script) => self.script(script),
            Record::ActiveScript(active) => self.active_script(active),
            Record::Annotation(annotation) => self.annotation(annotation),
            Record::AccountRemoved => self.account_removed(),
        }
    }

    /// Whether a purge wrote the record once more, behind what came after it. What it said may be over by now: the
    /// mailbox gone and forgotten, the name unsubscribed. Only the place of octets is news.
    fn is_copy(&self, record: &Record) -> bool {
        let is_numbered = *record != Record::AccountRemoved;
        self.order == Order::Log && is_numbered && record.modseq() <= self.modseq_before
    }

    fn filed(&mut self, filed: &FiledRecord) -> SqlResult<()> {
        self.stamp(filed.modseq);
        let is_rebuild = self.order != Order::Log;
        let Some(mailbox) = self.mailbox(filed.mailbox)? else { return Ok(()) };
        mailbox.row.highest_modseq = mailbox.row.highest_modseq.max(filed.modseq);
        mailbox.row.uid_next = mailbox.row.uid_next.max(Uid(filed.uid.0.saturating_add(1)));
        mailbox.is_changed = true;
        let deleted_at = mailbox.row.deleted_at;
        if let Some(at) = deleted_at {
            return if is_rebuild { self.insert_expunged(filed, at) } else { Ok(()) };
        }
        if self.insert_message(filed)? {
            let sums = Sums {
                messages: 1,
                seen: filed.flags.has(SystemFlag::Seen).into(),
                deleted: filed.flags.has(SystemFlag::Deleted).into(),
                octets: filed.octets,
            };
            if let Some(mailbox) = self.mailbox(filed.mailbox)? {
                mailbox.add(&sums);
            }
        }
        Ok(())
    }

    fn insert_message(&self, filed: &FiledRecord) -> SqlResult<bool> {
        let (low, high) = halves(filed.flags.keywords);
        let inserted = self
            .statement(
                "INSERT OR IGNORE INTO messages(mailbox, uid, modseq, flags, keywords, keywords_high, \
                 internal_date, save_date, octets, email) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?
            .execute(params![
                filed.mailbox.0,
                filed.uid.0,
                number(filed.modseq.0),
                filed.flags.system,
                low,
                high,
                filed.internal_date.unix_millis(),
                filed.save_date.unix_millis(),
                number(filed.octets),
                number(filed.email.0)
            ])?;
        Ok(inserted > 0)
    }

    fn insert_expunged(&self, filed: &FiledRecord, at: Timestamp) -> SqlResult<()> {
        let (low, high) = halves(filed.flags.keywords);
        self.statement(
            "INSERT OR IGNORE INTO expunged_messages(mailbox, uid, modseq, flags, keywords, keywords_high, \
             internal_date, save_date, octets, email, at) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            filed.mailbox.0,
            filed.uid.0,
            number(filed.modseq.0),
            filed.flags.system,
            low,
            high,
            filed.internal_date.unix_millis(),
            filed.save_date.unix_millis(),
            number(filed.octets),
            number(filed.email.0),
            at.unix_millis()
        ])?;
        Ok(())
    }

    fn flags_set(&mut self, set: &FlagsSet) -> SqlResult<()> {
        self.stamp(set.modseq);
        let is_rebuild = self.order != Order::Log;
        let Some(mailbox) = self.mailbox(set.mailbox)? else { return Ok(()) };
        mailbox.row.highest_modseq = mailbox.row.highest_modseq.max(set.modseq);
        mailbox.is_changed = true;
        for (flags, uids) in set.groups() {
            for &range in uids.ranges() {
                self.flags_of_range(set, *flags, range)?;
                if is_rebuild {
                    self.update_flags("expunged_messages", set, *flags, range)?;
                }
            }
        }
        Ok(())
    }

    fn flags_of_range(&mut self, set: &FlagsSet, flags: Flags, range: (u32, u32)) -> SqlResult<()> {
        let before = self.sums(set.mailbox, range, set.modseq)?;
        if before.messages == 0 {
            return Ok(());
        }
        self.update_flags("messages", set, flags, range)?;
        let all_if = |flag| if flags.has(flag) { before.messages } else { 0 };
        let after = Sums { seen: all_if(SystemFlag::Seen), deleted: all_if(SystemFlag::Deleted), ..before };
        if let Some(mailbox) = self.mailbox(set.mailbox)? {
            mailbox.take(&before);
            mailbox.add(&after);
        }
        Ok(())
    }

    fn update_flags(
        &self,
        table: &str,
        set: &FlagsSet,
        flags: Flags,
        (first, last): (u32, u32),
    ) -> SqlResult<usize> {
        let (low, high) = halves(flags.keywords);
        let sql = format!(
            "UPDATE {table} SET flags = ?1, keywords = ?2, keywords_high = ?3, modseq = ?4 \
             WHERE mailbox = ?5 AND uid BETWEEN ?6 AND ?7 AND modseq < ?4"
        );
        self.statement(&sql)?.execute(params![
            flags.system,
            low,
            high,
            number(set.modseq.0),
            set.mailbox.0,
            first,
            last
        ])
    }

    fn expunged(&mut self, expunged: &Expunged) -> SqlResult<()> {
        self.stamp(expunged.modseq);
        let is_rebuild = self.order != Order::Log;
        let Some(mailbox) = self.mailbox(expunged.mailbox)? else { return Ok(()) };
        mailbox.row.highest_modseq = mailbox.row.highest_modseq.max(expunged.modseq);
        let after = expunged.uids.last().map_or(1, |last| last.0.saturating_add(1));
        mailbox.row.uid_next = mailbox.row.uid_next.max(Uid(after));
        mailbox.is_changed = true;
        let is_deleted = mailbox.row.deleted_at.is_some();
        for &range in expunged.uids.ranges() {
            if is_rebuild {
                self.date_expunged(expunged, range)?;
            }
            if !is_deleted {
                self.expunge_range(expunged.mailbox, range, expunged.at)?;
            }
        }
        if is_deleted {
            Ok(())
        } else {
            self.add_tombstones(expunged.mailbox, expunged.modseq, &expunged.uids)
        }
    }

    fn expunge_range(&mut self, mailbox: MailboxId, range: (u32, u32), at: Timestamp) -> SqlResult<()> {
        let sums = self.sums(mailbox, range, ModSeq::MAX)?;
        if sums.messages == 0 {
            return Ok(());
        }
        let (first, last) = range;
        self.statement(
            "INSERT OR IGNORE INTO expunged_messages SELECT mailbox, uid, modseq, flags, keywords, \
             keywords_high, internal_date, save_date, octets, email, ?4 FROM messages \
             WHERE mailbox = ?1 AND uid BETWEEN ?2 AND ?3",
        )?
        .execute(params![mailbox.0, first, last, at.unix_millis()])?;
        self.statement("DELETE FROM messages WHERE mailbox = ?1 AND uid BETWEEN ?2 AND ?3")?
            .execute([mailbox.0, first, last])?;
        if let Some(mailbox) = self.mailbox(mailbox)? {
            mailbox.take(&sums);
        }
        Ok(())
    }

    /// A message of a deleted mailbox had been expunged before.
    fn date_expunged(&self, expunged: &Expunged, (first, last): (u32, u32)) -> SqlResult<()> {
        self.statement(
            "UPDATE expunged_messages SET at = MIN(at, ?4) WHERE mailbox = ?1 AND uid BETWEEN ?2 AND ?3",
        )?
        .execute(params![expunged.mailbox.0, first, last, expunged.at.unix_millis()])?;
        Ok(())
    }

    fn mailbox_state(&mut self, state: &MailboxState) -> SqlResult<()> {
        self.stamp(state.modseq);
        self.account.mailbox_last = self.account.mailbox_last.max(state.id);
        self.account.uid_validity_last = self.account.uid_validity_last.max(state.uid_validity.0);
        match self.mailbox(state.id)? {
            Some(known) if known.row.state.modseq >= state.modseq || known.row.deleted_at.is_some() => {}
            Some(known) => {
                known.row.highest_modseq = known.row.highest_modseq.max(state.modseq);
                known.row.state = state.clone();
                known.is_changed = true;
            }
            None => {
                self.mailboxes.insert(state.id, Some(Touched::new(state.clone())));
            }
        }
        Ok(())
    }

    fn mailbox_deleted(&mut self, deleted: &MailboxDeleted) -> SqlResult<()> {
        self.stamp(deleted.modseq);
        self.account.mailbox_last = self.account.mailbox_last.max(deleted.id);
        self.account.uid_validity_last = self.account.uid_validity_last.max(deleted.uid_validity.0);
        if self.mailbox(deleted.id)?.is_none() {
            let state = MailboxState {
                id: deleted.id,
                modseq: deleted.modseq,
                name: mail_types::MailboxName::inbox(),
                uid_validity: deleted.uid_validity,
                special_use: None,
                keywords: Vec::new(),
            };
            self.mailboxes.insert(deleted.id, Some(Touched::new(state)));
        }
        self.expunge_range(deleted.id, (1, u32::MAX), deleted.at)?;
        self.statement("DELETE FROM tombstones WHERE mailbox = ?1")?.execute([deleted.id.0])?;
        self.drop_annotations(deleted.id)?;
        if let Some(touched) = self.mailbox(deleted.id)? {
            touched.row.highest_modseq = touched.row.highest_modseq.max(deleted.modseq);
            touched.row.deleted_at = Some(deleted.at);
            touched.tombstones = 0;
            touched.is_changed = true;
        }
        Ok(())
    }

    fn subscription(&mut self, subscription: &Subscription) -> SqlResult<()> {
        self.stamp(subscription.modseq);
        self.statement(
            "INSERT INTO subscriptions(name, modseq, is_subscribed) VALUES(?1, ?2, ?3) \
             ON CONFLICT(name) DO UPDATE SET modseq = ?2, is_subscribed = ?3 WHERE modseq < ?2",
        )?
        .execute(params![
            subscription.name.as_str(),
            number(subscription.modseq.0),
            subscription.is_subscribed
        ])?;
        // In the log's order nothing older follows that a remembered "no" would have to hold back.
        if self.order == Order::Log {
            self.statement("DELETE FROM subscriptions WHERE name = ?1 AND is_subscribed = 0")?
                .execute([subscription.name.as_str()])?;
        }
        Ok(())
    }

    fn account_removed(&mut self) -> SqlResult<()> {
        self.account.is_removed = true;
        self.mailboxes.clear();
        self.connection.execute_batch(
            "DELETE FROM mailboxes; DELETE FROM messages; DELETE FROM expunged_messages; DELETE FROM tombstones; \
             DELETE FROM emails; DELETE FROM headers; DELETE FROM threads; DELETE FROM links_to_thread; \
             DELETE FROM subscriptions; DELETE FROM scripts; DELETE FROM active_script; DELETE FROM annotations;",
        )
    }

    fn sums(&self, mailbox: MailboxId, (first, last): (u32, u32), below: ModSeq) -> SqlResult<Sums> {
        let sql = "SELECT COUNT(*), TOTAL(flags & 1), TOTAL((flags >> 3) & 1), TOTAL(octets) FROM messages \
                   WHERE mailbox = ?1 AND uid BETWEEN ?2 AND ?3 AND modseq < ?4";
        self.statement(sql)?.query_row(params![mailbox.0, first, last, number(below.0)], |row| {
            Ok(Sums {
                messages: row.get::<_, i64>(0)? as u64,
                seen: row.get::<_, f64>(1)? as u64,
                deleted: row.get::<_, f64>(2)? as u64,
                octets: row.get::<_, f64>(3)? as u64,
            })
        })
    }

    pub(super) fn stamp(&mut self, modseq: ModSeq) {
        self.account.modseq_last = self.account.modseq_last.max(modseq);
    }

    pub(super) fn mailbox(&mut self, id: MailboxId) -> SqlResult<Option<&mut Touched>> {
        if !self.mailboxes.contains_key(&id) {
            let sql = format!(
                "SELECT {MAILBOX_COLUMNS}, tombstones, vanished_known_from FROM mailboxes WHERE id = ?1"
            );
            let touched = self
                .statement(&sql)?
                .query_row([id.0], |row| {
                    Ok(Touched {
                        row: mailbox_row(row)?,
                        tombstones: row.get::<_, i64>(13)? as u64,
                        vanished_known_from: ModSeq(row.get::<_, i64>(14)? as u64),
                        is_changed: false,
                    })
                })
                .optional()?;
            self.mailboxes.insert(id, touched);
        }
        Ok(self.mailboxes.get_mut(&id).and_then(Option::as_mut))
    }

    pub(super) fn statement(&self, sql: &str) -> SqlResult<CachedStatement<'a>> {
        self.connection.prepare_cached(sql)
    }

    /// Writes the rows that were kept in memory.
    pub(super) fn finish(self) -> SqlResult<Applied> {
        let mut changed = Vec::new();
        for touched in self.mailboxes.values().flatten().filter(|touched| touched.is_changed) {
            self.write_mailbox(touched)?;
        }
        for touched in self.mailboxes.into_values().flatten().filter(|touched| touched.is_changed) {
            changed.push(touched.row);
        }
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO account(id, pack, offset, modseq_last, mailbox_last, uid_validity_last, \
                 is_removed) VALUES(1, ?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                self.account.applied.pack.0,
                number(self.account.applied.offset),
                number(self.account.modseq_last.0),
                self.account.mailbox_last.0,
                self.account.uid_validity_last,
                self.account.is_removed
            ])?;
        Ok(Applied { account: self.account, mailboxes: changed })
    }

    fn write_mailbox(&self, touched: &Touched) -> SqlResult<()> {
        let (row, state) = (&touched.row, &touched.row.state);
        self.statement(
            "INSERT OR REPLACE INTO mailboxes(id, state_modseq, name, uid_validity, special_use, keywords, \
             uid_next, highest_modseq, messages, unseen, deleted, octets, deleted_at, tombstones, \
             vanished_known_from) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        )?
        .execute(params![
            state.id.0,
            number(state.modseq.0),
            state.name.as_str(),
            state.uid_validity.0,
            state.special_use.map_or(0, |special_use| special_use as u8),
            keywords_text(&state.keywords),
            row.uid_next.0,
            number(row.highest_modseq.0),
            number(row.messages),
            number(row.unseen),
            number(row.deleted),
            number(row.octets),
            row.deleted_at.map(Timestamp::unix_millis),
            number(touched.tombstones),
            number(touched.vanished_known_from.0)
        ])?;
        Ok(())
    }
}

impl Touched {
    pub(super) fn is_deleted(&self) -> bool {
        self.row.deleted_at.is_some()
    }

    fn new(state: MailboxState) -> Self {
        let row = MailboxRow {
            uid_next: Uid(1),
            highest_modseq: state.modseq,
            messages: 0,
            unseen: 0,
            deleted: 0,
            octets: 0,
            deleted_at: None,
            state,
        };
        Self { row, tombstones: 0, vanished_known_from: ModSeq(0), is_changed: true }
    }

    fn add(&mut self, sums: &Sums) {
        self.row.messages += sums.messages;
        self.row.unseen += sums.messages - sums.seen;
        self.row.deleted += sums.deleted;
        self.row.octets += sums.octets;
        self.is_changed = true;
    }

    fn take(&mut self, sums: &Sums) {
        self.row.messages = self.row.messages.saturating_sub(sums.messages);
        self.row.unseen = self.row.unseen.saturating_sub(sums.messages - sums.seen);
        self.row.deleted = self.row.deleted.saturating_sub(sums.deleted);
        self.row.octets = self.row.octets.saturating_sub(sums.octets);
        self.is_changed = true;
    }
}

/// A keyword set as two of SQLite's integers; the zeros that most messages have take no octets.
pub(super) fn halves(keywords: KeywordSet) -> (i64, i64) {
    (keywords.0 as i64, (keywords.0 >> 64) as i64)
}

/// What [`halves`] parted.
pub(super) fn whole(low: i64, high: i64) -> KeywordSet {
    KeywordSet(u128::from(high as u64) << 64 | u128::from(low as u64))
}

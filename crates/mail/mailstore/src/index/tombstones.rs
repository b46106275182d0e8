//! Remembering who vanished, for clients that were away (RFC 7162 §3.2).

use mail_types::{MailboxId, ModSeq, UidSet};
use storage::rusqlite::{Connection, params};

use super::Order;
use super::batch::{Batch, SqlResult};
use super::sqlite::number;

/// Ranges of expunged identifiers that a mailbox remembers for QRESYNC. At a thousand expunges a day it is weeks;
/// beyond them a client gets the conservative answer of RFC 7162 §3.2.5.2.
pub(crate) const TOMBSTONES_MAX: u64 = 20_000;

impl Batch<'_> {
    pub(super) fn add_tombstones(
        &mut self,
        mailbox: MailboxId,
        modseq: ModSeq,
        uids: &UidSet,
    ) -> SqlResult<()> {
        let mut added = 0;
        {
            let mut statement = self.statement(
                "INSERT OR IGNORE INTO tombstones(mailbox, modseq, first, last) VALUES(?1, ?2, ?3, ?4)",
            )?;
            for &(first, last) in uids.ranges() {
                added += statement.execute(params![mailbox.0, number(modseq.0), first, last])? as u64;
            }
        }
        let Some(touched) = self.mailbox(mailbox)? else { return Ok(()) };
        touched.tombstones += added;
        // A rebuild meets them in any order: which are the newest, it knows only at its end.
        let is_too_many = touched.tombstones > TOMBSTONES_MAX && self.order == Order::Log;
        if is_too_many { self.halve_tombstones(mailbox) } else { Ok(()) }
    }

    fn halve_tombstones(&mut self, mailbox: MailboxId) -> SqlResult<()> {
        let sql = "SELECT modseq FROM tombstones WHERE mailbox = ?1 ORDER BY modseq DESC LIMIT 1 OFFSET ?2";
        let until: i64 = self
            .statement(sql)?
            .query_row(params![mailbox.0, number(TOMBSTONES_MAX / 2)], |row| row.get(0))?;
        let gone = self
            .statement("DELETE FROM tombstones WHERE mailbox = ?1 AND modseq <= ?2")?
            .execute(params![mailbox.0, until])?;
        if let Some(touched) = self.mailbox(mailbox)? {
            touched.tombstones = touched.tombstones.saturating_sub(gone as u64);
            touched.vanished_known_from = touched.vanished_known_from.max(ModSeq(until as u64));
        }
        Ok(())
    }
}

/// At the end of a rebuild: as many of the newest as there may be, so that nobody who is told exactly who vanished
/// before it is told less after it.
pub(super) fn drop_oldest(connection: &Connection) -> SqlResult<()> {
    let sql = "SELECT id FROM mailboxes WHERE tombstones > ?1";
    let crowded: Vec<u32> = connection
        .prepare(sql)?
        .query_map([number(TOMBSTONES_MAX)], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for mailbox in crowded {
        let sql = "SELECT modseq FROM tombstones WHERE mailbox = ?1 ORDER BY modseq DESC LIMIT 1 OFFSET ?2";
        let until: i64 =
            connection.query_row(sql, params![mailbox, number(TOMBSTONES_MAX)], |row| row.get(0))?;
        let gone = connection
            .execute("DELETE FROM tombstones WHERE mailbox = ?1 AND modseq <= ?2", params![mailbox, until])?;
        connection.execute(
            "UPDATE mailboxes SET tombstones = tombstones - ?2, vanished_known_from = ?3 WHERE id = ?1",
            params![mailbox, gone as i64, until],
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use mail_types::{MailboxName, Uid, UidValidity};
    use platform::clock::Timestamp;
    use storage::{LogPosition, PackId};

    use super::*;
    use crate::index::{AccountIndex, Phase, SqliteIndex, ToApply, Vanished};
    use crate::note::{Expunged, MailboxState, Record};

    const MAILBOX: MailboxId = MailboxId(1);

    /// A mailbox and this many expunges in it, each of one message, by mod-sequences from 2 on.
    fn history(expunges: u32) -> Vec<Record> {
        let mailbox = Record::Mailbox(MailboxState {
            id: MAILBOX,
            modseq: ModSeq(1),
            name: MailboxName::inbox(),
            uid_validity: UidValidity(1),
            special_use: None,
            keywords: Vec::new(),
        });
        let expunged = |uid: u32| {
            Record::Expunged(Expunged {
                mailbox: MAILBOX,
                modseq: ModSeq(u64::from(uid) + 1),
                uids: [Uid(uid)].into_iter().collect(),
                at: Timestamp::from_unix_millis(1),
            })
        };
        std::iter::once(mailbox).chain((1..=expunges).map(expunged)).collect()
    }

    fn to_apply<'a>(records: impl Iterator<Item = &'a Record>) -> Vec<ToApply<'a>> {
        let entry = |(number, record): (usize, &'a Record)| ToApply {
            position: LogPosition { pack: PackId(1), offset: number as u64 + 1 },
            blob: None,
            records: std::slice::from_ref(record),
            digest: None,
        };
        records.enumerate().map(entry).collect()
    }

    /// The index that followed the log, and one made anew after purges that left the newest first.
    fn both(expunges: u32) -> [SqliteIndex; 2] {
        let directory = tempfile::tempdir().unwrap();
        let records = history(expunges);
        let mut original = SqliteIndex::open(&directory.path().join("index.db")).unwrap();
        original.apply(Order::Log, &to_apply(records.iter())).unwrap();
        let mut anew = SqliteIndex::open(&directory.path().join("new.db")).unwrap();
        for phase in [Phase::Mailboxes, Phase::Messages, Phase::Changes] {
            anew.apply(Order::Rebuild(phase), &to_apply(records.iter().rev())).unwrap();
        }
        anew.finish_rebuild().unwrap();
        [original, anew]
    }

    /// From which mod-sequence on an index tells exactly who vanished.
    fn known_from(index: &SqliteIndex) -> u64 {
        let is_known =
            |since: u64| index.vanished_since(MAILBOX, ModSeq(since)).unwrap() != Vanished::Unknown;
        let (mut below, mut known) = (0, u64::from(u32::MAX));
        if is_known(0) {
            return 0;
        }
        while known - below > 1 {
            let middle = below.midpoint(known);
            if is_known(middle) { known = middle } else { below = middle }
        }
        known
    }

    #[test]
    fn a_rebuild_knows_as_exactly_who_vanished_as_the_original() {
        let expunges = TOMBSTONES_MAX as u32 + 5_000;
        let [original, anew] = both(expunges);
        let since = known_from(&original);
        assert_eq!(since, TOMBSTONES_MAX / 2 + 2, "what the older half was when there was one too many");
        assert!(known_from(&anew) <= since);
        let (one, other) =
            (original.vanished_since(MAILBOX, ModSeq(since)), anew.vanished_since(MAILBOX, ModSeq(since)));
        assert_eq!(one.unwrap(), other.unwrap());
    }

    #[test]
    fn a_rebuild_keeps_as_many_as_there_may_be() {
        let most = TOMBSTONES_MAX as u32;
        for (expunges, known) in [(most - 1, 0), (most, 0), (most + 1, 2)] {
            let [_, anew] = both(expunges);
            assert_eq!(known_from(&anew), known, "{expunges}");
        }
    }
}

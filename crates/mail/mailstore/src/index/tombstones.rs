//! Remembering who vanished, for clients that were away (RFC 7162 §3.2).

use mail_types::{MailboxId, ModSeq, UidSet};
use storage::rusqlite::params;

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
        if touched.tombstones > TOMBSTONES_MAX { self.halve_tombstones(mailbox) } else { Ok(()) }
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

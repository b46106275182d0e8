//! Applying that an email's octets are in the log: its row, its folded headers, its thread (RFC 8474).

use mail_types::ModSeq;
use storage::rusqlite::{OptionalExtension, params};

use super::batch::{Batch, SqlResult};
use super::sqlite::number;
use super::{Order, ToApply};
use crate::note::Stored;

impl Batch<'_> {
    pub(super) fn stored(&mut self, stored: &Stored, entry: &ToApply<'_>) -> SqlResult<()> {
        self.stamp(ModSeq(stored.email.0));
        let Some(blob) = entry.blob else { return Ok(()) };
        let is_there = self.place(stored, entry)?;
        let Some(digest) = entry.digest.filter(|_| !is_there) else { return Ok(()) };
        let thread = match (stored.thread, self.order) {
            (Some(thread), _) => thread.0,
            (None, Order::Log) => self.thread_among(&digest.links)?.unwrap_or(stored.email.0),
            // The threads of a rebuild are chosen at its end, in the order in which mail came.
            (None, Order::Rebuild(_)) => 0,
        };
        self.statement(
            "INSERT INTO emails(id, pack, offset, stored, octets, thread, summary) \
             VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            number(stored.email.0),
            blob.pack.0,
            number(blob.offset),
            number(in_log(entry)),
            number(stored.octets),
            number(thread),
            digest.summary
        ])?;
        self.statement("INSERT OR REPLACE INTO headers(email, folded) VALUES(?1, ?2)")?
            .execute(params![number(stored.email.0), digest.headers])?;
        if thread == 0 {
            self.keep_links(stored, &digest.links)
        } else {
            self.join_thread(&digest.links, thread)
        }
    }

    /// Notes where an email's octets are; whether the email is there.
    pub(super) fn place(&self, stored: &Stored, entry: &ToApply<'_>) -> SqlResult<bool> {
        let Some(blob) = entry.blob else { return Ok(false) };
        // A purge moved the octets, or left them twice: both places are good while their packs stand.
        let placed = self
            .statement(
                "UPDATE emails SET pack = ?2, offset = ?3, stored = ?4, thread = IIF(thread = 0, ?5, thread) \
                 WHERE id = ?1",
            )?
            .execute(params![
                number(stored.email.0),
                blob.pack.0,
                number(blob.offset),
                number(in_log(entry)),
                number(stored.thread.map_or(0, |thread| thread.0))
            ])?;
        Ok(placed > 0)
    }

    fn thread_among(&self, links: &[u64]) -> SqlResult<Option<u64>> {
        let mut statement = self.statement("SELECT thread FROM threads WHERE link = ?1")?;
        for link in links {
            let thread: Option<i64> = statement.query_row([number(*link)], |row| row.get(0)).optional()?;
            if let Some(thread) = thread {
                return Ok(Some(thread as u64));
            }
        }
        Ok(None)
    }

    fn join_thread(&self, links: &[u64], thread: u64) -> SqlResult<()> {
        let mut statement = self.statement("INSERT OR IGNORE INTO threads(link, thread) VALUES(?1, ?2)")?;
        for link in links {
            statement.execute([number(*link), number(thread)])?;
        }
        Ok(())
    }

    fn keep_links(&self, stored: &Stored, links: &[u64]) -> SqlResult<()> {
        let mut statement =
            self.statement("INSERT OR REPLACE INTO links_to_thread(email, number, link) VALUES(?1, ?2, ?3)")?;
        for (at, link) in links.iter().enumerate() {
            statement.execute([number(stored.email.0), at as i64, number(*link)])?;
        }
        Ok(())
    }
}

/// What an entry's octets take of the log: a blob in a pack of its own, next to nothing.
fn in_log(entry: &ToApply<'_>) -> u64 {
    let here = entry.blob.filter(|blob| blob.pack == entry.position.pack);
    here.map_or(0, |blob| entry.position.offset.saturating_sub(blob.offset))
}

//! What of an account's mail is still needed: for a purge, which forgets and rewrites.

use mail_types::{EmailId, MailboxId, ModSeq, ThreadId, UidSet};
use platform::clock::Timestamp;
use storage::rusqlite::{Connection, OptionalExtension, params};
use storage::{BlobRef, StorageError};

use super::sqlite::{SqliteIndex, number};
use super::{AccountIndex, EmailPlace, Move, annotations, scripts, tombstones};
use crate::note::{FlagsSet, Record, Stored};

/// How many links to threads are kept for each email, at most, before those of dead threads are dropped.
pub(super) const LINKS_PER_EMAIL_MAX: usize = 8;

pub(super) fn forget_expunged(connection: &Connection, before: Timestamp) -> Result<u64, StorageError> {
    connection.execute_batch("CREATE TEMP TABLE IF NOT EXISTS forgotten(email INTEGER PRIMARY KEY)")?;
    connection
        .prepare_cached("INSERT OR IGNORE INTO forgotten SELECT email FROM expunged_messages WHERE at < ?1")?
        .execute([before.unix_millis()])?;
    let messages = connection
        .prepare_cached("DELETE FROM expunged_messages WHERE at < ?1")?
        .execute([before.unix_millis()])?;
    connection.execute_batch(
        "DELETE FROM forgotten WHERE email IN (SELECT email FROM messages) \
                                  OR email IN (SELECT email FROM expunged_messages);
         DELETE FROM emails WHERE id IN (SELECT email FROM forgotten);
         DELETE FROM headers WHERE email IN (SELECT email FROM forgotten);
         DELETE FROM forgotten;
         DELETE FROM mailboxes WHERE deleted_at IS NOT NULL \
            AND id NOT IN (SELECT DISTINCT mailbox FROM expunged_messages);",
    )?;
    drop_dead_links(connection)?;
    Ok(messages as u64)
}

fn drop_dead_links(connection: &Connection) -> Result<(), StorageError> {
    let count = |table: &str| -> Result<usize, StorageError> {
        let count: i64 =
            connection.query_row(&format!("SELECT COUNT(*) FROM {table}"), [], |row| row.get(0))?;
        Ok(usize::try_from(count).unwrap_or_default())
    };
    if count("threads")? > LINKS_PER_EMAIL_MAX * count("emails")? {
        connection.execute("DELETE FROM threads WHERE thread NOT IN (SELECT thread FROM emails)", [])?;
    }
    Ok(())
}

pub(super) fn move_emails(connection: &Connection, moves: &[Move]) -> Result<(), StorageError> {
    let sql = "UPDATE emails SET pack = ?4, offset = ?5 WHERE id = ?1 AND pack = ?2 AND offset = ?3";
    let mut statement = connection.prepare_cached(sql)?;
    for Move { email, from, to } in moves {
        statement.execute(params![
            number(email.0),
            from.pack.0,
            number(from.offset),
            to.pack.0,
            number(to.offset)
        ])?;
    }
    Ok(())
}

/// The rules by which a purge keeps records. Whatever another pack's records might bring back to life in a rebuild
/// must stay dead: so "expunged", "deleted" and "unsubscribed" stay as long as what they speak of could be named.
pub(super) fn still_needed(
    index: &SqliteIndex,
    record: &Record,
    blob: Option<BlobRef>,
) -> Result<Option<Record>, StorageError> {
    if index.account()?.is_removed {
        return Ok(matches!(record, Record::AccountRemoved).then(|| record.clone()));
    }
    let is_kept = match record {
        Record::Stored(stored) => return stored_needed(index, stored, blob),
        Record::FlagsSet(set) => return flags_needed(index, set),
        Record::Filed(filed) => {
            let connection = index.connection();
            let place = params![filed.mailbox.0, filed.uid.0];
            exists(connection, "SELECT 1 FROM messages WHERE mailbox = ?1 AND uid = ?2", place)?
                || exists(
                    connection,
                    "SELECT 1 FROM expunged_messages WHERE mailbox = ?1 AND uid = ?2",
                    place,
                )?
        }
        Record::Expunged(expunged) => {
            exists(index.connection(), "SELECT 1 FROM mailboxes WHERE id = ?1", params![expunged.mailbox.0])?
        }
        Record::Mailbox(state) => exists(
            index.connection(),
            "SELECT 1 FROM mailboxes WHERE id = ?1 AND state_modseq = ?2",
            params![state.id.0, number(state.modseq.0)],
        )?,
        Record::Subscription(subscription) => {
            let newer = "SELECT 1 FROM subscriptions WHERE name = ?1 AND modseq > ?2";
            let this = "SELECT 1 FROM subscriptions WHERE name = ?1 AND modseq = ?2";
            let key = params![subscription.name.as_str(), number(subscription.modseq.0)];
            match subscription.is_subscribed {
                true => exists(index.connection(), this, key)?,
                false => !exists(index.connection(), newer, key)?,
            }
        }
        Record::Script(script) => scripts::is_script_needed(index.connection(), script)?,
        Record::ActiveScript(active) => scripts::is_active_needed(index.connection(), active)?,
        Record::Annotation(annotation) => annotations::is_needed(index.connection(), annotation)?,
        Record::MailboxDeleted(_) | Record::AccountRemoved => true,
    };
    Ok(is_kept.then(|| record.clone()))
}

fn stored_needed(
    index: &SqliteIndex,
    stored: &Stored,
    blob: Option<BlobRef>,
) -> Result<Option<Record>, StorageError> {
    let place: Option<EmailPlace> = index.email(stored.email)?;
    let place = place.filter(|place| Some(place.blob) == blob);
    Ok(place.map(|place| Record::Stored(Stored { thread: Some(place.thread), ..stored.clone() })))
}

/// Of a change of flags, the messages that still have these flags by it.
fn flags_needed(index: &SqliteIndex, set: &FlagsSet) -> Result<Option<Record>, StorageError> {
    let mut groups = Vec::new();
    for (flags, uids) in set.groups() {
        let mut kept = Vec::new();
        for table in ["messages", "expunged_messages"] {
            still_stamped(index.connection(), table, (set.mailbox, set.modseq), uids, &mut kept)?;
        }
        groups.push((*flags, UidSet::from_ranges(kept)));
    }
    Ok(FlagsSet::new(set.mailbox, set.modseq, groups).map(Record::FlagsSet))
}

fn still_stamped(
    connection: &Connection,
    table: &str,
    (mailbox, modseq): (MailboxId, ModSeq),
    uids: &UidSet,
    kept: &mut Vec<(u32, u32)>,
) -> Result<(), StorageError> {
    let sql = format!("SELECT uid FROM {table} WHERE mailbox = ?1 AND uid BETWEEN ?2 AND ?3 AND modseq = ?4");
    let mut statement = connection.prepare_cached(&sql)?;
    for &(first, last) in uids.ranges() {
        let uids =
            statement.query_map(params![mailbox.0, first, last, number(modseq.0)], |row| row.get(0))?;
        for uid in uids {
            let uid: u32 = uid?;
            kept.push((uid, uid));
        }
    }
    Ok(())
}

fn exists(
    connection: &Connection,
    sql: &str,
    parameters: &[&dyn storage::rusqlite::ToSql],
) -> Result<bool, StorageError> {
    let found = connection.prepare_cached(sql)?.query_row(parameters, |_| Ok(())).optional()?;
    Ok(found.is_some())
}

impl SqliteIndex {
    /// Where the octets of several emails are, at one moment; `None` for those that are gone.
    pub(crate) fn emails(&self, emails: &[EmailId]) -> Result<Vec<Option<EmailPlace>>, StorageError> {
        let _moment = self.connection().unchecked_transaction()?;
        emails.iter().map(|email| self.email(*email)).collect()
    }

    /// Ends a rebuild: chooses the threads in the order in which mail came, drops what nothing refers to.
    pub(crate) fn finish_rebuild(&mut self) -> Result<(), StorageError> {
        let transaction = self.database.transaction()?;
        choose_threads(&transaction)?;
        tombstones::drop_oldest(&transaction)?;
        transaction.execute_batch(
            "DELETE FROM links_to_thread;
             DELETE FROM subscriptions WHERE is_subscribed = 0;
             DELETE FROM scripts WHERE text IS NULL;
             DELETE FROM expunged_messages WHERE email NOT IN (SELECT id FROM emails);
             CREATE TEMP TABLE needed(email INTEGER PRIMARY KEY);
             INSERT OR IGNORE INTO needed SELECT email FROM messages;
             INSERT OR IGNORE INTO needed SELECT email FROM expunged_messages;
             DELETE FROM emails WHERE id NOT IN (SELECT email FROM needed);
             DELETE FROM headers WHERE email NOT IN (SELECT email FROM needed);
             DROP TABLE needed;
             DELETE FROM mailboxes WHERE deleted_at IS NOT NULL \
                AND id NOT IN (SELECT DISTINCT mailbox FROM expunged_messages);",
        )?;
        transaction.execute_batch(annotations::FINISH)?;
        transaction.commit()?;
        Ok(())
    }
}

fn choose_threads(connection: &Connection) -> Result<(), StorageError> {
    let mut emails = connection.prepare("SELECT id FROM emails WHERE thread = 0 ORDER BY id")?;
    let mut links =
        connection.prepare("SELECT link FROM links_to_thread WHERE email = ?1 ORDER BY number")?;
    let mut known = connection.prepare("SELECT thread FROM threads WHERE link = ?1")?;
    let mut join = connection.prepare("INSERT OR IGNORE INTO threads(link, thread) VALUES(?1, ?2)")?;
    let mut set = connection.prepare("UPDATE emails SET thread = ?2 WHERE id = ?1")?;
    let emails: Vec<i64> = emails.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for email in emails {
        let links: Vec<i64> = links.query_map([email], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let mut thread: Option<ThreadId> = None;
        for link in &links {
            if thread.is_none() {
                let found: Option<i64> = known.query_row([link], |row| row.get(0)).optional()?;
                thread = found.map(|thread| ThreadId(thread as u64));
            }
        }
        let thread = thread.map_or(email, |thread| number(thread.0));
        for link in &links {
            join.execute([*link, thread])?;
        }
        set.execute([email, thread])?;
    }
    Ok(())
}

//! Comparing an index with one made anew from the log, and with itself.

use mail_types::{MailboxId, MailboxUid, Uid};
use storage::rusqlite::{Row as SqlRow, Rows};
use storage::{BlobRef, PackId, StorageError};

use super::sqlite::{SqliteIndex, account_row, unsigned};
use super::{AccountIndex, AccountRow, MailboxRow};

/// Takes a fault: the message, where it is one's, and what is wrong.
type Tell<'a> = &'a mut dyn FnMut(Option<MailboxUid>, String);

/// Everything about a message that both indexes must agree on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct MessageFacts {
    place: MailboxUid,
    /// modseq, flags, keywords in two halves, dates, octets, email.
    columns: [i64; 8],
    /// Where its octets are; `None` if they are nowhere.
    blob: Option<BlobRef>,
}

const MESSAGES: &str = "SELECT m.mailbox, m.uid, m.modseq, m.flags, m.keywords, m.keywords_high, m.internal_date, \
     m.save_date, m.octets, m.email, e.pack, e.offset FROM messages m LEFT JOIN emails e ON e.id = m.email \
     ORDER BY m.mailbox, m.uid";

impl SqliteIndex {
    /// From now on this connection sees the index as it is at this moment.
    pub(crate) fn hold(&self) -> Result<AccountRow, StorageError> {
        self.connection().execute_batch("BEGIN")?;
        Ok(account_row(self.connection())?)
    }

    /// Tells how this index differs from one made anew, and where it contradicts itself.
    pub(crate) fn compare(
        &self,
        anew: &Self,
        same_octets: &mut dyn FnMut(BlobRef, BlobRef) -> bool,
        tell: Tell<'_>,
    ) -> Result<(), StorageError> {
        for complaint in self.database.quick_check()? {
            tell(None, format!("the index file: {complaint}"));
        }
        self.compare_mailboxes(anew, tell)?;
        self.compare_scripts(anew, tell)?;
        self.compare_annotations(anew, tell)?;
        self.compare_messages(anew, same_octets, tell)?;
        self.compare_counters(tell)
    }

    fn compare_mailboxes(&self, anew: &Self, tell: Tell<'_>) -> Result<(), StorageError> {
        let here = |rows: Vec<MailboxRow>| rows.into_iter().filter(|row| row.deleted_at.is_none());
        let (mut there, mut log) = (here(self.mailboxes()?).peekable(), here(anew.mailboxes()?).peekable());
        loop {
            let order = match (there.peek(), log.peek()) {
                (None, None) => break,
                (Some(a), Some(b)) => a.state.id.cmp(&b.state.id),
                (Some(_), None) => std::cmp::Ordering::Less,
                (None, Some(_)) => std::cmp::Ordering::Greater,
            };
            let one = if order.is_le() { there.next() } else { None };
            let other = if order.is_ge() { log.next() } else { None };
            match (one, other) {
                (Some(one), Some(other)) if one != other => {
                    tell(None, format!("mailbox {} is {one:?}, by the log {other:?}", one.state.id));
                }
                (Some(one), None) => tell(None, format!("mailbox {} is not in the log", one.state.id)),
                (None, Some(other)) => tell(None, format!("mailbox {} is only in the log", other.state.id)),
                _ => {}
            }
        }
        let (account, log) = (self.account()?, anew.account()?);
        if account.modseq_last < log.modseq_last || account.mailbox_last < log.mailbox_last {
            tell(None, "the numbers given last are below those in the log".to_owned());
        }
        Ok(())
    }

    fn compare_scripts(&self, anew: &Self, tell: Tell<'_>) -> Result<(), StorageError> {
        let (there, log) = (self.scripts()?, anew.scripts()?);
        if there.active != log.active {
            tell(None, format!("the active script is {:?}, by the log {:?}", there.active, log.active));
        }
        for name in there.scripts.keys().filter(|name| !log.scripts.contains_key(*name)) {
            tell(None, format!("script {name:?} is not in the log"));
        }
        for name in log.scripts.keys() {
            match self.script(name)? {
                None => tell(None, format!("script {name:?} is only in the log")),
                script if script != anew.script(name)? => {
                    tell(None, format!("script {name:?} is not what the log has"));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn compare_annotations(&self, anew: &Self, tell: Tell<'_>) -> Result<(), StorageError> {
        let (there, log) = (self.annotations()?, anew.annotations()?);
        for key in there.rows.keys().filter(|key| !log.rows.contains_key(*key)) {
            tell(None, format!("annotation {key:?} is not in the log"));
        }
        for (key, info) in &log.rows {
            let (place, name) = key;
            match there.rows.get(key) {
                None => tell(None, format!("annotation {key:?} is only in the log")),
                Some(here)
                    if here != info || self.annotation(*place, name)? != anew.annotation(*place, name)? =>
                {
                    tell(None, format!("annotation {key:?} is not what the log has"));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn compare_messages(
        &self,
        anew: &Self,
        same_octets: &mut dyn FnMut(BlobRef, BlobRef) -> bool,
        tell: Tell<'_>,
    ) -> Result<(), StorageError> {
        let mut these = self.connection().prepare(MESSAGES)?;
        let mut those = anew.connection().prepare(MESSAGES)?;
        let (mut these, mut those) = (these.query([])?, those.query([])?);
        let (mut one, mut other) = (next(&mut these)?, next(&mut those)?);
        while let Some(place) = [one, other].iter().flatten().map(|facts| facts.place).min() {
            let here = one.filter(|facts| facts.place == place);
            let log = other.filter(|facts| facts.place == place);
            match (here, log) {
                (Some(here), Some(log)) if here.columns != log.columns => {
                    tell(Some(place), format!("has {:?}, by the log {:?}", here.columns, log.columns));
                }
                (Some(here), Some(log)) => match (here.blob, log.blob) {
                    (Some(a), Some(b)) if same_octets(a, b) => {}
                    (None, _) => tell(Some(place), "has no octets".to_owned()),
                    (_, None) => tell(Some(place), "its octets are not in the log".to_owned()),
                    _ => tell(Some(place), "its octets are not where the log has them".to_owned()),
                },
                (Some(_), None) => tell(Some(place), "is not in the log".to_owned()),
                (None, _) => tell(Some(place), "is only in the log".to_owned()),
            }
            if here.is_some() {
                one = next(&mut these)?;
            }
            if log.is_some() {
                other = next(&mut those)?;
            }
        }
        Ok(())
    }

    /// Compares what is kept count of with what is there.
    fn compare_counters(&self, tell: Tell<'_>) -> Result<(), StorageError> {
        let sql = "SELECT COUNT(*), TOTAL(octets), TOTAL((flags & 1) = 0), TOTAL((flags >> 3) & 1), \
                   IFNULL(MAX(uid), 0), IFNULL(MAX(modseq), 0) FROM messages WHERE mailbox = ?1";
        let mut statement = self.connection().prepare(sql)?;
        for row in self.mailboxes()?.iter().filter(|row| row.deleted_at.is_none()) {
            let id = row.state.id;
            let counted: (i64, f64, f64, f64, u32, i64) = statement.query_row([id.0], |found| {
                let (messages, octets, unseen) = (found.get(0)?, found.get(1)?, found.get(2)?);
                Ok((messages, octets, unseen, found.get(3)?, found.get(4)?, found.get(5)?))
            })?;
            let (messages, octets, unseen, deleted, uid, modseq) = counted;
            let sums = [messages as u64, octets as u64, unseen as u64, deleted as u64];
            if sums != [row.messages, row.octets, row.unseen, row.deleted] {
                tell(None, format!("mailbox {id} counts {row:?}, but has {sums:?}"));
            }
            if uid >= row.uid_next.0 {
                tell(None, format!("mailbox {id} has UIDNEXT {} and a message {uid}", row.uid_next));
            }
            if modseq as u64 > row.highest_modseq.0 {
                tell(None, format!("mailbox {id} has HIGHESTMODSEQ {} and {modseq}", row.highest_modseq));
            }
        }
        Ok(())
    }
}

fn next(rows: &mut Rows<'_>) -> Result<Option<MessageFacts>, StorageError> {
    Ok(rows.next()?.map(facts).transpose()?)
}

fn facts(row: &SqlRow<'_>) -> Result<MessageFacts, storage::rusqlite::Error> {
    let mut columns = [0; 8];
    for (at, column) in columns.iter_mut().enumerate() {
        *column = row.get(at + 2)?;
    }
    let pack: Option<u32> = row.get(10)?;
    let blob = match pack {
        Some(pack) => Some(BlobRef { pack: PackId(pack), offset: unsigned(row, 11)? }),
        None => None,
    };
    Ok(MessageFacts {
        place: MailboxUid { mailbox: MailboxId(row.get(0)?), uid: Uid(row.get(1)?) },
        columns,
        blob,
    })
}

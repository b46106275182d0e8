//! Taking messages out of a mailbox, and telling later who vanished (RFC 9051 §6.4.3, RFC 7162 §3.2).

use mail_types::{MailboxId, ModSeq, SystemFlag, Uid, UidSet};

use crate::account::Account;
use crate::error::StoreError;
use crate::index::{AccountIndex, Vanished};
use crate::note::{Expunged, Record};
use crate::open_account::Decided;
use crate::state::AccountState;

impl Account {
    /// Expunges the messages with `\Deleted`, within `uids` if given (UID EXPUNGE); tells which they were.
    ///
    /// # Errors
    /// [`StoreError::NoSuchMailbox`], or what the disk says.
    pub async fn expunge(&self, mailbox: MailboxId, uids: Option<&UidSet>) -> Result<UidSet, StoreError> {
        let core = self.core();
        let turn = core.turn().await?;
        let view = core.open_mailbox(mailbox).await?;
        let mut gone = UidSet::new();
        for (_, entry) in view.iter().filter(|(_, entry)| entry.flags.has(SystemFlag::Deleted)) {
            if uids.is_none_or(|uids| uids.contains(entry.uid)) {
                gone.push(entry.uid);
            }
        }
        if gone.is_empty() {
            return Ok(gone);
        }
        let at = core.engine.clock.now();
        let decide = |state: &mut AccountState| {
            state.mailbox(mailbox)?;
            let modseq = state.next_modseq()?;
            let expunged = Expunged { mailbox, modseq, uids: gone.clone(), at };
            Ok(Decided::new(vec![Record::Expunged(expunged)], gone))
        };
        core.change(turn, decide).await.map(|(gone, _)| gone)
    }

    /// The messages expunged after `since`. Where that is no longer known exactly, every identifier that is not
    /// in use (RFC 7162 §3.2.5.2 allows more than vanished since).
    ///
    /// # Errors
    /// [`StoreError::NoSuchMailbox`], or what the disk says.
    pub async fn vanished_since(&self, mailbox: MailboxId, since: ModSeq) -> Result<UidSet, StoreError> {
        let core = self.core();
        core.state().mailbox(mailbox)?;
        match core.read(move |index| index.vanished_since(mailbox, since)).await? {
            Vanished::Exactly(uids) => Ok(uids),
            Vanished::Unknown => {
                let view = core.open_mailbox(mailbox).await?;
                Ok(between(&view.uids(), view.uid_next()))
            }
        }
    }
}

/// The identifiers below `next` that are not in use.
fn between(used: &UidSet, next: Uid) -> UidSet {
    let mut free = Vec::with_capacity(used.ranges().len() + 1);
    let mut first = 1;
    for &(begin, end) in used.ranges() {
        if first < begin {
            free.push((first, begin - 1));
        }
        first = end.saturating_add(1);
    }
    if first < next.0 {
        free.push((first, next.0 - 1));
    }
    UidSet::from_ranges(free)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gaps_are_what_is_not_in_use() {
        let used = UidSet::from_ranges([(3, 4), (7, 7)]);
        assert_eq!(between(&used, Uid(10)).to_string(), "1:2,5:6,8:9");
        assert_eq!(between(&used, Uid(8)).to_string(), "1:2,5:6");
        assert!(between(&UidSet::new(), Uid(1)).is_empty());
        assert!(between(&UidSet::from_ranges([(1, u32::MAX)]), Uid(u32::MAX)).is_empty());
    }
}

//! CLOSE and UNSELECT: leaving a mailbox, with and without expunging it (RFC 9051 §6.4.1, §6.4.2).

use imap::command::Opening;
use mailstore::StoreError;

use super::person::Person;
use super::replies::{Done, Stop};

/// CLOSE. Tells no EXPUNGE, and no HIGHESTMODSEQ, by which clients would lose count (RFC 7162 §3.2.8).
pub(crate) async fn close(person: &mut Person) -> Result<Done, Stop> {
    let selected = person.selected()?;
    if selected.opening == Opening::ReadWrite {
        match person.account.expunge(selected.mailbox, None).await {
            // A mailbox that another session deleted is closed all the same.
            Ok(_) | Err(StoreError::NoSuchMailbox) => {}
            Err(error) => return Err(error.into()),
        }
    }
    person.selected = None;
    Ok(Done::plain("CLOSE completed"))
}

/// UNSELECT.
pub(crate) fn unselect(person: &mut Person) -> Result<Done, Stop> {
    person.selected()?;
    person.selected = None;
    Ok(Done::plain("UNSELECT completed"))
}

//! CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE (RFC 9051 §6.3.4–6.3.8; RFC 6154 §3).

use imap::command::Create;
use mail_types::MailboxName;
use mailstore::StoreError;

use super::person::Person;
use super::replies::{Done, DoneCode, Refusal, Stop};

/// CREATE, with the special use that the client wants, and the id that the mailbox got (RFC 8474 §4.1).
pub(crate) async fn create(person: &Person, arguments: Create) -> Result<Done, Stop> {
    let special_use = match arguments.special_uses.as_slice() {
        [] => None,
        [special_use] => Some(*special_use),
        _ => return Err(Refusal::OneSpecialUse.into()),
    };
    let created = person.account.create_mailbox(&arguments.mailbox, special_use).await;
    let id = created.map_err(|error| match error {
        StoreError::NotAllowed(_) if special_use.is_some() => Refusal::SpecialUseTaken,
        error => Refusal::Store(error),
    })?;
    Ok(Done::with(DoneCode::MailboxId(id), "CREATE completed"))
}

/// DELETE. A mailbox that is selected here is left first, as it would be gone under the client.
pub(crate) async fn delete(person: &mut Person, name: &MailboxName) -> Result<Done, Stop> {
    let mailbox = person.mailbox(name).await?;
    person.account.delete_mailbox(&mailbox.name).await?;
    if person.selected.as_ref().is_some_and(|selected| selected.mailbox == mailbox.id) {
        person.selected = None;
    }
    Ok(Done::plain("DELETE completed"))
}

/// RENAME.
pub(crate) async fn rename(person: &Person, from: &MailboxName, to: &MailboxName) -> Result<Done, Stop> {
    person.account.rename_mailbox(from, to).await?;
    Ok(Done::plain("RENAME completed"))
}

/// SUBSCRIBE. Names without a mailbox may be subscribed, as other clients may be about to make it.
pub(crate) async fn subscribe(person: &Person, name: &MailboxName) -> Result<Done, Stop> {
    person.account.subscribe(name).await?;
    Ok(Done::plain("SUBSCRIBE completed"))
}

/// UNSUBSCRIBE.
pub(crate) async fn unsubscribe(person: &Person, name: &MailboxName) -> Result<Done, Stop> {
    person.account.unsubscribe(name).await?;
    Ok(Done::plain("UNSUBSCRIBE completed"))
}

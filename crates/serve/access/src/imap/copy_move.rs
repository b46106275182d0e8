//! COPY and MOVE, by sequence number or UID (RFC 9051 §6.4.7, §6.4.8; RFC 4315, RFC 6851).

use imap::Dialect;
use imap::command::Copy;
use imap::response::{self, Code, Condition};
use mail_types::UidSet;
use mailstore::{CopyOutcome, StoreError};
use platform::lines::Wire;

use super::expunge;
use super::person::Person;
use super::replies::{Done, DoneCode, Refusal, Stop};

/// COPY: all messages or none.
pub(crate) async fn copy(person: &mut Person, arguments: Copy) -> Result<Done, Stop> {
    let uids = named(person, &arguments)?;
    let from = person.selected()?.mailbox;
    let to = person.target(&arguments.mailbox).await?;
    if uids.is_empty() {
        return Ok(Done::plain("No messages to copy"));
    }
    let outcome = person.account.copy(from, &uids, to, person.quota()).await.map_err(lost_target)?;
    if outcome.from.is_empty() {
        return Err(Refusal::Expunged(Vec::new()).into());
    }
    person.copied(from, to, &outcome);
    let CopyOutcome { uid_validity, from, to } = outcome;
    Ok(Done::with(DoneCode::CopyUid(uid_validity, from, to), "COPY completed"))
}

/// MOVE. COPYUID comes before the EXPUNGE responses, which would change what it means (RFC 6851 §4.3).
pub(crate) async fn move_messages(
    wire: &mut Wire,
    dialect: Dialect,
    person: &mut Person,
    arguments: Copy,
) -> Result<Done, Stop> {
    person.selected_for_changes()?;
    let uids = named(person, &arguments)?;
    let from = person.selected()?.mailbox;
    let to = person.target(&arguments.mailbox).await?;
    if uids.is_empty() {
        return Ok(Done::plain("No messages to move"));
    }
    let outcome = person.account.move_messages(from, &uids, to).await.map_err(lost_target)?;
    if outcome.from.is_empty() {
        return Err(Refusal::Expunged(Vec::new()).into());
    }
    person.copied(from, to, &outcome);
    let code = Code::CopyUid { uid_validity: outcome.uid_validity, from: &outcome.from, to: &outcome.to };
    response::write_untagged(wire.output(), Condition::Ok, Some(&code), "Moved");
    expunge::tell(wire, dialect, person, "MOVE completed").await
}

fn named(person: &Person, arguments: &Copy) -> Result<UidSet, Refusal> {
    let selected = person.selected()?;
    Ok(selected.uids(&selected.named(&arguments.set, arguments.numbering)?))
}

/// A target that was deleted a moment ago is one that could be made again.
fn lost_target(error: StoreError) -> Refusal {
    match error {
        StoreError::NoSuchMailbox => Refusal::TryCreate,
        error => Refusal::Store(error),
    }
}

//! EXPUNGE and UID EXPUNGE (RFC 9051 §6.4.3, §6.4.9).

use imap::{Dialect, Numbering, SequenceSet};
use platform::lines::Wire;

use super::person::Person;
use super::replies::{Done, DoneCode, Stop};
use super::updates::{self, AlreadyTold, Telling};

/// EXPUNGE of all that is deleted, or of those within the set.
pub(crate) async fn expunge(
    wire: &mut Wire,
    dialect: Dialect,
    person: &mut Person,
    set: Option<SequenceSet>,
) -> Result<Done, Stop> {
    let selected = person.selected_for_changes()?;
    let within = match set {
        Some(set) => Some(selected.uids(&selected.named(&set, Numbering::Uid)?)),
        None => None,
    };
    let expunged = person.account.expunge(selected.mailbox, within.as_ref()).await?;
    if expunged.is_empty() {
        return Ok(Done::plain("EXPUNGE completed"));
    }
    tell(wire, dialect, person, "EXPUNGE completed").await
}

/// Tells what is gone, and where that leaves a client that counts in mod-sequences (RFC 7162 §3.2.7).
pub(crate) async fn tell(
    wire: &mut Wire,
    dialect: Dialect,
    person: &mut Person,
    text: &'static str,
) -> Result<Done, Stop> {
    // Told first: the code below may name no mod-sequence whose changes the client has not heard of.
    updates::tell(wire, dialect, person, Telling::Everything, &AlreadyTold::default()).await?;
    if !person.enabled.condstore {
        return Ok(Done::plain(text));
    }
    let modseq = person.selected()?.view.highest_modseq();
    Ok(Done::with(DoneCode::HighestModSeq(modseq), text))
}

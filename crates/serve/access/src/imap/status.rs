//! STATUS: a mailbox's counts without opening it (RFC 9051 §6.3.11, RFC 8438, 7162, 7889, 8474, 9208).

use imap::Dialect;
use imap::command::StatusItems;
use imap::response::{self, StatusValues};
use mail_types::{MailboxId, MailboxName, SystemFlag, UidSet};
use mailstore::{MailboxInfo, Want};
use platform::lines::Wire;

use super::enable;
use super::person::Person;
use super::replies::{Done, Stop};

/// Rows read at a time where octets must be added up.
const ROWS_MAX: usize = 2_048;

/// STATUS.
pub(crate) async fn status(
    wire: &mut Wire,
    dialect: Dialect,
    person: &mut Person,
    name: &MailboxName,
    items: StatusItems,
) -> Result<Done, Stop> {
    let mailbox = person.mailbox(name).await?;
    if items.highest_mod_seq {
        enable::imply_condstore(wire.output(), person);
    }
    let values = values(person, &mailbox, items).await?;
    response::write_status(wire.output(), &mailbox.name, &values, dialect);
    Ok(Done::plain("STATUS completed"))
}

/// The values asked for.
pub(crate) async fn values(
    person: &Person,
    mailbox: &MailboxInfo,
    items: StatusItems,
) -> Result<StatusValues, Stop> {
    let deleted_storage = match items.deleted_storage {
        true if mailbox.deleted > 0 => Some(deleted_octets(person, mailbox.id).await?),
        true => Some(0),
        false => None,
    };
    Ok(StatusValues {
        messages: items.messages.then_some(mailbox.messages),
        recent: items.recent.then_some(0),
        uid_next: items.uid_next.then_some(mailbox.uid_next),
        uid_validity: items.uid_validity.then_some(mailbox.uid_validity),
        unseen: items.unseen.then_some(mailbox.unseen),
        deleted: items.deleted.then_some(mailbox.deleted),
        size: items.size.then_some(mailbox.octets),
        highest_mod_seq: items.highest_mod_seq.then_some(mailbox.highest_modseq),
        append_limit: items.append_limit.then_some(person.settings.message_octets_max),
        mailbox_id: items.mailbox_id.then_some(mailbox.id),
        deleted_storage,
    })
}

/// What an EXPUNGE would give back.
async fn deleted_octets(person: &Person, mailbox: MailboxId) -> Result<u64, Stop> {
    let view = person.account.open_mailbox(mailbox).await?;
    let deleted: Vec<_> = view
        .iter()
        .filter(|(_, entry)| entry.flags.has(SystemFlag::Deleted))
        .map(|(_, entry)| entry.uid)
        .collect();
    let mut octets = 0;
    for batch in deleted.chunks(ROWS_MAX) {
        let uids: UidSet = batch.iter().copied().collect();
        let rows = person.account.rows(mailbox, &uids, Want::Facts).await?;
        octets += rows.iter().map(|row| row.octets).sum::<u64>();
    }
    Ok(octets)
}

//! GETQUOTA and GETQUOTAROOT: one root for all of an account's mailboxes (RFC 9208). Only the operator changes it.

use imap::Dialect;
use imap::response::{self, QuotaResource};
use mail_types::MailboxName;
use platform::lines::Wire;

use super::person::Person;
use super::replies::{Done, Refusal, Stop};

/// The account's quota root, as in the examples of RFC 9208.
const ROOT: &str = "";
/// The unit of STORAGE (RFC 9208 §5.1).
const STORAGE_UNIT_OCTETS: u64 = 1_024;

/// GETQUOTA.
pub(crate) fn get_quota(out: &mut Vec<u8>, person: &Person, root: &str) -> Result<Done, Stop> {
    if root != ROOT {
        return Err(Refusal::NoSuchQuotaRoot.into());
    }
    write_root(out, person);
    Ok(Done::plain("GETQUOTA completed"))
}

/// GETQUOTAROOT.
pub(crate) async fn get_quota_root(
    wire: &mut Wire,
    dialect: Dialect,
    person: &Person,
    name: &MailboxName,
) -> Result<Done, Stop> {
    let mailbox = person.mailbox(name).await?;
    let out = wire.output();
    response::write_quota_root(out, &mailbox.name, &[ROOT], dialect);
    write_root(out, person);
    Ok(Done::plain("GETQUOTAROOT completed"))
}

/// The resources that are limited; those without a limit are not named (RFC 9208 §4.2.1).
fn write_root(out: &mut Vec<u8>, person: &Person) {
    let (limit, usage) = (person.quota(), person.account.quota_usage());
    let storage = limit.octets.map(|most| QuotaResource {
        name: "STORAGE",
        usage: usage.octets.div_ceil(STORAGE_UNIT_OCTETS),
        limit: most / STORAGE_UNIT_OCTETS,
    });
    let messages =
        limit.messages.map(|most| QuotaResource { name: "MESSAGE", usage: usage.messages, limit: most });
    let resources: Vec<_> = [storage, messages].into_iter().flatten().collect();
    response::write_quota(out, ROOT, &resources);
}

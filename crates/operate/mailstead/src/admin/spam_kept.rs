//! What the headers of mail that is there tell of its verdict: the record keeps a month, mail is kept for longer.

use mail_types::{Uid, UidSet};
use mailstore::{Account, HeaderField, MailboxInfo, Want, fold};
use mta::APART;
use serde::{Deserialize, Serialize};
use spam::ToldVerdict;

use super::spam::SpamTold;
use super::{Answer, queue::time};
use crate::house::House;

/// Messages of one Message-ID that are told of.
const KEPT_MAX: usize = 100;

/// Octets of a message that its header is sought in.
const HEADER_OCTETS_MAX: usize = 256 * 1024;

/// A message that lies somewhere.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub(crate) struct SpamKept {
    /// Whose it is; of one that is kept apart, nobody's yet.
    pub(crate) address: Option<String>,
    pub(crate) mailbox: String,
    pub(crate) uid: u32,
    /// When it came.
    pub(crate) date: String,
    /// What its header tells.
    pub(crate) told: Option<SpamTold>,
}

/// All messages of a Message-ID, wherever they lie.
pub(super) async fn kept(house: &House, message_id: &str) -> anyhow::Result<Answer> {
    let mut kept = Vec::new();
    // All of it: a part of one would find others' mail.
    let needle = fold(&format!("<{}>", message_id.trim().trim_matches(['<', '>'])));
    let whose =
        house.directory.accounts().into_iter().map(|known| (known.id, Some(known.address.to_string())));
    for (id, address) in whose.chain([(APART, None)]) {
        if kept.len() >= KEPT_MAX {
            break;
        }
        let account = house.store.account(id).await?;
        for mailbox in &account.mailboxes().await?.mailboxes {
            let uids = UidSet::from_ranges([(1, u32::MAX)]);
            let uids = account.search_header(mailbox.id, &uids, HeaderField::MessageId, &needle).await?;
            for uid in uids.iter().take(KEPT_MAX - kept.len()) {
                kept.extend(one(&account, address.clone(), mailbox, uid).await?);
            }
        }
    }
    Ok(Answer::SpamKept { kept })
}

/// One message; none if it went away meanwhile.
async fn one(
    account: &Account,
    address: Option<String>,
    mailbox: &MailboxInfo,
    uid: Uid,
) -> anyhow::Result<Option<SpamKept>> {
    let rows = account.rows(mailbox.id, &UidSet::from_ranges([(uid.0, uid.0)]), Want::Facts).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let Ok(reader) = account.reader(row.email).await else { return Ok(None) };
    let header = reader.beginning(HEADER_OCTETS_MAX).await?;
    Ok(Some(SpamKept {
        address,
        mailbox: mailbox.name.to_string(),
        uid: uid.0,
        date: time(row.internal_date),
        told: ToldVerdict::read(&header).as_ref().map(SpamTold::of),
    }))
}

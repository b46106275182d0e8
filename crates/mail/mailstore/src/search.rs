//! Finding messages by header text without reading them (RFC 9051 §6.4.4), on folded columns kept in the index.

use std::ops::ControlFlow;

use mail_types::{MailboxId, UidSet};

use crate::account::Account;
use crate::error::StoreError;
use crate::index::{AccountIndex, SqliteIndex};

/// The header fields kept folded for search.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HeaderField {
    /// Subject, decoded.
    Subject,
    /// From: display names and addresses.
    From,
    /// To.
    To,
    /// Cc.
    Cc,
    /// Bcc.
    Bcc,
    /// Message-ID: how clients look for one message they know.
    MessageId,
}

/// Text as it is compared in searches: what is kept in the columns went through the same function.
#[must_use]
pub fn fold(text: &str) -> String {
    message::fold(text)
}

impl Account {
    /// Those of `uids` whose field contains `needle`, which the caller has folded ([`fold`]); an empty needle
    /// finds every message that has the field. Very long fields are searched in their first 8 KiB.
    ///
    /// # Errors
    /// [`StoreError::NoSuchMailbox`], [`StoreError::Busy`], or what the disk says.
    pub async fn search_header(
        &self,
        mailbox: MailboxId,
        uids: &UidSet,
        field: HeaderField,
        needle: &str,
    ) -> Result<UidSet, StoreError> {
        self.core().state().mailbox(mailbox)?;
        let (uids, needle) = (uids.clone(), needle.as_bytes().to_vec());
        let search = move |index: &SqliteIndex| {
            let finder = memchr::memmem::Finder::new(&needle);
            let mut found = UidSet::new();
            index.headers(mailbox, &uids, field, &mut |uid, text| {
                if text.is_some_and(|text| finder.find(text).is_some()) {
                    found.push(uid);
                }
                ControlFlow::Continue(())
            })?;
            Ok(found)
        };
        self.core().read(search).await
    }
}

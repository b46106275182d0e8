//! That somebody has a mailbox open: as long as one view lives, its snapshot is kept current in memory.

use std::sync::Weak;

use mail_types::MailboxId;

use crate::open_account::OpenAccount;

/// Held by every view of one open mailbox. When the last is dropped, the account drops the snapshot.
#[derive(Debug)]
pub(crate) struct OpenMailbox {
    core: Weak<OpenAccount>,
    mailbox: MailboxId,
}

impl OpenMailbox {
    pub(crate) fn new(core: Weak<OpenAccount>, mailbox: MailboxId) -> Self {
        Self { core, mailbox }
    }
}

impl Drop for OpenMailbox {
    fn drop(&mut self) {
        if let Some(core) = self.core.upgrade() {
            core.close_mailbox(self.mailbox);
        }
    }
}

//! Handing a message over to another account: filed there and gone here with one durable write, so that nothing leaves it in
//! both, or in neither.

use std::slice;
use std::sync::Arc;

use mail_types::{MailboxId, Uid};
use tokio::sync::oneshot;

use crate::account::Account;
use crate::append::Filed;
use crate::deliver::{Delivery, Filing};
use crate::engine::{Done, Entry, Then, received};
use crate::error::StoreError;
use crate::intake::Arriving;
use crate::store::Store;

impl Store {
    /// Files `message` as [`Self::deliver`] does, and expunges the one that it was made of from a mailbox of `from`: both or
    /// neither. Answers when it is on disk and every reader of `from` sees it.
    ///
    /// # Errors
    /// [`StoreError::NoSuchMessage`] when it is no longer there, what refuses the filing, or what the disk says: then it has
    /// stayed where it was.
    pub async fn hand_over(
        &self,
        from: &Account,
        (mailbox, uid): (MailboxId, Uid),
        message: Arriving,
        filing: Filing,
    ) -> Result<Filed, StoreError> {
        let core = from.core();
        let engine = &core.engine;
        let prepared = [self.prepare(&filing).await];
        let Arriving { blob, digest, .. } = message;
        // In this order, as whoever changes scripts does: who waits for a turn keeps no room from whoever has it.
        let turn = core.turn().await?;
        let room = engine.room_for(digest.octets()).await?;
        from.open_mailbox(mailbox).await?.find(uid).ok_or(StoreError::NoSuchMessage)?;
        let (sender, receiver) = oneshot::channel();
        let filed = {
            let receiving = prepared.iter().flatten().map(|prepared| &prepared.core);
            let mut delivery = Delivery::lock(receiving.chain([core]), engine.clock.now());
            let answers = delivery.decide(blob.octets(), slice::from_ref(&filing), &prepared);
            let filed = answers.into_iter().next().ok_or(StoreError::NoSuchMessage)??;
            delivery.expunge(core.id, mailbox, uid)?;
            let mut shares = delivery.shares();
            // The turn goes with the last one.
            shares.sort_by_key(|share| Arc::ptr_eq(&share.core, core));
            let entry = Entry { blob: Some(blob), digest: Some(digest), shares, note: None };
            engine.submit(vec![entry], Some(room), Then::Applied(Done { sender, turn }));
            filed
        };
        received(receiver.await)?;
        Ok(filed)
    }
}

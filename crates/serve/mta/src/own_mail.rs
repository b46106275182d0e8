//! Mail that the house itself writes to other servers' people: signed in the name of its author's domain, from the null
//! reverse-path, never reported on (RFC 5321 §4.5.5).

use directory::Directory;
use mail_types::{Address, ReversePath, TransactionId};
use mailstore::{Store, StoreError};
use message::{Collected, HeaderCollector};
use platform::clock::Clock;
use queue::{BodyNeeds, MessageKind, NewMessage, Notify, Queue, QueueError, Recipient};

use crate::deliver::routing::Routing;
use crate::inspect::watch::{Watch, keys_for, signed};

/// What such mail goes through.
#[derive(Clone, Debug)]
pub struct OwnMailRooms {
    /// Where its octets lie until it has left.
    pub store: Store,
    /// What sends it.
    pub queue: Queue,
    /// Who has the keys.
    pub directory: Directory,
    /// What time it is.
    pub clock: Clock,
    /// Which way it goes.
    pub routing: Routing,
}

/// A mail of ours.
#[derive(Clone, Copy, Debug)]
pub struct OwnMail<'a> {
    /// The name of its way.
    pub way: TransactionId,
    /// Its author, as its From field names it.
    pub from: &'a Address,
    /// Whom it goes to, at another server.
    pub to: &'a Address,
    /// [`MessageKind::Report`], or that on its destination's TLS.
    pub kind: MessageKind,
    /// Header and body, in US-ASCII and with line ends as SMTP has them.
    pub octets: &'a [u8],
}

/// Why a mail of ours does not leave.
#[derive(Debug, thiserror::Error)]
pub enum OwnMailError {
    /// Nobody could tell that it is ours: there is no key to sign it with.
    #[error("the domain of {0} has no key to sign with; `mailstead dkim generate` makes one")]
    NoKey(Box<str>),
    /// The store does not take it.
    #[error("the store does not take mail of ours")]
    Store(#[from] StoreError),
    /// The queue does not take it.
    #[error("the queue does not take mail of ours")]
    Queue(#[from] QueueError),
}

impl OwnMailRooms {
    /// Signs and queues a mail; it is on disk afterwards.
    ///
    /// # Errors
    /// [`OwnMailError`] says why it does not leave.
    pub async fn send(&self, mail: OwnMail<'_>) -> Result<(), OwnMailError> {
        let now = self.clock.now();
        let keys = mail.from.domain_name().map(|domain| keys_for(&self.directory, domain));
        // The null reverse-path gives SPF nothing that DMARC could use.
        let keys = keys
            .filter(|keys| !keys.is_empty())
            .ok_or_else(|| OwnMailError::NoKey(mail.from.to_string().into()))?;
        let collected = HeaderCollector::new(mail.octets.len()).feed(mail.octets);
        let header_octets = match collected {
            Collected::Complete { taken } => taken,
            _ => mail.octets.len(),
        };
        let (header, body) = mail.octets.split_at(header_octets);
        let mut watch = Watch::default();
        watch.sign(header, &keys, u64::try_from(now.unix_seconds()).unwrap_or_default());
        watch.body(body);
        let mut holding = self.store.holding()?;
        holding.write(mail.octets).await?;
        let front = watch.finish().signer.map(|signer| signed(*signer)).unwrap_or_default();
        let message = holding.finish(front).await?;
        let destination = self.routing.destination(&ReversePath::Null, mail.to);
        let recipient = Recipient::plain(mail.to.clone(), destination, Notify::Never);
        let new = NewMessage {
            kind: mail.kind,
            needs: BodyNeeds { international: mail.to.is_international(), ..BodyNeeds::default() },
            ..NewMessage::plain(mail.way, now, vec![recipient])
        };
        self.queue.accept(message, new, Vec::new()).await?;
        Ok(())
    }
}

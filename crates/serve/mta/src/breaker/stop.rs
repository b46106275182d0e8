//! What is done about an account that is stopped: it is written down, its mail in the queue is held, its owner and the
//! postmaster are told. Each step is done again until it has worked, over restarts too.

use std::collections::BTreeSet;
use std::time::Duration;

use directory::{Account, Recipients, Resolution};
use mail_types::{AccountId, Address, AddressDomain, ForwardPath, MailboxName, ReversePath};
use mailstore::{Filing, FilingTarget, FlagNames, QuotaLimit, StoreError};
use message::write_return_path;
use platform::tasks::Shutdown;
use queue::{MessageKind, QueueError};
use storage::StorageError;

use super::{Breaker, Stop, letter};
use crate::deliver::local::describe;
use crate::own_mail::{OwnMail, OwnMailRooms};
use crate::report::author::postmaster_who_signs;
use crate::{Rooms, SmtpDoor};

/// How long nothing is tried after something did not work: a full disk stays full for a while.
const PAUSE: Duration = Duration::from_secs(10);
/// Postmasters that are told.
const POSTMASTERS_MAX: usize = 20;

/// Why the breaker could not do something: try later.
#[derive(Debug, thiserror::Error)]
pub enum BreakerError {
    /// Its memory does not take it.
    #[error("the breaker's memory does not work")]
    Memory(#[from] StorageError),
    /// The queue does not.
    #[error("the queue does not hold mail")]
    Queue(#[from] QueueError),
    /// Nobody could be told.
    #[error("a letter cannot be filed")]
    Letter(#[from] StoreError),
    /// Nothing unforeseeable can be made for the letter's name.
    #[error("no random octets: {0}")]
    NoRandomness(String),
    /// The program ends.
    #[error("it was interrupted")]
    Interrupted,
}

impl SmtpDoor {
    /// Does what has to be done about accounts that are stopped, until the house shuts down.
    pub async fn tend_breaker(&self, stop: Shutdown) {
        let breaker = &self.0.rooms.breaker;
        loop {
            // Neither arm loses anything when cancelled: what waits is written down, or noted anew.
            tokio::select! {
                () = stop.triggered() => return,
                () = breaker.0.wanted.notified() => {}
            }
            while let Some(round) = breaker.take_waiting() {
                let mut failed = BTreeSet::new();
                for account in round {
                    let Err(error) = self.carry_out(account).await else { continue };
                    tracing::error!(%account, error = describe(&error), "a stolen account is not stopped in full");
                    failed.insert(account);
                }
                // All others had their turn: one that cannot be stopped keeps none of them waiting.
                if !failed.is_empty() {
                    breaker.0.state.lock().waiting.append(&mut failed);
                    tokio::select! {
                        () = stop.triggered() => return,
                        () = tokio::time::sleep(PAUSE) => {}
                    }
                }
            }
        }
    }

    async fn carry_out(&self, account: AccountId) -> Result<(), BreakerError> {
        let rooms = &self.0.rooms;
        let breaker = &rooms.breaker;
        let _one_at_a_time = breaker.0.steps.lock().await;
        // It may have been unlocked meanwhile.
        let Some(stop) = breaker.stop_of(account) else { return Ok(()) };
        let person = rooms.directory.account(account);
        if !stop.is_kept {
            let stopped = stop.stopped.clone();
            breaker.with_memory(move |memory| memory.stop(account, &stopped)).await?;
            breaker.change(account, |stop| stop.is_kept = true);
            let address = person.as_ref().map(|person| person.address.to_string());
            // Read by programs outside as well: its form is a promise (docs/internals/guard.md).
            tracing::warn!(account = address, reason = &*stop.stopped.reason, "sending stopped");
        }
        let held = match &rooms.queue {
            Some(queue) => queue.hold_all_of(account).await?,
            None => 0,
        };
        if let (false, Some(person)) = (stop.is_told, person) {
            self.tell(&person, &stop, held).await?;
            breaker.with_memory(move |memory| memory.told(account)).await?;
            breaker.change(account, |stop| stop.is_told = true);
        }
        Ok(())
    }

    /// Files the letter with the owner and the postmaster, and sends it to a postmaster elsewhere.
    async fn tell(&self, person: &Account, stop: &Stop, held: u64) -> Result<(), BreakerError> {
        let rooms = &self.0.rooms;
        let (here, elsewhere) = readers(rooms, person);
        let mut random = [0; 16];
        directory::fill_random(&mut random).map_err(|error| BreakerError::NoRandomness(error.to_string()))?;
        let now = rooms.clock.now();
        let us = postmaster_who_signs(&rooms.directory, person.address.domain_name().into_iter());
        let from = us.unwrap_or_else(|| person.address.clone());
        let octets = letter::write(&person.address, &from, (&stop.stopped, held), random, now);
        let way = (rooms.next_transaction)();
        let filing = |account| Filing {
            account,
            mailbox: FilingTarget::Name(MailboxName::inbox()),
            flags: FlagNames::default(),
            internal_date: now,
            // A full mailbox is no reason to hear nothing.
            quota: QuotaLimit::NONE,
            way,
        };
        let mut holding = rooms.store.holding()?;
        holding.write(&octets).await?;
        let mut front = Vec::new();
        write_return_path(&ReversePath::Null, &mut front);
        let message = holding.finish(front).await?;
        let (mut is_told, mut failure) = (false, None);
        for filed in rooms.store.deliver(message, here.into_iter().map(filing).collect()).await? {
            match filed {
                Ok(_) => is_told = true,
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            // Those who have it would get it again and again.
            Some(error) if is_told => {
                tracing::warn!(error = describe(&error), "not everybody is told of a stopped account");
            }
            Some(error) => return Err(error.into()),
            None => {}
        }
        let Some(queue) = &rooms.queue else { return Ok(()) };
        let mail = OwnMailRooms {
            store: rooms.store.clone(),
            queue: queue.clone(),
            directory: rooms.directory.clone(),
            clock: rooms.clock.clone(),
            routing: self.0.live.load().settings.routing.clone(),
        };
        for to in &elsewhere {
            let way = (rooms.next_transaction)();
            let own = OwnMail { way, from: &from, to, kind: MessageKind::Report, octets: &octets };
            // The owner has been told; a postmaster elsewhere sees the log.
            if let Err(error) = mail.send(own).await {
                tracing::warn!(%to, error = describe(&error), "a postmaster is not told of a stopped account");
            }
        }
        Ok(())
    }
}

/// Who is told, here and elsewhere.
fn readers(rooms: &Rooms, person: &Account) -> (BTreeSet<AccountId>, Vec<Address>) {
    let mut here = BTreeSet::from([person.id]);
    let domain = person.address.domain_name().cloned();
    let theirs = domain.and_then(|domain| Address::new("postmaster", AddressDomain::Name(domain)).ok());
    let paths = theirs.map(ForwardPath::Address).into_iter().chain([ForwardPath::Postmaster]);
    for path in paths {
        if let Resolution::Deliver(Recipients { local, remote }) = rooms.directory.resolve(&path) {
            here.extend(local.into_iter().take(POSTMASTERS_MAX).map(|target| target.account));
            return (here, remote.into_iter().take(POSTMASTERS_MAX).collect());
        }
    }
    (here, Vec::new())
}

impl Breaker {
    /// All accounts of which something is still to be done, if there are some.
    fn take_waiting(&self) -> Option<BTreeSet<AccountId>> {
        Some(std::mem::take(&mut self.0.state.lock().waiting)).filter(|round| !round.is_empty())
    }

    fn stop_of(&self, account: AccountId) -> Option<Stop> {
        self.0.state.lock().stopped.get(&account).cloned()
    }

    fn change(&self, account: AccountId, change: impl FnOnce(&mut Stop)) {
        if let Some(stop) = self.0.state.lock().stopped.get_mut(&account) {
            change(stop);
        }
    }
}

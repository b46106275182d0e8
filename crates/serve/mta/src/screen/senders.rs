//! What is remembered of those who send to us: what their mail was worth, who has come back after being asked to, which
//! messages our people sent, who wrote to a trap. (Whom they wrote to is the breaker's to remember.)
//!
//! `DATA/senders.db`, by way of `book.rs`. Names and addresses are kept as hashes. Nothing here is worth a message: what
//! cannot be read or written counts as not known, and a power cut may take the last moments along.

mod book;
mod greylist;
mod merit;

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mail_types::{AccountId, Address, DomainName};
use parking_lot::Mutex;
use platform::clock::{Clock, Timestamp};
use platform::metrics::Metrics;
use platform::network::Network;
use platform::workers::{Workers, WorkersSettings};
use storage::StorageError;

use book::{Book, Key, Kind, key};

pub(crate) use greylist::{Attempt, GreyBounds, Greylisted, Origin, constant_sender};

/// Questions and notes that may wait for the book; beyond, they are not asked and not noted.
const WAITING_MAX: usize = 1_024;
/// How long anybody waits for the book; what takes longer counts as not known.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// Recipients and Message-IDs of one call that are looked at.
pub const NAMES_MAX: usize = 1_000;
/// Domains of one message's recipients whose answers are recognised.
const ANSWERERS_MAX: usize = 20;
/// Traps that commands may set.
pub const TRAPS_MAX: usize = 10_000;

/// The memory. Clones share it.
#[derive(Clone, Debug)]
pub struct Senders {
    book: Arc<Mutex<Book>>,
    workers: Workers,
    clock: Clock,
}

/// Why the memory cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum SendersError {
    /// It is not readable.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The system gives no thread.
    #[error("no thread for the memory of senders")]
    Threads(#[source] std::io::Error),
}

/// Whom a message is put down to.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Sender {
    /// The author's domain, where DMARC, DKIM or SPF proves it.
    pub domain: Option<DomainName>,
    /// Who brought it.
    pub address: Option<IpAddr>,
}

/// What a message turned out to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Worth {
    /// Somebody wanted it.
    Wanted,
    /// Nobody did.
    Unwanted,
}

/// What somebody's mail was worth so far. Counts halve with [`HALF_LIFE`].
#[derive(Clone, Copy, Default, PartialEq, Debug)]
pub struct Standing {
    /// Messages that were wanted.
    pub wanted: f32,
    /// Messages that were not.
    pub unwanted: f32,
}

/// After how long a message counts half.
pub const HALF_LIFE: Duration = Duration::from_secs(14 * 24 * 3_600);

impl Standing {
    /// How many messages speak.
    #[must_use]
    pub fn messages(&self) -> f32 {
        self.wanted + self.unwanted
    }

    /// How much of it was unwanted, 0 to 1; one half where nothing is known.
    #[must_use]
    pub fn unwanted_share(&self) -> f32 {
        // One message of each kind beforehand: a single message is no rule.
        (self.unwanted + 1.0) / (self.messages() + 2.0)
    }
}

/// What is known of those to whom a message is put down.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
pub struct Reputation {
    /// Of the author's domain.
    pub domain: Standing,
    /// Of the client's address (its /64, for IPv6).
    pub address: Standing,
    /// Of the network around it (/24, /48).
    pub network: Standing,
    /// Messages that this address sent to traps lately.
    pub trapped: f32,
    /// Messages that its network sent to traps lately.
    pub network_trapped: f32,
}

/// What a message says to answer.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub enum AnswerTo {
    /// Nothing of ours.
    #[default]
    Nothing,
    /// A message of ours, which anybody can say who has read it somewhere.
    Ours,
    /// A message of ours, and a domain to which it was sent vouches for the answer.
    OursByRecipient,
}

impl Senders {
    /// Opens the memory at `path` (made if missing). Blocking.
    ///
    /// # Errors
    /// [`SendersError`].
    pub fn open(path: &Path, clock: Clock, metrics: &Metrics) -> Result<Self, SendersError> {
        let book = Book::open(path)?;
        let settings = WorkersSettings { threads: 1, queue_max: WAITING_MAX };
        let workers = Workers::start("senders", settings, metrics).map_err(SendersError::Threads)?;
        Ok(Self { book: Arc::new(Mutex::new(book)), workers, clock })
    }

    /// Notes what a message turned out to be. `weight` is how sure that is: 1 for a person's word.
    pub async fn note(&self, sender: &Sender, worth: Worth, weight: f32) {
        let keys = reputation_keys(sender);
        let weight = f64::from(weight.clamp(0.0, 10.0));
        let (wanted, unwanted) = match worth {
            Worth::Wanted => (weight, 0.0),
            Worth::Unwanted => (0.0, weight),
        };
        self.write(move |book, now| {
            keys.iter().try_for_each(|(kind, key)| book.count(*kind, key, wanted, unwanted, now))
        })
        .await;
    }

    /// What is known of a sender.
    pub async fn reputation(&self, sender: &Sender) -> Reputation {
        let keys = reputation_keys(sender);
        let traps = sender.address.map(trap_keys);
        self.read(move |book, now| {
            let mut known = Reputation::default();
            for (kind, key) in &keys {
                let standing = book.standing(*kind, key, now)?;
                match kind {
                    Kind::Domain => known.domain = standing,
                    Kind::Address => known.address = standing,
                    _ => known.network = standing,
                }
            }
            if let Some((address, network)) = traps {
                known.trapped = book.standing(Kind::TrappedAddress, &address, now)?.unwanted;
                known.network_trapped = book.standing(Kind::TrappedNetwork, &network, now)?.unwanted;
            }
            Ok(known)
        })
        .await
    }

    /// One of our people has sent a message: reports on it may come, and answers to it are recognised.
    pub async fn wrote(&self, account: AccountId, recipients: &[Address], message_id: Option<&str>) {
        let message = message_id.and_then(message_key);
        let mut domains: Vec<&DomainName> = recipients_of(recipients);
        domains.truncate(ANSWERERS_MAX);
        let answerers: Vec<Key> = message
            .iter()
            .flat_map(|message| domains.iter().map(|domain| answer_key(message, domain)))
            .collect();
        self.write(move |book, now| {
            for answerer in &answerers {
                book.see(Kind::MessageTo, NOBODY, answerer, now)?;
            }
            book.see(Kind::Wrote, account, &key(&[]), now)?;
            message.map_or(Ok(()), |message| book.see(Kind::Message, NOBODY, &message, now))
        })
        .await;
    }

    /// Whether one of these Message-IDs (brackets or not, from In-Reply-To and References) is of a message that our people
    /// sent, and whether they sent it to somebody of the domain that is `proven` to be the author's.
    pub async fn answers<'a>(
        &self,
        message_ids: impl IntoIterator<Item = &'a str>,
        proven: Option<&DomainName>,
    ) -> AnswerTo {
        let keys: Vec<Key> = message_ids.into_iter().take(NAMES_MAX).filter_map(message_key).collect();
        if keys.is_empty() {
            return AnswerTo::Nothing;
        }
        let proven = proven.cloned();
        self.read(move |book, now| {
            let mut found = AnswerTo::Nothing;
            for key in &keys {
                if !book.has(Kind::Message, NOBODY, key, now)? {
                    continue;
                }
                found = AnswerTo::Ours;
                if let Some(proven) = &proven
                    && book.has(Kind::MessageTo, NOBODY, &answer_key(key, proven), now)?
                {
                    return Ok(AnswerTo::OursByRecipient);
                }
            }
            Ok(found)
        })
        .await
    }

    /// Whether one of these accounts has written to anybody lately, so that reports on delivery may come for it.
    pub(crate) async fn have_written(&self, accounts: &[AccountId]) -> bool {
        let accounts = accounts.to_vec();
        self.read(move |book, now| {
            for account in accounts {
                if book.has(Kind::Wrote, account, &key(&[]), now)? {
                    return Ok(true);
                }
            }
            Ok(false)
        })
        .await
    }

    /// What becomes of an attempt of somebody suspicious.
    pub(crate) async fn greylist(&self, attempt: Attempt, bounds: GreyBounds) -> Greylisted {
        self.write(move |book, now| book.greylist(&attempt, bounds, now)).await
    }

    /// Whether the sender of a message has brought mail before that was taken.
    pub(crate) async fn is_allowed(&self, origin: &Origin, sender_domain: &str) -> bool {
        let (origin, sender_domain) = (origin.clone(), sender_domain.to_owned());
        self.read(move |book, now| book.is_allowed(&origin, &sender_domain, now)).await
    }

    /// Mail was taken that a stranger brought: he is not asked to come again next time.
    pub(crate) async fn succeeded(&self, origin: Origin, address: IpAddr, sender_domain: String) {
        self.write(move |book, now| {
            book.allow(&origin, &sender_domain, now)?;
            let network = Origin::network(address).filter(|network| *network != origin);
            network.map_or(Ok(()), |network| book.count_success(&network, now))
        })
        .await;
    }

    /// Whether mail was taken that came from this network.
    pub(crate) async fn has_brought_mail(&self, address: IpAddr) -> bool {
        let Some(network) = Origin::network(address) else { return false };
        self.read(move |book, now| book.has_succeeded(&network, now)).await
    }

    /// Somebody has written to a trap.
    pub(crate) async fn trapped(&self, address: IpAddr) {
        let (one, network) = trap_keys(address);
        self.write(move |book, now| {
            book.count(Kind::TrappedAddress, &one, 0.0, 1.0, now)?;
            book.count(Kind::TrappedNetwork, &network, 0.0, 1.0, now)
        })
        .await;
    }

    /// Sets a trap: an address that never was anybody's. False where there are as many as may be.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub async fn add_trap(&self, address: &Address) -> Result<bool, StorageError> {
        let address = address.to_canonical().to_string();
        self.try_run(move |book, _| book.add_trap(&address, TRAPS_MAX)).await
    }

    /// Takes a trap away; false where there was none.
    ///
    /// # Errors
    /// When it cannot be taken away.
    pub async fn remove_trap(&self, address: &Address) -> Result<bool, StorageError> {
        let address = address.to_canonical().to_string();
        self.try_run(move |book, _| book.remove_trap(&address)).await
    }

    /// The traps that were set.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn traps(&self) -> Result<Vec<Address>, StorageError> {
        let traps = self.try_run(|book, _| book.traps()).await?;
        Ok(traps.iter().filter_map(|text| Address::parse(text).ok()).collect())
    }

    /// Whether an address is a trap that was set.
    pub(crate) async fn is_trap(&self, address: &Address) -> bool {
        let address = address.to_canonical().to_string();
        self.read(move |book, _| book.is_trap(&address)).await
    }

    /// How many rows of each kind there are, for people who want to know.
    pub async fn counts(&self) -> Vec<(&'static str, u64)> {
        self.read(|book, _| book.counts()).await
    }

    /// Runs a job on the book's thread.
    async fn try_run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Book, Timestamp) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        let (book, now) = (Arc::clone(&self.book), self.clock.now());
        let done = self.workers.run(move || job(&mut book.lock(), now)).await;
        done.unwrap_or_else(|error| {
            Err(StorageError::Corrupt { place: "senders.db".to_owned(), what: error.to_string() })
        })
    }

    async fn read<T: Default + Send + 'static>(
        &self,
        job: impl FnOnce(&mut Book, Timestamp) -> Result<T, StorageError> + Send + 'static,
    ) -> T {
        // What is given up is done all the same, and its answer heard by nobody.
        let Ok(done) = tokio::time::timeout(WAIT_MAX, self.try_run(job)).await else {
            tracing::warn!("the memory of senders takes too long to answer");
            return T::default();
        };
        done.unwrap_or_else(|error| {
            tracing::warn!(%error, "the memory of senders does not answer");
            T::default()
        })
    }

    async fn write<T: Default + Send + 'static>(
        &self,
        job: impl FnOnce(&mut Book, Timestamp) -> Result<T, StorageError> + Send + 'static,
    ) -> T {
        self.read(move |book, now| {
            let done = job(book, now)?;
            book.tidy_now_and_then(now)?;
            Ok(done)
        })
        .await
    }
}

/// The account of what belongs to none.
const NOBODY: AccountId = AccountId(0);

/// The prefix lengths of what counts as one client and as one network.
pub(crate) const CLIENT: (u8, u8) = (32, 64);
pub(crate) const NETWORK: (u8, u8) = (24, 48);

/// The block of addresses around one, by a prefix length for each family.
pub(crate) fn block(address: IpAddr, (four, six): (u8, u8)) -> Option<Network> {
    let address = address.to_canonical();
    Network::around(address, if address.is_ipv4() { four } else { six })
}

/// What counts as one client: an IPv4 address, an IPv6 /64.
pub(crate) fn client_block(address: IpAddr) -> Option<Network> {
    block(address, CLIENT)
}

fn block_key(address: IpAddr, prefix: (u8, u8)) -> Key {
    let text = block(address, prefix).map(|network| network.to_string()).unwrap_or_default();
    key(&[text.as_bytes()])
}

fn trap_keys(address: IpAddr) -> (Key, Key) {
    (block_key(address, CLIENT), block_key(address, NETWORK))
}

fn reputation_keys(sender: &Sender) -> Vec<(Kind, Key)> {
    let domain = sender.domain.iter().map(|domain| (Kind::Domain, key(&[domain.as_str().as_bytes()])));
    let address = sender.address.iter().flat_map(|address| {
        [(Kind::Address, block_key(*address, CLIENT)), (Kind::Network, block_key(*address, NETWORK))]
    });
    domain.chain(address).collect()
}

/// The domains of recipients, each once.
fn recipients_of(recipients: &[Address]) -> Vec<&DomainName> {
    let mut domains: Vec<&DomainName> = Vec::new();
    for domain in recipients.iter().take(NAMES_MAX).filter_map(Address::domain_name) {
        if !domains.contains(&domain) {
            domains.push(domain);
        }
    }
    domains
}

fn answer_key(message: &Key, domain: &DomainName) -> Key {
    key(&[message, domain.as_str().as_bytes()])
}

/// Message-IDs as they are compared: without brackets and blanks.
fn message_key(message_id: &str) -> Option<Key> {
    let inner = message_id.trim().trim_start_matches('<').trim_end_matches('>');
    (!inner.is_empty()).then(|| key(&[inner.as_bytes()]))
}

#[cfg(test)]
mod tests;

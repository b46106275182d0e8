//! A queue with its store in a directory of its own, and short words for what tests do with it.

use std::path::Path;
use std::time::Duration;

use mail_types::{
    AccountId, Address, DomainName, EnhancedCode, QueueId, ReplyCode, ReversePath, TransactionId,
};
use mailstore::{Arriving, Filing, FilingTarget, FlagNames, QuotaLimit, Store};
use platform::clock::{Clock, Timestamp};
use platform::metrics::Metrics;
use queue::{
    Destination, Diagnostic, Lease, NewMessage, Notify, Overdue, Parcel, ParcelOutcome, Queue, Recipient,
    RecipientNumber, RecipientOutcome, Settings,
};
use tempfile::TempDir;

pub(crate) const ANN: AccountId = AccountId(1);

/// A queue, its store, its clock and its place.
pub(crate) struct House {
    pub(crate) queue: Queue,
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) data: TempDir,
}

pub(crate) fn clock() -> Clock {
    Clock::settable(Timestamp::from_unix_seconds(1_700_000_000))
}

pub(crate) fn open(data: &Path, clock: &Clock, settings: Settings) -> (Store, Queue) {
    let mut of_store = mailstore::Settings::default();
    of_store.packs.pack_octets = 1 << 18;
    of_store.packs.free_octets_min = 0;
    of_store.packs.reserve_octets = 0;
    of_store.recoverable = Duration::ZERO;
    let metrics = Metrics::default();
    let unattached = Queue::open(data, settings, clock.clone(), &metrics).unwrap();
    let tenants = vec![unattached.tenant()];
    let store = Store::open_with(data, of_store, clock.clone(), &metrics, tenants).unwrap();
    let queue = unattached.attach(&store).unwrap();
    (store, queue)
}

impl House {
    pub(crate) fn new() -> Self {
        Self::with(Settings::default())
    }

    pub(crate) fn with(settings: Settings) -> Self {
        let (data, clock) = (tempfile::tempdir().unwrap(), clock());
        let (store, queue) = open(data.path(), &clock, settings);
        Self { queue, store, clock, data }
    }

    /// Closes in order and opens again.
    pub(crate) async fn reopened(self) -> Self {
        let Self { store, queue, clock, data } = self;
        drop(queue);
        store.close().await.unwrap();
        let (store, queue) = open(data.path(), &clock, Settings::default());
        Self { queue, store, clock, data }
    }

    /// The data directory as a crash would leave it now, opened.
    pub(crate) fn crashed(&self) -> Self {
        let data = tempfile::tempdir().unwrap();
        copy_directory(self.data.path(), data.path());
        Self::from(data, self.clock.clone())
    }

    pub(crate) fn from(data: TempDir, clock: Clock) -> Self {
        let (store, queue) = open(data.path(), &clock, Settings::default());
        Self { queue, store, clock, data }
    }

    pub(crate) async fn accept(&self, new: NewMessage) -> QueueId {
        let message = arriving(&self.store, &text(&new)).await;
        self.queue.accept(message, new, Vec::new()).await.unwrap().0.id()
    }

    pub(crate) async fn pass(&self, time: Duration) {
        self.clock.advance(time);
        self.queue.look().await.unwrap();
    }

    /// A lease, if one is to be had now.
    pub(crate) async fn lease(&self) -> Option<Lease> {
        now(self.queue.lease()).await
    }

    pub(crate) async fn overdue(&self) -> Option<Overdue> {
        now(self.queue.overdue()).await
    }

    /// Sends everything that is due: what became of each recipient says `answer`. Gives what was sent, in order.
    pub(crate) async fn send(&self, answer: &dyn Fn(&Parcel, &str) -> RecipientOutcome) -> Vec<String> {
        let mut sent = Vec::new();
        while let Some(mut lease) = self.lease().await {
            while let Some(parcel) = lease.next().await {
                let mut outcome = ParcelOutcome::default();
                for (number, recipient) in parcel.recipients() {
                    let address = recipient.forward_path.to_string();
                    outcome.recipients.push((number, answer(&parcel, &address)));
                    sent.push(format!("{} {address}", parcel.id().to_text()));
                }
                lease.settle(parcel, outcome).await.unwrap();
            }
            lease.flush().await.unwrap();
            lease.end(queue::ConnectionEnd::Reached);
        }
        sent
    }

    pub(crate) async fn assert_sound(&self) {
        let faults = self.store.verify().await.unwrap();
        assert!(faults.is_empty(), "{faults:#?}");
    }
}

/// The future's answer, if it has one now.
pub(crate) async fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(Duration::ZERO, future).await.ok()
}

pub(crate) fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_directory(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

pub(crate) fn address(text: &str) -> Address {
    Address::parse(text).unwrap()
}

pub(crate) fn domain(text: &str) -> Destination {
    Destination::Domain(DomainName::parse(text).unwrap())
}

pub(crate) fn recipient(text: &str) -> Recipient {
    let forward_path = address(text);
    let destination = Destination::Domain(forward_path.domain_name().unwrap().clone());
    Recipient::plain(forward_path, destination, Notify::Default)
}

/// A message from Ann, arrived now.
pub(crate) fn new_message(clock: &Clock, recipients: &[&str]) -> NewMessage {
    let recipients = recipients.iter().map(|text| recipient(text)).collect();
    NewMessage {
        reverse_path: ReversePath::Address(address("ann@example.org")),
        submitter: Some(ANN),
        ..NewMessage::plain(TransactionId(7), clock.now(), recipients)
    }
}

pub(crate) fn text(new: &NewMessage) -> Vec<u8> {
    let to = new.recipients.first().map(|recipient| recipient.forward_path.to_string());
    format!("From: Ann <ann@example.org>\r\nTo: {}\r\n\r\nHello.\r\n", to.unwrap_or_default()).into_bytes()
}

pub(crate) async fn arriving(store: &Store, octets: &[u8]) -> Arriving {
    let mut intake = store.intake().unwrap();
    for piece in octets.chunks(30_000) {
        intake.write(piece).await.unwrap();
    }
    intake.finish().await.unwrap()
}

pub(crate) fn filing() -> Filing {
    Filing {
        account: ANN,
        mailbox: FilingTarget::Name(mail_types::MailboxName::inbox()),
        flags: FlagNames::default(),
        internal_date: Timestamp::from_unix_seconds(1_600_000_000),
        quota: QuotaLimit::NONE,
        way: TransactionId(7),
    }
}

pub(crate) fn later() -> Diagnostic {
    Diagnostic {
        remote: Some("mx.example.net".into()),
        code: ReplyCode::parse(450),
        status: Some(EnhancedCode::new(4, 7, 1)),
        text: "Come back later".into(),
    }
}

pub(crate) fn relayed(_: &Parcel, _: &str) -> RecipientOutcome {
    RecipientOutcome::Relayed
}

pub(crate) fn deferred(_: &Parcel, _: &str) -> RecipientOutcome {
    RecipientOutcome::Deferred(later())
}

pub(crate) fn number(number: u16) -> RecipientNumber {
    RecipientNumber(number)
}

pub(crate) async fn octets(parcel: &Parcel) -> Vec<u8> {
    let reader = parcel.open().await.unwrap();
    let mut octets = Vec::new();
    while (octets.len() as u64) < reader.octets() {
        octets.extend(reader.read(octets.len() as u64..u64::MAX).await.unwrap());
    }
    octets
}

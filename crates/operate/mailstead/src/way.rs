//! The record of each message's way: what the doors did with it, kept for a while in `DATA/state.db` and searchable.
//!
//! A thread of its own writes in batches, so that no message waits for its record. What does not fit into the
//! bounded queue is dropped and counted: the record serves people, it is not the mail. The same thread keeps what
//! accounts have sent.

mod names;
mod sent;
mod step;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use anyhow::Context;
use mta::SentHour;
use platform::clock::{Clock, Timestamp};
use storage::rusqlite::params;
use storage::{CacheBudget, Database, Durability};
use tokio::sync::oneshot;

pub(crate) use names::Transactions;
pub(crate) use sent::KEEP_EVERY;
pub(crate) use step::{attempt_step, message_step};

/// Steps that may wait for the disk.
const WAITING_MAX: usize = 8_192;
/// Steps written in one transaction.
const BATCH_MAX: usize = 1_024;
/// How long more steps are waited for, and how often, before a batch is written: nobody waits for the record, and each
/// transaction costs some pages, however few steps it brings.
const GATHERING_WAIT: Duration = Duration::from_millis(20);
const GATHERING_WAITS_MAX: u32 = 10;
/// How long steps are kept.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);
/// Steps kept at the most: about 500 MB.
const KEPT_MAX: i64 = 1_000_000;
/// After so many steps, old ones are looked for.
const TIDY_EVERY: usize = 10_000;

const MIGRATIONS: [&str; 2] = [STEPS, sent::TABLE];

const STEPS: &str = "
    CREATE TABLE steps (id INTEGER PRIMARY KEY, time INTEGER NOT NULL, step TEXT NOT NULL);
    CREATE TABLE step_keys (key TEXT NOT NULL, id INTEGER NOT NULL, PRIMARY KEY (key, id)) WITHOUT ROWID;
    CREATE INDEX step_keys_by_id ON step_keys (id);
";

/// A step of a message's way and the words under which it is found.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) step: serde_json::Value,
    /// Transaction id, Message-ID, addresses; lower case.
    pub(crate) keys: Vec<String>,
}

/// A step as it waits for the disk: as text, since a tree of values takes several times as much memory.
struct WrittenStep {
    time: Timestamp,
    text: Box<str>,
    keys: Vec<String>,
}

enum Order {
    Write(WrittenStep),
    Search(String, usize, oneshot::Sender<anyhow::Result<Vec<serde_json::Value>>>),
    KeepSent(Vec<SentHour>),
    Sent(oneshot::Sender<anyhow::Result<Vec<SentHour>>>),
    Close(oneshot::Sender<()>),
}

/// The record; clones write into the same.
#[derive(Clone, Debug)]
pub(crate) struct WayBook {
    orders: SyncSender<Order>,
    clock: Clock,
    dropped: Arc<AtomicU64>,
}

impl WayBook {
    /// Opens the record, making it where it is missing.
    pub(crate) fn open(file: &Path, clock: Clock) -> anyhow::Result<Self> {
        let database = Database::open(file, Durability::Derived, CacheBudget::Small, &MIGRATIONS)?;
        let (orders, waiting) = sync_channel(WAITING_MAX);
        std::thread::Builder::new()
            .name("way-book".into())
            .spawn(move || Scribe { database, since_tidy: 0 }.work(&waiting))
            .context("starting the thread that keeps the record")?;
        Ok(Self { orders, clock, dropped: Arc::default() })
    }

    /// Writes a step down, soon.
    pub(crate) fn record(&self, step: Step) {
        let Step { step, keys } = step;
        let written = WrittenStep { time: self.clock.now(), text: step.to_string().into(), keys };
        drop(step);
        match self.orders.try_send(Order::Write(written)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                if self.dropped.fetch_add(1, Ordering::Relaxed) == 0 {
                    tracing::warn!(
                        "steps of messages' ways come faster than the disk takes them; some are not recorded"
                    );
                }
            }
        }
    }

    /// The latest `most` steps found under `what`, oldest first, and at most as many others of the same ways.
    pub(crate) async fn search(&self, what: &str, most: usize) -> anyhow::Result<Vec<serde_json::Value>> {
        let (sender, answer) = oneshot::channel();
        let key = what.trim().trim_matches(['<', '>']).to_lowercase();
        self.orders
            .try_send(Order::Search(key, most, sender))
            .ok()
            .context("the record is busy; try again")?;
        answer.await.context("the record is closed")?
    }

    /// Writes down what accounts have sent.
    pub(crate) async fn keep_sent(&self, sent: Vec<SentHour>) {
        if !sent.is_empty() && !self.order(Order::KeepSent(sent)).await {
            tracing::warn!("what accounts have sent is not kept");
        }
    }

    /// What accounts have sent, as it was kept.
    pub(crate) async fn sent(&self) -> anyhow::Result<Vec<SentHour>> {
        let (sender, answer) = oneshot::channel();
        self.order(Order::Sent(sender)).await;
        answer.await.context("the record is closed")?
    }

    /// Writes what waits and stops.
    pub(crate) async fn close(&self) {
        let (sender, closed) = oneshot::channel();
        if self.order(Order::Close(sender)).await && closed.await.is_err() {
            tracing::warn!("the record of messages' ways did not close in order");
        }
    }

    /// Gives an order that is not dropped when many wait. Whether it was taken.
    async fn order(&self, order: Order) -> bool {
        let orders = self.orders.clone();
        let taken = tokio::task::spawn_blocking(move || orders.send(order).is_ok()).await;
        matches!(taken, Ok(true))
    }
}

struct Scribe {
    database: Database,
    since_tidy: usize,
}

impl Scribe {
    fn work(mut self, waiting: &Receiver<Order>) {
        while let Ok(first) = waiting.recv() {
            let batch = gather(waiting, first);
            let mut steps = Vec::new();
            for order in batch {
                match order {
                    Order::Write(step) => steps.push(step),
                    Order::Search(key, most, answer) => {
                        self.write(std::mem::take(&mut steps));
                        let found = self.search(&key, most);
                        // The asker may have gone; then nobody misses the answer.
                        drop(answer.send(found));
                    }
                    Order::KeepSent(hours) => {
                        if let Err(error) = sent::keep(&mut self.database, &hours) {
                            tracing::warn!(
                                error = format!("{error:#}"),
                                "what accounts have sent is not kept"
                            );
                        }
                    }
                    // The asker may have gone; then nobody misses the answer.
                    Order::Sent(answer) => drop(answer.send(sent::kept(&self.database))),
                    Order::Close(answer) => {
                        self.write(steps);
                        if let Err(error) = self.database.checkpoint() {
                            tracing::warn!(%error, "the record of messages' ways could not be made durable");
                        }
                        // Nobody waits any more when the close was given up.
                        let _ = answer.send(());
                        return;
                    }
                }
            }
            self.write(steps);
        }
    }

    fn write(&mut self, steps: Vec<WrittenStep>) {
        if steps.is_empty() {
            return;
        }
        self.since_tidy += steps.len();
        if let Err(error) = self.try_write(&steps) {
            tracing::warn!(
                error = format!("{error:#}"),
                steps = steps.len(),
                "steps of messages' ways are not recorded"
            );
        }
        if self.since_tidy >= TIDY_EVERY {
            self.since_tidy = 0;
            // Nobody else moves the write-ahead log into the file: without this it would grow for ever.
            if let Err(error) = self.database.checkpoint() {
                tracing::warn!(%error, "the record of messages' ways could not be made durable");
            }
            let newest = steps.last().map(|step| step.time).unwrap_or_default();
            if let Err(error) = self.tidy(newest) {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "old steps of messages' ways could not be removed"
                );
            }
        }
    }

    fn try_write(&mut self, steps: &[WrittenStep]) -> anyhow::Result<()> {
        let transaction = self.database.transaction()?;
        {
            let mut step_row =
                transaction.prepare_cached("INSERT INTO steps (time, step) VALUES (?1, ?2)")?;
            let mut key_row =
                transaction.prepare_cached("INSERT OR IGNORE INTO step_keys (key, id) VALUES (?1, ?2)")?;
            for step in steps {
                let id = step_row.insert(params![step.time.unix_millis(), step.text])?;
                for key in &step.keys {
                    key_row.execute(params![key, id])?;
                }
            }
        }
        transaction.commit()?;
        Ok(())
    }

    fn search(&self, key: &str, most: usize) -> anyhow::Result<Vec<serde_json::Value>> {
        let mut statement = self.database.connection().prepare_cached(
            // A Message-ID or a recipient of an alias is known to one step of a way alone: the others are found by the way.
            "WITH found AS (SELECT id FROM step_keys WHERE key = ?1 ORDER BY id DESC LIMIT ?2),
             ways AS (SELECT DISTINCT step ->> '$.transaction' AS way FROM steps WHERE id IN found),
             others AS (SELECT id FROM step_keys WHERE key IN (SELECT way FROM ways) ORDER BY id DESC LIMIT ?2)
             SELECT time, step FROM steps WHERE id IN found OR id IN others ORDER BY id",
        )?;
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let rows = statement
            .query_map(params![key, most], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
        let mut steps = Vec::new();
        for row in rows {
            let (time, text) = row?;
            let mut step: serde_json::Value = serde_json::from_str(&text)?;
            let time = jiff::Timestamp::from_millisecond(time)?.to_string();
            if let Some(object) = step.as_object_mut() {
                object.insert("time".into(), time.into());
            }
            steps.push(step);
        }
        Ok(steps)
    }

    fn tidy(&mut self, now: Timestamp) -> anyhow::Result<()> {
        let oldest = now.unix_millis() - i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX);
        let transaction = self.database.transaction()?;
        transaction.execute(
            "DELETE FROM steps WHERE time < ?1 OR id <= (SELECT max(id) FROM steps) - ?2",
            params![oldest, KEPT_MAX],
        )?;
        transaction
            .execute("DELETE FROM step_keys WHERE id < (SELECT coalesce(min(id), 0) FROM steps)", [])?;
        transaction.commit()?;
        Ok(())
    }
}

/// What is worked on together: orders that are there or come soon, up to the first that somebody waits for. The thread
/// sleeps meanwhile instead of waking for each of thousands.
fn gather(waiting: &Receiver<Order>, first: Order) -> Vec<Order> {
    let mut batch = vec![first];
    for waits in 0.. {
        while batch.len() < BATCH_MAX
            && matches!(batch.last(), Some(Order::Write(..)))
            && let Ok(order) = waiting.try_recv()
        {
            batch.push(order);
        }
        let is_awaited = !matches!(batch.last(), Some(Order::Write(..)));
        if is_awaited || batch.len() >= BATCH_MAX || waits >= GATHERING_WAITS_MAX {
            break;
        }
        std::thread::sleep(GATHERING_WAIT);
    }
    batch
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(number: usize, key: &str) -> Step {
        Step { step: serde_json::json!({ "number": number }), keys: vec![key.to_owned()] }
    }

    #[tokio::test]
    async fn steps_are_found_by_their_keys_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let clock = Clock::settable(Timestamp::from_unix_millis(0));
        let book = WayBook::open(&directory.path().join("state.db"), clock.clone()).unwrap();
        for number in 0..5 {
            book.record(step(number, if number == 3 { "bob@example.org" } else { "ann@example.org" }));
        }
        let numbers = |steps: Vec<serde_json::Value>| {
            steps.iter().map(|s| s["number"].as_u64().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(numbers(book.search("<ANN@example.org>", 3).await.unwrap()), [1, 2, 4]);
        assert_eq!(numbers(book.search("bob@example.org", 9).await.unwrap()), [3]);
        book.close().await;
        let book = WayBook::open(&directory.path().join("state.db"), clock).unwrap();
        assert_eq!(numbers(book.search("bob@example.org", 9).await.unwrap()), [3]);
    }

    #[tokio::test]
    async fn what_accounts_have_sent_is_kept_for_a_day() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("state.db");
        let clock = Clock::settable(Timestamp::from_unix_millis(0));
        let row = |account, hour, messages| SentHour {
            account: mail_types::AccountId(account),
            hour,
            messages,
            recipients: u32::MAX,
        };
        let book = WayBook::open(&file, clock.clone()).unwrap();
        book.keep_sent(vec![row(1, 100, 5), row(2, 101, 7)]).await;
        book.keep_sent(vec![row(1, 100, 6)]).await;
        book.close().await;
        let book = WayBook::open(&file, clock.clone()).unwrap();
        assert_eq!(book.sent().await.unwrap(), [row(1, 100, 6), row(2, 101, 7)]);
        book.keep_sent(vec![row(2, 124, 1)]).await;
        book.close().await;
        let book = WayBook::open(&file, clock).unwrap();
        assert_eq!(book.sent().await.unwrap(), [row(2, 101, 7), row(2, 124, 1)]);
    }

    #[tokio::test]
    async fn one_step_of_a_way_leads_to_the_others() {
        let directory = tempfile::tempdir().unwrap();
        let clock = Clock::settable(Timestamp::from_unix_millis(0));
        let book = WayBook::open(&directory.path().join("state.db"), clock).unwrap();
        let of_way = |number: usize, way: &str, key: &str| Step {
            step: serde_json::json!({ "number": number, "transaction": way }),
            keys: vec![way.to_owned(), key.to_owned()],
        };
        book.record(of_way(0, "one", "message@example.org"));
        book.record(of_way(1, "two", "bob@example.org"));
        book.record(of_way(2, "one", "bob@example.org"));
        let found = book.search("message@example.org", 9).await.unwrap();
        let numbers: Vec<_> = found.iter().map(|step| step["number"].as_u64().unwrap()).collect();
        assert_eq!(numbers, [0, 2]);
        assert_eq!(book.search("bob@example.org", 9).await.unwrap().len(), 3);
    }
}

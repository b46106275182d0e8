//! What is counted for reports and what reports told us, in `DATA/reports.db`.
//!
//! A thread of its own writes in batches, so that no message waits for its count. What does not fit into the bounded
//! queue or the bounds below is dropped and counted.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use anyhow::Context;
use platform::clock::Timestamp;
use sender_auth::reports::{TlsFailureDetails, TlsPolicyResult};
use storage::rusqlite::{OptionalExtension as _, Transaction, params};
use storage::{CacheBudget, Database, Durability};
use tokio::sync::oneshot;

use super::tally::DmarcRow;

/// Counts that may wait for the disk.
const WAITING_MAX: usize = 8_192;
/// Counts written in one transaction.
const BATCH_MAX: usize = 1_024;
/// How long more counts are waited for before a batch is written, and how often.
const GATHERING_WAIT: Duration = Duration::from_millis(20);
const GATHERING_WAITS_MAX: u32 = 10;
/// How long a report waits for DNS to tell where it goes. Older news is of no use to anybody.
const UNSENT_DAYS: i64 = 3;
/// How long received reports are kept.
const KEPT_SECONDS: i64 = 400 * 86_400;

/// Bounds of what is kept.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// Rows of one report.
    rows_of_report: i64,
    /// Rows of all reports together: some hundred megabytes at the most.
    rows: i64,
    /// Reports that are counted for, a domain and day each.
    reports: i64,
    /// Policies whose TLS is counted.
    tls: i64,
    /// Reports of others that are kept.
    received: i64,
    /// Octets of them.
    received_octets: i64,
}

const BOUNDS: Bounds = Bounds {
    rows_of_report: 10_000,
    rows: 200_000,
    reports: 10_000,
    tls: 20_000,
    received: 20_000,
    received_octets: 512 << 20,
};
/// Kinds of failure of one policy on one day that are kept apart.
const TLS_DETAILS_MAX: usize = 50;

const MIGRATIONS: [&str; 1] = ["
    CREATE TABLE dmarc_reports (id INTEGER PRIMARY KEY, day INTEGER NOT NULL, domain TEXT NOT NULL,
        policy TEXT NOT NULL, rows INTEGER NOT NULL DEFAULT 0, dropped INTEGER NOT NULL DEFAULT 0,
        UNIQUE (day, domain, policy));
    CREATE TABLE dmarc_rows (report INTEGER NOT NULL, row TEXT NOT NULL, count INTEGER NOT NULL,
        PRIMARY KEY (report, row)) WITHOUT ROWID;
    CREATE TABLE tls_results (day INTEGER NOT NULL, domain TEXT NOT NULL, policy TEXT NOT NULL, result TEXT NOT NULL,
        PRIMARY KEY (day, domain, policy)) WITHOUT ROWID;
    CREATE TABLE received (id INTEGER PRIMARY KEY, time INTEGER NOT NULL, kind TEXT NOT NULL, reporter TEXT NOT NULL,
        domain TEXT NOT NULL, report_id TEXT NOT NULL, octets INTEGER NOT NULL, report TEXT NOT NULL,
        UNIQUE (kind, reporter, domain, report_id));
    CREATE INDEX received_by_time ON received (time);
"];

/// A DMARC report to be sent.
#[derive(Debug)]
pub(super) struct PendingReport {
    pub(super) id: i64,
    pub(super) day: i64,
    pub(super) policy: String,
    /// Messages that were not counted one by one.
    pub(super) dropped: u64,
}

/// A report that somebody sent, as it is kept.
#[derive(Clone, Debug)]
pub(super) struct ReceivedReport {
    pub(super) time: Timestamp,
    pub(super) kind: &'static str,
    pub(super) reporter: String,
    /// What it is about; empty where it does not say.
    pub(super) domain: String,
    pub(super) report_id: String,
    /// JSON.
    pub(super) report: String,
}

type Job = Box<dyn FnOnce(&mut Shelf) + Send>;

enum Order {
    Count(DmarcRow),
    Do(Job),
    Close(oneshot::Sender<()>),
}

/// The book; clones write into the same.
#[derive(Clone, Debug)]
pub(crate) struct ReportBook {
    orders: SyncSender<Order>,
    dropped: Arc<AtomicU64>,
}

impl ReportBook {
    /// Opens the book, making it where it is missing.
    pub(crate) fn open(file: &Path) -> anyhow::Result<Self> {
        let shelf = Shelf::open(file, BOUNDS)?;
        let (orders, waiting) = sync_channel(WAITING_MAX);
        std::thread::Builder::new()
            .name("report-book".into())
            .spawn(move || work(shelf, &waiting))
            .context("starting the thread that counts for reports")?;
        Ok(Self { orders, dropped: Arc::default() })
    }

    /// Counts a message, soon.
    pub(crate) fn count(&self, row: DmarcRow) {
        let is_lost = self.orders.try_send(Order::Count(row)).is_err();
        if is_lost && self.dropped.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!("messages come faster than the disk counts them; reports to others lack some");
        }
    }

    /// Works on what is kept, after everything that was counted before.
    pub(super) async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Shelf) -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let (sender, answer) = oneshot::channel();
        // Nobody misses the answer where the asker has gone.
        let job: Job = Box::new(move |shelf| drop(sender.send(work(shelf))));
        self.orders.try_send(Order::Do(job)).ok().context("the book of reports is busy; try again")?;
        answer.await.context("the book of reports is closed")?
    }

    /// Writes what waits and stops.
    pub(crate) async fn close(&self) {
        let (sender, closed) = oneshot::channel();
        let orders = self.orders.clone();
        let sent = tokio::task::spawn_blocking(move || orders.send(Order::Close(sender)).is_ok()).await;
        if matches!(sent, Ok(true)) && closed.await.is_err() {
            tracing::warn!("the book of reports did not close in order");
        }
    }
}

fn work(mut shelf: Shelf, waiting: &Receiver<Order>) {
    while let Ok(first) = waiting.recv() {
        let mut rows = Vec::new();
        for order in gather(waiting, first) {
            match order {
                Order::Count(row) => rows.push(row),
                Order::Do(job) => {
                    shelf.count_all(std::mem::take(&mut rows));
                    job(&mut shelf);
                }
                Order::Close(answer) => {
                    shelf.count_all(rows);
                    shelf.settle();
                    // Nobody waits any more when the close was given up.
                    let _ = answer.send(());
                    return;
                }
            }
        }
        shelf.count_all(rows);
    }
}

/// What is worked on together: counts that are there or come soon, up to the first order that somebody waits for.
fn gather(waiting: &Receiver<Order>, first: Order) -> Vec<Order> {
    let mut batch = vec![first];
    for waits in 0.. {
        while batch.len() < BATCH_MAX
            && matches!(batch.last(), Some(Order::Count(_)))
            && let Ok(order) = waiting.try_recv()
        {
            batch.push(order);
        }
        let is_awaited = !matches!(batch.last(), Some(Order::Count(_)));
        if is_awaited || batch.len() >= BATCH_MAX || waits >= GATHERING_WAITS_MAX {
            break;
        }
        std::thread::sleep(GATHERING_WAIT);
    }
    batch
}

/// The database, in the hands of its thread.
#[derive(Debug)]
pub(super) struct Shelf {
    database: Database,
    bounds: Bounds,
}

impl Shelf {
    fn open(file: &Path, bounds: Bounds) -> anyhow::Result<Self> {
        let database = Database::open(file, Durability::Derived, CacheBudget::Small, &MIGRATIONS)?;
        Ok(Self { database, bounds })
    }

    fn count_all(&mut self, rows: Vec<DmarcRow>) {
        if rows.is_empty() {
            return;
        }
        if let Err(error) = self.try_count(&rows) {
            tracing::warn!(error = format!("{error:#}"), messages = rows.len(), "not counted for reports");
        }
    }

    fn try_count(&mut self, rows: &[DmarcRow]) -> anyhow::Result<()> {
        let bounds = self.bounds;
        let transaction = self.database.transaction()?;
        let mut all: i64 =
            transaction
                .query_row("SELECT coalesce(sum(rows), 0) FROM dmarc_reports", [], |row| row.get(0))?;
        for row in rows {
            if let Some(report) = report_of(&transaction, row, bounds)? {
                all += count_row(&transaction, report, row, (all, bounds))?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    /// DMARC reports on days before this one.
    pub(super) fn pending(&mut self, before: i64) -> anyhow::Result<Vec<PendingReport>> {
        let transaction = self.database.transaction()?;
        let pending = {
            let mut statement = transaction
                .prepare("SELECT id, day, policy, dropped FROM dmarc_reports WHERE day < ?1 ORDER BY id")?;
            let rows = statement.query_map(params![before], |row| {
                Ok(PendingReport {
                    id: row.get(0)?,
                    day: row.get(1)?,
                    policy: row.get(2)?,
                    dropped: row.get::<_, i64>(3)?.unsigned_abs(),
                })
            })?;
            rows.collect::<Result<_, _>>()?
        };
        Ok(pending)
    }

    /// The rows of a report, the frequent ones first.
    pub(super) fn rows(&mut self, report: i64) -> anyhow::Result<Vec<(String, u64)>> {
        let transaction = self.database.transaction()?;
        let mut statement = transaction
            .prepare("SELECT row, count FROM dmarc_rows WHERE report = ?1 ORDER BY count DESC, row")?;
        let rows = statement
            .query_map(params![report], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Forgets a report that was sent, or that nobody wants.
    pub(super) fn forget(&mut self, report: i64) -> anyhow::Result<()> {
        let transaction = self.database.transaction()?;
        transaction.execute("DELETE FROM dmarc_rows WHERE report = ?1", params![report])?;
        transaction.execute("DELETE FROM dmarc_reports WHERE id = ?1", params![report])?;
        transaction.commit()?;
        Ok(())
    }

    /// Adds what was seen of TLS on a day.
    pub(super) fn add_tls(
        &mut self,
        day: i64,
        results: Vec<(String, TlsPolicyResult)>,
    ) -> anyhow::Result<()> {
        let bounds = self.bounds;
        let transaction = self.database.transaction()?;
        let mut all: i64 = transaction.query_row("SELECT count(*) FROM tls_results", [], |row| row.get(0))?;
        for (domain, result) in results {
            let policy = serde_json::to_string(&result.policy)?;
            let known: Option<String> = transaction
                .query_row(
                    "SELECT result FROM tls_results WHERE day = ?1 AND domain = ?2 AND policy = ?3",
                    params![day, domain, policy],
                    |row| row.get(0),
                )
                .optional()?;
            let result = match known {
                Some(known) => added(serde_json::from_str(&known)?, result),
                None if all >= bounds.tls => continue,
                None => {
                    all += 1;
                    result
                }
            };
            transaction.execute(
                "INSERT OR REPLACE INTO tls_results (day, domain, policy, result) VALUES (?1, ?2, ?3, ?4)",
                params![day, domain, policy, serde_json::to_string(&result)?],
            )?;
        }
        transaction.commit()?;
        Ok(())
    }

    /// Days and domains before this day whose TLS was seen.
    pub(super) fn pending_tls(&mut self, before: i64) -> anyhow::Result<Vec<(i64, String)>> {
        let transaction = self.database.transaction()?;
        let mut statement =
            transaction.prepare("SELECT DISTINCT day, domain FROM tls_results WHERE day < ?1")?;
        let rows = statement.query_map(params![before], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What was seen of a domain's TLS on a day.
    pub(super) fn tls(&mut self, day: i64, domain: &str) -> anyhow::Result<Vec<TlsPolicyResult>> {
        let transaction = self.database.transaction()?;
        let mut statement =
            transaction.prepare("SELECT result FROM tls_results WHERE day = ?1 AND domain = ?2")?;
        let rows = statement.query_map(params![day, domain], |row| row.get::<_, String>(0))?;
        let mut results = Vec::new();
        for row in rows {
            results.push(serde_json::from_str(&row?)?);
        }
        Ok(results)
    }

    /// Forgets what was seen of a domain's TLS on a day.
    pub(super) fn forget_tls(&mut self, day: i64, domain: &str) -> anyhow::Result<()> {
        let transaction = self.database.transaction()?;
        transaction
            .execute("DELETE FROM tls_results WHERE day = ?1 AND domain = ?2", params![day, domain])?;
        transaction.commit()?;
        Ok(())
    }

    /// Keeps a report of somebody's; the same one sent again takes the place of the first.
    pub(super) fn keep(&mut self, received: &ReceivedReport) -> anyhow::Result<()> {
        let transaction = self.database.transaction()?;
        transaction.execute(
            "INSERT OR REPLACE INTO received (time, kind, reporter, domain, report_id, octets, report)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                received.time.unix_seconds(),
                received.kind,
                received.reporter,
                received.domain,
                received.report_id,
                i64::try_from(received.report.len()).unwrap_or(i64::MAX),
                received.report,
            ],
        )?;
        make_room(&transaction, self.bounds)?;
        transaction.commit()?;
        Ok(())
    }

    /// Visits received reports, oldest first: when, of which kind, about which domain, what it says.
    pub(super) fn visit(
        &mut self,
        since: Timestamp,
        mut visit: impl FnMut(i64, &str, &str, &str),
    ) -> anyhow::Result<()> {
        let transaction = self.database.transaction()?;
        let mut statement = transaction
            .prepare("SELECT time, kind, domain, report FROM received WHERE time >= ?1 ORDER BY time, id")?;
        let mut rows = statement.query(params![since.unix_seconds()])?;
        while let Some(row) = rows.next()? {
            let (kind, domain, report): (String, String, String) = (row.get(1)?, row.get(2)?, row.get(3)?);
            visit(row.get(0)?, &kind, &domain, &report);
        }
        Ok(())
    }

    /// Forgets what is too old, and makes the rest durable.
    pub(super) fn tidy(&mut self, now: Timestamp, today: i64) -> anyhow::Result<()> {
        let (oldest_day, oldest) = (today - UNSENT_DAYS, now.unix_seconds() - KEPT_SECONDS);
        let transaction = self.database.transaction()?;
        transaction.execute(
            "DELETE FROM dmarc_rows WHERE report IN (SELECT id FROM dmarc_reports WHERE day < ?1)",
            params![oldest_day],
        )?;
        transaction.execute("DELETE FROM dmarc_reports WHERE day < ?1", params![oldest_day])?;
        transaction.execute("DELETE FROM tls_results WHERE day < ?1", params![oldest_day])?;
        transaction.execute("DELETE FROM received WHERE time < ?1", params![oldest])?;
        transaction.commit()?;
        self.settle();
        Ok(())
    }

    /// Nobody else moves the write-ahead log into the file.
    fn settle(&mut self) {
        if let Err(error) = self.database.checkpoint() {
            tracing::warn!(%error, "the book of reports could not be made durable");
        }
    }
}

/// The report that a row belongs to; none where there are too many.
fn report_of(
    transaction: &Transaction<'_>,
    row: &DmarcRow,
    bounds: Bounds,
) -> anyhow::Result<Option<(i64, i64)>> {
    let known = transaction
        .prepare_cached("SELECT id, rows FROM dmarc_reports WHERE day = ?1 AND domain = ?2 AND policy = ?3")?
        .query_row(params![row.day, row.domain, row.policy], |found| Ok((found.get(0)?, found.get(1)?)))
        .optional()?;
    if known.is_some() {
        return Ok(known);
    }
    let all: i64 = transaction.query_row("SELECT count(*) FROM dmarc_reports", [], |row| row.get(0))?;
    if all >= bounds.reports {
        return Ok(None);
    }
    let id = transaction
        .prepare_cached("INSERT INTO dmarc_reports (day, domain, policy) VALUES (?1, ?2, ?3)")?
        .insert(params![row.day, row.domain, row.policy])?;
    Ok(Some((id, 0)))
}

/// Counts a message; returns how many rows there are more.
fn count_row(
    transaction: &Transaction<'_>,
    (report, rows): (i64, i64),
    row: &DmarcRow,
    (all, bounds): (i64, Bounds),
) -> anyhow::Result<i64> {
    let counted = transaction
        .prepare_cached("UPDATE dmarc_rows SET count = count + 1 WHERE report = ?1 AND row = ?2")?
        .execute(params![report, row.row])?;
    if counted > 0 {
        return Ok(0);
    }
    if rows >= bounds.rows_of_report || all >= bounds.rows {
        transaction
            .prepare_cached("UPDATE dmarc_reports SET dropped = dropped + 1 WHERE id = ?1")?
            .execute(params![report])?;
        return Ok(0);
    }
    transaction
        .prepare_cached("INSERT INTO dmarc_rows (report, row, count) VALUES (?1, ?2, 1)")?
        .execute(params![report, row.row])?;
    transaction
        .prepare_cached("UPDATE dmarc_reports SET rows = rows + 1 WHERE id = ?1")?
        .execute(params![report])?;
    Ok(1)
}

/// Drops the oldest received reports until the rest is within its bounds.
fn make_room(transaction: &Transaction<'_>, bounds: Bounds) -> anyhow::Result<()> {
    transaction.execute(
        "DELETE FROM received WHERE id IN (
             SELECT id FROM (
                 SELECT id, row_number() OVER newest AS number, sum(octets) OVER newest AS octets
                 FROM received WINDOW newest AS (ORDER BY time DESC, id DESC ROWS UNBOUNDED PRECEDING))
             WHERE number > ?1 OR octets > ?2)",
        params![bounds.received, bounds.received_octets],
    )?;
    Ok(())
}

/// Two counts of the same policy as one.
fn added(mut known: TlsPolicyResult, new: TlsPolicyResult) -> TlsPolicyResult {
    known.summary.total_successful_session_count += new.summary.total_successful_session_count;
    known.summary.total_failure_session_count += new.summary.total_failure_session_count;
    for details in new.failure_details {
        let is_same = |one: &&mut TlsFailureDetails| {
            (one.result_type, &one.receiving_mx_hostname, &one.receiving_ip)
                == (details.result_type, &details.receiving_mx_hostname, &details.receiving_ip)
        };
        let has_room = known.failure_details.len() < TLS_DETAILS_MAX;
        match known.failure_details.iter_mut().find(is_same) {
            Some(same) => same.failed_session_count += details.failed_session_count,
            None if has_room => known.failure_details.push(details),
            None => {}
        }
    }
    known
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEW: Bounds =
        Bounds { rows_of_report: 3, rows: 5, reports: 2, tls: 2, received: 3, received_octets: 300 };

    fn row(day: i64, domain: &str, row: &str) -> DmarcRow {
        DmarcRow { day, domain: domain.into(), policy: "p".into(), row: row.into() }
    }

    fn shelf() -> (tempfile::TempDir, Shelf) {
        let directory = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(&directory.path().join("reports.db"), FEW).unwrap();
        (directory, shelf)
    }

    #[tokio::test]
    async fn what_is_counted_is_found_again() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("reports.db");
        let book = ReportBook::open(&file).unwrap();
        for text in ["a", "b", "a"] {
            book.count(row(7, "example.org", text));
        }
        book.close().await;
        let book = ReportBook::open(&file).unwrap();
        book.count(row(7, "example.org", "a"));
        let pending = book.with(|shelf| shelf.pending(8)).await.unwrap();
        assert_eq!((pending.len(), pending[0].day), (1, 7));
        let id = pending[0].id;
        let rows = book.with(move |shelf| shelf.rows(id)).await.unwrap();
        assert_eq!(rows, [("a".to_owned(), 3), ("b".to_owned(), 1)]);
        assert!(book.with(|shelf| shelf.pending(7)).await.unwrap().is_empty(), "the day is not over");
        book.with(move |shelf| shelf.forget(id)).await.unwrap();
        assert!(book.with(|shelf| shelf.pending(8)).await.unwrap().is_empty());
    }

    #[test]
    fn rows_are_bounded_and_what_is_dropped_is_counted() {
        for rows in [2, 3, 4] {
            let (_directory, mut shelf) = shelf();
            shelf.count_all((0..rows).map(|number| row(1, "a.example", &number.to_string())).collect());
            shelf.count_all(vec![row(1, "a.example", "0")]);
            let pending = shelf.pending(2).unwrap().remove(0);
            assert_eq!(pending.dropped, u64::from(rows > 3));
            let kept = shelf.rows(pending.id).unwrap();
            assert_eq!((kept.len(), kept[0].1), (rows.min(3), 2));
        }
        for rows in [1, 2, 3] {
            let (_directory, mut shelf) = shelf();
            shelf.count_all((0..3).map(|number| row(1, "a.example", &number.to_string())).collect());
            shelf.count_all((0..rows).map(|number| row(1, "b.example", &number.to_string())).collect());
            let pending = shelf.pending(2).unwrap().remove(1);
            assert_eq!(pending.dropped, u64::from(rows > 2), "all together");
        }
        for reports in [1, 2, 3] {
            let (_directory, mut shelf) = shelf();
            shelf.count_all((0..reports).map(|number| row(number, "a.example", "0")).collect());
            assert_eq!(shelf.pending(9).unwrap().len() as i64, reports.min(2));
        }
    }

    fn received(number: i64, octets: usize) -> ReceivedReport {
        ReceivedReport {
            time: Timestamp::from_unix_seconds(number),
            kind: "tls",
            reporter: "far.example".into(),
            domain: "example.org".into(),
            report_id: number.to_string(),
            report: "x".repeat(octets),
        }
    }

    fn times(shelf: &mut Shelf) -> Vec<i64> {
        let mut times = Vec::new();
        shelf.visit(Timestamp::from_unix_seconds(0), |time, _, _, _| times.push(time)).unwrap();
        times
    }

    #[test]
    fn received_reports_are_bounded_the_newest_stay() {
        for (count, kept) in [(2, vec![0, 1]), (3, vec![0, 1, 2]), (4, vec![1, 2, 3])] {
            let (_directory, mut shelf) = shelf();
            (0..count).for_each(|number| shelf.keep(&received(number, 1)).unwrap());
            shelf.keep(&received(count - 1, 1)).unwrap();
            assert_eq!(times(&mut shelf), kept);
        }
        for (octets, kept) in [(149, vec![0, 1]), (150, vec![0, 1]), (151, vec![1])] {
            let (_directory, mut shelf) = shelf();
            (0..2).for_each(|number| shelf.keep(&received(number, octets)).unwrap());
            assert_eq!(times(&mut shelf), kept);
        }
        let (_directory, mut shelf) = shelf();
        (0..2).for_each(|number| shelf.keep(&received(number, 1)).unwrap());
        shelf.tidy(Timestamp::from_unix_seconds(KEPT_SECONDS + 1), 0).unwrap();
        assert_eq!(times(&mut shelf), [1]);
    }

    #[test]
    fn tls_is_added_up_by_policy() {
        let result = |hosts: &[&str]| -> TlsPolicyResult {
            let details: Vec<_> = hosts
                .iter()
                .map(|host| {
                    serde_json::json!({ "result-type": "certificate-expired", "receiving-mx-hostname": host,
                        "failed-session-count": 1 })
                })
                .collect();
            serde_json::from_value(serde_json::json!({
                "policy": { "policy-type": "no-policy-found", "policy-domain": "a.example" },
                "summary": { "total-successful-session-count": 2, "total-failure-session-count": hosts.len() },
                "failure-details": details,
            }))
            .unwrap()
        };
        let (_directory, mut shelf) = shelf();
        shelf.add_tls(1, vec![("a.example".into(), result(&["x", "y"]))]).unwrap();
        shelf.add_tls(1, vec![("a.example".into(), result(&["x"]))]).unwrap();
        let counted = shelf.tls(1, "a.example").unwrap().remove(0);
        assert_eq!(counted.summary.total_successful_session_count, 4);
        assert_eq!(counted.summary.total_failure_session_count, 3);
        assert_eq!(
            counted.failure_details.iter().map(|one| one.failed_session_count).collect::<Vec<_>>(),
            [2, 1]
        );
        for (domain, kept) in [("b.example", 2), ("c.example", 2)] {
            shelf.add_tls(1, vec![(domain.into(), result(&[]))]).unwrap();
            assert_eq!(shelf.pending_tls(2).unwrap().len(), kept);
        }
        let many: Vec<String> = (0..=TLS_DETAILS_MAX).map(|number| number.to_string()).collect();
        for (number, host) in many.iter().enumerate() {
            shelf.add_tls(1, vec![("b.example".into(), result(&[host]))]).unwrap();
            let kept = shelf.tls(1, "b.example").unwrap()[0].failure_details.len();
            assert_eq!(kept, (number + 1).min(TLS_DETAILS_MAX));
        }
        shelf.forget_tls(1, "a.example").unwrap();
        assert_eq!(shelf.pending_tls(2).unwrap().len(), 1);
        shelf.tidy(Timestamp::from_unix_seconds(0), 2 + UNSENT_DAYS).unwrap();
        assert!(shelf.pending_tls(2).unwrap().is_empty());
    }
}

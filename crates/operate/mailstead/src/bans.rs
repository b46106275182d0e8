//! What the guard has to remember over restarts, in `DATA/guard.db`: bans, and from where owners have logged in.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use platform::clock::{Clock, Timestamp};
use platform::guard::{Ban, Changes, Guard, GuardSettings, HashKey, KNOWN_DAYS, Kept, KnownPlace, SetBy};
use storage::rusqlite::{OptionalExtension as _, params};
use storage::{CacheBudget, Database, Durability};

use crate::settings::Settings;

/// Places remembered on disk; those seen last are.
const PLACES_MAX: i64 = 130_000;

const MIGRATIONS: [&str; 1] = ["
    CREATE TABLE secret (key BLOB NOT NULL, since INTEGER NOT NULL);
    CREATE TABLE bans (network TEXT PRIMARY KEY, since INTEGER NOT NULL, until INTEGER, by_operator INTEGER NOT NULL,
        reason TEXT NOT NULL, times INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE places (hash INTEGER PRIMARY KEY, day INTEGER NOT NULL);
    CREATE INDEX places_day ON places (day);
"];

/// Where the guard's memory is kept; clones write into the same.
#[derive(Clone, Debug)]
pub(crate) struct GuardBook {
    guard: Guard,
    database: Arc<Mutex<Database>>,
}

impl GuardBook {
    /// Opens it, making it where it is missing, and gives the guard what is in it. Blocking.
    pub(crate) fn open(file: &Path, guard: &Guard, clock: &Clock) -> anyhow::Result<Self> {
        let database = Database::open(file, Durability::Durable, CacheBudget::Small, &MIGRATIONS)?;
        let kept = read(&database, clock.now())?;
        let is_new = kept.key.is_none();
        let key = guard.restore(kept);
        if is_new {
            let since = clock.now().unix_millis();
            database
                .connection()
                .execute("INSERT INTO secret VALUES (?1, ?2)", params![key.octets(), since])?;
        }
        Ok(Self { guard: guard.clone(), database: Arc::new(Mutex::new(database)) })
    }

    /// Writes down what has changed; it is on disk afterwards.
    pub(crate) async fn keep(&self) -> anyhow::Result<()> {
        let book = self.clone();
        let kept = tokio::task::spawn_blocking(move || {
            // Taken under the lock: what changed last is written last.
            let mut database = book.database.lock().unwrap_or_else(PoisonError::into_inner);
            let changes = book.guard.take_changes();
            let written = write(&mut database, &changes);
            if written.is_err() {
                // A disk that is full now is not full for ever.
                book.guard.give_back(changes);
            }
            written
        });
        kept.await.context("keeping bans was interrupted")?
    }
}

fn read(database: &Database, now: Timestamp) -> anyhow::Result<Kept> {
    let connection = database.connection();
    let secret: Option<([u8; 16], i64)> = connection
        .query_row("SELECT key, since FROM secret", [], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let since = secret.map(|(_, since)| Timestamp::from_unix_millis(since));
    let key = secret.map(|(key, _)| HashKey::from_octets(key));
    let mut bans = Vec::new();
    let mut statement =
        connection.prepare("SELECT network, since, until, by_operator, reason, times FROM bans")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let network: String = row.get(0)?;
        let Ok(network) = network.parse() else { continue };
        let until: Option<i64> = row.get(2)?;
        let reason: String = row.get(4)?;
        bans.push(Ban {
            network,
            since: Timestamp::from_unix_millis(row.get(1)?),
            until: until.map(Timestamp::from_unix_millis),
            set_by: if row.get(3)? { SetBy::Operator } else { SetBy::Counting },
            reason: reason.into(),
            times: row.get(5)?,
        });
    }
    let today = now.unix_seconds().div_euclid(24 * 3_600);
    let sql = "SELECT hash, day FROM places WHERE day > ?1 ORDER BY day";
    let mut statement = connection.prepare(sql)?;
    let places = statement.query_map([today - i64::from(KNOWN_DAYS)], |row| {
        let hash: i64 = row.get(0)?;
        Ok(KnownPlace { hash: hash.cast_unsigned(), day: row.get(1)? })
    })?;
    Ok(Kept { key, since, bans, known: places.collect::<Result<_, _>>()? })
}

fn write(database: &mut Database, Changes { bans, known }: &Changes) -> anyhow::Result<()> {
    if bans.is_empty() && known.is_empty() {
        return Ok(());
    }
    let transaction = database.transaction()?;
    for (network, ban) in bans {
        let Some(ban) = ban else {
            transaction.execute("DELETE FROM bans WHERE network = ?1", [network])?;
            continue;
        };
        transaction.prepare_cached("INSERT OR REPLACE INTO bans VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?.execute(
            params![
                network,
                ban.since.unix_millis(),
                ban.until.map(Timestamp::unix_millis),
                ban.set_by == SetBy::Operator,
                &*ban.reason,
                ban.times
            ],
        )?;
    }
    for place in known {
        transaction
            .prepare_cached("INSERT OR REPLACE INTO places VALUES (?1, ?2)")?
            .execute(params![place.hash.cast_signed(), place.day])?;
    }
    if let Some(today) = known.iter().map(|place| place.day).max() {
        transaction
            .execute("DELETE FROM places WHERE day <= ?1", [i64::from(today) - i64::from(KNOWN_DAYS)])?;
        transaction.execute(
            "DELETE FROM places WHERE hash IN (SELECT hash FROM places ORDER BY day DESC LIMIT -1 OFFSET ?1)",
            [PLACES_MAX],
        )?;
    }
    transaction.commit()?;
    Ok(())
}

/// From `[listen]`, `[auth]` and `[bans]` to what the guard lets happen.
pub(crate) fn guard_settings(settings: &Settings) -> GuardSettings {
    /// Points of one wrong password.
    const POINTS: u32 = 10;
    let failures = u32::try_from(settings.number("auth.failures_max")).unwrap_or(u32::MAX);
    GuardSettings {
        connections_max: settings.count("listen.connections_max"),
        connections_per_address_max: settings.count("listen.connections_per_address_max"),
        failures_free: 2,
        delay_first: std::time::Duration::from_millis(500),
        delay_max: std::time::Duration::from_secs(8),
        points_before_ban: failures.saturating_mul(POINTS),
        window: settings.time("bans.window"),
        ban_first: settings.time("bans.first"),
        ban_longest: settings.time("bans.longest"),
        trusted: settings.networks("listen.trusted_networks"),
        bans_private: settings.switch("bans.private"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use platform::guard::{Offence, Place};
    use platform::metrics::Metrics;

    use super::*;

    fn guard(clock: &Clock) -> Guard {
        let settings = GuardSettings {
            connections_max: 10,
            connections_per_address_max: 10,
            failures_free: 2,
            delay_first: Duration::from_secs(1),
            delay_max: Duration::from_secs(1),
            points_before_ban: 10,
            window: Duration::from_secs(600),
            ban_first: Duration::from_secs(600),
            ban_longest: Duration::from_secs(6_000),
            trusted: Vec::new(),
            bans_private: true,
        };
        Guard::new(settings, clock.clone(), &Metrics::new())
    }

    #[tokio::test]
    async fn bans_and_places_outlive_a_restart() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("guard.db");
        let clock = Clock::settable(Timestamp::from_unix_seconds(1_795_640_400));
        let peer = |text: &str| Some(text.parse().unwrap());
        {
            let guard = guard(&clock);
            let book = GuardBook::open(&file, &guard, &clock).unwrap();
            guard.offended(peer("192.0.2.1"), Offence::Abuse);
            guard.ban("203.0.113.0/24".parse().unwrap(), None, "spam").unwrap();
            guard.ban("198.51.100.0/24".parse().unwrap(), None, "a slip").unwrap();
            assert_eq!(guard.succeeded(peer("192.0.2.7"), "ann"), Place::Learned);
            book.keep().await.unwrap();
            assert!(guard.lift("198.51.100.0/24".parse().unwrap()));
            book.keep().await.unwrap();
        }
        let guard = guard(&clock);
        let _book = GuardBook::open(&file, &guard, &clock).unwrap();
        let bans: Vec<String> =
            guard.bans().iter().map(|ban| format!("{} {}", ban.network, ban.reason)).collect();
        assert_eq!(bans, ["192.0.2.1/32 abuse", "203.0.113.0/24 spam"]);
        assert!(guard.admit(peer("192.0.2.1")).is_err());
        assert_eq!(guard.succeeded(peer("192.0.2.7"), "ann"), Place::Known);
        assert_eq!(guard.succeeded(peer("192.0.2.8"), "ann"), Place::Learned);
        clock.advance(Duration::from_secs(7 * 24 * 3_600));
        assert_eq!(guard.succeeded(peer("192.0.2.9"), "ann"), Place::New);
    }
}

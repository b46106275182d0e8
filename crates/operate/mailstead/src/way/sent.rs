//! What accounts have sent by the hour, kept in `DATA/state.db` so that sending limits outlive a restart.

use std::time::Duration;

use mail_types::AccountId;
use mta::SentHour;
use storage::Database;
use storage::rusqlite::params;

/// How often it is written down: what a sudden end forgets.
pub(crate) const KEEP_EVERY: Duration = Duration::from_secs(5);

/// Hours that anybody asks for.
const HOURS_KEPT: i64 = 24;

pub(super) const TABLE: &str = "
    CREATE TABLE sent (
        account INTEGER NOT NULL, hour INTEGER NOT NULL, messages INTEGER NOT NULL, recipients INTEGER NOT NULL,
        PRIMARY KEY (account, hour)
    ) WITHOUT ROWID;
";

/// Writes these hours down, and forgets those that count no more.
pub(super) fn keep(database: &mut Database, sent: &[SentHour]) -> anyhow::Result<()> {
    let Some(newest) = sent.iter().map(|sent| sent.hour).max() else { return Ok(()) };
    let transaction = database.transaction()?;
    {
        let mut row = transaction.prepare_cached("INSERT OR REPLACE INTO sent VALUES (?1, ?2, ?3, ?4)")?;
        for SentHour { account, hour, messages, recipients } in sent {
            row.execute(params![account.0, hour, messages, recipients])?;
        }
    }
    transaction.execute("DELETE FROM sent WHERE hour <= ?1", [newest - HOURS_KEPT])?;
    transaction.commit()?;
    Ok(())
}

/// What was written down.
pub(super) fn kept(database: &Database) -> anyhow::Result<Vec<SentHour>> {
    let mut statement =
        database.connection().prepare("SELECT account, hour, messages, recipients FROM sent")?;
    let rows = statement.query_map([], |row| {
        let account = AccountId(row.get(0)?);
        Ok(SentHour { account, hour: row.get(1)?, messages: row.get(2)?, recipients: row.get(3)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

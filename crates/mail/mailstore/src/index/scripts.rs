//! Sieve scripts in the account index: applying their records, and reading them.

use mail_types::{ModSeq, ScriptName};
use storage::StorageError;
use storage::rusqlite::{self, Connection, OptionalExtension, params};

use super::Order;
use super::batch::{Batch, SqlResult};
use super::sqlite::{conversion, number, unsigned};
use crate::note::{ActiveScript, ScriptRecord};
use crate::scripts::{Script, ScriptList, ScriptRow};

impl Batch<'_> {
    pub(super) fn script(&mut self, script: &ScriptRecord) -> SqlResult<()> {
        self.stamp(script.modseq);
        self.statement(
            "INSERT INTO scripts(name, modseq, text) VALUES(?1, ?2, ?3) \
             ON CONFLICT(name) DO UPDATE SET modseq = ?2, text = ?3 WHERE modseq < ?2",
        )?
        .execute(params![script.name.as_str(), number(script.modseq.0), script.text.as_deref()])?;
        // In the log's order nothing older follows that a remembered "gone" would have to hold back.
        if self.order == Order::Log {
            self.statement("DELETE FROM scripts WHERE name = ?1 AND text IS NULL")?
                .execute([script.name.as_str()])?;
        }
        Ok(())
    }

    pub(super) fn active_script(&mut self, active: &ActiveScript) -> SqlResult<()> {
        self.stamp(active.modseq);
        self.statement(
            "INSERT INTO active_script(id, modseq, name) VALUES(1, ?1, ?2) \
             ON CONFLICT(id) DO UPDATE SET modseq = ?1, name = ?2 WHERE modseq < ?1",
        )?
        .execute(params![number(active.modseq.0), active.name.as_ref().map(ScriptName::as_str)])?;
        Ok(())
    }
}

/// All scripts without what they say.
pub(super) fn list(connection: &Connection) -> Result<ScriptList, StorageError> {
    let sql = "SELECT name, modseq, LENGTH(text) FROM scripts WHERE text IS NOT NULL";
    let mut statement = connection.prepare_cached(sql)?;
    let row = |row: &rusqlite::Row<'_>| {
        Ok((name_column(row, 0)?, ScriptRow { modseq: ModSeq(unsigned(row, 1)?), octets: unsigned(row, 2)? }))
    };
    let scripts = statement.query_map([], row)?.collect::<Result<_, _>>()?;
    let sql = "SELECT name FROM active_script WHERE name IS NOT NULL";
    let active = connection.prepare_cached(sql)?.query_row([], |row| name_column(row, 0)).optional()?;
    Ok(ScriptList { scripts, active })
}

/// One script.
pub(super) fn script(connection: &Connection, name: &ScriptName) -> Result<Option<Script>, StorageError> {
    let sql = "SELECT modseq, text FROM scripts WHERE name = ?1 AND text IS NOT NULL";
    let script = connection.prepare_cached(sql)?.query_row([name.as_str()], |row| {
        Ok(Script { modseq: ModSeq(unsigned(row, 0)?), text: row.get_ref(1)?.as_blob()?.into() })
    });
    Ok(script.optional()?)
}

/// The rules by which a purge keeps records: as for subscriptions, "gone" stays while an older record in another pack
/// could bring the script back.
pub(super) fn is_script_needed(connection: &Connection, script: &ScriptRecord) -> Result<bool, StorageError> {
    let sql = "SELECT modseq FROM scripts WHERE name = ?1";
    let known = connection.prepare_cached(sql)?.query_row([script.name.as_str()], |row| unsigned(row, 0));
    let known = known.optional()?;
    Ok(match script.text {
        Some(_) => known == Some(script.modseq.0),
        None => known.is_none_or(|known| known <= script.modseq.0),
    })
}

/// Only the last word on what is active counts.
pub(super) fn is_active_needed(connection: &Connection, active: &ActiveScript) -> Result<bool, StorageError> {
    let sql = "SELECT modseq FROM active_script";
    let known = connection.prepare_cached(sql)?.query_row([], |row| unsigned(row, 0)).optional()?;
    Ok(known == Some(active.modseq.0))
}

fn name_column(row: &rusqlite::Row<'_>, column: usize) -> Result<ScriptName, rusqlite::Error> {
    ScriptName::parse(row.get_ref(column)?.as_str()?).map_err(|error| conversion(column, error))
}

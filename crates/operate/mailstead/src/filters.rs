//! From `[sieve]` to what people's scripts may do, and the scripts that an operator's directory gives to accounts that have
//! none.

use std::path::{Path, PathBuf};

use anyhow::Context;
use directory::Directory;
use mail_types::{Address, ScriptName};
use mailstore::{ScriptLimits, Store};
use mta::{FilterFiles, FilterSettings, ProgramBounds};
use sieve::Dialect;

use crate::scripts::{dialect, limits};
use crate::settings::{Settings, way};

/// What a seeded script is called in its account.
const SEEDED: &str = "seeded";

/// What scripts may do, and the operator's own. Blocking.
///
/// # Errors
/// When a file of the operator's cannot be used.
pub(crate) fn filter_settings(settings: &Settings) -> anyhow::Result<FilterSettings> {
    let path =
        |key: &str| Some(PathBuf::from(settings.text(key))).filter(|path| !path.as_os_str().is_empty());
    let named = |key: &str| {
        settings.list(key).into_iter().filter_map(|text| way::named_file(&text)).collect::<Vec<_>>()
    };
    let files = FilterFiles {
        before: path("sieve.before"),
        after: path("sieve.after"),
        events: path("sieve.imap_events"),
        global: path("sieve.include_directory"),
        lists: named("sieve.lists"),
    };
    let mut filters = FilterSettings::read(dialect(settings), &files).context("reading [sieve]")?;
    filters.programs = named("sieve.programs").into_iter().collect();
    filters.program_bounds = ProgramBounds {
        time_max: settings.time("sieve.program_timeout"),
        memory_octets_max: settings.number("sieve.program_memory_octets_max"),
        output_octets_max: settings.count("sieve.program_output_octets_max"),
    };
    Ok(filters)
}

/// Gives the scripts of the operator's directory to those accounts that have none of their own.
pub(crate) async fn seed(settings: &Settings, store: &Store, directory: &Directory) {
    let place = settings.text("sieve.seeds");
    if place.is_empty() {
        return;
    }
    let files = match tokio::task::spawn_blocking(move || seeds(Path::new(&place))).await {
        Ok(Ok(files)) => files,
        Ok(Err(error)) => return tracing::error!(error = format!("{error:#}"), "no script is seeded"),
        Err(error) => return tracing::error!(%error, "no script is seeded"),
    };
    let dialect = dialect(settings);
    for (address, path) in files {
        let Some(account) = directory.account_by_address(&address) else { continue };
        match seed_one(store, account.id, &path, &dialect, limits(settings)).await {
            Ok(true) => tracing::info!(%address, "a script is seeded"),
            Ok(false) => {}
            Err(error) => tracing::error!(%address, error = format!("{error:#}"), "its script is not seeded"),
        }
    }
}

/// The scripts of a directory, by the addresses they are named for.
fn seeds(directory: &Path) -> anyhow::Result<Vec<(Address, PathBuf)>> {
    let mut seeds = Vec::new();
    let entries = std::fs::read_dir(directory).with_context(|| directory.display().to_string())?;
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(stem) = name.strip_suffix(".sieve") else { continue };
        let stem = stem.strip_suffix(".dovecot").unwrap_or(stem);
        if let Ok(address) = Address::parse(stem) {
            seeds.push((address, path));
        }
    }
    seeds.sort_by_key(|(address, _)| address.to_string());
    Ok(seeds)
}

/// Whether a script was given.
async fn seed_one(
    store: &Store,
    account: mail_types::AccountId,
    path: &Path,
    dialect: &Dialect,
    limits: ScriptLimits,
) -> anyhow::Result<bool> {
    let account = store.account(account).await?;
    if !account.scripts()?.is_empty() {
        return Ok(false);
    }
    let text = tokio::fs::read(path).await.with_context(|| path.display().to_string())?;
    if let Err(faults) = sieve::compile(&text, dialect) {
        let first = faults.first().map(ToString::to_string).unwrap_or_default();
        anyhow::bail!("{}: {first}", path.display());
    }
    let name = ScriptName::parse(SEEDED)?;
    account.put_script(&name, &text, limits).await?;
    account.activate_script(Some(&name)).await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_named_for_addresses() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["ann@example.org.dovecot.sieve", "bob@example.org.sieve", "before.dovecot.sieve", "x"] {
            std::fs::write(directory.path().join(name), "keep;").unwrap();
        }
        let found: Vec<String> =
            seeds(directory.path()).unwrap().iter().map(|(address, _)| address.to_string()).collect();
        assert_eq!(found, ["ann@example.org", "bob@example.org"]);
    }
}

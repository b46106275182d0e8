//! What an operator does with people's Sieve scripts, on an open house.

use ::sieve::{Dialect, Fault};
use anyhow::{Context, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_types::ScriptName;
use mailstore::{Account, StoreError};

use super::execute::{account, done};
use super::{Answer, FaultLine, ScriptLine};
use crate::house::House;
use crate::scripts;

/// Keeps a script, if it can be compiled.
pub(super) async fn put(
    house: &House,
    address: &str,
    name: &str,
    script: &str,
    activate: bool,
) -> anyhow::Result<Answer> {
    let (name, kept) = (script_name(name)?, shelf(house, address).await?);
    let script = STANDARD.decode(script).context("the script came damaged")?;
    let limits = scripts::limits(&house.settings);
    let told = |error| tell(error, &name);
    kept.check_script(&name, script.len() as u64, limits).map_err(told)?;
    let dialect = scripts::dialect(&house.settings);
    let compile = move || {
        let judged = judge(&script, &dialect);
        (script, judged)
    };
    let (script, (faults, warnings)) =
        tokio::task::spawn_blocking(compile).await.context("the script was not compiled")?;
    if !faults.is_empty() {
        return Ok(Answer::SieveJudged { what: "not kept".into(), faults, warnings });
    }
    kept.put_script(&name, &script, limits).await.map_err(told)?;
    let mut what = format!("{name} is kept");
    if activate {
        kept.activate_script(Some(&name)).await.map_err(told)?;
        what.push_str(" and active");
    }
    Ok(Answer::SieveJudged { what, faults, warnings })
}

pub(super) async fn get(house: &House, address: &str, name: &str) -> anyhow::Result<Answer> {
    let (name, kept) = (script_name(name)?, shelf(house, address).await?);
    let script = kept.script(&name).await.map_err(|error| tell(error, &name))?;
    Ok(Answer::SieveScript { script: STANDARD.encode(&script.text) })
}

pub(super) async fn list(house: &House, address: &str) -> anyhow::Result<Answer> {
    let line = |script: mailstore::ScriptInfo| ScriptLine {
        name: script.name.to_string(),
        active: script.is_active,
        octets: script.octets,
    };
    let scripts = shelf(house, address).await?.scripts()?.into_iter().map(line).collect();
    Ok(Answer::SieveScripts { scripts })
}

/// Lets a script run when mail comes; none, if no name is given.
pub(super) async fn activate(house: &House, address: &str, name: Option<&str>) -> anyhow::Result<Answer> {
    let kept = shelf(house, address).await?;
    let Some(name) = name else {
        kept.activate_script(None).await?;
        return done(format!("no script of {address} is active"));
    };
    let name = script_name(name)?;
    kept.activate_script(Some(&name)).await.map_err(|error| tell(error, &name))?;
    done(format!("{name} is active"))
}

pub(super) async fn rename(house: &House, address: &str, from: &str, to: &str) -> anyhow::Result<Answer> {
    let (from, to, kept) = (script_name(from)?, script_name(to)?, shelf(house, address).await?);
    let about = |error: StoreError| match error {
        StoreError::ScriptExists => tell(error, &to),
        error => tell(error, &from),
    };
    kept.rename_script(&from, &to).await.map_err(about)?;
    done(format!("{from} is called {to} now"))
}

pub(super) async fn delete(house: &House, address: &str, name: &str) -> anyhow::Result<Answer> {
    let (name, kept) = (script_name(name)?, shelf(house, address).await?);
    kept.delete_script(&name).await.map_err(|error| tell(error, &name))?;
    done(format!("{name} is gone"))
}

/// What is wrong with a script, and what is odd about one with which nothing is wrong.
pub(crate) fn judge(script: &[u8], dialect: &Dialect) -> (Vec<FaultLine>, Vec<FaultLine>) {
    let lines = |faults: &[Fault]| faults.iter().map(fault_line).collect();
    match ::sieve::compile(script, dialect) {
        Ok(script) => (Vec::new(), lines(script.warnings())),
        Err(faults) => (lines(&faults), Vec::new()),
    }
}

fn fault_line(fault: &Fault) -> FaultLine {
    FaultLine { line: fault.place.line, column: fault.place.column, words: fault.words.clone() }
}

/// Where an account keeps its scripts.
async fn shelf(house: &House, address: &str) -> anyhow::Result<Account> {
    Ok(house.store.account(account(house, address)?.id).await?)
}

fn script_name(text: &str) -> anyhow::Result<ScriptName> {
    ScriptName::parse(text).with_context(|| format!("{text:?} names no script"))
}

fn tell(error: StoreError, name: &ScriptName) -> anyhow::Error {
    let why = match error {
        StoreError::NoSuchScript => {
            format!("there is no script {name}; `mailstead sieve list` shows them all")
        }
        StoreError::ScriptExists => format!("there is a script {name} already"),
        StoreError::ScriptIsActive => {
            format!("{name} is active; activate another one, or deactivate it, first")
        }
        StoreError::ScriptTooLarge => {
            "the script is too large; sieve.script_octets_max says how large it may be".to_owned()
        }
        StoreError::TooManyScripts => {
            "there are too many scripts; sieve.scripts_max says how many may be".to_owned()
        }
        StoreError::OverQuota => {
            "all scripts together would be too large; sieve.total_octets_max says how large they may be"
                .to_owned()
        }
        error => return error.into(),
    };
    anyhow::Error::msg(why)
}

/// Reads a script that an answer brought.
pub(crate) fn script_of(answer: &str) -> anyhow::Result<Vec<u8>> {
    match STANDARD.decode(answer) {
        Ok(script) => Ok(script),
        Err(_) => bail!("the script came damaged"),
    }
}

/// Writes a script for a request.
pub(crate) fn script_for(octets: &[u8]) -> String {
    STANDARD.encode(octets)
}

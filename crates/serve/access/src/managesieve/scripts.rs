//! What people do with their scripts (RFC 5804 §2.5–§2.12). A script is kept only when it can be compiled.

use std::sync::Arc;

use mail_types::ScriptName;
use mailstore::{Account, StoreError};
use managesieve::response;
use platform::lines::Wire;
use platform::workers::Workers;
use sieve::{Dialect, Fault};

use super::replies::{Done, Refusal};
use super::session::Client;
use super::{Door, ScriptSettings};

/// What scripts are asked of.
pub(crate) struct Desk<'a> {
    pub(crate) door: &'a Door,
    pub(crate) settings: &'a ScriptSettings,
    pub(crate) account: &'a Account,
}

impl Client {
    /// Somebody's desk; nobody's, if nobody has logged in.
    pub(crate) fn desk(&self) -> Result<Desk<'_>, Refusal> {
        let person = self.person.as_ref().ok_or(Refusal::LogInFirst)?;
        Ok(Desk { door: &self.door, settings: &self.settings, account: &person.account })
    }
}

impl Desk<'_> {
    /// HAVESPACE.
    pub(crate) fn have_space(&self, name: &ScriptName, octets: u64) -> Result<Done, Refusal> {
        self.account.check_script(name, octets, self.settings.limits)?;
        Ok(Done::Plain("There is room"))
    }

    /// PUTSCRIPT.
    pub(crate) async fn put(&self, name: &ScriptName, script: Vec<u8>) -> Result<Done, Refusal> {
        self.account.check_script(name, script.len() as u64, self.settings.limits)?;
        let (script, done) = self.judge(script, "The script is kept").await?;
        self.account.put_script(name, &script, self.settings.limits).await?;
        Ok(done)
    }

    /// CHECKSCRIPT.
    pub(crate) async fn check(&self, script: Vec<u8>) -> Result<Done, Refusal> {
        Ok(self.judge(script, "The script is valid").await?.1)
    }

    async fn judge(&self, script: Vec<u8>, praise: &'static str) -> Result<(Vec<u8>, Done), Refusal> {
        let dialect = Arc::clone(&self.settings.dialect);
        let (script, judgement) = judge(&self.door.rooms.judges, script, dialect).await?;
        match judgement {
            Err(faults) => {
                self.door.counts.faulty.increment();
                Err(Refusal::Faulty(lines(&faults)))
            }
            Ok(warnings) => {
                self.door.counts.taken.increment();
                let done =
                    if warnings.is_empty() { Done::Plain(praise) } else { Done::Warned(lines(&warnings)) };
                Ok((script, done))
            }
        }
    }

    /// SETACTIVE.
    pub(crate) async fn set_active(&self, name: Option<&ScriptName>) -> Result<Done, Refusal> {
        self.account.activate_script(name).await?;
        Ok(Done::Plain(if name.is_some() { "The script is active" } else { "No script is active" }))
    }

    /// DELETESCRIPT.
    pub(crate) async fn delete(&self, name: &ScriptName) -> Result<Done, Refusal> {
        self.account.delete_script(name).await?;
        Ok(Done::Plain("The script is gone"))
    }

    /// RENAMESCRIPT.
    pub(crate) async fn rename(&self, from: &ScriptName, to: &ScriptName) -> Result<Done, Refusal> {
        self.account.rename_script(from, to).await?;
        Ok(Done::Plain("The script has another name"))
    }
}

/// LISTSCRIPTS.
pub(crate) fn list(wire: &mut Wire, account: &Account) -> Result<Done, Refusal> {
    for script in account.scripts()? {
        response::write_listed(wire.output(), &script.name, script.is_active);
    }
    Ok(Done::Plain("These are all"))
}

/// GETSCRIPT.
pub(crate) async fn get(wire: &mut Wire, account: &Account, name: &ScriptName) -> Result<Done, Refusal> {
    let script = account.script(name).await?;
    response::write_script(wire.output(), &script.text);
    Ok(Done::Plain("This is what it says"))
}

/// What is odd about a script that can be compiled, or what is wrong with one that cannot.
type Judgement = Result<Vec<Fault>, Vec<Fault>>;

/// Compiles a script where that keeps nobody waiting; gives its text back.
async fn judge(
    judges: &Workers,
    script: Vec<u8>,
    dialect: Arc<Dialect>,
) -> Result<(Vec<u8>, Judgement), StoreError> {
    let compile = move || {
        let judgement = sieve::compile(&script, &dialect).map(|script| script.warnings().to_vec());
        (script, judgement)
    };
    Ok(judges.run(compile).await?)
}

/// One line for each fault, as lines of clients and terminals have them.
fn lines(faults: &[Fault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\r\n")
}

//! An account's Sieve scripts: kept by name, one of them active or none (RFC 5804 §1.3).
//!
//! Scripts are kept like mail: each change is a note in the log, durable before it is told, and the index is a picture of
//! the log. Whether a script can be read is for its writer's door to find out: what is kept are octets.

use std::collections::BTreeMap;
use std::sync::Arc;

use mail_types::{ModSeq, ScriptName};

use crate::account::Account;
use crate::engine::{Entry, Share, Turn, received};
use crate::error::StoreError;
use crate::index::AccountIndex;
use crate::note::{ActiveScript, Record, ScriptRecord};
use crate::open_account::{Decided, OpenAccount};
use crate::state::AccountState;

/// Octets of the largest script that can be kept, whatever the limits given: its note must fit the log (16 MiB) together
/// with others, and be read in one piece.
pub const SCRIPT_OCTETS_MAX: u64 = 4 * 1024 * 1024;

/// How much an account may keep of scripts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ScriptLimits {
    /// Octets of the largest script.
    pub script_octets_max: u64,
    /// Number of scripts.
    pub scripts_max: usize,
    /// Octets of all scripts together.
    pub total_octets_max: u64,
}

impl Default for ScriptLimits {
    fn default() -> Self {
        Self { script_octets_max: 1024 * 1024, scripts_max: 64, total_octets_max: 8 * 1024 * 1024 }
    }
}

/// A script without what it says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ScriptInfo {
    /// Its name.
    pub name: ScriptName,
    /// Its length.
    pub octets: u64,
    /// Its last change: another text has another one.
    pub modseq: ModSeq,
    /// Whether it runs when mail comes.
    pub is_active: bool,
}

/// What a script says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Script {
    /// Its last change.
    pub modseq: ModSeq,
    /// Its octets as they were put.
    pub text: Arc<[u8]>,
}

/// All scripts of an account, without what they say.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct ScriptList {
    pub(crate) scripts: BTreeMap<ScriptName, ScriptRow>,
    pub(crate) active: Option<ScriptName>,
}

/// What is known of one script.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ScriptRow {
    pub(crate) modseq: ModSeq,
    pub(crate) octets: u64,
}

impl Account {
    /// All scripts by name.
    ///
    /// # Errors
    /// What the disk said, if the account's index failed.
    pub fn scripts(&self) -> Result<Vec<ScriptInfo>, StoreError> {
        self.core().check()?;
        Ok(self.core().state().scripts().infos().collect())
    }

    /// The script that runs when mail comes, if one does: known without reading, so that mail of those who have none
    /// waits for nothing.
    ///
    /// # Errors
    /// What the disk said, if the account's index failed.
    pub fn active_script(&self) -> Result<Option<ScriptInfo>, StoreError> {
        self.core().check()?;
        Ok(self.core().state().scripts().infos().find(|script| script.is_active))
    }

    /// What a script says.
    ///
    /// # Errors
    /// [`StoreError::NoSuchScript`]; [`StoreError::Busy`], or what the disk says.
    pub async fn script(&self, name: &ScriptName) -> Result<Script, StoreError> {
        let name = name.clone();
        self.core().read(move |index| index.script(&name)).await?.ok_or(StoreError::NoSuchScript)
    }

    /// Whether a script of this name and length could be put (RFC 5804 §2.5).
    ///
    /// # Errors
    /// As [`Self::put_script`].
    pub fn check_script(
        &self,
        name: &ScriptName,
        octets: u64,
        limits: ScriptLimits,
    ) -> Result<(), StoreError> {
        self.core().check()?;
        self.core().state().scripts().check(name, octets, limits)?;
        Ok(self.core().engine.packs.check_room()?)
    }

    /// Keeps a script, instead of one of that name if there is one, active or not as that was. Returns when it is on
    /// disk and every reader sees it.
    ///
    /// # Errors
    /// [`StoreError::ScriptTooLarge`], [`StoreError::TooManyScripts`], [`StoreError::OverQuota`] for all scripts
    /// together; [`StoreError::Full`], [`StoreError::Busy`], or what the disk says.
    pub async fn put_script(
        &self,
        name: &ScriptName,
        text: &[u8],
        limits: ScriptLimits,
    ) -> Result<(), StoreError> {
        let core = self.core();
        let turn = core.turn().await?;
        self.check_script(name, text.len() as u64, limits)?;
        if core.is_script(name, text).await? {
            return Ok(());
        }
        let text: Arc<[u8]> = text.into();
        core.change_text(turn, text.len(), |state| {
            let record = ScriptRecord { name: name.clone(), modseq: state.next_modseq()?, text: Some(text) };
            Ok(vec![Record::Script(record)])
        })
        .await
    }

    /// Lets a script run when mail comes, and no other; none, if no name is given (RFC 5804 §2.8).
    ///
    /// # Errors
    /// [`StoreError::NoSuchScript`], or what the disk says.
    pub async fn activate_script(&self, name: Option<&ScriptName>) -> Result<(), StoreError> {
        let turn = self.core().turn().await?;
        let activate = |state: &mut AccountState| {
            let scripts = state.scripts();
            if name.is_some_and(|name| !scripts.scripts.contains_key(name)) {
                return Err(StoreError::NoSuchScript);
            }
            if scripts.active.as_ref() == name {
                return Ok(Decided::new(Vec::new(), ()));
            }
            let active = ActiveScript { name: name.cloned(), modseq: state.next_modseq()? };
            Ok(Decided::new(vec![Record::ActiveScript(active)], ()))
        };
        self.core().change(turn, activate).await.map(drop)
    }

    /// Gives a script another name; an active one stays active (RFC 5804 §2.11.1).
    ///
    /// # Errors
    /// [`StoreError::NoSuchScript`], [`StoreError::ScriptExists`]; [`StoreError::Full`], or what the disk says.
    pub async fn rename_script(&self, from: &ScriptName, to: &ScriptName) -> Result<(), StoreError> {
        let core = self.core();
        let turn = core.turn().await?;
        {
            let state = core.state();
            if !state.scripts().scripts.contains_key(from) {
                return Err(StoreError::NoSuchScript);
            }
            if state.scripts().scripts.contains_key(to) {
                return Err(StoreError::ScriptExists);
            }
        }
        core.engine.packs.check_room()?;
        let text = self.script(from).await?.text;
        core.change_text(turn, text.len(), |state| {
            let gone = ScriptRecord { name: from.clone(), modseq: state.next_modseq()?, text: None };
            let put = ScriptRecord { name: to.clone(), modseq: state.next_modseq()?, text: Some(text) };
            let mut records = vec![Record::Script(gone), Record::Script(put)];
            if state.scripts().active.as_ref() == Some(from) {
                let active = ActiveScript { name: Some(to.clone()), modseq: state.next_modseq()? };
                records.push(Record::ActiveScript(active));
            }
            Ok(records)
        })
        .await
    }

    /// Removes a script that is not active (RFC 5804 §2.10).
    ///
    /// # Errors
    /// [`StoreError::NoSuchScript`], [`StoreError::ScriptIsActive`], or what the disk says.
    pub async fn delete_script(&self, name: &ScriptName) -> Result<(), StoreError> {
        let turn = self.core().turn().await?;
        let delete = |state: &mut AccountState| {
            if !state.scripts().scripts.contains_key(name) {
                return Err(StoreError::NoSuchScript);
            }
            if state.scripts().active.as_ref() == Some(name) {
                return Err(StoreError::ScriptIsActive);
            }
            let gone = ScriptRecord { name: name.clone(), modseq: state.next_modseq()?, text: None };
            Ok(Decided::new(vec![Record::Script(gone)], ()))
        };
        self.core().change(turn, delete).await.map(drop)
    }
}

impl OpenAccount {
    /// Whether a script says this already: putting the same again writes nothing.
    async fn is_script(self: &Arc<Self>, name: &ScriptName, text: &[u8]) -> Result<bool, StoreError> {
        let known = self.state().scripts().scripts.get(name).copied();
        if known.is_none_or(|known| known.octets != text.len() as u64) {
            return Ok(false);
        }
        let name = name.clone();
        let script = self.read(move |index| index.script(&name)).await?;
        Ok(script.is_some_and(|script| *script.text == *text))
    }

    /// A change that brings the text of a script or annotations along, which takes its share of what may wait for the index.
    pub(crate) async fn change_text(
        self: &Arc<Self>,
        turn: Turn,
        octets: usize,
        decide: impl FnOnce(&mut AccountState) -> Result<Vec<Record>, StoreError>,
    ) -> Result<(), StoreError> {
        let room = self.engine.room_for(octets).await?;
        let receiver = {
            let mut state = self.state();
            self.check()?;
            let records = decide(&mut state)?;
            if records.is_empty() {
                return Ok(());
            }
            let share = Share { core: Arc::clone(self), records, reservations: Vec::new() };
            let entry = Entry { blob: None, digest: None, shares: vec![share], note: None };
            self.submit_applied(vec![entry], Some(room), turn)
        };
        received(receiver.await).map(drop)
    }
}

impl ScriptList {
    fn infos(&self) -> impl Iterator<Item = ScriptInfo> {
        self.scripts.iter().map(|(name, row)| ScriptInfo {
            name: name.clone(),
            octets: row.octets,
            modseq: row.modseq,
            is_active: self.active.as_ref() == Some(name),
        })
    }

    fn check(&self, name: &ScriptName, octets: u64, limits: ScriptLimits) -> Result<(), StoreError> {
        if octets > limits.script_octets_max.min(SCRIPT_OCTETS_MAX) {
            return Err(StoreError::ScriptTooLarge);
        }
        let replaced = self.scripts.get(name);
        if replaced.is_none() && self.scripts.len() >= limits.scripts_max {
            return Err(StoreError::TooManyScripts);
        }
        let others: u64 = self.scripts.values().map(|row| row.octets).sum();
        let others = others.saturating_sub(replaced.map_or(0, |row| row.octets));
        if others.saturating_add(octets) > limits.total_octets_max {
            return Err(StoreError::OverQuota);
        }
        Ok(())
    }

    /// Takes up what was applied.
    pub(crate) fn take(&mut self, record: &Record) {
        match record {
            Record::Script(ScriptRecord { name, modseq, text: Some(text) }) => {
                let row = ScriptRow { modseq: *modseq, octets: text.len() as u64 };
                self.scripts.insert(name.clone(), row);
            }
            Record::Script(ScriptRecord { name, text: None, .. }) => drop(self.scripts.remove(name)),
            Record::ActiveScript(active) => self.active.clone_from(&active.name),
            _ => {}
        }
    }
}

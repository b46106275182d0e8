//! Changing flags: STORE, UNCHANGEDSINCE (RFC 9051 §6.4.6, RFC 7162 §3.1.3).

use std::collections::HashMap;

use mail_types::{Flags, Keyword, MailboxId, ModSeq, UidSet};

use crate::account::Account;
use crate::error::StoreError;
use crate::keywords::KeywordTable;
use crate::note::{FlagsSet, Record};
use crate::open_account::Decided;
use crate::state::AccountState;
use crate::view::View;

/// Flags by name, as clients say them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FlagNames {
    /// Bits of `SystemFlag`.
    pub system: u8,
    /// Keywords.
    pub keywords: Vec<Keyword>,
}

/// How flags change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FlagChangeMode {
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
    /// `FLAGS`
    Replace,
}

/// A change of flags.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FlagChange {
    /// How.
    pub mode: FlagChangeMode,
    /// Which.
    pub flags: FlagNames,
}

/// What a STORE did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StoreOutcome {
    /// Messages that have other flags now. Those that had the wanted flags already keep their mod-sequence.
    pub changed: UidSet,
    /// Messages left alone because they changed since `unchanged_since` (RFC 7162 §3.1.3 MODIFIED).
    pub modified: UidSet,
    /// The mod-sequence of what changed.
    pub modseq: Option<ModSeq>,
}

impl Account {
    /// Changes flags of those of `uids` that exist; returns when every reader sees it.
    ///
    /// # Errors
    /// [`StoreError::Limit`] when the mailbox has no room for another keyword.
    pub async fn store_flags(
        &self,
        mailbox: MailboxId,
        uids: &UidSet,
        change: &FlagChange,
        unchanged_since: Option<ModSeq>,
    ) -> Result<StoreOutcome, StoreError> {
        let core = self.core();
        let turn = core.turn().await?;
        let view = core.open_mailbox(mailbox).await?;
        let decide = |state: &mut AccountState| {
            let mut table = KeywordTable::new(&state.mailbox(mailbox)?.keywords);
            let named = table.flags(&change.flags)?;
            let (groups, mut outcome) = wanted(&view, uids, (change.mode, named), unchanged_since);
            if groups.is_empty() {
                return Ok(Decided::new(Vec::new(), outcome));
            }
            let mut records: Vec<Record> = state.with_keywords(mailbox, table)?.into_iter().collect();
            let modseq = state.next_modseq()?;
            records.extend(FlagsSet::new(mailbox, modseq, groups).map(Record::FlagsSet));
            outcome.modseq = Some(modseq);
            Ok(Decided::new(records, outcome))
        };
        core.change(turn, decide).await.map(|(outcome, _)| outcome)
    }
}

/// Which messages get which flags.
fn wanted(
    view: &View,
    uids: &UidSet,
    (mode, named): (FlagChangeMode, Flags),
    unchanged_since: Option<ModSeq>,
) -> (Vec<(Flags, UidSet)>, StoreOutcome) {
    let mut outcome = StoreOutcome::default();
    let mut groups: Vec<(Flags, UidSet)> = Vec::new();
    let mut numbers: HashMap<Flags, usize> = HashMap::new();
    for (_, entry) in view.select(uids) {
        if unchanged_since.is_some_and(|since| entry.modseq > since) {
            outcome.modified.push(entry.uid);
            continue;
        }
        let flags = match mode {
            FlagChangeMode::Add => entry.flags.union(named),
            FlagChangeMode::Remove => entry.flags.without(named),
            FlagChangeMode::Replace => named,
        };
        if flags != entry.flags {
            outcome.changed.push(entry.uid);
            let number = *numbers.entry(flags).or_insert_with(|| {
                groups.push((flags, UidSet::new()));
                groups.len() - 1
            });
            if let Some((_, uids)) = groups.get_mut(number) {
                uids.push(entry.uid);
            }
        }
    }
    (groups, outcome)
}

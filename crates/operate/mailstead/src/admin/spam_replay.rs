//! What the content filter, or another threshold, would have done with mail that is there, held against where people keep it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use mailstore::{Account, Want};
use mta::ContentTrial;
use serde::{Deserialize, Serialize};
use spam::{MESSAGE_OCTETS_MAX, ToldVerdict};

use super::Answer;
use super::execute::account;
use super::past::{PastMail, PastMessage, reverse_path_in};
use super::queue::time;
use super::spam::{action, raised, with_changes};
use crate::house::House;
use crate::shown::field_text;

/// Messages that are told of one by one.
const CHANGES_MAX: usize = 1_000;

/// Mail that the filter is tried on.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub(crate) struct SpamReplay {
    /// Whose; everybody's, if nobody is named.
    pub(crate) addresses: Vec<String>,
    pub(crate) since_seconds: u64,
    /// Another threshold than the one in the settings.
    pub(crate) tag2: Option<f32>,
    /// Another file or directory of rules, on the server.
    pub(crate) rules: Option<std::path::PathBuf>,
    pub(crate) most: usize,
}

/// What would have been done.
#[derive(Clone, Default, Serialize, Deserialize, Debug)]
pub(crate) struct SpamReplayed {
    pub(crate) messages: u64,
    /// By what would be done.
    pub(crate) counts: BTreeMap<String, u64>,
    /// Would be spam, and its owner keeps it with the mail.
    pub(crate) false_positives: u64,
    /// Would pass, and its owner has it in junk.
    pub(crate) missed: u64,
    pub(crate) changes: Vec<SpamChange>,
    /// Whether there was more.
    pub(crate) is_cut: bool,
}

/// A message that would lie elsewhere.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub(crate) struct SpamChange {
    pub(crate) address: String,
    pub(crate) mailbox: String,
    pub(crate) uid: u32,
    pub(crate) date: String,
    pub(crate) from: String,
    pub(crate) subject: String,
    /// What its header says of when it came.
    pub(crate) score_then: Option<f32>,
    pub(crate) score: f32,
    pub(crate) action: String,
}

pub(super) async fn replay(house: &House, asked: SpamReplay) -> anyhow::Result<Answer> {
    let mut accounts = Vec::new();
    for address in &asked.addresses {
        accounts.push(account(house, address)?);
    }
    if accounts.is_empty() {
        accounts = house.directory.accounts();
    }
    let last = Duration::from_secs(asked.since_seconds);
    let settings = {
        // Compiling rules takes seconds.
        let (settings, tag2, rules) = (house.content.settings(), asked.tag2, asked.rules.clone());
        tokio::task::spawn_blocking(move || with_changes(&settings, tag2, rules.as_deref())).await??
    };
    let mut replayed = SpamReplayed::default();
    for known in accounts {
        let opened = house.store.account(known.id).await?;
        let (address, settings) = (known.address.to_string(), settings.clone());
        let replay = Replay { house, account: &opened, address, settings };
        let left = (asked.most as u64).saturating_sub(replayed.messages);
        let mut past = PastMail::of(&opened, Want::Facts, (last, house.clock.now()), left).await?;
        while let Some(message) = past.next().await? {
            replay.message(message, &mut replayed).await?;
        }
        replayed.is_cut |= past.is_cut();
    }
    Ok(Answer::SpamReplayed { replayed: Box::new(replayed) })
}

struct Replay<'a> {
    house: &'a House,
    account: &'a Account,
    address: String,
    settings: std::sync::Arc<mta::ContentSettings>,
}

impl Replay<'_> {
    async fn message(&self, past: PastMessage<'_>, replayed: &mut SpamReplayed) -> anyhow::Result<()> {
        let octets = past.octets.beginning(MESSAGE_OCTETS_MAX).await.context("a message cannot be read")?;
        let told = ToldVerdict::read(&octets);
        let trial = ContentTrial {
            directory: self.house.directory.clone(),
            clock: self.house.clock.clone(),
            account: Some(self.account.clone()),
            raised: told
                .as_ref()
                .map(|told| raised(told, &self.settings.catalogue, false))
                .unwrap_or_default(),
            reverse_path: reverse_path_in(&octets),
            is_whole: false,
        };
        let (from, subject) = (field_text(&octets, "From"), field_text(&octets, "Subject"));
        let judged = self.house.content.try_out(&self.settings, trial, octets).await?;
        replayed.messages += 1;
        let action = action(&judged);
        *replayed.counts.entry(action.clone()).or_default() += 1;
        let is_spam = spam::reaches(judged.score, judged.taste.tag2);
        match (is_spam, past.is_junk()) {
            (true, false) => replayed.false_positives += 1,
            (false, true) => replayed.missed += 1,
            _ => return Ok(()),
        }
        if replayed.changes.len() >= CHANGES_MAX {
            replayed.is_cut = true;
            return Ok(());
        }
        replayed.changes.push(SpamChange {
            address: self.address.clone(),
            mailbox: past.mailbox.name.to_string(),
            uid: past.row.uid.0,
            date: time(past.row.internal_date),
            from,
            subject,
            score_then: told.map(|told| told.score),
            score: judged.score,
            action,
        });
        Ok(())
    }
}

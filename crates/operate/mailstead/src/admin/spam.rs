//! What an operator asks of the content filter: what people want of it, what it is taught, what it thinks of messages.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_types::{AnnotationName, MailboxName};
use mta::{
    CHANGES_OCTETS_MAX, Changes, ContentTrial, Learned, Lesson, Past, SETTINGS_ANNOTATION, TrialVerdict,
};
use serde::{Deserialize, Serialize};
use spam::{Class, ToldVerdict};

use super::Answer;
use super::execute::{account, done};
use crate::content::rule_files;
use crate::house::House;

/// What is asked of the content filter.
#[derive(Clone, Serialize, Deserialize, Debug)]
#[serde(rename_all = "snake_case", tag = "act")]
pub(crate) enum SpamRequest {
    /// Show what an account wants; with changes, change it first.
    Settings { address: String, changes: Vec<String>, reset: bool },
    /// What the filter has learned.
    Status,
    /// Learn what messages are: for an account, or on the operator's own word.
    Learn { address: Option<String>, is_unwanted: bool, messages: Vec<String> },
    /// Learn what all messages of a mailbox are.
    LearnMailbox { address: String, mailbox: String, is_unwanted: bool },
    /// Forget what an account has taught, or go back to what the shared model was.
    Forget { address: Option<String>, to_yesterday: bool },
    /// What is thought of messages, for an account if one is named.
    Check { address: Option<String>, messages: Vec<MessageGiven> },
    /// What the headers of mail that is there tell, by its Message-ID.
    Kept { message_id: String },
    /// What would be done with mail that is there.
    Replay(super::spam_replay::SpamReplay),
}

/// A message that is to be judged.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub(crate) struct MessageGiven {
    /// Where it comes from.
    pub(crate) file: String,
    /// In Base64.
    pub(crate) octets: String,
    /// Whether that is all of it, or its beginning.
    pub(crate) is_whole: bool,
}

/// How many messages were given to learn from.
#[derive(Clone, Copy, Default, Serialize, Deserialize, Debug)]
pub(crate) struct SpamLearned {
    pub(crate) given: u64,
    /// Those of them that were learned: the others had been before.
    pub(crate) new: u64,
    /// Those of the new ones that only the account's own model learned.
    pub(crate) own_alone: u64,
}

impl std::ops::AddAssign for SpamLearned {
    fn add_assign(&mut self, other: Self) {
        self.given += other.given;
        self.new += other.new;
        self.own_alone += other.own_alone;
    }
}

/// What is thought of a message.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub(crate) struct SpamChecked {
    /// Where it came from.
    pub(crate) file: String,
    /// Whether all of it was there: what is attached to others is not looked at.
    pub(crate) is_whole: bool,
    pub(crate) score: f32,
    /// From which score on it is spam.
    pub(crate) required: f32,
    /// What would be done with it.
    pub(crate) action: String,
    /// How likely its content alone is unwanted.
    pub(crate) probability: Option<f32>,
    pub(crate) hits: Vec<SpamHit>,
    /// What its header says of when it came.
    pub(crate) told: Option<SpamTold>,
}

#[derive(Clone, Serialize, Deserialize, Debug)]
pub(crate) struct SpamHit {
    pub(crate) rule: String,
    pub(crate) points: f32,
    pub(crate) words: String,
}

/// What a header tells of a verdict.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub(crate) struct SpamTold {
    pub(crate) is_unwanted: bool,
    pub(crate) score: f32,
    pub(crate) required: f32,
    pub(crate) hits: Vec<SpamHit>,
}

impl SpamHit {
    pub(crate) fn all(hits: &[spam::Hit]) -> Vec<SpamHit> {
        let hit = |hit: &spam::Hit| SpamHit {
            rule: hit.name().to_owned(),
            points: hit.points(),
            words: hit.words().to_owned(),
        };
        hits.iter().map(hit).collect()
    }
}

impl SpamTold {
    pub(crate) fn of(told: &ToldVerdict) -> SpamTold {
        SpamTold {
            is_unwanted: told.is_unwanted,
            score: told.score,
            required: told.required,
            hits: SpamHit::all(&told.hits),
        }
    }
}

/// What the filter has learned.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub(crate) struct SpamStatus {
    /// Messages that the shared model has learned.
    pub(crate) wanted: u64,
    pub(crate) unwanted: u64,
    pub(crate) is_on: bool,
    pub(crate) tag: f32,
    pub(crate) tag2: f32,
    pub(crate) kill: f32,
}

pub(super) async fn act(house: &House, request: SpamRequest) -> anyhow::Result<Answer> {
    match request {
        SpamRequest::Settings { address, changes, reset } => settings(house, &address, &changes, reset).await,
        SpamRequest::Status => Ok(status(house)),
        SpamRequest::Learn { address, is_unwanted, messages } => {
            learn(house, address.as_deref(), class(is_unwanted), &messages).await
        }
        SpamRequest::LearnMailbox { address, mailbox, is_unwanted } => {
            learn_mailbox(house, &address, &mailbox, class(is_unwanted)).await
        }
        SpamRequest::Forget { address, to_yesterday } => {
            forget(house, address.as_deref(), to_yesterday).await
        }
        SpamRequest::Check { address, messages } => check(house, address.as_deref(), messages).await,
        SpamRequest::Kept { message_id } => super::spam_kept::kept(house, &message_id).await,
        SpamRequest::Replay(asked) => super::spam_replay::replay(house, asked).await,
    }
}

fn class(is_unwanted: bool) -> Class {
    if is_unwanted { Class::Unwanted } else { Class::Wanted }
}

/// What an account wants, in words, kept where its own clients find it, too (RFC 5464).
async fn settings(house: &House, address: &str, changes: &[String], reset: bool) -> anyhow::Result<Answer> {
    let opened = house.store.account(account(house, address)?.id).await?;
    let name = AnnotationName::parse(SETTINGS_ANNOTATION)?;
    let values = opened.annotation_values(None, vec![name.clone()]).await?;
    let kept = values.into_iter().find_map(|(_, value)| value);
    let kept = kept.map(|value| String::from_utf8_lossy(&value).into_owned()).unwrap_or_default();
    let before = if reset { String::new() } else { kept };
    let words = merged(&before, changes);
    if reset || !changes.is_empty() {
        ensure!(words.len() <= CHANGES_OCTETS_MAX, "these are more than {CHANGES_OCTETS_MAX} octets");
        if let Err(why) = Changes::parse(&words) {
            bail!("{why}");
        }
        let value = (!words.is_empty()).then(|| words.as_bytes().into());
        opened.annotate(None, &[(name, value)]).await?;
    }
    match words.as_str() {
        "" => done(format!("{address} wants what everybody gets")),
        words => done(words.to_owned()),
    }
}

/// Each change in place of an earlier one of the same name; one without a value takes it away.
fn merged(before: &str, changes: &[String]) -> String {
    let name = |word: &str| word.split('=').next().unwrap_or_default().to_owned();
    let mut words: Vec<String> = before.split_whitespace().map(str::to_owned).collect();
    for change in changes.iter().flat_map(|change| change.split_whitespace()) {
        words.retain(|word| name(word) != name(change));
        if !change.ends_with('=') {
            words.push(change.to_owned());
        }
    }
    words.join(" ")
}

fn status(house: &House) -> Answer {
    let (wanted, unwanted) = house.content.learned();
    let everybody = house.content.settings().everybody.clone();
    Answer::SpamStatus {
        status: SpamStatus {
            wanted,
            unwanted,
            is_on: everybody.is_on,
            tag: everybody.tag,
            tag2: everybody.tag2,
            kill: everybody.kill,
        },
    }
}

async fn learn(
    house: &House,
    address: Option<&str>,
    class: Class,
    messages: &[String],
) -> anyhow::Result<Answer> {
    let lesson = match address {
        Some(address) => Lesson::Account(account(house, address)?.id),
        None => Lesson::Operator,
    };
    let mut learned = SpamLearned { given: messages.len() as u64, ..SpamLearned::default() };
    for message in messages {
        let octets = STANDARD.decode(message).context("a message came damaged")?;
        match house.content.learn(lesson, octets, class, house.clock.now()).await? {
            Learned::Whole => learned.new += 1,
            Learned::OwnAlone => {
                learned.new += 1;
                learned.own_alone += 1;
            }
            Learned::Before => {}
        }
    }
    keep(house).await?;
    Ok(Answer::SpamLearned { learned })
}

/// What is told as learned stays so: who taught it again after a crash would not be heard, for it is remembered as taught.
async fn keep(house: &House) -> anyhow::Result<()> {
    house.content.write(house.clock.now()).await.context("it is learned, but not on disk")
}

async fn learn_mailbox(house: &House, address: &str, mailbox: &str, class: Class) -> anyhow::Result<Answer> {
    let opened = house.store.account(account(house, address)?.id).await?;
    let name = MailboxName::parse(mailbox).with_context(|| format!("{mailbox:?} names no mailbox"))?;
    let list = opened.mailboxes().await?;
    let found = list.by_name(&name).with_context(|| format!("{address} has no mailbox {mailbox}"))?;
    let (new, seen) = house.content.learn_mailbox(&opened, found.id, class, house.clock.now()).await?;
    keep(house).await?;
    Ok(Answer::SpamLearned { learned: SpamLearned { given: seen, new, own_alone: 0 } })
}

async fn forget(house: &House, address: Option<&str>, to_yesterday: bool) -> anyhow::Result<Answer> {
    let (content, now) = (house.content.clone(), house.clock.now());
    let Some(address) = address else {
        let to = if to_yesterday { Past::Yesterday } else { Past::Start };
        let is_done = tokio::task::spawn_blocking(move || content.go_back(to, now)).await??;
        ensure!(is_done, "there is no shared model of the day before");
        return done(match to {
            Past::Yesterday => "the shared model is what it was before today".to_owned(),
            Past::Start => "the shared model is what the program brings along".to_owned(),
        });
    };
    let id = account(house, address)?.id;
    tokio::task::spawn_blocking(move || content.forget(id)).await??;
    done(format!("what {address} has taught is forgotten; what the shared model learned from it stays"))
}

async fn check(house: &House, address: Option<&str>, messages: Vec<MessageGiven>) -> anyhow::Result<Answer> {
    let opened = match address {
        Some(address) => Some(house.store.account(account(house, address)?.id).await?),
        None => None,
    };
    let settings = house.content.settings();
    let mut checked = Vec::new();
    for MessageGiven { file, octets, is_whole } in messages {
        let octets = STANDARD.decode(&octets).context("a message came damaged")?;
        let told = ToldVerdict::read(&octets);
        let trial = ContentTrial {
            directory: house.directory.clone(),
            clock: house.clock.clone(),
            account: opened.clone(),
            raised: told.as_ref().map(|told| raised(told, &settings.catalogue, is_whole)).unwrap_or_default(),
            reverse_path: super::past::reverse_path_in(&octets),
            is_whole,
        };
        let verdict = house.content.try_out(&settings, trial, octets).await?;
        checked.push(SpamChecked { is_whole, ..line(file, &verdict, told.as_ref()) });
    }
    Ok(Answer::SpamChecked { checked })
}

/// What was found about its sender when it came, as far as its header tells: it cannot be asked for again. What is attached can,
/// where all of it is there.
pub(super) fn raised(told: &ToldVerdict, catalogue: &spam::Catalogue, is_whole: bool) -> Vec<spam::Hit> {
    use spam::Family;
    // What accounts and the operator say today holds today.
    const ASKED_ANEW: [&str; 3] = ["WELCOME_LIST", "BLOCK_LIST", "AUTHOR_TAUGHT"];
    let is_from_outside = |hit: &&spam::Hit| {
        !ASKED_ANEW.contains(&hit.name())
            && spam::rule(hit.name()).is_none_or(|rule| {
                matches!(
                    rule.family,
                    Family::Authentication | Family::Connection | Family::History | Family::Engines
                ) || (rule.family == Family::Attachments && !is_whole)
            })
    };
    let again = |hit: &spam::Hit| catalogue.raise_scored(hit.name(), hit.points(), hit.words());
    told.hits.iter().filter(is_from_outside).map(again).collect()
}

pub(super) fn line(file: String, judged: &TrialVerdict, told: Option<&ToldVerdict>) -> SpamChecked {
    SpamChecked {
        file,
        is_whole: true,
        score: judged.score,
        required: judged.taste.tag2,
        action: action(judged),
        probability: judged.verdict.judgement().map(spam::Judgement::probability),
        hits: SpamHit::all(judged.verdict.hits()),
        told: told.map(SpamTold::of),
    }
}

/// What would be done, in a word.
pub(super) fn action(judged: &TrialVerdict) -> String {
    judged.action().map_or("pass", mta::SpamAction::word).to_owned()
}

/// Settings for a look: the operator's, with another threshold or other rules. Blocking.
pub(super) fn with_changes(
    settings: &Arc<mta::ContentSettings>,
    tag2: Option<f32>,
    rules: Option<&Path>,
) -> anyhow::Result<Arc<mta::ContentSettings>> {
    let mut changed = (**settings).clone();
    changed.everybody.tag2 = tag2.unwrap_or(changed.everybody.tag2);
    if let Some(path) = rules {
        changed.catalogue.take_files(rule_files(path)?);
    }
    Ok(changed.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_take_the_place_of_earlier_ones() {
        let changes = ["tag2=4".to_owned(), "kill=".to_owned(), "at_kill=reject".to_owned()];
        assert_eq!(merged("tag2=5 kill=9 check=on", &changes), "check=on tag2=4 at_kill=reject");
    }
}

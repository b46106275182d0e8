//! What people's scripts would do with a message, or would have done with those that are there: looked at, not done.

use std::time::Duration;

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_types::{Address, ReversePath};
use mailstore::{Account, MessageReader, Want};
use mta::{Trial, TrialAction, TrialMessage, TrialRooms};
use sieve::StepResult;

use super::execute::account;
use super::past::{PastMail, PastMessage, reverse_path_in};
use super::queue::time;
use super::{
    Answer, SieveAction, SieveDifference, SieveReplay, SieveReplayed, SieveStep, SieveTest, SieveTested,
};
use crate::house::House;
use crate::shown::{field_text, kept_header};

/// Messages that are told of one by one.
const DIFFERENCES_MAX: usize = 1_000;
/// Faults that are told.
const FAULTS_MAX: usize = 20;
/// What a script that is only tried out is called.
const TRIED: &str = "script";

/// What would become of a message.
pub(super) async fn test(house: &House, asked: SieveTest) -> anyhow::Result<Answer> {
    let account = account(house, &asked.address)?;
    let octets = STANDARD.decode(&asked.message).context("the message came damaged")?;
    let script =
        asked.script.map(|script| STANDARD.decode(script)).transpose().context("the script came damaged")?;
    let mut intake = house.store.intake()?;
    intake.write(&octets).await?;
    // Filed nowhere: it is forgotten when the look is over.
    let arriving = intake.finish().await?;
    let octets = house.store.read_arriving(&arriving).await?;
    let reverse_path = match asked.from.as_deref() {
        None => reverse_path_of(&octets).await?,
        Some("" | "<>") => ReversePath::Null,
        Some(from) => ReversePath::Address(Address::parse(from.trim_matches(['<', '>']))?),
    };
    let message =
        TrialMessage { octets, reverse_path, detail: asked.detail.map(Into::into), is_junk: asked.is_junk };
    let script = script.as_deref().map(|script| (TRIED, script));
    let trial = house.filters.try_out(&rooms(house), account.id, message, script).await?;
    Ok(Answer::SieveTested { tested: Box::new(told(trial)) })
}

fn rooms(house: &House) -> TrialRooms {
    TrialRooms {
        store: house.store.clone(),
        directory: house.directory.clone(),
        content: house.content.clone(),
        clock: house.clock.clone(),
        hostname: house.settings.hostname(),
    }
}

fn told(trial: Trial) -> SieveTested {
    let step = |step: sieve::Step| SieveStep {
        script: step.script,
        line: step.line,
        name: step.name.to_owned(),
        result: match step.result {
            StepResult::True => "true",
            StepResult::False => "false",
            StepResult::Done => "done",
        }
        .to_owned(),
    };
    let action = |action: TrialAction| {
        let (script, line) = action.asked_by.unzip();
        SieveAction { action: action.words, script, line }
    };
    SieveTested {
        actions: trial.actions.into_iter().map(action).collect(),
        faults: trial.faults,
        debug: trial.debug,
        steps: trial.steps.into_iter().map(step).collect(),
    }
}

/// The sender that a message of ours has on top.
async fn reverse_path_of(octets: &MessageReader) -> anyhow::Result<ReversePath> {
    const TOP_OCTETS: u64 = 1_024;
    Ok(reverse_path_in(&octets.read(0..TOP_OCTETS).await?))
}

/// What would have become of the mail that is there.
pub(super) async fn replay(house: &House, asked: SieveReplay) -> anyhow::Result<Answer> {
    let SieveReplay { address, since_seconds, most, script } = asked;
    let id = account(house, &address)?.id;
    let script =
        script.map(|script| STANDARD.decode(script)).transpose().context("the script came damaged")?;
    let account = house.store.account(id).await?;
    let replay = Replay { house, account: &account, rooms: rooms(house), script: script.as_deref() };
    let (last, now) = (Duration::from_secs(since_seconds), house.clock.now());
    let mut past = PastMail::of(&account, Want::Summaries, (last, now), most as u64).await?;
    let mut replayed = SieveReplayed::default();
    while let Some(message) = past.next().await? {
        replay.message(message, &mut replayed).await?;
    }
    replayed.is_cut |= past.is_cut();
    Ok(Answer::SieveReplayed { replayed: Box::new(replayed) })
}

struct Replay<'a> {
    house: &'a House,
    account: &'a Account,
    rooms: TrialRooms,
    script: Option<&'a [u8]>,
}

impl Replay<'_> {
    async fn message(&self, past: PastMessage<'_>, replayed: &mut SieveReplayed) -> anyhow::Result<()> {
        let message = TrialMessage {
            reverse_path: reverse_path_of(&past.octets).await?,
            octets: past.octets.clone(),
            detail: None,
            is_junk: past.is_junk(),
        };
        replayed.messages += 1;
        let filters = &self.house.filters;
        let id = self.account.id();
        let script = self.script.map(|script| (TRIED, script));
        let after = filters.try_out(&self.rooms, id, message.clone(), script).await?;
        for action in &after.actions {
            *replayed.counts.entry(kind_of(action)).or_default() += 1;
        }
        for fault in &after.faults {
            if replayed.faults.len() < FAULTS_MAX && !replayed.faults.contains(fault) {
                replayed.faults.push(fault.clone());
            }
        }
        let (is_same, before) = match self.script {
            // Against where it lies.
            None => {
                let name = past.mailbox.name.to_string();
                (after.actions.iter().any(|action| action.mailbox.as_ref() == Some(&name)), vec![name])
            }
            // Against what the present script does.
            Some(_) => {
                let before = words(&filters.try_out(&self.rooms, id, message, None).await?);
                (before == words(&after), before)
            }
        };
        if is_same {
            replayed.same += 1;
        } else if replayed.differences.len() < DIFFERENCES_MAX {
            replayed.differences.push(difference(&past, before, words(&after)));
        } else {
            replayed.is_cut = true;
        }
        Ok(())
    }
}

fn words(trial: &Trial) -> Vec<String> {
    trial.actions.iter().map(|action| action.words.clone()).collect()
}

/// What a thing is counted as.
fn kind_of(action: &TrialAction) -> String {
    let first = action.words.split([' ', ',', ':']).next().unwrap_or_default();
    match &action.mailbox {
        Some(mailbox) if first == "fileinto" => format!("{first} {mailbox}"),
        _ => first.to_owned(),
    }
}

fn difference(past: &PastMessage<'_>, before: Vec<String>, after: Vec<String>) -> SieveDifference {
    let header = kept_header(past.row.summary.as_deref());
    SieveDifference {
        mailbox: past.mailbox.name.to_string(),
        uid: past.row.uid.0,
        date: time(past.row.internal_date),
        from: field_text(&header, "From"),
        subject: field_text(&header, "Subject"),
        before,
        after,
    }
}

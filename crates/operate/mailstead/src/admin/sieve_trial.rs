//! What people's scripts would do with a message, or would have done with those that are there: looked at, not done.

use std::time::Duration;

use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_types::{Address, ReversePath, SpecialUse};
use mailstore::{Account, MailboxInfo, MessageReader, Row, Want};
use message::{Summary, decode_field_text, fields};
use mta::{Trial, TrialAction, TrialMessage, TrialRooms};
use sieve::StepResult;

use super::execute::account;
use super::past::PastMail;
use super::queue::time;
use super::{
    Answer, SieveAction, SieveDifference, SieveReplay, SieveReplayed, SieveStep, SieveTest, SieveTested,
};
use crate::house::House;

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

/// The same, of its beginning.
pub(super) fn reverse_path_in(octets: &[u8]) -> ReversePath {
    let field = fields(octets).find(|field| field.is_named("Return-Path"));
    let path = field.map(|field| String::from_utf8_lossy(field.value).trim().to_owned());
    let address = path.as_deref().map(|path| path.trim_matches(['<', '>']));
    address.and_then(|address| Address::parse(address).ok()).map_or(ReversePath::Null, ReversePath::Address)
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
    let mut past = PastMail::of(&account, Want::Summaries, last, now).await?;
    let mut replayed = SieveReplayed::default();
    while let Some((mailbox, row)) = past.next().await? {
        if replayed.messages >= most as u64 {
            replayed.is_cut = true;
            break;
        }
        replay.message(mailbox, &row, &mut replayed).await?;
    }
    Ok(Answer::SieveReplayed { replayed: Box::new(replayed) })
}

struct Replay<'a> {
    house: &'a House,
    account: &'a Account,
    rooms: TrialRooms,
    script: Option<&'a [u8]>,
}

impl Replay<'_> {
    async fn message(
        &self,
        mailbox: &MailboxInfo,
        row: &Row,
        replayed: &mut SieveReplayed,
    ) -> anyhow::Result<()> {
        let Ok(octets) = self.account.reader(row.email).await else { return Ok(()) };
        let message = TrialMessage {
            reverse_path: reverse_path_of(&octets).await?,
            octets,
            detail: None,
            is_junk: mailbox.special_use == Some(SpecialUse::Junk),
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
                let name = mailbox.name.to_string();
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
            replayed.differences.push(difference(mailbox, row, before, words(&after)));
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

fn difference(mailbox: &MailboxInfo, row: &Row, before: Vec<String>, after: Vec<String>) -> SieveDifference {
    let summary = row.summary.as_deref().and_then(|summary| Summary::decode(summary).ok());
    let header = summary.as_ref().map(|summary| summary.fields.octets().to_vec()).unwrap_or_default();
    let text = |name: &str| {
        let field = fields(&header).find(|field| field.is_named(name));
        field.map(|field| decode_field_text(&field.unfolded()).trim().to_owned()).unwrap_or_default()
    };
    SieveDifference {
        mailbox: mailbox.name.to_string(),
        uid: row.uid.0,
        date: time(row.internal_date),
        from: text("From"),
        subject: text("Subject"),
        before,
        after,
    }
}

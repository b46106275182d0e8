//! APPEND of one message or several: octets stream into the store as they come, and are filed all or none
//! (RFC 9051 §6.3.12, RFC 3502, 3516, 4315, 7889).

use std::sync::Arc;

use imap::command::{Append, AppendForm, AppendMessage, Tag};
use imap::response;
use mail_types::{MailboxId, UidSet};
use mailstore::{Append as Appended, EventCause, FlagNames, Intake, MailboxEvent, QuotaUsage, StoreError};
use platform::clock::Timestamp;
use tokio::time::Instant;

use super::connection::{Connection, Event};
use super::dispatch::{self, Answered};
use super::filings::Filings;
use super::person::Person;
use super::replies::{Done, DoneCode, Ending, Farewell, Refusal, Stop};
use super::updates::{AlreadyTold, Telling};

/// Messages in one APPEND: each waits in memory, compressed where it is small, until all have come.
const MESSAGES_MAX: usize = 256;
/// Octets of an APPEND of several messages together, beyond the first message.
const MORE_OCTETS_MAX: u64 = 16 * 1024 * 1024;

/// APPEND, from its first line to its last octet. Its answer comes when the messages are on disk; meanwhile the next
/// APPEND may come.
pub(crate) async fn append(
    connection: &mut Connection,
    person: &mut Person,
    filings: &mut Filings,
    command: Append,
) -> Result<Answered, Ending> {
    if filings.is_full() {
        settle(connection, person, filings).await?;
    }
    match take(connection, person, filings, &command).await {
        Ok((target, taken)) => {
            let octets = taken.iter().map(|message| message.message.octets()).sum();
            filings.begin(command.tag, octets, file(person, target, taken)).await;
            Ok(Answered::Fine)
        }
        Err(stop) => {
            if matches!(stop, Stop::Refused(_)) {
                // What the client still sends of it is skipped; does nothing when all has come.
                connection.refuse_append();
            }
            settle(connection, person, filings).await?;
            let already = AlreadyTold::default();
            dispatch::answer(connection, person, &command.tag, Err(stop), Telling::Everything, &already).await
        }
    }
}

/// Answers every APPEND that waits for the disk.
pub(crate) async fn settle(
    connection: &mut Connection,
    person: &mut Person,
    filings: &mut Filings,
) -> Result<(), Ending> {
    while !filings.is_empty() {
        let (tag, outcome) = filings.next().await;
        answer(connection, person, &tag, outcome).await?;
    }
    Ok(())
}

/// Answers an APPEND whose filing has ended.
pub(crate) async fn answer(
    connection: &mut Connection,
    person: &mut Person,
    tag: &Tag,
    outcome: Result<Done, Stop>,
) -> Result<Answered, Ending> {
    let already = AlreadyTold::default();
    dispatch::answer(connection, person, tag, outcome, Telling::Everything, &already).await
}

async fn take(
    connection: &mut Connection,
    person: &mut Person,
    filings: &mut Filings,
    command: &Append,
) -> Result<(MailboxId, Vec<Appended>), Stop> {
    let target = person.target(&command.mailbox).await?;
    let mut taking = Taking { person, filings, messages: Vec::new(), octets: 0 };
    taking.take_all(connection).await?;
    Ok((target, taking.messages))
}

/// Files the messages: the work that the session need not wait for.
fn file(
    person: &Person,
    target: MailboxId,
    messages: Vec<Appended>,
) -> impl Future<Output = Result<Done, Stop>> + Send + use<> {
    let (door, account, quota) = (Arc::clone(&person.door), person.account.clone(), person.quota());
    async move {
        let count = messages.len() as u64;
        let way = (door.rooms.next_transaction)();
        let filed = account.append(target, messages, quota, way).await.map_err(|error| match error {
            StoreError::NoSuchMailbox => Refusal::TryCreate,
            error => Refusal::Store(error),
        })?;
        door.counts.appended.add(count);
        tracing::info!(way = %way.to_text(), messages = count, "appended");
        let uids: UidSet = filed.iter().map(|filed| filed.uid).collect();
        let event = MailboxEvent { account, mailbox: target, uids: uids.clone(), cause: EventCause::Append };
        (door.rooms.events)(event);
        match filed.first() {
            Some(first) => Ok(Done::with(DoneCode::AppendUid(first.uid_validity, uids), "APPEND completed")),
            None => Ok(Done::plain("APPEND completed")),
        }
    }
}

/// An APPEND whose messages are coming.
struct Taking<'a> {
    person: &'a mut Person,
    filings: &'a mut Filings,
    messages: Vec<Appended>,
    octets: u64,
}

impl Taking<'_> {
    async fn take_all(&mut self, connection: &mut Connection) -> Result<(), Stop> {
        loop {
            match connection.receive(self.deadline()).await? {
                Event::AppendMessage(message) => self.take_one(connection, *message).await?,
                Event::AppendEnd => return Ok(()),
                event => return Err(misplaced(event)),
            }
        }
    }

    async fn take_one(&mut self, connection: &mut Connection, announced: AppendMessage) -> Result<(), Stop> {
        self.check(&announced)?;
        let mut intake = self.person.door.rooms.store.intake()?;
        if announced.synchronising {
            // A client that waits for leave to go on may wait for its answers first.
            settle(connection, self.person, self.filings).await?;
            response::write_continuation(connection.wire.output(), "Ready for the message");
        }
        self.stream(connection, &mut intake).await?;
        self.octets += intake.octets();
        let message = intake.finish().await?;
        let flags = FlagNames { system: announced.flags.system, keywords: announced.flags.keywords };
        let internal_date =
            announced.internal_date.map(|date| Timestamp::from_unix_seconds(date.unix_seconds));
        self.messages.push(Appended { message, flags, internal_date });
        Ok(())
    }

    async fn stream(&mut self, connection: &mut Connection, intake: &mut Intake) -> Result<(), Stop> {
        loop {
            match connection.receive(self.deadline()).await? {
                Event::AppendOctets(octets) => {
                    let written = intake.write(connection.append_octets(&octets)).await;
                    connection.taken(&octets);
                    written?;
                }
                Event::AppendMessageEnd => return Ok(()),
                event => return Err(misplaced(event)),
            }
        }
    }

    /// Whether the message may come: asked before its octets are, where the client waits for that.
    fn check(&self, announced: &AppendMessage) -> Result<(), Refusal> {
        let octets = announced.octets;
        if octets == 0 {
            return Err(Refusal::AppendTakenBack);
        }
        if octets > self.person.settings.message_octets_max {
            return Err(Refusal::TooBig);
        }
        let is_first = self.messages.is_empty();
        if self.messages.len() >= MESSAGES_MAX || (!is_first && self.octets + octets > MORE_OCTETS_MAX) {
            return Err(Refusal::TooMany);
        }
        if announced.form == AppendForm::Utf8 && !(self.person.enabled.utf8 || self.person.enabled.rev2) {
            return Err(Refusal::WrongState("Say ENABLE UTF8=ACCEPT first"));
        }
        let usage = self.person.account.quota_usage();
        let after = QuotaUsage {
            octets: usage.octets.saturating_add(self.octets).saturating_add(octets),
            messages: usage.messages.saturating_add(self.messages.len() as u64 + 1),
        };
        if after.is_within(self.person.quota()) { Ok(()) } else { Err(Refusal::OverQuota) }
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.person.settings.idle_timeout
    }
}

/// What comes instead of the message: the rest of the command could not be read, or we are out of step.
fn misplaced(event: Event) -> Stop {
    match event {
        Event::Bad(bad) if !bad.must_close() => Refusal::Unreadable(bad).into(),
        _ => Farewell::OutOfStep.into(),
    }
}

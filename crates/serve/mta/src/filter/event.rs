//! Scripts that run on what a client of IMAP does to messages: appends, copies, moves them, changes their flags (RFC 6785).
//!
//! The client has been answered by then: what fails here leaves the messages as they are. A message that is gone when its
//! turn comes is passed over. What a script does to messages makes no events of its own.

use std::sync::Arc;
use std::time::Duration;

use directory::LocalTarget;
use mail_types::{
    Address, AnnotationName, ForwardPath, Keyword, MailboxId, MailboxName, ModSeq, ReversePath, ScriptName,
    SystemFlag, Uid, UidSet,
};
use mailstore::{
    Account, Entry, EventCause, FilingTarget, FlagChange, FlagChangeMode, FlagNames, MailboxEvent,
    MailboxInfo, MailboxList, QuotaLimit, StoreError, Want,
};
use platform::workers::WorkError;
use sieve::{Action, Decided, Detail, Extension, FileInto, Origin, RunFault, Stage};
use smtp::MailParameters;
use smtp::RcptParameters;
use smtp::server::{Envelope, Recipient};
use tokio::runtime::Handle;

use super::Filters;
use super::act::flag_names;
use super::letters::Desk;
use super::notice;
use super::plan::{Answers, Copy, Known, Owner, Planner, compiled_stage, postmaster};
use super::programs::ProgramTime;
use super::run::{Answer, ForAction, Octets, Question};
use super::world::{Acts, Facts};
use crate::content::Considered;
use crate::deliver::limits::Sent;
use crate::deliver::local::describe;
use crate::deliver::queued::{Brought, Place, Reports};
use crate::deliver::route::{Route, Targets};
use crate::settings::Settings;
use crate::{Rooms, SmtpDoor};

/// The annotation that names the script of a mailbox, or of the account's whole server (RFC 6785 §3.2).
const SCRIPT_ANNOTATION: &str = "/shared/imapsieve/script";
/// Messages of one command whose scripts are run; the others of a larger one are passed over.
const MESSAGES_MAX: usize = 1_000;

/// What scripts are told of an event.
#[derive(Clone, Debug)]
pub(crate) struct EventFacts {
    pub(crate) cause: &'static str,
    pub(crate) mailbox: MailboxName,
    pub(crate) changed_flags: String,
    /// The flags that the message has.
    pub(crate) flags: Vec<String>,
}

/// What scripts call a cause (RFC 6785 §4.9).
const fn name(cause: &EventCause) -> &'static str {
    match cause {
        EventCause::Append => "APPEND",
        EventCause::Copy { .. } => "COPY",
        EventCause::Flag(_) => "FLAG",
    }
}

impl Filters {
    /// Whether a script waits for what is done to messages of this mailbox: known without waiting.
    #[must_use]
    pub fn hears_of(&self, account: &Account, mailbox: MailboxId) -> bool {
        let settings = self.0.settings.load();
        settings.dialect.allows(Extension::ImapSieve)
            && (!settings.events.is_empty() || script_place(account, mailbox).is_some())
    }
}

/// Where the annotation is that names the mailbox's script: at the mailbox, else at the server.
fn script_place(account: &Account, mailbox: MailboxId) -> Option<(Option<MailboxId>, AnnotationName)> {
    let name = AnnotationName::parse(SCRIPT_ANNOTATION).ok()?;
    let there = account.annotations().ok()?;
    let place = [Some(mailbox), None].into_iter().find(|place| there.find(*place, &name).is_some())?;
    Some((place, name))
}

impl SmtpDoor {
    /// Runs the scripts that wait for such an event, one message after the other.
    pub async fn run_event(&self, event: MailboxEvent) {
        let rooms = &self.0.rooms;
        let live = self.0.live.load_full();
        let running = Running { rooms, settings: &live.settings, sent: &self.0.sent, event: &event };
        if let Err(error) = running.run().await {
            tracing::warn!(error = describe(&error), "scripts of an event were not run");
        }
    }
}

/// An event whose scripts run.
struct Running<'a> {
    rooms: &'a Rooms,
    settings: &'a Settings,
    /// What accounts have sent lately.
    sent: &'a Sent,
    event: &'a MailboxEvent,
}

/// The message that a script is looking at.
struct Subject {
    uid: Uid,
    modseq: ModSeq,
    mailbox: MailboxInfo,
    mailboxes: Arc<MailboxList>,
    facts: Facts,
    source: Octets,
    /// What is left for its programs.
    program_time: Arc<ProgramTime>,
}

/// What is left to be done to the message itself.
#[derive(Default)]
struct Rest {
    stays: bool,
    flags: Option<Vec<String>>,
}

impl Running<'_> {
    async fn run(&self) -> Result<(), StoreError> {
        let (stages, broken) = self.stages().await?;
        if stages.is_empty() && broken.is_empty() {
            return Ok(());
        }
        for uid in self.event.uids.iter().take(MESSAGES_MAX) {
            match self.one(uid, &stages, &broken).await {
                // It went away in between, or its mailbox did.
                Ok(()) | Err(StoreError::NoSuchMessage | StoreError::NoSuchMailbox) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The operator's scripts, then the one that the mailbox names; faults where that cannot be run.
    async fn stages(&self) -> Result<(Vec<Stage>, Vec<RunFault>), StoreError> {
        let filters = &self.rooms.filters;
        let settings = filters.settings();
        let mut stages = settings.events.clone();
        let account = &self.event.account;
        let Some((place, annotation)) = script_place(account, self.event.mailbox) else {
            return Ok((stages, Vec::new()));
        };
        let value = account.annotation_values(place, vec![annotation]).await?.pop();
        let value = value.and_then(|(_, value)| value).unwrap_or_default();
        let named = std::str::from_utf8(&value).ok().and_then(|text| ScriptName::parse(text.trim()).ok());
        let scripts = account.scripts()?;
        let found = named.and_then(|name| scripts.into_iter().find(|script| script.name == name));
        let Some(found) = found else {
            tracing::debug!("an event's script is not there");
            return Ok((stages, Vec::new()));
        };
        let (own, broken) = compiled_stage(filters, &settings, account, &found).await?;
        stages.extend(own);
        Ok((stages, broken))
    }

    async fn one(&self, uid: Uid, stages: &[Stage], broken: &[RunFault]) -> Result<(), StoreError> {
        let Some(subject) = self.subject(uid).await? else { return Ok(()) };
        let question = Question {
            facts: subject.facts.clone(),
            directory: self.rooms.directory.clone(),
            filters: self.rooms.filters.clone(),
            settings: self.rooms.filters.settings(),
            account: self.event.account.clone(),
            mailboxes: Arc::clone(&subject.mailboxes),
            stages: stages.to_vec(),
            broken: broken.to_vec(),
            source: subject.source.clone(),
            postmaster: postmaster(&self.settings.hostname)?,
            host: self.settings.hostname.clone(),
            detail: Detail::Actions,
            acts: Acts::Yes,
            program_time: Arc::clone(&subject.program_time),
        };
        let runtime = Handle::current();
        let _turn = self.rooms.filters.0.turns.wait(self.event.account.id()).await;
        let answer = match self.rooms.filters.0.workers.run(move || question.answer(&runtime)).await {
            Ok(answer) => answer?,
            Err(WorkError::Panicked) => return Ok(()),
            Err(WorkError::Busy | WorkError::Stopped) => return Err(StoreError::Busy),
        };
        self.carry_out(subject, refused_in_events(answer)).await
    }

    /// The message, if it is still there.
    async fn subject(&self, uid: Uid) -> Result<Option<Subject>, StoreError> {
        let MailboxEvent { account, mailbox, cause, .. } = self.event;
        let mailboxes = account.mailboxes().await?;
        let Some(info) = mailboxes.by_id(*mailbox).cloned() else { return Ok(None) };
        let view = account.open_mailbox(*mailbox).await?;
        let Some((_, entry)) = view.find(uid) else { return Ok(None) };
        let rows = account.rows(*mailbox, &one(uid), Want::Facts).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let source = Octets(account.reader(row.email).await?);
        let Some(owner) = self.rooms.directory.account(account.id()) else { return Ok(None) };
        let changed_flags = match cause {
            EventCause::Flag(flags) => flags.join(" "),
            EventCause::Append | EventCause::Copy { .. } => String::new(),
        };
        let event = EventFacts {
            cause: name(cause),
            mailbox: info.name.clone(),
            changed_flags,
            flags: names_of(&entry, view.keywords()),
        };
        let facts = Facts {
            account: account.id(),
            owner: owner.address.clone(),
            reached_by: owner.address.clone(),
            // Whatever it was, it is over (RFC 6785 §4.9).
            envelope: sieve::Envelope::default(),
            is_junk: false,
            spam: None,
            virus: None,
            is_sender_proven: false,
            now: self.rooms.clock.now(),
            hostname: self.settings.hostname.to_string(),
            remote_host: None,
            remote_address: None,
            event: Some(event),
        };
        let program_time = Arc::new(ProgramTime::new(self.rooms.filters.settings().program_bounds));
        let modseq = entry.modseq;
        Ok(Some(Subject { uid, modseq, mailbox: info, mailboxes, facts, source, program_time }))
    }

    async fn carry_out(&self, subject: Subject, answer: Answer) -> Result<(), StoreError> {
        let Answer { outcome, written } = answer;
        let failed: Vec<RunFault> =
            outcome.faults.iter().filter(|fault| fault.ends_script).cloned().collect();
        for fault in &outcome.faults {
            tracing::info!(fault = notice::words(fault), "a fault in a script of an event");
        }
        let mut rest = Rest::default();
        let mut others = Vec::new();
        for (decided, written) in outcome.actions.into_iter().zip(written) {
            let is_edited = decided.edition.as_ref().is_some_and(|edition| {
                use sieve::message::Source as _;
                !edition.is_original(subject.source.octets())
            });
            match &decided.action {
                Action::Keep { flags } if !is_edited => {
                    rest.stays = true;
                    // What a script that failed had done to flags is undone, too.
                    if failed.is_empty() || decided.origin != Origin::Implicit {
                        rest.flags = Some(flags.clone());
                    }
                }
                Action::Discard => {}
                Action::FileInto(into) if !is_edited => self.copy(&subject, into, &mut rest).await?,
                _ => others.push((decided, written)),
            }
        }
        let account = subject.facts.account;
        let marks = outcome.marks.into_iter().map(|mark| (account, mark)).collect();
        if !others.is_empty() || !failed.is_empty() {
            rest.stays |= self.act(&subject, others, &failed, marks).await?;
        }
        self.settle(&subject, rest).await
    }

    /// `fileinto`: a copy with its flags, where the message is not there already.
    async fn copy(&self, subject: &Subject, into: &FileInto, rest: &mut Rest) -> Result<(), StoreError> {
        let account = &self.event.account;
        let (target, _) = super::act::place(account, &subject.mailboxes, into).await;
        let target = match target {
            FilingTarget::Id(id) => Some(id),
            FilingTarget::SpecialUse(special_use) => {
                account.mailboxes().await?.by_special_use(special_use).map(|mailbox| mailbox.id)
            }
            // What cannot be filed as the script says stays where it is.
            FilingTarget::Name(name) => {
                let is_meant = name == into.mailbox;
                account.mailboxes().await?.by_name(&name).filter(|_| is_meant).map(|mailbox| mailbox.id)
            }
        };
        match target {
            Some(id) if id != subject.mailbox.id => {
                let quota = self.quota();
                let copied = account.copy(subject.mailbox.id, &one(subject.uid), id, quota).await?;
                let before = subject.facts.event.as_ref().map(|event| event.flags.as_slice());
                match copied.to.last() {
                    Some(copy) => {
                        self.set_flags((id, copy), None, before.unwrap_or_default(), &into.flags).await
                    }
                    None => Err(StoreError::NoSuchMessage),
                }
            }
            _ => {
                rest.stays = true;
                rest.flags = Some(into.flags.clone());
                Ok(())
            }
        }
    }

    fn quota(&self) -> QuotaLimit {
        let default = self.settings.quota_default;
        let account = self.rooms.directory.account(self.event.account.id());
        account.map_or(default, |account| QuotaLimit {
            octets: account.quota.octets_max.or(default.octets),
            messages: account.quota.messages_max.or(default.messages),
        })
    }

    /// All that is written or sent because of the message: one durable write. Whether the message stays for it.
    async fn act(
        &self,
        subject: &Subject,
        others: Vec<(Decided, ForAction)>,
        failed: &[RunFault],
        marks: Vec<(mail_types::AccountId, sieve::Mark)>,
    ) -> Result<bool, StoreError> {
        let brought = Brought {
            way: (self.rooms.next_transaction)(),
            submitter: None,
            reports: Reports::AsAsked,
            now: subject.facts.now,
            undo_window: Duration::ZERO,
            place: Place::Inbox,
            is_held: false,
        };
        let known = Known {
            settings: self.settings,
            judged: None,
            content: Considered::NOTHING,
            is_ours: true,
            peer: None,
            answers: Answers::One,
        };
        let desk = Desk { rooms: self.rooms, known, brought };
        let target = LocalTarget {
            account: subject.facts.account,
            address: subject.facts.owner.clone(),
            detail: None,
        };
        let envelope = envelope(&subject.facts.owner, target.clone());
        let message = desk.again(&subject.source).await?;
        let mut planner = Planner::of_event(desk, &envelope, message, Arc::clone(&subject.program_time));
        planner.plan.marks.extend(marks);
        let owner = Owner {
            account: self.event.account.clone(),
            mailboxes: Arc::clone(&subject.mailboxes),
            facts: subject.facts.clone(),
            source: subject.source.clone(),
        };
        let copy = Copy { recipient: 0, target, entry: 0, senders: Vec::new() };
        planner.tell_of_faults(&owner, failed).await;
        for (decided, written) in others {
            if let Action::Keep { flags } = &decided.action {
                let entry = planner.edition(&copy, &owner, decided.edition.as_ref()).await?;
                let here = FilingTarget::Id(subject.mailbox.id);
                planner.file(&copy, entry, here, flag_names(flags));
            } else {
                planner.act(&copy, &owner, decided, written).await?;
            }
        }
        planner.work_off().await?;
        if !self.may_send(&planner).await {
            tracing::warn!(account = %subject.facts.owner, "it has sent enough: a script of an event sends nothing");
            return Ok(true);
        }
        let stays = planner.stays_in_place();
        let lines = planner.plan.recipients.iter().flat_map(|plan| &plan.lines).cloned().collect::<Vec<_>>();
        planner.plan.write(self.rooms).await.map_err(|_| StoreError::Busy)?;
        tracing::info!(account = %subject.facts.owner, what = lines.join(" | "), "a script of an event acted");
        Ok(stays)
    }

    /// Whether the account may send so much, which counts then as if it had sent it itself: the mail is its own, and comes
    /// whenever it likes.
    async fn may_send(&self, planner: &Planner<'_>) -> bool {
        let breaker = &self.rooms.breaker;
        let queued = planner.plan.entries.iter().filter_map(|entry| entry.queued.as_ref());
        let to = queued.flat_map(|queued| &queued.recipients).map(|recipient| &recipient.forward_path);
        let keys: Vec<_> = to.map(|to| breaker.key(self.event.account.id(), to)).collect();
        let recipients = keys.len();
        let limits = self.settings.routing.limits;
        let (account, now) = (self.event.account.id(), self.rooms.clock.now());
        let recipients = u32::try_from(recipients).unwrap_or(u32::MAX);
        if recipients == 0 {
            return true;
        }
        breaker.stopped(account).is_none()
            && self.sent.charge(account, recipients, limits, now).is_ok()
            && breaker.charge(account, keys).await.is_ok()
    }

    /// The message itself: with the flags that the script leaves it, or to be expunged (RFC 6785 §2.2.3).
    async fn settle(&self, subject: &Subject, rest: Rest) -> Result<(), StoreError> {
        let place = (subject.mailbox.id, subject.uid);
        let before = subject.facts.event.as_ref().map(|event| event.flags.as_slice()).unwrap_or_default();
        if !rest.stays {
            let deleted = [SystemFlag::Deleted.name().to_owned()];
            return self.set_flags(place, None, &[], &deleted).await;
        }
        match rest.flags {
            Some(flags) => self.set_flags(place, Some(subject.modseq), before, &flags).await,
            None => Ok(()),
        }
    }

    /// Sets what is new and takes away what is gone, in one change if nobody else has changed the message since; what
    /// somebody else changes meanwhile stays.
    async fn set_flags(
        &self,
        (mailbox, uid): (MailboxId, Uid),
        since: Option<ModSeq>,
        before: &[String],
        after: &[String],
    ) -> Result<(), StoreError> {
        let (added, removed) = (missing(before, after), missing(after, before));
        let (is_more, is_less) = (added != FlagNames::default(), removed != FlagNames::default());
        let change = |mode, flags| FlagChange { mode, flags };
        if let (true, true, Some(since)) = (is_more, is_less, since) {
            let change = change(FlagChangeMode::Replace, flag_names(after));
            let outcome = self.event.account.store_flags(mailbox, &one(uid), &change, Some(since)).await?;
            if outcome.modified.is_empty() {
                return Ok(());
            }
        }
        for (is_wanted, mode, flags) in
            [(is_more, FlagChangeMode::Add, added), (is_less, FlagChangeMode::Remove, removed)]
        {
            if is_wanted {
                self.event.account.store_flags(mailbox, &one(uid), &change(mode, flags), None).await?;
            }
        }
        Ok(())
    }
}

/// The flags of one list that the other has not.
fn missing(from: &[String], of: &[String]) -> FlagNames {
    let has = |name: &String| from.iter().any(|other| other.eq_ignore_ascii_case(name));
    flag_names(&of.iter().filter(|name| !has(name)).cloned().collect::<Vec<_>>())
}

/// Nobody is answered or refused: the mail came long ago (RFC 6785 §3.9). A script that tries has failed.
fn refused_in_events(mut answer: Answer) -> Answer {
    let is_refused = |decided: &Decided| matches!(decided.action, Action::Reject(_) | Action::Vacation(_));
    let Some(refused) = answer.outcome.actions.iter().find(|decided| is_refused(decided)) else {
        return answer;
    };
    let (script, line) = match &refused.origin {
        Origin::Line { script, line } => (script.clone(), *line),
        Origin::Implicit => (String::new(), 0),
    };
    let words = "mail that is in a mailbox already is neither refused nor answered".to_owned();
    answer.outcome.faults.push(RunFault { script, line, words, ends_script: true });
    answer.outcome.marks.clear();
    answer.outcome.actions =
        vec![Decided { action: Action::Keep { flags: Vec::new() }, origin: Origin::Implicit, edition: None }];
    answer.written = vec![ForAction::Nothing];
    answer
}

/// What is sent on is the owner's: reports on it come to its mailbox.
fn envelope(owner: &Address, target: LocalTarget) -> Envelope<Route> {
    Envelope {
        reverse_path: ReversePath::Address(owner.clone()),
        parameters: MailParameters::default(),
        recipients: vec![Recipient {
            forward_path: ForwardPath::Address(owner.clone()),
            parameters: RcptParameters::default(),
            route: Route::Deliver(Targets { local: vec![target], remote: Vec::new() }),
        }],
    }
}

fn one(uid: Uid) -> UidSet {
    UidSet::from_ranges([(uid.0, uid.0)])
}

fn names_of(entry: &Entry, keywords: &[Keyword]) -> Vec<String> {
    let system = SystemFlag::ALL.into_iter().filter(|flag| entry.flags.has(*flag));
    let keywords = entry.flags.keywords.numbers().filter_map(|number| keywords.get(number));
    let keywords = keywords.map(|keyword| keyword.as_str().to_owned());
    system.map(|flag| flag.name().to_owned()).chain(keywords).collect()
}

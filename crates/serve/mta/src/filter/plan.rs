//! From what scripts decide to one durable write: the message as it came, filed for all who keep it; copies that scripts
//! have changed, a piece of their own; what is sent on; letters. Nothing of it is done before all of it is known.
//!
//! A script must never lose mail: whatever cannot be done as it says is kept in the inbox and noted, or the sender is told
//! to try again.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use directory::LocalTarget;
use mail_types::{AccountId, Address, AddressDomain, DomainName, MailboxName};
use mailstore::{Account, Arriving, Filing, FilingTarget, FlagNames, MailboxList, ScriptInfo, StoreError};
use platform::workers::WorkError;
use queue::NewMessage;
use sieve::message::Edition;
use sieve::{Detail, Mark, RunFault, Stage};
use smtp::Reply;
use smtp::server::Envelope;
use tokio::runtime::Handle;

use super::envelope::{envelope_of, is_sender_proven};
use super::letters::Desk;
use super::memory::Claim;
use super::programs::ProgramTime;
use super::refusal::Refusal;
use super::run::{Octets, Question};
use super::world::{Acts, Facts};
use super::{FilterSettings, Filters};
use crate::Rooms;
use crate::content::{Considered, quarantine_filing};
use crate::deliver::local::describe;
use crate::deliver::queued::{self, Brought, Place};
use crate::deliver::route::Route;
use crate::receive::judgement::Judged;
use crate::receive::replies;
use crate::settings::Settings;

/// Octets in memory of all messages that are made of one: changed, sent on, letters. Beyond, mail is kept as it came.
const MADE_OCTETS_MAX: u64 = 64 * 1024 * 1024;
/// Octets of all messages that are made of one, on the disk: a large one that everybody's script changes must not fill it.
const MADE_ON_DISK_MAX: u64 = 1024 * 1024 * 1024;
/// What of one message is in memory at most: larger ones lie in a file until they are filed.
const IN_MEMORY_OCTETS: u64 = 256 * 1024;
/// Lines about one recipient in the record of a message.
const LINES_MAX: usize = 50;

/// What is known of a message beside its envelope.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) settings: &'a Settings,
    /// What was found about its sender.
    pub(crate) judged: Option<&'a Judged>,
    /// What follows from its sender and its content.
    pub(crate) content: Considered<'a>,
    /// Whether one of our people sent it, or a host of ours.
    pub(crate) is_ours: bool,
    pub(crate) peer: Option<IpAddr>,
    pub(crate) answers: Answers,
}

/// How the sender is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answers {
    /// With one word for all recipients.
    One,
    /// With one for each (RFC 2033).
    Each,
}

/// One message to be written.
pub(crate) struct Entry {
    pub(crate) message: Arriving,
    pub(crate) queued: Option<NewMessage>,
    /// The recipient of the envelope because of whom it is queued.
    pub(crate) caused_by: Option<usize>,
    /// Where it is filed, and for which recipient of the envelope.
    pub(crate) filings: Vec<(Option<usize>, Filing)>,
}

/// What becomes of one recipient of the envelope.
#[derive(Default)]
pub(crate) struct RecipientPlan {
    /// What its scripts decided, for the record.
    pub(crate) lines: Vec<String>,
    /// The words with which it is refused.
    pub(crate) refusal: Option<Reply>,
    /// Somebody behind it wants the message.
    pub(super) is_wanted: bool,
    /// It leads elsewhere by itself, without a script.
    pub(super) is_elsewhere: bool,
    /// Something else was done because of the message: a letter, say.
    pub(super) is_acted_on: bool,
}

/// All that is to be written and remembered for a message.
pub(crate) struct Plan {
    pub(super) entries: Vec<Entry>,
    pub(super) recipients: Vec<RecipientPlan>,
    pub(super) claims: Vec<Claim>,
    pub(super) marks: Vec<(AccountId, Mark)>,
}

/// Whether any script has a say in the message.
pub(crate) async fn is_needed(rooms: &Rooms, known: Known<'_>, envelope: &Envelope<Route>) -> bool {
    let settings = rooms.filters.0.settings.load();
    // LMTP has a word for each recipient, elsewhere or here.
    if (0..envelope.recipients.len()).any(|number| known.content.refusal(number).is_some()) {
        return true;
    }
    if known.content.has_a_say() || !settings.before.is_empty() || settings.has_own_after() {
        return envelope.recipients.iter().any(|recipient| !recipient.route.local().is_empty());
    }
    for target in envelope.recipients.iter().flat_map(|recipient| recipient.route.local()) {
        // What cannot be asked now is found out when it is filed.
        let account = rooms.store.account(target.account).await;
        if account.is_ok_and(|account| account.active_script().is_ok_and(|active| active.is_some())) {
            return true;
        }
    }
    false
}

/// A copy of the message on its way to an account.
pub(super) struct Copy {
    /// The recipient of the envelope that led here.
    pub(super) recipient: usize,
    pub(super) target: LocalTarget,
    /// Which of the entries it is.
    pub(super) entry: usize,
    /// Accounts that sent it on, the first one first.
    pub(super) senders: Vec<AccountId>,
}

/// How much memory and disk is taken by messages that were made of one: changed, sent on, letters. An alias of thousands
/// must not fill them.
#[derive(Default)]
pub(super) struct Made {
    in_memory: u64,
    on_disk: u64,
}

impl Made {
    /// Whether one more message of this length may be made; it counts then.
    pub(super) fn may_be(&mut self, octets: u64) -> bool {
        let in_memory = self.in_memory.saturating_add(octets.min(IN_MEMORY_OCTETS));
        let on_disk = self.on_disk.saturating_add(octets);
        let may = in_memory <= MADE_OCTETS_MAX && on_disk <= MADE_ON_DISK_MAX;
        if may {
            (self.in_memory, self.on_disk) = (in_memory, on_disk);
        }
        may
    }
}

/// Who makes the plan.
pub(super) struct Planner<'a> {
    pub(super) desk: Desk<'a>,
    pub(super) envelope: &'a Envelope<Route>,
    pub(super) filters: &'a Filters,
    runtime: Handle,
    pub(super) plan: Plan,
    pub(super) waiting: VecDeque<Copy>,
    /// Copies so far.
    pub(super) copies: usize,
    /// For the programs of all who get it.
    program_time: Arc<ProgramTime>,
    /// Messages that were made of this one.
    pub(super) made: Made,
    pub(super) refusals: Vec<Refusal>,
    /// Copies that scripts have changed: of which entry, how, and where they are.
    pub(super) editions: Vec<(usize, AccountId, Edition, usize)>,
    pub(super) origin: MessageOrigin,
}

/// Where the message is that a plan is made for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum MessageOrigin {
    /// On its way in: who keeps it has it filed.
    Coming,
    /// In a mailbox of its owner, as far as is known to be expunged.
    Leaving,
    /// In a mailbox of its owner, who keeps it there.
    Staying,
}

/// Makes the plan for a message.
pub(crate) async fn plan(
    rooms: &Rooms,
    known: Known<'_>,
    message: Arriving,
    envelope: &Envelope<Route>,
    brought: Brought,
) -> Result<Plan, Reply> {
    let queued = queued::new_message(envelope, &message, known.content, brought);
    let first = Entry { message, queued, caused_by: None, filings: Vec::new() };
    let mut planner = Planner {
        desk: Desk { rooms, known, brought },
        envelope,
        filters: &rooms.filters,
        runtime: Handle::current(),
        plan: Plan {
            entries: vec![first],
            recipients: envelope.recipients.iter().map(|_| RecipientPlan::default()).collect(),
            claims: Vec::new(),
            marks: Vec::new(),
        },
        waiting: VecDeque::new(),
        copies: 0,
        program_time: Arc::new(ProgramTime::new(rooms.filters.settings().program_bounds)),
        made: Made::default(),
        refusals: Vec::new(),
        editions: Vec::new(),
        origin: MessageOrigin::Coming,
    };
    planner.begin();
    planner.work_off().await.map_err(|error| replies::store_error(&error))?;
    Ok(planner.plan)
}

impl<'a> Planner<'a> {
    /// For a message that lies in a mailbox of the envelope's only recipient.
    pub(super) fn of_event(
        desk: Desk<'a>,
        envelope: &'a Envelope<Route>,
        message: Arriving,
        program_time: Arc<ProgramTime>,
    ) -> Self {
        let first = Entry { message, queued: None, caused_by: None, filings: Vec::new() };
        // It is nobody's to refuse any more.
        let recipient = RecipientPlan { is_wanted: true, ..RecipientPlan::default() };
        let plan =
            Plan { entries: vec![first], recipients: vec![recipient], claims: Vec::new(), marks: Vec::new() };
        Self {
            desk,
            envelope,
            filters: &desk.rooms.filters,
            runtime: Handle::current(),
            plan,
            waiting: VecDeque::new(),
            copies: 0,
            program_time,
            made: Made::default(),
            refusals: Vec::new(),
            editions: Vec::new(),
            origin: MessageOrigin::Leaving,
        }
    }
}

impl Planner<'_> {
    /// Whether the message, which lies in a mailbox, is kept there because something could not be done as a script says.
    pub(super) fn stays_in_place(&self) -> bool {
        self.origin == MessageOrigin::Staying
    }

    /// Runs the scripts of all whom a copy has come to, then says refusals.
    pub(super) async fn work_off(&mut self) -> Result<(), StoreError> {
        while let Some(copy) = self.waiting.pop_front() {
            let recipient = copy.recipient;
            self.deliver(copy).await.inspect_err(|error| {
                tracing::error!(recipient, error = describe(error), "filters cannot be run");
            })?;
        }
        self.refuse().await
    }

    fn begin(&mut self) {
        let content = self.desk.known.content;
        for (number, recipient) in self.envelope.recipients.iter().enumerate() {
            if let Some(plan) = self.plan.recipients.get_mut(number) {
                plan.refusal = content.refusal(number);
                if plan.refusal.is_some() {
                    continue;
                }
            }
            for target in recipient.route.local() {
                if content.place_for(target.account) == Place::Quarantine {
                    self.keep_apart(number, target.account);
                    continue;
                }
                self.copies += 1;
                self.waiting.push_back(Copy {
                    recipient: number,
                    target: target.clone(),
                    entry: 0,
                    senders: Vec::new(),
                });
            }
            if !recipient.route.remote().is_empty()
                && let Some(plan) = self.plan.recipients.get_mut(number)
            {
                plan.is_wanted = true;
                plan.is_elsewhere = true;
            }
        }
    }

    /// Files a message where its account does not see it: no script of the account has a say.
    fn keep_apart(&mut self, recipient: usize, account: AccountId) {
        let Desk { brought, .. } = self.desk;
        self.note(recipient, "kept apart: its content is unwanted".to_owned());
        let filing = quarantine_filing(account, brought.now, brought.way);
        if let (Some(filing), Some(entry)) = (filing, self.plan.entries.first_mut()) {
            entry.filings.push((Some(recipient), filing));
        }
        if let Some(plan) = self.plan.recipients.get_mut(recipient) {
            plan.is_wanted = true;
        }
    }

    pub(super) fn note(&mut self, recipient: usize, line: String) {
        if let Some(plan) = self.plan.recipients.get_mut(recipient)
            && plan.lines.len() < LINES_MAX
        {
            plan.lines.push(line);
        }
    }

    /// Runs the scripts of the account that a copy has come to, and plans what they decide.
    async fn deliver(&mut self, copy: Copy) -> Result<(), StoreError> {
        let rooms = self.desk.rooms;
        let account = match rooms.store.account(copy.target.account).await {
            Ok(account) => account,
            // It was removed a moment ago: the filing says so.
            Err(StoreError::NoSuchAccount) => {
                self.file(&copy, copy.entry, FilingTarget::Name(MailboxName::inbox()), FlagNames::default());
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let mailboxes = account.mailboxes().await?;
        let source = self.source(copy.entry).await?;
        let question = self.question(&copy, &account, &mailboxes, &source).await?;
        let facts = question.facts.clone();
        let runtime = self.runtime.clone();
        let _turn = self.filters.0.turns.wait(copy.target.account).await;
        let answer = match self.filters.0.workers.run(move || question.answer(&runtime)).await {
            Ok(answer) => answer?,
            Err(WorkError::Panicked) => {
                self.note(copy.recipient, "its filters failed: kept".to_owned());
                self.file(&copy, copy.entry, FilingTarget::Name(MailboxName::inbox()), FlagNames::default());
                return Ok(());
            }
            Err(WorkError::Busy | WorkError::Stopped) => return Err(StoreError::Busy),
        };
        self.carry_out(&copy, Owner { account, mailboxes, facts, source }, answer).await
    }

    /// The octets of an entry.
    async fn source(&self, entry: usize) -> Result<Octets, StoreError> {
        let entry = self.plan.entries.get(entry).ok_or(StoreError::NoSuchMessage)?;
        Ok(Octets(self.desk.rooms.store.read_arriving(&entry.message).await?))
    }

    async fn question(
        &self,
        copy: &Copy,
        account: &Account,
        mailboxes: &Arc<MailboxList>,
        source: &Octets,
    ) -> Result<Question, StoreError> {
        let settings = self.filters.settings();
        let (own, broken) = own_stage(self.filters, &settings, account).await?;
        let facts = self.facts(copy, &settings.dialect.detail_delimiters);
        let rooms = self.desk.rooms;
        let owner = rooms.directory.account(copy.target.account).map(|owner| owner.address.clone());
        let junk = rooms.content.junk(account, owner.as_ref(), facts.is_junk).await;
        let after = settings.after_own(junk).iter().cloned();
        let stages = settings.before.iter().cloned().chain(own).chain(after);
        let host = self.desk.known.settings.hostname.clone();
        Ok(Question {
            facts,
            directory: self.desk.rooms.directory.clone(),
            filters: self.filters.clone(),
            account: account.clone(),
            mailboxes: Arc::clone(mailboxes),
            stages: stages.collect(),
            broken,
            source: source.clone(),
            postmaster: postmaster(&host)?,
            host,
            settings,
            detail: Detail::Actions,
            acts: Acts::Yes,
            program_time: Arc::clone(&self.program_time),
        })
    }

    fn facts(&self, copy: &Copy, delimiters: &str) -> Facts {
        let Desk { rooms, known, brought } = self.desk;
        let owner = rooms.directory.account(copy.target.account);
        let named = self.envelope.recipients.get(copy.recipient);
        let iprev = known.judged.and_then(|judged| judged.findings.iprev.name());
        Facts {
            account: copy.target.account,
            owner: owner.map_or_else(|| copy.target.address.clone(), |owner| owner.address.clone()),
            reached_by: copy.target.address.clone(),
            envelope: envelope_of(self.envelope, named, &copy.target, delimiters, brought),
            is_junk: known.content.place_for(copy.target.account) == Place::Junk,
            spam: known.content.part_for(copy.target.account),
            virus: known.content.virus(),
            is_sender_proven: is_sender_proven(known, &self.envelope.reverse_path),
            now: brought.now,
            hostname: known.settings.hostname.to_string(),
            remote_host: iprev.map(ToString::to_string),
            remote_address: known.peer.map(|peer| peer.to_string()),
            event: None,
        }
    }
}

/// The account that a copy has come to.
pub(super) struct Owner {
    pub(super) account: Account,
    pub(super) mailboxes: Arc<MailboxList>,
    pub(super) facts: Facts,
    pub(super) source: Octets,
}

/// The account's own script, compiled; a fault where it cannot be.
pub(super) async fn own_stage(
    filters: &Filters,
    settings: &FilterSettings,
    account: &Account,
) -> Result<(Option<Stage>, Vec<RunFault>), StoreError> {
    let Some(active) = account.active_script()? else { return Ok((None, Vec::new())) };
    compiled_stage(filters, settings, account, &active).await
}

/// One of the account's scripts, compiled; a fault where it cannot be.
pub(super) async fn compiled_stage(
    filters: &Filters,
    settings: &FilterSettings,
    account: &Account,
    active: &ScriptInfo,
) -> Result<(Option<Stage>, Vec<RunFault>), StoreError> {
    let shelf = &filters.0.shelf;
    let name = active.name.to_string();
    match shelf.personal(account, &active.name, active.modseq, &settings.dialect).await {
        Ok(Ok(script)) => Ok((Some(Stage { name, script }), Vec::new())),
        Ok(Err(faults)) => {
            Ok((None, vec![RunFault { script: name, line: 0, words: faults.to_string(), ends_script: true }]))
        }
        // It went away a moment ago.
        Err(StoreError::NoSuchScript) => Ok((None, Vec::new())),
        Err(error) => Err(error),
    }
}

/// The address of the postmaster of this host.
pub(super) fn postmaster(host: &DomainName) -> Result<Address, StoreError> {
    let host = AddressDomain::Name(host.clone());
    Address::new("postmaster", host).map_err(|_| StoreError::NotAllowed("the postmaster's address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_much_is_made_of_one_message_and_no_more() {
        for (octets, may) in [(99, true), (100, true), (101, false)] {
            let mut made = Made { in_memory: MADE_OCTETS_MAX - 100, on_disk: 0 };
            assert_eq!(made.may_be(octets), may, "{octets}");
            let mut made = Made { in_memory: 0, on_disk: MADE_ON_DISK_MAX - 100 };
            assert_eq!(made.may_be(octets), may, "{octets}");
        }
        let mut made = Made::default();
        // Large ones lie in files.
        assert_eq!((0..1_000).filter(|_| made.may_be(4 << 20)).count(), 256);
        let mut made = Made::default();
        assert_eq!((0..1_000).filter(|_| made.may_be(50 << 20)).count(), 20);
    }
}

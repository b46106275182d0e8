//! From what scripts decide to one durable write: the message as it came, filed for all who keep it; copies that scripts
//! have changed, a piece of their own; what is sent on; letters. Nothing of it is done before all of it is known.
//!
//! A script must never lose mail: whatever cannot be done as it says is kept in the inbox and noted, or the sender is told
//! to try again.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use directory::LocalTarget;
use mail_types::{
    AccountId, Address, AddressDomain, DomainName, Keyword, MailboxName, SpecialUse, SystemFlag,
};
use mailstore::{Account, Arriving, Filing, FilingTarget, FlagNames, MailboxList, QuotaLimit, StoreError};
use platform::workers::WorkError;
use queue::NewMessage;
use sieve::message::Edition;
use sieve::{Action, Decided, Detail, FileInto, Mark, Origin, RunFault, Stage};
use smtp::Reply;
use smtp::server::Envelope;
use tokio::runtime::Handle;

use super::envelope::{envelope_of, is_sender_proven};
use super::letters::Desk;
use super::memory::{Claim, Kind, key};
use super::refusal::{Refusal, kind_word};
use super::run::{Answer, ForAction, Octets, Question};
use super::world::{Acts, Facts};
use super::{FilterSettings, Filters, notice};
use crate::Rooms;
use crate::deliver::local::describe;
use crate::deliver::queued::{self, Brought, Place};
use crate::deliver::route::Route;
use crate::receive::judgement::Judged;
use crate::receive::replies;
use crate::settings::Settings;

/// Lines about one recipient in the record of a message.
const LINES_MAX: usize = 50;

/// What is known of a message beside its envelope.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) settings: &'a Settings,
    /// What was found about its sender.
    pub(crate) judged: Option<&'a Judged>,
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
}

/// All that is to be written and remembered for a message.
pub(crate) struct Plan {
    pub(super) entries: Vec<Entry>,
    pub(super) recipients: Vec<RecipientPlan>,
    pub(super) claims: Vec<Claim>,
    pub(super) marks: Vec<(AccountId, Mark)>,
}

/// Whether any script has a say in the message.
pub(crate) async fn is_needed(rooms: &Rooms, envelope: &Envelope<Route>, brought: Brought) -> bool {
    let settings = rooms.filters.0.settings.load();
    if brought.place == Place::Junk || !settings.before.is_empty() || settings.has_own_after() {
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
    pub(super) refusals: Vec<Refusal>,
    /// Copies that scripts have changed: of which entry, how, and where they are.
    editions: Vec<(usize, AccountId, Edition, usize)>,
}

/// Makes the plan for a message.
pub(crate) async fn plan(
    rooms: &Rooms,
    known: Known<'_>,
    message: Arriving,
    envelope: &Envelope<Route>,
    brought: Brought,
) -> Result<Plan, Reply> {
    let queued = queued::new_message(envelope, &message, brought);
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
        refusals: Vec::new(),
        editions: Vec::new(),
    };
    planner.begin();
    while let Some(copy) = planner.waiting.pop_front() {
        let recipient = copy.recipient;
        planner.deliver(copy).await.map_err(|error| {
            tracing::error!(recipient, error = describe(&error), "filters cannot be run");
            replies::store_error(&error)
        })?;
    }
    planner.refuse().await.map_err(|error| replies::store_error(&error))?;
    Ok(planner.plan)
}

impl Planner<'_> {
    fn begin(&mut self) {
        for (number, recipient) in self.envelope.recipients.iter().enumerate() {
            for target in recipient.route.local() {
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
        let stages = settings.before.iter().cloned().chain(own).chain(settings.after.iter().cloned());
        let host = self.desk.known.settings.hostname.clone();
        Ok(Question {
            facts: self.facts(copy, &settings.dialect.detail_delimiters),
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
            is_junk: brought.place == Place::Junk,
            is_sender_proven: is_sender_proven(known, &self.envelope.reverse_path),
            now: brought.now,
            hostname: known.settings.hostname.to_string(),
            remote_host: iprev.map(ToString::to_string),
            remote_address: known.peer.map(|peer| peer.to_string()),
        }
    }

    async fn carry_out(&mut self, copy: &Copy, owner: Owner, answer: Answer) -> Result<(), StoreError> {
        let Answer { outcome, written } = answer;
        for fault in &outcome.faults {
            let what = if fault.ends_script { "fault in" } else { "left out in" };
            self.note(copy.recipient, format!("{what} {}: kept", notice::words(fault)));
        }
        for line in &outcome.debug {
            self.note(copy.recipient, format!("debug: {line}"));
        }
        let ends: Vec<RunFault> = outcome.faults.into_iter().filter(|fault| fault.ends_script).collect();
        self.tell_of_faults(&owner, &ends).await;
        let account = copy.target.account;
        self.plan.marks.extend(outcome.marks.into_iter().map(|mark| (account, mark)));
        for (decided, written) in outcome.actions.into_iter().zip(written) {
            self.act(copy, &owner, decided, written).await?;
        }
        Ok(())
    }

    async fn act(
        &mut self,
        copy: &Copy,
        owner: &Owner,
        decided: Decided,
        written: ForAction,
    ) -> Result<(), StoreError> {
        let Decided { action, origin, edition } = decided;
        let by = by(&origin);
        match action {
            Action::Keep { flags } => {
                if origin != Origin::Implicit {
                    self.note(copy.recipient, format!("keep{by}"));
                }
                self.keep(copy, owner, edition.as_ref(), flag_names(&flags)).await
            }
            Action::FileInto(into) => {
                let (target, said) = self.place(owner, &into).await;
                self.note(copy.recipient, format!("fileinto {said}{by}"));
                let entry = self.edition(copy, owner, edition.as_ref()).await?;
                self.file(copy, entry, target, flag_names(&into.flags));
                Ok(())
            }
            Action::Redirect(redirect) => match written {
                ForAction::Loop => {
                    self.note(copy.recipient, format!("redirect{by}: it was sent on before, kept"));
                    self.keep(copy, owner, edition.as_ref(), FlagNames::default()).await
                }
                _ => self.redirect(copy, owner, &redirect, edition.as_ref(), &by).await,
            },
            Action::Discard => {
                self.note(copy.recipient, format!("discard{by}"));
                Ok(())
            }
            Action::Reject(reject) => {
                self.note(copy.recipient, format!("{}{by}", kind_word(reject.kind)));
                let (facts, source) = (owner.facts.clone(), owner.source.clone());
                let recipient = copy.recipient;
                self.refusals.push(Refusal { recipient, facts, reject, notice: written, source });
                Ok(())
            }
            Action::Vacation(vacation) => {
                self.letter(copy, owner, "vacation", &by, written, vacation.fcc.as_ref()).await
            }
            Action::Notify(notify) => {
                self.letter(copy, owner, "notify", &by, written, notify.fcc.as_ref()).await
            }
            Action::Report(_) => self.letter(copy, owner, "report", &by, written, None).await,
            Action::Pipe(pipe) => match written {
                ForAction::NotPiped(words) => {
                    self.note(copy.recipient, format!("pipe {}{by}: {words}; kept", pipe.program));
                    self.keep(copy, owner, edition.as_ref(), FlagNames::default()).await
                }
                _ => {
                    self.note(copy.recipient, format!("pipe {}{by}", pipe.program));
                    Ok(())
                }
            },
        }
    }

    /// Files a copy into the inbox.
    pub(super) async fn keep(
        &mut self,
        copy: &Copy,
        owner: &Owner,
        edition: Option<&Edition>,
        flags: FlagNames,
    ) -> Result<(), StoreError> {
        let entry = self.edition(copy, owner, edition).await?;
        self.file(copy, entry, FilingTarget::Name(MailboxName::inbox()), flags);
        Ok(())
    }

    fn file(&mut self, copy: &Copy, entry: usize, mailbox: FilingTarget, flags: FlagNames) {
        let filing = self.filing(copy.target.account, mailbox, flags);
        if let Some(entry) = self.plan.entries.get_mut(entry) {
            entry.filings.push((Some(copy.recipient), filing));
        }
        self.want(copy.recipient);
    }

    pub(super) fn want(&mut self, recipient: usize) {
        if let Some(plan) = self.plan.recipients.get_mut(recipient) {
            plan.is_wanted = true;
        }
    }

    fn filing(&self, account: AccountId, mailbox: FilingTarget, flags: FlagNames) -> Filing {
        Filing {
            account,
            mailbox,
            flags,
            internal_date: self.desk.brought.now,
            // Checked at RCPT; see `deliver/route.rs`.
            quota: QuotaLimit::NONE,
            way: self.desk.brought.way,
        }
    }

    /// The mailbox that is meant, and its name for the record: the inbox, where it is not there and may not be made.
    async fn place(&self, owner: &Owner, into: &FileInto) -> (FilingTarget, String) {
        let by_id = into.mailbox_id.as_deref().and_then(|id| super::world::mailbox_id(id));
        let by_id = by_id.and_then(|id| owner.mailboxes.by_id(id));
        let special_use = into.special_use.as_deref().and_then(SpecialUse::parse);
        let by_use = special_use.and_then(|special| owner.mailboxes.by_special_use(special));
        let by_name = || owner.mailboxes.by_name(&into.mailbox);
        if let Some(found) = by_id.or(by_use).or_else(by_name) {
            return (FilingTarget::Id(found.id), found.name.to_string());
        }
        if into.mailbox.is_inbox() {
            return (FilingTarget::Name(MailboxName::inbox()), into.mailbox.to_string());
        }
        let inbox =
            |why: &str| (FilingTarget::Name(MailboxName::inbox()), format!("{}: {why}, kept", into.mailbox));
        if !into.create {
            return inbox("no such mailbox");
        }
        match owner.account.create_mailbox(&into.mailbox, special_use).await {
            Ok(id) => (FilingTarget::Id(id), into.mailbox.to_string()),
            Err(StoreError::MailboxExists) => {
                (FilingTarget::Name(into.mailbox.clone()), into.mailbox.to_string())
            }
            Err(error) => inbox(&format!("it cannot be made ({error})")),
        }
    }

    /// The entry that has the message as a script left it.
    pub(super) async fn edition(
        &mut self,
        copy: &Copy,
        owner: &Owner,
        edition: Option<&Edition>,
    ) -> Result<usize, StoreError> {
        let Some(edition) = edition.filter(|edition| !edition.is_original(owner.source.0.octets())) else {
            return Ok(copy.entry);
        };
        let account = copy.target.account;
        let known = self
            .editions
            .iter()
            .find(|(of, by, known, _)| (*of, *by) == (copy.entry, account) && known == edition);
        if let Some((.., at)) = known {
            return Ok(*at);
        }
        let message = self.desk.edited(&owner.source, edition).await?;
        self.plan.entries.push(Entry { message, queued: None, caused_by: None, filings: Vec::new() });
        let at = self.plan.entries.len() - 1;
        self.editions.push((copy.entry, account, edition.clone(), at));
        Ok(at)
    }

    async fn letter(
        &mut self,
        copy: &Copy,
        owner: &Owner,
        what: &str,
        by: &str,
        written: ForAction,
        fcc: Option<&FileInto>,
    ) -> Result<(), StoreError> {
        let (letter, claim) = match written {
            ForAction::Letter { letter, claim } => (letter, claim),
            ForAction::Silent(why) => {
                self.note(copy.recipient, format!("{what}{by}: nothing sent, {why}"));
                return Ok(());
            }
            _ => return Ok(()),
        };
        let copy_filing = match fcc {
            Some(into) => {
                let (target, _) = self.place(owner, into).await;
                Some(self.filing(copy.target.account, target, flag_names(&into.flags)))
            }
            None => None,
        };
        let entry = self.desk.letter(&owner.source, &letter, copy_filing).await?;
        let to: Vec<String> = letter.recipients.iter().map(ToString::to_string).collect();
        let to = to.join(", ");
        let line = match &entry {
            Some(_) => format!("{what} to {to}{by}"),
            None => format!("{what} to {to}{by}: nobody is there"),
        };
        self.note(copy.recipient, line);
        self.plan.entries.extend(entry);
        self.plan.claims.extend(claim);
        Ok(())
    }

    /// Tells the owner of scripts that fail, once a day. Mail counts more than telling of it: what fails here is logged.
    async fn tell_of_faults(&mut self, owner: &Owner, faults: &[RunFault]) {
        let Some(first) = faults.first() else { return };
        tracing::warn!(account = %owner.facts.owner, fault = notice::words(first), "a filter failed");
        let memory = &self.filters.0.memory;
        let (account, now) = (owner.facts.account, self.desk.brought.now);
        let claim = match memory.claim(account, key(Kind::ToldOfFault, &[]), notice::QUIET_SECONDS, now) {
            Ok(Some(claim)) => claim,
            Ok(None) => return,
            Err(error) => {
                tracing::error!(%error, "the memory of filters cannot be read");
                return;
            }
        };
        let mut random = [0; 16];
        let postmaster = postmaster(&self.desk.known.settings.hostname);
        let (Ok(()), Ok(postmaster)) = (directory::fill_random(&mut random), postmaster) else { return };
        let octets = notice::write(&owner.facts.owner, &postmaster, faults, random, now);
        match self.desk.note(&octets, account).await {
            Ok(entry) => {
                self.plan.entries.push(entry);
                self.plan.claims.push(claim);
            }
            Err(error) => tracing::error!(error = describe(&error), "nobody is told of a filter that failed"),
        }
    }
}

/// The account that a copy has come to.
pub(super) struct Owner {
    account: Account,
    mailboxes: Arc<MailboxList>,
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

/// Who asked for an action, for the record.
fn by(origin: &Origin) -> String {
    match origin {
        Origin::Implicit => String::new(),
        Origin::Line { script, line } => format!(" ({script}, line {line})"),
    }
}

/// Flags as scripts name them; those that nobody could have set are left out.
pub(super) fn flag_names(names: &[String]) -> FlagNames {
    let mut flags = FlagNames::default();
    for name in names {
        match SystemFlag::parse(name) {
            Some(system) => flags.system |= system as u8,
            None => flags.keywords.extend(Keyword::parse(name)),
        }
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read_as_they_are_named() {
        let names = ["\\seen", "$Junk", "\\Recent", "bad flag"].map(str::to_owned);
        let flags = flag_names(&names);
        assert_eq!(flags.system, SystemFlag::Seen as u8);
        assert_eq!(flags.keywords, [Keyword::parse("$Junk").unwrap()]);
    }
}

//! From each action to what has to be written for it. Whatever cannot be done as a script says is kept in the inbox.

use std::sync::Arc;

use directory::fill_random;
use mail_types::{AccountId, Keyword, MailboxName, SpecialUse, SystemFlag};
use mailstore::{Account, Filing, FilingTarget, FlagNames, MailboxList, QuotaLimit, StoreError};
use sieve::message::Edition;
use sieve::{Action, Decided, FileInto, Origin, RunFault};

use super::memory::{Kind, key};
use super::notice;
use super::plan::{Copy, Entry, MessageOrigin, Owner, Planner, postmaster};
use super::refusal::{Refusal, kind_word};
use super::run::{Answer, ForAction};
use super::world::mailbox_id;
use crate::deliver::local::describe;

impl Planner<'_> {
    pub(super) async fn carry_out(
        &mut self,
        copy: &Copy,
        owner: Owner,
        answer: Answer,
    ) -> Result<(), StoreError> {
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

    pub(super) async fn act(
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
                let (target, said) = place(&owner.account, &owner.mailboxes, &into).await;
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
                    // The program has it: there is nothing more to be refused.
                    self.want(copy.recipient);
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

    pub(super) fn file(&mut self, copy: &Copy, entry: usize, mailbox: FilingTarget, flags: FlagNames) {
        // Who has it in a mailbox keeps it by leaving it there.
        if self.origin != MessageOrigin::Coming && copy.senders.is_empty() && entry == copy.entry {
            self.origin = MessageOrigin::Staying;
            return;
        }
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
        if !self.made.may_be(edition.octets()) {
            self.note(copy.recipient, "left as it came: too many changed copies of one message".to_owned());
            return Ok(copy.entry);
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
        if !self.made.may_be(letter.content.octets()) {
            self.note(copy.recipient, format!("{what}{by}: nothing sent, too much is made of one message"));
            return Ok(());
        }
        let copy_filing = match fcc {
            Some(into) => {
                let (target, _) = place(&owner.account, &owner.mailboxes, into).await;
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
        if entry.is_some()
            && let Some(plan) = self.plan.recipients.get_mut(copy.recipient)
        {
            plan.is_acted_on = true;
        }
        self.plan.entries.extend(entry);
        self.plan.claims.extend(claim);
        Ok(())
    }

    /// Tells the owner of scripts that fail, once a day. Mail counts more than telling of it: what fails here is logged.
    pub(super) async fn tell_of_faults(&mut self, owner: &Owner, faults: &[RunFault]) {
        let Some(first) = faults.first() else { return };
        tracing::warn!(account = %owner.facts.owner, fault = notice::words(first), "a filter failed");
        let memory = Arc::clone(&self.filters.0.memory);
        let (account, now) = (owner.facts.account, self.desk.brought.now);
        // It may have to wait for the disk.
        let claiming = move || memory.claim(account, key(Kind::ToldOfFault, &[]), notice::QUIET_SECONDS, now);
        let claim = match self.filters.0.scribe.run(claiming).await {
            Ok(Ok(Some(claim))) => claim,
            Ok(Ok(None)) | Err(_) => return,
            Ok(Err(error)) => {
                tracing::error!(%error, "the memory of filters cannot be read");
                return;
            }
        };
        let mut random = [0; 16];
        let postmaster = postmaster(&self.desk.known.settings.hostname);
        let (Ok(()), Ok(postmaster)) = (fill_random(&mut random), postmaster) else { return };
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

/// The mailbox that is meant, and its name for the record: the inbox, where it is not there and may not be made.
pub(super) async fn place(
    account: &Account,
    mailboxes: &MailboxList,
    into: &FileInto,
) -> (FilingTarget, String) {
    let by_id = into.mailbox_id.as_deref().and_then(mailbox_id);
    let by_id = by_id.and_then(|id| mailboxes.by_id(id));
    let special_use = into.special_use.as_deref().and_then(SpecialUse::parse);
    let by_use = special_use.and_then(|special| mailboxes.by_special_use(special));
    let by_name = || mailboxes.by_name(&into.mailbox);
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
    match account.create_mailbox(&into.mailbox, special_use).await {
        Ok(id) => (FilingTarget::Id(id), into.mailbox.to_string()),
        Err(StoreError::MailboxExists) => {
            (FilingTarget::Name(into.mailbox.clone()), into.mailbox.to_string())
        }
        Err(error) => inbox(&format!("it cannot be made ({error})")),
    }
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

//! STORE and UID STORE: changing flags (RFC 9051 §6.4.6, RFC 7162 §3.1.3).

use imap::command::{Store, StoreAction, StoreAnswer};
use imap::response::FetchResponse;
use imap::{Dialect, Numbering};
use mail_types::{ModSeq, UidSet};
use mailstore::{Entry, EventCause, FlagChange, FlagChangeMode, FlagNames, MailboxEvent, StoreOutcome, View};
use platform::lines::Wire;

use super::enable;
use super::event;
use super::person::{Enabled, Named, Person};
use super::replies::{Done, DoneCode, Refusal, Stop};
use super::updates::AlreadyTold;

/// STORE or UID STORE.
pub(crate) async fn store(
    wire: &mut Wire,
    dialect: Dialect,
    person: &mut Person,
    arguments: Store,
    already: &mut AlreadyTold,
) -> Result<Done, Stop> {
    let selected = person.selected_for_changes()?;
    let named = selected.named(&arguments.set, arguments.numbering)?;
    let uids = selected.uids(&named);
    let mailbox = selected.mailbox;
    if arguments.unchanged_since.is_some() {
        enable::imply_condstore(wire.output(), person);
    }
    let change = FlagChange {
        mode: match arguments.action {
            StoreAction::Replace => FlagChangeMode::Replace,
            StoreAction::Add => FlagChangeMode::Add,
            StoreAction::Remove => FlagChangeMode::Remove,
        },
        flags: FlagNames { system: arguments.flags.system, keywords: arguments.flags.keywords.clone() },
    };
    let since = arguments.unchanged_since;
    let outcome = person.account.store_flags(mailbox, &uids, &change, since).await?;
    let now = person.account.open_mailbox(mailbox).await?;
    for (flags, uids) in event::changed_flags(&person.selected()?.view, &now, &outcome.changed) {
        let (account, cause) = (person.account.clone(), EventCause::Flag(flags));
        (person.door.rooms.events)(MailboxEvent { account, mailbox, uids, cause });
    }

    let answers = Answers { dialect, arguments: &arguments, outcome: &outcome, now: &now };
    let all_exist = answers.write(wire, person, &named).await?;
    if let Some(modseq) = outcome.modseq {
        already.add(outcome.changed.clone(), modseq);
    }
    finish(person, &arguments, &outcome, all_exist)
}

/// The tagged answer: which messages were left alone, and whether some are gone.
fn finish(person: &Person, arguments: &Store, outcome: &StoreOutcome, all_exist: bool) -> Result<Done, Stop> {
    let modified = match arguments.numbering {
        Numbering::Sequence => person.selected()?.numbers_of(&outcome.modified).numbers,
        Numbering::Uid => outcome.modified.ranges().to_vec(),
    };
    // A UID that no message has is no error (RFC 9051 §6.4.9); a sequence number always had a message.
    if !all_exist && arguments.numbering == Numbering::Sequence {
        return Err(Refusal::Expunged(modified).into());
    }
    if modified.is_empty() {
        return Ok(Done::plain("STORE completed"));
    }
    Ok(Done::with(DoneCode::Modified(modified), "Conditional STORE left some messages alone"))
}

/// The FETCH responses of a STORE.
struct Answers<'a> {
    dialect: Dialect,
    arguments: &'a Store,
    outcome: &'a StoreOutcome,
    now: &'a View,
}

impl Answers<'_> {
    /// Writes them; tells whether all messages named still exist.
    async fn write(&self, wire: &mut Wire, person: &mut Person, named: &Named) -> Result<bool, Stop> {
        let enabled = person.enabled;
        let selected = person.selected_mut()?;
        let is_silent = self.arguments.answer == StoreAnswer::Silent;
        if !is_silent {
            selected.tell_keywords(wire.output(), self.now);
        }
        let mut all_exist = true;
        for &(first, last) in &named.numbers {
            for (number, known) in selected.view.range(first, last) {
                let Some((_, entry)) = self.now.find(known.uid) else {
                    all_exist = false;
                    continue;
                };
                if self.outcome.modified.contains(entry.uid) {
                    continue;
                }
                if !is_silent {
                    let modseq = enabled.condstore.then_some(entry.modseq);
                    self.write_one(wire.output(), enabled, number, &entry, Flags::Told, modseq);
                } else if enabled.condstore && self.is_changed(&entry) {
                    // Even .SILENT tells the new mod-sequence (RFC 7162 §3.1.3).
                    let modseq = Some(entry.modseq);
                    self.write_one(wire.output(), enabled, number, &entry, Flags::Silent, modseq);
                }
                wire.relieve().await?;
            }
        }
        Ok(all_exist)
    }

    fn is_changed(&self, entry: &Entry) -> bool {
        let changed: &UidSet = &self.outcome.changed;
        self.arguments.unchanged_since.is_some() || changed.contains(entry.uid)
    }

    fn write_one(
        &self,
        out: &mut Vec<u8>,
        enabled: Enabled,
        number: u32,
        entry: &Entry,
        flags: Flags,
        modseq: Option<ModSeq>,
    ) {
        let mut fetched = FetchResponse::start(out, number, self.dialect);
        if self.arguments.numbering == Numbering::Uid || enabled.tells_uids() {
            fetched.uid(out, entry.uid);
        }
        if flags == Flags::Told {
            fetched.flags(out, entry.flags, self.now.keywords());
        }
        if let Some(modseq) = modseq {
            fetched.mod_seq(out, modseq);
        }
        fetched.finish(out);
    }
}

/// Whether an answer tells the flags.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flags {
    Told,
    Silent,
}

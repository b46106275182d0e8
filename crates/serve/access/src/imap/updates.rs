//! Telling a client what changed in its mailbox since it last heard: EXPUNGE or VANISHED, EXISTS, FLAGS, FETCH
//! (RFC 9051 §5.2, §7.5.1; RFC 7162 §3.2.10). The last thing before each tagged answer, and all that IDLE says.

use std::sync::Arc;

use imap::Dialect;
use imap::command::Opening;
use imap::response::{self, Code, Condition, FetchResponse, PermanentFlags, Vanished};
use mail_types::{Flags, ModSeq, Uid, UidSet};
use mailstore::{Changes, Entry, StoreError, View};
use platform::lines::Wire;

use super::metadata;
use super::person::{Enabled, Person, Selected};
use super::replies::{Farewell, Stop};

/// What may be told now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Telling {
    /// Everything.
    Everything,
    /// Everything that moves no sequence number: no expunge while FETCH, STORE or SEARCH is answered
    /// (RFC 9051 §7.5.1).
    KeepNumbers,
    /// Nothing: the command has told it all, or closed the mailbox.
    Nothing,
}

/// Changes that the command's own answers have told already.
#[derive(Debug, Default)]
pub(crate) struct AlreadyTold(Vec<(UidSet, ModSeq)>);

impl AlreadyTold {
    /// The client knows the flags that these messages got with this mod-sequence.
    pub(crate) fn add(&mut self, uids: UidSet, modseq: ModSeq) {
        self.0.push((uids, modseq));
    }

    fn covers(&self, entry: &Entry) -> bool {
        self.0.iter().any(|(uids, modseq)| entry.modseq == *modseq && uids.contains(entry.uid))
    }
}

/// Tells what has changed.
pub(crate) async fn tell(
    wire: &mut Wire,
    dialect: Dialect,
    person: &mut Person,
    telling: Telling,
    already: &AlreadyTold,
) -> Result<(), Stop> {
    if telling != Telling::Nothing {
        metadata::tell_changes(wire, dialect, person).await?;
    }
    let Person { account, enabled, selected: Some(selected), .. } = person else { return Ok(()) };
    if telling == Telling::Nothing || !selected.may_have_news(telling) {
        return Ok(());
    }
    // Seen before the view is taken: a change between the two is looked at once more.
    selected.changes.borrow_and_update();
    let now = match account.open_mailbox(selected.mailbox).await {
        Ok(view) => view,
        Err(StoreError::NoSuchMailbox) => return Err(Farewell::MailboxDeleted.into()),
        // What cannot be read now is told another time.
        Err(StoreError::Busy | StoreError::Full) => {
            selected.changes.mark_changed();
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    if Arc::ptr_eq(&now, &selected.view) {
        return Ok(());
    }
    let owed = selected.owes_expunges;
    let (told, changes) = foresee(&now, selected, telling);
    announce(wire, dialect, *enabled, selected, &told, &changes, already).await?;
    if enabled.condstore {
        tell_safe_mod_seq(wire.output(), owed, selected.owes_expunges, &told);
    }
    selected.saved = kept(&selected.saved, &changes);
    selected.view = told;
    Ok(())
}

/// The view that the client will know, and how it gets there.
fn foresee(now: &Arc<View>, selected: &mut Selected, telling: Telling) -> (Arc<View>, Changes) {
    let changes = now.changes_since(&selected.view);
    if changes.vanished.is_empty() || telling == Telling::Everything {
        selected.owes_expunges = None;
        return (Arc::clone(now), changes);
    }
    selected.owes_expunges.get_or_insert(selected.view.highest_modseq());
    let kept = Arc::new(now.keeping_vanished_of(&selected.view));
    let changes = kept.changes_since(&selected.view);
    (kept, changes)
}

/// Up to which mod-sequence the client knows everything, when it could think otherwise: it has seen those of newer
/// changes while expunges are kept back, and would never ask for these again (RFC 7162 §3.2, §6).
fn tell_safe_mod_seq(out: &mut Vec<u8>, owed: Option<ModSeq>, owes: Option<ModSeq>, told: &View) {
    let settled = owed.map(|_| told.highest_modseq());
    if let Some(modseq) = owes.or(settled) {
        let code = Code::HighestModSeq(modseq);
        response::write_untagged(out, Condition::Ok, Some(&code), "Highest mod-sequence");
    }
}

async fn announce(
    wire: &mut Wire,
    dialect: Dialect,
    enabled: Enabled,
    selected: &mut Selected,
    told: &View,
    changes: &Changes,
    already: &AlreadyTold,
) -> Result<(), Stop> {
    let out = wire.output();
    if enabled.qresync {
        let uids = changes.vanished.iter().map(|&(_, uid)| uid).collect();
        response::write_vanished(out, Vanished::Now, &uids);
    } else {
        // From the last to the first, so that no number moves before it is told.
        for &(number, _) in changes.vanished.iter().rev() {
            response::write_expunge(out, number);
        }
    }
    if changes.arrived > 0 {
        response::write_exists(out, told.messages());
    }
    selected.tell_keywords(out, told);
    for &number in &changes.changed {
        let Some(entry) = told.entry(number) else { continue };
        if !already.covers(&entry) {
            write_changed(wire.output(), dialect, enabled, told, number, &entry);
            wire.relieve().await?;
        }
    }
    Ok(())
}

/// FETCH as nobody asked for it: the flags, with the UID and MODSEQ where the client counts on them.
pub(crate) fn write_changed(
    out: &mut Vec<u8>,
    dialect: Dialect,
    enabled: Enabled,
    view: &View,
    number: u32,
    entry: &Entry,
) {
    let mut fetched = FetchResponse::start(out, number, dialect);
    if enabled.tells_uids() {
        fetched.uid(out, entry.uid);
    }
    fetched.flags(out, entry.flags, view.keywords());
    if enabled.condstore {
        fetched.mod_seq(out, entry.modseq);
    }
    fetched.finish(out);
}

/// FLAGS and PERMANENTFLAGS: at SELECT, and again when the mailbox has a new keyword.
pub(crate) fn write_keywords(out: &mut Vec<u8>, view: &View, opening: Opening) {
    let keywords = view.keywords();
    response::write_flags(out, keywords);
    let permanent = match opening {
        Opening::ReadOnly => PermanentFlags::None,
        Opening::ReadWrite if keywords.len() < mail_types::KEYWORDS_MAX => {
            PermanentFlags::KnownAndNew(keywords)
        }
        Opening::ReadWrite => PermanentFlags::Known(keywords),
    };
    let code = Code::PermanentFlags(permanent);
    response::write_untagged(out, Condition::Ok, Some(&code), "Flags that stay");
}

/// The saved search result without those that are gone (RFC 5182 §2.1).
fn kept(saved: &UidSet, changes: &Changes) -> UidSet {
    if saved.is_empty() || changes.vanished.is_empty() {
        return saved.clone();
    }
    let mut ranges = Vec::with_capacity(saved.ranges().len());
    let mut gone = changes.vanished.iter().map(|&(_, Uid(uid))| uid).peekable();
    for &(mut first, last) in saved.ranges() {
        while let Some(&uid) = gone.peek().filter(|&&uid| uid <= last) {
            gone.next();
            if uid < first {
                continue;
            }
            if first < uid {
                ranges.push((first, uid - 1));
            }
            first = uid + 1;
        }
        if first <= last {
            ranges.push((first, last));
        }
    }
    UidSet::from_ranges(ranges)
}

impl Selected {
    fn may_have_news(&self, telling: Telling) -> bool {
        let may_settle = self.owes_expunges.is_some() && telling == Telling::Everything;
        // A closed channel means that the account was closed under us: opening the mailbox will say so.
        may_settle || self.changes.has_changed().unwrap_or(true)
    }
}

/// The flags with `\Seen`, as the client sees them after it has read a message.
pub(crate) const fn seen(flags: Flags) -> Flags {
    flags.with(mail_types::SystemFlag::Seen)
}

//! FETCH and UID FETCH (RFC 9051 §6.4.5, RFC 3516, 7162, 8474, 8514, 8970).
//!
//! What the view knows is written without touching the disk; the rest comes in batches, the next being read while
//! the last is written, and octets of messages stream through.

mod binary;
mod plan;
mod preview;
mod section;

use imap::command::{Fetch, Opening};
use imap::fetch::FetchAttribute;
use imap::response::{self, FetchResponse, Vanished};
use imap::{DateTime, Dialect, Numbering};
use mail_types::{Flags, MailboxId, ModSeq, SystemFlag, UidSet};
use mailstore::{Account, Entry, FlagChange, FlagChangeMode, FlagNames, Row, StoreError, View, Want};
use message::Summary;
use platform::clock::Timestamp;
use platform::lines::Wire;

use super::enable;
use super::octets::Octets;
use super::person::{Enabled, Named, Person, Selected};
use super::replies::{Done, Farewell, Refusal, Stop};
use super::select::{intersect, subtract};
use super::updates::{self, AlreadyTold};
use plan::{Needs, Plan};

/// Messages whose summaries are read, and which are marked as seen, together. Two batches are in memory at a time, and
/// the summary of a message made to be hard has some hundred KiB.
const BATCH_MESSAGES: usize = 64;
/// Messages of which only facts are read together.
const FACTS_BATCH_MESSAGES: usize = 1_024;

/// FETCH or UID FETCH.
pub(crate) async fn fetch(
    wire: &mut Wire,
    dialect: Dialect,
    person: &mut Person,
    arguments: Fetch,
    already: &mut AlreadyTold,
) -> Result<Done, Stop> {
    if arguments.vanished && !person.enabled.qresync {
        return Err(Refusal::Senseless("Say ENABLE QRESYNC first").into());
    }
    if arguments.changed_since.is_some() || arguments.attributes.contains(&FetchAttribute::ModSeq) {
        enable::imply_condstore(wire.output(), person);
    }
    let selected = person.selected()?;
    let named = selected.named(&arguments.set, arguments.numbering)?;
    if let (true, Some(since)) = (arguments.vanished, arguments.changed_since) {
        tell_vanished(wire, person, &arguments, since).await?;
    }
    let named = changed_since(selected, named, arguments.changed_since);
    let plan = Plan::new(&arguments);
    let fetching = Fetching {
        account: &person.account,
        mailbox: selected.mailbox,
        view: &selected.view,
        enabled: person.enabled,
        dialect,
        marks_seen: plan.marks_seen && selected.opening == Opening::ReadWrite,
        plan,
    };
    let all_exist = match fetching.plan.needs {
        Needs::View => fetching.show_from_view(wire, &named).await?,
        _ => fetching.show_from_store(wire, &named, already).await?,
    };
    // UIDs of messages that are gone are no error (RFC 9051 §6.4.9); of sequence numbers the client must hear.
    if !all_exist && arguments.numbering == Numbering::Sequence {
        return Err(Refusal::Expunged(Vec::new()).into());
    }
    Ok(Done::plain("FETCH completed"))
}

/// VANISHED (EARLIER): those of the set that are gone, but for those that the client still has to be told of.
async fn tell_vanished(
    wire: &mut Wire,
    person: &Person,
    arguments: &Fetch,
    since: ModSeq,
) -> Result<(), Stop> {
    let selected = person.selected()?;
    let asked = arguments.set.uids(selected.last_uid()).unwrap_or_else(|| selected.saved.clone());
    let vanished = person.account.vanished_since(selected.mailbox, since).await?;
    let ceiling = selected.view.uid_next().0.saturating_sub(1);
    let vanished = intersect(vanished.ranges(), &[(1, ceiling)]);
    let vanished = intersect(vanished.ranges(), asked.ranges());
    let vanished = subtract(&vanished, selected.view.uids().ranges());
    response::write_vanished(wire.output(), Vanished::Earlier, &vanished);
    Ok(())
}

/// Those that changed since.
fn changed_since(selected: &Selected, named: Named, since: Option<ModSeq>) -> Named {
    let Some(since) = since else { return named };
    let mut numbers: Vec<(u32, u32)> = Vec::new();
    for &(first, last) in &named.numbers {
        for (number, entry) in selected.view.range(first, last) {
            if entry.modseq <= since {
                continue;
            }
            match numbers.last_mut() {
                Some(range) if range.1 + 1 == number => range.1 = number,
                _ => numbers.push((number, number)),
            }
        }
    }
    Named { numbers }
}

/// A FETCH under way.
struct Fetching<'a> {
    account: &'a Account,
    mailbox: MailboxId,
    view: &'a View,
    enabled: Enabled,
    dialect: Dialect,
    marks_seen: bool,
    plan: Plan,
}

/// A message with what was read of it.
struct Loaded {
    number: u32,
    entry: Entry,
    row: Row,
    /// The flags and mod-sequence that reading it gave it.
    newly_seen: Option<(Flags, ModSeq)>,
}

/// A message loaded, and its octets or why there are none.
type Opened = (Result<Octets, StoreError>, Loaded);

/// Some messages, loaded.
struct Batch {
    messages: Vec<Loaded>,
    all_exist: bool,
    newly_seen: Option<(UidSet, ModSeq)>,
}

impl Fetching<'_> {
    /// Items that the view knows, at the speed of memory.
    async fn show_from_view(&self, wire: &mut Wire, named: &Named) -> Result<bool, Stop> {
        for &(first, last) in &named.numbers {
            for (number, entry) in self.view.range(first, last) {
                let out = wire.output();
                let mut fetched = FetchResponse::start(out, number, self.dialect);
                for attribute in &self.plan.attributes {
                    self.write_from_view(&mut fetched, out, attribute, &entry, None);
                }
                fetched.finish(out);
                wire.relieve().await?;
            }
        }
        Ok(true)
    }

    /// Everything else: the next batch is read while the last one is written. Tells whether all were there.
    async fn show_from_store(
        &self,
        wire: &mut Wire,
        named: &Named,
        already: &mut AlreadyTold,
    ) -> Result<bool, Stop> {
        let mut all_exist = true;
        let mut entries = named.numbers.iter().flat_map(|&(first, last)| self.view.range(first, last));
        let is_small = self.plan.needs == Needs::Facts && !self.plan.reads;
        let batch_messages = if is_small { FACTS_BATCH_MESSAGES } else { BATCH_MESSAGES };
        let mut take = || entries.by_ref().take(batch_messages).collect::<Vec<_>>();
        let mut batch = self.load(take()).await?;
        loop {
            all_exist &= batch.all_exist;
            if let Some((uids, modseq)) = batch.newly_seen.take() {
                already.add(uids, modseq);
            }
            let following = take();
            let is_last = following.is_empty();
            let (written, loaded) =
                tokio::join!(self.write_batch(wire, batch.messages), self.load(following));
            all_exist &= written?;
            batch = loaded?;
            if is_last {
                return Ok(all_exist);
            }
        }
    }

    async fn load(&self, entries: Vec<(u32, Entry)>) -> Result<Batch, Stop> {
        let mut batch =
            Batch { messages: Vec::with_capacity(entries.len()), all_exist: true, newly_seen: None };
        if entries.is_empty() {
            return Ok(batch);
        }
        batch.newly_seen = self.mark_seen(&entries).await?;
        let uids: UidSet = entries.iter().map(|(_, entry)| entry.uid).collect();
        let want = if self.plan.needs >= Needs::Fields { Want::Summaries } else { Want::Facts };
        let mut rows = self.account.rows(self.mailbox, &uids, want).await?.into_iter().peekable();
        for (number, entry) in entries {
            while rows.next_if(|row| row.uid < entry.uid).is_some() {}
            let Some(row) = rows.next_if(|row| row.uid == entry.uid) else {
                batch.all_exist = false;
                continue;
            };
            let newly_seen = batch.newly_seen.as_ref().filter(|(uids, _)| uids.contains(entry.uid));
            let newly_seen = newly_seen.map(|&(_, modseq)| (updates::seen(entry.flags), modseq));
            batch.messages.push(Loaded { number, entry, row, newly_seen });
        }
        Ok(batch)
    }

    /// Sets `\Seen` where reading sets it. A full disk keeps nobody from reading.
    async fn mark_seen(&self, entries: &[(u32, Entry)]) -> Result<Option<(UidSet, ModSeq)>, Stop> {
        let unseen = entries.iter().filter(|(_, entry)| !entry.flags.has(SystemFlag::Seen));
        let uids: UidSet = unseen.map(|(_, entry)| entry.uid).collect();
        if !self.marks_seen || uids.is_empty() {
            return Ok(None);
        }
        let flags = FlagNames { system: SystemFlag::Seen as u8, keywords: Vec::new() };
        let change = FlagChange { mode: FlagChangeMode::Add, flags };
        match self.account.store_flags(self.mailbox, &uids, &change, None).await {
            Ok(outcome) => Ok(outcome.modseq.map(|modseq| (outcome.changed, modseq))),
            Err(StoreError::Full | StoreError::Busy) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes the messages, opening the octets of the next ones while the last are written. Tells whether all were
    /// there.
    async fn write_batch(&self, wire: &mut Wire, messages: Vec<Loaded>) -> Result<bool, Stop> {
        let mut all_exist = true;
        let mut rest = messages.into_iter();
        let mut opened = self.open_some(&mut rest).await?;
        while !opened.is_empty() {
            let (written, following) =
                tokio::join!(self.write_opened(wire, opened), self.open_some(&mut rest));
            all_exist &= written?;
            opened = following?;
        }
        Ok(all_exist)
    }

    /// The next messages with their octets, opened where the plan is sure to need them.
    async fn open_some(&self, rest: &mut std::vec::IntoIter<Loaded>) -> Result<Vec<Opened>, StoreError> {
        if !self.plan.reads {
            let closed = |loaded: Loaded| (Ok(Octets::closed(self.account, &loaded.row)), loaded);
            return Ok(rest.map(closed).collect());
        }
        let count = Octets::together(rest.as_slice().iter().map(|loaded| loaded.row.octets));
        let some: Vec<_> = rest.take(count).collect();
        if some.is_empty() {
            return Ok(Vec::new());
        }
        let octets = Octets::open_all(self.account, some.iter().map(|loaded| &loaded.row)).await?;
        Ok(octets.into_iter().zip(some).collect())
    }

    async fn write_opened(&self, wire: &mut Wire, opened: Vec<Opened>) -> Result<bool, Stop> {
        let mut all_exist = true;
        for (octets, loaded) in opened {
            let written = match octets {
                Ok(octets) => self.write_message(wire, &loaded, octets).await,
                Err(error) => Err(error.into()),
            };
            match written {
                // Found out before anything was written of it.
                Err(Stop::Refused(Refusal::Store(StoreError::NoSuchMessage))) => all_exist = false,
                written => written?,
            }
        }
        Ok(all_exist)
    }

    async fn write_message(&self, wire: &mut Wire, loaded: &Loaded, mut octets: Octets) -> Result<(), Stop> {
        let may_fields_do = self.plan.needs == Needs::Fields && !self.plan.reads;
        if may_fields_do && self.write_from_fields(wire.output(), loaded) {
            wire.relieve().await?;
            return Ok(());
        }
        let summary = match self.plan.needs {
            Needs::Fields | Needs::Summaries => Some(self.summary(&loaded.row, &mut octets).await?),
            Needs::View | Needs::Facts => None,
        };
        // All that may be refused is found out before the response begins.
        let summary = summary.as_ref();
        let mut counted = Vec::with_capacity(self.plan.attributes.len());
        for attribute in &self.plan.attributes {
            if section::needs_octets(attribute, summary) {
                octets.ensure_open().await?;
            }
            counted.push(binary::decoded_octets(attribute, summary, &mut octets).await?);
        }
        let mut fetched = FetchResponse::start(wire.output(), loaded.number, self.dialect);
        for (attribute, counted) in self.plan.attributes.iter().zip(counted) {
            if !self.write_known(&mut fetched, wire.output(), attribute, loaded, summary, counted) {
                let written =
                    self.write_octets(wire, &mut fetched, attribute, counted, summary, &mut octets).await;
                written.map_err(midway)?;
            }
        }
        self.write_newly_seen(wire.output(), &mut fetched, loaded);
        fetched.finish(wire.output());
        wire.relieve().await?;
        Ok(())
    }

    /// Lists of mail are shown from the header fields kept with the summary, of which nothing else is read then. Tells
    /// whether they were enough; if not, nothing is written.
    fn write_from_fields(&self, out: &mut Vec<u8>, loaded: &Loaded) -> bool {
        let Some(Ok(fields)) = loaded.row.summary.as_deref().map(Summary::decode_fields) else {
            return false;
        };
        if !self.plan.attributes.iter().all(|attribute| section::is_covered(attribute, &fields)) {
            return false;
        }
        let mut fetched = FetchResponse::start(out, loaded.number, self.dialect);
        for attribute in &self.plan.attributes {
            if !self.write_known(&mut fetched, out, attribute, loaded, None, None) {
                section::write_fields(out, &mut fetched, attribute, &fields);
            }
        }
        self.write_newly_seen(out, &mut fetched, loaded);
        fetched.finish(out);
        true
    }

    /// The summary kept with the message; made anew where it cannot be read.
    async fn summary(&self, row: &Row, octets: &mut Octets) -> Result<Summary, Stop> {
        if let Some(Ok(summary)) = row.summary.as_deref().map(Summary::decode) {
            return Ok(summary);
        }
        tracing::warn!(uid = row.uid.0, "a message's summary cannot be read; scanning the message");
        let mut scanner = message::Scanner::new(message::Limits::default());
        let mut at = 0;
        while at < octets.len() {
            let piece = octets.at(at).await?;
            scanner.feed(piece);
            at += piece.len() as u64;
        }
        Ok(scanner.finish())
    }

    /// Items that need no octets; tells whether the item was one of these.
    fn write_known(
        &self,
        fetched: &mut FetchResponse,
        out: &mut Vec<u8>,
        attribute: &FetchAttribute,
        loaded: &Loaded,
        summary: Option<&Summary>,
        counted: Option<u64>,
    ) -> bool {
        let row = &loaded.row;
        match (attribute, summary) {
            (FetchAttribute::InternalDate, _) => fetched.internal_date(out, in_utc(row.internal_date)),
            (FetchAttribute::SaveDate, _) => fetched.save_date(out, Some(in_utc(row.save_date))),
            (FetchAttribute::Rfc822Size, _) => fetched.rfc822_size(out, row.octets),
            (FetchAttribute::EmailId, _) => fetched.email_id(out, row.email),
            (FetchAttribute::ThreadId, _) => fetched.thread_id(out, Some(row.thread)),
            (FetchAttribute::Envelope, Some(summary)) => fetched.envelope(out, &summary.envelope),
            (FetchAttribute::Body, Some(summary)) => fetched.body(out, &summary.structure),
            (FetchAttribute::BodyStructure, Some(summary)) => fetched.body_structure(out, &summary.structure),
            // A part that is not there has nothing.
            (FetchAttribute::BinarySize(part), _) => fetched.binary_size(out, part, counted.unwrap_or(0)),
            _ => return self.write_from_view(fetched, out, attribute, &loaded.entry, loaded.newly_seen),
        }
        true
    }

    /// Items made of the message's octets.
    async fn write_octets(
        &self,
        wire: &mut Wire,
        fetched: &mut FetchResponse,
        attribute: &FetchAttribute,
        counted: Option<u64>,
        summary: Option<&Summary>,
        octets: &mut Octets,
    ) -> Result<(), Stop> {
        match (attribute, summary) {
            (FetchAttribute::Preview(_), Some(summary)) => {
                let text = preview::preview(summary, octets).await?;
                fetched.preview(wire.output(), text.as_deref());
                Ok(())
            }
            (FetchAttribute::Binary(wanted), _) => {
                binary::write(wire, fetched, wanted, counted, summary, octets).await
            }
            _ => section::write(wire, fetched, attribute, summary, octets).await,
        }
    }

    fn write_from_view(
        &self,
        fetched: &mut FetchResponse,
        out: &mut Vec<u8>,
        attribute: &FetchAttribute,
        entry: &Entry,
        newly_seen: Option<(Flags, ModSeq)>,
    ) -> bool {
        let (flags, modseq) = newly_seen.unwrap_or((entry.flags, entry.modseq));
        match attribute {
            FetchAttribute::Uid => fetched.uid(out, entry.uid),
            FetchAttribute::Flags => fetched.flags(out, flags, self.view.keywords()),
            FetchAttribute::ModSeq => fetched.mod_seq(out, modseq),
            _ => return false,
        }
        true
    }

    /// The flags that the message got by being read, unless they were asked for anyway.
    fn write_newly_seen(&self, out: &mut Vec<u8>, fetched: &mut FetchResponse, loaded: &Loaded) {
        let Some((flags, modseq)) = loaded.newly_seen else { return };
        let tells_uid = self.plan.attributes.contains(&FetchAttribute::Uid);
        if self.enabled.tells_uids() && !tells_uid {
            fetched.uid(out, loaded.entry.uid);
        }
        if !self.plan.attributes.contains(&FetchAttribute::Flags) {
            fetched.flags(out, flags, self.view.keywords());
        }
        if self.enabled.condstore && !self.plan.attributes.contains(&FetchAttribute::ModSeq) {
            fetched.mod_seq(out, modseq);
        }
    }
}

/// What fails within a response cannot be taken back: the client would take what follows for octets of the
/// message, so the session ends.
fn midway(stop: Stop) -> Stop {
    match stop {
        Stop::Refused(refusal) => {
            super::dispatch::report(&refusal);
            Farewell::Unreadable.into()
        }
        ended => ended,
    }
}

/// Dates are told in UTC: the zone of the sender's APPEND is not kept.
const fn in_utc(time: Timestamp) -> DateTime {
    DateTime { unix_seconds: time.unix_seconds(), zone_minutes: 0 }
}

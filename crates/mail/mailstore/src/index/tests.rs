//! The SQLite index against the model: whatever happens to an account, both answer the same, also when the one is
//! made anew from the records in any order a purge may leave them in.

mod copies;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use mail_types::{
    AnnotationName, EmailId, Flags, Keyword, KeywordSet, MailboxId, MailboxName, ModSeq, ScriptName,
    SpecialUse, TransactionId, Uid, UidSet, UidValidity,
};
use platform::clock::Timestamp;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use storage::{BlobRef, LogPosition, PackId};
use tempfile::TempDir;

use super::{AccountIndex, ModelIndex, Move, Order, Phase, SqliteIndex, ToApply};
use crate::digest::Digest;
use crate::fetch::Want;
use crate::note::{
    ActiveScript, AnnotationRecord, Expunged, FiledRecord, FlagsSet, MailboxDeleted, MailboxState, Record,
    ScriptRecord, Stored, Subscription,
};
use crate::search::HeaderField;

/// What may happen to an account.
#[derive(Clone, Debug)]
enum Step {
    Create { name: u8, use_number: u8 },
    Rename { mailbox: u8, name: u8 },
    Delete { mailbox: u8 },
    Deliver { mailbox: u8, links: Vec<u8>, subject: u8 },
    Copy { from: u8, to: u8, first: u8, count: u8 },
    Flag { mailbox: u8, first: u8, count: u8, system: u8, keyword: u8 },
    Expunge { mailbox: u8, first: u8, count: u8 },
    Subscribe { name: u8, is_subscribed: bool },
    Put { script: u8, text: Option<u8> },
    Activate { script: Option<u8> },
    Annotate { mailbox: Option<u8>, name: u8, value: Option<u8> },
    Forget { age: u8 },
    Purge { keep: u8 },
    Replay,
}

fn step() -> impl Strategy<Value = Step> {
    let number = 0_u8..12;
    prop_oneof![
        1 => (0_u8..6, 0_u8..6).prop_map(|(name, use_number)| Step::Create { name, use_number }),
        1 => (0_u8..6, 0_u8..6).prop_map(|(mailbox, name)| Step::Rename { mailbox, name }),
        1 => (0_u8..6).prop_map(|mailbox| Step::Delete { mailbox }),
        6 => (0_u8..4, proptest::collection::vec(1_u8..20, 0..4), any::<u8>())
            .prop_map(|(mailbox, links, subject)| Step::Deliver { mailbox, links, subject }),
        2 => (0_u8..4, 0_u8..4, number.clone(), 0_u8..6)
            .prop_map(|(from, to, first, count)| Step::Copy { from, to, first, count }),
        3 => (0_u8..4, number.clone(), 0_u8..6, 0_u8..32, 0_u8..128).prop_map(
            |(mailbox, first, count, system, keyword)| Step::Flag { mailbox, first, count, system, keyword }
        ),
        2 => (0_u8..4, number, 0_u8..4)
            .prop_map(|(mailbox, first, count)| Step::Expunge { mailbox, first, count }),
        1 => (0_u8..4, any::<bool>()).prop_map(|(name, is_subscribed)| Step::Subscribe { name, is_subscribed }),
        1 => (0_u8..3, proptest::option::of(any::<u8>())).prop_map(|(script, text)| Step::Put { script, text }),
        1 => proptest::option::of(0_u8..3).prop_map(|script| Step::Activate { script }),
        1 => (proptest::option::of(0_u8..4), 0_u8..2, proptest::option::of(any::<u8>()))
            .prop_map(|(mailbox, name, value)| Step::Annotate { mailbox, name, value }),
        1 => (0_u8..30).prop_map(|age| Step::Forget { age }),
        1 => any::<u8>().prop_map(|keep| Step::Purge { keep }),
        1 => Just(Step::Replay),
    ]
}

/// An entry of a log in memory.
#[derive(Clone, Debug)]
struct Logged {
    position: LogPosition,
    blob: Option<BlobRef>,
    records: Vec<Record>,
    digest: Option<Digest>,
}

impl Logged {
    fn to_apply(&self) -> ToApply<'_> {
        let Self { position, blob, records, digest } = self;
        ToApply { position: *position, blob: *blob, records, digest: digest.as_ref() }
    }
}

/// Both indexes and the log that they come from.
struct Pair {
    model: ModelIndex,
    sqlite: SqliteIndex,
    log: Vec<Logged>,
    waiting: Vec<Logged>,
    modseq: u64,
    mailboxes: u32,
    uid_next: BTreeMap<MailboxId, u32>,
    directory: TempDir,
    at: u64,
}

fn name(number: u8) -> MailboxName {
    MailboxName::parse(&format!("m{number}")).unwrap()
}

fn script_name(number: u8) -> ScriptName {
    ScriptName::parse(&format!("s{number}")).unwrap()
}

fn annotation_name(number: u8) -> AnnotationName {
    AnnotationName::parse(&format!("/private/a{number}")).unwrap()
}

impl Pair {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            model: ModelIndex::new(),
            sqlite: SqliteIndex::open(&directory.path().join("index.db")).unwrap(),
            log: Vec::new(),
            waiting: Vec::new(),
            modseq: 0,
            mailboxes: 0,
            uid_next: BTreeMap::new(),
            directory,
            at: 100,
        }
    }

    fn next_modseq(&mut self) -> ModSeq {
        self.modseq += 1;
        ModSeq(self.modseq)
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.modseq as i64)
    }

    fn submit(&mut self, records: Vec<Record>, digest: Option<Digest>) {
        let begin = self.at;
        self.at += 50;
        let pack = PackId(u32::try_from(self.at / 1_000).unwrap() + 1);
        let blob = digest.is_some().then_some(BlobRef { pack, offset: begin });
        let position = LogPosition { pack, offset: self.at };
        self.waiting.push(Logged { position, blob, records, digest });
    }

    /// Applies what waits to both, in one batch, and compares what they say.
    fn apply(&mut self) -> Result<(), TestCaseError> {
        let entries: Vec<ToApply<'_>> = self.waiting.iter().map(Logged::to_apply).collect();
        let one = self.model.apply(Order::Log, &entries).unwrap();
        let mut other = self.sqlite.apply(Order::Log, &entries).unwrap();
        // The model tells only of rows that differ in the end; the other of all that were touched.
        other.mailboxes.retain(|row| one.mailboxes.contains(row));
        prop_assert_eq!(one, other);
        self.log.append(&mut self.waiting);
        Ok(())
    }

    /// A mailbox that exists, by a number.
    fn mailbox(&self, number: u8) -> Option<MailboxState> {
        let rows = self.model.mailboxes().unwrap();
        let here: Vec<_> = rows.into_iter().filter(|row| row.deleted_at.is_none()).collect();
        here.get(usize::from(number) % here.len().max(1)).map(|row| row.state.clone())
    }

    fn uid(&mut self, mailbox: MailboxId) -> Uid {
        let next = self.uid_next.entry(mailbox).or_insert(1);
        *next += 1;
        Uid(*next - 1)
    }

    fn present(&self, mailbox: MailboxId, first: u8, count: u8) -> UidSet {
        let range = UidSet::from_ranges([(u32::from(first), u32::from(first) + u32::from(count))]);
        let rows = self.model.rows(mailbox, &range, Want::Facts).unwrap();
        rows.iter().map(|row| row.uid).collect()
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        // A purge goes on while changes are under way: it judges without them and writes behind them.
        if !matches!(step, Step::Purge { .. }) {
            self.apply()?;
        }
        match step {
            Step::Create { name: number, use_number } => {
                self.mailboxes += 1;
                let state = MailboxState {
                    id: MailboxId(self.mailboxes),
                    modseq: self.next_modseq(),
                    name: name(*number),
                    uid_validity: UidValidity(self.mailboxes * 3),
                    special_use: SpecialUse::from_number(*use_number),
                    keywords: Vec::new(),
                };
                self.submit(vec![Record::Mailbox(state)], None);
            }
            Step::Rename { mailbox, name: number } => {
                let Some(state) = self.mailbox(*mailbox) else { return Ok(()) };
                let keywords =
                    vec![Keyword::parse("a").unwrap(), Keyword::parse(&format!("k{number}")).unwrap()];
                let modseq = self.next_modseq();
                let state = MailboxState { modseq, name: name(*number), keywords, ..state };
                self.submit(vec![Record::Mailbox(state)], None);
            }
            Step::Delete { mailbox } => {
                let Some(state) = self.mailbox(*mailbox) else { return Ok(()) };
                let (modseq, at) = (self.next_modseq(), self.now());
                let deleted = MailboxDeleted { id: state.id, modseq, uid_validity: state.uid_validity, at };
                self.submit(vec![Record::MailboxDeleted(deleted)], None);
            }
            Step::Deliver { mailbox, links, subject } => self.deliver(*mailbox, links, *subject),
            Step::Copy { from, to, first, count } => self.copy((*from, *to), *first, *count),
            Step::Flag { mailbox, first, count, system, keyword } => {
                let Some(state) = self.mailbox(*mailbox) else { return Ok(()) };
                let uids = self.present(state.id, *first, *count);
                let flags = Flags { system: *system, keywords: KeywordSet(1 << keyword) };
                // A change of no message is none: the store takes no mod-sequence for it.
                if !uids.is_empty() {
                    let set = FlagsSet::new(state.id, self.next_modseq(), vec![(flags, uids)]).unwrap();
                    self.submit(vec![Record::FlagsSet(set)], None);
                }
            }
            Step::Expunge { mailbox, first, count } => {
                let Some(state) = self.mailbox(*mailbox) else { return Ok(()) };
                let uids = self.present(state.id, *first, *count);
                if !uids.is_empty() {
                    let (modseq, at) = (self.next_modseq(), self.now());
                    self.submit(
                        vec![Record::Expunged(Expunged { mailbox: state.id, modseq, uids, at })],
                        None,
                    );
                }
            }
            Step::Subscribe { name: number, is_subscribed } => {
                let (name, modseq, is_subscribed) = (name(*number), self.next_modseq(), *is_subscribed);
                self.submit(vec![Record::Subscription(Subscription { name, modseq, is_subscribed })], None);
            }
            Step::Put { script, text } => {
                let (name, modseq) = (script_name(*script), self.next_modseq());
                let text = text.map(|octet| vec![octet; usize::from(octet) * 100].into());
                self.submit(vec![Record::Script(ScriptRecord { name, modseq, text })], None);
            }
            Step::Activate { script } => {
                let (name, modseq) = (script.map(script_name), self.next_modseq());
                self.submit(vec![Record::ActiveScript(ActiveScript { name, modseq })], None);
            }
            Step::Annotate { mailbox, name, value } => {
                let mailbox = match mailbox {
                    None => None,
                    Some(number) => match self.mailbox(*number) {
                        Some(state) => Some(state.id),
                        None => return Ok(()),
                    },
                };
                let (name, modseq) = (annotation_name(*name), self.next_modseq());
                let value = value.map(|octet| vec![octet; usize::from(octet)].into());
                self.submit(
                    vec![Record::Annotation(AnnotationRecord { mailbox, name, modseq, value })],
                    None,
                );
            }
            Step::Forget { age } => {
                let before = Timestamp::from_unix_millis(self.modseq as i64 - i64::from(*age));
                prop_assert_eq!(
                    self.model.forget_expunged(before).unwrap(),
                    self.sqlite.forget_expunged(before).unwrap()
                );
            }
            Step::Purge { keep } => self.purge(*keep)?,
            Step::Replay => self.replay(),
        }
        Ok(())
    }

    fn deliver(&mut self, mailbox: u8, links: &[u8], subject: u8) {
        let Some(state) = self.mailbox(mailbox) else { return };
        let email = EmailId(self.next_modseq().0);
        let octets = u64::from(subject) * 10;
        let filed = self.filed(state.id, email, octets, Flags { system: subject % 32, ..Flags::NONE });
        let digest = Digest {
            summary: vec![subject; 3],
            headers: vec![2, subject, 0, 0, 0, 0],
            links: links.iter().map(|link| u64::from(*link)).collect(),
        };
        self.submit(vec![Record::Stored(Stored { email, octets, thread: None }), filed], Some(digest));
    }

    fn filed(&mut self, mailbox: MailboxId, email: EmailId, octets: u64, flags: Flags) -> Record {
        let (uid, modseq) = (self.uid(mailbox), self.next_modseq());
        Record::Filed(FiledRecord {
            mailbox,
            uid,
            modseq,
            flags,
            internal_date: Timestamp::from_unix_millis(1_000 + self.modseq as i64),
            save_date: self.now(),
            email,
            octets,
            way: TransactionId(1),
        })
    }

    fn copy(&mut self, (from, to): (u8, u8), first: u8, count: u8) {
        let (Some(from), Some(to)) = (self.mailbox(from), self.mailbox(to)) else { return };
        let uids = self.present(from.id, first, count);
        let rows = self.model.rows(from.id, &uids, Want::Facts).unwrap();
        let records: Vec<Record> =
            rows.iter().map(|row| self.filed(to.id, row.email, row.octets, Flags::NONE)).collect();
        if !records.is_empty() {
            self.submit(records, None);
        }
    }

    /// Some entries of the log are copied to its end, with what is needed of them; the originals go or stay.
    fn purge(&mut self, keep: u8) -> Result<(), TestCaseError> {
        let mut log = Vec::new();
        for (number, entry) in std::mem::take(&mut self.log).into_iter().enumerate() {
            if number % 3 != usize::from(keep) % 3 {
                log.push(entry);
                continue;
            }
            let mut records = Vec::new();
            for record in &entry.records {
                let one = self.model.still_needed(record, entry.blob).unwrap();
                let other = self.sqlite.still_needed(record, entry.blob).unwrap();
                prop_assert_eq!(&one, &other, "of {:?}", record);
                records.extend(one);
            }
            let is_stored = records.iter().any(|record| matches!(record, Record::Stored(_)));
            self.submit(records.clone(), entry.digest.clone().filter(|_| is_stored));
            let copy = self.waiting.pop().unwrap();
            for record in &records {
                if let (Record::Stored(stored), Some(from), Some(to)) = (record, entry.blob, copy.blob) {
                    let moves = [Move { email: stored.email, from, to }];
                    self.model.move_emails(&moves).unwrap();
                    self.sqlite.move_emails(&moves).unwrap();
                }
            }
            // A purge that was interrupted leaves both.
            if keep.is_multiple_of(2) {
                log.push(entry);
            }
            log.push(copy);
        }
        self.log = log;
        Ok(())
    }

    /// After a crash the SQLite index meets what purges have written behind the last change it knows; the model, which
    /// only hears how far the log has come, says what that must change: nothing.
    fn replay(&mut self) {
        self.log.sort_by_key(|entry| entry.position);
        let entries: Vec<ToApply<'_>> = self.log.iter().map(Logged::to_apply).collect();
        self.sqlite.apply(Order::Log, &entries).unwrap();
        if let Some(position) = self.log.last().map(|entry| entry.position) {
            let end = ToApply { position, blob: None, records: &[], digest: None };
            self.model.apply(Order::Log, &[end]).unwrap();
        }
    }

    /// Every question has the same answer.
    fn compare(&self, sqlite: &SqliteIndex, places: Places) -> Result<(), TestCaseError> {
        let model = &self.model;
        let all = UidSet::from_ranges([(1, u32::MAX)]);
        prop_assert_eq!(model.mailboxes().unwrap(), sqlite.mailboxes().unwrap());
        prop_assert_eq!(model.subscriptions().unwrap(), sqlite.subscriptions().unwrap());
        self.compare_scripts_and_annotations(sqlite)?;
        for id in (1..=self.mailboxes).map(MailboxId) {
            let entries = |snapshot: Option<crate::view::Snapshot>| {
                snapshot.map(|snapshot| {
                    let entries: Vec<_> = snapshot.range(1, u32::MAX).collect();
                    (entries, snapshot.uid_next, snapshot.highest_modseq, snapshot.keywords)
                })
            };
            let (one, other) = (model.snapshot(id).unwrap(), sqlite.snapshot(id).unwrap());
            prop_assert_eq!(entries(one), entries(other));
            for want in [Want::Facts, Want::Summaries] {
                let (one, other) =
                    (model.rows(id, &all, want).unwrap(), sqlite.rows(id, &all, want).unwrap());
                prop_assert_eq!(&one, &other);
                for row in one {
                    let (one, other) = (model.email(row.email).unwrap(), sqlite.email(row.email).unwrap());
                    match places {
                        Places::Same => prop_assert_eq!(one, other),
                        Places::Any => prop_assert!(other.is_some()),
                    }
                }
            }
            for since in [0, self.modseq / 2, self.modseq] {
                let since = ModSeq(since);
                let (one, other) =
                    (model.vanished_since(id, since).unwrap(), sqlite.vanished_since(id, since).unwrap());
                prop_assert_eq!(one, other);
            }
            let subjects = |index: &dyn AccountIndex| {
                let mut subjects = Vec::new();
                let mut visit = |uid: Uid, text: Option<&[u8]>| {
                    subjects.push((uid, text.map(<[u8]>::to_vec)));
                    ControlFlow::Continue(())
                };
                index.headers(id, &all, HeaderField::Subject, &mut visit).unwrap();
                subjects
            };
            prop_assert_eq!(subjects(model), subjects(sqlite));
        }
        if places == Places::Same {
            let packs = PackId(0)..=PackId(u32::MAX);
            prop_assert_eq!(
                model.emails_in(packs.clone()).unwrap().len(),
                sqlite.emails_in(packs).unwrap().len()
            );
            prop_assert_eq!(model.account().unwrap(), sqlite.account().unwrap());
        }
        Ok(())
    }

    fn compare_scripts_and_annotations(&self, sqlite: &SqliteIndex) -> Result<(), TestCaseError> {
        let (one, other) = (self.model.scripts().unwrap(), sqlite.scripts().unwrap());
        prop_assert_eq!(&one, &other);
        for name in (0..3).map(script_name) {
            prop_assert_eq!(self.model.script(&name).unwrap(), sqlite.script(&name).unwrap());
        }
        let (one, other) = (self.model.annotations().unwrap(), sqlite.annotations().unwrap());
        prop_assert_eq!(&one, &other);
        for (place, name) in one.rows.keys() {
            let values = (self.model.annotation(*place, name), sqlite.annotation(*place, name));
            prop_assert_eq!(values.0.unwrap(), values.1.unwrap());
        }
        Ok(())
    }

    /// An index made anew from the log says what the original says.
    fn compare_rebuilt(&mut self) -> Result<(), TestCaseError> {
        // What is forgotten is so in the original; in the log it is still there.
        let path = self.directory.path().join("new.db");
        let mut anew = SqliteIndex::open(&path).unwrap();
        for phase in [Phase::Mailboxes, Phase::Messages, Phase::Changes] {
            for entries in self.log.chunks(5) {
                let entries: Vec<ToApply<'_>> = entries.iter().map(Logged::to_apply).collect();
                anew.apply(Order::Rebuild(phase), &entries).unwrap();
            }
        }
        anew.finish_rebuild().unwrap();
        let never = Timestamp::from_unix_millis(i64::MAX);
        self.model.forget_expunged(never).unwrap();
        anew.forget_expunged(never).unwrap();
        self.compare_without_threads(&anew)
    }

    /// The thread of a message whose founder was purged may be another after a rebuild.
    fn compare_without_threads(&self, anew: &SqliteIndex) -> Result<(), TestCaseError> {
        let all = UidSet::from_ranges([(1, u32::MAX)]);
        prop_assert_eq!(self.model.mailboxes().unwrap(), anew.mailboxes().unwrap());
        prop_assert_eq!(self.model.subscriptions().unwrap(), anew.subscriptions().unwrap());
        self.compare_scripts_and_annotations(anew)?;
        let given = |index: &dyn AccountIndex| {
            let account = index.account().unwrap();
            (account.modseq_last, account.mailbox_last, account.uid_validity_last)
        };
        prop_assert_eq!(given(&self.model), given(anew));
        for id in (1..=self.mailboxes).map(MailboxId) {
            let rows = |index: &dyn AccountIndex| {
                let mut rows = index.rows(id, &all, Want::Summaries).unwrap();
                rows.iter_mut().for_each(|row| row.thread = mail_types::ThreadId(0));
                rows
            };
            prop_assert_eq!(rows(&self.model), rows(anew));
            let entries = |index: &dyn AccountIndex| {
                index.snapshot(id).unwrap().map(|snapshot| snapshot.range(1, u32::MAX).collect::<Vec<_>>())
            };
            prop_assert_eq!(entries(&self.model), entries(anew));
            let (one, other) = (
                self.model.vanished_since(id, ModSeq(0)).unwrap(),
                anew.vanished_since(id, ModSeq(0)).unwrap(),
            );
            prop_assert_eq!(one, other);
        }
        Ok(())
    }
}

/// Whether the octets must lie in the same places.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Places {
    Same,
    Any,
}

proptest! {
    // The same histories in every run; a flag change of no message, which the store never logs, can otherwise be drawn.
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn both_indexes_answer_the_same(steps in proptest::collection::vec(step(), 1..60)) {
        let mut pair = Pair::new();
        for step in &steps {
            pair.step(step)?;
        }
        pair.apply()?;
        pair.compare(&pair.sqlite, Places::Same)?;
        pair.compare_rebuilt()?;
    }

    #[test]
    fn entries_applied_twice_are_applied_once(
        steps in proptest::collection::vec(step(), 1..40),
        from in 0_usize..40,
    ) {
        let mut pair = Pair::new();
        for step in steps.iter().filter(|step| !matches!(step, Step::Purge { .. } | Step::Forget { .. } | Step::Replay)) {
            pair.step(step)?;
        }
        pair.apply()?;
        let again: Vec<ToApply<'_>> = pair.log.iter().skip(from).map(Logged::to_apply).collect();
        let mut sqlite = SqliteIndex::open(&pair.directory.path().join("index.db")).unwrap();
        sqlite.apply(Order::Log, &again).unwrap();
        pair.compare(&sqlite, Places::Any)?;
        // Without purges a rebuild is the original to the last thread.
        let mut anew = SqliteIndex::open(&pair.directory.path().join("whole.db")).unwrap();
        for phase in [Phase::Mailboxes, Phase::Messages, Phase::Changes] {
            let entries: Vec<ToApply<'_>> = pair.log.iter().map(Logged::to_apply).collect();
            anew.apply(Order::Rebuild(phase), &entries).unwrap();
        }
        anew.finish_rebuild().unwrap();
        let never = Timestamp::from_unix_millis(i64::MAX);
        pair.model.forget_expunged(never).unwrap();
        anew.forget_expunged(never).unwrap();
        pair.compare(&anew, Places::Same)?;
    }
}

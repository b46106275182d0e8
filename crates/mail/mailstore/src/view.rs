//! A mailbox as sessions see it: who is there in which order, with which flags, at one moment.
//!
//! Views are immutable and share their chunks, so a change costs little and a thousand sessions cost one view.
//! `\Recent` is not kept: RFC 9051 dropped it, and RFC 3501 lets a server answer 0.

mod changes;
mod chunk;
mod draft;

use std::fmt;
use std::sync::Arc;

use mail_types::{Flags, Keyword, MailboxId, ModSeq, Uid, UidSet, UidValidity};

pub use changes::Changes;
pub(crate) use chunk::Chunk;
pub(crate) use draft::Draft;

use crate::open_mailbox::OpenMailbox;

/// One message in a view.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its identifier.
    pub uid: Uid,
    /// Its flags; keyword numbers stand in [`View::keywords`].
    pub flags: Flags,
    /// When it last changed.
    pub modseq: ModSeq,
}

/// What a mailbox holds at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) mailbox: MailboxId,
    pub(crate) uid_validity: UidValidity,
    pub(crate) uid_next: Uid,
    pub(crate) highest_modseq: ModSeq,
    pub(crate) keywords: Arc<[Keyword]>,
    chunks: Vec<Arc<Chunk>>,
    /// For each chunk, how many messages stand before it.
    before: Vec<u32>,
    messages: u32,
}

/// A mailbox at one moment. While a session holds one, the store keeps the mailbox in memory and hands the same
/// chunks to every other session that asks.
#[derive(Clone)]
pub struct View {
    snapshot: Arc<Snapshot>,
    _open: Arc<OpenMailbox>,
}

impl View {
    pub(crate) fn new(snapshot: Arc<Snapshot>, open: Arc<OpenMailbox>) -> Self {
        Self { snapshot, _open: open }
    }

    /// Which mailbox.
    #[must_use]
    pub fn mailbox(&self) -> MailboxId {
        self.snapshot.mailbox
    }

    /// UIDVALIDITY.
    #[must_use]
    pub fn uid_validity(&self) -> UidValidity {
        self.snapshot.uid_validity
    }

    /// UIDNEXT.
    #[must_use]
    pub fn uid_next(&self) -> Uid {
        self.snapshot.uid_next
    }

    /// HIGHESTMODSEQ.
    #[must_use]
    pub fn highest_modseq(&self) -> ModSeq {
        self.snapshot.highest_modseq
    }

    /// The mailbox's keywords by number.
    #[must_use]
    pub fn keywords(&self) -> &Arc<[Keyword]> {
        &self.snapshot.keywords
    }

    /// How many messages: the greatest sequence number.
    #[must_use]
    pub fn messages(&self) -> u32 {
        self.snapshot.messages
    }

    /// The message with this sequence number, from 1.
    #[must_use]
    pub fn entry(&self, sequence: u32) -> Option<Entry> {
        self.range(sequence, sequence).next().map(|(_, entry)| entry)
    }

    /// The sequence number and entry of the message with this identifier.
    #[must_use]
    pub fn find(&self, uid: Uid) -> Option<(u32, Entry)> {
        let sequence = self.snapshot.sequence_from(uid);
        self.range(sequence, sequence).next().filter(|(_, entry)| entry.uid == uid)
    }

    /// The sequence number that the first message with this or a greater identifier has, or would have.
    #[must_use]
    pub fn sequence_from(&self, uid: Uid) -> u32 {
        self.snapshot.sequence_from(uid)
    }

    /// Every message with its sequence number, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u32, Entry)> + '_ {
        self.snapshot.range(1, u32::MAX)
    }

    /// The messages with sequence numbers `first..=last`.
    pub fn range(&self, first: u32, last: u32) -> impl Iterator<Item = (u32, Entry)> + '_ {
        self.snapshot.range(first, last)
    }

    /// The messages of `uids` that are here, with their sequence numbers, ascending.
    pub fn select<'a>(&'a self, uids: &'a UidSet) -> impl Iterator<Item = (u32, Entry)> + 'a {
        self.snapshot.select(uids)
    }

    /// The identifiers of all messages.
    #[must_use]
    pub fn uids(&self) -> UidSet {
        self.snapshot.uids()
    }

    /// What changed from `old` to this view of the same mailbox; costs as much as what changed.
    #[must_use]
    pub fn changes_since(&self, old: &Self) -> Changes {
        changes::between(&old.snapshot, &self.snapshot)
    }

    /// This view, with the messages of `old` that have vanished since kept in their places: what a session may
    /// show while it may not yet say EXPUNGE (RFC 9051 §5.5). They keep their last flags.
    #[must_use]
    pub fn keeping_vanished_of(&self, old: &Self) -> Self {
        let snapshot = Arc::new(changes::keeping_vanished(&old.snapshot, &self.snapshot));
        Self { snapshot, _open: Arc::clone(&self._open) }
    }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("mailbox", &self.mailbox())
            .field("messages", &self.messages())
            .field("uid_next", &self.uid_next())
            .field("highest_modseq", &self.highest_modseq())
            .finish_non_exhaustive()
    }
}

impl Snapshot {
    pub(crate) fn uids(&self) -> UidSet {
        let mut uids = UidSet::new();
        for uid in self.chunks.iter().flat_map(|chunk| chunk.uids()) {
            uids.push(Uid(*uid));
        }
        uids
    }

    pub(crate) fn sequence_from(&self, uid: Uid) -> u32 {
        let at = self.chunks.partition_point(|chunk| chunk.last() < Some(uid.0));
        match (self.chunks.get(at), self.before.get(at)) {
            (Some(chunk), Some(before)) => before + chunk.position(uid.0).unwrap_or_else(|at| at) as u32 + 1,
            _ => self.messages + 1,
        }
    }

    pub(crate) fn range(&self, first: u32, last: u32) -> impl Iterator<Item = (u32, Entry)> + '_ {
        let skipped = first.max(1) - 1;
        let at = self.before.partition_point(|before| *before <= skipped).saturating_sub(1);
        let before = self.before.get(at).copied().unwrap_or(0);
        let entries = self.chunks.get(at..).unwrap_or_default().iter().flat_map(|chunk| chunk.entries());
        (before + 1..=last.min(self.messages)).zip(entries).skip((skipped - before) as usize)
    }

    pub(crate) fn select<'a>(&'a self, uids: &'a UidSet) -> impl Iterator<Item = (u32, Entry)> + 'a {
        uids.ranges().iter().flat_map(|&(first, last)| {
            let end = last.checked_add(1).map_or(self.messages, |next| self.sequence_from(Uid(next)) - 1);
            self.range(self.sequence_from(Uid(first)), end)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use mail_types::KeywordSet;
    use proptest::prelude::*;

    use super::*;

    fn empty() -> Snapshot {
        Draft::new(MailboxId(1), UidValidity(1), Uid(1), ModSeq(1), Arc::new([])).finish()
    }

    fn entry(uid: u32, system: u8, modseq: u64) -> Entry {
        Entry { uid: Uid(uid), flags: Flags { system, keywords: KeywordSet(0) }, modseq: ModSeq(modseq) }
    }

    fn filled(messages: u32) -> Snapshot {
        let mut draft = empty().draft();
        (1..=messages).for_each(|uid| draft.file(entry(uid * 2, 0, u64::from(uid))));
        draft.finish()
    }

    #[test]
    fn sequence_numbers_and_identifiers_agree_across_chunks() {
        for messages in [0, 1, 1_023, 1_024, 1_025, 5_000] {
            let view = filled(messages);
            assert_eq!(view.messages, messages);
            for (sequence, entry) in view.range(1, u32::MAX) {
                assert_eq!(entry.uid.0, sequence * 2);
                assert_eq!(view.sequence_from(entry.uid), sequence);
                assert_eq!(view.sequence_from(Uid(entry.uid.0 - 1)), sequence);
            }
            assert_eq!(view.range(1, u32::MAX).count(), messages as usize);
            assert_eq!(view.sequence_from(Uid(u32::MAX)), messages + 1);
            let all = UidSet::from_ranges([(1, u32::MAX)]);
            assert_eq!(view.select(&all).count(), messages as usize);
            assert_eq!(view.range(messages, u32::MAX).count(), 1.min(messages as usize));
            assert_eq!(view.range(messages + 1, u32::MAX).count(), 0);
        }
        let view = filled(3_000);
        let picked: Vec<u32> = view.range(1_024, 1_026).map(|(_, entry)| entry.uid.0).collect();
        assert_eq!(picked, [2_048, 2_050, 2_052]);
    }

    #[test]
    fn one_change_copies_one_chunk() {
        let old = filled(10_000);
        let mut draft = old.draft();
        draft.set_flags(&UidSet::from_ranges([(5_000, 5_000)]), entry(0, 1, 0).flags, ModSeq(20_000));
        let new = draft.finish();
        let shared = old.chunks.iter().zip(&new.chunks).filter(|(a, b)| Arc::ptr_eq(a, b)).count();
        assert_eq!(shared + 1, old.chunks.len());
        let changes = changes::between(&old, &new);
        assert_eq!((changes.changed, changes.vanished.len(), changes.arrived), (vec![2_500], 0, 0));
    }

    #[derive(Clone, Debug)]
    enum Step {
        File(u8),
        Flag(u32, u32, u8),
        Expunge(u32, u32),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (1_u8..200).prop_map(Step::File),
            (1_u32..3_000, 0_u32..1_500, 0_u8..32).prop_map(|(a, b, c)| Step::Flag(a, b, c)),
            (1_u32..3_000, 0_u32..700).prop_map(|(a, b)| Step::Expunge(a, b)),
        ];
        proptest::collection::vec(step, 1..40)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn views_say_what_a_plain_map_says(steps in steps(), keep_at in 0_usize..40) {
            let mut view = filled(1_500);
            let mut map: BTreeMap<u32, Entry> = view.range(1, u32::MAX).map(|(_, e)| (e.uid.0, e)).collect();
            let (mut modseq, mut old) = (10_000, (view.clone(), map.clone()));
            for (at, step) in steps.into_iter().enumerate() {
                if at == keep_at { old = (view.clone(), map.clone()); }
                modseq += 1;
                let mut draft = view.draft();
                match step {
                    Step::File(count) => for _ in 0..count {
                        let new = entry(draft.uid_next().0, 0, modseq);
                        draft.file(new);
                        map.insert(new.uid.0, new);
                    },
                    Step::Flag(first, count, system) => {
                        let flags = Flags { system, keywords: KeywordSet(u128::from(system) << 100) };
                        draft.set_flags(&UidSet::from_ranges([(first, first + count)]), flags, ModSeq(modseq));
                        map.range_mut(first..=first + count).for_each(|(_, entry)| {
                            *entry = Entry { flags, modseq: ModSeq(modseq), ..*entry };
                        });
                    }
                    Step::Expunge(first, count) => {
                        draft.expunge(&UidSet::from_ranges([(first, first + count)]), ModSeq(modseq));
                        map.retain(|uid, _| !(first..=first + count).contains(uid));
                    }
                }
                view = draft.finish();
                let seen: Vec<Entry> = view.range(1, u32::MAX).map(|(_, entry)| entry).collect();
                prop_assert_eq!(&seen, &map.values().copied().collect::<Vec<_>>());
            }
            check_changes(&old.0, &old.1, &view, &map)?;
        }
    }

    fn check_changes(
        old: &Snapshot,
        old_map: &BTreeMap<u32, Entry>,
        new: &Snapshot,
        new_map: &BTreeMap<u32, Entry>,
    ) -> Result<(), TestCaseError> {
        let changes = changes::between(old, new);
        let vanished: Vec<(u32, Uid)> = (1..)
            .zip(old_map.values())
            .filter(|(_, entry)| !new_map.contains_key(&entry.uid.0))
            .map(|(sequence, entry)| (sequence, entry.uid))
            .collect();
        let changed: Vec<u32> = (1..)
            .zip(new_map.values())
            .filter(|(_, entry)| old_map.get(&entry.uid.0).is_some_and(|old| old != *entry))
            .map(|(sequence, _)| sequence)
            .collect();
        let arrived = new_map.keys().filter(|uid| !old_map.contains_key(uid)).count() as u32;
        prop_assert_eq!(&changes.vanished, &vanished);
        prop_assert_eq!(&changes.changed, &changed);
        prop_assert_eq!(changes.arrived, arrived);
        let kept = changes::keeping_vanished(old, new);
        let mut both = old_map.clone();
        both.extend(new_map.iter().map(|(uid, entry)| (*uid, *entry)));
        let seen: Vec<Entry> = kept.range(1, u32::MAX).map(|(_, entry)| entry).collect();
        prop_assert_eq!(seen, both.into_values().collect::<Vec<_>>());
        Ok(())
    }
}

//! Annotations: small values with names that clients keep at a mailbox or at the account as a whole (RFC 5464).
//!
//! Each change is a note in the log, as one of a script is. An annotation belongs to its mailbox under every name that it
//! is given, and goes with it. What clients keep "at the server" is the account's own: no account sees another's.

use std::collections::BTreeMap;
use std::sync::Arc;

use mail_types::{AnnotationName, MailboxId, ModSeq};

use crate::account::Account;
use crate::error::StoreError;
use crate::index::AccountIndex;
use crate::note::{AnnotationRecord, Record};
use crate::state::AccountState;

/// Octets of the largest value.
pub const ANNOTATION_OCTETS_MAX: usize = 64 * 1024;
/// Annotations of one mailbox, and of the account as a whole.
pub const ANNOTATIONS_PER_PLACE_MAX: usize = 64;
/// Octets of all annotations of an account, their names and [`ROW_OCTETS`] for each included: they are listed in memory.
pub const ANNOTATIONS_OCTETS_MAX: u64 = 1024 * 1024;
/// The annotation that says what a mailbox is for (RFC 6154 §4). It is not kept: the mailbox itself knows.
pub const SPECIAL_USE_ANNOTATION: &str = "/private/specialuse";
/// About what an annotation takes in memory besides its name.
const ROW_OCTETS: u64 = 64;

/// What an annotation belongs to: a mailbox, or, if `None`, the account as a whole.
pub type Place = Option<MailboxId>;

/// What an annotation says.
pub type Value = Arc<[u8]>;

/// An annotation without what it says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AnnotationInfo {
    /// Its last change.
    pub modseq: ModSeq,
    /// Its length.
    pub octets: u64,
}

/// All annotations of an account at one moment, without what they say.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Annotations {
    pub(crate) rows: BTreeMap<(Place, AnnotationName), AnnotationInfo>,
}

impl Annotations {
    /// One of them.
    #[must_use]
    pub fn find(&self, place: Place, name: &AnnotationName) -> Option<AnnotationInfo> {
        self.rows.get(&(place, name.clone())).copied()
    }

    /// Those of one place, ascending by name.
    pub fn of(&self, place: Place) -> impl Iterator<Item = (&AnnotationName, AnnotationInfo)> {
        let from_here = self.rows.range((place, AnnotationName::first())..);
        let here = from_here.take_while(move |((at, _), _)| *at == place);
        here.map(|((_, name), info)| (name, *info))
    }

    /// Those that are there, are not, or say something else than in an earlier moment.
    pub fn changed_since<'a>(
        &'a self,
        before: &'a Self,
    ) -> impl Iterator<Item = (Place, &'a AnnotationName)> + use<'a> {
        let differing = |these: &'a Self, those: &'a Self| {
            these.rows.iter().filter(move |(key, info)| those.rows.get(*key) != Some(*info))
        };
        let gone = before.rows.iter().filter(|(key, _)| !self.rows.contains_key(*key));
        differing(self, before).chain(gone).map(|((place, name), _)| (*place, name))
    }

    /// Takes up what was applied.
    pub(crate) fn take(&mut self, record: &Record) {
        match record {
            Record::Annotation(AnnotationRecord { mailbox, name, modseq, value }) => {
                let key = (*mailbox, name.clone());
                match value {
                    Some(value) => {
                        let info = AnnotationInfo { modseq: *modseq, octets: value.len() as u64 };
                        self.rows.insert(key, info);
                    }
                    None => drop(self.rows.remove(&key)),
                }
            }
            Record::MailboxDeleted(deleted) => self.rows.retain(|(place, _), _| *place != Some(deleted.id)),
            _ => {}
        }
    }

    /// Whether there is room for these changes at one place.
    fn check(&self, place: Place, changes: &[(AnnotationName, Option<Value>)]) -> Result<(), StoreError> {
        let mut after: BTreeMap<&AnnotationName, u64> =
            self.of(place).map(|(name, info)| (name, info.octets)).collect();
        for (name, value) in changes {
            match value {
                Some(value) if value.len() > ANNOTATION_OCTETS_MAX => {
                    return Err(StoreError::AnnotationTooLarge);
                }
                Some(value) => drop(after.insert(name, value.len() as u64)),
                None => drop(after.remove(name)),
            }
        }
        if changes.iter().all(|(_, value)| value.is_none()) {
            return Ok(());
        }
        if after.len() > ANNOTATIONS_PER_PLACE_MAX {
            return Err(StoreError::TooManyAnnotations);
        }
        let octets = |name: &AnnotationName, octets: u64| name.as_str().len() as u64 + octets + ROW_OCTETS;
        let others = self.rows.iter().filter(|((at, _), _)| *at != place);
        let others: u64 = others.map(|((_, name), info)| octets(name, info.octets)).sum();
        let here: u64 = after.into_iter().map(|(name, value)| octets(name, value)).sum();
        if others + here > ANNOTATIONS_OCTETS_MAX { Err(StoreError::OverQuota) } else { Ok(()) }
    }
}

impl Account {
    /// All annotations now. Two moments between which nothing changed share one list.
    ///
    /// # Errors
    /// What the disk said, if the account's index failed.
    pub fn annotations(&self) -> Result<Arc<Annotations>, StoreError> {
        self.core().check()?;
        Ok(self.core().state().annotations())
    }

    /// What annotations of one place say; `None` for those that are not there.
    ///
    /// # Errors
    /// [`StoreError::Busy`], or what the disk says.
    pub async fn annotation_values(
        &self,
        place: Place,
        names: Vec<AnnotationName>,
    ) -> Result<Vec<(AnnotationName, Option<Value>)>, StoreError> {
        let read = move |index: &crate::index::SqliteIndex| {
            names
                .into_iter()
                .map(|name| index.annotation(place, &name).map(|value| (name, value)))
                .collect::<Result<Vec<_>, _>>()
        };
        self.core().read(read).await
    }

    /// Gives annotations of one place new values, or takes them away: all or none of them. Returns when that is on disk
    /// and every reader sees it.
    ///
    /// # Errors
    /// [`StoreError::NoSuchMailbox`]; [`StoreError::AnnotationTooLarge`], [`StoreError::TooManyAnnotations`],
    /// [`StoreError::OverQuota`] for all of the account together; [`StoreError::NotAllowed`] for a name that can have no
    /// value; [`StoreError::Full`], or what the disk says.
    pub async fn annotate(
        &self,
        place: Place,
        changes: &[(AnnotationName, Option<Value>)],
    ) -> Result<(), StoreError> {
        let core = self.core();
        let turn = core.turn().await?;
        if changes.iter().any(|(_, value)| value.is_some()) {
            core.engine.packs.check_room()?;
        }
        let octets = changes.iter().flat_map(|(_, value)| value).map(|value| value.len()).sum();
        core.change_text(turn, octets, |state| decide(state, place, changes)).await
    }
}

/// The records of what really changes.
fn decide(
    state: &mut AccountState,
    place: Place,
    changes: &[(AnnotationName, Option<Value>)],
) -> Result<Vec<Record>, StoreError> {
    if let Some(mailbox) = place {
        state.mailbox(mailbox)?;
    }
    let is_no_value = |name: &AnnotationName| name.is_scope() || name.as_str() == SPECIAL_USE_ANNOTATION;
    if changes.iter().any(|(name, _)| is_no_value(name)) {
        return Err(StoreError::NotAllowed("that annotation can have no value"));
    }
    let there = state.annotations();
    there.check(place, changes)?;
    let mut records = Vec::new();
    for (name, value) in changes {
        if value.is_none() && there.find(place, name).is_none() {
            continue;
        }
        let (name, value) = (name.clone(), value.clone());
        let modseq = state.next_modseq()?;
        records.push(Record::Annotation(AnnotationRecord { mailbox: place, name, modseq, value }));
    }
    Ok(records)
}

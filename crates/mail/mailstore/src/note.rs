//! What the log remembers about an account's mail: records of results, written before anyone is told.
//!
//! A note is one octet of version and then records. Records say what *is*, stamped with a mod-sequence, not what was
//! asked: the later mod-sequence wins for each message, mailbox and name, so reading them twice, or in another
//! order than they were written, ends in the same place. The format is in docs/internals/account-index.md.

mod annotation;
mod script;

use mail_types::{
    EmailId, Flags, Keyword, KeywordSet, MailboxId, MailboxName, ModSeq, SpecialUse, ThreadId, TransactionId,
    Uid, UidSet, UidValidity,
};
use platform::clock::Timestamp;

pub(crate) use annotation::AnnotationRecord;
pub(crate) use script::{ActiveScript, ScriptRecord};

use crate::varint::{Damaged, Reader, put_number, put_octets, put_signed};

/// The version of the records that this program writes.
const VERSION: u8 = 1;

/// One result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Record {
    Stored(Stored),
    Filed(FiledRecord),
    FlagsSet(FlagsSet),
    Expunged(Expunged),
    Mailbox(MailboxState),
    MailboxDeleted(MailboxDeleted),
    Subscription(Subscription),
    Script(ScriptRecord),
    ActiveScript(ActiveScript),
    Annotation(AnnotationRecord),
    AccountRemoved,
}

/// The entry's octets are this email of the account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Stored {
    pub(crate) email: EmailId,
    pub(crate) octets: u64,
    /// Known only when a purge writes the record anew: the index chooses the thread.
    pub(crate) thread: Option<ThreadId>,
}

/// An email has a place in a mailbox.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FiledRecord {
    pub(crate) mailbox: MailboxId,
    pub(crate) uid: Uid,
    pub(crate) modseq: ModSeq,
    pub(crate) flags: Flags,
    pub(crate) internal_date: Timestamp,
    pub(crate) save_date: Timestamp,
    pub(crate) email: EmailId,
    pub(crate) octets: u64,
    pub(crate) way: TransactionId,
}

/// Messages have these flags now. There is at least one: a purge keeps only what messages still have by this change,
/// and the mod-sequence of a change of none would be lost with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct FlagsSet {
    pub(crate) mailbox: MailboxId,
    pub(crate) modseq: ModSeq,
    groups: Vec<(Flags, UidSet)>,
}

/// Messages are gone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Expunged {
    pub(crate) mailbox: MailboxId,
    pub(crate) modseq: ModSeq,
    pub(crate) uids: UidSet,
    pub(crate) at: Timestamp,
}

/// A mailbox exists and is so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct MailboxState {
    pub(crate) id: MailboxId,
    pub(crate) modseq: ModSeq,
    pub(crate) name: MailboxName,
    pub(crate) uid_validity: UidValidity,
    pub(crate) special_use: Option<SpecialUse>,
    pub(crate) keywords: Vec<Keyword>,
}

/// A mailbox and its messages are gone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct MailboxDeleted {
    pub(crate) id: MailboxId,
    pub(crate) modseq: ModSeq,
    pub(crate) uid_validity: UidValidity,
    pub(crate) at: Timestamp,
}

/// A name is subscribed, or is not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Subscription {
    pub(crate) name: MailboxName,
    pub(crate) modseq: ModSeq,
    pub(crate) is_subscribed: bool,
}

// Tags on disk: never renumber.
const STORED: u8 = 1;
const FILED: u8 = 2;
const FLAGS_SET: u8 = 3;
const EXPUNGED: u8 = 4;
const MAILBOX: u8 = 5;
const MAILBOX_DELETED: u8 = 6;
const SUBSCRIPTION: u8 = 7;
const ACCOUNT_REMOVED: u8 = 8;
const SCRIPT: u8 = 9;
const ACTIVE_SCRIPT: u8 = 10;
const ANNOTATION: u8 = 11;

/// Writes a note.
pub(crate) fn encode<'a>(records: impl IntoIterator<Item = &'a Record>) -> Vec<u8> {
    let mut octets = vec![VERSION];
    for record in records {
        record.encode(&mut octets);
    }
    octets
}

/// Reads a note.
///
/// # Errors
/// [`Damaged`] for whatever [`encode`] does not write.
pub(crate) fn decode(octets: &[u8]) -> Result<Vec<Record>, Damaged> {
    let mut reader = Reader::new(octets);
    if reader.octet()? != VERSION {
        return Err(Damaged);
    }
    let mut records = Vec::new();
    while !reader.is_at_end() {
        records.push(Record::decode(&mut reader)?);
    }
    Ok(records)
}

impl Record {
    /// The mod-sequence of the change that it was part of; greater ones came later.
    pub(crate) fn modseq(&self) -> ModSeq {
        match self {
            Self::Stored(stored) => ModSeq(stored.email.0),
            Self::Filed(filed) => filed.modseq,
            Self::FlagsSet(set) => set.modseq,
            Self::Expunged(expunged) => expunged.modseq,
            Self::Mailbox(state) => state.modseq,
            Self::MailboxDeleted(deleted) => deleted.modseq,
            Self::Subscription(subscription) => subscription.modseq,
            Self::Script(script) => script.modseq,
            Self::ActiveScript(active) => active.modseq,
            Self::Annotation(annotation) => annotation.modseq,
            Self::AccountRemoved => ModSeq(0),
        }
    }

    fn encode(&self, into: &mut Vec<u8>) {
        match self {
            Self::Stored(stored) => {
                into.push(STORED);
                put_number(into, stored.email.0);
                put_number(into, stored.octets);
                put_number(into, stored.thread.map_or(0, |thread| thread.0));
            }
            Self::Filed(filed) => filed.encode(into),
            Self::FlagsSet(set) => set.encode(into),
            Self::Expunged(expunged) => {
                into.push(EXPUNGED);
                put_number(into, expunged.mailbox.0.into());
                put_number(into, expunged.modseq.0);
                put_signed(into, expunged.at.unix_millis());
                put_uids(into, &expunged.uids);
            }
            Self::Mailbox(state) => state.encode(into),
            Self::MailboxDeleted(deleted) => {
                into.push(MAILBOX_DELETED);
                put_number(into, deleted.id.0.into());
                put_number(into, deleted.modseq.0);
                put_number(into, deleted.uid_validity.0.into());
                put_signed(into, deleted.at.unix_millis());
            }
            Self::Subscription(subscription) => {
                into.push(SUBSCRIPTION);
                put_octets(into, subscription.name.as_str().as_bytes());
                put_number(into, subscription.modseq.0);
                into.push(subscription.is_subscribed.into());
            }
            Self::Script(script) => {
                into.push(SCRIPT);
                script.encode(into);
            }
            Self::ActiveScript(active) => {
                into.push(ACTIVE_SCRIPT);
                active.encode(into);
            }
            Self::Annotation(annotation) => {
                into.push(ANNOTATION);
                annotation.encode(into);
            }
            Self::AccountRemoved => into.push(ACCOUNT_REMOVED),
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Damaged> {
        Ok(match reader.octet()? {
            STORED => Self::Stored(Stored {
                email: EmailId(reader.number()?),
                octets: reader.number()?,
                thread: Some(ThreadId(reader.number()?)).filter(|thread| thread.0 != 0),
            }),
            FILED => Self::Filed(FiledRecord::decode(reader)?),
            FLAGS_SET => Self::FlagsSet(FlagsSet::decode(reader)?),
            EXPUNGED => Self::Expunged(Expunged {
                mailbox: MailboxId(reader.small()?),
                modseq: modseq(reader)?,
                at: timestamp(reader)?,
                uids: uids(reader)?,
            }),
            MAILBOX => Self::Mailbox(MailboxState::decode(reader)?),
            MAILBOX_DELETED => Self::MailboxDeleted(MailboxDeleted {
                id: MailboxId(reader.small()?),
                modseq: modseq(reader)?,
                uid_validity: UidValidity(reader.small()?),
                at: timestamp(reader)?,
            }),
            SUBSCRIPTION => Self::Subscription(Subscription {
                name: name(reader)?,
                modseq: modseq(reader)?,
                is_subscribed: reader.octet()? != 0,
            }),
            SCRIPT => Self::Script(ScriptRecord::decode(reader)?),
            ACTIVE_SCRIPT => Self::ActiveScript(ActiveScript::decode(reader)?),
            ANNOTATION => Self::Annotation(AnnotationRecord::decode(reader)?),
            ACCOUNT_REMOVED => Self::AccountRemoved,
            _ => return Err(Damaged),
        })
    }
}

impl FiledRecord {
    fn encode(&self, into: &mut Vec<u8>) {
        into.push(FILED);
        put_number(into, self.mailbox.0.into());
        put_number(into, self.uid.0.into());
        put_number(into, self.modseq.0);
        put_flags(into, self.flags);
        put_signed(into, self.internal_date.unix_millis());
        // Mail is filed soon after it came: the difference takes fewer octets than the date.
        put_signed(into, self.save_date.unix_millis().wrapping_sub(self.internal_date.unix_millis()));
        put_number(into, self.email.0);
        put_number(into, self.octets);
        put_number(into, self.way.0);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Damaged> {
        let (mailbox, uid) = (MailboxId(reader.small()?), uid(reader)?);
        let (modseq, flags) = (modseq(reader)?, flags(reader)?);
        let internal_date = timestamp(reader)?;
        let save_date =
            Timestamp::from_unix_millis(internal_date.unix_millis().wrapping_add(reader.signed()?));
        Ok(Self {
            mailbox,
            uid,
            modseq,
            flags,
            internal_date,
            save_date,
            email: EmailId(reader.number()?),
            octets: reader.number()?,
            way: TransactionId(reader.number()?),
        })
    }
}

impl FlagsSet {
    /// Leaves out groups without messages; `None` if no other is there.
    pub(crate) fn new(mailbox: MailboxId, modseq: ModSeq, mut groups: Vec<(Flags, UidSet)>) -> Option<Self> {
        groups.retain(|(_, uids)| !uids.is_empty());
        (!groups.is_empty()).then_some(Self { mailbox, modseq, groups })
    }

    /// The messages, grouped by the flags that they have now.
    pub(crate) fn groups(&self) -> &[(Flags, UidSet)] {
        &self.groups
    }

    fn encode(&self, into: &mut Vec<u8>) {
        into.push(FLAGS_SET);
        put_number(into, self.mailbox.0.into());
        put_number(into, self.modseq.0);
        put_number(into, self.groups.len() as u64);
        for (flags, uids) in &self.groups {
            put_flags(into, *flags);
            put_uids(into, uids);
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Damaged> {
        let (mailbox, modseq) = (MailboxId(reader.small()?), modseq(reader)?);
        let groups = list(reader, |reader| Ok((flags(reader)?, uids(reader)?)))?;
        Self::new(mailbox, modseq, groups).ok_or(Damaged)
    }
}

impl MailboxState {
    fn encode(&self, into: &mut Vec<u8>) {
        into.push(MAILBOX);
        put_number(into, self.id.0.into());
        put_number(into, self.modseq.0);
        put_octets(into, self.name.as_str().as_bytes());
        put_number(into, self.uid_validity.0.into());
        into.push(self.special_use.map_or(0, |special_use| special_use as u8));
        put_number(into, self.keywords.len() as u64);
        for keyword in &self.keywords {
            put_octets(into, keyword.as_str().as_bytes());
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Damaged> {
        Ok(Self {
            id: MailboxId(reader.small()?),
            modseq: modseq(reader)?,
            name: name(reader)?,
            uid_validity: UidValidity(reader.small()?),
            special_use: SpecialUse::from_number(reader.octet()?),
            keywords: list(reader, |reader| Keyword::parse(reader.text()?).map_err(|_| Damaged))?,
        })
    }
}

fn put_flags(into: &mut Vec<u8>, flags: Flags) {
    into.push(flags.system);
    put_number(into, flags.keywords.0 as u64);
    put_number(into, (flags.keywords.0 >> 64) as u64);
}

fn flags(reader: &mut Reader<'_>) -> Result<Flags, Damaged> {
    let system = reader.octet()?;
    let (low, high) = (u128::from(reader.number()?), u128::from(reader.number()?));
    Ok(Flags { system, keywords: KeywordSet(high << 64 | low) })
}

fn put_uids(into: &mut Vec<u8>, uids: &UidSet) {
    put_number(into, uids.ranges().len() as u64);
    let mut behind = 0;
    for &(first, last) in uids.ranges() {
        put_number(into, u64::from(first - behind));
        put_number(into, u64::from(last - first));
        behind = last;
    }
}

fn uids(reader: &mut Reader<'_>) -> Result<UidSet, Damaged> {
    let mut behind = 0_u32;
    let ranges = list(reader, |reader| {
        let first = behind.checked_add(reader.small()?).ok_or(Damaged)?;
        let last = first.checked_add(reader.small()?).ok_or(Damaged)?;
        behind = last;
        Ok((first, last))
    })?;
    Ok(UidSet::from_ranges(ranges))
}

fn list<T>(
    reader: &mut Reader<'_>,
    mut one: impl FnMut(&mut Reader<'_>) -> Result<T, Damaged>,
) -> Result<Vec<T>, Damaged> {
    let count = reader.number()?;
    // Each takes an octet at least, so a larger count is a lie that must not make us allocate.
    if count > reader.remaining() as u64 {
        return Err(Damaged);
    }
    (0..count).map(|_| one(reader)).collect()
}

fn uid(reader: &mut Reader<'_>) -> Result<Uid, Damaged> {
    Ok(Uid(reader.small().and_then(|number| if number == 0 { Err(Damaged) } else { Ok(number) })?))
}

fn modseq(reader: &mut Reader<'_>) -> Result<ModSeq, Damaged> {
    let modseq = ModSeq(reader.number()?);
    if modseq > ModSeq::MAX { Err(Damaged) } else { Ok(modseq) }
}

fn timestamp(reader: &mut Reader<'_>) -> Result<Timestamp, Damaged> {
    Ok(Timestamp::from_unix_millis(reader.signed()?))
}

fn name(reader: &mut Reader<'_>) -> Result<MailboxName, Damaged> {
    MailboxName::parse(reader.text()?).map_err(|_| Damaged)
}

/// For the fuzzer: reads a note, and what could be read must read the same after writing it again.
#[doc(hidden)]
pub fn fuzz(octets: &[u8]) {
    if let Ok(records) = decode(octets) {
        assert_eq!(decode(&encode(&records)).as_ref(), Ok(&records));
    }
}

#[cfg(test)]
mod tests {
    use mail_types::{AnnotationName, ScriptName};

    use super::*;

    fn examples() -> Vec<Record> {
        let flags = Flags { system: 31, keywords: KeywordSet(1 << 127 | 5) };
        let name = MailboxName::parse("Lists/é").unwrap();
        let script = ScriptName::parse("main é").unwrap();
        let comment = AnnotationName::parse("/private/comment").unwrap();
        vec![
            Record::Stored(Stored { email: EmailId(7), octets: 1 << 40, thread: None }),
            Record::Stored(Stored { email: EmailId(u64::MAX), octets: 0, thread: Some(ThreadId(3)) }),
            Record::Filed(FiledRecord {
                mailbox: MailboxId(1),
                uid: Uid(u32::MAX),
                modseq: ModSeq::MAX,
                flags,
                internal_date: Timestamp::from_unix_millis(i64::MIN),
                save_date: Timestamp::from_unix_millis(i64::MAX),
                email: EmailId(9),
                octets: 4096,
                way: TransactionId(u64::MAX),
            }),
            Record::FlagsSet(FlagsSet {
                mailbox: MailboxId(2),
                modseq: ModSeq(8),
                groups: vec![
                    (flags, UidSet::from_ranges([(1, 3), (7, u32::MAX)])),
                    (Flags::NONE, UidSet::from_ranges([(5, 5)])),
                ],
            }),
            Record::Expunged(Expunged {
                mailbox: MailboxId(2),
                modseq: ModSeq(9),
                uids: UidSet::from_ranges([(2, 2), (4, 9)]),
                at: Timestamp::from_unix_millis(-5),
            }),
            Record::Mailbox(MailboxState {
                id: MailboxId(3),
                modseq: ModSeq(1),
                name: name.clone(),
                uid_validity: UidValidity(77),
                special_use: Some(SpecialUse::Junk),
                keywords: vec![Keyword::parse("$Junk").unwrap(), Keyword::parse("x").unwrap()],
            }),
            Record::MailboxDeleted(MailboxDeleted {
                id: MailboxId(3),
                modseq: ModSeq(2),
                uid_validity: UidValidity(77),
                at: Timestamp::from_unix_millis(0),
            }),
            Record::Subscription(Subscription { name, modseq: ModSeq(4), is_subscribed: true }),
            Record::Script(ScriptRecord {
                name: script.clone(),
                modseq: ModSeq(5),
                text: Some((*b"keep;\0\xff").into()),
            }),
            Record::Script(ScriptRecord { name: script.clone(), modseq: ModSeq(6), text: Some([].into()) }),
            Record::Script(ScriptRecord { name: script.clone(), modseq: ModSeq(7), text: None }),
            Record::ActiveScript(ActiveScript { name: Some(script), modseq: ModSeq(8) }),
            Record::ActiveScript(ActiveScript { name: None, modseq: ModSeq(9) }),
            Record::Annotation(AnnotationRecord {
                mailbox: Some(MailboxId(3)),
                name: comment.clone(),
                modseq: ModSeq(10),
                value: Some((*b"\0\xff").into()),
            }),
            Record::Annotation(AnnotationRecord {
                mailbox: None,
                name: comment,
                modseq: ModSeq(11),
                value: None,
            }),
            Record::AccountRemoved,
        ]
    }

    #[test]
    fn records_read_back_as_written() {
        let records = examples();
        assert_eq!(decode(&encode(&records)).unwrap(), records);
        assert_eq!(decode(&encode([])).unwrap(), []);
    }

    #[test]
    fn any_damage_is_an_error_or_other_records_but_no_panic() {
        let octets = encode(&examples());
        for at in 0..octets.len() {
            let _ = decode(&octets[..at]);
            for octet in 0..=255 {
                let mut damaged = octets.clone();
                damaged[at] = octet;
                fuzz(&damaged);
            }
        }
    }

    #[test]
    fn other_versions_are_refused() {
        assert_eq!(decode(&[]), Err(Damaged));
        assert_eq!(decode(&[2]), Err(Damaged));
    }

    #[test]
    fn a_change_of_no_message_is_no_record() {
        let (mailbox, modseq, some) = (MailboxId(2), ModSeq(8), UidSet::from_ranges([(1, 3)]));
        assert_eq!(FlagsSet::new(mailbox, modseq, Vec::new()), None);
        assert_eq!(FlagsSet::new(mailbox, modseq, vec![(Flags::NONE, UidSet::new())]), None);
        let groups = vec![(Flags::NONE, UidSet::new()), (Flags::NONE, some.clone())];
        let set = FlagsSet::new(mailbox, modseq, groups).unwrap();
        assert_eq!(set.groups(), [(Flags::NONE, some)]);
        assert_eq!(decode(&[VERSION, FLAGS_SET, 2, 8, 0]), Err(Damaged));
        assert_eq!(decode(&[VERSION, FLAGS_SET, 2, 8, 1, 0, 0, 0, 0]), Err(Damaged));
    }

    #[test]
    fn a_false_count_allocates_nothing() {
        let mut octets = vec![VERSION, FLAGS_SET, 1, 1];
        put_number(&mut octets, u64::MAX);
        assert_eq!(decode(&octets), Err(Damaged));
    }
}

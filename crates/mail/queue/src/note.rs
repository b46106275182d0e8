//! What the log remembers of the queue: notes of one octet of version and records, as mailstore's are.
//!
//! Records are results, not operations: read twice, or in the order a purge has left them in, they mean the same.

use mail_types::{AccountId, Address, EnhancedCode, QueueId, ReplyCode, ReversePath, TransactionId};
use mailstore::varint::{Damaged, Reader, put_number, put_octets, put_signed};
use platform::clock::Timestamp;
use storage::PackId;

use crate::destination::Destination;
use crate::message::{
    BodyNeeds, DeliverBy, DeliverByMode, Diagnostic, MessageKind, NewMessage, Notify, Priority,
    RECIPIENTS_MAX, Recipient, RecipientNumber, ReturnContent,
};
use crate::state::{Hold, RecipientState};

/// Version of the notes' format.
const VERSION: u8 = 1;
/// The same, of notes that a purge wrote again: their place in the log says nothing about when they were made.
const VERSION_COPY: u8 = 2;

/// One thing that the log remembers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Record {
    /// The entry's octets are this message.
    Queued(Queued),
    /// These recipients are finished.
    Settled { id: QueueId, recipients: Vec<(RecipientNumber, RecipientState)> },
    /// The message is held, or no longer. The greatest `sequence` counts.
    Changed { id: QueueId, sequence: u64, hold: Hold },
    /// The sender was told that these recipients are late.
    Warned { id: QueueId, recipients: Vec<RecipientNumber> },
    /// Nothing of the message remains to be done. Its `Queued` lies in packs of this run.
    Done { id: QueueId, first: PackId, last: PackId },
}

/// A message in the queue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Queued {
    pub(crate) id: QueueId,
    /// A purge wrote it again.
    pub(crate) is_copy: bool,
    pub(crate) octets: u64,
    pub(crate) message: NewMessage,
}

// Tags on disk: never renumber.
const QUEUED: u8 = 1;
const SETTLED: u8 = 2;
const CHANGED: u8 = 3;
const DONE: u8 = 4;
const WARNED: u8 = 5;

pub(crate) fn encode<'a>(records: impl IntoIterator<Item = &'a Record>) -> Vec<u8> {
    let mut octets = vec![VERSION];
    records.into_iter().for_each(|record| record.encode(&mut octets));
    octets
}

/// A note that a purge writes again.
pub(crate) fn encode_copy(records: &[Record]) -> Vec<u8> {
    let mut octets = encode(records);
    if let Some(version) = octets.first_mut() {
        *version = VERSION_COPY;
    }
    octets
}

/// Whether a purge wrote the note.
pub(crate) fn is_copy(note: &[u8]) -> bool {
    note.first() == Some(&VERSION_COPY)
}

pub(crate) fn decode(octets: &[u8]) -> Result<Vec<Record>, Damaged> {
    let mut reader = Reader::new(octets);
    if !matches!(reader.octet()?, VERSION | VERSION_COPY) {
        return Err(Damaged);
    }
    let mut records = Vec::new();
    while !reader.is_at_end() {
        records.push(Record::decode(&mut reader)?);
    }
    Ok(records)
}

/// For fuzzing: whatever can be read is written again as it was read.
#[doc(hidden)]
pub fn fuzz(octets: &[u8]) {
    if let Ok(records) = decode(octets) {
        assert_eq!(decode(&encode(&records)), Ok(records));
    }
}

impl Record {
    pub(crate) fn id(&self) -> QueueId {
        match self {
            Self::Queued(Queued { id, .. })
            | Self::Settled { id, .. }
            | Self::Changed { id, .. }
            | Self::Warned { id, .. }
            | Self::Done { id, .. } => *id,
        }
    }

    /// The greatest number given for it: ids and the order of changes are counted together.
    pub(crate) fn greatest(&self) -> QueueId {
        match self {
            Self::Changed { id, sequence, .. } => QueueId(id.0.max(*sequence)),
            record => record.id(),
        }
    }

    fn encode(&self, into: &mut Vec<u8>) {
        match self {
            Self::Queued(queued) => {
                into.push(QUEUED);
                put_number(into, queued.id.0);
                into.push(queued.is_copy.into());
                put_number(into, queued.octets);
                put_message(into, &queued.message);
            }
            Self::Settled { id, recipients } => {
                into.push(SETTLED);
                put_number(into, id.0);
                put_number(into, recipients.len() as u64);
                for (number, state) in recipients {
                    put_number(into, number.0.into());
                    into.push(state.number());
                }
            }
            Self::Changed { id, sequence, hold } => {
                into.push(CHANGED);
                put_number(into, id.0);
                put_number(into, *sequence);
                let (tag, until) = match hold {
                    Hold::None => (0, None),
                    Hold::Operator => (1, None),
                    Hold::Until(until) => (2, Some(until)),
                    Hold::Submitter => (3, None),
                };
                into.push(tag);
                if let Some(until) = until {
                    put_time(into, *until);
                }
            }
            Self::Warned { id, recipients } => {
                into.push(WARNED);
                put_number(into, id.0);
                put_number(into, recipients.len() as u64);
                recipients.iter().for_each(|number| put_number(into, number.0.into()));
            }
            Self::Done { id, first, last } => {
                into.push(DONE);
                put_number(into, id.0);
                put_number(into, first.0.into());
                put_number(into, last.0.saturating_sub(first.0).into());
            }
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Damaged> {
        let tag = reader.octet()?;
        let id = QueueId(reader.number()?);
        Ok(match tag {
            QUEUED => Self::Queued(Queued {
                id,
                is_copy: flag(reader)?,
                octets: reader.number()?,
                message: message(reader)?,
            }),
            SETTLED => {
                let one = |reader: &mut Reader<'_>| {
                    Ok((number(reader)?, RecipientState::from_number(reader.octet()?).ok_or(Damaged)?))
                };
                Self::Settled { id, recipients: list(reader, one)? }
            }
            CHANGED => {
                let sequence = reader.number()?;
                let hold = match reader.octet()? {
                    0 => Hold::None,
                    1 => Hold::Operator,
                    2 => Hold::Until(time(reader)?),
                    3 => Hold::Submitter,
                    _ => return Err(Damaged),
                };
                Self::Changed { id, sequence, hold }
            }
            WARNED => Self::Warned { id, recipients: list(reader, number)? },
            DONE => {
                let first = reader.small()?;
                let last = first.checked_add(reader.small()?).ok_or(Damaged)?;
                Self::Done { id, first: PackId(first), last: PackId(last) }
            }
            _ => return Err(Damaged),
        })
    }
}

/// A list of at most as many things as a message has recipients.
fn list<T>(
    reader: &mut Reader<'_>,
    one: impl Fn(&mut Reader<'_>) -> Result<T, Damaged>,
) -> Result<Vec<T>, Damaged> {
    let count = usize::try_from(reader.number()?).map_err(|_| Damaged)?;
    if count > RECIPIENTS_MAX || count > reader.remaining() {
        return Err(Damaged);
    }
    (0..count).map(|_| one(reader)).collect()
}

fn number(reader: &mut Reader<'_>) -> Result<RecipientNumber, Damaged> {
    u16::try_from(reader.number()?).map(RecipientNumber).map_err(|_| Damaged)
}

fn flag(reader: &mut Reader<'_>) -> Result<bool, Damaged> {
    match reader.octet()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Damaged),
    }
}

fn put_time(into: &mut Vec<u8>, time: Timestamp) {
    put_signed(into, time.unix_millis());
}

fn time(reader: &mut Reader<'_>) -> Result<Timestamp, Damaged> {
    reader.signed().map(Timestamp::from_unix_millis)
}

// Which optional parts of a message follow.
const NEEDS_EIGHT_BIT: u64 = 1;
const NEEDS_BINARY: u64 = 1 << 1;
const NEEDS_INTERNATIONAL: u64 = 1 << 2;
const REQUIRE_TLS: u64 = 1 << 3;
const IS_REPORT: u64 = 1 << 4;
const HAS_SENDER: u64 = 1 << 5;
const HAS_SUBMITTER: u64 = 1 << 6;
const RETURN_FULL: u64 = 1 << 7;
const RETURN_HEADERS: u64 = 1 << 8;
const HAS_ENVELOPE_ID: u64 = 1 << 9;
const HAS_HOLD: u64 = 1 << 10;
const HAS_DELIVER_BY: u64 = 1 << 11;
const BY_RETURNS: u64 = 1 << 12;
const BY_IS_TRACED: u64 = 1 << 13;
const IS_TLS_REPORT: u64 = 1 << 14;

/// Writes an envelope: also the column of the index.
pub(crate) fn put_message(into: &mut Vec<u8>, message: &NewMessage) {
    put_number(into, flags_of(message));
    put_number(into, message.way.0);
    put_time(into, message.arrived);
    put_signed(into, message.priority.value().into());
    if let ReversePath::Address(address) = &message.reverse_path {
        put_text(into, &address.to_string());
    }
    if let Some(submitter) = message.submitter {
        put_number(into, submitter.0.into());
    }
    if let Some(envelope_id) = &message.envelope_id {
        put_text(into, envelope_id);
    }
    if let Some(until) = message.hold_until {
        put_time(into, until);
    }
    if let Some(by) = message.deliver_by {
        put_time(into, by.at);
    }
    put_number(into, message.recipients.len() as u64);
    let mut before: Option<&Destination> = None;
    for recipient in &message.recipients {
        put_recipient(into, recipient, before);
        before = Some(&recipient.destination);
    }
}

fn flags_of(message: &NewMessage) -> u64 {
    let by = message.deliver_by;
    let flags = [
        (NEEDS_EIGHT_BIT, message.needs.eight_bit),
        (NEEDS_BINARY, message.needs.binary),
        (NEEDS_INTERNATIONAL, message.needs.international),
        (REQUIRE_TLS, message.require_tls),
        (IS_REPORT, message.kind == MessageKind::Report),
        (IS_TLS_REPORT, message.kind == MessageKind::TlsReport),
        (HAS_SENDER, message.reverse_path != ReversePath::Null),
        (HAS_SUBMITTER, message.submitter.is_some()),
        (RETURN_FULL, message.return_content == Some(ReturnContent::Full)),
        (RETURN_HEADERS, message.return_content == Some(ReturnContent::Headers)),
        (HAS_ENVELOPE_ID, message.envelope_id.is_some()),
        (HAS_HOLD, message.hold_until.is_some()),
        (HAS_DELIVER_BY, by.is_some()),
        (BY_RETURNS, by.is_some_and(|by| by.mode == DeliverByMode::Return)),
        (BY_IS_TRACED, by.is_some_and(|by| by.is_traced)),
    ];
    flags.into_iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| flag).sum()
}

/// Reads what [`put_message`] wrote.
pub(crate) fn message(reader: &mut Reader<'_>) -> Result<NewMessage, Damaged> {
    let flags = reader.number()?;
    let is_set = |flag| flags & flag != 0;
    let way = TransactionId(reader.number()?);
    let arrived = time(reader)?;
    let priority = i8::try_from(reader.signed()?).ok().and_then(Priority::new).ok_or(Damaged)?;
    let reverse_path = match is_set(HAS_SENDER) {
        true => ReversePath::Address(address(reader)?),
        false => ReversePath::Null,
    };
    let submitter = is_set(HAS_SUBMITTER).then(|| reader.small().map(AccountId)).transpose()?;
    let envelope_id = is_set(HAS_ENVELOPE_ID).then(|| reader.text().map(Box::from)).transpose()?;
    let hold_until = is_set(HAS_HOLD).then(|| time(reader)).transpose()?;
    let by_at = is_set(HAS_DELIVER_BY).then(|| time(reader)).transpose()?;
    let mode = if is_set(BY_RETURNS) { DeliverByMode::Return } else { DeliverByMode::Notify };
    let return_content = match (is_set(RETURN_FULL), is_set(RETURN_HEADERS)) {
        (true, _) => Some(ReturnContent::Full),
        (false, true) => Some(ReturnContent::Headers),
        (false, false) => None,
    };
    let count = usize::try_from(reader.number()?).map_err(|_| Damaged)?;
    if count > RECIPIENTS_MAX || count > reader.remaining() {
        return Err(Damaged);
    }
    let mut recipients: Vec<Recipient> = Vec::with_capacity(count);
    for _ in 0..count {
        let before = recipients.last().map(|recipient| &recipient.destination);
        let recipient = recipient(reader, before)?;
        recipients.push(recipient);
    }
    Ok(NewMessage {
        way,
        arrived,
        reverse_path,
        submitter,
        kind: match (is_set(IS_REPORT), is_set(IS_TLS_REPORT)) {
            (true, _) => MessageKind::Report,
            (false, true) => MessageKind::TlsReport,
            (false, false) => MessageKind::Mail,
        },
        needs: BodyNeeds {
            eight_bit: is_set(NEEDS_EIGHT_BIT),
            binary: is_set(NEEDS_BINARY),
            international: is_set(NEEDS_INTERNATIONAL),
        },
        require_tls: is_set(REQUIRE_TLS),
        priority,
        return_content,
        envelope_id,
        hold_until,
        deliver_by: by_at.map(|at| DeliverBy { at, mode, is_traced: is_set(BY_IS_TRACED) }),
        recipients,
    })
}

// Which optional parts of a recipient follow.
const OWN_DESTINATION: u64 = 1;
const HAS_ORIGINAL: u64 = 1 << 1;
const WAS_EXPANDED: u64 = 1 << 2;
const NOTIFY_NEVER: u64 = 1 << 3;
const NOTIFY_ON: u64 = 1 << 4;
const NOTIFY_SUCCESS: u64 = 1 << 5;
const NOTIFY_FAILURE: u64 = 1 << 6;
const NOTIFY_DELAY: u64 = 1 << 7;
/// The destination is the domain of the address, as it mostly is: not written again.
const OWN_DOMAIN: u64 = 1 << 8;

fn put_recipient(into: &mut Vec<u8>, recipient: &Recipient, before: Option<&Destination>) {
    let is_own_domain = match (&recipient.destination, recipient.forward_path.domain_name()) {
        (Destination::Domain(destination), Some(domain)) => destination == domain,
        _ => false,
    };
    let is_as_before = !is_own_domain && before == Some(&recipient.destination);
    let (success, failure, delay) = match recipient.notify {
        Notify::On { success, failure, delay } => (success, failure, delay),
        Notify::Default | Notify::Never => (false, false, false),
    };
    let flags = [
        (OWN_DOMAIN, is_own_domain),
        (OWN_DESTINATION, !is_own_domain && !is_as_before),
        (HAS_ORIGINAL, recipient.original_recipient.is_some()),
        (WAS_EXPANDED, recipient.expanded_from.is_some()),
        (NOTIFY_NEVER, recipient.notify == Notify::Never),
        (NOTIFY_ON, matches!(recipient.notify, Notify::On { .. })),
        (NOTIFY_SUCCESS, success),
        (NOTIFY_FAILURE, failure),
        (NOTIFY_DELAY, delay),
    ];
    put_number(into, flags.into_iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| flag).sum());
    put_text(into, &recipient.forward_path.to_string());
    if !is_own_domain && !is_as_before {
        put_text(into, &recipient.destination.key());
    }
    if let Some(original) = &recipient.original_recipient {
        put_text(into, original);
    }
    if let Some(expanded_from) = &recipient.expanded_from {
        put_text(into, &expanded_from.to_string());
    }
}

fn recipient(reader: &mut Reader<'_>, before: Option<&Destination>) -> Result<Recipient, Damaged> {
    let flags = reader.number()?;
    let is_set = |flag| flags & flag != 0;
    let forward_path = address(reader)?;
    let destination = if is_set(OWN_DOMAIN) {
        forward_path.domain_name().cloned().map(Destination::Domain).ok_or(Damaged)?
    } else if is_set(OWN_DESTINATION) {
        Destination::from_key(reader.text()?).ok_or(Damaged)?
    } else {
        before.cloned().ok_or(Damaged)?
    };
    Ok(Recipient {
        forward_path,
        destination,
        original_recipient: is_set(HAS_ORIGINAL).then(|| reader.text().map(Box::from)).transpose()?,
        expanded_from: is_set(WAS_EXPANDED).then(|| address(reader)).transpose()?,
        notify: if is_set(NOTIFY_NEVER) {
            Notify::Never
        } else if is_set(NOTIFY_ON) {
            Notify::On {
                success: is_set(NOTIFY_SUCCESS),
                failure: is_set(NOTIFY_FAILURE),
                delay: is_set(NOTIFY_DELAY),
            }
        } else {
            Notify::Default
        },
    })
}

fn put_text(into: &mut Vec<u8>, text: &str) {
    put_octets(into, text.as_bytes());
}

fn address(reader: &mut Reader<'_>) -> Result<Address, Damaged> {
    Address::parse(reader.text()?).map_err(|_| Damaged)
}

/// A diagnostic as a column of the index.
pub(crate) fn encode_diagnostic(diagnostic: &Diagnostic) -> Vec<u8> {
    let mut octets = Vec::new();
    put_text(&mut octets, diagnostic.remote.as_deref().unwrap_or_default());
    put_number(&mut octets, diagnostic.code.map_or(0, |code| code.value().into()));
    let status = diagnostic.status.map_or((0, 0, 0), |status| (status.class, status.subject, status.detail));
    put_number(&mut octets, status.0.into());
    put_number(&mut octets, status.1.into());
    put_number(&mut octets, status.2.into());
    put_text(&mut octets, &diagnostic.text);
    octets
}

/// Reads what [`encode_diagnostic`] wrote.
pub(crate) fn decode_diagnostic(octets: &[u8]) -> Result<Diagnostic, Damaged> {
    let mut reader = Reader::new(octets);
    let remote = reader.text()?;
    let short = |number: u64| u16::try_from(number).map_err(|_| Damaged);
    let code = ReplyCode::parse(short(reader.number()?)?);
    let class = u8::try_from(reader.number()?).map_err(|_| Damaged)?;
    let (subject, detail) = (short(reader.number()?)?, short(reader.number()?)?);
    Ok(Diagnostic {
        remote: (!remote.is_empty()).then(|| remote.into()),
        code,
        status: (class != 0).then(|| EnhancedCode::new(class, subject, detail)),
        text: reader.text()?.into(),
    })
}

#[cfg(test)]
mod tests;

//! GETMETADATA and SETMETADATA, what LIST tells of annotations, and what clients that ask for it hear of changes
//! (RFC 5464, RFC 9590; RFC 6154 §4 for what a mailbox is for).

use std::collections::BTreeMap;
use std::sync::Arc;

use imap::Dialect;
use imap::command::{GetMetadata, MetadataDepth, MetadataQuestion, SetMetadata};
use imap::response;
use mail_types::{AnnotationName, MailboxName};
use mailstore::{Annotations, MailboxInfo, Place, SPECIAL_USE_ANNOTATION, Value};
use platform::lines::Wire;

use super::person::Person;
use super::replies::{Done, DoneCode, Refusal, Stop};

/// GETMETADATA.
pub(crate) async fn get_metadata(
    wire: &mut Wire,
    dialect: Dialect,
    person: &Person,
    arguments: GetMetadata,
) -> Result<Done, Stop> {
    let mailbox = match &arguments.mailbox {
        Some(name) => Some(person.mailbox(name).await?),
        None => None,
    };
    let mut longest = 0;
    tell(wire, dialect, person, mailbox.as_ref(), &arguments.question, &mut longest).await?;
    Ok(done(longest, "GETMETADATA completed"))
}

/// The tagged OK: with the octets of the longest value that was left out, if one was (RFC 5464 §4.2.1).
pub(crate) fn done(longest: u64, text: &'static str) -> Done {
    if longest == 0 { Done::plain(text) } else { Done::with(DoneCode::MetadataLongEntries(longest), text) }
}

/// Tells annotations of a mailbox, or of the server: `NIL` for those that were named and are not there. What is longer
/// than the client wants is left out, and the longest of that noted.
pub(crate) async fn tell(
    wire: &mut Wire,
    dialect: Dialect,
    person: &Person,
    mailbox: Option<&MailboxInfo>,
    question: &MetadataQuestion,
    longest: &mut u64,
) -> Result<(), Stop> {
    let place = mailbox.map(|mailbox| mailbox.id);
    let there = person.account.annotations()?;
    let octets_max = question.octets_max.unwrap_or(u64::MAX);
    let mut wanted = Vec::new();
    for (name, info) in there.of(place).filter(|(name, _)| is_wanted(question, name)) {
        if info.octets > octets_max {
            *longest = (*longest).max(info.octets);
        } else {
            wanted.push(name.clone());
        }
    }
    let found = match wanted.is_empty() {
        true => Vec::new(),
        false => person.account.annotation_values(place, wanted).await?,
    };
    // What was taken away in between is not there any more.
    let mut told: BTreeMap<AnnotationName, Option<Value>> =
        found.into_iter().filter(|(_, value)| value.is_some()).collect();
    if let Some((name, value)) = special_use(mailbox)
        && is_wanted(question, &name)
    {
        told.insert(name, Some(value));
    }
    for name in question.names.iter().filter(|name| !name.is_scope()) {
        if there.find(place, name).is_none() {
            told.entry(name.clone()).or_insert(None);
        }
    }
    if !told.is_empty() {
        let name = mailbox.map(|mailbox| &mailbox.name);
        let values = told.iter().map(|(name, value)| (name, value.as_deref()));
        response::write_metadata(wire.output(), name, values, dialect);
        wire.relieve().await?;
    }
    Ok(())
}

fn is_wanted(question: &MetadataQuestion, name: &AnnotationName) -> bool {
    let deepest = match question.depth {
        MetadataDepth::Named => 0,
        MetadataDepth::OneBelow => 1,
        MetadataDepth::AllBelow => usize::MAX,
    };
    question.names.iter().any(|top| name.depth_under(top).is_some_and(|depth| depth <= deepest))
}

fn special_use(mailbox: Option<&MailboxInfo>) -> Option<(AnnotationName, Value)> {
    let special_use = mailbox?.special_use?;
    Some((AnnotationName::parse(SPECIAL_USE_ANNOTATION).ok()?, special_use.attribute().as_bytes().into()))
}

/// SETMETADATA: all or nothing.
pub(crate) async fn set_metadata(
    wire: &mut Wire,
    dialect: Dialect,
    person: &mut Person,
    arguments: SetMetadata,
) -> Result<Done, Stop> {
    let SetMetadata { mailbox, changes } = arguments;
    let place = match &mailbox {
        Some(name) => Some(person.mailbox(name).await?.id),
        None => None,
    };
    if changes.iter().any(|(name, _)| name.as_str() == SPECIAL_USE_ANNOTATION) {
        return Err(Refusal::SpecialUseIsGivenByCreate.into());
    }
    let changes: Vec<(AnnotationName, Option<Value>)> =
        changes.into_iter().map(|(name, value)| (name, value.map(Value::from))).collect();
    person.account.annotate(place, &changes).await?;
    let own: Vec<(Place, &AnnotationName)> = changes.iter().map(|(name, _)| (place, name)).collect();
    tell_changes_but(wire, dialect, person, &own).await?;
    Ok(Done::plain("SETMETADATA completed"))
}

/// Tells which annotations others have changed, if the client has asked for that by ENABLE (RFC 5464 §4.4.2).
pub(crate) async fn tell_changes(wire: &mut Wire, dialect: Dialect, person: &mut Person) -> Result<(), Stop> {
    tell_changes_but(wire, dialect, person, &[]).await
}

/// From now on changes are told.
pub(crate) fn begin_to_tell(person: &mut Person) {
    if person.annotations_told.is_none() {
        // What cannot be read now is told another time: then all that is there is a change.
        person.annotations_told = Some(person.account.annotations().unwrap_or_default());
    }
}

async fn tell_changes_but(
    wire: &mut Wire,
    dialect: Dialect,
    person: &mut Person,
    own: &[(Place, &AnnotationName)],
) -> Result<(), Stop> {
    let Some(before) = &person.annotations_told else { return Ok(()) };
    let now = person.account.annotations()?;
    if Arc::ptr_eq(before, &now) {
        return Ok(());
    }
    for (place, names) in changes(before, &now, own) {
        let name = match place {
            None => None,
            Some(id) => match person.account.mailboxes().await?.by_id(id) {
                Some(mailbox) => Some(mailbox.name.clone()),
                // It went with its mailbox.
                None => continue,
            },
        };
        write(wire, dialect, name.as_ref(), &names);
        wire.relieve().await?;
    }
    person.annotations_told = Some(now);
    Ok(())
}

fn changes<'a>(
    before: &'a Annotations,
    now: &'a Annotations,
    own: &[(Place, &AnnotationName)],
) -> BTreeMap<Place, Vec<&'a AnnotationName>> {
    let mut changes: BTreeMap<Place, Vec<&AnnotationName>> = BTreeMap::new();
    for (place, name) in now.changed_since(before).filter(|change| !own.contains(change)) {
        changes.entry(place).or_default().push(name);
    }
    changes
}

fn write(wire: &mut Wire, dialect: Dialect, mailbox: Option<&MailboxName>, names: &[&AnnotationName]) {
    response::write_metadata_changes(wire.output(), mailbox, names.iter().copied(), dialect);
}

//! What the queue is told of a message: the envelope as far as it leads elsewhere, and what MAIL and RCPT asked for.

use mail_types::{
    AccountId, Address, DeadlineMode, NotifyEvent, ReturnedContent, ReversePath, TransactionId,
};
use mailstore::Arriving;
use message::Traits;
use platform::clock::Timestamp;
use queue::{
    BodyNeeds, DeliverBy, DeliverByMode, MessageKind, NewMessage, Notify, Priority, Recipient, ReturnContent,
};
use smtp::server::Envelope;
use smtp::{BodyType, MailParameters};

use std::time::Duration;

use super::route::{RemoteTarget, Route};
use crate::content::Considered;

/// Who brought a message, as far as it matters to the queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Brought {
    pub(crate) way: TransactionId,
    /// The account that submitted it.
    pub(crate) submitter: Option<AccountId>,
    pub(crate) now: Timestamp,
    /// How long submitted mail waits by itself.
    pub(crate) undo_window: Duration,
    /// Where it goes by what was found about its sender, and for those elsewhere.
    pub(crate) place: Place,
    /// Whether an engine of the operator's wants it kept apart: for those elsewhere it is held in the queue.
    pub(crate) is_held: bool,
    /// Who hears of what cannot be delivered.
    pub(crate) reports: Reports,
}

/// Whether the sender of a message is told what becomes of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reports {
    /// As the sender has asked.
    AsAsked,
    /// Never: who is named as its sender was proven by nothing, and must not hear of mail that somebody else has sent.
    ToNobody,
}

/// Where a message is filed in the mailboxes here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub(crate) enum Place {
    /// With the mail.
    #[default]
    Inbox,
    /// With what nobody wants.
    Junk,
    /// Apart from all mailboxes that people see.
    Quarantine,
}

/// The queue's part of a message; `None` where all of it stays here.
pub(crate) fn new_message(
    envelope: &Envelope<Route>,
    message: &Arriving,
    content: Considered<'_>,
    brought: Brought,
) -> Option<NewMessage> {
    let recipients: Vec<Recipient> = envelope
        .recipients
        .iter()
        .enumerate()
        .filter(|(number, _)| content.refusal(*number).is_none())
        .flat_map(|(_, named)| named.route.remote_of(brought.place).map(|target| recipient(named, target)))
        .collect();
    if recipients.is_empty() {
        return None;
    }
    Some(entry(envelope, recipients, message.summary().traits, brought))
}

/// The queue's part of a message that a script sends on: nobody of ours has submitted it, and nothing holds it back.
pub(crate) fn passed_on(
    envelope: &Envelope<Route>,
    recipients: Vec<Recipient>,
    traits: Traits,
    brought: Brought,
) -> NewMessage {
    let entry = entry(envelope, recipients, traits, brought);
    let hold_until = entry.hold_until.filter(|_| brought.is_held);
    NewMessage { submitter: None, hold_until, ..entry }
}

fn entry(
    envelope: &Envelope<Route>,
    recipients: Vec<Recipient>,
    traits: Traits,
    brought: Brought,
) -> NewMessage {
    let asked = &envelope.parameters;
    let mut recipients = recipients;
    if brought.reports == Reports::ToNobody {
        recipients.iter_mut().for_each(|recipient| recipient.notify = Notify::Never);
    }
    NewMessage {
        way: brought.way,
        arrived: brought.now,
        reverse_path: envelope.reverse_path.clone(),
        submitter: brought.submitter,
        kind: MessageKind::Mail,
        needs: needs(envelope, &recipients, traits),
        require_tls: asked.require_tls,
        priority: asked.priority.and_then(|asked| Priority::new(asked.value())).unwrap_or_default(),
        return_content: asked.returned.map(|returned| match returned {
            ReturnedContent::Full => ReturnContent::Full,
            ReturnedContent::Headers => ReturnContent::Headers,
        }),
        envelope_id: asked.envelope_id.as_ref().map(|id| id.as_str().into()),
        hold_until: hold_until(asked, brought),
        deliver_by: asked.deliver_by.map(|asked| deliver_by(asked, brought.now)),
        recipients,
    }
}

/// One address elsewhere, on behalf of a recipient that the sender named.
pub(crate) fn recipient(named: &smtp::server::Recipient<Route>, target: &RemoteTarget) -> Recipient {
    let asked = &named.parameters;
    let original = asked.original.as_ref();
    Recipient {
        forward_path: target.address.clone(),
        destination: target.destination.clone(),
        original_recipient: original
            .map(|original| format!("{};{}", original.address_type(), original.address()).into()),
        notify: asked.notify.map_or(Notify::Default, |asked| notify(asked, named.route.is_expanded())),
        expanded_from: target.expanded_from.clone(),
    }
}

/// What is still to be told. Who asked for success of an alias of several hears at once that it was expanded, and no more
/// of it (RFC 3461 §5.2.7.3 (c)).
pub(crate) fn notify(asked: mail_types::Notify, is_expanded: bool) -> Notify {
    let success = asked.wants(NotifyEvent::Success) && !is_expanded;
    let (failure, delay) = (asked.wants(NotifyEvent::Failure), asked.wants(NotifyEvent::Delay));
    if success || failure || delay { Notify::On { success, failure, delay } } else { Notify::Never }
}

/// What was announced and is true: a message that is announced as 8BITMIME and has ASCII alone goes through any host. One
/// that has other octets than were announced is not passed on as if it had not.
fn needs(envelope: &Envelope<Route>, recipients: &[Recipient], traits: Traits) -> BodyNeeds {
    let is_international = |address: &Address| address.is_international();
    let has_such_sender =
        matches!(&envelope.reverse_path, ReversePath::Address(sender) if is_international(sender));
    let has_such_recipient = recipients.iter().any(|recipient| is_international(&recipient.forward_path));
    let may_have_such_header = envelope.parameters.smtputf8 && traits.has_eight_bit;
    BodyNeeds {
        eight_bit: traits.has_eight_bit,
        binary: envelope.parameters.body == BodyType::BinaryMime,
        international: has_such_sender || has_such_recipient || may_have_such_header,
    }
}

/// What is kept apart waits until somebody releases or drops it (`mailstead queue`). HOLDFOR and HOLDUNTIL (RFC 4865) are the
/// sender's own wish; else what is submitted waits as the operator says.
fn hold_until(asked: &MailParameters, brought: Brought) -> Option<Timestamp> {
    if brought.is_held {
        return Some(queue::UNTIL_RELEASED);
    }
    if let Some(hold) = asked.hold {
        return Some(Timestamp::from_unix_seconds(hold.release(brought.now.unix_seconds())));
    }
    let waits = brought.submitter.is_some() && !brought.undo_window.is_zero();
    waits.then(|| brought.now.saturating_add(brought.undo_window))
}

/// RFC 2852 §4: the time runs from the command on. One that has passed when a message comes is passed on so.
pub(crate) fn deliver_by(asked: mail_types::DeliverBy, now: Timestamp) -> DeliverBy {
    let at = Timestamp::from_unix_seconds(now.unix_seconds().saturating_add(i64::from(asked.seconds())));
    let mode = match asked.mode() {
        DeadlineMode::Return => DeliverByMode::Return,
        DeadlineMode::Notify => DeliverByMode::Notify,
    };
    DeliverBy { at, mode, is_traced: asked.is_traced() }
}

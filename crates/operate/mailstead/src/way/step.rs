//! A message's way as the SMTP door tells it, in the words of the record.

use mail_types::ReversePath;
use mailstore::Filed;
use mta::{Attempt, AttemptedRecipient, MessageWay, Outcome, RecipientWay};
use queue::RecipientOutcome;
use serde_json::json;

use super::Step;

/// Keys of one step: the record must not grow with a thousand recipients.
const KEYS_MAX: usize = 50;

/// The step that a message's transaction is.
pub(crate) fn message_step(way: &MessageWay) -> Step {
    let mut keys = vec![way.transaction.to_text()];
    if let ReversePath::Address(address) = &way.reverse_path {
        keys.push(address.to_string().to_lowercase());
    }
    keys.extend(way.message_id.iter().map(|id| id.trim_matches(['<', '>']).to_lowercase()));
    let recipients = way.recipients.iter().map(|recipient| recipient.forward_path.to_string().to_lowercase());
    keys.extend(recipients);
    keys.truncate(KEYS_MAX);
    let step = json!({
        "step": "received",
        "transaction": way.transaction.to_text(),
        "connection": way.connection,
        "listener": way.listener.name(),
        "peer": way.peer.to_string(),
        "hello": way.hello,
        "tls": way.tls.map(|tls| format!("{} {}", tls.version, tls.cipher)),
        "user": way.user.as_ref().map(ToString::to_string),
        "from": way.reverse_path.to_string(),
        "message_id": way.message_id,
        "octets": way.octets,
        "checks": way.checks,
        "recipients": way.recipients.iter().map(recipient).collect::<Vec<_>>(),
    });
    Step { step, keys }
}

/// The step that one try to pass a message on is.
pub(crate) fn attempt_step(attempt: &Attempt) -> Step {
    let mut keys = vec![attempt.way.to_text(), attempt.queue.to_text()];
    if let ReversePath::Address(address) = &attempt.reverse_path {
        keys.push(address.to_string().to_lowercase());
    }
    keys.extend(attempt.recipients.iter().map(|recipient| recipient.address.to_string().to_lowercase()));
    keys.truncate(KEYS_MAX);
    let remote = attempt.remote.as_ref();
    let step = json!({
        "step": "sent",
        "transaction": attempt.way.to_text(),
        "queue": attempt.queue.to_text(),
        "destination": attempt.destination.key(),
        "remote": remote.map(|remote| format!("{} {}", remote.name, remote.address)),
        "tls": attempt.tls.map(|tls| format!("{} {}", tls.version, tls.cipher)),
        "tls_policy": attempt.protection.map(|protection| protection.source.as_str()),
        "verified_by": attempt.protection.map(|protection| protection.verified.as_str()),
        "tls_failure": attempt.tls_failure,
        "from": attempt.reverse_path.to_string(),
        "recipients": attempt.recipients.iter().map(attempted).collect::<Vec<_>>(),
    });
    Step { step, keys }
}

fn attempted(recipient: &AttemptedRecipient) -> serde_json::Value {
    let (outcome, said) = match &recipient.outcome {
        RecipientOutcome::Delivered => ("delivered", None),
        RecipientOutcome::Relayed => ("relayed", None),
        RecipientOutcome::Failed(said) => ("failed", Some(said)),
        RecipientOutcome::Deferred(said) => ("deferred", Some(said)),
    };
    json!({
        "to": recipient.address.to_string(),
        "outcome": outcome,
        "detail": said.map(ToString::to_string),
    })
}

fn recipient(recipient: &RecipientWay) -> serde_json::Value {
    let (outcome, detail) = match &recipient.outcome {
        Outcome::Filed(filed) => ("filed", places(filed)),
        Outcome::Queued { id, filed } => ("queued", json!({ "queue": id.to_text(), "filed": places(filed) })),
        Outcome::Discarded => ("discarded", serde_json::Value::Null),
        Outcome::Refused(reply) => ("refused", wire_text(reply).into()),
        Outcome::Abandoned => ("abandoned", serde_json::Value::Null),
    };
    json!({
        "to": recipient.forward_path.to_string(),
        "outcome": outcome,
        "detail": detail,
        "filter": recipient.filter,
    })
}

fn places(filed: &[Filed]) -> serde_json::Value {
    let place = |one: &Filed| json!({ "account": one.account.0, "mailbox": one.mailbox.0, "uid": one.uid.0 });
    filed.iter().map(place).collect()
}

/// A reply as it went to the client.
fn wire_text(reply: &smtp::Reply) -> String {
    let mut octets = Vec::new();
    reply.write_to(&mut octets);
    String::from_utf8_lossy(&octets).trim_end().to_owned()
}

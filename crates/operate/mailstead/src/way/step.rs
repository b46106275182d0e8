//! A message's way as the SMTP door tells it, in the words of the record.

use mail_types::ReversePath;
use mailstore::Filed;
use mta::{MessageWay, Outcome, RecipientWay};
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
        "recipients": way.recipients.iter().map(recipient).collect::<Vec<_>>(),
    });
    Step { step, keys }
}

fn recipient(recipient: &RecipientWay) -> serde_json::Value {
    let (outcome, detail) = match &recipient.outcome {
        Outcome::Filed(filed) => ("filed", places(filed)),
        Outcome::Queued { id, filed } => ("queued", json!({ "queue": id.to_text(), "filed": places(filed) })),
        Outcome::Discarded => ("discarded", serde_json::Value::Null),
        Outcome::Refused(reply) => ("refused", wire_text(reply).into()),
        Outcome::Abandoned => ("abandoned", serde_json::Value::Null),
    };
    json!({ "to": recipient.forward_path.to_string(), "outcome": outcome, "detail": detail })
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

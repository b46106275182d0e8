//! What another server is asked for a message: the queue's entry in the client's words.

use mail_types::{EnvelopeId, ForwardPath, OriginalRecipient, ReturnedContent, ReversePath};
use message::write_return_path;
use platform::clock::Timestamp;
use queue::{DeliverByMode, MessageKind, NewMessage, Notify, Priority, Recipient, ReturnContent};
use smtp::client::{Order, OrderRecipient};
use smtp::{BodyType, MailParameters, RcptParameters};

/// The order for some of a message's recipients; `reverse_path` is the sender that this host is told.
pub(crate) fn order<'a>(
    message: &NewMessage,
    reverse_path: ReversePath,
    recipients: impl Iterator<Item = &'a Recipient>,
    octets: u64,
    now: Timestamp,
) -> Order {
    let body = match (message.needs.binary, message.needs.eight_bit) {
        (true, _) => BodyType::BinaryMime,
        (false, true) => BodyType::EightBitMime,
        (false, false) => BodyType::SevenBit,
    };
    Order {
        reverse_path,
        recipients: recipients.map(|recipient| order_recipient(message, recipient)).collect(),
        parameters: MailParameters {
            size: Some(octets),
            body,
            smtputf8: message.needs.international,
            auth: false,
            returned: message.return_content.map(|content| match content {
                ReturnContent::Full => ReturnedContent::Full,
                ReturnContent::Headers => ReturnedContent::Headers,
            }),
            envelope_id: message.envelope_id.as_deref().and_then(EnvelopeId::new),
            require_tls: message.require_tls,
            priority: asked_priority(message.priority),
            deliver_by: deliver_by(message, now),
            hold: None,
        },
    }
}

fn order_recipient(message: &NewMessage, recipient: &Recipient) -> OrderRecipient {
    // RFC 3461 §6.1: nobody is to be told of a report.
    let notify = match message.kind {
        MessageKind::Report | MessageKind::TlsReport => None,
        MessageKind::Mail => parameter(recipient.notify),
    };
    // RFC 3461 §5.2.1 (d): where none was given, whom the sender named is told the next server, though not in reports.
    let of_alias = || recipient.expanded_from.as_ref().map(OriginalRecipient::of);
    OrderRecipient {
        forward_path: ForwardPath::Address(recipient.forward_path.clone()),
        parameters: RcptParameters { notify, original: original(recipient).or_else(of_alias) },
    }
}

/// NOTIFY as it was said.
fn parameter(notify: Notify) -> Option<mail_types::Notify> {
    match notify {
        Notify::Default => None,
        Notify::Never => Some(mail_types::Notify::NEVER),
        Notify::On { success, failure, delay } => {
            let events = [(success, "SUCCESS"), (failure, "FAILURE"), (delay, "DELAY")];
            let wanted: Vec<&str> =
                events.iter().filter(|(wanted, _)| *wanted).map(|(_, event)| *event).collect();
            mail_types::Notify::parse(&wanted.join(","))
        }
    }
}

/// The original recipient as the queue keeps it: type, `;`, address.
pub(crate) fn original(recipient: &Recipient) -> Option<OriginalRecipient> {
    let (address_type, address) = recipient.original_recipient.as_deref()?.split_once(';')?;
    OriginalRecipient::from_parts(address_type, address)
}

fn asked_priority(priority: Priority) -> Option<mail_types::Priority> {
    let asked = mail_types::Priority::new(priority.value())?;
    (priority != Priority::default()).then_some(asked)
}

/// What is left of the time (RFC 2852 §4.1). Mode R is never said with nothing left: the queue has given up by then.
fn deliver_by(message: &NewMessage, now: Timestamp) -> Option<mail_types::DeliverBy> {
    let asked = message.deliver_by?;
    let left = asked.at.unix_seconds().saturating_sub(now.unix_seconds());
    let mode = match asked.mode {
        DeliverByMode::Return => mail_types::DeadlineMode::Return,
        DeliverByMode::Notify => mail_types::DeadlineMode::Notify,
    };
    let floor =
        if asked.mode == DeliverByMode::Return { 1 } else { -i64::from(mail_types::DELIVER_BY_SECONDS_MAX) };
    let left = left.clamp(floor, i64::from(mail_types::DELIVER_BY_SECONDS_MAX));
    mail_types::DeliverBy::new(i32::try_from(left).ok()?, mode, asked.is_traced)
}

/// Octets of the Return-Path that we put on top when the message came, if it stands there: the copies here need it, but
/// it is for the last server to write (RFC 5321 §4.4).
pub(crate) fn return_path_octets(reverse_path: &ReversePath, beginning: &[u8]) -> usize {
    let mut ours = Vec::new();
    write_return_path(reverse_path, &mut ours);
    if beginning.starts_with(&ours) { ours.len() } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail_types::{Address, DomainName, TransactionId};
    use queue::{DeliverBy, Destination};

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_795_640_400);

    fn message(notify: Notify) -> NewMessage {
        let bob = Address::parse("bob@far.example").unwrap();
        let far = Destination::Domain(DomainName::parse("far.example").unwrap());
        let recipient = Recipient {
            original_recipient: Some("rfc822;robert@far.example".into()),
            ..Recipient::plain(bob, far, notify)
        };
        NewMessage {
            reverse_path: ReversePath::Address(Address::parse("ann@example.org").unwrap()),
            ..NewMessage::plain(TransactionId(1), NOW, vec![recipient])
        }
    }

    fn ordered(message: &NewMessage) -> Order {
        order(message, message.reverse_path.clone(), message.recipients.iter(), 100, NOW)
    }

    #[test]
    fn wishes_go_on_as_they_came() {
        let all = Notify::On { success: true, failure: true, delay: true };
        for (notify, said) in [
            (Notify::Default, None),
            (Notify::Never, Some("NEVER")),
            (all, Some("SUCCESS,FAILURE,DELAY")),
            (Notify::On { success: false, failure: true, delay: false }, Some("FAILURE")),
        ] {
            let order = ordered(&message(notify));
            let parameters = &order.recipients[0].parameters;
            assert_eq!(parameters.notify.map(|notify| notify.to_string()).as_deref(), said);
            assert_eq!(parameters.original.as_ref().unwrap().address(), "robert@far.example");
        }
        let report = NewMessage { kind: MessageKind::Report, ..message(all) };
        assert_eq!(ordered(&report).recipients[0].parameters.notify, None);
        assert_eq!(ordered(&report).parameters.priority, None);
    }

    #[test]
    fn of_a_deadline_what_is_left_is_said() {
        for (mode, seconds, said) in [
            (DeliverByMode::Notify, 60, "60;N"),
            (DeliverByMode::Notify, -60, "-60;N"),
            (DeliverByMode::Return, 60, "60;R"),
            (DeliverByMode::Return, -60, "1;R"),
            (DeliverByMode::Notify, 9_999_999_999, "999999999;N"),
        ] {
            let at = Timestamp::from_unix_seconds(NOW.unix_seconds() + seconds);
            let deliver_by = Some(DeliverBy { at, mode, is_traced: false });
            let order = ordered(&NewMessage { deliver_by, ..message(Notify::Default) });
            assert_eq!(order.parameters.deliver_by.unwrap().to_string(), said);
        }
    }

    #[test]
    fn only_our_own_return_path_is_taken_off() {
        let ann = message(Notify::Default).reverse_path;
        let ours = b"Return-Path: <ann@example.org>\r\n";
        assert_eq!(return_path_octets(&ann, &[&ours[..], b"Received: x\r\n"].concat()), ours.len());
        assert_eq!(return_path_octets(&ann, b"Return-Path: <bob@example.org>\r\n"), 0);
        assert_eq!(return_path_octets(&ann, b""), 0);
        assert_eq!(return_path_octets(&ReversePath::Null, b"Return-Path: <>\r\nx"), 17);
    }
}

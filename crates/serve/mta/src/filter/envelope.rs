//! The envelope as scripts see it (RFC 5228 §5.4, RFC 6009), and whether its sender is proven.

use directory::LocalTarget;
use mail_types::{Address, AddressDomain, ForwardPath, NotifyEvent, ReversePath};
use smtp::server::Envelope;

use super::plan::Known;
use crate::deliver::queued::{self, Brought};
use crate::deliver::route::Route;

/// Whether the sender of the envelope is no forgery: then it may be told of a refusal.
pub(super) fn is_sender_proven(known: Known<'_>, reverse_path: &ReversePath) -> bool {
    let ReversePath::Address(sender) = reverse_path else { return false };
    match known.judged {
        Some(judged) if sender.domain_name().is_some() => judged.is_proven(reverse_path),
        _ => known.is_ours,
    }
}

/// The envelope as scripts see it.
pub(super) fn envelope_of(
    envelope: &Envelope<Route>,
    named: Option<&smtp::server::Recipient<Route>>,
    target: &LocalTarget,
    delimiters: &str,
    brought: Brought,
) -> sieve::Envelope {
    let asked = &envelope.parameters;
    let parameters = named.map(|named| &named.parameters);
    let notify = parameters.and_then(|parameters| parameters.notify).map(notify_text);
    let by = asked.deliver_by.map(|by| queued::deliver_by(by, brought.now));
    sieve::Envelope {
        from: Some(match &envelope.reverse_path {
            ReversePath::Null => String::new(),
            ReversePath::Address(address) => address.to_string(),
        }),
        to: Some(with_detail(target, delimiters)),
        original_to: named.map(|named| match &named.forward_path {
            ForwardPath::Address(address) => address.to_string(),
            ForwardPath::Postmaster => "postmaster".to_owned(),
        }),
        auth: None,
        notify,
        ret: asked.returned.map(|returned| match returned {
            mail_types::ReturnedContent::Full => "FULL".to_owned(),
            mail_types::ReturnedContent::Headers => "HDRS".to_owned(),
        }),
        envid: asked.envelope_id.as_ref().map(|id| id.as_str().to_owned()),
        orcpt: parameters
            .and_then(|parameters| parameters.original.as_ref())
            .map(|original| format!("{};{}", original.address_type(), original.address())),
        by_unix_seconds: by.map(|by| by.at.unix_seconds()),
        by_mode: by.map(|by| match by.mode {
            queue::DeliverByMode::Return => 'R',
            queue::DeliverByMode::Notify => 'N',
        }),
        by_trace: by.is_some_and(|by| by.is_traced),
    }
}

fn notify_text(notify: mail_types::Notify) -> String {
    let words: Vec<&str> =
        [(NotifyEvent::Success, "SUCCESS"), (NotifyEvent::Failure, "FAILURE"), (NotifyEvent::Delay, "DELAY")]
            .into_iter()
            .filter_map(|(event, word)| notify.wants(event).then_some(word))
            .collect();
    if words.is_empty() { "NEVER".to_owned() } else { words.join(",") }
}

/// The address that the message came to, with the detail that it was sent to (RFC 5233), which an alias on the way took off.
pub(super) fn with_detail(target: &LocalTarget, delimiters: &str) -> String {
    let address = &target.address;
    let (Some(detail), Some(delimiter)) = (&target.detail, delimiters.chars().next()) else {
        return address.to_string();
    };
    let before = address.local_part().strip_suffix(&**detail);
    if before.is_some_and(|before| before.ends_with(|char| delimiters.contains(char))) {
        return address.to_string();
    }
    let local = format!("{}{delimiter}{detail}", address.local_part());
    let domain: AddressDomain = address.domain().clone();
    Address::new(&local, domain).map_or_else(|_| address.to_string(), |address| address.to_string())
}

#[cfg(test)]
mod tests {
    use mail_types::AccountId;

    use super::*;

    #[test]
    fn the_detail_is_seen_once() {
        for (address, detail, expected) in [
            ("ann@a.example", None, "ann@a.example"),
            ("ann@a.example", Some("news"), "ann+news@a.example"),
            ("ann+news@a.example", Some("news"), "ann+news@a.example"),
            ("ann-news@a.example", Some("news"), "ann-news@a.example"),
            ("news@a.example", Some("news"), "news+news@a.example"),
        ] {
            let target = LocalTarget {
                account: AccountId(1),
                address: Address::parse(address).unwrap(),
                detail: detail.map(Into::into),
            };
            assert_eq!(with_detail(&target, "+-"), expected);
        }
    }
}

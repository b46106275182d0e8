//! The trace fields in front of each message: Return-Path and Received (RFC 5321 §4.4, RFC 3848).
//!
//! All recipients share one copy of the octets, so the fields are the same for all. `for` names a recipient only where
//! there is one: who else got a copy is nobody's business. Of our own people neither address nor host name is told.

use mail_types::{ForwardPath, ReversePath, TransactionId};
use message::{Client, Date, MailProtocol, Received, write_return_path};
use platform::clock::Timestamp;

use crate::way::TlsWay;

/// What the fields tell.
pub(crate) struct Trace<'a> {
    pub(crate) reverse_path: &'a ReversePath,
    /// `None` for one of our people.
    pub(crate) client: Option<Client<'a>>,
    pub(crate) hostname: &'a str,
    pub(crate) protocol: MailProtocol,
    pub(crate) is_international: bool,
    pub(crate) tls: Option<TlsWay>,
    pub(crate) transaction: TransactionId,
    pub(crate) only_recipient: Option<&'a ForwardPath>,
    pub(crate) now: Timestamp,
}

impl Trace<'_> {
    /// Both fields with their line ends.
    pub(crate) fn to_fields(&self) -> Vec<u8> {
        let mut fields = Vec::with_capacity(512);
        write_return_path(self.reverse_path, &mut fields);
        let tls = self.tls.map(|tls| format!("{} {}", tls.version, tls.cipher));
        let received = Received {
            from: self.client,
            by: self.hostname,
            protocol: self.protocol,
            tls: tls.as_deref(),
            is_authenticated: self.client.is_none(),
            is_international: self.is_international,
            id: &self.transaction.to_text(),
            recipient: self.only_recipient,
            date: Date { unix_seconds: self.now.unix_seconds(), zone_minutes: 0 },
        };
        received.write(&mut fields);
        fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail_types::Address;

    fn trace<'a>(client: Option<Client<'a>>, recipient: Option<&'a ForwardPath>) -> String {
        let trace = Trace {
            reverse_path: &ReversePath::Address(Address::parse("ann@example.org").unwrap()),
            client,
            hostname: "mail.example.org",
            protocol: MailProtocol::Esmtp,
            is_international: false,
            tls: Some(TlsWay { version: "TLS1.3", cipher: "TLS13_AES_128_GCM_SHA256" }),
            transaction: TransactionId(0x0123_4567_89ab_cdef),
            only_recipient: recipient,
            now: Timestamp::from_unix_seconds(1_000_000_000),
        };
        message::unfold(&trace.to_fields()).escape_ascii().to_string()
    }

    #[test]
    fn a_server_is_named() {
        let client = Client { hello: "client.example", host: None, address: Some([192, 0, 2, 1].into()) };
        let bob = ForwardPath::Address(Address::parse("bob@example.org").unwrap());
        let fields = trace(Some(client), Some(&bob));
        assert!(fields.starts_with("Return-Path: <ann@example.org>"), "{fields}");
        assert!(
            fields.contains("Received: from client.example ([192.0.2.1]) by mail.example.org with ESMTPS")
        );
        assert!(fields.contains("id 0123456789abcdef for <bob@example.org>; Sun, 9 Sep 2001 01:46:40 +0000"));
    }

    #[test]
    fn our_people_are_not() {
        let fields = trace(None, None);
        assert!(fields.contains("Received: by mail.example.org with ESMTPSA"), "{fields}");
        assert!(!fields.contains(" for "));
    }
}

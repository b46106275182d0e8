//! The trace fields in front of each message: Return-Path and Received (RFC 5321 §4.4, RFC 3848).
//!
//! All recipients share one copy of the octets, so the fields are the same for all. `for` names a recipient only where
//! there is one: who else got a copy is nobody's business. Of our own people neither address nor host name is told.

use std::fmt::Write as _;

use mail_types::{ForwardPath, ReversePath, TransactionId};
use message::Date;
use platform::clock::Timestamp;
use platform::stream::Endpoint;

use crate::way::TlsWay;

/// What the fields tell.
pub(crate) struct Trace<'a> {
    pub(crate) reverse_path: &'a ReversePath,
    pub(crate) client: TraceClient<'a>,
    pub(crate) hostname: &'a str,
    pub(crate) with_protocol: &'static str,
    pub(crate) tls: Option<TlsWay>,
    pub(crate) transaction: TransactionId,
    pub(crate) only_recipient: Option<&'a ForwardPath>,
    pub(crate) now: Timestamp,
}

/// What is told of the client.
pub(crate) enum TraceClient<'a> {
    /// Another server: the name it gave itself and where it came from.
    Server {
        /// Its word, unproven.
        hello: &'a str,
        /// Our knowledge.
        peer: Endpoint,
    },
    /// One of our people.
    Hidden,
}

impl Trace<'_> {
    /// Both fields with their line ends.
    pub(crate) fn to_fields(&self) -> String {
        let mut text = String::with_capacity(512);
        // Writing into a String cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        write!(text, "Return-Path: <{}>\r\nReceived: ", self.reverse_path)?;
        if let TraceClient::Server { hello, peer } = &self.client {
            text.push_str("from ");
            text.extend(hello.chars().map(|char| if is_host_char(char) { char } else { '?' }));
            match peer.address() {
                Some(address) if address.is_ipv6() => write!(text, " ([IPv6:{address}])\r\n\t")?,
                Some(address) => write!(text, " ([{address}])\r\n\t")?,
                None => text.push_str(" (local socket)\r\n\t"),
            }
        }
        write!(text, "by {} (mailstead) with {}", self.hostname, self.with_protocol)?;
        if let Some(tls) = self.tls {
            write!(text, "\r\n\t({} {})", tls.version, tls.cipher)?;
        }
        write!(text, "\r\n\tid {}", self.transaction.to_text())?;
        if let Some(recipient) = self.only_recipient {
            write!(text, " for <{recipient}>")?;
        }
        let date = Date { unix_seconds: self.now.unix_seconds(), zone_minutes: 0 };
        write!(text, ";\r\n\t{}\r\n", date.format())
    }
}

/// What a host name or an address literal is written with; anything else a client says becomes `?`, so that it can
/// neither end the field nor open a comment.
fn is_host_char(char: char) -> bool {
    char.is_ascii_alphanumeric() || matches!(char, '-' | '.' | '_' | ':' | '[' | ']')
}

#[cfg(test)]
mod tests {
    use super::*;
    use mail_types::Address;

    fn trace<'a>(client: TraceClient<'a>, recipient: Option<&'a ForwardPath>) -> String {
        Trace {
            reverse_path: &ReversePath::Address(Address::parse("ann@example.org").unwrap()),
            client,
            hostname: "mail.example.org",
            with_protocol: "ESMTPS",
            tls: Some(TlsWay { version: "TLS1.3", cipher: "TLS13_AES_128_GCM_SHA256" }),
            transaction: TransactionId(0x0123_4567_89ab_cdef),
            only_recipient: recipient,
            now: Timestamp::from_unix_seconds(1_000_000_000),
        }
        .to_fields()
    }

    #[test]
    fn a_server_is_named() {
        let peer = Endpoint::Inet("192.0.2.1:4711".parse().unwrap());
        let bob = ForwardPath::Address(Address::parse("bob@example.org").unwrap());
        assert_eq!(
            trace(TraceClient::Server { hello: "client.example", peer }, Some(&bob)),
            "Return-Path: <ann@example.org>\r\n\
             Received: from client.example ([192.0.2.1])\r\n\
             \tby mail.example.org (mailstead) with ESMTPS\r\n\
             \t(TLS1.3 TLS13_AES_128_GCM_SHA256)\r\n\
             \tid 0123456789abcdef for <bob@example.org>;\r\n\
             \tSun, 9 Sep 2001 01:46:40 +0000\r\n"
        );
    }

    #[test]
    fn our_people_are_not() {
        let fields = trace(TraceClient::Hidden, None);
        assert!(fields.contains("Received: by mail.example.org (mailstead) with ESMTPS\r\n"), "{fields}");
        assert!(!fields.contains(" for "));
    }

    #[test]
    fn a_name_cannot_break_out_of_the_field() {
        let peer = Endpoint::Inet("[2001:db8::1]:4711".parse().unwrap());
        let fields = trace(TraceClient::Server { hello: "a(b)\u{fc};<c>\"", peer }, None);
        assert!(fields.contains("from a?b????c?? ([IPv6:2001:db8::1])\r\n"), "{fields}");
    }
}

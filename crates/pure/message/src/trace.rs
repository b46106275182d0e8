//! The fields a server adds on top of a message: Received, Return-Path, and Date and Message-ID where a submission lacks
//! them (RFC 5321 §4.4, RFC 6409 §8, RFC 3848, RFC 6531 §3.7.3).

use std::net::IpAddr;

use mail_types::{AddressLiteral, ForwardPath, ReversePath};

use crate::date::Date;
use crate::write::FoldedLine;

/// Longest name of a client that is repeated in Received. A domain name has 253 octets (RFC 1035 §2.3.4).
const CLIENT_NAME_OCTETS_MAX: usize = 255;

/// The protocol a message came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailProtocol {
    /// The client said HELO.
    Smtp,
    /// The client said EHLO.
    Esmtp,
    /// The client said LHLO.
    Lmtp,
}

/// What a Received field tells.
#[derive(Clone, Debug)]
pub struct Received<'a> {
    /// Who sent it; `None` for a user's submission, whose address is nobody's business.
    pub from: Option<Client<'a>>,
    /// Our own name.
    pub by: &'a str,
    /// How it came.
    pub protocol: MailProtocol,
    /// TLS version and cipher, if the session was encrypted.
    pub tls: Option<&'a str>,
    /// Whether the client had proved who it is.
    pub is_authenticated: bool,
    /// Whether the transaction used SMTPUTF8.
    pub is_international: bool,
    /// Our identifier of the transaction, as in the logs.
    pub id: &'a str,
    /// The recipient, if there was only one: others must not learn of each other.
    pub recipient: Option<&'a ForwardPath>,
    /// When it came.
    pub date: Date,
}

/// The client as it called itself and as we saw it.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    /// The argument of HELO or EHLO, which may be anything.
    pub hello: &'a str,
    /// The name its address has in the DNS, if it was looked up and agrees.
    pub host: Option<&'a str>,
    /// Its address; `None` for a local socket.
    pub address: Option<IpAddr>,
}

impl Received<'_> {
    /// Appends the field.
    pub fn write(&self, header: &mut Vec<u8>) {
        let mut line = FoldedLine::begin("Received", header);
        let mut is_spaced = false;
        let mut push = |words: &[&str]| {
            for word in words {
                line.push_word(word, is_spaced);
                is_spaced = true;
            }
        };
        if let Some(client) = &self.from {
            push(&["from", &trace_word(client.hello)]);
            let host = client.host.map(trace_word);
            let address = client.address.map(|address| AddressLiteral(address).to_string());
            match (host, address) {
                (Some(host), Some(address)) => push(&[&format!("({host}"), &format!("{address})")]),
                (Some(only), None) | (None, Some(only)) => push(&[&format!("({only})")]),
                (None, None) => {}
            }
        }
        push(&["by", &trace_word(self.by), "with", self.keyword()]);
        if let Some(tls) = self.tls {
            let tls: Vec<String> = tls.split_ascii_whitespace().map(trace_word).collect();
            push(&[&format!("({})", tls.join(" "))]);
        }
        push(&["id", &trace_word(self.id)]);
        if let Some(recipient) = self.recipient {
            push(&["for", &format!("<{recipient}>")]);
        }
        line.push_word("; ", false);
        line.push_word(&self.date.format(), false);
        line.end();
    }

    /// The registered word for how it came (IANA "Mail Transmission Types").
    fn keyword(&self) -> &'static str {
        let is_encrypted = self.tls.is_some();
        match (self.protocol, self.is_international, is_encrypted, self.is_authenticated) {
            (MailProtocol::Smtp, ..) => "SMTP",
            (MailProtocol::Esmtp, false, false, false) => "ESMTP",
            (MailProtocol::Esmtp, false, false, true) => "ESMTPA",
            (MailProtocol::Esmtp, false, true, false) => "ESMTPS",
            (MailProtocol::Esmtp, false, true, true) => "ESMTPSA",
            (MailProtocol::Esmtp, true, false, false) => "UTF8SMTP",
            (MailProtocol::Esmtp, true, false, true) => "UTF8SMTPA",
            (MailProtocol::Esmtp, true, true, false) => "UTF8SMTPS",
            (MailProtocol::Esmtp, true, true, true) => "UTF8SMTPSA",
            (MailProtocol::Lmtp, false, false, false) => "LMTP",
            (MailProtocol::Lmtp, false, false, true) => "LMTPA",
            (MailProtocol::Lmtp, false, true, false) => "LMTPS",
            (MailProtocol::Lmtp, false, true, true) => "LMTPSA",
            (MailProtocol::Lmtp, true, false, false) => "UTF8LMTP",
            (MailProtocol::Lmtp, true, false, true) => "UTF8LMTPA",
            (MailProtocol::Lmtp, true, true, false) => "UTF8LMTPS",
            (MailProtocol::Lmtp, true, true, true) => "UTF8LMTPSA",
        }
    }
}

/// A word from outside made harmless: nothing that ends, folds, quotes or comments.
fn trace_word(word: &str) -> String {
    let harmless = |character: char| match character {
        '(' | ')' | '<' | '>' | '"' | '\\' | ';' | ',' => '?',
        other if other.is_control() || other.is_whitespace() => '?',
        other => other,
    };
    let word: String = word.chars().map(harmless).collect();
    let end = word.floor_char_boundary(CLIENT_NAME_OCTETS_MAX);
    match word.get(..end) {
        None | Some("") => "unknown".to_owned(),
        Some(word) => word.to_owned(),
    }
}

/// Appends Return-Path, which final delivery puts on top (RFC 5321 §4.4).
pub fn write_return_path(reverse_path: &ReversePath, header: &mut Vec<u8>) {
    header.extend_from_slice(format!("Return-Path: <{reverse_path}>\r\n").as_bytes());
}

/// Appends Date.
pub fn write_date_field(date: Date, header: &mut Vec<u8>) {
    header.extend_from_slice(format!("Date: {}\r\n", date.format()).as_bytes());
}

/// Appends Message-ID; `id` as [`crate::new_message_id`] makes it.
pub fn write_message_id_field(id: &str, header: &mut Vec<u8>) {
    header.extend_from_slice(format!("Message-ID: {id}\r\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use mail_types::Address;

    use super::*;

    fn received<'a>() -> Received<'a> {
        Received {
            from: Some(Client {
                hello: "mail.example.net",
                host: Some("mx1.example.net"),
                address: Some(IpAddr::from([192, 0, 2, 1])),
            }),
            by: "mx.example.org",
            protocol: MailProtocol::Esmtp,
            tls: Some("TLSv1.3 TLS_AES_256_GCM_SHA384"),
            is_authenticated: false,
            is_international: false,
            id: "t1",
            recipient: None,
            date: Date { unix_seconds: 1_030_960_800, zone_minutes: 0 },
        }
    }

    fn written(received: &Received<'_>) -> String {
        let mut header = Vec::new();
        received.write(&mut header);
        String::from_utf8(header).expect("UTF-8")
    }

    #[test]
    fn received_of_a_stranger() {
        let recipient = ForwardPath::Address(Address::parse("ann@example.org").expect("an address"));
        let received = Received { recipient: Some(&recipient), ..received() };
        assert_eq!(
            written(&received),
            "Received: from mail.example.net (mx1.example.net [192.0.2.1]) by\r\n mx.example.org with ESMTPS \
             (TLSv1.3 TLS_AES_256_GCM_SHA384) id t1 for\r\n <ann@example.org>; Mon, 2 Sep 2002 10:00:00 +0000\r\n"
        );
    }

    #[test]
    fn received_of_a_user_hides_the_address() {
        let received = Received { from: None, is_authenticated: true, ..received() };
        let written = written(&received);
        assert!(written.starts_with("Received: by mx.example.org with ESMTPSA (TLSv1.3"), "{written}");
        assert!(!written.contains("192.0.2.1"));
    }

    #[test]
    fn received_cannot_be_forged_by_the_client() {
        let hello = "x\r\nBcc: (evil); \"a\" \u{1b}[0m";
        let client = Client { hello, host: None, address: Some(IpAddr::from([0; 16])) };
        let received = Received { from: Some(client), ..received() };
        let written = written(&received);
        assert!(written.starts_with("Received: from x??Bcc:??evil????a???[0m ([IPv6:::]) by"), "{written}");
        for (octets, kept) in [(254, 254), (255, 255), (256, 255)] {
            assert_eq!(trace_word(&"é".repeat(octets).replace('é', "x")).len(), kept);
        }
        assert_eq!(trace_word(""), "unknown");
    }

    #[test]
    fn keywords_are_registered_ones() {
        let keyword = |protocol, tls, is_authenticated, is_international| {
            Received { protocol, tls, is_authenticated, is_international, ..received() }.keyword()
        };
        assert_eq!(keyword(MailProtocol::Smtp, None, false, false), "SMTP");
        assert_eq!(keyword(MailProtocol::Esmtp, Some("x"), true, true), "UTF8SMTPSA");
        assert_eq!(keyword(MailProtocol::Lmtp, None, false, false), "LMTP");
    }

    #[test]
    fn other_fields() {
        let mut header = Vec::new();
        write_return_path(&ReversePath::Null, &mut header);
        write_date_field(Date { unix_seconds: 0, zone_minutes: 60 }, &mut header);
        write_message_id_field("<a@b>", &mut header);
        let expected = "Return-Path: <>\r\nDate: Thu, 1 Jan 1970 01:00:00 +0100\r\nMessage-ID: <a@b>\r\n";
        assert_eq!(String::from_utf8_lossy(&header), expected);
    }
}

//! The mail that a report travels in: RFC 9990 §3.5 for DMARC, RFC 8460 §5.3 for TLS.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_types::{Address, DomainName};
use message::{
    Date, new_message_id, write_address_field, write_date_field, write_message_id_field, write_text_field,
};
use platform::clock::Timestamp;

/// Octets of the packed report on one line of base64: 76 characters (RFC 2045 §6.8).
const LINE_OCTETS: usize = 57;

/// A report to be sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Letter<'a> {
    pub(super) from: (&'a str, &'a Address),
    pub(super) subject: &'a str,
    /// For people.
    pub(super) text: &'a str,
    pub(super) attachment: Attachment<'a>,
    pub(super) hostname: &'a DomainName,
    pub(super) now: Timestamp,
    /// Makes the border between the parts, and the Message-ID.
    pub(super) random: [u8; 16],
}

/// What is reported.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attachment<'a> {
    pub(super) kind: AttachmentKind<'a>,
    pub(super) file_name: &'a str,
    /// Packed.
    pub(super) octets: &'a [u8],
}

#[derive(Clone, Copy, Debug)]
pub(super) enum AttachmentKind<'a> {
    Dmarc,
    /// On this domain's TLS.
    Tls(&'a DomainName),
}

impl Letter<'_> {
    /// Header and body, in US-ASCII.
    pub(super) fn write(&self, to: &Address) -> Vec<u8> {
        let mut mail = Vec::with_capacity(self.attachment.octets.len() / 3 * 4 + 4_096);
        let milliseconds = u64::try_from(self.now.unix_millis()).unwrap_or_default();
        write_date_field(Date { unix_seconds: self.now.unix_seconds(), zone_minutes: 0 }, &mut mail);
        write_address_field("From", &[self.from], &mut mail);
        write_address_field("To", &[("", to)], &mut mail);
        write_text_field("Subject", self.subject, &mut mail);
        let message_id = new_message_id(milliseconds, self.random, self.hostname.as_str());
        write_message_id_field(&message_id, &mut mail);
        // RFC 3834 §5: nobody answers it by itself.
        write_text_field("Auto-Submitted", "auto-generated", &mut mail);
        let border: String = self.random.iter().map(|octet| format!("{octet:02x}")).collect();
        let (multipart, media_type) = match self.attachment.kind {
            AttachmentKind::Dmarc => ("multipart/mixed".to_owned(), "application/gzip"),
            AttachmentKind::Tls(domain) => {
                write_text_field("TLS-Report-Domain", domain.as_str(), &mut mail);
                write_text_field("TLS-Report-Submitter", self.hostname.as_str(), &mut mail);
                // RFC 8689 §4.2: what is wrong with the domain's TLS must not keep it from hearing so.
                write_text_field("TLS-Required", "No", &mut mail);
                ("multipart/report; report-type=\"tlsrpt\"".to_owned(), "application/tlsrpt+gzip")
            }
        };
        let file_name = self.attachment.file_name;
        let text = self.text;
        mail.extend_from_slice(
            format!(
                "MIME-Version: 1.0\r\n\
                 Content-Type: {multipart};\r\n boundary=\"{border}\"\r\n\r\n\
                 --{border}\r\n\
                 Content-Type: text/plain; charset=us-ascii\r\n\r\n\
                 {text}\r\n\
                 --{border}\r\n\
                 Content-Type: {media_type}\r\n\
                 Content-Transfer-Encoding: base64\r\n\
                 Content-Disposition: attachment;\r\n filename=\"{file_name}\"\r\n\r\n"
            )
            .as_bytes(),
        );
        for line in self.attachment.octets.chunks(LINE_OCTETS) {
            mail.extend_from_slice(STANDARD.encode(line).as_bytes());
            mail.extend_from_slice(b"\r\n");
        }
        mail.extend_from_slice(format!("--{border}--\r\n").as_bytes());
        mail
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_has_what_the_rfcs_ask_for() {
        let address = Address::parse("postmaster@mail.example.org").unwrap();
        let domain = DomainName::parse("far.example").unwrap();
        let mail = Letter {
            from: ("Example", &address),
            subject: "Report Domain: far.example Submitter: mail.example.org Report-ID: <1>",
            text: "Numbers.",
            attachment: Attachment {
                kind: AttachmentKind::Tls(&domain),
                file_name: "mail.example.org!far.example!0!86399.json.gz",
                octets: &[7; 200],
            },
            hostname: &DomainName::parse("mail.example.org").unwrap(),
            now: Timestamp::from_unix_seconds(0),
            random: [0xab; 16],
        };
        let written = String::from_utf8(mail.write(&Address::parse("tls@far.example").unwrap())).unwrap();
        for line in [
            "From: Example <postmaster@mail.example.org>\r\n",
            "To: tls@far.example\r\n",
            "TLS-Report-Domain: far.example\r\n",
            "TLS-Report-Submitter: mail.example.org\r\n",
            "report-type=\"tlsrpt\"",
            " filename=\"mail.example.org!far.example!0!86399.json.gz\"\r\n",
        ] {
            assert!(written.contains(line), "{line}: {written}");
        }
        assert!(written.lines().all(|line| line.len() <= 78), "{written}");
    }
}

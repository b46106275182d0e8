//! Letters that the server writes itself to one of its people: of a fault, of mail kept apart, of a stop.

use mail_types::{Address, DomainName};

use crate::{
    Date, new_message_id, write_address_field, write_date_field, write_message_id_field, write_text_field,
    write_text_part,
};

/// Header of such a letter.
#[derive(Clone, Copy, Debug)]
pub struct OwnLetter<'a> {
    /// What it calls itself, and its address.
    pub from: (&'a str, &'a Address),
    /// Who reads answers, if it is somebody else.
    pub reply_to: Option<&'a Address>,
    /// Whose it is.
    pub to: &'a Address,
    /// Its subject.
    pub subject: &'a str,
    /// Why it was written, in a word: nobody answers it by itself (RFC 3834 §5).
    pub cause: &'a str,
    /// Makes its Message-ID its own.
    pub random: [u8; 16],
    /// When it is written, in milliseconds since 1970.
    pub unix_millis: i64,
}

impl OwnLetter<'_> {
    /// Appends header and text, whose lines end with CRLF.
    pub fn write(&self, text: &str, out: &mut Vec<u8>) {
        let milliseconds = u64::try_from(self.unix_millis).unwrap_or_default();
        let domain = self.to.domain_name().map_or("localhost", DomainName::as_str);
        write_date_field(Date { unix_seconds: self.unix_millis.div_euclid(1_000), zone_minutes: 0 }, out);
        write_address_field("From", &[self.from], out);
        if let Some(reply_to) = self.reply_to {
            write_address_field("Reply-To", &[("", reply_to)], out);
        }
        write_address_field("To", &[("", self.to)], out);
        write_text_field("Subject", self.subject, out);
        write_message_id_field(&new_message_id(milliseconds, self.random, domain), out);
        write_text_field("Auto-Submitted", &format!("auto-generated ({})", self.cause), out);
        write_text_field("MIME-Version", "1.0", out);
        write_text_part(text, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_has_what_a_message_needs() {
        let (ann, postmaster) = (address("ann@example.org"), address("postmaster@example.org"));
        let letter = OwnLetter {
            from: ("Mail server", &postmaster),
            reply_to: Some(&ann),
            to: &ann,
            subject: "Hello",
            cause: "test",
            random: [7; 16],
            unix_millis: 1_000,
        };
        let mut octets = Vec::new();
        letter.write("Words.\r\n", &mut octets);
        let text = String::from_utf8(octets).unwrap();
        for line in [
            "Date: Thu, 1 Jan 1970 00:00:01 +0000\r\n",
            "From: Mail server <postmaster@example.org>\r\n",
            "Reply-To: ann@example.org\r\n",
            "To: ann@example.org\r\n",
            "Subject: Hello\r\n",
            "@example.org>\r\n",
            "Auto-Submitted: auto-generated (test)\r\n",
            "MIME-Version: 1.0\r\n",
            "\r\n\r\nWords.\r\n",
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
    }

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }
}

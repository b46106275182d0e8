//! `mailto` URIs (RFC 6068), as notifications by mail use them (RFC 5436 §2.2).

use mail_types::Address;

use crate::message::AddressForm;
use crate::path;

/// Most recipients of one URI.
pub const MAILTO_RECIPIENTS_MAX: usize = 8;
/// Most header fields of one URI.
const FIELDS_MAX: usize = 16;
/// Octets of a URI.
const URI_OCTETS_MAX: usize = 8_192;

/// A mailto URI, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mailto {
    /// Recipients for the To field.
    pub to: Vec<MailtoRecipient>,
    /// Recipients for the Cc field.
    pub cc: Vec<MailtoRecipient>,
    /// Recipients that nobody sees.
    pub bcc: Vec<MailtoRecipient>,
    /// `subject`.
    pub subject: Option<String>,
    /// `body`.
    pub body: Option<String>,
    /// Other header fields that the message may have.
    pub fields: Vec<(String, String)>,
}

/// A recipient as written and as an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailtoRecipient {
    /// As written, with a name before it perhaps.
    pub written: String,
    /// The address alone.
    pub address: Address,
}

/// Fields that a URI has no say in: they are the system's own (RFC 5436 §2.7), or change what the message is.
const REFUSED_FIELDS: [&str; 15] = [
    "from",
    "sender",
    "reply-to",
    "date",
    "message-id",
    "in-reply-to",
    "references",
    "received",
    "return-path",
    "auto-submitted",
    "authentication-results",
    "precedence",
    "importance",
    "x-priority",
    "x-sieve",
];
/// How the names of more of them begin.
const REFUSED_BEGINNINGS: [&str; 6] = ["resent-", "content-", "mime-", "list-", "dkim-", "arc-"];

impl Mailto {
    /// Reads a URI.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(uri: &str, form: AddressForm) -> Result<Mailto, String> {
        let rest = uri.split_once(':').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("mailto"));
        let Some((_, rest)) = rest else { return Err("it is no mailto URI".to_owned()) };
        if uri.len() > URI_OCTETS_MAX {
            return Err(format!("a mailto URI has at most {URI_OCTETS_MAX} octets"));
        }
        let (to, query) = match rest.split_once('?') {
            Some((to, query)) => (to, Some(query)),
            None => (rest, None),
        };
        let mut mailto = Mailto::default();
        let to = decode(to, b"@,;:")?;
        if to.contains(';') {
            return Err("the recipients of a mailto URI have commas between them".to_owned());
        }
        mailto.add_recipients(&to, Field::To, form)?;
        for field in query.into_iter().flat_map(|query| query.split('&')).filter(|field| !field.is_empty()) {
            mailto.add_field(field, form)?;
        }
        Ok(mailto)
    }

    /// All recipients, each address once.
    #[must_use]
    pub fn recipients(&self) -> Vec<&Address> {
        let mut all: Vec<&Address> = Vec::new();
        for recipient in self.to.iter().chain(&self.cc).chain(&self.bcc) {
            if !all.contains(&&recipient.address) {
                all.push(&recipient.address);
            }
        }
        all
    }

    fn add_field(&mut self, field: &str, form: AddressForm) -> Result<(), String> {
        let (name, value) = field.split_once('=').ok_or("a header field of a mailto URI has no value")?;
        let name = decode(name, b"")?;
        let value = decode(value, b"@,;:/?")?;
        if name.is_empty() || !name.bytes().all(|octet| octet.is_ascii_graphic() && octet != b':') {
            return Err(format!("invalid header field name '{}' in a mailto URI", name.escape_debug()));
        }
        match name.to_ascii_lowercase().as_str() {
            "to" => self.add_recipients(&value, Field::To, form)?,
            "cc" => self.add_recipients(&value, Field::Cc, form)?,
            "bcc" => self.add_recipients(&value, Field::Bcc, form)?,
            "subject" => self.subject = Some(value),
            "body" => self.body = Some(value),
            lower if is_refused(lower) => {}
            _ if self.fields.len() >= FIELDS_MAX => {
                return Err(format!("a mailto URI has at most {FIELDS_MAX} header fields"));
            }
            _ => self.fields.push((name, value)),
        }
        Ok(())
    }

    fn add_recipients(&mut self, list: &str, field: Field, form: AddressForm) -> Result<(), String> {
        for written in split(list).filter(|written| !written.trim().is_empty()) {
            let written = written.trim();
            let recipient = path::recipient(written, form)
                .ok_or_else(|| format!("invalid recipient '{}' in a mailto URI", written.escape_debug()))?;
            let recipient = MailtoRecipient { written: written.to_owned(), address: recipient.address };
            if self.to.len() + self.cc.len() + self.bcc.len() >= MAILTO_RECIPIENTS_MAX {
                return Err(format!("a mailto URI has at most {MAILTO_RECIPIENTS_MAX} recipients"));
            }
            match field {
                Field::To => self.to.push(recipient),
                Field::Cc => self.cc.push(recipient),
                Field::Bcc => self.bcc.push(recipient),
            }
        }
        Ok(())
    }
}

fn is_refused(name: &str) -> bool {
    REFUSED_FIELDS.contains(&name) || REFUSED_BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
}

#[derive(Clone, Copy)]
enum Field {
    To,
    Cc,
    Bcc,
}

/// Splits at commas that stand in no quoted string.
fn split(list: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    let mut is_escaped = false;
    list.split(move |character| {
        let was_escaped = std::mem::take(&mut is_escaped);
        match character {
            _ if was_escaped => {}
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            ',' => return !is_quoted,
            _ => {}
        }
        false
    })
}

/// Undoes percent-encoding; what may not stand in a URI unencoded is refused. `also` may, beside the unreserved.
fn decode(text: &str, also: &[u8]) -> Result<String, String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        match octet {
            b'%' => {
                let mut digit = || octets.next().and_then(|digit| char::from(digit).to_digit(16));
                match (digit(), digit()) {
                    (Some(high), Some(low)) => decoded.push((high * 16 + low) as u8),
                    _ => return Err("a percent sign of a mailto URI is followed by no two digits".to_owned()),
                }
            }
            octet
                if octet.is_ascii_alphanumeric()
                    || b"-_.~!$'()*+".contains(&octet)
                    || also.contains(&octet) =>
            {
                decoded.push(octet);
            }
            octet if !octet.is_ascii() => decoded.push(octet),
            octet => {
                return Err(format!(
                    "invalid character '{}' in a mailto URI",
                    char::from(octet).escape_debug()
                ));
            }
        }
    }
    let decoded = String::from_utf8(decoded).map_err(|_| "a mailto URI is not valid UTF-8".to_owned())?;
    if decoded.contains('\0') {
        return Err("a mailto URI has no NUL characters".to_owned());
    }
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_taken_apart() {
        let uri = "mailto:stephan@example.com%2cstephan@example.org?subject=Important%20message&Cc=a@b.example&X-A=b";
        let mailto = Mailto::parse(uri, AddressForm::Ascii).unwrap();
        assert_eq!(mailto.recipients().len(), 3);
        assert_eq!(mailto.subject.as_deref(), Some("Important message"));
        assert_eq!(mailto.fields, [("X-A".to_owned(), "b".to_owned())]);
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for uri in [
            "snailto:a@b.example",
            "mailto:a@b.example;?header=frop",
            "mailto:a@b.example?header<=frop",
            "mailto:a@b.example?header=fr>op",
            "mailto:a@b.example?header:=frop",
            "mailto:a%23b.example",
            "mailto:a@b.example?to=nico%23frop.example",
            "mailto:a@b.example?subject=%4",
            "mailto:a@b.example?subject=%ff",
        ] {
            assert!(Mailto::parse(uri, AddressForm::Ascii).is_err(), "{uri}");
        }
    }

    #[test]
    fn a_uri_has_few_recipients() {
        let uri = |count: usize| format!("mailto:{}", vec!["a@b.example"; count].join(","));
        assert!(Mailto::parse(&uri(MAILTO_RECIPIENTS_MAX), AddressForm::Ascii).is_ok());
        assert!(Mailto::parse(&uri(MAILTO_RECIPIENTS_MAX + 1), AddressForm::Ascii).is_err());
    }

    #[test]
    fn fields_of_the_system_are_left_out() {
        let uri = "mailto:a@b.example?from=x@y.example&list-id=x&auto-submitted=no&Content-Type=text/html";
        assert!(Mailto::parse(uri, AddressForm::Ascii).unwrap().fields.is_empty());
    }
}

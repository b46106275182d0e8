//! Addresses as people and protocols write them, one at a time: paths of the envelope (RFC 5321 §4.1.2) and the mailbox
//! a script sends to (RFC 5322 §3.4).

use mail_types::Address;

use crate::message::AddressForm;

/// A path of the envelope.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Path {
    /// `<>`
    Null,
    /// A name without a domain, `MAILER-DAEMON` or a user who authenticated.
    User(String),
    /// Local part, quotes removed, and domain.
    Mailbox(String, String),
    Invalid,
}

/// Reads a path, with or without its angle brackets; source routes are left out.
pub(crate) fn parse(text: &str, form: AddressForm) -> Path {
    let text = text.trim();
    let inner = match text.strip_prefix('<') {
        Some(rest) => match rest.strip_suffix('>') {
            Some(inner) => inner,
            None => return Path::Invalid,
        },
        None => text,
    };
    if inner.is_empty() {
        return Path::Null;
    }
    let Some(inner) = without_route(inner, form) else { return Path::Invalid };
    let mut reader = Reader { rest: inner, form };
    let Some(local) = reader.local_part() else { return Path::Invalid };
    if reader.rest.is_empty() && !local.is_empty() {
        return Path::User(local);
    }
    let domain = reader.rest.strip_prefix('@').filter(|domain| is_domain(domain, form));
    match domain {
        Some(domain) => Path::Mailbox(local, domain.to_owned()),
        None => Path::Invalid,
    }
}

fn without_route(text: &str, form: AddressForm) -> Option<&str> {
    if !text.starts_with('@') {
        return Some(text);
    }
    let (route, rest) = text.split_once(':')?;
    let is_valid =
        route.split(',').all(|hop| hop.strip_prefix('@').is_some_and(|domain| is_domain(domain, form)));
    is_valid.then_some(rest)
}

/// A mailbox to send something to, or from: `ann@example.org` or `Ann <ann@example.org>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recipient {
    pub(crate) name: Option<String>,
    pub(crate) address: Address,
}

/// Reads exactly one mailbox, strictly.
pub(crate) fn recipient(text: &str, form: AddressForm) -> Option<Recipient> {
    let mut reader = Reader { rest: text, form };
    reader.skip_blanks()?;
    let (name, inner) = match reader.address() {
        Some(address) if reader.skip_blanks().is_some() && reader.rest.is_empty() => (None, address),
        _ => {
            // A name may have any letters, whatever an address may.
            let mut reader = Reader { rest: text, form: AddressForm::International };
            let name = reader.phrase()?;
            reader.form = form;
            reader.rest = reader.rest.strip_prefix('<')?;
            reader.skip_blanks()?;
            let address = reader.address()?;
            reader.skip_blanks()?;
            reader.rest = reader.rest.strip_prefix('>')?;
            reader.skip_blanks()?;
            if !reader.rest.is_empty() {
                return None;
            }
            (Some(name).filter(|name| !name.is_empty()), address)
        }
    };
    let (local, domain) = inner;
    let domain = match domain.starts_with('[') {
        true => mail_types::AddressDomain::Literal(mail_types::AddressLiteral::parse(&domain).ok()?),
        false => mail_types::AddressDomain::Name(mail_types::DomainName::parse(&domain).ok()?),
    };
    Some(Recipient { name, address: Address::new(&local, domain).ok()? })
}

struct Reader<'a> {
    rest: &'a str,
    form: AddressForm,
}

impl Reader<'_> {
    /// Blanks and comments; `None` if a comment is never closed.
    fn skip_blanks(&mut self) -> Option<()> {
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
            let Some(comment) = self.rest.strip_prefix('(') else { return Some(()) };
            let mut depth = 1_usize;
            let mut characters = comment.char_indices();
            loop {
                match characters.next()? {
                    (_, '\\') => drop(characters.next()),
                    (_, '(') => depth += 1,
                    (_, ')') => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
            }
            self.rest = characters.as_str();
        }
    }

    fn quoted_string(&mut self) -> Option<String> {
        let mut text = String::new();
        let mut characters = self.rest.strip_prefix('"')?.chars();
        loop {
            match characters.next()? {
                '"' => break,
                '\\' => text.push(characters.next()?),
                character if character.is_control() => return None,
                character => text.push(character),
            }
        }
        self.rest = characters.as_str();
        Some(text)
    }

    /// A dot-string, dots anywhere as Japanese telephones have them, or a quoted one.
    fn local_part(&mut self) -> Option<String> {
        if self.rest.starts_with('"') {
            return self.quoted_string();
        }
        let form = self.form;
        let end = self.rest.find(|c| !(is_atom(c, form) || c == '.')).unwrap_or(self.rest.len());
        let (local, rest) = self.rest.split_at(end);
        self.rest = rest;
        (!local.is_empty()).then(|| local.to_owned())
    }

    /// Local part and domain.
    fn address(&mut self) -> Option<(String, String)> {
        let local = self.local_part()?;
        self.skip_blanks()?;
        self.rest = self.rest.strip_prefix('@')?;
        self.skip_blanks()?;
        let is_literal = self.rest.starts_with('[');
        let end = match is_literal {
            true => self.rest.find(']')? + 1,
            false => self.rest.find(|c: char| " \t\r\n<>(),;:".contains(c)).unwrap_or(self.rest.len()),
        };
        let (domain, rest) = self.rest.split_at(end);
        self.rest = rest;
        is_domain(domain, self.form).then(|| (local, domain.to_owned()))
    }

    /// Words before an angle bracket.
    fn phrase(&mut self) -> Option<String> {
        let mut words: Vec<String> = Vec::new();
        loop {
            self.skip_blanks()?;
            match self.rest.chars().next()? {
                '<' => return Some(words.join(" ")),
                '"' => words.push(self.quoted_string()?),
                // RFC 5322 §4.1: dots in phrases are obsolete and everywhere.
                _ => words.push(self.local_part()?),
            }
        }
    }
}

fn is_atom(character: char, form: AddressForm) -> bool {
    character.is_ascii_alphanumeric()
        || "!#$%&'*+-/=?^_`{|}~".contains(character)
        || (form == AddressForm::International && !character.is_ascii() && !character.is_control())
}

/// Labels with dots between them, none empty; or an address literal.
fn is_domain(domain: &str, form: AddressForm) -> bool {
    if let Some(literal) = domain.strip_prefix('[') {
        return literal.ends_with(']');
    }
    !domain.is_empty()
        && domain.split('.').all(|label| {
            !label.is_empty()
                && label.chars().all(|c| {
                    c.is_ascii_alphanumeric()
                        || "-_".contains(c)
                        || (form == AddressForm::International && !c.is_ascii() && !c.is_control())
                })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent_to(text: &str) -> Option<String> {
        recipient(text, AddressForm::Ascii).map(|recipient| recipient.address.to_string())
    }

    #[test]
    fn one_mailbox_is_read_strictly() {
        for (text, address) in [
            ("Ok Good <stephan@example.org>", "stephan@example.org"),
            (" more  @  example.com  ", "more@example.com"),
            ("..japanese...localpart..@example.com", "..japanese...localpart..@example.com"),
            ("\"S[r]us\"@example.net", "\"S[r]us\"@example.net"),
            ("\"S. Bosch\" <\"S.Bosch\"@example.net>", "S.Bosch@example.net"),
            ("ann(the author)@example.org (Ann)", "ann@example.org"),
        ] {
            assert_eq!(sent_to(text).as_deref(), Some(address), "{text}");
        }
        for text in [
            "@wrong.example.com",
            "error",
            "error@",
            "Stephan Bosch error@example.org",
            "Stephan Bosch <error@example.org",
            " more error @  example.com  ",
            "@",
            "<>",
            "Error <",
            "a@example.org,b@example.net",
            "rüdiger@example.com",
            "a@example.org; b@example.net",
        ] {
            assert_eq!(sent_to(text), None, "{text}");
        }
        assert!(recipient("rüdiger@example.com", AddressForm::International).is_some());
    }

    #[test]
    fn paths_are_read_as_they_come() {
        let read = |text: &str| match parse(text, AddressForm::Ascii) {
            Path::Mailbox(local, domain) => format!("{local}@{domain}"),
            other => format!("{other:?}"),
        };
        assert_eq!(read("<@cola.example.org,@mx.example.net:ann@example.org>"), "ann@example.org");
        assert_eq!(read("ann@_example.com"), "ann@_example.com");
        assert_eq!(read(""), "Null");
        assert_eq!(read("<>"), "Null");
        assert_eq!(read("<MAILER-DAEMON>"), "User(\"MAILER-DAEMON\")");
        for text in ["hutsefluts@", "<<a@b.c>", "a@b.c>", "<a@b.c", "<a b.c>", "<a@@b.c>", "<@a..nl:a@b.c>"] {
            assert_eq!(read(text), "Invalid", "{text}");
        }
    }
}

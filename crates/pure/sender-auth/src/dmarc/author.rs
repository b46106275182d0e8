//! Whose name a message bears: the domains of its From field (RFC 9989 §5.3.1). What a reader may see and we cannot read is
//! counted, never passed over: a message with it never passes.

use mail_types::DomainName;
use message::{Addressee, fields, parse_addresses};

/// Different domains of authors that are judged. Mail with more is no letter of anybody's.
pub const AUTHOR_DOMAINS_MAX: usize = 4;
/// From fields that are looked at; the second one is one too many already.
const FIELDS_MAX: usize = 4;
/// Authors that are looked at.
const AUTHORS_MAX: usize = 100;
/// Octets of one From field that are looked at: 100 authors with long names fit in.
const FIELD_OCTETS_MAX: usize = 64 * 1_024;

/// What is wrong with how a message names its author.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum AuthorFault {
    /// No From field, or nobody's domain in it: groups without members, names without addresses.
    NoDomain,
    /// More than one From field: each reader picks another (RFC 5322 §3.6 allows one).
    SeveralFields,
    /// An author whose domain is no domain name: an address literal, a broken or forbidden name, octets that are not
    /// text.
    Unreadable,
    /// More than [`AUTHOR_DOMAINS_MAX`] domains, or more than can be looked at.
    TooMany,
}

/// The domains of a message's authors.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuthorDomains {
    domains: Vec<DomainName>,
    fault: Option<AuthorFault>,
}

impl AuthorDomains {
    /// Reads them from a header.
    #[must_use]
    pub fn of_header(header: &[u8]) -> Self {
        Self::of_fields(fields(header).filter(|field| field.is_named("From")).map(|field| field.value))
    }

    /// Reads them from the values of all From fields of a message.
    #[must_use]
    pub fn of_fields<'f>(values: impl IntoIterator<Item = &'f [u8]>) -> Self {
        let mut authors = Self { domains: Vec::new(), fault: None };
        for (index, value) in values.into_iter().enumerate() {
            if index > 0 {
                authors.note(AuthorFault::SeveralFields);
            }
            if index >= FIELDS_MAX {
                authors.note(AuthorFault::TooMany);
                break;
            }
            authors.take_field(value);
        }
        if authors.domains.is_empty() {
            authors.fault.get_or_insert(AuthorFault::NoDomain);
        }
        authors
    }

    /// The different domains, in the order in which they stand there.
    #[must_use]
    pub fn domains(&self) -> &[DomainName] {
        &self.domains
    }

    /// What is wrong, the worst of it.
    #[must_use]
    pub fn fault(&self) -> Option<AuthorFault> {
        self.fault
    }

    /// The one domain of a message that has one author's domain and nothing wrong about it.
    #[must_use]
    pub fn only(&self) -> Option<&DomainName> {
        match (self.domains.as_slice(), self.fault) {
            ([only], None) => Some(only),
            _ => None,
        }
    }

    fn note(&mut self, fault: AuthorFault) {
        self.fault = self.fault.max(Some(fault));
    }

    fn take_field(&mut self, value: &[u8]) {
        if value.len() > FIELD_OCTETS_MAX {
            self.note(AuthorFault::TooMany);
        }
        let value = value.get(..FIELD_OCTETS_MAX).unwrap_or(value);
        let authors = parse_addresses(value, AUTHORS_MAX + 1);
        if authors.len() > AUTHORS_MAX {
            self.note(AuthorFault::TooMany);
        }
        for author in authors.iter().take(AUTHORS_MAX) {
            let Addressee::Mailbox { local_part, domain, .. } = author else { continue };
            match (domain.as_slice(), local_part.contains(&b'@')) {
                // A comma in a name that nobody quoted: `Doe, Ann <ann@example.org>`.
                ([], false) => {}
                ([], true) => self.note(AuthorFault::Unreadable),
                (domain, _) => self.take_domain(domain),
            }
        }
    }

    fn take_domain(&mut self, domain: &[u8]) {
        let domain = std::str::from_utf8(domain).ok().and_then(|text| DomainName::parse(text).ok());
        match domain {
            None => self.note(AuthorFault::Unreadable),
            Some(domain) if self.domains.contains(&domain) => {}
            Some(_) if self.domains.len() >= AUTHOR_DOMAINS_MAX => self.note(AuthorFault::TooMany),
            Some(domain) => self.domains.push(domain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &str, domains: &[&str], fault: Option<AuthorFault>) {
        let authors = AuthorDomains::of_header(header.as_bytes());
        let found: Vec<&str> = authors.domains().iter().map(DomainName::as_str).collect();
        assert_eq!((found.as_slice(), authors.fault()), (domains, fault), "{header}");
    }

    #[test]
    fn one_author() {
        check("From: Ann <ann@Example.ORG>\r\n\r\nFrom: x@evil.example", &["example.org"], None);
        check("from : ann@example.org (Ann)\nTo: b@c", &["example.org"], None);
        check("From: Doe, Ann <ann@example.org>", &["example.org"], None);
        check("From: a@example.org, b@EXAMPLE.org", &["example.org"], None);
        check("From: \"ceo@bank.example\" <a@example.org>", &["example.org"], None);
        check("From: <@relay.example:a@example.org>", &["example.org"], None);
        check("From: team: a@example.org;", &["example.org"], None);
        check("From: a@b\u{fc}cher.example", &["xn--bcher-kva.example"], None);
    }

    #[test]
    fn several_authors() {
        check("From: a@one.example, b@two.example", &["one.example", "two.example"], None);
        // What was meant as a name is an address to some readers.
        check("From: a@one.example <b@two.example>", &["one.example", "two.example"], None);
        check("From: <a@one.example> <b@two.example>", &["one.example", "two.example"], None);
        check("From: a@one.example@two.example", &["one.example", "two.example"], None);
        let fault = Some(AuthorFault::SeveralFields);
        check("From: a@one.example\nFrom: b@two.example", &["one.example", "two.example"], fault);
        check("From: a@one.example\nFROM : a@one.example", &["one.example"], fault);
        check("From:\nFrom: a@one.example", &["one.example"], fault);
    }

    #[test]
    fn nobody() {
        for header in ["", "To: a@b", "From:", "From: undisclosed:;", "From: Ann", "From: <>"] {
            check(header, &[], Some(AuthorFault::NoDomain));
        }
    }

    #[test]
    fn what_cannot_be_read_is_counted() {
        let fault = Some(AuthorFault::Unreadable);
        check("From: a@[192.0.2.1]", &[], fault);
        check("From: a@exa..mple.org", &[], fault);
        check("From: a@xn--a", &[], fault);
        check("From: \"ceo@bank.example\", b@one.example", &["one.example"], fault);
        check("From: a@one.example, b@[192.0.2.1]", &["one.example"], fault);
        let authors = AuthorDomains::of_header(b"From: a@b\xfccher.example");
        assert_eq!(authors.fault(), fault);
        assert_eq!(authors.only(), None);
    }

    #[test]
    fn authors_are_bounded() {
        let list = |count: usize| {
            let authors: Vec<String> = (0..count).map(|number| format!("a@d{number}.example")).collect();
            AuthorDomains::of_header(format!("From: {}", authors.join(", ")).as_bytes())
        };
        for count in [AUTHOR_DOMAINS_MAX - 1, AUTHOR_DOMAINS_MAX, AUTHOR_DOMAINS_MAX + 1] {
            let authors = list(count);
            assert_eq!(authors.domains().len(), count.min(AUTHOR_DOMAINS_MAX));
            assert_eq!(authors.fault().is_some(), count > AUTHOR_DOMAINS_MAX);
        }
        for count in [AUTHORS_MAX - 1, AUTHORS_MAX, AUTHORS_MAX + 1] {
            let authors =
                AuthorDomains::of_header(format!("From: {}", "a@b.example,".repeat(count)).as_bytes());
            assert_eq!(authors.fault().is_some(), count > AUTHORS_MAX, "{count}");
        }
        for count in [FIELDS_MAX - 1, FIELDS_MAX, FIELDS_MAX + 1] {
            let authors = AuthorDomains::of_fields(vec![&b"a@b.example"[..]; count]);
            assert_eq!(authors.fault() == Some(AuthorFault::TooMany), count > FIELDS_MAX);
        }
        for padding in [-1_isize, 0, 1] {
            let blanks = FIELD_OCTETS_MAX.checked_add_signed(padding).unwrap() - "a@b.example".len();
            let value = format!("a@b.example{}", " ".repeat(blanks));
            assert_eq!(AuthorDomains::of_fields([value.as_bytes()]).fault().is_some(), padding > 0);
        }
    }
}

//! Parts of addresses that tests look at (RFC 5228 §2.7.4, RFC 5233), and the addresses of fields and envelopes.

use message::{Addressee, parse_addresses};

use crate::dialect::AddressForm;
use crate::dialect::Extension as E;
use crate::node::Node;
use crate::spec::Tag;

/// The tags of tests that look at addresses.
pub(crate) const ADDRESS_PART: &[Tag] = &[
    Tag::plain("all").of("address part"),
    Tag::plain("localpart").of("address part"),
    Tag::plain("domain").of("address part"),
    Tag::plain("user").of("address part").needs(E::SubAddress),
    Tag::plain("detail").of("address part").needs(E::SubAddress),
];

/// Most addresses of one field that are looked at.
pub(crate) const ADDRESSES_MAX: usize = 10_000;

/// Which part of an address a test looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum AddressPart {
    #[default]
    All,
    LocalPart,
    Domain,
    User,
    Detail,
}

impl AddressPart {
    /// What the tags of a test say.
    pub(crate) fn of(node: &Node) -> AddressPart {
        let parts = [
            ("localpart", AddressPart::LocalPart),
            ("domain", AddressPart::Domain),
            ("user", AddressPart::User),
            ("detail", AddressPart::Detail),
        ];
        parts.into_iter().find(|(tag, _)| node.has(tag)).map_or(AddressPart::All, |(_, part)| part)
    }

    /// The part of a valid address, or of what is no address at all; `None` if it has no such part.
    pub(crate) fn of_address<'a>(self, address: &'a Mailbox, delimiters: &str) -> Option<&'a str> {
        let at = match (self, address.at) {
            (AddressPart::All, _) => return Some(&address.text),
            (_, None) => return None,
            (_, Some(at)) => at,
        };
        let (local, domain) = address.text.split_at_checked(at)?;
        let detail = local.find(|character| delimiters.contains(character));
        match self {
            AddressPart::All | AddressPart::LocalPart => Some(local),
            AddressPart::Domain => Some(domain.strip_prefix('@').unwrap_or(domain)),
            AddressPart::User => Some(detail.and_then(|at| local.get(..at)).unwrap_or(local)),
            AddressPart::Detail => {
                let detail = detail?;
                let delimiter = local.get(detail..)?.chars().next()?.len_utf8();
                local.get(detail + delimiter..)
            }
        }
    }
}

/// An address as tests see it, quotes and comments gone; or what stands there instead of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mailbox {
    pub(crate) text: Box<str>,
    /// Where the local part ends; `None` if it is not valid.
    pub(crate) at: Option<usize>,
}

impl Mailbox {
    pub(crate) fn new(local: &str, domain: &str) -> Mailbox {
        let text = if domain.is_empty() { local.to_owned() } else { format!("{local}@{domain}") };
        Mailbox { text: text.into(), at: Some(local.len()) }
    }

    fn invalid(text: &str) -> Mailbox {
        Mailbox { text: text.into(), at: None }
    }
}

/// The addresses of one field; a field with something else than addresses is one invalid address.
pub(crate) fn addresses(value: &[u8], form: AddressForm) -> Vec<Mailbox> {
    let text = || String::from_utf8_lossy(value.trim_ascii()).into_owned();
    if form == AddressForm::Ascii && !value.is_ascii() {
        return vec![Mailbox::invalid(&text())];
    }
    let mut found = Vec::new();
    let mut groups = 0;
    for addressee in parse_addresses(value, ADDRESSES_MAX) {
        match addressee {
            Addressee::Mailbox { local_part, domain, .. } if local_part.is_empty() || domain.is_empty() => {
                return vec![Mailbox::invalid(&text())];
            }
            Addressee::Mailbox { local_part, domain, .. } => {
                let string = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
                found.push(Mailbox::new(&string(&local_part), &string(&domain)));
            }
            Addressee::GroupStart { .. } | Addressee::GroupEnd => groups += 1,
        }
    }
    if found.is_empty() && groups == 0 {
        found.push(Mailbox::invalid(&text()));
    }
    found
}

//! Parts of addresses that tests look at (RFC 5228 §2.7.4, RFC 5233).

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

    /// The part of an address, whose local part and domain are given if it is valid; `None` if it has no such part.
    pub(crate) fn of_address<'a>(
        self,
        all: &'a str,
        parts: Option<(&'a str, &'a str)>,
        delimiters: &str,
    ) -> Option<&'a str> {
        if self == AddressPart::All {
            return Some(all);
        }
        let (local, domain) = parts?;
        let detail = local.find(|character| delimiters.contains(character));
        match self {
            AddressPart::All | AddressPart::LocalPart => Some(local),
            AddressPart::Domain => Some(domain),
            AddressPart::User => Some(detail.and_then(|at| local.get(..at)).unwrap_or(local)),
            AddressPart::Detail => {
                let detail = local.get(detail?..)?;
                detail.get(detail.chars().next()?.len_utf8()..)
            }
        }
    }
}

//! Aliases: addresses whose mail goes to other addresses.

use std::fmt;

use mail_types::{Address, DomainName};

/// Most targets of one alias.
pub const ALIAS_TARGETS_MAX: usize = 500;

/// An alias with all its targets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alias {
    /// What is aliased.
    pub source: AliasSource,
    /// Where the mail goes, in the order the targets were added.
    pub targets: Vec<AliasTarget>,
}

/// What is aliased.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum AliasSource {
    /// One address, local part in lower case. Wins over an account of the same address, unless it lists itself.
    Address(Address),
    /// `@domain`: every address of the domain that is nothing else.
    CatchAll(DomainName),
}

/// Where an alias's mail goes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum AliasTarget {
    /// An address, here or elsewhere.
    Address(Address),
    /// `@domain`: the same local part in another domain.
    SameLocalPart(DomainName),
    /// `/dev/null` or `:discard:`: accepted and thrown away.
    Discard,
}

/// Why an alias cannot be.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AliasError {
    /// Neither an address nor `@domain` (nor, for a target, a discard).
    #[error("{0:?} is neither an address nor @domain")]
    BadText(String),
    /// Mail would go round in a circle.
    #[error("mail for {0} would only come back to it, or lead to too many addresses")]
    Loop(AliasSource),
    /// More targets than one alias may have.
    #[error("an alias has at most {ALIAS_TARGETS_MAX} targets; nest aliases for more")]
    TooMany,
    /// An alias without targets would lose mail.
    #[error("an alias needs a target")]
    NoTarget,
}

/// The form by which addresses are found, if it can be a name of ours: behind the `@` stands a domain name, and every
/// host takes the local part, in lower case too. Unicode has letters that grow.
pub(crate) fn to_keepable(address: &Address) -> Option<Address> {
    address.domain_name()?;
    let canonical = address.to_canonical();
    (address.is_taken_everywhere() && canonical.is_taken_everywhere()).then_some(canonical)
}

impl AliasSource {
    /// Reads `local@domain` or `@domain`.
    ///
    /// # Errors
    /// [`AliasError::BadText`] for anything else.
    pub fn parse(text: &str) -> Result<Self, AliasError> {
        let bad = || AliasError::BadText(text.to_owned());
        if let Some(domain) = text.strip_prefix('@') {
            return DomainName::parse(domain).map(Self::CatchAll).map_err(|_| bad());
        }
        let address = Address::parse(text).map_err(|_| bad())?;
        Self::Address(address).to_canonical().ok_or_else(bad)
    }

    /// The domain the alias belongs to; `None` for an address literal, which cannot be aliased.
    #[must_use]
    pub fn domain(&self) -> Option<&DomainName> {
        match self {
            Self::CatchAll(domain) => Some(domain),
            Self::Address(address) => address.domain_name(),
        }
    }

    /// The form by which aliases are found: local part in lower case. `None` for what cannot be aliased.
    pub(crate) fn to_canonical(&self) -> Option<Self> {
        match self {
            Self::CatchAll(_) => Some(self.clone()),
            Self::Address(address) => to_keepable(address).map(Self::Address),
        }
    }
}

impl AliasTarget {
    /// Reads `local@domain`, `@domain`, `/dev/null` or `:discard:`.
    ///
    /// # Errors
    /// [`AliasError::BadText`] for anything else.
    pub fn parse(text: &str) -> Result<Self, AliasError> {
        let bad = || AliasError::BadText(text.to_owned());
        if text == "/dev/null" || text.eq_ignore_ascii_case(":discard:") {
            return Ok(Self::Discard);
        }
        if let Some(domain) = text.strip_prefix('@') {
            return DomainName::parse(domain).map(Self::SameLocalPart).map_err(|_| bad());
        }
        Address::parse(text).map(Self::Address).map_err(|_| bad())
    }

    /// Whether it is this address, in any case; `address` is canonical.
    pub(crate) fn is_address(&self, address: &Address) -> bool {
        matches!(self, Self::Address(own) if own.to_canonical() == *address)
    }

    /// Whether both lead to the same place.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match other {
            Self::Address(address) => self.is_address(&address.to_canonical()),
            _ => self == other,
        }
    }
}

impl fmt::Display for AliasSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => fmt::Display::fmt(address, f),
            Self::CatchAll(domain) => write!(f, "@{domain}"),
        }
    }
}

impl fmt::Display for AliasTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => fmt::Display::fmt(address, f),
            Self::SameLocalPart(domain) => write!(f, "@{domain}"),
            Self::Discard => f.write_str(":discard:"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_read_back_as_written() {
        for text in ["ann@example.org", "@example.org", "\"a b\"@example.org"] {
            assert_eq!(AliasSource::parse(text).unwrap().to_string(), text);
            assert_eq!(AliasTarget::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(AliasSource::parse("Ann@Example.ORG").unwrap().to_string(), "ann@example.org");
        assert_eq!(AliasTarget::parse("Ann@Example.ORG").unwrap().to_string(), "Ann@example.org");
        for text in ["/dev/null", ":discard:", ":Discard:"] {
            assert_eq!(AliasTarget::parse(text), Ok(AliasTarget::Discard));
        }
    }

    #[test]
    fn texts_that_are_neither_address_nor_domain_are_refused() {
        for text in ["", "@", "ann", "@a b", "/etc/passwd", "|command", ":include:/x"] {
            assert!(AliasSource::parse(text).is_err(), "{text}");
            assert!(AliasTarget::parse(text).is_err(), "{text}");
        }
        assert!(AliasSource::parse("ann@[192.0.2.1]").is_err());
        for (octets, fits) in [(63, true), (64, true), (65, false)] {
            let address = format!("{}@example.org", "a".repeat(octets));
            assert_eq!(AliasSource::parse(&address).is_ok(), fits, "{octets}");
            // Where it leads is for the host there to say.
            assert!(AliasTarget::parse(&address).is_ok(), "{octets}");
        }
        // 64 octets that become 96 in lower case.
        assert!(AliasSource::parse(&format!("{}@example.org", "Ⱥ".repeat(32))).is_err());
        assert!(AliasTarget::parse("ann@[192.0.2.1]").is_ok());
    }

    #[test]
    fn targets_are_the_same_in_any_case() {
        let target = |text| AliasTarget::parse(text).unwrap();
        assert!(target("ann@example.org").is_same(&target("Ann@example.org")));
        assert!(!target("ann@example.org").is_same(&target("@example.org")));
        assert!(target("/dev/null").is_same(&target(":discard:")));
    }
}

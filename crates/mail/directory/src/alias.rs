//! Aliases: addresses whose mail goes to other addresses.

use std::fmt;

use mail_types::{Address, DomainName};

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
    #[error("{0} would come back to itself")]
    Loop(Address),
    /// More targets, or a deeper nesting, than an alias may have.
    #[error("the alias leads to too many targets")]
    TooMany,
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
        address.domain_name().ok_or_else(bad)?;
        Ok(Self::Address(address.to_canonical()))
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

//! Whom our own mail comes from. It has the null reverse-path, so that DKIM alone can tell whose it is: the author is one
//! whose domain's keys sign it.

use directory::Directory;
use mail_types::{Address, AddressDomain, DomainName};

use crate::inspect::watch::keys_for;

/// Whom reports come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ReportAuthor {
    /// Whom the operator names.
    Named(Address),
    /// This one, as long as its domain's keys or those of a domain above it can sign; else a postmaster of ours who can.
    Postmaster(Address),
}

/// The postmaster of the first of these domains, and after them of all of ours, whose mail can be signed; none where
/// nobody's can.
#[must_use]
pub fn postmaster_who_signs<'a>(
    directory: &Directory,
    preferred: impl Iterator<Item = &'a DomainName>,
) -> Option<Address> {
    let ours = directory.domains().into_iter().map(|domain| domain.name);
    let mut candidates = preferred.cloned().chain(ours);
    let domain = candidates.find(|domain| !keys_for(directory, domain).is_empty())?;
    Address::new("postmaster", AddressDomain::Name(domain)).ok()
}

//! The built-in rules that are judged from a message itself, a file for each family.

mod language;
mod likeness;

use std::borrow::Cow;

use mail_types::DomainName;

pub use language::Language;
pub(crate) use likeness::skeleton;

/// A domain as people read it: names in foreign letters as those letters.
pub(crate) fn domain_text(domain: &str) -> Cow<'_, str> {
    if !domain.contains("xn--") {
        return Cow::Borrowed(domain);
    }
    DomainName::parse(domain).map_or(Cow::Borrowed(domain), |name| Cow::Owned(name.to_unicode()))
}

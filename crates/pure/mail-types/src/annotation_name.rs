//! Names of annotations of mailboxes and of the server (RFC 5464 §3.2, which calls them entries): a path that begins with
//! `/private` or `/shared`, without regard to case.

use std::fmt;

/// Longest name in octets. RFC 5464 sets no bound; names in use have some sixty.
pub const ANNOTATION_NAME_OCTETS_MAX: usize = 512;

/// Why a text names no annotation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AnnotationNameError {
    /// Over 512 octets.
    #[error("an annotation's name has at most 512 octets")]
    TooLong,
    /// Neither private nor shared.
    #[error("an annotation's name begins with /private/ or /shared/")]
    NoScope,
    /// Two slashes in a row, or one at the end.
    #[error("an annotation's name has no empty parts")]
    EmptyPart,
    /// Wildcards, control characters, and all beyond US-ASCII.
    #[error("an annotation's name has neither wildcards nor control characters, and is in US-ASCII")]
    BadCharacter,
}

/// The name of an annotation, in small letters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AnnotationName(Box<str>);

impl AnnotationName {
    /// Reads a name. `/private` and `/shared` alone are read, too: they name no annotation, but all that are under them.
    ///
    /// # Errors
    /// [`AnnotationNameError`] says which rule the text breaks.
    pub fn parse(text: &str) -> Result<Self, AnnotationNameError> {
        if text.len() > ANNOTATION_NAME_OCTETS_MAX {
            return Err(AnnotationNameError::TooLong);
        }
        if !text.bytes().all(|octet| matches!(octet, b' '..=b'~') && !matches!(octet, b'*' | b'%')) {
            return Err(AnnotationNameError::BadCharacter);
        }
        let name = text.to_ascii_lowercase();
        let mut parts = name.split('/');
        if parts.next() != Some("") || !matches!(parts.next(), Some("private" | "shared")) {
            return Err(AnnotationNameError::NoScope);
        }
        if parts.any(str::is_empty) {
            return Err(AnnotationNameError::EmptyPart);
        }
        Ok(Self(name.into()))
    }

    /// The name before all others in their order: `/private`.
    #[must_use]
    pub fn first() -> Self {
        Self("/private".into())
    }

    /// The name in small letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is `/private` or `/shared` alone, which can have no value.
    #[must_use]
    pub fn is_scope(&self) -> bool {
        !self.0.get(1..).is_some_and(|rest| rest.contains('/'))
    }

    /// How many parts deeper than another name this one is; `None` if it is not under it.
    #[must_use]
    pub fn depth_under(&self, other: &Self) -> Option<usize> {
        let below = self.0.strip_prefix(&*other.0)?;
        (below.is_empty() || below.starts_with('/')).then(|| below.matches('/').count())
    }
}

impl fmt::Display for AnnotationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AnnotationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AnnotationName({:?})", &*self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> AnnotationName {
        AnnotationName::parse(text).unwrap()
    }

    #[test]
    fn names_are_told_apart_without_regard_to_case() {
        assert_eq!(name("/Shared/Comment"), name("/shared/comment"));
        assert_eq!(name("/PRIVATE/vendor/x y").as_str(), "/private/vendor/x y");
        assert!(name("/private").is_scope() && !name("/private/a").is_scope());
    }

    #[test]
    fn bad_names_are_refused() {
        for (text, error) in [
            ("", AnnotationNameError::NoScope),
            ("/", AnnotationNameError::NoScope),
            ("/public/a", AnnotationNameError::NoScope),
            ("private/a", AnnotationNameError::NoScope),
            ("/privates/a", AnnotationNameError::NoScope),
            ("/private/", AnnotationNameError::EmptyPart),
            ("/private//a", AnnotationNameError::EmptyPart),
            ("/private/a/", AnnotationNameError::EmptyPart),
            ("/private/*", AnnotationNameError::BadCharacter),
            ("/private/%", AnnotationNameError::BadCharacter),
            ("/private/\t", AnnotationNameError::BadCharacter),
            ("/private/\u{e9}", AnnotationNameError::BadCharacter),
        ] {
            assert_eq!(AnnotationName::parse(text), Err(error), "{text:?}");
        }
        for (octets, fits) in [(511, true), (512, true), (513, false)] {
            let text = format!("/shared/{}", "a".repeat(octets - 8));
            assert_eq!(AnnotationName::parse(&text).is_ok(), fits, "{octets}");
        }
    }

    #[test]
    fn the_first_name_comes_before_all_others() {
        for text in ["/private/ ", "/private/a", "/shared", "/shared/a"] {
            assert!(AnnotationName::first() < name(text), "{text}");
        }
        assert_eq!(AnnotationName::parse("/private").unwrap(), AnnotationName::first());
    }

    #[test]
    fn depth_counts_parts() {
        let top = name("/shared/a");
        assert_eq!(name("/shared/a").depth_under(&top), Some(0));
        assert_eq!(name("/shared/a/b").depth_under(&top), Some(1));
        assert_eq!(name("/shared/a/b/c").depth_under(&top), Some(2));
        assert_eq!(name("/shared/ab").depth_under(&top), None);
        assert_eq!(name("/shared").depth_under(&top), None);
        assert_eq!(name("/private/a").depth_under(&top), None);
    }
}

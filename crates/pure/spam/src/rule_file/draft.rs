//! A rule of a file as it was read, before it is made ready to run.

use super::pattern::Source;
use super::read::Place;

/// A rule as it was read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Draft {
    pub(super) test: Test,
    pub(super) place: Place,
}

/// What a rule looks at.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Test {
    Header(HeaderTest),
    /// The same of the header of any part.
    PartHeader(HeaderTest),
    /// The subject and the text as it is shown, a paragraph at a time.
    Body(Source),
    /// The text without its encoding, markup and all.
    RawBody(Source),
    /// All octets as they came.
    Full(Source),
    /// Links, one at a time.
    Uri(Source),
    /// Other rules.
    Meta(String),
    /// A function of SpamAssassin's program.
    Function(String),
}

/// A test of a header field.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct HeaderTest {
    /// The field's name.
    pub(super) field: String,
    /// What stands behind colons: which of its forms is meant.
    pub(super) forms: Vec<String>,
    pub(super) kind: HeaderKind,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum HeaderKind {
    Exists,
    Matches { source: Source, is_negated: bool, if_unset: Option<Vec<u8>> },
}

impl HeaderTest {
    pub(super) fn exists(field: &str) -> HeaderTest {
        HeaderTest::new(field, HeaderKind::Exists)
    }

    pub(super) fn matches(
        field: &str,
        source: Source,
        is_negated: bool,
        if_unset: Option<Vec<u8>>,
    ) -> HeaderTest {
        HeaderTest::new(field, HeaderKind::Matches { source, is_negated, if_unset })
    }

    fn new(field: &str, kind: HeaderKind) -> HeaderTest {
        let mut pieces = field.trim().split(':').map(str::to_owned);
        let field = pieces.next().unwrap_or_default();
        HeaderTest { field, forms: pieces.filter(|form| !form.is_empty()).collect(), kind }
    }
}

impl Test {
    /// The pattern that tags may be replaced in.
    pub(super) fn source_mut(&mut self) -> Option<&mut Source> {
        match self {
            Test::Body(source) | Test::RawBody(source) | Test::Full(source) | Test::Uri(source) => {
                Some(source)
            }
            Test::Header(test) | Test::PartHeader(test) => match &mut test.kind {
                HeaderKind::Matches { source, .. } => Some(source),
                HeaderKind::Exists => None,
            },
            Test::Meta(_) | Test::Function(_) => None,
        }
    }
}

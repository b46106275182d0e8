//! The compiled form: a tree of commands and tests that knows what each of them is, with patterns made ready.

use crate::fault::Place;
use crate::matching::Matcher;
use crate::part::AddressPart;
use crate::spec::Spec;
use crate::text::Text;

/// A command or a test.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) spec: &'static Spec,
    pub(crate) place: Place,
    pub(crate) tags: Box<[(&'static str, Arg)]>,
    /// As many as the spec has; what may be left out is [`Arg::None`] then.
    pub(crate) args: Box<[Arg]>,
    pub(crate) tests: Box<[Node]>,
    pub(crate) block: Option<Box<[Node]>>,
    pub(crate) matcher: Option<Box<Matcher>>,
    pub(crate) part: AddressPart,
    /// An `ihave` that asks for what is not there.
    pub(crate) is_never: bool,
}

/// One argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Arg {
    None,
    Number(u64),
    Text(Text),
    List(Box<[Text]>),
}

impl Arg {
    /// The strings of a string or a list.
    pub(crate) fn texts(&self) -> &[Text] {
        match self {
            Arg::Text(text) => std::slice::from_ref(text),
            Arg::List(texts) => texts,
            Arg::None | Arg::Number(_) => &[],
        }
    }

    /// The one string.
    pub(crate) fn text(&self) -> Option<&Text> {
        self.texts().first()
    }

    /// The number.
    pub(crate) fn number(&self) -> Option<u64> {
        match self {
            Arg::Number(number) => Some(*number),
            _ => None,
        }
    }
}

impl Node {
    /// Whether it has the tag.
    pub(crate) fn has(&self, tag: &str) -> bool {
        self.tags.iter().any(|(name, _)| *name == tag)
    }

    /// The value of a tag.
    pub(crate) fn tag(&self, tag: &str) -> Option<&Arg> {
        self.tags.iter().find(|(name, _)| *name == tag).map(|(_, value)| value)
    }

    /// The argument at this place, counted from 0 over all that the spec has.
    pub(crate) fn arg(&self, index: usize) -> &Arg {
        self.args.get(index).unwrap_or(&Arg::None)
    }
}

//! What a command or a test looks like: its tags, its arguments, what may follow, what it does. A row for each.

use crate::compiler::Compiler;
use crate::dialect::Extension;
use crate::node::Node;
use crate::run::{Flow, Run, Stop};

/// A command or a test of the language.
pub(crate) struct Spec {
    pub(crate) name: &'static str,
    /// The extension that has it; the language itself if none.
    pub(crate) need: Option<Extension>,
    pub(crate) tags: &'static [&'static [Tag]],
    pub(crate) arguments: &'static [Positional],
    pub(crate) tests: Tests,
    pub(crate) block: Block,
    /// Looks at what the row cannot say; may make patterns ready.
    pub(crate) check: fn(&mut Compiler<'_>, &mut Node),
    pub(crate) action: Does,
}

impl std::fmt::Debug for Spec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// For people: the header test.
impl std::fmt::Display for Spec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the {} {}", self.name, self.kind())
    }
}

/// What it does when it is reached.
#[derive(Clone, Copy)]
pub(crate) enum Does {
    Command(fn(&mut Run<'_>, &Node) -> Result<Flow, Stop>),
    Test(fn(&mut Run<'_>, &Node) -> Result<bool, Stop>),
    If,
    Elsif,
    Else,
}

impl Spec {
    /// `test` or `command`, for people.
    pub(crate) fn kind(&self) -> &'static str {
        match self.action {
            Does::Test(_) => "test",
            _ => "command",
        }
    }
}

/// A row that others change a little.
pub(crate) const COMMAND: Spec = Spec {
    name: "",
    need: None,
    tags: &[],
    arguments: &[],
    tests: Tests::None,
    block: Block::None,
    check: |_, _| {},
    action: Does::Command(|_, _| Ok(Flow::On)),
};

/// A tag, with or without a value.
pub(crate) struct Tag {
    pub(crate) name: &'static str,
    pub(crate) need: Option<Extension>,
    pub(crate) value: Option<Kind>,
    /// Of tags of one group only one may stand.
    pub(crate) group: &'static str,
}

impl Tag {
    /// A tag of the row itself.
    pub(crate) const fn plain(name: &'static str) -> Tag {
        Tag { name, need: None, value: None, group: "" }
    }

    /// A tag with a value.
    pub(crate) const fn valued(name: &'static str, kind: Kind) -> Tag {
        Tag { name, need: None, value: Some(kind), group: "" }
    }

    /// Only with this extension.
    pub(crate) const fn needs(mut self, extension: Extension) -> Tag {
        self.need = Some(extension);
        self
    }

    /// Not beside others of the group.
    pub(crate) const fn of(mut self, group: &'static str) -> Tag {
        self.group = group;
        self
    }
}

/// An argument that has a fixed place.
pub(crate) struct Positional {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// May be left out; at most one of a row may.
    pub(crate) is_optional: bool,
}

impl Positional {
    pub(crate) const fn new(name: &'static str, kind: Kind) -> Positional {
        Positional { name, kind, is_optional: false }
    }

    pub(crate) const fn optional(name: &'static str, kind: Kind) -> Positional {
        Positional { name, kind, is_optional: true }
    }
}

/// Kinds of arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Number,
    String,
    /// A list, or one string for a list of one.
    Strings,
}

impl Kind {
    pub(crate) fn words(self) -> &'static str {
        match self {
            Kind::Number => "number",
            Kind::String => "string",
            Kind::Strings => "string list",
        }
    }
}

/// Which tests may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tests {
    None,
    One,
    List,
}

/// Whether a block follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    None,
    Needed,
}

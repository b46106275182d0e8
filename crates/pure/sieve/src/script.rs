//! A compiled script.

use std::collections::BTreeSet;

use crate::dialect::Extension;
use crate::fault::Fault;
use crate::node::Node;

/// A script, compiled: it can be run any number of times, by any number of threads.
#[derive(Debug)]
pub struct Script {
    pub(crate) nodes: Box<[Node]>,
    pub(crate) required: BTreeSet<Extension>,
    pub(crate) variables: Box<[Variable]>,
    pub(crate) octets: usize,
    pub(crate) warnings: Vec<Fault>,
}

/// A variable that a script mentions.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Variable {
    pub(crate) scope: Scope,
    /// In its scope.
    pub(crate) name: Box<str>,
    /// As the script writes it, in lower case.
    pub(crate) written: Box<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Local,
    /// Shared by the scripts of a run (RFC 6609 §3.4).
    Global,
    /// An item of the environment (vnd.dovecot.environment).
    Environment,
    /// What a file of tests knows of itself (vnd.dovecot.testsuite).
    Suite,
}

impl Script {
    /// The extensions it requires.
    pub fn requires(&self) -> impl Iterator<Item = Extension> {
        self.required.iter().copied()
    }

    /// Whether it may look into the message's body: whoever runs it had better have it at hand.
    #[must_use]
    pub fn reads_body(&self) -> bool {
        const READERS: [Extension; 7] = [
            Extension::Body,
            Extension::Mime,
            Extension::ForEveryPart,
            Extension::ExtractText,
            Extension::Replace,
            Extension::Enclose,
            Extension::DovecotFilter,
        ];
        READERS.iter().any(|extension| self.required.contains(extension))
    }

    /// What its writer had better know, although it is valid.
    #[must_use]
    pub fn warnings(&self) -> &[Fault] {
        &self.warnings
    }

    /// Whether another script says the same, wherever its words stand.
    #[must_use]
    pub fn is_same_program(&self, other: &Script) -> bool {
        self.required == other.required
            && self.variables == other.variables
            && are_same(&self.nodes, &other.nodes)
    }

    /// Octets of the text it was compiled from.
    #[must_use]
    pub fn octets(&self) -> usize {
        self.octets
    }
}

fn are_same(nodes: &[Node], others: &[Node]) -> bool {
    nodes.len() == others.len()
        && nodes.iter().zip(others).all(|(node, other)| {
            std::ptr::eq(node.spec, other.spec)
                && node.tags == other.tags
                && node.args == other.args
                && node.is_never == other.is_never
                && are_same(&node.tests, &other.tests)
                && match (&node.block, &other.block) {
                    (Some(block), Some(other)) => are_same(block, other),
                    (None, None) => true,
                    _ => false,
                }
        })
}

#[cfg(test)]
mod tests {
    use super::Script;

    #[test]
    fn scripts_are_shared_by_threads() {
        fn is_shared<T: Send + Sync>() {}
        is_shared::<Script>();
    }
}

//! What is wrong with a script, and where exactly.

use std::fmt;

/// Most faults told of one script: enough to mend it, not enough to drown in.
pub const FAULTS_MAX: usize = 64;

/// Octets of the words of one fault: scripts and messages may have long strings, which are repeated only in part.
pub const WORDS_OCTETS_MAX: usize = 400;

/// Makes words one line that is not too long, whatever of a script they repeat.
pub(crate) fn cut_words(mut words: String) -> String {
    if words.contains(char::is_control) {
        words = words.replace(char::is_control, " ");
    }
    if words.len() > WORDS_OCTETS_MAX {
        words.truncate(words.floor_char_boundary(WORDS_OCTETS_MAX - '…'.len_utf8()));
        words.push('…');
    }
    words
}

/// A place in a script: line and column count from 1, columns are characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Place {
    /// The line.
    pub line: u32,
    /// The character in it.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// One thing that is wrong with a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// What, in plain words.
    pub words: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.words)
    }
}

impl std::error::Error for Fault {}

/// Faults as they are found, at most [`FAULTS_MAX`] of them.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    found: Vec<Fault>,
}

impl Faults {
    pub(crate) fn add(&mut self, place: Place, words: impl Into<String>) {
        if self.found.len() < FAULTS_MAX {
            self.found.push(Fault { place, words: cut_words(words.into()) });
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.found.len() >= FAULTS_MAX
    }

    pub(crate) fn into_vec(self) -> Vec<Fault> {
        self.found
    }
}

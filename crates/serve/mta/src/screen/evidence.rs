//! What speaks for or against a message before its content is seen.

use std::fmt;

/// One thing that was found, with the points that the content filter adds up.
#[derive(Clone, PartialEq, Debug)]
pub struct Evidence {
    /// Its name, such as `REVERSE_NAME_MISSING`; a list's hits are `LIST_` and the list's name.
    pub name: String,
    /// More speak against the message, fewer than zero for it.
    pub points: f32,
    /// What was found, in words for people.
    pub words: String,
}

impl Evidence {
    pub(crate) fn new(name: impl Into<String>, points: f32, words: impl Into<String>) -> Self {
        Self { name: name.into(), points, words: words.into() }
    }
}

impl fmt::Display for Evidence {
    /// As it stands in a message's record.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:+.1}): {}", self.name, self.points, self.words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_points_with_their_sign() {
        let shown = |points| Evidence::new("LIST_bl.example", points, "listed").to_string();
        assert_eq!(shown(3.5), "LIST_bl.example (+3.5): listed");
        assert_eq!(shown(-2.0), "LIST_bl.example (-2.0): listed");
    }
}

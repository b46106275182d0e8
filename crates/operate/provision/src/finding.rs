//! What a check came to, in plain words: what is there, what follows from it, and what to type.

/// How a thing stands. The later, the worse.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Status {
    /// As it should be.
    Right,
    /// It works, and could be better.
    Advice,
    /// It cannot be found out now.
    Unknown,
    /// Something goes wrong because of it.
    Wrong,
}

impl Status {
    /// Its word, for people and machines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Advice => "advice",
            Self::Unknown => "unknown",
            Self::Wrong => "wrong",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What was looked at: a name and a type, or a few words.
    pub about: String,
    /// How it stands.
    pub status: Status,
    /// What there is.
    pub what: String,
    /// What follows from that; empty where all is right.
    pub causes: String,
    /// What to do or to type; empty where all is right.
    pub remedy: String,
}

impl Finding {
    pub(crate) fn right(about: &str, what: impl Into<String>) -> Self {
        Self::new(Status::Right, about, what.into(), String::new(), String::new())
    }

    pub(crate) fn advice(
        about: &str,
        what: impl Into<String>,
        causes: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::new(Status::Advice, about, what.into(), causes.into(), remedy.into())
    }

    pub(crate) fn wrong(
        about: &str,
        what: impl Into<String>,
        causes: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::new(Status::Wrong, about, what.into(), causes.into(), remedy.into())
    }

    pub(crate) fn unknown(about: &str, what: impl Into<String>) -> Self {
        Self::unknown_until(
            about,
            what,
            "others may not find it either",
            "check again in a few minutes; if it stays so, the name servers need care",
        )
    }

    pub(crate) fn unknown_until(
        about: &str,
        what: impl Into<String>,
        causes: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::new(Status::Unknown, about, what.into(), causes.into(), remedy.into())
    }

    fn new(status: Status, about: &str, what: String, causes: String, remedy: String) -> Self {
        Self { about: about.to_owned(), status, what, causes, remedy }
    }
}

//! What was found in a message, in plain words.

use std::fmt;

use crate::policy::{Action, Class};

/// What was found in one message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The findings, the severest first.
    pub findings: Vec<Finding>,
    /// How many more there were than the limits tell.
    pub findings_left_out: usize,
    /// Attachments, and entries of archives, that were looked at.
    pub contents: usize,
    /// Octets that archives became.
    pub expanded_octets: u64,
}

impl Report {
    /// What the severest finding asks for; `Accept` where nothing was found.
    pub fn action(&self) -> Action {
        self.findings.iter().map(|finding| finding.action).max().unwrap_or(Action::Accept)
    }

    /// The finding that decides.
    pub fn severest(&self) -> Option<&Finding> {
        self.findings.first()
    }
}

/// One thing found. Displayed, it is a sentence without a full stop: `“invoice.pdf.exe” inside “invoice.zip” is a Windows
/// program`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind it is.
    pub class: Class,
    /// What the policy makes of it.
    pub action: Action,
    /// Names from the attachment to the innermost entry, fit to be shown; empty where the message itself is meant.
    pub place: Vec<String>,
    /// What is said of the innermost.
    pub words: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.place.is_empty() {
            f.write_str("the message")?;
        }
        for (depth, name) in self.place.iter().rev().enumerate() {
            f.write_str(if depth == 0 { "" } else { " inside " })?;
            match name.as_str() {
                "" => f.write_str("something without a name")?,
                name => write!(f, "“{name}”")?,
            }
        }
        write!(f, " {}", self.words)
    }
}

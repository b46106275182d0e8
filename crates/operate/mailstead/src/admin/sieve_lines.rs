//! What is told of Sieve scripts: what they would do, what is wrong with them, the lists they look into.

use serde::{Deserialize, Serialize};

/// What scripts would do with a message.
#[derive(Serialize, Deserialize, Debug)]
pub(crate) struct SieveTested {
    pub(crate) actions: Vec<SieveAction>,
    pub(crate) faults: Vec<String>,
    pub(crate) debug: Vec<String>,
    pub(crate) steps: Vec<SieveStep>,
}

/// One action, and the line that asked for it.
#[derive(Serialize, Deserialize, Debug)]
pub(crate) struct SieveAction {
    pub(crate) action: String,
    pub(crate) script: Option<String>,
    pub(crate) line: Option<u32>,
}

/// One decision on the way.
#[derive(Serialize, Deserialize, Debug)]
pub(crate) struct SieveStep {
    pub(crate) script: String,
    pub(crate) line: u32,
    pub(crate) name: String,
    pub(crate) result: String,
}

/// What scripts would have done with mail that is there.
#[derive(Serialize, Deserialize, Default, Debug)]
pub(crate) struct SieveReplayed {
    /// Messages that were looked at.
    pub(crate) messages: u64,
    /// Those that would have gone the same way.
    pub(crate) same: u64,
    /// Whether there are more than were looked at.
    pub(crate) is_cut: bool,
    /// How often each thing would have been done.
    pub(crate) counts: std::collections::BTreeMap<String, u64>,
    pub(crate) differences: Vec<SieveDifference>,
    pub(crate) faults: Vec<String>,
}

/// A message that would have gone another way.
#[derive(Serialize, Deserialize, Debug)]
pub(crate) struct SieveDifference {
    pub(crate) mailbox: String,
    pub(crate) uid: u32,
    /// RFC 3339, UTC.
    pub(crate) date: String,
    pub(crate) from: String,
    pub(crate) subject: String,
    /// Where it lies, or what the present script does.
    pub(crate) before: Vec<String>,
    pub(crate) after: Vec<String>,
}

/// A Sieve script as `sieve list` tells of it.
#[derive(Serialize, Deserialize, Debug)]
pub(crate) struct ScriptLine {
    pub(crate) name: String,
    pub(crate) active: bool,
    pub(crate) octets: u64,
}

/// A list that scripts look into.
#[derive(Serialize, Deserialize, Debug)]
pub(crate) struct SieveListLine {
    pub(crate) name: String,
    pub(crate) octets: u64,
}

/// What is wrong with a script, and where; lines and columns count from 1.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub(crate) struct FaultLine {
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) words: String,
}

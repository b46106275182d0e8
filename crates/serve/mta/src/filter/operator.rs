//! What the operator chose about filters: the language, the scripts around everybody's own, lists and programs.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sieve::{Dialect, Script, Stage};

use super::lists;
use super::programs::ProgramBounds;
use super::scripts::compiled;

/// Scripts of one directory.
const FILES_MAX: usize = 256;
/// Entries of one list.
const ENTRIES_MAX: usize = 1_000_000;
/// Octets of the file of a list.
const LIST_OCTETS_MAX: u64 = 64 * 1024 * 1024;

/// The script that runs after everybody's own where the operator names none: mail that is taken for spam goes to the
/// mailbox for junk, else to one called Junk, else to one called Spam, else the first is made.
pub const SEED_RULE: &str = r#"require ["fileinto", "mailbox", "special-use", "imap4flags", "spamtest", "relational",
    "comparator-i;ascii-numeric"];
if spamtest :value "ge" :comparator "i;ascii-numeric" "10" {
    addflag "$Junk";
    if anyof (specialuse_exists "\\Junk", not mailboxexists "Spam", mailboxexists "Junk") {
        fileinto :create :specialuse "\\Junk" "Junk";
    } else {
        fileinto "Spam";
    }
}
"#;

/// The flags that it gives to junk, and those that it gives where junk is filed as if it had been read.
const SEED_FLAGS: &str = "\"$Junk\"";
const READ_FLAGS: &str = "[\"$Junk\", \"\\\\Seen\"]";

/// Whether a message is junk, and how its account wants to find it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Junk {
    /// It is none.
    No,
    /// As what is new.
    Unread,
    /// As if it had been read.
    Read,
}

/// What the operator chose.
#[derive(Clone, Debug)]
pub struct FilterSettings {
    /// Which language scripts may use, and its bounds.
    pub dialect: Dialect,
    /// Scripts that run before everybody's own.
    pub before: Vec<Stage>,
    /// Scripts that run after; the seed rule has a say only where the operator has none.
    pub after: Vec<Stage>,
    /// The seed rule, and the one that files as if it had been read.
    seed: [Vec<Stage>; 2],
    /// Scripts that run on what clients do to messages that are there (RFC 6785), before the one that a mailbox names.
    pub events: Vec<Stage>,
    /// Scripts that everybody may include (RFC 6609).
    pub global: HashMap<String, Arc<Script>>,
    /// Lists that everybody's scripts may look into (RFC 6134), their entries in lower case.
    pub lists: HashMap<String, Arc<HashSet<String>>>,
    /// Programs that scripts may run, by the name they use.
    pub programs: HashMap<String, PathBuf>,
    /// What a run of one may take.
    pub program_bounds: ProgramBounds,
    /// Whether those that run after are the operator's.
    has_own_after: bool,
}

/// Where the operator keeps all that.
#[derive(Clone, Debug, Default)]
pub struct FilterFiles {
    /// A script, or a directory whose `*.sieve` run in the order of their names, before everybody's own.
    pub before: Option<PathBuf>,
    /// The same for those that run after; without it, [`SEED_RULE`].
    pub after: Option<PathBuf>,
    /// A script or a directory, as before, that runs on what clients of IMAP do.
    pub events: Option<PathBuf>,
    /// The directory of the scripts that everybody may include.
    pub global: Option<PathBuf>,
    /// The file of each list, an entry a line.
    pub lists: Vec<(String, PathBuf)>,
}

/// A file of the operator's that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {words}", path.display())]
pub struct FilterFileError {
    path: PathBuf,
    words: String,
}

impl FilterFileError {
    fn new(path: &Path, words: impl ToString) -> Self {
        Self { path: path.to_owned(), words: words.to_string() }
    }
}

impl Default for FilterSettings {
    fn default() -> Self {
        Self::around(Dialect::default())
    }
}

impl FilterSettings {
    /// The settings of those who name no files.
    fn around(dialect: Dialect) -> Self {
        Self {
            after: Vec::new(),
            seed: [SEED_FLAGS, READ_FLAGS].map(|flags| seed_rule(flags).into_iter().collect()),
            dialect,
            before: Vec::new(),
            events: Vec::new(),
            global: HashMap::new(),
            lists: HashMap::new(),
            programs: HashMap::new(),
            program_bounds: ProgramBounds::default(),
            has_own_after: false,
        }
    }

    /// Whether what runs after everybody's own has a say in mail that is no junk.
    pub(crate) fn has_own_after(&self) -> bool {
        self.has_own_after && !self.after.is_empty()
    }

    /// What runs after everybody's own: the seed rule has a say in junk alone.
    pub(crate) fn after_own(&self, junk: Junk) -> &[Stage] {
        let [unread, read] = &self.seed;
        match (self.has_own_after, junk) {
            (true, _) => &self.after,
            (false, Junk::No) => &[],
            (false, Junk::Unread) => unread,
            (false, Junk::Read) => read,
        }
    }

    /// Reads and compiles the operator's files. Blocking.
    ///
    /// # Errors
    /// [`FilterFileError`] tells which file cannot be used, and why.
    pub fn read(dialect: Dialect, files: &FilterFiles) -> Result<Self, FilterFileError> {
        let mut settings = Self::around(dialect);
        if let Some(path) = &files.before {
            settings.before = stages(path, &settings.dialect)?;
        }
        if let Some(path) = &files.after {
            settings.after = stages(path, &settings.dialect)?;
            settings.has_own_after = true;
        }
        if let Some(path) = &files.events {
            settings.events = stages(path, &settings.dialect)?;
        }
        if let Some(path) = &files.global {
            for file in scripts_in(path)? {
                let stage = stage(&file, &settings.dialect)?;
                settings.global.insert(stage.name, stage.script);
            }
        }
        for (name, path) in &files.lists {
            settings.lists.insert(lists::short(name), Arc::new(list(path)?));
        }
        Ok(settings)
    }
}

/// The seed rule, compiled; its own dialect has what it needs.
fn seed_rule(flags: &str) -> Option<Stage> {
    let script = compiled(SEED_RULE.replace(SEED_FLAGS, flags).as_bytes(), &Dialect::default());
    if let Err(faults) = &script {
        tracing::error!(%faults, "the seed rule is no script");
    }
    Some(Stage { name: "junk".to_owned(), script: script.ok()? })
}

fn stages(path: &Path, dialect: &Dialect) -> Result<Vec<Stage>, FilterFileError> {
    if !path.is_dir() {
        return Ok(vec![stage(path, dialect)?]);
    }
    scripts_in(path)?.iter().map(|file| stage(file, dialect)).collect()
}

/// The scripts of a directory in the order of their names.
fn scripts_in(directory: &Path) -> Result<Vec<PathBuf>, FilterFileError> {
    let failed = |error: io::Error| FilterFileError::new(directory, error);
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "sieve") {
            files.push(path);
        }
        if files.len() > FILES_MAX {
            return Err(FilterFileError::new(directory, format!("more than {FILES_MAX} scripts")));
        }
    }
    files.sort();
    Ok(files)
}

fn stage(path: &Path, dialect: &Dialect) -> Result<Stage, FilterFileError> {
    let failed = |error: io::Error| FilterFileError::new(path, error);
    let octets = fs::metadata(path).map_err(failed)?.len();
    let octets_max = dialect.bounds.script_octets_max;
    if octets > octets_max as u64 {
        return Err(FilterFileError::new(path, format!("more than {octets_max} octets")));
    }
    let text = fs::read(path).map_err(failed)?;
    let script = compiled(&text, dialect).map_err(|faults| FilterFileError::new(path, faults))?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Stage { name, script })
}

fn list(path: &Path) -> Result<HashSet<String>, FilterFileError> {
    let failed = |error: io::Error| FilterFileError::new(path, error);
    if fs::metadata(path).map_err(failed)?.len() > LIST_OCTETS_MAX {
        return Err(FilterFileError::new(path, format!("more than {LIST_OCTETS_MAX} octets")));
    }
    let text = fs::read_to_string(path).map_err(failed)?;
    let entries = lists::entries_of(&text);
    if entries.len() > ENTRIES_MAX {
        return Err(FilterFileError::new(path, format!("more than {ENTRIES_MAX} entries")));
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_rule_is_a_script() {
        let settings = FilterSettings::default();
        let stages = [Junk::No, Junk::Unread, Junk::Read].map(|junk| settings.after_own(junk).len());
        assert_eq!(stages, [0, 1, 1]);
    }

    #[test]
    fn a_directory_of_scripts_is_read_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        for (name, text) in [("20-b.sieve", "keep;"), ("10-a.sieve", "discard;"), ("note.txt", "no script")] {
            fs::write(path.join(name), text).unwrap();
        }
        fs::write(path.join("list"), "# ours\nAnn@Example.org\n\n bob@example.org \n").unwrap();
        let files = FilterFiles {
            before: Some(path.to_owned()),
            after: Some(path.join("20-b.sieve")),
            events: None,
            global: Some(path.to_owned()),
            lists: vec![("friends".to_owned(), path.join("list"))],
        };
        let settings = FilterSettings::read(Dialect::default(), &files).unwrap();
        let names: Vec<_> = settings.before.iter().map(|stage| stage.name.as_str()).collect();
        assert_eq!(names, ["10-a", "20-b"]);
        assert_eq!((settings.after.len(), settings.global.len()), (1, 2));
        assert!(settings.lists["friends"].contains("ann@example.org"));
        fs::write(path.join("30-c.sieve"), "keep;\nfoo;").unwrap();
        let fault = FilterSettings::read(Dialect::default(), &files).unwrap_err().to_string();
        assert!(fault.contains("30-c.sieve: line 2"), "{fault}");
    }
}

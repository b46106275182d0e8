//! The calendar moved for a server of a story: days pass at once, and nobody waits for them. What measures waits goes on
//! as it does.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::NamedTempFile;

/// A calendar that servers and commands follow which have its [`environment`](Self::environment).
#[derive(Debug)]
pub(crate) struct MovedClock {
    library: PathBuf,
    /// How far ahead it is, for the library to read.
    offset: NamedTempFile,
}

impl MovedClock {
    /// One that is right as yet.
    pub(crate) fn new() -> Result<Self> {
        let clock = Self { library: library()?, offset: NamedTempFile::new()? };
        clock.set(Duration::ZERO)?;
        Ok(clock)
    }

    /// Moves it to so far ahead of the machine's.
    pub(crate) fn set(&self, ahead: Duration) -> Result<()> {
        // A name of its own first: it is never seen half.
        let new = self.offset.path().with_extension("new");
        std::fs::write(&new, format!("+{}\n", ahead.as_secs()))?;
        Ok(std::fs::rename(new, self.offset.path())?)
    }

    /// What a process needs to follow it (faketime(1)).
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let set = |name: &str, value: String| (name.to_owned(), value);
        vec![
            set("LD_PRELOAD", self.library.display().to_string()),
            set("FAKETIME_TIMESTAMP_FILE", self.offset.path().display().to_string()),
            set("FAKETIME_NO_CACHE", "1".into()),
            set("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
            set("NO_FAKE_STAT", "1".into()),
        ]
    }
}

/// Where Debian has it: below a directory named for the machine's kind.
fn library() -> Result<PathBuf> {
    let places = std::fs::read_dir("/usr/lib")?.filter_map(Result::ok);
    let mut files = places.map(|place| place.path().join("faketime/libfaketimeMT.so.1"));
    files.find(|file| file.is_file()).context("no libfaketime; scripts/test installs it")
}

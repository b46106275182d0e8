//! Sorted mail on disk: directories named after what they hold, or a TREC corpus.

use std::path::{Path, PathBuf};

use anyhow::Context;
use message::{Date, fields};

/// One message of known kind.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    pub(super) path: PathBuf,
    pub(super) is_spam: bool,
    /// When it came, in seconds; 0 if nothing tells.
    pub(super) time: i64,
}

/// How what is learned is told from what is judged: always two thirds from one third.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Split {
    /// By a hash of the file's name: like a server that has seen such mail.
    Hash,
    /// The older mail of each kind from the newer: what comes is not what came.
    Time,
}

/// All messages, in the order in which they came.
#[derive(Debug)]
pub(super) struct Corpus {
    pub(super) letters: Vec<Letter>,
}

impl Corpus {
    pub(super) fn read(directory: &Path) -> anyhow::Result<Corpus> {
        let index = directory.join("full/index");
        let letters = if index.exists() { indexed(&index)? } else { sorted(directory)? };
        anyhow::ensure!(!letters.is_empty(), "no directory named after ham or spam, and no full/index");
        Ok(Corpus { letters })
    }

    /// What is learned, and what is judged.
    pub(super) fn split(&self, split: Split) -> (Vec<&Letter>, Vec<&Letter>) {
        match split {
            Split::Hash => self.letters.iter().partition(|letter| !name_hash(&letter.path).is_multiple_of(3)),
            Split::Time => {
                let (mut train, mut test) = (Vec::new(), Vec::new());
                for is_spam in [false, true] {
                    let kind: Vec<&Letter> =
                        self.letters.iter().filter(|letter| letter.is_spam == is_spam).collect();
                    let (older, newer) = kind.split_at(kind.len() * 2 / 3);
                    train.extend_from_slice(older);
                    test.extend_from_slice(newer);
                }
                (train, test)
            }
        }
    }
}

/// `spam ../data/inmail.1`, in order.
fn indexed(index: &Path) -> anyhow::Result<Vec<Letter>> {
    let base = index.parent().context("the index has no directory")?;
    let text = std::fs::read_to_string(index)?;
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    Ok(lines
        .zip(0..)
        .map(|((kind, path), time)| Letter {
            path: base.join(path.trim()),
            is_spam: kind.eq_ignore_ascii_case("spam"),
            time,
        })
        .collect())
}

fn sorted(directory: &Path) -> anyhow::Result<Vec<Letter>> {
    let mut letters = Vec::new();
    for kind in std::fs::read_dir(directory)? {
        let kind = kind?.path();
        let name = kind.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let is_spam = name.contains("spam");
        if !kind.is_dir() || !(is_spam || name.contains("ham")) {
            continue;
        }
        for entry in std::fs::read_dir(&kind)? {
            let path = entry?.path();
            if path.is_file() {
                let time = arrival(&std::fs::read(&path)?);
                letters.push(Letter { path, is_spam, time });
            }
        }
    }
    letters.sort_by(|a, b| (a.time, a.path.file_name(), &a.path).cmp(&(b.time, b.path.file_name(), &b.path)));
    Ok(letters)
}

/// What the newest trace field says, or else the Date field.
fn arrival(message: &[u8]) -> i64 {
    let mut written = 0;
    for field in fields(message) {
        let value = field.unfolded();
        if field.is_named("Received")
            && let Some(date) = value.rsplit(|&octet| octet == b';').next().and_then(Date::parse)
        {
            return date.local().unix_seconds();
        }
        if field.is_named("Date")
            && let Some(date) = Date::parse(&value)
        {
            written = date.local().unix_seconds();
        }
    }
    written
}

/// FNV-1a of the file's name.
fn name_hash(path: &Path) -> u64 {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    name.iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, octet| (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3))
        >> 17
}

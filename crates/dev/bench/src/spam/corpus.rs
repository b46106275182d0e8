//! Sorted mail on disk: directories named after what they hold, or a TREC corpus.

use std::cmp::Ordering;
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

impl Letter {
    /// Which of the two came first.
    fn order(&self, other: &Letter) -> Ordering {
        (self.time, self.path.file_name(), &self.path).cmp(&(other.time, other.path.file_name(), &other.path))
    }
}

/// How what is learned is told from what is judged: always two thirds from one third.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Split {
    /// By a hash of the file's name: like a server that has seen such mail.
    Hash,
    /// The older mail of each kind from the newer: what comes is not what came.
    Time,
}

/// What is done with a letter of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Judge,
    Teach,
    JudgeAndTeach,
}

impl Turn {
    pub(super) fn is_judged(self) -> bool {
        self != Turn::Teach
    }

    pub(super) fn is_taught(self) -> bool {
        self != Turn::Judge
    }
}

/// Messages one after another, judged and learned as the truth becomes known.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) way: &'static str,
    pub(super) turns: Vec<(Letter, Turn)>,
}

impl Stream {
    /// These letters in the order in which they came, each judged, then taught.
    pub(super) fn of(letters: &[&Letter]) -> Stream {
        let turns = in_order(letters).into_iter().map(|letter| (letter, Turn::JudgeAndTeach)).collect();
        Stream { way: "online", turns }
    }
}

/// Letters in the order in which they came.
pub(super) fn in_order(letters: &[&Letter]) -> Vec<Letter> {
    let mut letters: Vec<Letter> = letters.iter().copied().cloned().collect();
    letters.sort_by(Letter::order);
    letters
}

/// Directories of TREC corpora with an index, and how they are called here: in `full` the truth is told at once, in the others late,
/// or of some messages only.
const STREAMS: [(&str, &str); 4] =
    [("full", "online"), ("delay", "delay"), ("full-delay", "delay"), ("partial", "partial")];

/// All messages, in the order in which they came.
#[derive(Debug)]
pub(super) struct Corpus {
    /// Each once.
    pub(super) letters: Vec<Letter>,
    /// The first is that of all letters, each judged, then taught.
    pub(super) streams: Vec<Stream>,
}

impl Corpus {
    pub(super) fn read(directory: &Path) -> anyhow::Result<Corpus> {
        let mut streams = Vec::new();
        for (name, way) in STREAMS {
            let index = directory.join(name).join("index");
            if index.exists() {
                streams.push(Stream { way, turns: indexed(&index)? });
            }
        }
        if !directory.join("full/index").exists() {
            let turns = sorted(directory)?.into_iter().map(|letter| (letter, Turn::JudgeAndTeach)).collect();
            streams.insert(0, Stream { way: "online", turns });
        }
        let all = streams.first().map(|stream| stream.turns.as_slice()).unwrap_or_default();
        let letters: Vec<Letter> = all.iter().map(|(letter, _)| letter.clone()).collect();
        anyhow::ensure!(!letters.is_empty(), "no directory named after ham or spam, and no full/index");
        Ok(Corpus { letters, streams })
    }

    /// What is learned, and what is judged: of the thirds that hashes make this one.
    pub(super) fn split(&self, split: Split, third: u64) -> (Vec<&Letter>, Vec<&Letter>) {
        match split {
            Split::Hash => self.letters.iter().partition(|letter| name_hash(&letter.path) % 3 != third),
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

/// `spam ../data/inmail.1`, in order. In small letters a message is judged, then taught; with one capital it is judged, in capitals
/// it is taught: so TREC's tools read it. Words behind the path are of no use here.
fn indexed(index: &Path) -> anyhow::Result<Vec<(Letter, Turn)>> {
    let base = index.parent().context("the index has no directory")?;
    let text = std::fs::read_to_string(index)?;
    let mut turns = Vec::new();
    for (line, time) in text.lines().zip(0..) {
        let mut words = line.split_whitespace();
        let (Some(kind), Some(path)) = (words.next(), words.next()) else { continue };
        let (is_spam, turn) = match kind {
            "ham" | "spam" => (kind == "spam", Turn::JudgeAndTeach),
            "Ham" | "Spam" => (kind == "Spam", Turn::Judge),
            "HAM" | "SPAM" => (kind == "SPAM", Turn::Teach),
            // Nothing can be said of what nobody knows.
            "unknown" => continue,
            other => anyhow::bail!("{}: line {}: {other} is neither ham nor spam", index.display(), time + 1),
        };
        turns.push((Letter { path: base.join(path), is_spam, time }, turn));
    }
    Ok(turns)
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
    letters.sort_by(Letter::order);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_of_trec_says_who_is_judged_and_what_is_taught() {
        let directory = tempfile::tempdir().expect("a place");
        for name in ["data", "full", "delay"] {
            std::fs::create_dir(directory.path().join(name)).expect("a directory");
        }
        let write = |name: &str, text: &str| {
            std::fs::write(directory.path().join(name), text).expect("a file");
        };
        write("full/index", "spam ../data/inmail.1\nham ../data/inmail.2 user genre\n");
        write(
            "delay/index",
            "Spam ../data/inmail.1\nHam ../data/inmail.2\nunknown ../data/inmail.3\nSPAM ../data/inmail.1\n",
        );
        let corpus = Corpus::read(directory.path()).expect("a corpus");
        let told = |stream: &Stream| -> Vec<(String, bool, Turn)> {
            let turns = stream.turns.iter();
            turns.map(|(letter, turn)| (letter.path.display().to_string(), letter.is_spam, *turn)).collect()
        };
        let path =
            |name: &str, of: &str| directory.path().join(of).join("../data").join(name).display().to_string();
        let [full, delay] = corpus.streams.as_slice() else { panic!("{:?}", corpus.streams) };
        assert_eq!((full.way, delay.way), ("online", "delay"));
        assert_eq!(
            told(full),
            [
                (path("inmail.1", "full"), true, Turn::JudgeAndTeach),
                (path("inmail.2", "full"), false, Turn::JudgeAndTeach)
            ]
        );
        assert_eq!(
            told(delay),
            [
                (path("inmail.1", "delay"), true, Turn::Judge),
                (path("inmail.2", "delay"), false, Turn::Judge),
                (path("inmail.1", "delay"), true, Turn::Teach)
            ]
        );
        assert_eq!(corpus.letters.len(), 2);
        write("full/index", "junk ../data/inmail.1\n");
        assert!(Corpus::read(directory.path()).is_err());
    }
}

//! Messages in files, for commands that judge or learn: found, read within bounds, handed on as many at once as a request takes.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

/// Octets of a message that are read at most: in Base64 they fit a request.
pub(super) const LETTER_OCTETS_MAX: usize = 2 * 1024 * 1024;
/// Messages of one request.
const BATCH_LETTERS_MAX: usize = 256;

/// A message that was read.
pub(super) struct Letter {
    /// Where it comes from.
    pub(super) file: String,
    pub(super) octets: Vec<u8>,
    /// Whether that is all of it.
    pub(super) is_whole: bool,
}

/// The files that are named, and those of directories that are.
pub(super) fn files(named: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for path in named {
        if path.is_dir() {
            all.extend(sorted(path)?.into_iter().filter(|file| file.is_file()));
        } else {
            all.push(path.clone());
        }
    }
    ensure!(!all.is_empty(), "there is no message");
    Ok(all)
}

/// A directory's entries by name, so that a model depends on nothing else.
pub(super) fn sorted(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).with_context(|| format!("reading {}", directory.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// Hands messages on, as many at once as a request takes; of each so many octets at most.
pub(super) fn in_batches(
    files: &[PathBuf],
    octets_max: usize,
    mut give: impl FnMut(Vec<Letter>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut batch: Vec<Letter> = Vec::new();
    let mut octets = 0;
    for file in files {
        let letter = read(file, octets_max)?;
        let is_full = octets + letter.octets.len() > LETTER_OCTETS_MAX || batch.len() >= BATCH_LETTERS_MAX;
        if is_full && !batch.is_empty() {
            give(std::mem::take(&mut batch))?;
            octets = 0;
        }
        octets += letter.octets.len();
        batch.push(letter);
    }
    if batch.is_empty() { Ok(()) } else { give(batch) }
}

/// Reads as much of a message as is looked at; `-` is standard input.
pub(super) fn read(file: &Path, octets_max: usize) -> anyhow::Result<Letter> {
    let most = octets_max as u64 + 1;
    let mut octets = Vec::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(most).read_to_end(&mut octets)
    } else {
        fs::File::open(file).and_then(|opened| opened.take(most).read_to_end(&mut octets))
    };
    read.with_context(|| format!("reading {}", file.display()))?;
    let is_whole = octets.len() <= octets_max;
    octets.truncate(octets_max);
    Ok(Letter { file: file.display().to_string(), octets, is_whole })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batches(sizes: &[usize]) -> Vec<Vec<(usize, bool)>> {
        let place = tempfile::tempdir().expect("a place");
        for (number, size) in sizes.iter().enumerate() {
            fs::write(place.path().join(format!("{number:04}")), vec![b'x'; *size]).expect("a file");
        }
        let files = files(&[place.path().to_owned()]).expect("files");
        let mut seen = Vec::new();
        in_batches(&files, LETTER_OCTETS_MAX, |batch| {
            seen.push(batch.iter().map(|letter| (letter.octets.len(), letter.is_whole)).collect());
            Ok(())
        })
        .expect("read");
        seen
    }

    #[test]
    fn of_a_long_message_only_the_beginning_is_read() {
        for (size, is_whole) in
            [(LETTER_OCTETS_MAX - 1, true), (LETTER_OCTETS_MAX, true), (LETTER_OCTETS_MAX + 1, false)]
        {
            assert_eq!(batches(&[size]), [[(size.min(LETTER_OCTETS_MAX), is_whole)]]);
        }
    }

    #[test]
    fn a_request_takes_so_many_messages_and_octets() {
        assert_eq!(batches(&[LETTER_OCTETS_MAX, 1]), [[(LETTER_OCTETS_MAX, true)], [(1, true)]]);
        assert_eq!(batches(&[1, LETTER_OCTETS_MAX - 1]).len(), 1);
        for (letters, requests) in
            [(BATCH_LETTERS_MAX - 1, 1), (BATCH_LETTERS_MAX, 1), (BATCH_LETTERS_MAX + 1, 2)]
        {
            assert_eq!(batches(&vec![1; letters]).len(), requests);
        }
    }

    #[test]
    fn nothing_is_no_message() {
        let place = tempfile::tempdir().expect("a place");
        assert!(files(&[place.path().to_owned()]).is_err());
    }
}

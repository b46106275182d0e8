//! Messages in files, for commands that judge or learn: found, read within bounds, handed on as many at once as a request takes.

use std::fs;
use std::io::{BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

/// Octets of a message that are read at most: in Base64 they fit a request.
pub(super) const LETTER_OCTETS_MAX: usize = 2 * 1024 * 1024;
/// Messages of one request.
const BATCH_LETTERS_MAX: usize = 256;
/// Octets of a file that are looked at at once for where the next message begins; a longer line is seen in pieces.
const LINE_OCTETS_MAX: u64 = 64 * 1024;

/// A message that was read.
pub(super) struct Letter {
    /// Where it comes from.
    pub(super) file: String,
    pub(super) octets: Vec<u8>,
    /// Whether that is all of it.
    pub(super) is_whole: bool,
}

/// The files that are named, and those of directories that are: of a Maildir those that have been seen and those that have not.
pub(super) fn files(named: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for path in named {
        if path.is_dir() {
            let parts = ["cur", "new"].map(|part| path.join(part));
            let is_maildir = parts.iter().all(|part| part.is_dir());
            for place in if is_maildir { parts.to_vec() } else { vec![path.clone()] } {
                all.extend(sorted(&place)?.into_iter().filter(|file| file.is_file()));
            }
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
        each(file, octets_max, |letter| {
            let is_full =
                octets + letter.octets.len() > LETTER_OCTETS_MAX || batch.len() >= BATCH_LETTERS_MAX;
            if is_full && !batch.is_empty() {
                give(std::mem::take(&mut batch))?;
                octets = 0;
            }
            octets += letter.octets.len();
            batch.push(letter);
            Ok(())
        })?;
    }
    if batch.is_empty() { Ok(()) } else { give(batch) }
}

/// Takes the message of a file, or each of a file that is a mailbox (RFC 4155).
fn each(
    file: &Path,
    octets_max: usize,
    mut take: impl FnMut(Letter) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let name = file.display().to_string();
    let reading = || format!("reading {name}");
    let mut opened: Box<dyn BufRead> = match file == Path::new("-") {
        true => Box::new(std::io::stdin().lock()),
        false => Box::new(BufReader::new(fs::File::open(file).with_context(reading)?)),
    };
    if !opened.fill_buf().with_context(reading)?.starts_with(b"From ") {
        let (octets, is_whole) = beginning(opened, octets_max).with_context(reading)?;
        return take(Letter { file: name, octets, is_whole });
    }
    let (mut line, mut number) = (Vec::new(), 0);
    let mut letter = Letter { file: String::new(), octets: Vec::new(), is_whole: true };
    let (mut is_start, mut is_after_blank) = (true, true);
    loop {
        line.clear();
        let is_end =
            opened.by_ref().take(LINE_OCTETS_MAX).read_until(b'\n', &mut line).with_context(reading)? == 0;
        if is_end || (is_start && is_after_blank && line.starts_with(b"From ")) {
            let next = Letter { file: format!("{name}:{}", number + 1), octets: Vec::new(), is_whole: true };
            let former = std::mem::replace(&mut letter, next);
            if number > 0 {
                take(former)?;
            }
            if is_end {
                return Ok(());
            }
            number += 1;
        } else {
            let room = octets_max - letter.octets.len();
            letter.octets.extend(line.iter().take(room));
            letter.is_whole &= line.len() <= room;
        }
        is_after_blank = is_start && matches!(line.as_slice(), b"\n" | b"\r\n");
        is_start = line.ends_with(b"\n");
    }
}

/// Reads as much of a message as is looked at; `-` is standard input.
pub(super) fn read(file: &Path, octets_max: usize) -> anyhow::Result<Letter> {
    let read = if file == Path::new("-") {
        beginning(std::io::stdin().lock(), octets_max)
    } else {
        fs::File::open(file).and_then(|opened| beginning(opened, octets_max))
    };
    let (octets, is_whole) = read.with_context(|| format!("reading {}", file.display()))?;
    Ok(Letter { file: file.display().to_string(), octets, is_whole })
}

/// So many octets at most, and whether that is all.
fn beginning(reader: impl std::io::Read, octets_max: usize) -> std::io::Result<(Vec<u8>, bool)> {
    let mut octets = Vec::new();
    reader.take(octets_max as u64 + 1).read_to_end(&mut octets)?;
    let is_whole = octets.len() <= octets_max;
    octets.truncate(octets_max);
    Ok((octets, is_whole))
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

    fn texts(named: &Path) -> Vec<(String, String)> {
        let mut seen = Vec::new();
        in_batches(&files(&[named.to_owned()]).expect("files"), 40, |batch| {
            seen.extend(batch.into_iter().map(|letter| {
                let name =
                    Path::new(&letter.file).file_name().expect("a name").to_string_lossy().into_owned();
                (name, String::from_utf8(letter.octets).expect("text"))
            }));
            Ok(())
        })
        .expect("read");
        seen
    }

    #[test]
    fn a_maildir_has_what_was_seen_and_what_is_new() {
        let place = tempfile::tempdir().expect("a place");
        for part in ["cur", "new", "tmp"] {
            fs::create_dir(place.path().join(part)).expect("a directory");
            fs::write(place.path().join(part).join(part), part).expect("a file");
        }
        fs::write(place.path().join("dovecot-uidlist"), "").expect("a file");
        let names: Vec<_> = texts(place.path()).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["cur", "new"]);
        fs::remove_dir_all(place.path().join("new")).expect("removed");
        assert!(texts(place.path()).iter().all(|(name, _)| name != "cur"), "it is no Maildir");
    }

    #[test]
    fn a_mailbox_in_a_file_has_many_messages() {
        let place = tempfile::tempdir().expect("a place");
        let file = place.path().join("mbox");
        let long = "x".repeat(60);
        let text = format!(
            "From a Thu\nSubject: a\n\n>From here on\nFrom there\n\nFrom b Thu\nSubject: b\n\n{long}\nFrom\n\nFrom c\nSubject: c\n"
        );
        fs::write(&file, text).expect("a file");
        let told = texts(&file);
        assert_eq!(
            told.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
            ["mbox:1", "mbox:2", "mbox:3"]
        );
        assert_eq!(told[0].1, "Subject: a\n\n>From here on\nFrom there\n\n", "only behind a blank line");
        assert_eq!(told[1].1.len(), 40);
        fs::write(&file, "Subject: From\n\nFrom x\n").expect("a file");
        assert_eq!(texts(&file), [("mbox".to_owned(), "Subject: From\n\nFrom x\n".to_owned())]);
    }

    #[test]
    fn nothing_is_no_message() {
        let place = tempfile::tempdir().expect("a place");
        assert!(files(&[place.path().to_owned()]).is_err());
    }
}

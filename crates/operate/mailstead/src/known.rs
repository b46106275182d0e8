//! Lists of known content: text is read line by line, what `spam hashes build` wrote is left where it lies.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::Context;
use attachments::{HashList, HashListBuilder, ListOctets};

/// Octets of a line of a text list; digest, length and name take a few hundred.
const LINE_OCTETS_MAX: u64 = 4_096;

/// Lines of a text list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lines {
    pub(crate) all: u64,
    /// The numbers of those that are no digest, the first of them.
    pub(crate) skipped: Vec<u64>,
    pub(crate) skipped_count: u64,
}

/// Skipped lines whose numbers are kept.
const SKIPPED_TOLD_MAX: usize = 20;

/// A list that lies in a file. What is put in its place by another name does not change it, what is written into it may:
/// then it finds other things or nothing.
struct ListFile {
    file: File,
    octets: u64,
}

impl ListOctets for ListFile {
    fn octets(&self) -> u64 {
        self.octets
    }

    fn read_at(&self, place: u64, into: &mut [u8]) -> bool {
        self.file.read_exact_at(into, place).is_ok()
    }
}

/// Opens a list of either form. Blocking.
///
/// # Errors
/// When it cannot be read, or was built and is damaged.
pub(crate) fn open(path: &Path) -> anyhow::Result<(HashList, Lines)> {
    if let Some(list) = open_built(path).with_context(|| path.display().to_string())? {
        return Ok((list, Lines::default()));
    }
    let mut builder = HashListBuilder::new();
    let lines = take_text(&mut builder, path)?;
    Ok((HashList::open(builder.build())?, lines))
}

fn open_built(path: &Path) -> anyhow::Result<Option<HashList>> {
    let file = File::open(path)?;
    let mut start = [0; 8];
    let is_built = file.read_exact_at(&mut start, 0).is_ok() && HashList::is_built(&start);
    if !is_built {
        return Ok(None);
    }
    let octets = file.metadata()?.len();
    Ok(Some(HashList::open(ListFile { file, octets })?))
}

/// Takes the lines of a text list. Blocking.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn take_text(builder: &mut HashListBuilder, path: &Path) -> anyhow::Result<Lines> {
    let named = || path.display().to_string();
    let mut reader = BufReader::with_capacity(64 * 1024, File::open(path).with_context(named)?);
    let mut lines = Lines::default();
    let mut line = Vec::new();
    while read_line(&mut reader, &mut line).with_context(named)? {
        lines.all += 1;
        let is_too_long = line.len() as u64 > LINE_OCTETS_MAX;
        if is_too_long || builder.take_line(&line).is_err() {
            lines.skipped_count += 1;
            if lines.skipped.len() < SKIPPED_TOLD_MAX {
                lines.skipped.push(lines.all);
            }
        }
    }
    Ok(lines)
}

/// Reads a line, of one that is too long its beginning and an octet too many; whether there was one.
fn read_line(reader: &mut BufReader<File>, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    reader.by_ref().take(LINE_OCTETS_MAX + 1).read_until(b'\n', line)?;
    if line.ends_with(b"\n") {
        line.pop();
    } else if line.len() as u64 > LINE_OCTETS_MAX {
        reader.skip_until(b'\n')?;
    } else {
        return Ok(!line.is_empty());
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_are_no_digest_are_told_by_their_numbers() -> anyhow::Result<()> {
        let place = tempfile::TempDir::new()?;
        let path = place.path().join("list");
        let digest = "ab".repeat(32);
        // A line as long as is read, and longer ones; the last has no end.
        let long = |octets: usize| format!("{digest} {}", "n".repeat(octets - 65));
        let text = [
            &digest,
            "# none",
            "nothing",
            &long(4_095),
            &long(4_096),
            &long(4_097),
            &long(9_000),
            "",
            &digest,
        ];
        std::fs::write(&path, text.join("\n"))?;
        let (list, lines) = open(&path)?;
        assert_eq!((list.rows(), lines.all, lines.skipped), (1, 9, vec![3, 6, 7]));
        for count in [SKIPPED_TOLD_MAX - 1, SKIPPED_TOLD_MAX, SKIPPED_TOLD_MAX + 1] {
            std::fs::write(&path, "x\n".repeat(count))?;
            let (_, lines) = open(&path)?;
            assert_eq!(lines.skipped.len(), count.min(SKIPPED_TOLD_MAX));
            assert_eq!((lines.all, lines.skipped_count), (count as u64, count as u64));
        }
        Ok(())
    }

    #[test]
    fn a_built_list_is_read_where_it_lies() -> anyhow::Result<()> {
        let place = tempfile::TempDir::new()?;
        let path = place.path().join("list");
        let mut builder = HashListBuilder::new();
        builder.take_line(format!("{}  name", "ab".repeat(32)).as_bytes())?;
        let octets = builder.build();
        std::fs::write(&path, &octets)?;
        let (list, _) = open(&path)?;
        assert_eq!(list.rows(), 1);
        std::fs::write(&path, &octets[..octets.len() - 20])?;
        assert!(open(&path).is_err());
        Ok(())
    }
}

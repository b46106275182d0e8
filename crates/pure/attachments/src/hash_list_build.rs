//! Makes lists of known content from text: lines of SHA-256 digests as sha256sum writes them, and ClamAV's `.hdb` (MD5) and
//! `.hsb` (SHA-1, SHA-256) with lengths and names.

use std::collections::HashMap;

use crate::hash_list::{Algorithm, INDEX_BITS, KEY_OCTETS, MAGIC, ROWS_MAX};

/// Octets of a name that are kept.
const NAME_OCTETS_MAX: usize = 120;

/// Lengths of one digest that are kept; two contents of one digest are already a curiosity.
const LENGTHS_MAX: usize = 4;

/// Gathers digests and writes them as one list.
#[derive(Debug, Default)]
pub struct HashListBuilder {
    tables: [Vec<Row>; 3],
    names: Vec<u8>,
    known_names: HashMap<Vec<u8>, u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    key: [u8; KEY_OCTETS],
    octets: u32,
    name: u32,
}

/// A line that is none of the forms that are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the line is no digest with or without a length and a name")]
pub struct NotADigest;

impl HashListBuilder {
    /// An empty one.
    pub fn new() -> HashListBuilder {
        HashListBuilder::default()
    }

    /// Takes a line: `digest`, `digest name` (sha256sum) or `digest:length:name` (ClamAV; `*` is any length). Blank lines and
    /// those that begin with `#` are nothing.
    ///
    /// # Errors
    /// If it is something else.
    pub fn take_line(&mut self, line: &[u8]) -> Result<(), NotADigest> {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            return Ok(());
        }
        let digits = line.iter().take_while(|octet| octet.is_ascii_hexdigit()).count();
        let (digest, rest) = line.split_at(digits);
        let (octets, name) = match rest.split_first() {
            None => (0, rest),
            Some((b':', rest)) => length_and_name(rest)?,
            Some((b' ' | b'\t' | b',' | b';', rest)) => (0, rest.trim_ascii_start()),
            Some(_) => return Err(NotADigest),
        };
        let (algorithm, key) = key_of(digest).ok_or(NotADigest)?;
        let name = self.name(name);
        let [md5, sha1, sha256] = &mut self.tables;
        let table = match algorithm {
            Algorithm::Md5 => md5,
            Algorithm::Sha1 => sha1,
            Algorithm::Sha256 => sha256,
        };
        if table.len() as u64 >= ROWS_MAX {
            return Err(NotADigest);
        }
        table.push(Row { key, octets, name });
        Ok(())
    }

    fn name(&mut self, name: &[u8]) -> u32 {
        let name = name.get(..NAME_OCTETS_MAX).unwrap_or(name);
        if name.is_empty() {
            return 0;
        }
        if let Some(&known) = self.known_names.get(name) {
            return known;
        }
        let Ok(offset) = u32::try_from(self.names.len() + 1) else { return 0 };
        self.names.push(name.len() as u8);
        self.names.extend_from_slice(name);
        self.known_names.insert(name.to_vec(), offset);
        offset
    }

    /// The list's octets, for [`HashList::open`](crate::HashList::open).
    pub fn build(mut self) -> Vec<u8> {
        let mut octets = MAGIC.to_vec();
        for table in &mut self.tables {
            table.sort_unstable();
            table.dedup_by_key(|row| (row.key, row.octets));
            let mut same = 0;
            let mut before = None;
            table.retain(|row| {
                same = if before.replace(row.key) == Some(row.key) { same + 1 } else { 0 };
                same < LENGTHS_MAX
            });
            octets.extend_from_slice(&(table.len() as u64).to_le_bytes());
        }
        for table in self.tables.iter().filter(|table| !table.is_empty()) {
            write_table(table, &mut octets);
        }
        octets.extend_from_slice(&self.names);
        octets
    }
}

fn write_table(table: &[Row], octets: &mut Vec<u8>) {
    let cell_of = |row: &Row| u32::from(u16::from_be_bytes([row.key[0], row.key[1]]) >> (16 - INDEX_BITS));
    let mut rows = table.iter().map(cell_of).peekable();
    let mut before: u32 = 0;
    for cell in 0..=1 << INDEX_BITS {
        while rows.next_if(|row| *row < cell).is_some() {
            before += 1;
        }
        octets.extend_from_slice(&before.to_le_bytes());
    }
    for row in table {
        octets.extend_from_slice(&row.key);
        octets.extend_from_slice(&row.octets.to_le_bytes());
        octets.extend_from_slice(&row.name.to_le_bytes());
    }
}

/// `length:name`, and what newer ClamAV writes behind it. No length that we could meet has more than 32 bits.
fn length_and_name(rest: &[u8]) -> Result<(u32, &[u8]), NotADigest> {
    let mut pieces = rest.split(|&octet| octet == b':');
    let octets = match pieces.next() {
        Some(b"*" | b"") | None => 0,
        Some(digits) => {
            std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).ok_or(NotADigest)?
        }
    };
    Ok((octets, pieces.next().unwrap_or_default()))
}

fn key_of(digest: &[u8]) -> Option<(Algorithm, [u8; KEY_OCTETS])> {
    let algorithm = match digest.len() {
        32 => Algorithm::Md5,
        40 => Algorithm::Sha1,
        64 => Algorithm::Sha256,
        _ => return None,
    };
    let mut key = [0; KEY_OCTETS];
    for (octet, pair) in key.iter_mut().zip(digest.as_chunks::<2>().0) {
        *octet = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some((algorithm, key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash_list::{HEADER_OCTETS, HashList, HashListError, INDEX_OCTETS, ROW_OCTETS};

    const EMPTY_SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn list(lines: &[&str]) -> HashList {
        let mut builder = HashListBuilder::new();
        for line in lines {
            builder.take_line(line.as_bytes()).unwrap();
        }
        HashList::open(builder.build()).unwrap()
    }

    fn digest(hex: &str) -> Vec<u8> {
        hex.as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    #[test]
    fn lines_of_all_forms_are_found_again() {
        let md5 = "44d88612fea8a8f36de82e1278abb02f";
        let sha1 = "3395856ce81f2b7382dee72602f798b642f14140";
        let list = list(&[
            "# known",
            "",
            EMPTY_SHA256,
            &format!("{md5}:68:Eicar-Test-Signature"),
            &format!("{sha1}:*:Eicar-Sha1:73"),
            &format!("{}  some file.bin", "ab".repeat(32)),
        ]);
        assert_eq!(list.rows(), 4);
        let found = |algorithm, hex: &str, octets| list.look_up(algorithm, &digest(hex), octets);
        assert_eq!(found(Algorithm::Sha256, EMPTY_SHA256, 0), Some(String::new()));
        assert_eq!(found(Algorithm::Md5, md5, 68), Some("Eicar-Test-Signature".to_owned()));
        assert_eq!(found(Algorithm::Md5, md5, 69), None);
        assert_eq!(found(Algorithm::Sha1, sha1, 12345), Some("Eicar-Sha1".to_owned()));
        assert_eq!(found(Algorithm::Sha256, &"ab".repeat(32), 7), Some("some file.bin".to_owned()));
        assert_eq!(found(Algorithm::Sha256, &"ac".repeat(32), 7), None);
        assert_eq!(found(Algorithm::Sha1, &"ab".repeat(20), 7), None);
    }

    #[test]
    fn many_rows_are_all_found_and_nothing_else() {
        let key = |number: u32| format!("{:08x}{}", number.wrapping_mul(0x9e37_79b9), "00".repeat(28));
        let lines: Vec<String> = (0..5_000).map(key).collect();
        let list = list(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        for number in 0..10_000 {
            let found = list.look_up(Algorithm::Sha256, &digest(&key(number)), 1);
            assert_eq!(found.is_some(), number < 5_000, "{number}");
        }
    }

    #[test]
    fn lengths_of_one_digest_are_bounded() {
        let md5 = "00".repeat(16);
        for count in [LENGTHS_MAX - 1, LENGTHS_MAX, LENGTHS_MAX + 1] {
            let lines: Vec<String> = (1..=count).map(|octets| format!("{md5}:{octets}:n")).collect();
            let list = list(&lines.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(list.rows(), count.min(LENGTHS_MAX) as u64);
            assert!(list.look_up(Algorithm::Md5, &[0; 16], list.rows()).is_some());
        }
    }

    #[test]
    fn names_are_kept_within_bounds() {
        for octets in [NAME_OCTETS_MAX - 1, NAME_OCTETS_MAX, NAME_OCTETS_MAX + 1] {
            let list = list(&[&format!("{EMPTY_SHA256}:*:{}", "n".repeat(octets))]);
            let name = list.look_up(Algorithm::Sha256, &digest(EMPTY_SHA256), 0).unwrap();
            assert_eq!(name.len(), octets.min(NAME_OCTETS_MAX));
        }
    }

    #[test]
    fn other_lines_are_refused() {
        for line in [
            "abc",
            "zz",
            "e3b0",
            &"g".repeat(64),
            &format!("{EMPTY_SHA256}x"),
            &format!("{EMPTY_SHA256}:x:n"),
        ] {
            assert_eq!(HashListBuilder::new().take_line(line.as_bytes()), Err(NotADigest), "{line}");
        }
    }

    #[test]
    fn what_is_too_short_is_no_list() {
        let mut builder = HashListBuilder::new();
        builder.take_line(EMPTY_SHA256.as_bytes()).unwrap();
        let octets = builder.build();
        assert_eq!(octets.len(), HEADER_OCTETS + INDEX_OCTETS + ROW_OCTETS);
        for end in [0, 7, 8, HEADER_OCTETS, octets.len() - 1] {
            assert_eq!(HashList::open(octets[..end].to_vec()).err(), Some(HashListError), "{end}");
        }
        let mut many = octets.clone();
        many[8..16].copy_from_slice(&(ROWS_MAX + 1).to_le_bytes());
        assert_eq!(HashList::open(many).err(), Some(HashListError));
        assert!(HashList::open(octets).is_ok());
    }
}

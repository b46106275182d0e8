//! Lists of known content: digests in one sorted table for each kind, read where they lie, in a file as well as in memory.
//!
//! A lookup touches one cell of an index and a few neighbouring rows. Of SHA-1 and SHA-256 the first 128 bits are kept: that
//! some other content matches one of n rows has a chance of n/2^128, which needs no second check. MD5 is kept whole.

use std::fmt;

/// What a file begins with; the last octet is the version.
pub(crate) const MAGIC: [u8; 8] = *b"MSTDHSH\x01";
/// Octets before the tables: the magic, then the number of rows of each.
pub(crate) const HEADER_OCTETS: usize = 8 + 3 * 8;
/// Cells of each table's index: how many rows begin with no more than so many upper bits, and one that closes it.
pub(crate) const INDEX_BITS: u32 = 12;
pub(crate) const INDEX_OCTETS: usize = ((1 << INDEX_BITS) + 1) * 4;
/// A row: 16 octets of the digest, four of the content's length (0: any), four of where its name is (0: none).
pub(crate) const ROW_OCTETS: usize = 24;
/// Octets of a digest that are kept.
pub(crate) const KEY_OCTETS: usize = 16;
/// Rows of one table.
pub const ROWS_MAX: u64 = 100_000_000;

/// Which digest a table is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Algorithm {
    Md5,
    Sha1,
    Sha256,
}

impl Algorithm {
    pub(crate) const ALL: [Algorithm; 3] = [Algorithm::Md5, Algorithm::Sha1, Algorithm::Sha256];
}

/// Where a list lies.
pub trait ListOctets: Send + Sync {
    /// How many octets it has.
    fn octets(&self) -> u64;

    /// Reads as many octets as there is room for from this place on; whether there are so many.
    fn read_at(&self, place: u64, into: &mut [u8]) -> bool;
}

impl<T: AsRef<[u8]> + Send + Sync> ListOctets for T {
    fn octets(&self) -> u64 {
        self.as_ref().len() as u64
    }

    fn read_at(&self, place: u64, into: &mut [u8]) -> bool {
        let octets =
            usize::try_from(place).ok().and_then(|place| self.as_ref().get(place..)?.get(..into.len()));
        octets.map(|octets| into.copy_from_slice(octets)).is_some()
    }
}

/// The octets are no list of known content, or a damaged one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the octets are no list of known content")]
pub struct HashListError;

/// A list of known content.
pub struct HashList {
    octets: Box<dyn ListOctets>,
    tables: [Table; 3],
    names: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Table {
    /// Where its index begins; its rows are behind it.
    start: u64,
    rows: u64,
}

impl fmt::Debug for HashList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashList").field("tables", &self.tables).finish_non_exhaustive()
    }
}

impl HashList {
    /// Reads a list that [`HashListBuilder`](crate::HashListBuilder) has written, where it lies.
    ///
    /// # Errors
    /// If the octets are too few for what their header says. Rows are not looked at: a list that was damaged otherwise finds
    /// less or wrong names, and nothing worse.
    pub fn open(octets: impl ListOctets + 'static) -> Result<HashList, HashListError> {
        let mut header = [0; HEADER_OCTETS];
        let Some((magic, mut counts)) =
            octets.read_at(0, &mut header).then(|| header.split_first_chunk()).flatten()
        else {
            return Err(HashListError);
        };
        if *magic != MAGIC {
            return Err(HashListError);
        }
        let mut tables = [Table::default(); 3];
        let mut start = HEADER_OCTETS as u64;
        for table in &mut tables {
            let (rows, behind) = counts.split_first_chunk().ok_or(HashListError)?;
            let rows =
                Some(u64::from_le_bytes(*rows)).filter(|rows| *rows <= ROWS_MAX).ok_or(HashListError)?;
            *table = Table { start, rows };
            // Three tables of the most rows are far below what 64 bits count.
            start += if rows == 0 { 0 } else { rows * ROW_OCTETS as u64 + INDEX_OCTETS as u64 };
            counts = behind;
        }
        if octets.octets() < start {
            return Err(HashListError);
        }
        Ok(HashList { octets: Box::new(octets), tables, names: start })
    }

    /// Whether a file that begins so is a list that was built.
    pub fn is_built(start: &[u8]) -> bool {
        start.starts_with(&MAGIC)
    }

    /// How many digests are on it.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }

    /// How many of them are MD5, SHA-1 and SHA-256.
    pub fn rows_by_digest(&self) -> [u64; 3] {
        self.tables.map(|table| table.rows)
    }

    pub(crate) fn has(&self, algorithm: Algorithm) -> bool {
        self.table(algorithm).rows > 0
    }

    fn table(&self, algorithm: Algorithm) -> Table {
        let [md5, sha1, sha256] = self.tables;
        match algorithm {
            Algorithm::Md5 => md5,
            Algorithm::Sha1 => sha1,
            Algorithm::Sha256 => sha256,
        }
    }

    /// The name of the content with this digest and length, if it is on the list; empty where the list has none.
    pub(crate) fn look_up(&self, algorithm: Algorithm, digest: &[u8], octets: u64) -> Option<String> {
        let key = digest.get(..KEY_OCTETS)?;
        let table = self.table(algorithm);
        if table.rows == 0 {
            return None;
        }
        let cell = u64::from(u16::from_be_bytes([*key.first()?, *key.get(1)?]) >> (16 - INDEX_BITS));
        let bounds: [u8; 8] = self.read(table.start + cell * 4)?;
        let mut low = u64::from(word(&bounds, 0)?).min(table.rows);
        let end = u64::from(word(&bounds, 4)?).min(table.rows);
        let mut high = end;
        while low < high {
            let middle = low + (high - low) / 2;
            if self.row(table, middle)?.get(..KEY_OCTETS)? < key { low = middle + 1 } else { high = middle }
        }
        // The same digest may stand there with several lengths; the builder keeps few of them.
        (low..end)
            .map_while(|number| self.row(table, number).filter(|row| row.starts_with(key)))
            .find(|row| matches!(word(row, 16), Some(length) if length == 0 || u64::from(length) == octets))
            .map(|row| self.name(word(&row, 20).unwrap_or(0)))
    }

    fn row(&self, table: Table, number: u64) -> Option<[u8; ROW_OCTETS]> {
        self.read(table.start + INDEX_OCTETS as u64 + number * ROW_OCTETS as u64)
    }

    fn read<const OCTETS: usize>(&self, place: u64) -> Option<[u8; OCTETS]> {
        let mut octets = [0; OCTETS];
        self.octets.read_at(place, &mut octets).then_some(octets)
    }

    fn name(&self, offset: u32) -> String {
        let Some(before) = offset.checked_sub(1) else { return String::new() };
        let place = self.names + u64::from(before);
        let Some([length]) = self.read(place) else { return String::new() };
        let mut name = vec![0; usize::from(length)];
        let is_there = self.octets.read_at(place + 1, &mut name);
        if is_there { String::from_utf8_lossy(&name).into_owned() } else { String::new() }
    }
}

fn word(octets: &[u8], at: usize) -> Option<u32> {
    octets.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_le_bytes)
}

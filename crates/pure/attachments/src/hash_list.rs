//! Lists of known content: digests in one sorted table for each kind, read where they lie, in a mapped file as well as in memory.
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

/// The octets are no list of known content, or a damaged one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the octets are no list of known content")]
pub struct HashListError;

/// A list of known content.
pub struct HashList {
    octets: Box<dyn AsRef<[u8]> + Send + Sync>,
    tables: [Table; 3],
    names: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct Table {
    /// Where its index begins; its rows are behind it.
    start: usize,
    rows: usize,
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
    pub fn open(octets: impl AsRef<[u8]> + Send + Sync + 'static) -> Result<HashList, HashListError> {
        let mut tables = [Table::default(); 3];
        let mut start = HEADER_OCTETS;
        let all = octets.as_ref();
        if all.get(..8) != Some(MAGIC.as_slice()) {
            return Err(HashListError);
        }
        for (number, table) in tables.iter_mut().enumerate() {
            let at = 8 + number * 8;
            let rows = all.get(at..at + 8).and_then(|octets| octets.try_into().ok()).map(u64::from_le_bytes);
            let rows = rows.filter(|rows| *rows <= ROWS_MAX).ok_or(HashListError)?;
            let rows = usize::try_from(rows).map_err(|_| HashListError)?;
            *table = Table { start, rows };
            let octets =
                if rows == 0 { 0 } else { rows.checked_mul(ROW_OCTETS).ok_or(HashListError)? + INDEX_OCTETS };
            start = start.checked_add(octets).ok_or(HashListError)?;
        }
        if all.len() < start {
            return Err(HashListError);
        }
        Ok(HashList { octets: Box::new(octets), tables, names: start })
    }

    /// How many digests are on it.
    pub fn rows(&self) -> usize {
        self.tables.iter().map(|table| table.rows).sum()
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
        let cell = usize::from(u16::from_be_bytes([*key.first()?, *key.get(1)?]) >> (16 - INDEX_BITS));
        let mut low = self.index(table, cell)?.min(table.rows);
        let end = self.index(table, cell + 1)?.min(table.rows);
        let mut high = end;
        while low < high {
            let middle = low + (high - low) / 2;
            if self.row(table, middle)?.get(..KEY_OCTETS)? < key { low = middle + 1 } else { high = middle }
        }
        // The same digest may stand there with several lengths; the builder keeps few of them.
        (low..end)
            .map_while(|number| self.row(table, number).filter(|row| row.starts_with(key)))
            .find(|row| matches!(word(row, 16), Some(length) if length == 0 || u64::from(length) == octets))
            .map(|row| self.name(word(row, 20).unwrap_or(0)))
    }

    fn index(&self, table: Table, cell: usize) -> Option<usize> {
        word((*self.octets).as_ref(), table.start + cell * 4).map(|rows| rows as usize)
    }

    fn row(&self, table: Table, number: usize) -> Option<&[u8]> {
        let at = table.start + INDEX_OCTETS + number * ROW_OCTETS;
        (*self.octets).as_ref().get(at..at + ROW_OCTETS)
    }

    fn name(&self, offset: u32) -> String {
        let Some(offset) = usize::try_from(offset).ok().filter(|offset| *offset > 0) else {
            return String::new();
        };
        let names = (*self.octets).as_ref().get(self.names..).unwrap_or_default();
        let length = names.get(offset - 1).copied().map_or(0, usize::from);
        String::from_utf8_lossy(names.get(offset..offset + length).unwrap_or_default()).into_owned()
    }
}

fn word(octets: &[u8], at: usize) -> Option<u32> {
    octets.get(at..at.checked_add(4)?)?.try_into().ok().map(u32::from_le_bytes)
}

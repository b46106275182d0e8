//! Numbers and texts in few octets (LEB128), for the notes in the log and the columns of the index.
//!
//! Reading never panics and never allocates more than the octets at hand can name: what is read may be damaged.

/// The octets end too early, or say what no writer of ours says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("damaged octets")]
pub struct Damaged;

/// Appends a number: seven bits an octet, least first.
pub fn put_number(into: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        into.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

/// Appends a number that may be negative, small ones of either sign in few octets.
pub fn put_signed(into: &mut Vec<u8>, number: i64) {
    put_number(into, ((number << 1) ^ (number >> 63)) as u64);
}

/// Appends octets behind their count.
pub fn put_octets(into: &mut Vec<u8>, octets: &[u8]) {
    put_number(into, octets.len() as u64);
    into.extend_from_slice(octets);
}

/// Reads what the functions above wrote.
#[derive(Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads from the first octet.
    #[must_use]
    pub fn new(octets: &'a [u8]) -> Self {
        Self(octets)
    }

    /// Whether everything is read.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    /// How many octets are left: no more things than this can follow.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.0.len()
    }

    /// One octet.
    ///
    /// # Errors
    /// [`Damaged`], as of all its kind.
    pub fn octet(&mut self) -> Result<u8, Damaged> {
        let (&first, rest) = self.0.split_first().ok_or(Damaged)?;
        self.0 = rest;
        Ok(first)
    }

    /// What [`put_number`] wrote.
    ///
    /// # Errors
    /// [`Damaged`], as of all its kind.
    pub fn number(&mut self) -> Result<u64, Damaged> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let octet = self.octet()?;
            let bits = u64::from(octet & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(Damaged);
            }
            number |= bits << shift;
            if octet & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Damaged)
    }

    /// What [`put_signed`] wrote.
    ///
    /// # Errors
    /// [`Damaged`], as of all its kind.
    pub fn signed(&mut self) -> Result<i64, Damaged> {
        let number = self.number()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    /// A number of 32 bits.
    ///
    /// # Errors
    /// [`Damaged`], as of all its kind.
    pub fn small(&mut self) -> Result<u32, Damaged> {
        u32::try_from(self.number()?).map_err(|_| Damaged)
    }

    /// What [`put_octets`] wrote.
    ///
    /// # Errors
    /// [`Damaged`], as of all its kind.
    pub fn octets(&mut self) -> Result<&'a [u8], Damaged> {
        let count = self.number()?;
        self.take(count)
    }

    /// So many octets as they stand.
    ///
    /// # Errors
    /// [`Damaged`], as of all its kind.
    pub fn take(&mut self, count: u64) -> Result<&'a [u8], Damaged> {
        let count = usize::try_from(count).map_err(|_| Damaged)?;
        let (octets, rest) = self.0.split_at_checked(count).ok_or(Damaged)?;
        self.0 = rest;
        Ok(octets)
    }

    /// The same, as text.
    ///
    /// # Errors
    /// [`Damaged`], as of all its kind.
    pub fn text(&mut self) -> Result<&'a str, Damaged> {
        std::str::from_utf8(self.octets()?).map_err(|_| Damaged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_back_as_written() {
        for number in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut octets = Vec::new();
            put_number(&mut octets, number);
            assert_eq!(Reader::new(&octets).number(), Ok(number));
        }
        for number in [0, 1, -1, 63, -64, i64::MAX, i64::MIN] {
            let mut octets = Vec::new();
            put_signed(&mut octets, number);
            assert_eq!(Reader::new(&octets).signed(), Ok(number));
        }
    }

    #[test]
    fn what_is_too_long_or_too_short_is_damaged() {
        assert_eq!(Reader::new(&[0xff; 10]).number(), Err(Damaged));
        assert_eq!(Reader::new(&[0x80]).number(), Err(Damaged));
        assert_eq!(Reader::new(&[3, b'a', b'b']).octets(), Err(Damaged));
        assert_eq!(Reader::new(&[0xff, 0xff, 0xff, 0xff, 0x1f]).small(), Err(Damaged));
        assert_eq!(Reader::new(&[1, 0xff]).text(), Err(Damaged));
    }
}

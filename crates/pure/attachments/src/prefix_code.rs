//! Prefix codes whose words are told by their lengths alone, and the bits that they are read from, the highest first: of RAR
//! archives and of cabinets (LZX).

/// Bits of the longest word.
const BITS_MAX: u32 = 16;
/// Bits in which a quick entry has a word's length, behind its symbol.
const QUICK_LENGTH_BITS: u32 = 5;

#[derive(Debug)]
pub(crate) struct Code {
    /// For each beginning of so many bits, the symbol and the length of its word; zero where the word is longer.
    quick: Vec<u16>,
    quick_bits: u32,
    /// For each length: beyond the last word of it, filled up to the longest; how many symbols are shorter, less that word.
    limits: [u32; BITS_MAX as usize + 1],
    bases: [u32; BITS_MAX as usize + 1],
    symbols: Vec<u16>,
}

impl Code {
    /// The code whose symbols have these lengths, of which those without a word have none. Words of up to `quick_bits` are
    /// found at once.
    pub(crate) fn new(lengths: &[u8], quick_bits: u32) -> Code {
        let mut code = Code {
            quick: vec![0; 1 << quick_bits],
            quick_bits,
            limits: [0; 17],
            bases: [0; 17],
            symbols: vec![0; lengths.len()],
        };
        // How many symbols are of each length, then where the next of it goes.
        let mut places = [0_usize; BITS_MAX as usize + 1];
        for length in lengths.iter().filter(|length| **length > 0) {
            if let Some(count) = places.get_mut(usize::from(*length)) {
                *count += 1;
            }
        }
        let (mut word, mut before) = (0_u32, 0);
        let cells = places.iter_mut().zip(&mut code.limits).zip(&mut code.bases).zip(0..=BITS_MAX).skip(1);
        for (((place, limit), base), bits) in cells {
            *base = (before as u32).wrapping_sub(word);
            let count = std::mem::replace(place, before);
            (word, before) = (word.saturating_add(count as u32), before + count);
            *limit = word.saturating_mul(1 << (BITS_MAX - bits));
            word = word.saturating_mul(2);
        }
        for (symbol, length) in lengths.iter().enumerate().filter(|(_, length)| **length > 0) {
            let Some(place) = places.get_mut(usize::from(*length)) else { continue };
            if let Some(cell) = code.symbols.get_mut(*place) {
                *cell = symbol as u16;
            }
            *place += 1;
        }
        code.fill_quick();
        code
    }

    fn fill_quick(&mut self) {
        let mut quick = std::mem::take(&mut self.quick);
        let mut bits = 1;
        for (begin, cell) in quick.iter_mut().enumerate() {
            let ahead = (begin as u32) << (BITS_MAX - self.quick_bits);
            // Limits do not fall.
            while bits <= self.quick_bits
                && self.limits.get(bits as usize).is_some_and(|limit| ahead >= *limit)
            {
                bits += 1;
            }
            if bits > self.quick_bits {
                break;
            }
            if let Some(symbol) = self.symbol_of(ahead, bits) {
                *cell = symbol << QUICK_LENGTH_BITS | bits as u16;
            }
        }
        self.quick = quick;
    }

    fn symbol_of(&self, ahead: u32, bits: u32) -> Option<u16> {
        let word = ahead >> (BITS_MAX - bits);
        let place = self.bases.get(bits as usize)?.wrapping_add(word);
        self.symbols.get(place as usize).copied()
    }

    /// The symbol that so many bits begin with, and how many of them are its.
    fn find(&self, ahead: u32) -> Option<(u16, u32)> {
        let begin = ahead >> (BITS_MAX - self.quick_bits);
        match self.quick.get(begin as usize) {
            Some(0) | None => {}
            Some(quick) => {
                return Some((quick >> QUICK_LENGTH_BITS, u32::from(quick & ((1 << QUICK_LENGTH_BITS) - 1))));
            }
        }
        let bits = (1..=BITS_MAX)
            .find(|bits| self.limits.get(*bits as usize).is_some_and(|limit| ahead < *limit))?;
        Some((self.symbol_of(ahead, bits)?, bits))
    }
}

/// A place in octets from which bits are read. Behind their end there are zeros.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bits<'i> {
    octets: &'i [u8],
    at: usize,
}

impl<'i> Bits<'i> {
    /// Behind so many bits of the octets.
    pub(crate) fn new(octets: &'i [u8], at: usize) -> Bits<'i> {
        Bits { octets, at }
    }

    /// Bits that were taken, with those it began behind.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn left(&self) -> usize {
        (self.octets.len() * 8).saturating_sub(self.at)
    }

    /// Whether more were taken than there are.
    pub(crate) fn is_short(&self) -> bool {
        self.at > self.octets.len() * 8
    }

    fn peek(&self) -> u32 {
        let rest = self.octets.get(self.at / 8..).unwrap_or_default();
        let word = match rest.first_chunk::<8>() {
            Some(eight) => u64::from_be_bytes(*eight),
            None => {
                let places = (0..64).step_by(8).rev();
                rest.iter().zip(places).fold(0, |word, (octet, place)| word | u64::from(*octet) << place)
            }
        };
        (word << (self.at % 8) >> 32) as u32
    }

    /// The next bits, up to 32.
    pub(crate) fn take(&mut self, bits: u32) -> u32 {
        let value = self.peek().checked_shr(32 - bits).unwrap_or(0);
        self.at += bits as usize;
        value
    }

    /// The next symbol. Where there is none that begins so, as many bits as were looked at are taken, so that it is known
    /// whether they were there.
    pub(crate) fn symbol(&mut self, code: &Code) -> Option<usize> {
        let found = code.find(self.peek() >> (32 - BITS_MAX));
        self.at += found.map_or(BITS_MAX, |(_, bits)| bits) as usize;
        found.map(|(symbol, _)| usize::from(symbol))
    }

    /// Passes what is left of an octet that was begun.
    pub(crate) fn align(&mut self) {
        self.at = self.at.next_multiple_of(8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_by_their_beginning() {
        // 0, 10, 110, 111 of the symbols 2, 1, 3, 4.
        let lengths = [0, 2, 1, 3, 3];
        for quick_bits in 1..=9 {
            let code = Code::new(&lengths, quick_bits);
            let mut bits = Bits::new(&[0b0101_1011, 0b1000_0000], 0);
            let symbols: Vec<_> = (0..4).map(|_| bits.symbol(&code).unwrap()).collect();
            assert_eq!((symbols, bits.at()), (vec![2, 1, 3, 4], 9), "{quick_bits}");
        }
        let code = Code::new(&[16, 16], 9);
        for (octets, expected) in [([0, 0], Some(0)), ([0, 1], Some(1)), ([0, 2], None), ([0xff; 2], None)] {
            assert_eq!(Bits::new(&octets, 0).symbol(&code), expected, "{octets:?}");
        }
        // A code without words, and one with too many short ones: some symbol or none.
        assert_eq!(Bits::new(&[0], 0).symbol(&Code::new(&[0; 20], 7)), None);
        let code = Code::new(&[1; 300], 7);
        for octets in [[0; 2], [0x80; 2], [0xff; 2]] {
            assert!(Bits::new(&octets, 0).symbol(&code).is_none_or(|symbol| symbol < 300));
        }
    }

    #[test]
    fn bits_are_taken_and_behind_the_end_are_zeros() {
        let mut bits = Bits::new(b"\xa5\x0f\xff\0\x80\x01\x02\x03\xc0", 1);
        assert_eq!((bits.take(0), bits.take(3), bits.take(32)), (0, 0b010, 0x50ff_f008));
        assert_eq!((bits.at(), bits.left(), bits.is_short()), (36, 36, false));
        bits.align();
        assert_eq!((bits.take(24), bits.take(9), bits.is_short()), (0x01_0203, 0x180, true));
        assert_eq!((bits.take(32), bits.left()), (0, 0));
    }
}

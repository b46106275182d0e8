//! A prefix code of bzip2: symbols by their lengths in bits, the shorter first.

/// Bits of the longest word.
pub(crate) const BITS_MAX: u32 = 20;
/// All octets, two digits of repetitions, less one, and the end.
pub(crate) const SYMBOLS_MAX: usize = 258;

#[derive(Debug)]
pub(crate) struct Code {
    /// For each length: beyond the last word of it, filled up to the longest; how many symbols are shorter, less that word.
    limits: [u32; BITS_MAX as usize + 1],
    bases: [u32; BITS_MAX as usize + 1],
    symbols: Vec<u16>,
}

impl Code {
    /// The code whose symbols have these lengths.
    pub(crate) fn new(lengths: &[u8]) -> Code {
        let mut code = Code { limits: [0; 21], bases: [0; 21], symbols: vec![0; lengths.len()] };
        // How many symbols are of each length, then where the next of it goes. Blocks may be short, and many.
        let mut places = [0_usize; BITS_MAX as usize + 1];
        for length in lengths {
            if let Some(count) = places.get_mut(usize::from(*length)) {
                *count += 1;
            }
        }
        let (mut word, mut before) = (0_u32, 0);
        let cells = places.iter_mut().zip(&mut code.limits).zip(&mut code.bases).zip(0..=BITS_MAX).skip(1);
        for (((place, limit), base), bits) in cells {
            *base = (before as u32).wrapping_sub(word);
            let count = std::mem::replace(place, before);
            (word, before) = (word.wrapping_add(count as u32), before + count);
            *limit = word.saturating_mul(1 << (BITS_MAX - bits));
            word = word.wrapping_mul(2);
        }
        for (symbol, length) in lengths.iter().enumerate() {
            let Some(place) = places.get_mut(usize::from(*length)) else { continue };
            if let Some(cell) = code.symbols.get_mut(*place) {
                *cell = symbol as u16;
            }
            *place += 1;
        }
        code
    }

    /// The symbol that so many bits begin with, and how many of them are its.
    pub(crate) fn symbol(&self, ahead: u32) -> Option<(u16, u32)> {
        let bits = (1..=BITS_MAX)
            .find(|bits| self.limits.get(*bits as usize).is_some_and(|limit| ahead < *limit))?;
        let word = ahead >> (BITS_MAX - bits);
        let place = self.bases.get(bits as usize)?.wrapping_add(word);
        Some((*self.symbols.get(place as usize)?, bits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_by_their_beginning() {
        // 0, 10, 110, 111 of the symbols 1, 0, 2, 3.
        let code = Code::new(&[2, 1, 3, 3]);
        for (word, expected) in [
            (0b0_u32 << 19, Some((1, 1))),
            (0b011 << 17, Some((1, 1))),
            (0b10 << 18, Some((0, 2))),
            (0b110 << 17, Some((2, 3))),
            (0b111 << 17 | 1, Some((3, 3))),
        ] {
            assert_eq!(code.symbol(word), expected, "{word:b}");
        }
        assert_eq!(Code::new(&[20, 20]).symbol(1), Some((1, 20)));
        assert_eq!(Code::new(&[20, 20]).symbol(2), None);
        // Too many short words, which no program writes: some symbol or none.
        let code = Code::new(&[1; SYMBOLS_MAX]);
        for word in [0, 1 << 19, (1 << 20) - 1] {
            assert!(code.symbol(word).is_none_or(|(symbol, _)| usize::from(symbol) < SYMBOLS_MAX));
        }
    }
}

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
        let mut code = Code { limits: [0; 21], bases: [0; 21], symbols: Vec::with_capacity(lengths.len()) };
        let mut word = 0_u32;
        for bits in 1..=BITS_MAX {
            let first = word;
            let before = code.symbols.len() as u32;
            let of_length = lengths.iter().enumerate().filter(|(_, length)| u32::from(**length) == bits);
            code.symbols.extend(of_length.map(|(symbol, _)| symbol as u16));
            word = first.wrapping_add(code.symbols.len() as u32 - before);
            if let (Some(limit), Some(base)) =
                (code.limits.get_mut(bits as usize), code.bases.get_mut(bits as usize))
            {
                *limit = word.saturating_mul(1 << (BITS_MAX - bits));
                *base = before.wrapping_sub(first);
            }
            word = word.wrapping_mul(2);
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

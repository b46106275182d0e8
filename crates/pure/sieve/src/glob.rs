//! Wildcard patterns of `:matches` (RFC 5228 §2.7.1): `*`, `?` and a backslash before what is meant literally.
//!
//! Stars take as little as they can, from left to right (RFC 5229 §3.2); so each piece between two stars is looked for
//! once, from where the one before it was found, and nothing is ever tried again.

use memchr::memmem::Finder;

/// A pattern made ready.
#[derive(Clone, Debug)]
pub(crate) struct Glob {
    /// What stands between stars; one piece if there is no star.
    pieces: Box<[Piece]>,
    cost: u64,
}

#[derive(Clone, Debug, Default)]
struct Piece {
    atoms: Vec<Atom>,
}

#[derive(Clone, Debug)]
enum Atom {
    Octets(Box<Finder<'static>>),
    /// `?`: any one character.
    One,
}

/// Where in the text each wildcard's octets are.
pub(crate) type Captures = Vec<(usize, usize)>;

impl Glob {
    /// Reads a pattern; literal octets go through `fold`.
    pub(crate) fn new(pattern: &[u8], fold: impl Fn(&[u8]) -> Vec<u8>) -> Glob {
        let mut pieces = vec![Piece::default()];
        let mut literal = Vec::new();
        let mut octets = pattern.iter().copied();
        while let Some(octet) = octets.next() {
            match octet {
                b'*' => {
                    flush(&mut literal, &mut pieces, &fold);
                    pieces.push(Piece::default());
                }
                b'?' => {
                    flush(&mut literal, &mut pieces, &fold);
                    if let Some(piece) = pieces.last_mut() {
                        piece.atoms.push(Atom::One);
                    }
                }
                b'\\' => literal.push(octets.next().unwrap_or(b'\\')),
                octet => literal.push(octet),
            }
        }
        flush(&mut literal, &mut pieces, &fold);
        let cost = 1 + pieces.iter().map(Piece::cost).sum::<u64>();
        Glob { pieces: pieces.into(), cost }
    }

    /// What looking at each eight octets of a text costs at most.
    pub(crate) fn cost(&self) -> u64 {
        self.cost
    }

    /// Whether all of the text matches; each wildcard's part of it.
    pub(crate) fn captures(&self, text: &[u8]) -> Option<Captures> {
        let mut captures = Captures::new();
        let (first, rest) = self.pieces.split_first()?;
        let mut at = first.match_at(text, 0, &mut captures)?;
        let Some((last, middle)) = rest.split_last() else { return (at == text.len()).then_some(captures) };
        for piece in middle {
            let (start, mut ones, end) = piece.find(text, at)?;
            captures.push((at, start));
            captures.append(&mut ones);
            at = end;
        }
        let (start, mut ones) = last.match_end(text, at)?;
        captures.push((at, start));
        captures.append(&mut ones);
        Some(captures)
    }
}

fn flush(literal: &mut Vec<u8>, pieces: &mut [Piece], fold: &impl Fn(&[u8]) -> Vec<u8>) {
    if let Some(piece) = pieces.last_mut()
        && !literal.is_empty()
    {
        piece.atoms.push(Atom::Octets(Box::new(Finder::new(&fold(literal)).into_owned())));
        literal.clear();
    }
}

impl Piece {
    /// A piece of octets alone is found by looking at each octet once; one with characters left open may be tried at each
    /// of them, with all its octets each time.
    fn cost(&self) -> u64 {
        /// What trying one atom costs, for eight octets.
        const TRY_COST: u64 = 64;
        /// What each octet of the first atom costs, which is looked for; of the others, two are compared for as much as one.
        const SOUGHT_COST: u64 = 4;
        if let [] | [Atom::Octets(_)] = self.atoms.as_slice() {
            return 0;
        }
        let octets = |atom: &Atom| match atom {
            Atom::Octets(finder) => finder.needle().len() as u64,
            Atom::One => 0,
        };
        let sought = self.atoms.first().map_or(0, octets);
        let compared: u64 = self.atoms.iter().skip(1).map(octets).sum();
        self.atoms.len() as u64 * TRY_COST + sought * SOUGHT_COST + compared / 2
    }

    /// Matches at this place; where it ends.
    fn match_at(&self, text: &[u8], mut at: usize, ones: &mut Captures) -> Option<usize> {
        for atom in &self.atoms {
            let rest = text.get(at..)?;
            let octets = match atom {
                Atom::Octets(finder) => rest.starts_with(finder.needle()).then_some(finder.needle().len())?,
                Atom::One => {
                    let octets = character_octets(rest)?;
                    ones.push((at, at + octets));
                    octets
                }
            };
            at += octets;
        }
        Some(at)
    }

    /// The first place from `at` on where it matches.
    fn find(&self, text: &[u8], mut at: usize) -> Option<(usize, Captures, usize)> {
        loop {
            let rest = text.get(at..)?;
            let start = match self.atoms.first() {
                Some(Atom::Octets(finder)) => at + finder.find(rest)?,
                _ => at,
            };
            let mut ones = Captures::new();
            if let Some(end) = self.match_at(text, start, &mut ones) {
                return Some((start, ones, end));
            }
            at = start + character_octets(text.get(start..)?)?;
        }
    }

    /// Matches so that it ends with the text; where it begins.
    fn match_end(&self, text: &[u8], from: usize) -> Option<(usize, Captures)> {
        let mut ones = Captures::new();
        let mut end = text.len();
        for atom in self.atoms.iter().rev() {
            let before = text.get(from..end)?;
            match atom {
                Atom::Octets(finder) => {
                    if !before.ends_with(finder.needle()) {
                        return None;
                    }
                    end -= finder.needle().len();
                }
                Atom::One => {
                    let octets = last_character_octets(before)?;
                    ones.push((end - octets, end));
                    end -= octets;
                }
            }
        }
        ones.reverse();
        Some((end, ones))
    }
}

/// Octets of the character a text begins with; what is no UTF-8 counts octet by octet.
fn character_octets(text: &[u8]) -> Option<usize> {
    let octets = match text.first()? {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    let is_whole = text.get(1..octets).is_some_and(|rest| rest.iter().all(|octet| octet & 0xc0 == 0x80));
    Some(if is_whole { octets } else { 1 })
}

fn last_character_octets(text: &[u8]) -> Option<usize> {
    text.last()?;
    let longest = text.len().min(4);
    let octets = (2..=longest).find(|octets| {
        text.get(text.len() - octets..).and_then(character_octets).is_some_and(|first| first == *octets)
    });
    Some(octets.unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, text: &str, expected: Option<&[&str]>) {
        let found = Glob::new(pattern.as_bytes(), <[u8]>::to_vec).captures(text.as_bytes());
        let found: Option<Vec<&str>> =
            found.map(|found| found.iter().map(|&(start, end)| &text[start..end]).collect());
        assert_eq!(found.as_deref(), expected, "{pattern} against {text}");
    }

    #[test]
    fn stars_take_as_little_as_they_can() {
        check("?*frop*", "frop.......frop.........frop....", Some(&["f", "rop.......", ".........frop...."]));
        check("*?op*", "klopfropstroptop", Some(&["k", "l", "fropstroptop"]));
        check("*?op", "klopfropstroptop", Some(&["klopfropstrop", "t"]));
        check("?*fr??*top", "klopfropstroptop", Some(&["k", "lop", "o", "p", "strop"]));
        check("coyote@**.com", "coyote@ACME.Example.COM.com", Some(&["", "ACME.Example.COM"]));
    }

    #[test]
    fn the_whole_text_must_match() {
        check("", "", Some(&[]));
        check("*", "", Some(&[""]));
        check("?", "", None);
        check("a", "ab", None);
        check("*a", "ba", Some(&["b"]));
        check("a*a", "a", None);
        check("a*", "ba", None);
        check("ab*ba", "aba", None);
    }

    #[test]
    fn backslashes_take_the_magic_away() {
        check("\\*\\?", "*?", Some(&[]));
        check("\\*\\?", "ab", None);
        check("*\\", "a\\", Some(&["a"]));
    }

    #[test]
    fn a_question_mark_is_a_character() {
        check("m?glich*", "möglich.", Some(&["ö", "."]));
        check("*?", "höö", Some(&["hö", "ö"]));
    }

    #[test]
    fn stars_that_never_match_cost_no_more_than_the_text() {
        let text = "a".repeat(200_000);
        let pattern = format!("{}b", "a*".repeat(500));
        assert!(Glob::new(pattern.as_bytes(), <[u8]>::to_vec).captures(text.as_bytes()).is_none());
    }
}

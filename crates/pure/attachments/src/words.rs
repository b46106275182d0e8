//! Many words sought at once, in octets that come in pieces and in any letter case.

use aho_corasick::{AhoCorasick, AhoCorasickKind};

/// A set of words, at most 64. None may begin another: the shorter would hide the longer.
pub(crate) struct Words {
    automaton: Option<AhoCorasick>,
    words: &'static [&'static str],
    /// Octets of the longest.
    octets_max: usize,
}

impl Words {
    pub(crate) fn new(words: &'static [&'static str]) -> Words {
        let octets_max = words.iter().map(|word| word.len()).max().unwrap_or(1);
        // It could only fail on words of gigabytes.
        let mut builder = AhoCorasick::builder();
        // There are few words and many octets.
        builder.ascii_case_insensitive(true).kind(Some(AhoCorasickKind::DFA));
        let automaton = builder.build(words).ok();
        Words { automaton, words, octets_max }
    }
}

/// Which words were there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    found: u64,
    /// The end of the octets before, in which a word may have begun.
    tail: Vec<u8>,
}

impl Seen {
    pub(crate) fn feed(&mut self, words: &Words, octets: &[u8]) {
        let Some(automaton) = &words.automaton else { return };
        let reach = words.octets_max - 1;
        if !self.tail.is_empty() {
            self.tail.extend_from_slice(octets.get(..reach).unwrap_or(octets));
            self.found |= found(automaton, &self.tail);
        }
        self.found |= found(automaton, octets);
        if octets.len() >= reach {
            self.tail.clear();
            self.tail.extend_from_slice(octets.get(octets.len() - reach..).unwrap_or_default());
        } else if self.tail.is_empty() {
            self.tail.extend_from_slice(octets);
        } else {
            let cut = self.tail.len().saturating_sub(reach);
            self.tail.drain(..cut);
        }
    }

    /// Whether one of the words from this place of the list up to that one was there.
    pub(crate) fn has_any(&self, places: std::ops::Range<usize>) -> bool {
        places.into_iter().any(|place| self.has(place))
    }

    pub(crate) fn has(&self, place: usize) -> bool {
        self.found & (1 << place.min(63)) != 0
    }

    /// The words from this place on that were there, at most so many.
    pub(crate) fn list(&self, words: &Words, places: std::ops::Range<usize>, count_max: usize) -> String {
        let found = places.filter(|place| self.has(*place)).filter_map(|place| words.words.get(place));
        found
            .map(|word| word.trim_end_matches(['(', ' ', '=']))
            .take(count_max)
            .collect::<Vec<_>>()
            .join(", ")
    }
}

fn found(automaton: &AhoCorasick, octets: &[u8]) -> u64 {
    automaton.find_iter(octets).fold(0, |found, word| found | 1 << word.pattern().as_usize().min(63))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_wherever_pieces_end() {
        let words = Words::new(&["AutoOpen", "Shell(", "x"]);
        let text = b"sub AUTOOPEN() y shell(z)";
        for piece in 1..=text.len() {
            let mut seen = Seen::default();
            text.chunks(piece).for_each(|octets| seen.feed(&words, octets));
            assert_eq!(seen.list(&words, 0..3, 9), "AutoOpen, Shell", "{piece}");
            assert!(seen.has_any(0..1) && !seen.has(2));
        }
    }
}

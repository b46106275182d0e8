//! Looking for several strings at once in a message's text, as IMAP's SEARCH wants: substrings, letter case ignored
//! (RFC 9051 §6.4.4).

use memchr::memmem::Finder;

use crate::fold::{Folder, fold};
use crate::text::TextPiece;

/// A search for strings in text that comes in pieces.
#[derive(Clone, Debug)]
pub struct TextSearch {
    needles: Vec<Needle>,
    folder: Folder,
    /// The folded end of the text before, long enough for a string that goes on in the next piece, and the piece itself.
    folded: String,
    /// Octets of the longest string.
    needle_octets_max: usize,
}

#[derive(Clone, Debug)]
struct Needle {
    finder: Finder<'static>,
    is_found: bool,
}

impl TextSearch {
    /// A search for these strings; the empty string is in every text (RFC 9051 §6.4.4).
    pub fn new<S: AsRef<str>>(strings: &[S]) -> TextSearch {
        let folded: Vec<String> = strings.iter().map(|string| fold(string.as_ref())).collect();
        let needle_octets_max = folded.iter().map(String::len).max().unwrap_or(0);
        let needles = folded.iter().map(|needle| Needle {
            finder: Finder::new(needle.as_bytes()).into_owned(),
            is_found: needle.is_empty(),
        });
        TextSearch {
            needles: needles.collect(),
            folder: Folder::default(),
            folded: String::new(),
            needle_octets_max,
        }
    }

    /// Takes the next piece of text.
    pub fn take(&mut self, piece: TextPiece<'_>) {
        match piece {
            TextPiece::Text(text) => self.look(text),
            TextPiece::End => {
                self.folded.clear();
                self.folder = Folder::default();
            }
        }
    }

    /// Whether the string with this place in the list was found.
    pub fn has_found(&self, index: usize) -> bool {
        self.needles.get(index).is_some_and(|needle| needle.is_found)
    }

    /// Whether all strings were found: there is no need to go on.
    pub fn has_found_all(&self) -> bool {
        self.needles.iter().all(|needle| needle.is_found)
    }

    fn look(&mut self, text: &str) {
        self.folder.feed(text, &mut self.folded);
        for needle in self.needles.iter_mut().filter(|needle| !needle.is_found) {
            needle.is_found = needle.finder.find(self.folded.as_bytes()).is_some();
        }
        let keep_from = self.folded.len().saturating_sub(self.needle_octets_max.saturating_sub(1));
        self.folded.drain(..self.folded.floor_char_boundary(keep_from));
    }
}

/// Whether a text contains a string in the sense of SEARCH.
pub fn contains_folded(text: &str, string: &str) -> bool {
    let mut search = TextSearch::new(&[string]);
    search.take(TextPiece::Text(text));
    search.has_found(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(strings: &[&str], pieces: &[TextPiece<'_>]) -> Vec<bool> {
        let mut search = TextSearch::new(strings);
        pieces.iter().for_each(|piece| search.take(*piece));
        (0..strings.len()).map(|index| search.has_found(index)).collect()
    }

    #[test]
    fn strings_are_found_across_pieces() {
        use TextPiece::{End, Text};
        let pieces = [Text("Hel"), Text("lo \r\n Wö"), Text("RLD"), End, Text("next")];
        let strings = ["hello wörld", "", "LO W", "rldnext", "hello  world", "x"];
        assert_eq!(search(&strings, &pieces), [true, true, true, false, false, true]);
        assert!(!search(&["a"], &[]).contains(&true));
        assert_eq!(search(&["", "a"], &[]), [true, false]);
    }

    #[test]
    fn every_cut_gives_the_same() {
        let text = "Straße und Äpfel";
        for cut in (0..text.len()).filter(|cut| text.is_char_boundary(*cut)) {
            let (left, right) = text.split_at(cut);
            let pieces = [TextPiece::Text(left), TextPiece::Text(right)];
            assert_eq!(search(&["STRASSE UND äPFEL", "e u", "ß"], &pieces), [true, true, true], "{cut}");
        }
    }

    #[test]
    fn texts_are_compared() {
        assert!(contains_folded("Re: Lunch", "lunch"));
        assert!(contains_folded("anything", ""));
        assert!(!contains_folded("Re: Lunch", "dinner"));
    }

    #[test]
    fn many_pieces_take_linear_time() {
        let needle = "ab".repeat(500);
        let mut search = TextSearch::new(&[needle.as_str()]);
        for _ in 0..100_000 {
            search.take(TextPiece::Text("a"));
        }
        assert!(!search.has_found_all());
        assert!(search.folded.len() < needle.len());
    }
}

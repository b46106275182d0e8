//! Text made comparable for searching: letter case, kinds of blanks and invisible characters do not matter. Needle and
//! haystack go through the same function (in the spirit of RFC 5051, i;unicode-casemap).

/// Folds text in pieces of any size; the result does not depend on them.
#[derive(Clone, Debug, Default)]
pub struct Folder {
    is_after_blank: bool,
}

impl Folder {
    /// Appends the folded form of the next piece.
    pub fn feed(&mut self, text: &str, folded: &mut String) {
        folded.reserve(text.len());
        for character in text.chars() {
            if character.is_ascii_graphic() {
                folded.push(character.to_ascii_lowercase());
                self.is_after_blank = false;
            } else if character.is_whitespace() || character.is_control() {
                // Texts are wrapped anywhere, so a line end is a blank and several are one.
                if !self.is_after_blank {
                    folded.push(' ');
                }
                self.is_after_blank = true;
            } else if !is_invisible(character) {
                // Upper case first: it joins what has several lower-case forms (final sigma, long s, sharp s).
                folded.extend(character.to_uppercase().flat_map(char::to_lowercase));
                self.is_after_blank = false;
            }
        }
    }
}

/// The folded form of a whole text.
pub fn fold(text: &str) -> String {
    let mut folded = String::new();
    Folder::default().feed(text, &mut folded);
    folded
}

/// Soft hyphens, zero-width characters and marks of direction: mail programs insert them, nobody types them.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}' | '\u{34f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_blanks_do_not_matter() {
        for (left, right) in [
            ("Hello  World", "hello\r\n\tworld"),
            ("STRASSE", "Straße"),
            ("ΟΔΟΣ", "οδος"),
            ("ÄÖÜ", "äöü"),
            ("co\u{ad}operate", "cooperate"),
            ("a\u{a0}b", "a b"),
            ("ПРИВЕТ", "привет"),
        ] {
            assert_eq!(fold(left), fold(right), "{left}");
        }
        assert_ne!(fold("ab"), fold("a b"));
        assert_eq!(fold(" a "), " a ");
        assert_eq!(fold(""), "");
    }

    #[test]
    fn folding_does_not_depend_on_pieces() {
        let text = "Ab \r\n c\u{ad} \u{a0}Straße ";
        let mut folder = Folder::default();
        let mut folded = String::new();
        text.chars().for_each(|character| folder.feed(character.encode_utf8(&mut [0; 4]), &mut folded));
        assert_eq!(folded, fold(text));
    }
}

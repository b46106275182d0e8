//! PREVIEW: the first words of a message, for lists (RFC 8970). Made from the first text that is shown.

use mailstore::StoreError;
use message::{Summary, TextExtraction, TextPiece};

use super::super::octets::Octets;

/// RFC 8970 §3.1: a preview has at most 200 characters.
const CHARACTERS_MAX: usize = 200;
/// Octets of a message that are looked at: HTML of newsletters begins with tens of KiB that nobody sees.
const OCTETS_MAX: u64 = 64 * 1024;

/// The preview; `None` where the message has no text.
///
/// # Errors
/// What the store says.
pub(crate) async fn preview(summary: &Summary, octets: &mut Octets) -> Result<Option<String>, StoreError> {
    let Some(part) = summary.preview_part() else { return Ok(None) };
    let mut extraction = TextExtraction::of_part(part, OCTETS_MAX);
    let mut words = Words::default();
    while !words.is_full()
        && let Some(wanted) = extraction.wanted()
    {
        let run = octets.run(wanted.start..wanted.end).await?;
        extraction.give(run, |piece| words.take(piece));
    }
    Ok(Some(words.text))
}

/// Words with single spaces between them, up to the most characters.
#[derive(Default)]
struct Words {
    text: String,
    characters: usize,
    owes_space: bool,
}

impl Words {
    fn is_full(&self) -> bool {
        self.characters >= CHARACTERS_MAX
    }

    fn take(&mut self, piece: TextPiece<'_>) {
        let TextPiece::Text(text) = piece else {
            self.owes_space = true;
            return;
        };
        for character in text.chars() {
            if self.is_full() {
                return;
            }
            if character.is_whitespace() || character.is_control() {
                self.owes_space = true;
                continue;
            }
            if self.owes_space && !self.text.is_empty() {
                self.push(' ');
            }
            self.owes_space = false;
            if !self.is_full() {
                self.push(character);
            }
        }
    }

    fn push(&mut self, character: char) {
        self.text.push(character);
        self.characters += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(pieces: &[&str]) -> String {
        let mut words = Words::default();
        pieces.iter().for_each(|piece| words.take(TextPiece::Text(piece)));
        words.text
    }

    #[test]
    fn previews_are_words_with_single_spaces() {
        assert_eq!(words(&["  Hello,\r\n\tworld \u{7}! "]), "Hello, world !");
        assert_eq!(words(&["Hel", "lo ", " you"]), "Hello you");
    }

    #[test]
    fn previews_end_at_their_bound() {
        for characters in [199, 200, 201] {
            let preview = words(&[&"ü".repeat(characters)]);
            assert_eq!(preview.chars().count(), characters.min(CHARACTERS_MAX));
        }
        assert_eq!(words(&[&"a ".repeat(500)]).chars().count(), CHARACTERS_MAX);
    }
}

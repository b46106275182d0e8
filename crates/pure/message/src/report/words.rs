//! Foreign text made harmless: on one line, without controls, bounded.

/// Longest piece without a blank that a line gets: several fit into what RFC 5322 §2.1.1 allows.
const WORD_OCTETS_MAX: usize = 400;

/// Characters that steer instead of being read: controls, line ends of Unicode, and marks that turn the direction of
/// writing and so show people something else than what is there (Unicode TR 36).
fn is_steering(char: char) -> bool {
    char.is_control()
        || matches!(
            char,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

/// The words of a text, cut at so many octets in all. No word is longer than a line can take.
pub(super) fn words(text: &str, octets_max: usize) -> impl Iterator<Item = String> + '_ {
    let end = text.floor_char_boundary(octets_max);
    let text = text.get(..end).unwrap_or_default();
    text.split(|char: char| char.is_whitespace() || is_steering(char))
        .filter(|word| !word.is_empty())
        .flat_map(|word| {
            let mut rest = word;
            std::iter::from_fn(move || {
                let end = rest.floor_char_boundary(WORD_OCTETS_MAX);
                let (piece, after) = rest.split_at(end);
                rest = after;
                (!piece.is_empty()).then(|| piece.to_owned())
            })
        })
}

/// A text on one line.
pub(super) fn line(text: &str, octets_max: usize) -> String {
    words(text, octets_max).collect::<Vec<_>>().join(" ")
}

/// With `?` for what is not ASCII.
pub(super) fn ascii(text: &str) -> String {
    text.chars().map(|char| if char.is_ascii() { char } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers() {
        assert_eq!(line("a\r\nb\tc\0d\u{85}e\u{2028}f\u{202e}g  h", 100), "a b c d e f g h");
        assert_eq!(line(" \r\n ", 100), "");
        assert_eq!(ascii("größe"), "gr??e");
    }

    #[test]
    fn words_and_texts_are_bounded() {
        for octets in [WORD_OCTETS_MAX - 1, WORD_OCTETS_MAX, WORD_OCTETS_MAX + 1] {
            let count = words(&"x".repeat(octets), 10_000).count();
            assert_eq!(count, if octets > WORD_OCTETS_MAX { 2 } else { 1 });
        }
        for octets in [99, 100, 101] {
            assert_eq!(line(&"x".repeat(octets), 100).len(), octets.min(100));
        }
        assert_eq!(line("aüb", 2), "a");
    }
}

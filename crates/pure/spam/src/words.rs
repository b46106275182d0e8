//! Cuts text into words: letters and digits of any script, with the marks that belong inside prices, addresses and names.

use crate::collector::Collector;

/// Longest word told apart, in octets; of a longer one its length counts.
const WORD_OCTETS_MAX: usize = 32;

/// Passes the words of a text on, at most so many.
pub(crate) fn words(text: &str, words_max: usize, collector: &mut Collector) {
    let mut word = String::with_capacity(WORD_OCTETS_MAX);
    let mut count = 0;
    for run in text.split(|c: char| !is_inside(c)) {
        let run = run.trim_matches(|c| matches!(c, '.' | '-' | '\'' | '_' | '@' | '*'));
        if run.is_empty() {
            continue;
        }
        if count >= words_max {
            return;
        }
        count += 1;
        word.clear();
        if run.len() > WORD_OCTETS_MAX {
            word.push_str(long_word(run.len()));
        } else if is_year(run) {
            word.push_str("<year>");
        } else if run.is_ascii() {
            word.push_str(run);
            word.make_ascii_lowercase();
        } else {
            word.extend(run.chars().flat_map(char::to_lowercase));
        }
        collector.word(&word);
    }
}

fn is_inside(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | '-' | '\'' | '_' | '@' | '$' | '€' | '£' | '%' | '!' | '*' | '#')
}

/// Years of our time tell when, not what.
fn is_year(word: &str) -> bool {
    word.len() == 4
        && (word.starts_with("19") || word.starts_with("20"))
        && word.bytes().all(|octet| octet.is_ascii_digit())
}

fn long_word(octets: usize) -> &'static str {
    match octets {
        0..=48 => "<long word>",
        49..=96 => "<very long word>",
        _ => "<endless word>",
    }
}

/// A word with its letters and digits replaced by their class, runs as one: `AbC-123` gives `Aa-9`.
pub(crate) fn shape(octets: &[u8]) -> String {
    let mut shape = String::new();
    for &octet in octets.iter().take(96) {
        let class = match octet {
            b'a'..=b'z' => 'a',
            b'A'..=b'Z' => 'A',
            b'0'..=b'9' => '9',
            0x80.. => 'ü',
            other => char::from(other),
        };
        if !shape.ends_with(class) {
            shape.push(class);
        }
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_keep_the_form_and_lose_the_content() {
        assert_eq!(shape(b"AbC-123"), "AaA-9");
        assert_eq!(shape(b"<20260105.ab12@host.example>"), "<9.a9@a.a>");
        assert_eq!(shape(b""), "");
    }

    #[test]
    fn words_end_where_people_see_it() {
        let of = |mut collector: Collector| {
            collector.begin("text");
            words("Don't pay $9.99, Größe! x 2026", 6, &mut collector);
            collector
        };
        let (features, names) = (of(Collector::default()).finish(), of(Collector::naming(None)).names());
        for word in ["don't", "pay", "$9.99", "größe!", "x", "<year>", "$9.99 größe!"] {
            assert!(names.values().any(|name| *name == format!("“{word}” in the text")), "{word}: {names:?}");
        }
        assert_eq!(features.count(), 6 + 5);
    }

    #[test]
    fn words_are_bounded() {
        let count = |text: &str, words_max: usize| {
            let mut collector = Collector::default();
            words(text, words_max, &mut collector);
            collector.finish().count()
        };
        assert_eq!([count("a b c", 2), count("a b c", 3), count("a b c", 4)], [3, 5, 5]);
        let longest = "x".repeat(WORD_OCTETS_MAX);
        let name = |word: &str| {
            let mut collector = Collector::naming(None);
            words(word, 1, &mut collector);
            collector.names().into_values().next().unwrap_or_default()
        };
        assert!(name(&longest).contains(&longest));
        assert!(name(&format!("{longest}x")).contains("<long word>"));
    }
}

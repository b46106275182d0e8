//! Letters that are not what they look like: alphabets mixed inside a word, letters for formulas, characters that nobody sees.

use super::Found;
use crate::letter::Letter;
use crate::signs::mixes_scripts;

/// Characters of all texts that are looked at.
const LETTERS_MAX: usize = 50_000;

/// Words that mix alphabets, letters of formulas, and invisible characters that are no accident.
const MIXED_WORDS_MIN: usize = 3;
const STYLED_LETTERS_MIN: usize = 5;
const INVISIBLE_MIN: usize = 3;

/// Letters of a word below which mixing is the way of formulas and units.
const WORD_LETTERS_MIN: usize = 4;

pub(super) fn judge(letter: &Letter<'_>, found: &mut Found<'_>) {
    let subject = letter.text("subject").unwrap_or_default();
    found.when(mixes_scripts(&subject), "SUBJECT_MIXED_SCRIPTS");
    let styled = subject.chars().filter(|c| matches!(c, '\u{1d400}'..='\u{1d7ff}')).count();
    found.when(styled >= STYLED_LETTERS_MIN, "SUBJECT_STYLED");
    let (mut mixed, mut invisible, mut room) = (0, 0, LETTERS_MAX);
    for text in &letter.texts {
        let shown = text.shown();
        let shown = shown.get(..shown.floor_char_boundary(room)).unwrap_or_default();
        room -= shown.len();
        // What is US-ASCII mixes nothing.
        if !shown.is_ascii() {
            mixed += mixed_words(shown);
            invisible += invisible_inside(shown);
        }
    }
    found.when(mixed >= MIXED_WORDS_MIN, "TEXT_MIXED_SCRIPTS");
    found.when(invisible >= INVISIBLE_MIN, "TEXT_INVISIBLE");
}

fn mixed_words(text: &str) -> usize {
    let words = text.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_ascii());
    words.filter(|word| word.chars().count() >= WORD_LETTERS_MIN && mixes_scripts(word)).count()
}

/// Invisible characters between two Latin letters; other scripts need them to be written rightly.
fn invisible_inside(text: &str) -> usize {
    let mut count = 0;
    let mut is_after_letter = false;
    let mut is_waiting = false;
    for c in text.chars() {
        match c {
            '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' => is_waiting = is_after_letter,
            c => {
                let is_letter = c.is_ascii_alphabetic();
                count += usize::from(is_waiting && is_letter);
                (is_after_letter, is_waiting) = (is_letter, false);
            }
        }
    }
    count
}

//! HTML that hides, cuts up, asks, or acts.

use super::Found;
use crate::letter::Letter;

/// Hidden letters that are more than the line which mail programs show beside the subject.
const HIDDEN_LETTERS_MIN: usize = 250;

/// Letters below which a message with images says hardly a word.
const IMAGE_LETTERS_MAX: usize = 40;

/// Comments inside of words that are no accident.
const BROKEN_WORDS_MIN: usize = 3;

pub(super) fn judge(letter: &Letter<'_>, found: &mut Found<'_>) {
    let sum = |count: fn(&crate::page::Page) -> usize| letter.pages().map(count).sum::<usize>();
    let (hidden, shown) = (sum(|page| page.hidden_letters), sum(|page| page.shown_letters));
    found.when(hidden >= HIDDEN_LETTERS_MIN && hidden * 3 > shown, "HIDDEN_TEXT");
    found.when(sum(|page| page.broken_words) >= BROKEN_WORDS_MIN, "BROKEN_WORDS");
    found.when(sum(|page| page.forms) > 0, "HTML_FORM");
    found.when(sum(|page| page.programs) > 0, "HTML_SCRIPT");
    found.when(sum(|page| page.refreshes) > 0, "HTML_REFRESH");
    found.when(sum(|page| page.tiny_images) > 0, "TINY_IMAGE");
    let images = sum(|page| page.images) - sum(|page| page.tiny_images);
    let is_plain = letter.texts.iter().any(|text| text.page.is_none() && text.text.len() > IMAGE_LETTERS_MAX);
    found.when(images > 0 && shown < IMAGE_LETTERS_MAX && !is_plain, "IMAGE_ONLY");
}

//! The text itself: none, a wallet to pay into, a language that nobody here reads.

use super::Found;
use super::language::Language;
use crate::facts::Facts;
use crate::letter::Letter;

/// What all filters have to take for unwanted mail, so that people can try theirs.
const GTUBE: &str = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X";

/// Octets of an address of Bitcoin, old and new forms.
const OLD_WALLET: std::ops::RangeInclusive<usize> = 26..=35;
const NEW_WALLET: std::ops::RangeInclusive<usize> = 42..=62;

pub(super) fn judge(letter: &Letter<'_>, facts: &Facts<'_>, found: &mut Found<'_>) {
    let is_blank = letter.texts.iter().all(|text| text.shown().trim().is_empty());
    let has_images = letter.pages().any(|page| page.images > 0);
    let has_others = letter.leaves > letter.texts.len();
    found.when(is_blank && !has_images && !has_others, "EMPTY_BODY");
    for text in &letter.texts {
        found.when(text.shown().contains(GTUBE), "GTUBE");
        let is_mark = |c: char| !c.is_ascii_alphanumeric();
        if let Some(wallet) = text.shown().split(is_mark).find(|word| is_wallet(word)) {
            found.hit("BITCOIN_ADDRESS", wallet);
        }
    }
    if facts.wanted_languages.is_empty() {
        return;
    }
    if let Some(language) = of_letter(letter)
        && !language.is_among(facts.wanted_languages)
    {
        found.hit("UNWANTED_LANGUAGE", language.code());
    }
}

/// The language that a message is in, by its longest text; `None` if that is not clear.
pub fn language(message: &[u8]) -> Option<Language> {
    of_letter(&Letter::read(message))
}

fn of_letter(letter: &Letter<'_>) -> Option<Language> {
    let longest = letter.texts.iter().map(crate::letter::Text::shown).max_by_key(|text| text.len());
    longest.and_then(Language::of)
}

/// Whether a word is an address of Bitcoin by its form. Hashes and keys are not: these have letters that an address avoids,
/// or only those of hexadecimal numbers.
fn is_wallet(word: &str) -> bool {
    if let Some(rest) = word.strip_prefix("bc1") {
        let is_letter = |octet: u8| b"qpzry9x8gf2tvdw0s3jn54khce6mua7l".contains(&octet);
        return NEW_WALLET.contains(&word.len()) && rest.bytes().all(is_letter);
    }
    let is_letter = |octet: u8| octet.is_ascii_alphanumeric() && !b"0OIl".contains(&octet);
    OLD_WALLET.contains(&word.len())
        && word.starts_with(['1', '3'])
        && word.bytes().all(is_letter)
        && word.bytes().any(|octet| octet.is_ascii_uppercase())
        && word.bytes().any(|octet| octet.is_ascii_lowercase())
        && word.bytes().filter(u8::is_ascii_digit).count() >= 2
}

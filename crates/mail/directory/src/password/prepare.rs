//! One form for a password however a keyboard composed it, before it is hashed or made into SCRAM keys
//! (RFC 5802 §2.2, SASLprep of RFC 4013).

use icu_normalizer::ComposingNormalizerBorrowed;
use mail_types::Secret;

/// Prepares a password: SASLprep's mappings and NFKC. Its prohibitions are left out, as they would turn people away
/// who have such a password already; octets that are no UTF-8 stay as they are. ASCII is never changed.
pub(crate) fn prepare(password: &Secret) -> Secret {
    match password.reveal_str() {
        Some(text) if !text.is_ascii() => {
            let mapped: String =
                text.chars().filter(|&char| !is_mapped_to_nothing(char)).map(space).collect();
            let prepared = ComposingNormalizerBorrowed::new_nfkc().normalize(&mapped).into_owned();
            drop(Secret::from(mapped));
            Secret::from(prepared)
        }
        _ => password.clone(),
    }
}

/// Table B.1 of RFC 3454.
fn is_mapped_to_nothing(char: char) -> bool {
    matches!(
        char,
        '\u{AD}' | '\u{34F}' | '\u{1806}' | '\u{180B}'..='\u{180D}' | '\u{200B}'..='\u{200D}' | '\u{2060}'
            | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}'
    )
}

/// Table C.1.2 of RFC 3454: spaces other than the ASCII one become that.
fn space(char: char) -> char {
    match char {
        '\u{A0}' | '\u{1680}' | '\u{2000}'..='\u{200A}' | '\u{202F}' | '\u{205F}' | '\u{3000}' => ' ',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(typed: &str, expected: &str) {
        assert_eq!(prepare(&typed.into()).reveal_str(), Some(expected), "{typed:?}");
    }

    #[test]
    fn examples_of_rfc_4013_section_3() {
        check("I\u{AD}X", "IX");
        check("user", "user");
        check("USER", "USER");
        check("\u{AA}", "a");
        check("\u{2168}", "IX");
    }

    #[test]
    fn spaces_and_compositions_become_one() {
        check("a\u{A0}b\u{3000}c", "a b c");
        check("pa\u{308}ssword", "pässword");
        check("\u{7}", "\u{7}");
    }

    #[test]
    fn octets_that_are_no_text_stay() {
        let latin1 = Secret::new(vec![b'p', 0xE4]);
        assert_eq!(prepare(&latin1), latin1);
    }
}

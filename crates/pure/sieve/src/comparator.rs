//! Comparators: what makes two texts equal, and which comes first (RFC 4790, RFC 5051).

use std::borrow::Cow;
use std::cmp::Ordering;

use icu_normalizer::DecomposingNormalizerBorrowed;

use crate::dialect::Extension;

/// How texts are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) enum Comparator {
    /// `i;octet`
    Octet,
    /// `i;ascii-casemap`, what is meant where a script says nothing.
    #[default]
    AsciiCasemap,
    /// `i;ascii-numeric`
    AsciiNumeric,
    /// `i;unicode-casemap`
    UnicodeCasemap,
}

impl Comparator {
    const NAMES: [(Comparator, &str, Option<Extension>); 4] = [
        (Comparator::Octet, "i;octet", None),
        (Comparator::AsciiCasemap, "i;ascii-casemap", None),
        (Comparator::AsciiNumeric, "i;ascii-numeric", Some(Extension::ComparatorAsciiNumeric)),
        // Dovecot has it without require since 2.4, and so have its users' scripts.
        (Comparator::UnicodeCasemap, "i;unicode-casemap", None),
    ];

    /// The comparator of this name, and the extension it needs.
    pub(crate) fn parse(name: &[u8]) -> Option<(Comparator, Option<Extension>)> {
        let known = Self::NAMES.iter().find(|(_, known, _)| known.as_bytes() == name);
        known.map(|(comparator, _, need)| (*comparator, *need))
    }

    pub(crate) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(known, ..)| *known == self).map_or("", |(_, name, _)| name)
    }

    /// Whether it can look for a text inside another.
    pub(crate) fn has_substrings(self) -> bool {
        self != Comparator::AsciiNumeric
    }

    /// What making that form of so many octets costs.
    pub(crate) fn cost(self, octets: usize) -> u64 {
        let octets = octets as u64;
        match self {
            Comparator::Octet | Comparator::AsciiNumeric => octets / 8,
            Comparator::AsciiCasemap => octets / 4,
            // Each character is looked up, decomposed and put in order.
            Comparator::UnicodeCasemap => octets * 6,
        }
    }

    /// The form of a text in which equal ones have equal octets.
    pub(crate) fn fold(self, text: &[u8]) -> Cow<'_, [u8]> {
        match self {
            Comparator::Octet => Cow::Borrowed(text),
            Comparator::AsciiCasemap => {
                if text.iter().any(u8::is_ascii_uppercase) {
                    Cow::Owned(text.to_ascii_lowercase())
                } else {
                    Cow::Borrowed(text)
                }
            }
            Comparator::AsciiNumeric => Cow::Owned(match digits(text) {
                None => Vec::new(),
                Some(digits) => digits.to_vec(),
            }),
            Comparator::UnicodeCasemap => Cow::Owned(fold_unicode(text)),
        }
    }

    /// Which of two texts comes first.
    pub(crate) fn order(self, left: &[u8], right: &[u8]) -> Ordering {
        match self {
            // What does not begin with a digit is infinite (RFC 4790 §9.1.1).
            Comparator::AsciiNumeric => match (digits(left), digits(right)) {
                (None, None) => Ordering::Equal,
                (None, Some(_)) => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
                (Some(left), Some(right)) => left.len().cmp(&right.len()).then_with(|| left.cmp(right)),
            },
            _ => self.fold(left).cmp(&self.fold(right)),
        }
    }
}

/// The number a text begins with, without zeros before it; `0` stays one digit.
fn digits(text: &[u8]) -> Option<&[u8]> {
    let octets = text.iter().take_while(|octet| octet.is_ascii_digit()).count();
    let digits = text.get(..octets).filter(|digits| !digits.is_empty())?;
    let zeros = digits.iter().take_while(|&&digit| digit == b'0').count().min(octets - 1);
    digits.get(zeros..)
}

/// RFC 5051 §2: capitals (where that is one character), then compatibility decomposition.
fn fold_unicode(text: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(text);
    let mut capitals = String::with_capacity(text.len());
    for character in text.chars() {
        let mut upper = character.to_uppercase();
        match (upper.next(), upper.next()) {
            (Some(upper), None) => capitals.push(upper),
            _ => capitals.push(character),
        }
    }
    DecomposingNormalizerBorrowed::new_nfkd().normalize(&capitals).into_owned().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_compare_as_numbers() {
        let order =
            |left: &str, right: &str| Comparator::AsciiNumeric.order(left.as_bytes(), right.as_bytes());
        assert_eq!(order("9", "10"), Ordering::Less);
        assert_eq!(order("010", "10 apples"), Ordering::Equal);
        assert_eq!(order("", "99999999999999999999999"), Ordering::Greater);
        assert_eq!(order("a", ""), Ordering::Equal);
        assert_eq!(order("0", "00"), Ordering::Equal);
        assert_eq!(order("18446744073709551617", "18446744073709551616"), Ordering::Greater);
    }

    #[test]
    fn unicode_letters_have_no_case() {
        let same = |left: &str, right: &str| {
            Comparator::UnicodeCasemap.fold(left.as_bytes())
                == Comparator::UnicodeCasemap.fold(right.as_bytes())
        };
        assert!(same("ÄÖÜ", "äöü"));
        assert!(same("ﬁ", "ﬁ"));
        assert!(same("A\u{30a}", "å"));
        assert!(!same("a", "b"));
    }
}

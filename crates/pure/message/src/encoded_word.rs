//! Encoded-words of header fields to text (RFC 2047), leniently: blanks and punctuation inside them, characters torn apart
//! between two of them, raw octets beside them (RFC 6532).

use memchr::memmem;

use crate::charset::{CharsetDecoder, decode_undeclared};
use crate::header::unfold;
use crate::transfer::{TransferEncoding, decode_transfer, hex_octet};

/// Longest charset name believed, an RFC 2231 §5 language included.
const CHARSET_OCTETS_MAX: usize = 64;

/// The text of a field's value: unfolded, encoded-words decoded. Good for Subject and for display names alike.
pub fn decode_field_text(value: &[u8]) -> String {
    let line = unfold(value);
    let mut decoding = Decoding { text: String::with_capacity(line.len()), open: None };
    let mut rest = line.as_ref();
    // Plain text since the last encoded-word.
    let mut plain = 0;
    while let Some(start) = rest.get(plain..).and_then(|behind| memmem::find(behind, b"=?")) {
        let start = plain + start;
        match EncodedWord::parse(rest.get(start..).unwrap_or_default()) {
            Some(word) => {
                decoding.take_plain(rest.get(..start).unwrap_or_default(), BeforeWord::Yes);
                decoding.take_word(&word);
                rest = rest.get(start + word.octets..).unwrap_or_default();
                plain = 0;
            }
            None => plain = start + 2,
        }
    }
    decoding.take_plain(rest, BeforeWord::No);
    decoding.close();
    decoding.text
}

struct EncodedWord<'a> {
    charset: &'a [u8],
    is_base64: bool,
    text: &'a [u8],
    /// Octets of all of it.
    octets: usize,
}

impl<'a> EncodedWord<'a> {
    /// Reads the encoded-word the octets begin with. It ends at the first question mark, so looking stays linear.
    fn parse(octets: &'a [u8]) -> Option<EncodedWord<'a>> {
        let rest = octets.strip_prefix(b"=?")?;
        let charset = rest.iter().take(CHARSET_OCTETS_MAX + 1).position(|&octet| octet == b'?')?;
        let (charset, rest) = rest.split_at(charset);
        let is_base64 = match rest {
            [b'?', b'b' | b'B', b'?', ..] => true,
            [b'?', b'q' | b'Q', b'?', ..] => false,
            _ => return None,
        };
        let text = rest.get(3..)?;
        let (text, rest) = text.split_at(memchr::memchr(b'?', text)?);
        if !rest.starts_with(b"?=") || charset.is_empty() {
            return None;
        }
        // RFC 2231 §5: a language may follow the charset.
        let charset = charset.split(|&octet| octet == b'*').next().unwrap_or_default();
        Some(EncodedWord { charset, is_base64, text, octets: octets.len() - rest.len() + 2 })
    }

    fn decoded(&self) -> Vec<u8> {
        if self.is_base64 {
            return decode_transfer(TransferEncoding::Base64, self.text);
        }
        // RFC 2047 §4.2: like quoted-printable, but an underscore is a blank and there are no lines.
        let mut decoded = Vec::with_capacity(self.text.len());
        let mut rest = self.text;
        while let Some((&octet, remaining)) = rest.split_first() {
            rest = remaining;
            let escaped = match rest {
                [high, low, ..] if octet == b'=' => hex_octet(*high, *low),
                _ => None,
            };
            match escaped {
                Some(escaped) => {
                    decoded.push(escaped);
                    rest = rest.get(2..).unwrap_or_default();
                }
                None => decoded.push(if octet == b'_' { b' ' } else { octet }),
            }
        }
        decoded
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum BeforeWord {
    Yes,
    No,
}

struct Decoding<'a> {
    text: String,
    /// The charset of the last encoded-word, not finished: a character may go on in the next one.
    open: Option<(&'a [u8], CharsetDecoder)>,
}

impl<'a> Decoding<'a> {
    /// RFC 2047 §6.2: blanks between two encoded-words are not shown.
    fn take_plain(&mut self, plain: &[u8], before_word: BeforeWord) {
        let is_between = self.open.is_some() && before_word == BeforeWord::Yes;
        if plain.is_empty() || (is_between && plain.trim_ascii().is_empty()) {
            return;
        }
        self.close();
        self.text.push_str(&decode_undeclared(plain));
    }

    fn take_word(&mut self, word: &EncodedWord<'a>) {
        let is_same =
            self.open.as_ref().is_some_and(|(charset, _)| charset.eq_ignore_ascii_case(word.charset));
        if !is_same {
            self.close();
        }
        let (_, decoder) = self.open.get_or_insert_with(|| (word.charset, CharsetDecoder::new(word.charset)));
        decoder.feed(&word.decoded(), &mut self.text);
    }

    fn close(&mut self) {
        if let Some((_, decoder)) = self.open.take() {
            decoder.finish(&mut self.text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expected: &str) {
        assert_eq!(decode_field_text(value.as_bytes()), expected, "{value}");
    }

    #[test]
    fn examples_of_the_rfc() {
        // RFC 2047 §8.
        check("=?ISO-8859-1?Q?a?=", "a");
        check("=?ISO-8859-1?Q?a?= b", "a b");
        check("=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab");
        check("=?ISO-8859-1?Q?a?=\r\n  =?ISO-8859-1?Q?b?=", "ab");
        check("=?ISO-8859-1?Q?a_b?=", "a b");
        check("=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b");
        check(
            "=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
            "If you can read this you understand the example.",
        );
        check("=?US-ASCII*EN?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore <moore@cs.utk.edu>");
    }

    #[test]
    fn what_senders_write_against_it() {
        check("=?utf-8?Q?two words?=", "two words");
        check("x=?utf-8?q?=C3=A9?=y", "xéy");
        check("=?utf-8?Q?=C3?= =?UTF-8?Q?=A9?=", "é");
        check("=?utf-8?B?w6k?=", "é");
        check("=?utf-8?Q?=ZZ=4?=", "=ZZ=4");
        check("=?x-unknown?Q?=E9?=", "é");
        check("Gr\u{fc}\u{df}e", "Grüße");
        check("=?utf-8?Q??=", "");
    }

    #[test]
    fn what_is_no_encoded_word_stays() {
        for value in [
            "=?",
            "=?utf-8?",
            "=?utf-8?X?a?=",
            "=?utf-8?Q?a",
            "=?utf-8?Q?a?b",
            "=??Q?a?=",
            "a = b? c",
            "=?=?=?",
        ] {
            check(value, value);
        }
        for (octets, expected) in [(63, "a"), (64, "a")] {
            check(&format!("=?{}?Q?a?=", "x".repeat(octets)), expected);
        }
        let overlong = format!("=?{}?Q?a?=", "x".repeat(65));
        check(&overlong, &overlong);
    }

    #[test]
    fn many_beginnings_take_linear_time() {
        let value = "=?utf-8?Q?".repeat(100_000);
        assert_eq!(decode_field_text(value.as_bytes()), value);
    }
}

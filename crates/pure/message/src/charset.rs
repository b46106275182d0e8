//! Text in any charset to UTF-8, piece by piece. Never fails: what is undeclared, unknown or wrong is read as UTF-8 where it
//! is that, and octet by octet as windows-1252 where it is not (RFC 2046 §4.1.2, RFC 6532).

use encoding_rs::{CoderResult, Decoder, Encoding, REPLACEMENT, WINDOWS_1252};

use crate::utf7::Utf7Decoder;

/// Longest charset label looked up; IANA's longest has 45 octets.
const LABEL_OCTETS_MAX: usize = 64;

/// Turns octets of one charset into text, in pieces of any size.
pub struct CharsetDecoder {
    kind: Kind,
}

enum Kind {
    Known(Box<Decoder>),
    Utf7(Utf7Decoder),
    Guessed(GuessingDecoder),
}

impl CharsetDecoder {
    /// A decoder for the charset with this label, in any letter case.
    pub fn new(label: &[u8]) -> CharsetDecoder {
        let label = label.trim_ascii();
        let label = label.get(..LABEL_OCTETS_MAX).unwrap_or(label).to_ascii_lowercase();
        let kind = match label.as_slice() {
            b"utf-7" | b"utf7" | b"unicode-1-1-utf-7" | b"csunicode11utf7" => {
                Kind::Utf7(Utf7Decoder::default())
            }
            b"us-ascii" | b"ascii" | b"ansi_x3.4-1968" => Kind::Guessed(GuessingDecoder::default()),
            label => match Encoding::for_label(alias(label)) {
                // The Web's list has charsets that are known but never decoded, because browsers are attacked with them.
                Some(encoding) if encoding != REPLACEMENT => {
                    Kind::Known(Box::new(encoding.new_decoder_with_bom_removal()))
                }
                _ => Kind::Guessed(GuessingDecoder::default()),
            },
        };
        CharsetDecoder { kind }
    }

    /// Takes the next octets and appends their text.
    pub fn feed(&mut self, octets: &[u8], text: &mut String) {
        match &mut self.kind {
            Kind::Known(decoder) => decode_known(decoder, octets, text, false),
            Kind::Utf7(decoder) => decoder.feed(octets, text),
            Kind::Guessed(decoder) => decoder.feed(octets, text),
        }
    }

    /// There are no more octets: appends what an incomplete character leaves.
    pub fn finish(self, text: &mut String) {
        match self.kind {
            Kind::Known(mut decoder) => decode_known(&mut decoder, &[], text, true),
            Kind::Utf7(decoder) => decoder.finish(text),
            Kind::Guessed(decoder) => decoder.finish(text),
        }
    }
}

/// The text of octets in the charset with this label.
pub fn decode_charset(label: &[u8], octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len());
    let mut decoder = CharsetDecoder::new(label);
    decoder.feed(octets, &mut text);
    decoder.finish(&mut text);
    text
}

/// The text of octets without a declared charset.
pub fn decode_undeclared(octets: &[u8]) -> String {
    match std::str::from_utf8(octets) {
        Ok(text) => text.to_owned(),
        Err(_) => decode_charset(b"", octets),
    }
}

/// Whether text in the charset with this label can be decoded faithfully: IMAP's SEARCH has to refuse others
/// (BADCHARSET, RFC 9051 §6.4.4).
pub fn is_known_charset(label: &[u8]) -> bool {
    let is_ascii =
        [&b"us-ascii"[..], b"ascii"].iter().any(|ascii| ascii.eq_ignore_ascii_case(label.trim_ascii()));
    is_ascii || !matches!(CharsetDecoder::new(label).kind, Kind::Guessed(_))
}

/// Labels that mail uses and the Web's list (encoding_rs) lacks.
fn alias(label: &[u8]) -> &[u8] {
    match label {
        b"utf8mb4" | b"utf_8" | b"x-utf-8" | b"cp65001" | b"65001" => b"utf-8",
        b"latin-1" | b"iso8859_1" | b"8859-1" | b"iso-latin-1" | b"cp819" => b"iso-8859-1",
        b"latin-2" | b"iso-latin-2" => b"iso-8859-2",
        b"latin-9" | b"iso8859_15" | b"latin9" => b"iso-8859-15",
        b"cp932" | b"windows-932" | b"x-sjis-cp932" => b"shift_jis",
        b"cp936" | b"ms936" | b"windows-936" => b"gbk",
        b"cp949" | b"ms949" | b"uhc" => b"euc-kr",
        b"cp950" | b"ms950" | b"windows-950" => b"big5",
        b"iso-2022-jp-ms" | b"cp50220" | b"cp50221" | b"iso-2022-jp-1" | b"iso-2022-jp-2" => b"iso-2022-jp",
        b"cp1250" | b"win-1250" => b"windows-1250",
        b"cp1251" | b"win-1251" | b"windows1251" => b"windows-1251",
        b"cp1252" | b"ansi" | b"win-1252" => b"windows-1252",
        b"cp874" => b"windows-874",
        b"koi8" | b"cp20866" => b"koi8-r",
        b"utf16" | b"utf-16le" => b"utf-16le",
        other => other,
    }
}

fn decode_known(decoder: &mut Decoder, mut octets: &[u8], text: &mut String, is_last: bool) {
    loop {
        let room = decoder.max_utf8_buffer_length(octets.len()).unwrap_or(octets.len());
        text.reserve(room);
        let (result, read, _) = decoder.decode_to_string(octets, text, is_last);
        octets = octets.get(read..).unwrap_or_default();
        if result == CoderResult::InputEmpty {
            return;
        }
    }
}

/// Reads UTF-8 where it is valid, everything else octet by octet as windows-1252.
#[derive(Default)]
struct GuessingDecoder {
    /// The beginning of a character whose end has not come yet, at most three octets.
    incomplete: Vec<u8>,
}

impl GuessingDecoder {
    fn feed(&mut self, octets: &[u8], text: &mut String) {
        if self.incomplete.is_empty() {
            self.decode(octets, text);
        } else {
            let mut joined = std::mem::take(&mut self.incomplete);
            joined.extend_from_slice(octets);
            self.decode(&joined, text);
        }
    }

    fn decode(&mut self, mut octets: &[u8], text: &mut String) {
        loop {
            let error = match std::str::from_utf8(octets) {
                Ok(valid) => return text.push_str(valid),
                Err(error) => error,
            };
            let (valid, rest) = octets.split_at(error.valid_up_to());
            text.push_str(std::str::from_utf8(valid).unwrap_or_default());
            let Some(invalid) = error.error_len() else {
                self.incomplete = rest.to_vec();
                return;
            };
            let (invalid, rest) = rest.split_at(invalid.min(rest.len()));
            text.push_str(&WINDOWS_1252.decode_without_bom_handling(invalid).0);
            octets = rest;
        }
    }

    fn finish(self, text: &mut String) {
        text.push_str(&WINDOWS_1252.decode_without_bom_handling(&self.incomplete).0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(label: &str, octets: &[u8], expected: &str) {
        assert_eq!(decode_charset(label.as_bytes(), octets), expected, "{label}");
        for chunk in 1..octets.len() {
            let mut text = String::new();
            let mut decoder = CharsetDecoder::new(label.as_bytes());
            octets.chunks(chunk).for_each(|piece| decoder.feed(piece, &mut text));
            decoder.finish(&mut text);
            assert_eq!(text, expected, "{label} in chunks of {chunk}");
        }
    }

    #[test]
    fn declared_charsets() {
        check("UTF-8", "Größe €".as_bytes(), "Größe €");
        check(" iso-8859-1 ", b"Gr\xf6\xdfe", "Größe");
        check("iso-8859-15", b"\xa4", "€");
        check("koi8-r", b"\xd0\xd2\xc9\xd7\xc5\xd4", "привет");
        check("iso-2022-jp", b"\x1b$B$3$s\x1b(B!", "こん!");
        check("gb2312", b"\xc4\xe3\xba\xc3", "你好");
        check("utf-16le", b"h\0i\0", "hi");
        check("utf-7", b"Hi Mom -+Jjo--!", "Hi Mom -\u{263a}-!");
        check("cp936", b"\xc4\xe3", "你");
    }

    #[test]
    fn undeclared_and_wrong_charsets() {
        check("us-ascii", "Größe".as_bytes(), "Größe");
        check("us-ascii", b"Gr\xf6\xdfe", "Größe");
        check("", b"\x80 and \xe2\x82", "€ and â‚");
        check("x-unknown", b"plain", "plain");
        check("hz-gb-2312", b"plain", "plain");
        check("utf-8", b"a\xffb", "a\u{fffd}b");
        check(&"x".repeat(100), "é".as_bytes(), "é");
    }

    #[test]
    fn charsets_that_search_may_use() {
        for known in ["utf-8", "US-ASCII", "iso-8859-2", "utf-7", "KOI8-R"] {
            assert!(is_known_charset(known.as_bytes()), "{known}");
        }
        for unknown in ["", "x-unknown", "iso-2022-kr"] {
            assert!(!is_known_charset(unknown.as_bytes()), "{unknown}");
        }
    }
}

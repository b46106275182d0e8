//! Content-Transfer-Encodings, decoded piece by piece (RFC 2045 §6): leniently for reading and searching, exactly for IMAP's
//! BINARY, which must not make up octets (RFC 3516 §4.3).

use memchr::memchr;

/// An encoding we can decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferEncoding {
    /// 7bit, 8bit and binary: the octets themselves.
    Identity,
    /// base64.
    Base64,
    /// quoted-printable.
    QuotedPrintable,
}

impl TransferEncoding {
    /// Reads the word of a Content-Transfer-Encoding; `None` if it is none of RFC 2045 (IMAP: UNKNOWN-CTE).
    pub fn parse(word: &[u8]) -> Option<TransferEncoding> {
        match word.trim_ascii().to_ascii_lowercase().as_slice() {
            b"7bit" | b"8bit" | b"binary" | b"" => Some(TransferEncoding::Identity),
            b"base64" => Some(TransferEncoding::Base64),
            b"quoted-printable" => Some(TransferEncoding::QuotedPrintable),
            _ => None,
        }
    }
}

/// What to do with octets an encoding does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// Skip them or take them as they are, as RFC 2045 §6.7 and §6.8 advise readers.
    Lenient,
    /// Give up.
    Exact,
}

/// The octets are not what their transfer encoding says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the octets are not of the declared transfer encoding")]
pub struct Undecodable;

/// Decodes one body in pieces of any size; the result does not depend on them.
#[derive(Clone, Debug)]
pub struct TransferDecoder {
    kind: Kind,
    strictness: Strictness,
}

#[derive(Clone, Debug)]
enum Kind {
    Identity,
    Base64(Base64),
    QuotedPrintable(QuotedPrintable),
}

impl TransferDecoder {
    /// A decoder at the first octet of a body.
    pub fn new(encoding: TransferEncoding, strictness: Strictness) -> TransferDecoder {
        let kind = match encoding {
            TransferEncoding::Identity => Kind::Identity,
            TransferEncoding::Base64 => Kind::Base64(Base64::default()),
            TransferEncoding::QuotedPrintable => Kind::QuotedPrintable(QuotedPrintable::default()),
        };
        TransferDecoder { kind, strictness }
    }

    /// Takes the next octets and appends what they decode to.
    pub fn feed(&mut self, octets: &[u8], decoded: &mut Vec<u8>) -> Result<(), Undecodable> {
        match &mut self.kind {
            Kind::Identity => decoded.extend_from_slice(octets),
            Kind::Base64(base64) => base64.feed(octets, decoded, self.strictness)?,
            Kind::QuotedPrintable(quoted) => quoted.feed(octets, decoded, self.strictness)?,
        }
        Ok(())
    }

    /// There are no more octets: appends what was waiting for them.
    pub fn finish(self, decoded: &mut Vec<u8>) -> Result<(), Undecodable> {
        match self.kind {
            Kind::Identity => Ok(()),
            Kind::Base64(base64) => base64.finish(self.strictness),
            Kind::QuotedPrintable(quoted) => quoted.finish(decoded, self.strictness),
        }
    }
}

/// Decodes a whole body leniently.
pub fn decode_transfer(encoding: TransferEncoding, octets: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(octets.len());
    let mut decoder = TransferDecoder::new(encoding, Strictness::Lenient);
    // A lenient decoder refuses nothing.
    let result = decoder.feed(octets, &mut decoded).and_then(|()| decoder.finish(&mut decoded));
    debug_assert_eq!(result, Ok(()));
    decoded
}

/// Value of each Base64 digit; above 63 for octets that are none.
const DIGITS: [u8; 256] = {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut digits = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 64 {
        digits[alphabet[value] as usize] = value as u8;
        value += 1;
    }
    digits
};
const NO_DIGIT: u8 = 0xff;

fn digit(octet: u8) -> u8 {
    DIGITS.get(usize::from(octet)).copied().unwrap_or(NO_DIGIT)
}

/// RFC 2045 §6.8.
#[derive(Clone, Debug, Default)]
struct Base64 {
    bits: u32,
    /// Digits taken of the current group of four, padding included.
    taken: u8,
    padding: u8,
    /// A padded group has ended: nothing may follow.
    is_ended: bool,
}

impl Base64 {
    fn feed(
        &mut self,
        octets: &[u8],
        decoded: &mut Vec<u8>,
        strictness: Strictness,
    ) -> Result<(), Undecodable> {
        decoded.reserve(octets.len() / 4 * 3 + 3);
        let mut rest = octets;
        loop {
            if self.taken == 0 && !self.is_ended {
                rest = take_groups(rest, decoded);
            }
            let Some((&octet, remaining)) = rest.split_first() else { return Ok(()) };
            rest = remaining;
            match (digit(octet), octet) {
                (NO_DIGIT, b'=') => self.take_padding(strictness)?,
                (NO_DIGIT, b' ' | b'\t' | b'\r' | b'\n') => {}
                (NO_DIGIT, _) if strictness == Strictness::Exact => return Err(Undecodable),
                (NO_DIGIT, _) => {}
                (value, _) => self.take_digit(value, decoded, strictness)?,
            }
        }
    }

    fn take_digit(
        &mut self,
        value: u8,
        decoded: &mut Vec<u8>,
        strictness: Strictness,
    ) -> Result<(), Undecodable> {
        if self.is_ended || self.padding > 0 {
            if strictness == Strictness::Exact {
                return Err(Undecodable);
            }
            // Bodies glued together: the next group begins.
            *self = Base64::default();
        }
        self.bits = self.bits << 6 | u32::from(value);
        self.taken += 1;
        match self.taken {
            2 => decoded.push((self.bits >> 4) as u8),
            3 => decoded.push((self.bits >> 2) as u8),
            4 => {
                decoded.push(self.bits as u8);
                *self = Base64::default();
            }
            _ => {}
        }
        Ok(())
    }

    fn take_padding(&mut self, strictness: Strictness) -> Result<(), Undecodable> {
        let is_allowed = !self.is_ended && self.taken >= 2;
        if !is_allowed && strictness == Strictness::Exact {
            return Err(Undecodable);
        }
        if is_allowed {
            self.taken += 1;
            self.padding += 1;
            if self.taken == 4 {
                *self = Base64 { is_ended: true, ..Base64::default() };
            }
        }
        Ok(())
    }

    fn finish(self, strictness: Strictness) -> Result<(), Undecodable> {
        if self.taken > 0 && strictness == Strictness::Exact { Err(Undecodable) } else { Ok(()) }
    }
}

/// Decodes groups of four digits as long as nothing else stands between them; gives the rest.
fn take_groups<'a>(octets: &'a [u8], decoded: &mut Vec<u8>) -> &'a [u8] {
    let (groups, _) = octets.as_chunks::<4>();
    let mut taken = 0;
    for &[a, b, c, d] in groups {
        let [a, b, c, d] = [digit(a), digit(b), digit(c), digit(d)];
        if (a | b | c | d) > 63 {
            break;
        }
        let bits = u32::from(a) << 18 | u32::from(b) << 12 | u32::from(c) << 6 | u32::from(d);
        let [_, first, second, third] = bits.to_be_bytes();
        decoded.extend_from_slice(&[first, second, third]);
        taken += 4;
    }
    octets.get(taken..).unwrap_or_default()
}

/// Longest line decoded as one; RFC 2045 §6.7 allows 76. A longer one is decoded in pieces.
const QUOTED_LINE_OCTETS_MAX: usize = 8_192;

/// RFC 2045 §6.7.
#[derive(Clone, Debug, Default)]
struct QuotedPrintable {
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
}

impl QuotedPrintable {
    fn feed(
        &mut self,
        octets: &[u8],
        decoded: &mut Vec<u8>,
        strictness: Strictness,
    ) -> Result<(), Undecodable> {
        let mut rest = octets;
        while let Some(line_feed) = memchr(b'\n', rest) {
            let (line, remaining) = rest.split_at(line_feed + 1);
            rest = remaining;
            if self.line.is_empty() && line.len() <= QUOTED_LINE_OCTETS_MAX {
                decode_line(line, decoded, strictness)?;
            } else {
                self.keep(line, decoded, strictness)?;
                let line = std::mem::take(&mut self.line);
                decode_line(&line, decoded, strictness)?;
            }
        }
        self.keep(rest, decoded, strictness)
    }

    /// Keeps octets of a line, decoding the beginning of one that gets too long.
    fn keep(
        &mut self,
        octets: &[u8],
        decoded: &mut Vec<u8>,
        strictness: Strictness,
    ) -> Result<(), Undecodable> {
        let mut rest = octets;
        while !rest.is_empty() {
            let room = (QUOTED_LINE_OCTETS_MAX - self.line.len()).min(rest.len());
            let (piece, remaining) = rest.split_at(room);
            self.line.extend_from_slice(piece);
            rest = remaining;
            if self.line.len() == QUOTED_LINE_OCTETS_MAX && !self.line.ends_with(b"\n") {
                let end = piece_end(&self.line);
                decode_escapes(self.line.get(..end).unwrap_or_default(), decoded, strictness)?;
                self.line.drain(..end);
            }
        }
        Ok(())
    }

    fn finish(self, decoded: &mut Vec<u8>, strictness: Strictness) -> Result<(), Undecodable> {
        decode_line(&self.line, decoded, strictness)
    }
}

/// Where a line can be cut: not inside an escape, not before its end's blanks and CR, unless it has nothing else.
fn piece_end(line: &[u8]) -> usize {
    let trimmed = line.trim_ascii_end().len();
    let escape = line.iter().rposition(|&octet| octet == b'=').filter(|start| start + 3 > trimmed);
    match escape.unwrap_or(trimmed) {
        0 => line.len(),
        end => end,
    }
}

fn decode_line(line: &[u8], decoded: &mut Vec<u8>, strictness: Strictness) -> Result<(), Undecodable> {
    let text = crate::header::without_line_end(line);
    let line_end = line.get(text.len()..).unwrap_or_default();
    // Blanks at the end of a line were added by transport (RFC 2045 §6.7, rule 3).
    let text = text.trim_ascii_end();
    match text.strip_suffix(b"=") {
        Some(text) => decode_escapes(text, decoded, strictness),
        None => {
            decode_escapes(text, decoded, strictness)?;
            decoded.extend_from_slice(line_end);
            Ok(())
        }
    }
}

fn decode_escapes(text: &[u8], decoded: &mut Vec<u8>, strictness: Strictness) -> Result<(), Undecodable> {
    let mut rest = text;
    while let Some(equals) = memchr(b'=', rest) {
        let (plain, escape) = rest.split_at(equals);
        decoded.extend_from_slice(plain);
        let octet = match escape {
            [_, high, low, ..] => hex_octet(*high, *low),
            _ => None,
        };
        rest = match octet {
            Some(octet) => {
                decoded.push(octet);
                escape.get(3..).unwrap_or_default()
            }
            None if strictness == Strictness::Exact => return Err(Undecodable),
            None => {
                decoded.push(b'=');
                escape.get(1..).unwrap_or_default()
            }
        };
    }
    decoded.extend_from_slice(rest);
    Ok(())
}

/// The octet of two hexadecimal digits, in any letter case.
pub(crate) fn hex_octet(high: u8, low: u8) -> Option<u8> {
    let value = |digit: u8| char::from(digit).to_digit(16);
    u8::try_from(value(high)? << 4 | value(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(encoding: TransferEncoding, encoded: &[u8], expected: &[u8], exact: Result<(), Undecodable>) {
        assert_eq!(decode_transfer(encoding, encoded), expected, "{}", encoded.escape_ascii());
        for strictness in [Strictness::Lenient, Strictness::Exact] {
            for chunk in [1, 2, 3, 5, 7, encoded.len().max(1)] {
                let mut decoded = Vec::new();
                let mut decoder = TransferDecoder::new(encoding, strictness);
                let mut fed = Ok(());
                for piece in encoded.chunks(chunk) {
                    fed = fed.and_then(|()| decoder.feed(piece, &mut decoded));
                }
                let result = fed.and_then(|()| decoder.finish(&mut decoded));
                if strictness == Strictness::Lenient || exact.is_ok() {
                    assert_eq!(
                        (result, decoded.as_slice()),
                        (Ok(()), expected),
                        "{}",
                        encoded.escape_ascii()
                    );
                } else {
                    assert_eq!(result, exact, "{}", encoded.escape_ascii());
                }
            }
        }
    }

    #[test]
    fn base64_of_rfc_4648() {
        for (encoded, expected) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("Zm9v\r\nYmE=\r\n", "fooba"),
        ] {
            check(TransferEncoding::Base64, encoded.as_bytes(), expected.as_bytes(), Ok(()));
        }
    }

    #[test]
    fn base64_that_is_wrong() {
        for (encoded, expected) in [
            ("Zg=", "f"),
            ("Zg", "f"),
            ("Zm8", "fo"),
            ("Z", ""),
            ("Z=g=", "f"),
            ("Zm9v!Ym*Fy", "foobar"),
            ("Zg==Zg==", "ff"),
            ("====", ""),
            ("Zg===", "f"),
        ] {
            check(TransferEncoding::Base64, encoded.as_bytes(), expected.as_bytes(), Err(Undecodable));
        }
    }

    #[test]
    fn quoted_printable_of_the_rfc() {
        for (encoded, expected) in [
            ("", ""),
            (
                "Now's the time =\r\nfor all folk to come=\r\n to the aid of their country.",
                "Now's the time for all folk to come to the aid of their country.",
            ),
            ("a=3Db=3d\r\n", "a=b=\r\n"),
            ("trailing \t \r\nblanks=20\n", "trailing\r\nblanks \n"),
            ("soft = \t\r\nbreak", "soft break"),
            ("end=", "end"),
            ("=E4\n=\nb", "\u{e4}\nb"),
        ] {
            let expected: Vec<u8> = expected.chars().map(|c| c as u8).collect();
            check(TransferEncoding::QuotedPrintable, encoded.as_bytes(), &expected, Ok(()));
        }
    }

    #[test]
    fn quoted_printable_that_is_wrong() {
        for (encoded, expected) in
            [("a=b", "a=b"), ("100=% =\n!", "100=% !"), ("==41", "=A"), ("=4", "=4"), ("=ZZ=41", "=ZZA")]
        {
            check(
                TransferEncoding::QuotedPrintable,
                encoded.as_bytes(),
                expected.as_bytes(),
                Err(Undecodable),
            );
        }
    }

    #[test]
    fn overlong_quoted_lines_are_decoded_in_pieces() {
        for octets in [
            QUOTED_LINE_OCTETS_MAX - 3,
            QUOTED_LINE_OCTETS_MAX - 2,
            QUOTED_LINE_OCTETS_MAX - 1,
            3 * QUOTED_LINE_OCTETS_MAX,
        ] {
            let plain = "x".repeat(octets);
            let expected = format!("{plain}A\r\nB");
            let encoded = format!("{plain}=41\r\nB");
            check(TransferEncoding::QuotedPrintable, encoded.as_bytes(), expected.as_bytes(), Ok(()));
        }
        let blanks = " ".repeat(3 * QUOTED_LINE_OCTETS_MAX);
        let encoded = format!("{blanks}x");
        check(TransferEncoding::QuotedPrintable, encoded.as_bytes(), encoded.as_bytes(), Ok(()));
    }

    #[test]
    fn encodings_by_word() {
        assert_eq!(TransferEncoding::parse(b" Base64 "), Some(TransferEncoding::Base64));
        assert_eq!(TransferEncoding::parse(b"8BIT"), Some(TransferEncoding::Identity));
        assert_eq!(TransferEncoding::parse(b"x-uuencode"), None);
    }
}

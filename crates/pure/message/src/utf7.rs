//! UTF-7 as mail text uses it (RFC 2152); old, but still found in archives. IMAP's modified form is another one.

/// What stands for what cannot be decoded.
const UNKNOWN: char = char::REPLACEMENT_CHARACTER;

/// Turns UTF-7 into text, in pieces of any size.
#[derive(Default)]
pub(crate) struct Utf7Decoder {
    shifted: Option<Shifted>,
}

/// Between `+` and the end of its Base64.
#[derive(Default)]
struct Shifted {
    bits: u32,
    bit_count: u8,
    high_surrogate: Option<u16>,
    has_digits: bool,
}

impl Utf7Decoder {
    pub(crate) fn feed(&mut self, octets: &[u8], text: &mut String) {
        for &octet in octets {
            match (&mut self.shifted, base64_digit(octet)) {
                (Some(shifted), Some(digit)) => shifted.take(digit, text),
                (Some(_), None) => self.end_shift(octet, text),
                (None, _) => self.take_direct(octet, text),
            }
        }
    }

    pub(crate) fn finish(self, text: &mut String) {
        if let Some(shifted) = self.shifted {
            shifted.finish(text);
        }
    }

    fn take_direct(&mut self, octet: u8, text: &mut String) {
        match octet {
            b'+' => self.shifted = Some(Shifted::default()),
            0..128 => text.push(char::from(octet)),
            _ => text.push(UNKNOWN),
        }
    }

    /// An octet that is no Base64 digit ends the shift; a hyphen is swallowed by it.
    fn end_shift(&mut self, octet: u8, text: &mut String) {
        let Some(shifted) = self.shifted.take() else { return };
        if !shifted.has_digits {
            text.push('+');
        }
        shifted.finish(text);
        if octet != b'-' {
            self.take_direct(octet, text);
        }
    }
}

impl Shifted {
    fn take(&mut self, digit: u8, text: &mut String) {
        self.has_digits = true;
        self.bits = self.bits << 6 | u32::from(digit);
        self.bit_count += 6;
        if self.bit_count >= 16 {
            self.bit_count -= 16;
            let unit = (self.bits >> self.bit_count) as u16;
            self.bits &= (1 << self.bit_count) - 1;
            self.take_unit(unit, text);
        }
    }

    /// A unit of UTF-16.
    fn take_unit(&mut self, unit: u16, text: &mut String) {
        if let Some(high) = self.high_surrogate.take() {
            if let Some(Ok(character)) = char::decode_utf16([high, unit]).next() {
                return text.push(character);
            }
            text.push(UNKNOWN);
        }
        match unit {
            0xd800..=0xdbff => self.high_surrogate = Some(unit),
            _ => text.push(char::from_u32(u32::from(unit)).unwrap_or(UNKNOWN)),
        }
    }

    fn finish(self, text: &mut String) {
        if self.high_surrogate.is_some() {
            text.push(UNKNOWN);
        }
    }
}

fn base64_digit(octet: u8) -> Option<u8> {
    match octet {
        b'A'..=b'Z' => Some(octet - b'A'),
        b'a'..=b'z' => Some(octet - b'a' + 26),
        b'0'..=b'9' => Some(octet - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(encoded: &str, expected: &str) {
        let mut text = String::new();
        let mut decoder = Utf7Decoder::default();
        decoder.feed(encoded.as_bytes(), &mut text);
        decoder.finish(&mut text);
        assert_eq!(text, expected, "{encoded}");
    }

    #[test]
    fn examples_of_the_rfc() {
        check("A+ImIDkQ.", "A\u{2262}\u{391}.");
        check("Hi Mom -+Jjo--!", "Hi Mom -\u{263a}-!");
        check("+ZeVnLIqe-", "\u{65e5}\u{672c}\u{8a9e}");
        check("Item 3 is +AKM-1.", "Item 3 is £1.");
    }

    #[test]
    fn odd_forms() {
        check("1 +- 1", "1 + 1");
        check("1 + 1", "1 + 1");
        check("+2D3eAA-", "\u{1f600}");
        check("+2D0-", "\u{fffd}");
        check("+2D0AQQ-", "\u{fffd}A");
        check("+3gA-", "\u{fffd}");
        check("+AEE", "A");
        check("caf\u{e9}", "caf\u{fffd}\u{fffd}");
    }
}

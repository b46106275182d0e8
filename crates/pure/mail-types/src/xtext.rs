//! The encodings of DSN parameters on MAIL and RCPT: xtext (RFC 3461 §4) and the one for addresses beyond ASCII
//! (RFC 6533 §3).

/// Reads xtext; `None` where `+` is not followed by two upper-case hexadecimal digits, or anything else that xtext
/// does not have: octets beyond ASCII, blanks, controls, `=`.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut octets = text.bytes();
    while let Some(octet) = octets.next() {
        match octet {
            b'+' => decoded.push(upper_digit(octets.next()?)? << 4 | upper_digit(octets.next()?)?),
            b'=' => return None,
            octet if octet.is_ascii_graphic() => decoded.push(octet),
            _ => return None,
        }
    }
    Some(decoded)
}

/// RFC 3461 §4 has upper-case digits only.
fn upper_digit(octet: u8) -> Option<u8> {
    match octet {
        b'0'..=b'9' => Some(octet - b'0'),
        b'A'..=b'F' => Some(octet - b'A' + 10),
        _ => None,
    }
}

/// Writes xtext.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for octet in text.bytes() {
        if octet.is_ascii_graphic() && !matches!(octet, b'+' | b'=') {
            encoded.push(char::from(octet));
        } else {
            encoded.push_str(&format!("+{octet:02X}"));
        }
    }
    encoded
}

/// Digits in `\x{…}`: two for ASCII, up to six for the last plane (RFC 6533 §3).
const HEX_DIGITS: std::ops::RangeInclusive<usize> = 2..=6;

/// Reads utf-8-addr-xtext and utf-8-addr-unitext; `None` for what neither has.
pub(crate) fn decode_unicode(text: &str) -> Option<String> {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        match char {
            '\\' => {
                let (digits, after) = rest.strip_prefix("\\x{")?.split_once('}')?;
                let is_number = digits.bytes().all(|octet| octet.is_ascii_hexdigit());
                if !HEX_DIGITS.contains(&digits.len()) || !is_number {
                    return None;
                }
                decoded.push(char::from_u32(u32::from_str_radix(digits, 16).ok()?)?);
                rest = after;
                continue;
            }
            '+' | '=' => return None,
            char if char.is_ascii() && !char.is_ascii_graphic() => return None,
            char => decoded.push(char),
        }
        rest = rest.get(char.len_utf8()..)?;
    }
    Some(decoded)
}

/// Which characters may stand as they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnicodeForm {
    /// ASCII only: utf-8-addr-xtext, for where SMTPUTF8 is not.
    Ascii,
    /// UTF-8: utf-8-addr-unitext.
    Utf8,
}

/// Writes utf-8-addr-xtext or utf-8-addr-unitext.
pub(crate) fn encode_unicode(text: &str, form: UnicodeForm) -> String {
    let mut encoded = String::with_capacity(text.len());
    for char in text.chars() {
        let may_stand = match char {
            '\\' | '+' | '=' => false,
            char if char.is_ascii() => char.is_ascii_graphic(),
            _ => form == UnicodeForm::Utf8,
        };
        if may_stand {
            encoded.push(char);
        } else {
            encoded.push_str(&format!("\\x{{{:02X}}}", u32::from(char)));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xtext_is_read_as_written() {
        for (plain, wire) in
            [("ann@example.org", "ann@example.org"), ("a+b=c d", "a+2Bb+3Dc+20d"), ("", ""), ("ä", "+C3+A4")]
        {
            assert_eq!(encode(plain), wire);
            assert_eq!(decode(wire).as_deref(), Some(plain.as_bytes()));
        }
        for wire in ["+", "+2", "+2b", "+GG", "a=b", "a b", "ä", "a\r\n"] {
            assert_eq!(decode(wire), None, "{wire}");
        }
    }

    #[test]
    fn addresses_beyond_ascii_have_two_forms() {
        let address = "jürgen+a=\\@bücher.example";
        let ascii = r"j\x{FC}rgen\x{2B}a\x{3D}\x{5C}@b\x{FC}cher.example";
        assert_eq!(encode_unicode(address, UnicodeForm::Ascii), ascii);
        let utf8 = r"jürgen\x{2B}a\x{3D}\x{5C}@bücher.example";
        assert_eq!(encode_unicode(address, UnicodeForm::Utf8), utf8);
        for wire in [ascii, utf8] {
            assert_eq!(decode_unicode(wire).as_deref(), Some(address));
        }
        for digits in ["20", "FC", "20AC", "10FFFF"] {
            assert!(decode_unicode(&format!("\\x{{{digits}}}")).is_some(), "{digits}");
        }
        for wire in [
            r"\x{}",
            r"\x{A}",
            r"\x{0000041}",
            r"\x{D800}",
            r"\x{110000}",
            r"\x41",
            r"\x{+4}",
            "a+b",
            "a b",
            "\\",
        ] {
            assert_eq!(decode_unicode(wire), None, "{wire}");
        }
    }
}

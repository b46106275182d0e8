//! Modified UTF-7: how mailbox names beyond US-ASCII travel to clients of RFC 3501 (§5.1.3).
//!
//! `&` opens a run of UTF-16 in base64 with `,` for `/` and without padding; `-` closes it; `&-` is `&` itself.

/// Why a text is no modified UTF-7.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Utf7Error {
    /// An octet outside printable US-ASCII, which must have been encoded.
    #[error("a character that must be encoded")]
    BareCharacter,
    /// A run that is not closed, not base64, or ends within a character.
    #[error("a broken encoded run")]
    BrokenRun,
    /// A run that encodes what must stand for itself, or follows another run without need: a second spelling of the same name.
    #[error("a name spelt in a second way")]
    NotCanonical,
}

/// The digits of modified base64: `,` stands where base64 has `/`, which parts levels (RFC 3501 §5.1.3).
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/// Writes text in modified UTF-7.
#[must_use]
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut run: Vec<u16> = Vec::new();
    for char in text.chars() {
        if matches!(char, ' '..='~') {
            flush_run(&mut out, &mut run);
            out.push(char);
            if char == '&' {
                out.push('-');
            }
        } else {
            run.extend_from_slice(char.encode_utf16(&mut [0; 2]));
        }
    }
    flush_run(&mut out, &mut run);
    out
}

/// Reads modified UTF-7; every name has exactly one spelling.
///
/// # Errors
/// [`Utf7Error`] for what [`encode`] never writes.
pub fn decode(text: &str) -> Result<String, Utf7Error> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        match char {
            '&' => rest = decode_run(&mut out, &rest[1..])?,
            ' '..='~' => {
                out.push(char);
                rest = &rest[1..];
            }
            _ => return Err(Utf7Error::BareCharacter),
        }
    }
    // One name, one spelling: needless runs and leftover bits show here.
    if encode(&out) == text { Ok(out) } else { Err(Utf7Error::NotCanonical) }
}

/// Reads modified UTF-7 as clients write it: what is no valid run stands for itself, and so do UTF-8 characters.
#[must_use]
pub fn decode_lenient(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (plain, run) = rest.split_at(at);
        out.push_str(plain);
        rest = match decode_run(&mut out, &run[1..]) {
            Ok(behind) => behind,
            Err(_) => {
                out.push('&');
                &run[1..]
            }
        };
    }
    out.push_str(rest);
    out
}

fn flush_run(out: &mut String, run: &mut Vec<u16>) {
    if run.is_empty() {
        return;
    }
    out.push('&');
    let (mut bits, mut count) = (0_u32, 0_u32);
    for unit in run.drain(..) {
        bits = (bits << 16) | u32::from(unit);
        count += 16;
        while count >= 6 {
            count -= 6;
            push_digit(out, bits >> count);
        }
        // At most five bits are left over; the ones above have been written.
        bits &= (1 << count) - 1;
    }
    if count > 0 {
        push_digit(out, bits << (6 - count));
    }
    out.push('-');
}

fn push_digit(out: &mut String, bits: u32) {
    // Six bits index all of the alphabet.
    out.push(char::from(ALPHABET[(bits & 0x3f) as usize]));
}

/// Reads a run behind its `&` and gives what follows its `-`. Writes nothing if the run is broken.
fn decode_run<'a>(out: &mut String, text: &'a str) -> Result<&'a str, Utf7Error> {
    let end = text.find(|char: char| !char.is_ascii_alphanumeric() && char != '+' && char != ',');
    let Some(end) = end.filter(|&end| text[end..].starts_with('-')) else {
        return Err(Utf7Error::BrokenRun);
    };
    let (digits, behind) = (&text[..end], &text[end + 1..]);
    if digits.is_empty() {
        out.push('&');
        return Ok(behind);
    }
    let mut units = Vec::with_capacity(digits.len() * 6 / 16);
    let (mut bits, mut count) = (0_u32, 0_u32);
    for digit in digits.bytes() {
        bits = (bits << 6) | digit_value(digit);
        count += 6;
        if count >= 16 {
            count -= 16;
            units.push((bits >> count) as u16);
            bits &= (1 << count) - 1;
        }
    }
    if count >= 6 || bits != 0 {
        return Err(Utf7Error::BrokenRun);
    }
    out.push_str(&String::from_utf16(&units).map_err(|_| Utf7Error::BrokenRun)?);
    Ok(behind)
}

fn digit_value(digit: u8) -> u32 {
    u32::from(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        _ => 63,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_examples_of_rfc_3501_are_read_and_written() {
        for (wire, text) in [
            ("~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),
            ("Hello &- goodbye", "Hello & goodbye"),
            ("Entw&APw-rfe", "Entwürfe"),
            ("&2D3eAA-", "😀"),
            ("", ""),
        ] {
            assert_eq!(decode(wire).as_deref(), Ok(text));
            assert_eq!(encode(text), wire);
        }
    }

    #[test]
    fn second_spellings_are_refused() {
        for (wire, error) in [
            ("&Jjo!", Utf7Error::BrokenRun),
            ("&U,BTFw-&ZeVnLIqe-", Utf7Error::NotCanonical),
            ("&AEE-", Utf7Error::NotCanonical),
            ("&AP", Utf7Error::BrokenRun),
            ("&A-", Utf7Error::BrokenRun),
            ("&AP1-", Utf7Error::BrokenRun),
            ("&2D0-", Utf7Error::BrokenRun),
            ("&U/BTFw-", Utf7Error::BrokenRun),
            ("R&D", Utf7Error::BrokenRun),
            ("ü", Utf7Error::BareCharacter),
            ("a\tb", Utf7Error::BareCharacter),
        ] {
            assert_eq!(decode(wire), Err(error), "{wire}");
        }
    }

    #[test]
    fn sloppy_names_stand_for_themselves() {
        for (wire, text) in
            [("R&D", "R&D"), ("R&-D", "R&D"), ("Entwürfe", "Entwürfe"), ("&AEE-", "A"), ("&A-&-", "&A-&")]
        {
            assert_eq!(decode_lenient(wire), text, "{wire}");
        }
    }

    proptest! {
        #[test]
        fn names_read_back_as_written(text in any::<String>()) {
            let wire = encode(&text);
            prop_assert!(wire.bytes().all(|octet| matches!(octet, b' '..=b'~')));
            prop_assert_eq!(decode_lenient(&wire), text.clone());
            prop_assert_eq!(decode(&wire), Ok(text));
        }

        #[test]
        fn what_is_read_strictly_is_written_the_same(wire in "[&A-Za-z0-9+,/ -]{0,40}") {
            if let Ok(text) = decode(&wire) {
                prop_assert_eq!(encode(&text), wire);
            }
        }
    }
}

//! Writing header fields strictly: US-ASCII where possible, encoded-words where not, short lines, nothing a value could smuggle
//! in (RFC 5322 §2.1.1 and §2.2.3, RFC 2047, RFC 6532).

use mail_types::Address;

use crate::header::unfold;

/// Columns a line should not exceed, line end not counted (RFC 5322 §2.1.1).
const LINE_COLUMNS: usize = 78;

/// Octets a line must not exceed (RFC 5322 §2.1.1).
const LINE_OCTETS_MAX: usize = 998;

/// Longest encoded-word (RFC 2047 §2).
const ENCODED_WORD_OCTETS_MAX: usize = 75;

/// Appends a field with free text, such as Subject, folded and encoded as needed.
pub fn write_text_field(name: &str, text: &str, header: &mut Vec<u8>) {
    let mut line = FoldedLine::begin(name, header);
    let text = without_controls(text);
    let text = text.trim();
    if may_stand_as_it_is(text, LINE_OCTETS_MAX - LINE_COLUMNS) {
        text.split(' ').enumerate().for_each(|(index, word)| line.push_word(word, index > 0));
    } else {
        line.push_encoded(text);
    }
    line.end();
}

/// Appends a field with free text that has to come back as it was, control characters included; only line ends and NUL
/// become what unfolding makes of them (RFC 5293 §4).
pub fn write_exact_text_field(name: &str, text: &str, header: &mut Vec<u8>) {
    let unfolded = unfold(text.as_bytes());
    // Unfolding takes whole US-ASCII characters away, or puts blanks for them.
    let text = std::str::from_utf8(&unfolded).unwrap_or_default().trim();
    let mut line = FoldedLine::begin(name, header);
    if may_stand_as_it_is(text, LINE_OCTETS_MAX - LINE_COLUMNS) {
        text.split(' ').enumerate().for_each(|(index, word)| line.push_word(word, index > 0));
    } else {
        line.push_encoded(text);
    }
    line.end();
}

/// Appends an address field such as From or To; each address has a display name, which may be empty.
pub fn write_address_field(name: &str, addresses: &[(&str, &Address)], header: &mut Vec<u8>) {
    let mut line = FoldedLine::begin(name, header);
    for (index, (display_name, address)) in addresses.iter().enumerate() {
        let comma = if index + 1 < addresses.len() { "," } else { "" };
        let display_name = without_controls(display_name);
        if display_name.is_empty() {
            line.push_word(&format!("{address}{comma}"), index > 0);
            continue;
        }
        push_phrase(&display_name, index > 0, &mut line);
        line.push_word(&format!("<{address}>{comma}"), true);
    }
    line.end();
}

/// A display name: as it is, quoted, or encoded (RFC 5322 §3.2.5, RFC 2047 §5).
fn push_phrase(phrase: &str, is_spaced: bool, line: &mut FoldedLine<'_>) {
    let is_atoms = phrase.split(' ').all(|word| !word.is_empty() && word.bytes().all(is_atom_octet));
    if !may_stand_as_it_is(phrase, LINE_OCTETS_MAX / 2) {
        line.push_gap(is_spaced);
        line.push_encoded(phrase);
    } else if is_atoms {
        phrase.split(' ').enumerate().for_each(|(index, word)| line.push_word(word, is_spaced || index > 0));
    } else {
        let escaped = phrase.replace('\\', "\\\\").replace('"', "\\\"");
        line.push_word(&format!("\"{escaped}\""), is_spaced);
    }
}

/// Whether text needs no encoding: printable US-ASCII, nothing that looks like an encoded-word, no endless words.
fn may_stand_as_it_is(text: &str, word_octets_max: usize) -> bool {
    text.bytes().all(|octet| matches!(octet, b' '..=b'~'))
        && !text.contains("=?")
        && text.trim_ascii().len() == text.len()
        && text.split(' ').all(|word| word.len() <= word_octets_max)
}

/// Line ends and other control characters become blanks: a value must not begin a field of its own.
fn without_controls(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

/// RFC 5322 §3.2.3.
fn is_atom_octet(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&octet)
}

/// A field being written, folded before words that would make a line too long.
pub(crate) struct FoldedLine<'h> {
    header: &'h mut Vec<u8>,
    column: usize,
    /// Whether the line has a word yet: a folded line must not be blank.
    has_word: bool,
}

impl<'h> FoldedLine<'h> {
    pub(crate) fn begin(name: &str, header: &'h mut Vec<u8>) -> FoldedLine<'h> {
        header.extend_from_slice(name.as_bytes());
        header.extend_from_slice(b": ");
        FoldedLine { column: name.len() + 2, header, has_word: false }
    }

    /// Appends a word, with a blank before it if it `is_spaced`; the blank is where the line may be folded.
    pub(crate) fn push_word(&mut self, word: &str, is_spaced: bool) {
        let is_too_long = self.column + usize::from(is_spaced) + word.len() > LINE_COLUMNS;
        if is_spaced && is_too_long && self.has_word && !word.is_empty() {
            self.header.extend_from_slice(b"\r\n");
            self.column = 0;
            self.has_word = false;
        }
        self.push_gap(is_spaced);
        self.header.extend_from_slice(word.as_bytes());
        self.column += word.len();
        self.has_word |= !word.is_empty();
    }

    fn push_gap(&mut self, is_spaced: bool) {
        if is_spaced {
            self.header.push(b' ');
            self.column += 1;
        }
    }

    /// Appends text as encoded-words in UTF-8, each with whole characters (RFC 2047 §5).
    fn push_encoded(&mut self, text: &str) {
        let encoding = Encoding::readable_for(text);
        let mut rest = text;
        let mut is_first = true;
        while !rest.is_empty() {
            // The first word shares its line with the field's name.
            let taken_columns = if is_first { self.column } else { 1 };
            let room = ENCODED_WORD_OCTETS_MAX.min(LINE_COLUMNS.saturating_sub(taken_columns)).max(40);
            let piece_end = encoding.octets_that_fit(rest, room - ENCODED_WORD_FRAME_OCTETS);
            let (piece, remaining) = rest.split_at(piece_end);
            self.push_word(&encoding.encoded_word(piece), !is_first);
            rest = remaining;
            is_first = false;
        }
    }

    pub(crate) fn end(self) {
        self.header.extend_from_slice(b"\r\n");
    }
}

/// Octets around the text of our encoded-words.
const ENCODED_WORD_FRAME_OCTETS: usize = "=?utf-8?Q??=".len();

#[derive(Clone, Copy)]
enum Encoding {
    Q,
    B,
}

impl Encoding {
    /// Q if people can still read most of it in the raw header.
    fn readable_for(text: &str) -> Encoding {
        let escaped = text.chars().filter(|character| q_octets(*character) > 1).count();
        if escaped * 2 <= text.chars().count() { Encoding::Q } else { Encoding::B }
    }

    /// How much of the text fits into so many encoded octets: whole characters, at least one.
    fn octets_that_fit(self, text: &str, encoded_octets_max: usize) -> usize {
        let mut octets = 0;
        let mut encoded_octets = 0;
        for character in text.chars() {
            let next = octets + character.len_utf8();
            encoded_octets = match self {
                Encoding::Q => encoded_octets + q_octets(character),
                Encoding::B => next.div_ceil(3) * 4,
            };
            if encoded_octets > encoded_octets_max && octets > 0 {
                break;
            }
            octets = next;
        }
        octets
    }

    fn encoded_word(self, text: &str) -> String {
        match self {
            Encoding::Q => format!("=?utf-8?Q?{}?=", q_encoded(text)),
            Encoding::B => format!("=?utf-8?B?{}?=", encode_base64(text.as_bytes())),
        }
    }
}

fn q_octets(character: char) -> usize {
    if character == ' ' || is_q_literal(character) { 1 } else { 3 * character.len_utf8() }
}

/// RFC 2047 §5 (3): what may stand as itself even in a display name.
fn is_q_literal(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '!' | '*' | '+' | '-' | '/')
}

fn q_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            ' ' => encoded.push('_'),
            literal if is_q_literal(literal) => encoded.push(literal),
            other => {
                let mut octets = [0; 4];
                other.encode_utf8(&mut octets).bytes().for_each(|octet| encoded += &format!("={octet:02X}"));
            }
        }
    }
    encoded
}

/// Base64 with padding, on one line (RFC 4648 §4).
pub fn encode_base64(octets: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::with_capacity(octets.len().div_ceil(3) * 4);
    for group in octets.chunks(3) {
        let octet = |index: usize| group.get(index).copied().map_or(0, u32::from);
        let bits = octet(0) << 16 | octet(1) << 8 | octet(2);
        for (place, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let digit = ALPHABET.get((bits >> shift & 63) as usize).copied().unwrap_or(b'=');
            encoded.push(char::from(if place <= group.len() { digit } else { b'=' }));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoded_word::decode_field_text;
    use crate::header::fields;

    fn text_field(text: &str) -> String {
        let mut header = Vec::new();
        write_text_field("Subject", text, &mut header);
        let header = String::from_utf8(header).expect("UTF-8");
        for line in header.lines() {
            assert!(line.len() <= LINE_OCTETS_MAX && !line.trim().is_empty(), "{header}");
        }
        let mut read = fields(header.as_bytes());
        let field = read.next().expect("a field");
        assert!(read.next().is_none(), "{header}");
        assert_eq!(decode_field_text(field.value), without_controls(text).trim(), "{header}");
        header
    }

    #[test]
    fn plain_text_is_folded() {
        assert_eq!(text_field("Lunch?"), "Subject: Lunch?\r\n");
        let long = text_field(&"word ".repeat(40));
        assert!(long.lines().all(|line| line.len() <= LINE_COLUMNS), "{long}");
        text_field(&format!("a{}b", " ".repeat(100)));
        text_field(&"x".repeat(200));
        text_field(&"x".repeat(5_000));
        for octets in [919, 920, 921] {
            assert_eq!(text_field(&"x".repeat(octets)).contains("=?"), octets > 920);
        }
    }

    #[test]
    fn other_text_is_encoded() {
        assert_eq!(text_field("Grüße"), "Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\n");
        assert_eq!(text_field("привет"), "Subject: =?utf-8?B?0L/RgNC40LLQtdGC?=\r\n");
        assert!(text_field("=?utf-8?Q?a?=").contains("=3D=3F"));
        let long = text_field(&"日本語のとても長い件名".repeat(20));
        assert!(long.lines().all(|line| line.len() <= LINE_COLUMNS), "{long}");
        text_field(&"äa ".repeat(100));
    }

    #[test]
    fn no_field_is_smuggled_in() {
        assert_eq!(text_field("a\r\nBcc: b"), "Subject: a  Bcc: b\r\n");
        text_field("a\r\n\r\nbody");
        text_field("a\0b");
    }

    #[test]
    fn exact_text_keeps_control_characters() {
        let check = |text: &str, expected: &str| {
            let mut header = Vec::new();
            write_exact_text_field("X", text, &mut header);
            assert_eq!(String::from_utf8_lossy(&header), expected);
        };
        check("plain", "X: plain\r\n");
        check(" a\r\n b\nc\0", "X: a b c\r\n");
        check("bell \u{7}!", "X: =?utf-8?Q?bell_=07!?=\r\n");
        check("a\tb", "X: =?utf-8?Q?a=09b?=\r\n");
    }

    #[test]
    fn addresses_are_written() {
        let ann = Address::parse("ann@example.org").expect("an address");
        let check = |names: &[&str], expected: &str| {
            let addresses: Vec<(&str, &Address)> = names.iter().map(|name| (*name, &ann)).collect();
            let mut header = Vec::new();
            write_address_field("To", &addresses, &mut header);
            assert_eq!(String::from_utf8_lossy(&header), expected);
        };
        check(&[""], "To: ann@example.org\r\n");
        check(&["Ann Doe", ""], "To: Ann Doe <ann@example.org>, ann@example.org\r\n");
        check(&["Doe, \"A\""], "To: \"Doe, \\\"A\\\"\" <ann@example.org>\r\n");
        check(&["Änn, Dö"], "To: =?utf-8?Q?=C3=84nn=2C_D=C3=B6?= <ann@example.org>\r\n");
        check(
            &["Ann Doe", "Ann Doe", "Ann Doe"],
            "To: Ann Doe <ann@example.org>, Ann Doe <ann@example.org>, Ann Doe\r\n <ann@example.org>\r\n",
        );
        check(&["a\r\nBcc: x"], "To: \"a  Bcc: x\" <ann@example.org>\r\n");
    }

    #[test]
    fn base64_of_rfc_4648() {
        for (plain, encoded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(encode_base64(plain.as_bytes()), encoded);
        }
    }
}

//! Octets as quoted-printable (RFC 2045 §6.7), for texts that are not ASCII or whose lines are too long.

/// Longest line, soft break included (RFC 2045 §6.7, rule 5).
const LINE_OCTETS_MAX: usize = 76;

/// Whether octets can go as they are in 7bit: printable ASCII and tabs in lines that are not too long (RFC 2045 §2.7).
pub(super) fn is_seven_bit(octets: &[u8]) -> bool {
    lines(octets).all(|line| {
        line.len() <= 998 && line.iter().all(|&octet| octet == b'\t' || matches!(octet, b' '..=b'~'))
    })
}

/// The lines, whether they end with CRLF or LF.
pub(super) fn lines(octets: &[u8]) -> impl Iterator<Item = &[u8]> {
    let whole = octets.strip_suffix(b"\n").unwrap_or(octets);
    whole.split(|&octet| octet == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line))
}

/// Appends octets as they are, every line with CRLF.
pub(super) fn write_lines(octets: &[u8], out: &mut Vec<u8>) {
    for line in lines(octets) {
        out.extend_from_slice(line);
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends octets in quoted-printable, every line with CRLF.
pub(super) fn write_quoted(octets: &[u8], out: &mut Vec<u8>) {
    for line in lines(octets) {
        write_quoted_line(line, out);
        out.extend_from_slice(b"\r\n");
    }
}

fn write_quoted_line(line: &[u8], out: &mut Vec<u8>) {
    let mut column = 0;
    for (index, &octet) in line.iter().enumerate() {
        let is_last = index + 1 == line.len();
        let is_blank = matches!(octet, b' ' | b'\t');
        // Rule 3: no blank at the end of a line. A dot or From_ at its start is known to be changed on the way.
        let is_risky = column == 0 && (octet == b'.' || line.starts_with(b"From ") && index == 0);
        let is_literal = octet != b'=' && !is_risky && (octet.is_ascii_graphic() || is_blank && !is_last);
        let width = if is_literal { 1 } else { 3 };
        // A soft break needs a column of its own.
        if column + width > LINE_OCTETS_MAX - usize::from(!is_last) {
            out.extend_from_slice(b"=\r\n");
            column = 0;
        }
        match is_literal {
            true => out.push(octet),
            false => out.extend_from_slice(format!("={octet:02X}").as_bytes()),
        }
        column += width;
    }
}

/// Appends a part of plain text: its Content fields, the blank line, and the text, encoded only if it has to be.
pub fn write_text_part(text: &str, out: &mut Vec<u8>) {
    let is_plain = is_seven_bit(text.as_bytes());
    let (charset, encoding) = if is_plain { ("us-ascii", "7bit") } else { ("utf-8", "quoted-printable") };
    let fields = format!(
        "Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    );
    out.extend_from_slice(fields.as_bytes());
    match is_plain {
        true => write_lines(text.as_bytes(), out),
        false => write_quoted(text.as_bytes(), out),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::transfer::{TransferEncoding, decode_transfer};

    fn quoted(octets: &[u8]) -> String {
        let mut out = Vec::new();
        write_quoted(octets, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_needs_quoting_is_quoted() {
        assert_eq!(
            quoted("größe=\r\n a \r\n.\r\nFrom x".as_bytes()),
            "gr=C3=B6=C3=9Fe=3D\r\n a=20\r\n=2E\r\n=46rom x\r\n"
        );
        for octets in [75, 76, 77] {
            let wire = quoted(&vec![b'x'; octets]);
            assert_eq!(wire.contains("=\r\n"), octets > 76, "{wire}");
        }
    }

    #[test]
    fn seven_bit_has_bounds() {
        for octets in [997, 998, 999] {
            assert_eq!(is_seven_bit(&[&vec![b'x'; octets][..], b"\r\n"].concat()), octets <= 998);
        }
        for (text, expected) in [
            (&b"a\tb\r\nc\n"[..], true),
            (b"", true),
            (b"\xc3\xa4", false),
            (b"a\rb", false),
            (b"\0", false),
            (b"\x7f", false),
        ] {
            assert_eq!(is_seven_bit(text), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn it_is_read_as_written(
            lines in proptest::collection::vec(proptest::collection::vec(any::<u8>().prop_filter("no line end", |octet| !matches!(octet, b'\r' | b'\n')), 0..200), 1..5)
        ) {
            let text = lines.join(&b"\r\n"[..]);
            let text = [&text[..], b"\r\n"].concat();
            let wire = quoted(&text);
            prop_assert!(wire.split("\r\n").all(|line| line.len() <= LINE_OCTETS_MAX));
            prop_assert_eq!(decode_transfer(TransferEncoding::QuotedPrintable, wire.as_bytes()), text);
        }
    }
}

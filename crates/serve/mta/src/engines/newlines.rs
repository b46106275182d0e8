//! Line ends of what a milter writes: whatever it meant, a message has CRLF alone (RFC 5322 §2.3).

/// Makes CRLF of each lone CR or LF, over pieces.
#[derive(Debug, Default)]
pub(crate) struct Newlines {
    /// The last octet was a CR, which is written with what follows it.
    has_carriage_return: bool,
}

impl Newlines {
    pub(crate) fn take(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        for &octet in octets {
            let is_line_end = std::mem::replace(&mut self.has_carriage_return, octet == b'\r');
            match octet {
                b'\r' if is_line_end => out.extend_from_slice(b"\r\n"),
                b'\r' => {}
                b'\n' => out.extend_from_slice(b"\r\n"),
                _ => {
                    if is_line_end {
                        out.extend_from_slice(b"\r\n");
                    }
                    out.push(octet);
                }
            }
        }
    }

    /// There is no more.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.has_carriage_return) {
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// A field as it stands in a header. The value's own lines are folded where they are not (RFC 5322 §2.2.3), and none is
/// blank, which would end the header.
pub(crate) fn field(name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut raw = [name, b":"].concat();
    let lines = value.split(|octet| *octet == b'\n');
    let mut is_first = true;
    for line in lines {
        let line: Vec<u8> = line.iter().copied().filter(|octet| !matches!(octet, b'\r' | 0)).collect();
        if is_first {
            raw.extend_from_slice(&line);
        } else if !line.trim_ascii().is_empty() {
            raw.extend_from_slice(b"\r\n");
            if !line.starts_with(b" ") && !line.starts_with(b"\t") {
                raw.push(b'\t');
            }
            raw.extend_from_slice(&line);
        }
        is_first = false;
    }
    raw.extend_from_slice(b"\r\n");
    raw
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_with_both_wherever_the_pieces_end() {
        for (text, expected) in [
            ("a\r\nb", "a\r\nb"),
            ("a\nb\r", "a\r\nb\r\n"),
            ("a\r\r\nb\n\r", "a\r\n\r\nb\r\n\r\n"),
            ("\r\n.\r\n", "\r\n.\r\n"),
        ] {
            for size in 1..=text.len() {
                let (mut newlines, mut out) = (Newlines::default(), Vec::new());
                text.as_bytes().chunks(size).for_each(|piece| newlines.take(piece, &mut out));
                newlines.finish(&mut out);
                assert_eq!(String::from_utf8(out).unwrap(), expected, "{text:?} {size}");
            }
        }
    }

    #[test]
    fn a_value_stays_within_its_field() {
        for (value, expected) in [
            (" a", "X: a\r\n"),
            (" a\nb", "X: a\r\n\tb\r\n"),
            (" a\n\nBcc: x\r\n\r\nbody", "X: a\r\n\tBcc: x\r\n\tbody\r\n"),
            (" a\n \n c\0\r", "X: a\r\n c\r\n"),
        ] {
            assert_eq!(String::from_utf8(field(b"X", value.as_bytes())).unwrap(), expected);
        }
    }
}

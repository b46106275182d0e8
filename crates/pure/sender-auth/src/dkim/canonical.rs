//! Canonical forms of header fields and bodies: what is hashed instead of what stands there, so that small changes on the
//! way do no harm (RFC 6376 §3.4). Bodies are read in chunks of any size. A line ends with CRLF; a CR or LF alone is an
//! octet like others in a body, and our intake lets none through.

/// How much change is forgiven.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Canonicalization {
    /// Nearly none.
    Simple,
    /// Blanks, folds and the letter case of field names.
    Relaxed,
}

impl Canonicalization {
    /// Reads one word of the `c=` tag.
    pub(crate) fn parse(word: &[u8]) -> Option<Self> {
        match word {
            b"simple" => Some(Self::Simple),
            b"relaxed" => Some(Self::Relaxed),
            _ => None,
        }
    }
}

/// Appends a field in its canonical form, its line end included.
pub(crate) fn canonical_field(canonicalization: Canonicalization, raw: &[u8], canonical: &mut Vec<u8>) {
    canonical_field_unended(canonicalization, raw, canonical);
    canonical.extend_from_slice(b"\r\n");
}

/// Appends a field in its canonical form without its line end: a signature's own field (RFC 6376 §3.7).
pub(crate) fn canonical_field_unended(
    canonicalization: Canonicalization,
    raw: &[u8],
    canonical: &mut Vec<u8>,
) {
    let field = raw.strip_suffix(b"\r\n").or_else(|| raw.strip_suffix(b"\n")).unwrap_or(raw);
    if canonicalization == Canonicalization::Simple {
        canonical.extend_from_slice(field);
        return;
    }
    let colon = memchr::memchr(b':', field).unwrap_or(field.len());
    let (name, value) = field.split_at(colon);
    canonical.extend(name.trim_ascii_end().iter().map(u8::to_ascii_lowercase));
    canonical.push(b':');
    let mut has_text = false;
    let mut is_after_blank = false;
    let mut octets = value.iter().skip(1).copied().peekable();
    while let Some(octet) = octets.next() {
        match octet {
            b' ' | b'\t' => is_after_blank = true,
            b'\n' => {}
            b'\r' if octets.peek() == Some(&b'\n') => {}
            other => {
                if is_after_blank && has_text {
                    canonical.push(b' ');
                }
                has_text = true;
                is_after_blank = false;
                canonical.push(other);
            }
        }
    }
}

/// Turns a body into its canonical form while it passes.
#[derive(Clone, Debug)]
pub(crate) struct BodyForm {
    canonicalization: Canonicalization,
    /// Line ends that count only if something follows them.
    line_ends: u64,
    /// A CR that may become a line end.
    has_cr: bool,
    /// Blanks that count, as one, only if something follows them on their line.
    has_blank: bool,
    /// Whether anything was written.
    has_text: bool,
}

impl BodyForm {
    pub(crate) fn new(canonicalization: Canonicalization) -> Self {
        Self { canonicalization, line_ends: 0, has_cr: false, has_blank: false, has_text: false }
    }

    /// Takes the next octets and gives the canonical ones to `write`, in pieces of any size.
    pub(crate) fn feed(&mut self, octets: &[u8], write: &mut impl FnMut(&[u8])) {
        let mut rest = octets;
        while let Some(&octet) = rest.first() {
            if self.has_cr {
                self.has_cr = false;
                if octet == b'\n' {
                    self.end_line();
                    rest = rest.get(1..).unwrap_or_default();
                } else {
                    self.text(b"\r", write);
                }
                continue;
            }
            match octet {
                b'\r' => self.has_cr = true,
                b' ' | b'\t' if self.canonicalization == Canonicalization::Relaxed => self.has_blank = true,
                _ => {
                    let octets = self.run_octets(rest);
                    self.text(rest.get(..octets).unwrap_or(rest), write);
                    rest = rest.get(octets..).unwrap_or_default();
                    continue;
                }
            }
            rest = rest.get(1..).unwrap_or_default();
        }
    }

    /// The end of the body: its last line gets an end, and an empty body is one line end or nothing (RFC 6376 §3.4.3,
    /// §3.4.4).
    pub(crate) fn finish(mut self, write: &mut impl FnMut(&[u8])) {
        if self.has_cr {
            self.text(b"\r", write);
        }
        if self.has_text || self.canonicalization == Canonicalization::Simple {
            write(b"\r\n");
        }
    }

    /// Octets before the next one that needs a look.
    fn run_octets(&self, rest: &[u8]) -> usize {
        let found = match self.canonicalization {
            Canonicalization::Simple => memchr::memchr(b'\r', rest),
            Canonicalization::Relaxed => memchr::memchr3(b'\r', b' ', b'\t', rest),
        };
        found.unwrap_or(rest.len())
    }

    fn end_line(&mut self) {
        self.line_ends += 1;
        self.has_blank = false;
    }

    fn text(&mut self, text: &[u8], write: &mut impl FnMut(&[u8])) {
        /// Written at once instead of one by one: some bodies are nothing but line ends.
        const LINE_ENDS: &[u8; 64] = b"\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\
\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n";
        while self.line_ends > 0 {
            let count = self.line_ends.min(32);
            let octets = usize::try_from(count * 2).unwrap_or_default();
            write(LINE_ENDS.get(..octets).unwrap_or(LINE_ENDS));
            self.line_ends -= count;
        }
        if self.has_blank {
            write(b" ");
            self.has_blank = false;
        }
        write(text);
        self.has_text = true;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn body(canonicalization: Canonicalization, octets: &[u8], chunk: usize) -> Vec<u8> {
        let mut canonical = Vec::new();
        let mut form = BodyForm::new(canonicalization);
        for octets in octets.chunks(chunk) {
            form.feed(octets, &mut |octets| canonical.extend_from_slice(octets));
        }
        form.finish(&mut |octets| canonical.extend_from_slice(octets));
        canonical
    }

    fn check_body(octets: &str, simple: &str, relaxed: &str) {
        for chunk in 1..=octets.len().max(1) {
            let read = |form| String::from_utf8(body(form, octets.as_bytes(), chunk)).unwrap();
            assert_eq!(read(Canonicalization::Simple), simple, "{octets:?} by {chunk}");
            assert_eq!(read(Canonicalization::Relaxed), relaxed, "{octets:?} by {chunk}");
        }
    }

    #[test]
    fn bodies() {
        // RFC 6376 §3.4.5.
        check_body(" C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n", " C\r\nD E\r\n");
        check_body("", "\r\n", "");
        check_body("\r\n\r\n", "\r\n", "");
        check_body(" \t\r\n", " \t\r\n", "");
        check_body(" \t", " \t\r\n", "");
        check_body("a", "a\r\n", "a\r\n");
        check_body("a ", "a \r\n", "a\r\n");
        check_body("a\r\n \r\n", "a\r\n \r\n", "a\r\n");
        check_body("\r\n\r\na\r\n \r\nb", "\r\n\r\na\r\n \r\nb\r\n", "\r\n\r\na\r\n\r\nb\r\n");
        check_body("a\rb\nc\r\r\n", "a\rb\nc\r\r\n", "a\rb\nc\r\r\n");
        check_body("a\r", "a\r\r\n", "a\r\r\n");
        let ends = "\r\n".repeat(100);
        check_body(&format!("a{ends}b"), &format!("a{ends}b\r\n"), &format!("a{ends}b\r\n"));
    }

    fn check_field(raw: &str, relaxed: &str) {
        let mut canonical = Vec::new();
        canonical_field(Canonicalization::Relaxed, raw.as_bytes(), &mut canonical);
        assert_eq!(String::from_utf8(canonical).unwrap(), relaxed);
        let mut canonical = Vec::new();
        canonical_field(Canonicalization::Simple, raw.as_bytes(), &mut canonical);
        assert_eq!(String::from_utf8(canonical).unwrap(), raw);
    }

    #[test]
    fn fields() {
        // RFC 6376 §3.4.5.
        check_field("A: X\r\n", "a:X\r\n");
        check_field("B : Y\t\r\n\tZ  \r\n", "b:Y Z\r\n");
        check_field("Subject:\r\n  a \r\n \t b\r\n \r\n", "subject:a b\r\n");
        check_field("Empty:\r\n", "empty:\r\n");
        check_field("Colons: a:b\r\n", "colons:a:b\r\n");
    }

    proptest! {
        #[test]
        fn canonical_bodies_stay_as_they_are(text in "[ab \t\r\n]{0,60}", chunk in 1_usize..9) {
            for form in [Canonicalization::Simple, Canonicalization::Relaxed] {
                let once = body(form, text.as_bytes(), usize::MAX);
                prop_assert_eq!(&body(form, text.as_bytes(), chunk), &once);
                prop_assert_eq!(&body(form, &once, chunk), &once);
            }
        }

        #[test]
        fn canonical_fields_stay_as_they_are(value in "([ab: \t]|\r\n ){0,40}") {
            let mut once = Vec::new();
            canonical_field(Canonicalization::Relaxed, format!("Name:{value}\r\n").as_bytes(), &mut once);
            let mut twice = Vec::new();
            canonical_field(Canonicalization::Relaxed, &once, &mut twice);
            prop_assert_eq!(once, twice);
        }
    }
}

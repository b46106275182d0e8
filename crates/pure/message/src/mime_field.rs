//! Content-Type, Content-Disposition and Content-Language: a word and parameters, RFC 2231 continuations joined
//! (RFC 2045 §5.1, RFC 2183, RFC 2231 §3 and §4, RFC 3282).

use memchr::memchr;

use crate::structure::{Disposition, Parameter};

/// Longest media type, subtype, disposition or encoding word believed; RFC 6838 §4.2 allows 127.
const WORD_OCTETS_MAX: usize = 127;

/// Highest continuation number of RFC 2231 that is joined.
const CONTINUATIONS_MAX: u16 = 999;

/// A Content-Type field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentType {
    /// Lower-case media type.
    pub media_type: Vec<u8>,
    /// Lower-case media subtype.
    pub subtype: Vec<u8>,
    /// Its parameters.
    pub parameters: Vec<Parameter>,
}

impl ContentType {
    /// Without parameters.
    pub(crate) fn new(media_type: &str, subtype: &str) -> ContentType {
        ContentType {
            media_type: media_type.as_bytes().to_vec(),
            subtype: subtype.as_bytes().to_vec(),
            parameters: Vec::new(),
        }
    }

    /// What a part without Content-Type is (RFC 2045 §5.2).
    pub(crate) fn plain_text() -> ContentType {
        let charset = Parameter { attribute: b"charset".to_vec(), value: b"us-ascii".to_vec() };
        ContentType { parameters: vec![charset], ..ContentType::new("text", "plain") }
    }

    /// Reads a field's value if it names one type as RFC 2045 §5.1 wants it; nothing is assumed.
    pub fn parse_exact(value: &[u8], parameters_max: usize) -> Option<ContentType> {
        let mut reader = Reader { rest: value };
        let media_type = reader.word();
        let has_slash = reader.skip_mark(b'/');
        let subtype = reader.word();
        reader.skip_blanks();
        let has_ended = matches!(reader.rest.first(), None | Some(b';'));
        let is_type = has_slash && has_ended && !media_type.is_empty() && !subtype.is_empty();
        is_type.then(|| ContentType { media_type, subtype, parameters: reader.parameters(parameters_max) })
    }

    /// Reads a field's value. What is no type is plain text (RFC 2045 §5.2), but for `multipart` with a boundary.
    pub fn parse(value: &[u8], parameters_max: usize) -> ContentType {
        let mut reader = Reader { rest: value };
        let media_type = reader.word();
        let has_slash = reader.skip_mark(b'/');
        let subtype = if has_slash { reader.word() } else { Vec::new() };
        let parameters = reader.parameters(parameters_max);
        if !media_type.is_empty() && !subtype.is_empty() {
            return ContentType { media_type, subtype, parameters };
        }
        let has_boundary = parameters.iter().any(|parameter| parameter.attribute == b"boundary");
        let assumed = match media_type.as_slice() {
            b"multipart" if has_boundary => ContentType::new("multipart", "mixed"),
            _ => ContentType::new("text", "plain"),
        };
        ContentType { parameters, ..assumed }
    }
}

impl Disposition {
    /// Reads a Content-Disposition field's value; `None` if it holds no word.
    pub fn parse(value: &[u8], parameters_max: usize) -> Option<Disposition> {
        let mut reader = Reader { rest: value };
        let kind = reader.word();
        let parameters = reader.parameters(parameters_max);
        if kind.is_empty() && parameters.is_empty() {
            return None;
        }
        // RFC 2183 §2.8: an unknown disposition is an attachment; so is one that only has a file name.
        let kind = if kind.is_empty() { b"attachment".to_vec() } else { kind };
        Some(Disposition { kind, parameters })
    }
}

/// Reads a Content-Transfer-Encoding, lower case; `7bit` if there is no word.
pub(crate) fn parse_encoding(value: &[u8]) -> Vec<u8> {
    let word = Reader { rest: value }.word();
    if word.is_empty() { b"7bit".to_vec() } else { word }
}

/// Reads a Content-Language list, at most `languages_max` of it.
pub(crate) fn parse_languages(value: &[u8], languages_max: usize) -> Vec<Vec<u8>> {
    let mut reader = Reader { rest: value };
    let mut languages = Vec::new();
    while languages.len() < languages_max && !reader.rest.is_empty() {
        reader.skip_blanks();
        let language = reader.take_while(|octet| !is_blank(octet) && !matches!(octet, b',' | b'('));
        if !language.is_empty() {
            languages.push(language.to_vec());
        }
        reader.skip_mark(b',');
    }
    languages
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn skip(&mut self, octets: usize) {
        self.rest = self.rest.get(octets..).unwrap_or_default();
    }

    fn take_while(&mut self, accepts: impl Fn(u8) -> bool) -> &'a [u8] {
        let octets = self.rest.iter().take_while(|&&octet| accepts(octet)).count();
        let (taken, rest) = self.rest.split_at(octets);
        self.rest = rest;
        taken
    }

    /// Skips blanks, line ends and comments.
    fn skip_blanks(&mut self) {
        loop {
            self.take_while(is_blank);
            if self.rest.first() != Some(&b'(') {
                return;
            }
            let mut depth = 0_usize;
            let mut octets = 0;
            while let Some(&octet) = self.rest.get(octets) {
                octets += if octet == b'\\' { 2 } else { 1 };
                match octet {
                    b'(' => depth += 1,
                    b')' => depth -= 1,
                    _ => {}
                }
                if depth == 0 {
                    break;
                }
            }
            self.skip(octets);
        }
    }

    fn skip_mark(&mut self, mark: u8) -> bool {
        self.skip_blanks();
        let is_there = self.rest.first() == Some(&mark);
        self.skip(usize::from(is_there));
        is_there
    }

    /// A token in lower case (RFC 2045 §5.1), unquoted if somebody quoted it; empty if there is none or it is too long.
    fn word(&mut self) -> Vec<u8> {
        self.skip_blanks();
        let word = if self.rest.first() == Some(&b'"') {
            self.quoted_string()
        } else {
            self.take_while(is_token_octet).to_vec()
        };
        if word.len() > WORD_OCTETS_MAX { Vec::new() } else { word.to_ascii_lowercase() }
    }

    fn quoted_string(&mut self) -> Vec<u8> {
        self.skip(1);
        let mut text = Vec::new();
        let mut octets = self.rest.iter();
        while let Some(&octet) = octets.next() {
            match octet {
                b'"' => break,
                b'\\' => text.extend(octets.next().filter(|octet| !is_line_end(**octet))),
                octet if is_line_end(octet) => {}
                other => text.push(other),
            }
        }
        self.rest = octets.as_slice();
        text
    }

    /// A value: quoted, or everything up to the semicolon, blanks inside included: `name=Annual report.pdf` is common.
    fn value(&mut self) -> Vec<u8> {
        self.skip_blanks();
        if self.rest.first() == Some(&b'"') {
            return self.quoted_string();
        }
        let end = memchr(b';', self.rest).unwrap_or(self.rest.len());
        let (value, rest) = self.rest.split_at(end);
        self.rest = rest;
        // A comment may follow: `charset=us-ascii (Plain text)`.
        let comment = value.windows(2).position(|pair| matches!(pair, [blank, b'('] if is_blank(*blank)));
        let value = comment.and_then(|start| value.get(..start)).unwrap_or(value);
        value.trim_ascii().iter().copied().filter(|&octet| !is_line_end(octet)).collect()
    }

    fn parameters(&mut self, parameters_max: usize) -> Vec<Parameter> {
        let mut segments = Vec::new();
        while segments.len() < parameters_max {
            self.skip_blanks();
            while self.skip_mark(b';') {}
            let attribute = self.take_while(is_token_octet).to_ascii_lowercase();
            let is_parameter = self.skip_mark(b'=') && !attribute.is_empty();
            if is_parameter {
                segments.push(Segment::new(&attribute, self.value()));
            } else if self.rest.is_empty() {
                break;
            } else {
                // Not understood: on to the next semicolon, or past one octet of what is in the way.
                let next = memchr(b';', self.rest).unwrap_or(self.rest.len());
                self.skip(next.max(1));
            }
        }
        join(segments)
    }
}

/// One `attribute=value`, which may be a piece of a parameter.
struct Segment {
    attribute: Vec<u8>,
    /// Which piece; `None` for a whole parameter.
    number: Option<u16>,
    is_extended: bool,
    value: Vec<u8>,
}

impl Segment {
    /// Understands `name`, `name*`, `name*2` and `name*2*` (RFC 2231 §3 and §4).
    fn new(attribute: &[u8], value: Vec<u8>) -> Segment {
        let (name, is_extended) = match attribute.strip_suffix(b"*") {
            Some(name) => (name, true),
            None => (attribute, false),
        };
        let numbered = name.iter().rposition(|&octet| octet == b'*').and_then(|star| {
            let digits = std::str::from_utf8(name.get(star + 1..)?).ok()?;
            let number = digits.parse::<u16>().ok().filter(|number| *number <= CONTINUATIONS_MAX)?;
            Some((name.get(..star)?.to_vec(), number))
        });
        match numbered {
            Some((attribute, number)) => Segment { attribute, number: Some(number), is_extended, value },
            None => Segment { attribute: name.to_vec(), number: None, is_extended, value },
        }
    }

    fn is_piece_of(&self, attribute: &[u8]) -> bool {
        self.number.is_some() && self.attribute == attribute
    }
}

/// Joins pieces in the order of their numbers, wherever they stand; a gap ends a parameter. The number of segments is
/// bounded by `parameters_max`, so looking through all for each is cheap.
fn join(segments: Vec<Segment>) -> Vec<Parameter> {
    let mut parameters: Vec<Parameter> = Vec::new();
    for segment in &segments {
        let mut attribute = segment.attribute.clone();
        let (value, is_extended) = match segment.number {
            None => (segment.value.clone(), segment.is_extended),
            Some(_) => joined_value(&segments, &segment.attribute),
        };
        if is_extended {
            attribute.push(b'*');
        }
        // Of pieces only the first adds the parameter; of parameters given twice the first counts.
        if !attribute.is_empty() && !parameters.iter().any(|known| known.attribute == attribute) {
            parameters.push(Parameter { attribute, value });
        }
    }
    parameters
}

fn joined_value(segments: &[Segment], attribute: &[u8]) -> (Vec<u8>, bool) {
    let mut pieces: Vec<&Segment> = segments.iter().filter(|piece| piece.is_piece_of(attribute)).collect();
    pieces.sort_by_key(|piece| piece.number);
    pieces.dedup_by_key(|piece| piece.number);
    let first = pieces.first().and_then(|piece| piece.number).unwrap_or(0);
    let contiguous = pieces.iter().zip(first..).take_while(|(piece, number)| piece.number == Some(*number));
    let pieces: Vec<&Segment> = contiguous.map(|(piece, _)| *piece).collect();
    if !pieces.iter().any(|piece| piece.is_extended) {
        return (pieces.iter().flat_map(|piece| piece.value.iter().copied()).collect(), false);
    }
    let mut value = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        match (index, piece.is_extended) {
            (0, false) => {
                value.extend_from_slice(b"''");
                percent_encode(&piece.value, &mut value);
            }
            (_, false) => percent_encode(&piece.value, &mut value),
            (_, true) => value.extend_from_slice(&piece.value),
        }
    }
    (value, true)
}

/// Escapes what is no attribute-char of RFC 2231 §7.
pub(crate) fn percent_encode(octets: &[u8], encoded: &mut Vec<u8>) {
    for &octet in octets {
        if is_token_octet(octet) && !matches!(octet, b'*' | b'\'' | b'%') && octet < 128 {
            encoded.push(octet);
        } else {
            encoded.extend_from_slice(format!("%{octet:02X}").as_bytes());
        }
    }
}

fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\r' | b'\n' | 0)
}

fn is_line_end(octet: u8) -> bool {
    matches!(octet, b'\r' | b'\n' | 0)
}

/// RFC 2045 §5.1, octets above 127 tolerated.
fn is_token_octet(octet: u8) -> bool {
    octet > b' '
        && octet != 127
        && !matches!(
            octet,
            b'(' | b')'
                | b'<'
                | b'>'
                | b'@'
                | b','
                | b';'
                | b':'
                | b'\\'
                | b'"'
                | b'/'
                | b'['
                | b']'
                | b'?'
                | b'='
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(parameters: &[Parameter]) -> String {
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        parameters.iter().map(|p| format!("; {}={}", text(&p.attribute), text(&p.value))).collect()
    }

    fn check(value: &str, expected: &str) {
        let content = ContentType::parse(value.as_bytes(), 20);
        let media = [content.media_type.as_slice(), content.subtype.as_slice()]
            .map(String::from_utf8_lossy)
            .join("/");
        assert_eq!(format!("{media}{}", shown(&content.parameters)), expected, "{value}");
    }

    #[test]
    fn types_and_parameters() {
        check("text/plain; charset=us-ascii (Plain text)", "text/plain; charset=us-ascii");
        check("Text/HTML;Charset=\"UTF-8\"", "text/html; charset=UTF-8");
        check("multipart/mixed; boundary=\"foo\n bar\"", "multipart/mixed; boundary=foo bar");
        check("multipart/mixed;\r\n boundary=\"a\\\"b\"", "multipart/mixed; boundary=a\"b");
        check("application/pdf; name=Annual report.pdf; x=1", "application/pdf; name=Annual report.pdf; x=1");
        check("text/plain; charset = utf-8 ; format = flowed", "text/plain; charset=utf-8; format=flowed");
        check("text/plain; charset=\"utf-8\" format=flowed", "text/plain; charset=utf-8; format=flowed");
        check("text (a) / (b (c)) plain", "text/plain");
        check("multipart/mixed; boundary==_x=y", "multipart/mixed; boundary==_x=y");
    }

    #[test]
    fn what_is_no_type_is_plain_text() {
        check("", "text/plain");
        check("text", "text/plain");
        check("text/", "text/plain");
        check("/plain", "text/plain");
        check("multipart; boundary=x", "multipart/mixed; boundary=x");
        check("multipart", "text/plain");
        check("; charset=utf-8", "text/plain; charset=utf-8");
        check("text/plain; ;; ,,x; =y; name", "text/plain");
        check(&format!("text/{}", "x".repeat(127)), &format!("text/{}", "x".repeat(127)));
        check(&format!("text/{}", "x".repeat(128)), "text/plain");
    }

    #[test]
    fn exact_types_assume_nothing() {
        let exact = |value: &str| {
            let found = ContentType::parse_exact(value.as_bytes(), 20)?;
            let words =
                [&found.media_type, &found.subtype].map(|word| String::from_utf8_lossy(word).into_owned());
            Some(format!("{}{}", words.join("/"), shown(&found.parameters)))
        };
        assert_eq!(
            exact("Text/Calendar (x); method=REQUEST;"),
            Some("text/calendar; method=REQUEST".to_owned())
        );
        assert_eq!(exact("text/plain"), Some("text/plain".to_owned()));
        for value in
            ["", "text", "text/", "/plain", "text/plain/stupid", "text plain", "multipart; boundary=x"]
        {
            assert_eq!(exact(value), None, "{value}");
        }
    }

    #[test]
    fn continuations_are_joined() {
        // RFC 2231 §3 and §4.1.
        check(
            "message/external-body; access-type=URL;\r\n URL*0=\"ftp://\";\r\n URL*1=\"cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar\"",
            "message/external-body; access-type=URL; url=ftp://cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar",
        );
        check(
            "application/x-stuff; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
            "application/x-stuff; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
        );
        check(
            "application/x-stuff\r\n ;title*0*=us-ascii'en'This%20is%20even%20more%20\r\n ;title*1*=%2A%2A%2Afun%2A%2A%2A%20\r\n ;title*2=\"isn't it!\"",
            "application/x-stuff; title*=us-ascii'en'This%20is%20even%20more%20%2A%2A%2Afun%2A%2A%2A%20isn%27t%20it!",
        );
        check("a/b; n*1=b; n*0=a", "a/b; n=ab");
        check("a/b; n*0=a; n*2=c", "a/b; n=a");
        check("a/b; n*1=a; n*2=b", "a/b; n=ab");
        check("a/b; n*0=a b; n*1*=%41", "a/b; n*=''a%20b%41");
        check("a/b; n=1; n*=utf-8''2; n=3", "a/b; n=1; n*=utf-8''2");
        check("a/b; n*1000=x; n*999=y", "a/b; n*1000=x; n=y");
    }

    #[test]
    fn parameters_are_bounded() {
        for count in [19, 20, 21] {
            let value: String = (0..count).map(|n| format!("; p{n}=v")).collect();
            let content = ContentType::parse(format!("a/b{value}").as_bytes(), 20);
            assert_eq!(content.parameters.len(), count.min(20));
        }
    }

    #[test]
    fn dispositions() {
        let check = |value: &str, expected: &str| {
            let found = Disposition::parse(value.as_bytes(), 20);
            let found =
                found.map(|d| format!("{}{}", String::from_utf8_lossy(&d.kind), shown(&d.parameters)));
            assert_eq!(found.unwrap_or_default(), expected);
        };
        check("Attachment; filename=\"a;b.txt\"", "attachment; filename=a;b.txt");
        check("inline", "inline");
        check("; filename=x", "attachment; filename=x");
        check("filename=x", "filename");
        check("", "");
        check("\"attachment\"; filename=x", "attachment; filename=x");
    }

    #[test]
    fn encodings_and_languages() {
        assert_eq!(parse_encoding(b" Base64 (yes) "), b"base64");
        assert_eq!(parse_encoding(b""), b"7bit");
        let languages = |value: &str, max| parse_languages(value.as_bytes(), max);
        assert_eq!(languages("en, de (German),fr", 5), [b"en", b"de", b"fr"]);
        assert_eq!(languages("en, de, fr", 2), [b"en", b"de"]);
        assert_eq!(languages("", 2), Vec::<Vec<u8>>::new());
        assert_eq!(languages(",,en", 5), [b"en"]);
        assert_eq!(languages("en de", 5), [b"en", b"de"]);
    }
}

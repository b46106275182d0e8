//! Header fields as octets: finding them, naming them, unfolding them, choosing among them. Reads whatever stands there:
//! LF or CRLF, lines without a colon, blanks before the colon, fields that never end (RFC 5322 §2.2, §4.5).

use std::borrow::Cow;

use memchr::memchr;

/// One header field as it stands in the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// All its octets, folds and line ends included.
    pub raw: &'a [u8],
    /// The name as written, without blanks; empty if the line is no field.
    pub name: &'a [u8],
    /// What follows the colon, folds included, the last line end not.
    pub value: &'a [u8],
}

impl<'a> Field<'a> {
    /// Whether it has this name, in any letter case.
    pub fn is_named(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value on one line.
    pub fn unfolded(&self) -> Cow<'a, [u8]> {
        unfold(self.value)
    }
}

/// The fields of a header, up to the blank line or the end of the octets.
pub fn fields(header: &[u8]) -> Fields<'_> {
    Fields { rest: header }
}

/// Iterator over the fields of a header.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// What has not been looked at: after the last field, the blank line and what follows it.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        if self.rest.is_empty() || blank_line_octets(self.rest).is_some() {
            return None;
        }
        let (raw, rest) = self.rest.split_at(field_octets(self.rest));
        self.rest = rest;
        Some(field(raw))
    }
}

/// Octets of the empty line the given octets begin with; `None` if they begin otherwise.
pub fn blank_line_octets(octets: &[u8]) -> Option<usize> {
    match octets {
        [b'\n', ..] => Some(1),
        [b'\r', b'\n', ..] => Some(2),
        _ => None,
    }
}

/// Takes one field apart.
fn field(raw: &[u8]) -> Field<'_> {
    let line = without_line_end(raw);
    let empty = Field { raw, name: &[], value: line };
    let Some(colon) = memchr(b':', line) else { return empty };
    let (name, value) = line.split_at(colon);
    let name = name.trim_ascii_end();
    if name.is_empty() || !name.iter().all(|&octet| is_field_name_octet(octet)) {
        return empty;
    }
    Field { raw, name, value: value.get(1..).unwrap_or_default() }
}

/// Octets of the first field: its line and all lines that continue it.
fn field_octets(octets: &[u8]) -> usize {
    let mut end = 0;
    while let Some(rest) = octets.get(end..) {
        let Some(line_feed) = memchr(b'\n', rest) else { return octets.len() };
        end += line_feed + 1;
        if !matches!(octets.get(end), Some(b' ' | b'\t')) {
            return end;
        }
    }
    octets.len()
}

/// RFC 5322 §3.6.8: printable US-ASCII except the colon.
fn is_field_name_octet(octet: u8) -> bool {
    (33..=126).contains(&octet) && octet != b':'
}

/// Cuts the line end off.
pub(crate) fn without_line_end(octets: &[u8]) -> &[u8] {
    octets.strip_suffix(b"\r\n").or_else(|| octets.strip_suffix(b"\n")).unwrap_or(octets)
}

/// A folded value on one line, blanks around it removed (RFC 5322 §2.2.3).
///
/// What is left of line ends, a bare CR, and NUL become a blank: an IMAP string cannot carry them (RFC 9051 §4.3).
pub fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    let value = value.trim_ascii();
    if !value.iter().any(|octet| matches!(octet, b'\r' | b'\n' | 0)) {
        return Cow::Borrowed(value);
    }
    let mut line = Vec::with_capacity(value.len());
    let mut octets = value.iter().copied().peekable();
    while let Some(octet) = octets.next() {
        match octet {
            b'\r' if octets.peek() == Some(&b'\n') => {}
            b'\n' if matches!(octets.peek(), Some(b' ' | b'\t')) => {}
            b'\r' | b'\n' | 0 => line.push(b' '),
            other => line.push(other),
        }
    }
    Cow::Owned(line)
}

/// Which fields a [`FieldFilter`] lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The named fields: HEADER.FIELDS.
    Named,
    /// All others: HEADER.FIELDS.NOT, and removing fields.
    Others,
}

/// Longest field name told apart; of a longer one only this much is compared. Longer than any registered name
/// (IANA's longest has 41 octets) and than anything an IMAP client asks for.
const FIELD_NAME_OCTETS_MAX: usize = 256;

/// Chooses fields by name from a header that arrives in chunks of any size; the blank line always passes
/// (RFC 9051 §6.4.5.1). Stops at the blank line.
#[derive(Clone, Debug)]
pub struct FieldFilter {
    names: Vec<Vec<u8>>,
    choice: Choice,
    state: FilterState,
}

#[derive(Clone, Debug)]
enum FilterState {
    /// At the first octet of a line; whether the field before it passed.
    LineStart { passed: bool },
    /// Inside a field's name or a blank line, its octets kept until we know which.
    Name(Vec<u8>),
    /// Inside the rest of a line.
    Line { passes: bool },
    /// Behind the blank line.
    Ended,
}

impl FieldFilter {
    /// A filter at the first octet of a header.
    pub fn new<N: AsRef<[u8]>>(names: &[N], choice: Choice) -> FieldFilter {
        let names = names.iter().map(|name| name.as_ref().to_ascii_lowercase()).collect();
        // A header that begins like a folded line has no field there to be named.
        FieldFilter { names, choice, state: FilterState::LineStart { passed: choice == Choice::Others } }
    }

    /// Whether the blank line has passed.
    pub fn has_ended(&self) -> bool {
        matches!(self.state, FilterState::Ended)
    }

    /// Takes the next octets and appends those that pass; says how many it took: fewer than given only at the end of
    /// the header.
    pub fn feed(&mut self, octets: &[u8], chosen: &mut Vec<u8>) -> usize {
        let mut taken = 0;
        while let Some(&octet) = octets.get(taken) {
            match &mut self.state {
                FilterState::Ended => return taken,
                FilterState::Line { passes } => {
                    let rest = octets.get(taken..).unwrap_or_default();
                    let (line, has_ended) = match memchr(b'\n', rest) {
                        Some(line_feed) => (rest.get(..=line_feed).unwrap_or(rest), true),
                        None => (rest, false),
                    };
                    if *passes {
                        chosen.extend_from_slice(line);
                    }
                    taken += line.len();
                    if has_ended {
                        self.state = FilterState::LineStart { passed: *passes };
                    }
                }
                FilterState::LineStart { passed } if matches!(octet, b' ' | b'\t') => {
                    self.state = FilterState::Line { passes: *passed };
                }
                FilterState::LineStart { .. } => self.state = FilterState::Name(Vec::new()),
                FilterState::Name(start) => {
                    start.push(octet);
                    taken += 1;
                    let has_ended = matches!(octet, b':' | b'\n');
                    if has_ended || start.len() >= FIELD_NAME_OCTETS_MAX {
                        let start = std::mem::take(start);
                        self.state = self.after_name(&start, octet == b'\n', chosen);
                    }
                }
            }
        }
        taken
    }

    /// The header ends without a blank line: what is undecided passes or falls.
    pub fn finish(self, chosen: &mut Vec<u8>) {
        if let FilterState::Name(start) = &self.state
            && !start.is_empty()
            && self.passes(start)
        {
            chosen.extend_from_slice(start);
        }
    }

    fn after_name(&self, start: &[u8], is_line: bool, chosen: &mut Vec<u8>) -> FilterState {
        if blank_line_octets(start).is_some() {
            chosen.extend_from_slice(start);
            return FilterState::Ended;
        }
        let passes = self.passes(start);
        if passes {
            chosen.extend_from_slice(start);
        }
        if is_line { FilterState::LineStart { passed: passes } } else { FilterState::Line { passes } }
    }

    fn passes(&self, start: &[u8]) -> bool {
        let name = field(start).name;
        let is_named = self.names.iter().any(|wanted| wanted.eq_ignore_ascii_case(name));
        match self.choice {
            Choice::Named => is_named && !name.is_empty(),
            Choice::Others => !is_named || name.is_empty(),
        }
    }
}

/// Appends the chosen fields of a whole header, and its blank line, to `chosen`.
pub fn choose_fields<N: AsRef<[u8]>>(header: &[u8], names: &[N], choice: Choice, chosen: &mut Vec<u8>) {
    let mut filter = FieldFilter::new(names, choice);
    filter.feed(header, chosen);
    filter.finish(chosen);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &str, expected: &[(&str, &str)]) {
        let found: Vec<(String, String)> = fields(header.as_bytes())
            .map(|field| {
                let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
                (text(field.name), text(&field.unfolded()))
            })
            .collect();
        let found: Vec<(&str, &str)> = found.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn fields_end_at_the_blank_line() {
        check("A: 1\r\nB: 2\r\n\r\nC: 3\r\n", &[("A", "1"), ("B", "2")]);
        check("A: 1\nB: 2\n\nC: 3\n", &[("A", "1"), ("B", "2")]);
        check("\r\nA: 1\r\n", &[]);
        check("", &[]);
    }

    #[test]
    fn odd_lines_are_digested() {
        check("Subject : blank before colon\r\n", &[("Subject", "blank before colon")]);
        check("no colon\r\nA:1", &[("", "no colon"), ("A", "1")]);
        check(
            "From ann@example.org Fri Feb 22 17:06:23 2008\nA: 1\n",
            &[("", "From ann@example.org Fri Feb 22 17:06:23 2008"), ("A", "1")],
        );
        check(" starts folded\r\nA: 1\r\n", &[("", "starts folded"), ("A", "1")]);
        check("A:\r\n\r\n", &[("A", "")]);
        check(": nameless\n", &[("", ": nameless")]);
    }

    #[test]
    fn folds_are_undone() {
        check("A: one\r\n two\r\n\tthree\r\n", &[("A", "one two\tthree")]);
        check("A: one\n  two\n", &[("A", "one  two")]);
        check("A: bare\rreturn and \0 nul\r\n", &[("A", "bare return and   nul")]);
        check("A:\r\n value on the next line\r\n", &[("A", "value on the next line")]);
        check("A: blank fold\r\n \r\n end\r\n", &[("A", "blank fold  end")]);
    }

    #[test]
    fn fields_are_chosen_in_any_chunks() {
        let header = b"From: a\r\nSubject: b\r\n folded\r\nno colon\r\nfrom : c\r\n\r\nbody\r\n";
        for (choice, expected) in [
            (Choice::Named, &b"From: a\r\nfrom : c\r\n\r\n"[..]),
            (Choice::Others, &b"Subject: b\r\n folded\r\nno colon\r\n\r\n"[..]),
        ] {
            for chunk in 1..header.len() {
                let mut filter = FieldFilter::new(&["FROM", "X-Other"], choice);
                let mut chosen = Vec::new();
                for octets in header.chunks(chunk) {
                    filter.feed(octets, &mut chosen);
                }
                assert!(filter.has_ended());
                filter.finish(&mut chosen);
                assert_eq!(chosen.as_slice(), expected, "chunks of {chunk}");
            }
        }
    }

    #[test]
    fn header_without_blank_line_is_chosen_from() {
        let mut chosen = Vec::new();
        choose_fields(b"From: a\r\nTo: b", &["to"], Choice::Named, &mut chosen);
        assert_eq!(chosen, b"To: b");
        chosen.clear();
        choose_fields(b" folded\r\nFrom: a\r\n", &["from"], Choice::Others, &mut chosen);
        assert_eq!(chosen, b" folded\r\n");
        chosen.clear();
        choose_fields(b"From: a\r\nTo", &["to"], Choice::Others, &mut chosen);
        assert_eq!(chosen, b"From: a\r\nTo");
    }

    #[test]
    fn overlong_names_are_no_names() {
        for octets in [FIELD_NAME_OCTETS_MAX - 2, FIELD_NAME_OCTETS_MAX - 1, FIELD_NAME_OCTETS_MAX] {
            let name = "x".repeat(octets);
            let mut chosen = Vec::new();
            choose_fields(format!("{name}: 1\r\n").as_bytes(), &[&name], Choice::Named, &mut chosen);
            assert_eq!(!chosen.is_empty(), octets < FIELD_NAME_OCTETS_MAX);
        }
    }
}

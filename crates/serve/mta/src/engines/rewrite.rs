//! A message as milters change it: its header in memory, its body in a place of its own, then both in a new one.

use mailstore::{HeldReader, Holding, Store};
use message::{Collected, HeaderCollector, decode_field_text, fields, write_text_field};

use super::engine::Failure;
use super::newlines::{Newlines, field};
use super::scan::Edits;
use crate::receive::header::HEADER_OCTETS_MAX;

/// Longest header that milters see or leave behind: what may come, and what we and they add.
const REWRITTEN_OCTETS_MAX: usize = 2 * HEADER_OCTETS_MAX;

/// A message that waits, and where its body begins.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) reader: HeldReader,
    pub(crate) body_at: u64,
}

/// A message's header, field by field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    /// Each with its line end; what is no field stands as it is.
    fields: Vec<Vec<u8>>,
    /// The blank line, if there is one.
    rest: Vec<u8>,
    octets: usize,
}

impl Held {
    /// Reads the header of a message that waits.
    pub(crate) async fn open(reader: HeldReader) -> Result<(Self, Header), Failure> {
        let mut collector = HeaderCollector::new(REWRITTEN_OCTETS_MAX);
        let mut at = 0;
        loop {
            let piece = reader.read(at..u64::MAX).await?;
            if piece.is_empty() {
                break;
            }
            match collector.feed(&piece) {
                Collected::More => at += piece.len() as u64,
                Collected::Complete { taken } => {
                    at += taken as u64;
                    break;
                }
                Collected::TooLong => return Err(Failure::TooMuch),
            }
        }
        Ok((Self { reader, body_at: at }, Header::parse(&collector.into_header())))
    }
}

impl Header {
    pub(crate) fn parse(octets: &[u8]) -> Self {
        let mut all = fields(octets);
        let fields = all.by_ref().map(|field| with_line_end(field.raw)).collect();
        Self { fields, rest: all.rest().to_vec(), octets: octets.len() }
    }

    /// The fields: names and values.
    pub(crate) fn each(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.fields.iter().filter_map(|raw| split(raw))
    }

    /// Puts a field at the end.
    pub(crate) fn add(&mut self, name: &[u8], value: &[u8]) -> Result<(), Failure> {
        self.insert(u32::MAX, name, value)
    }

    /// Puts a field before the one of this number. Milters count our own Received field as the first, which they do not
    /// see: 0 and 1 both mean the top.
    pub(crate) fn insert(&mut self, index: u32, name: &[u8], value: &[u8]) -> Result<(), Failure> {
        let index = usize::try_from(index.saturating_sub(1)).unwrap_or(usize::MAX).min(self.fields.len());
        let field = field(name, value);
        self.octets += field.len();
        self.fields.insert(index, field);
        self.check()
    }

    /// Gives the field of this number among those of this name another value, or takes it away. One that is not there is
    /// added, as Sendmail and Postfix do.
    pub(crate) fn change(&mut self, index: u32, name: &[u8], value: &[u8]) -> Result<(), Failure> {
        let nth = usize::try_from(index.saturating_sub(1)).unwrap_or(usize::MAX);
        let is_same = |raw: &Vec<u8>| split(raw).is_some_and(|(own, _)| own.eq_ignore_ascii_case(name));
        let at = self.fields.iter().enumerate().filter(|(_, raw)| is_same(raw)).map(|(at, _)| at).nth(nth);
        match (at, value.is_empty()) {
            (Some(at), true) => drop(self.fields.remove(at)),
            (Some(at), false) => {
                if let Some(own) = self.fields.get_mut(at) {
                    *own = field(name, value);
                    self.octets += own.len();
                }
            }
            (None, true) => {}
            (None, false) => return self.add(name, value),
        }
        self.check()
    }

    /// Takes fields of this name away: all by 0, else that of this number, from the end where it is below zero.
    fn remove(&mut self, name: &[u8], which: i32) {
        let is_same = |raw: &Vec<u8>| split(raw).is_some_and(|(own, _)| own.eq_ignore_ascii_case(name));
        let found: Vec<usize> =
            self.fields.iter().enumerate().filter(|(_, raw)| is_same(raw)).map(|(at, _)| at).collect();
        let nth = usize::try_from(which.unsigned_abs()).unwrap_or(usize::MAX);
        let gone = match which {
            0 => found.as_slice(),
            1.. => found.get(nth - 1..nth).unwrap_or_default(),
            _ => found.len().checked_sub(nth).and_then(|at| found.get(at..=at)).unwrap_or_default(),
        };
        for &at in gone.iter().rev() {
            self.fields.remove(at);
        }
    }

    /// Makes it as a scanner wants it.
    pub(crate) fn edit(&mut self, edits: &Edits) -> Result<(), Failure> {
        for removal in &edits.removals {
            self.remove(removal.name.as_bytes(), removal.which);
        }
        let Some(subject) = &edits.subject else { return Ok(()) };
        let mut field = Vec::new();
        // In words that are encoded already (RFC 2047), as rspamd writes them, or in any others.
        write_text_field("Subject", &decode_field_text(subject.as_bytes()), &mut field);
        let value = field.strip_prefix(b"Subject:").and_then(|value| value.strip_suffix(b"\r\n"));
        self.change(1, b"Subject", value.unwrap_or_default())
    }

    /// The header as it is stored.
    pub(crate) fn to_octets(&self) -> Vec<u8> {
        [self.fields.concat(), if self.rest.is_empty() { b"\r\n".to_vec() } else { self.rest.clone() }]
            .concat()
    }

    fn check(&self) -> Result<(), Failure> {
        if self.octets > REWRITTEN_OCTETS_MAX { Err(Failure::TooMuch) } else { Ok(()) }
    }
}

fn split(raw: &[u8]) -> Option<(&[u8], &[u8])> {
    let field = fields(raw).next()?;
    (!field.name.is_empty()).then_some((field.name, field.value))
}

fn with_line_end(raw: &[u8]) -> Vec<u8> {
    if raw.ends_with(b"\n") { raw.to_vec() } else { [raw, b"\r\n"].concat() }
}

/// Another body, as it comes.
#[derive(Debug)]
pub(crate) struct NewBody {
    holding: Holding,
    newlines: Newlines,
    octets_max: u64,
}

impl NewBody {
    pub(crate) fn new(store: &Store, octets_max: u64) -> Result<Self, Failure> {
        Ok(Self { holding: store.holding()?, newlines: Newlines::default(), octets_max })
    }

    pub(crate) async fn take(&mut self, octets: &[u8]) -> Result<(), Failure> {
        let mut text = Vec::with_capacity(octets.len());
        self.newlines.take(octets, &mut text);
        self.write(&text).await
    }

    pub(crate) async fn finish(&mut self) -> Result<HeldReader, Failure> {
        let mut text = Vec::new();
        self.newlines.finish(&mut text);
        self.write(&text).await?;
        Ok(self.holding.reader())
    }

    async fn write(&mut self, text: &[u8]) -> Result<(), Failure> {
        if self.holding.octets() + text.len() as u64 > self.octets_max {
            return Err(Failure::TooMuch);
        }
        Ok(self.holding.write(text).await?)
    }
}

/// Writes a header and a body that waits somewhere into a new place.
pub(crate) async fn write_anew(
    store: &Store,
    header: &Header,
    body: &HeldReader,
    body_at: u64,
) -> Result<Holding, Failure> {
    let mut holding = store.holding()?;
    holding.write(&header.to_octets()).await?;
    let mut at = body_at;
    loop {
        let piece = body.read(at..u64::MAX).await?;
        if piece.is_empty() {
            return Ok(holding);
        }
        at += piece.len() as u64;
        holding.write(&piece).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(header: &str, change: impl FnOnce(&mut Header)) -> String {
        let mut header = Header::parse(header.as_bytes());
        change(&mut header);
        String::from_utf8(header.to_octets()).unwrap()
    }

    const HEADER: &str = "A: 1\r\nB: 2\r\n folded\r\na: 3\r\n\r\n";

    #[test]
    fn fields_are_put_where_they_are_wanted() {
        for (index, expected) in [
            (0, "X: y\r\nA: 1\r\nB: 2\r\n folded\r\na: 3\r\n\r\n"),
            (1, "X: y\r\nA: 1\r\nB: 2\r\n folded\r\na: 3\r\n\r\n"),
            (2, "A: 1\r\nX: y\r\nB: 2\r\n folded\r\na: 3\r\n\r\n"),
            (3, "A: 1\r\nB: 2\r\n folded\r\nX: y\r\na: 3\r\n\r\n"),
            (9, "A: 1\r\nB: 2\r\n folded\r\na: 3\r\nX: y\r\n\r\n"),
        ] {
            assert_eq!(changed(HEADER, |header| header.insert(index, b"X", b" y").unwrap()), expected);
        }
        assert_eq!(changed("A: 1", |header| header.add(b"X", b" y").unwrap()), "A: 1\r\nX: y\r\n\r\n");
        assert_eq!(changed("", |header| header.add(b"X", b" y").unwrap()), "X: y\r\n\r\n");
    }

    #[test]
    fn fields_are_changed_by_name_and_number() {
        let change = |index, name: &str, value: &str| {
            changed(HEADER, |header| header.change(index, name.as_bytes(), value.as_bytes()).unwrap())
        };
        assert_eq!(change(2, "A", " new"), "A: 1\r\nB: 2\r\n folded\r\nA: new\r\n\r\n");
        assert_eq!(change(0, "A", " new"), "A: new\r\nB: 2\r\n folded\r\na: 3\r\n\r\n");
        assert_eq!(change(1, "b", ""), "A: 1\r\na: 3\r\n\r\n");
        assert_eq!(change(3, "A", ""), HEADER);
        assert_eq!(change(1, "C", " new"), "A: 1\r\nB: 2\r\n folded\r\na: 3\r\nC: new\r\n\r\n");
    }

    #[test]
    fn fields_are_taken_away_by_number_from_either_end() {
        let without =
            |which| changed("A: 1\r\nB: 2\r\na: 3\r\nA: 4\r\n\r\n", |header| header.remove(b"A", which));
        for (which, expected) in [
            (0, "B: 2\r\n\r\n"),
            (1, "B: 2\r\na: 3\r\nA: 4\r\n\r\n"),
            (3, "A: 1\r\nB: 2\r\na: 3\r\n\r\n"),
            (-1, "A: 1\r\nB: 2\r\na: 3\r\n\r\n"),
            (-3, "B: 2\r\na: 3\r\nA: 4\r\n\r\n"),
        ] {
            assert_eq!(without(which), expected, "{which}");
        }
        for which in [4, -4, i32::MAX, i32::MIN] {
            assert_eq!(without(which), "A: 1\r\nB: 2\r\na: 3\r\nA: 4\r\n\r\n", "{which}");
        }
    }

    #[test]
    fn another_subject_is_written_in_any_language() {
        let subject = |subject: &str| {
            let edits = Edits { subject: Some(subject.into()), ..Edits::default() };
            changed("subject: old\r\nTo: a\r\n\r\n", |header| header.edit(&edits).unwrap())
        };
        assert_eq!(subject("[spam] new"), "Subject: [spam] new\r\nTo: a\r\n\r\n");
        let encoded = subject("=?UTF-8?Q?=C3=9Cber?=");
        assert!(
            encoded.starts_with("Subject: =?utf-8?") && encoded.ends_with("?=\r\nTo: a\r\n\r\n"),
            "{encoded}"
        );
        assert_eq!(subject("\u{dc}ber"), encoded);
    }

    #[test]
    fn a_header_does_not_grow_for_ever() {
        let room = REWRITTEN_OCTETS_MAX - HEADER.len() - "X:\r\n".len();
        for (octets, fits) in [(room - 1, true), (room, true), (room + 1, false)] {
            let mut header = Header::parse(HEADER.as_bytes());
            assert_eq!(header.add(b"X", &vec![b'x'; octets]).is_ok(), fits);
        }
    }
}

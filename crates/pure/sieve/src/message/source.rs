//! Where a message's octets come from, and an edited message as a list of pieces: octets a script added, and ranges of the
//! original that it left alone. Nothing here holds a whole message.

use std::cell::Cell;
use std::sync::Arc;

use message::Span;

/// Longest run of octets read from a source at once.
pub const READ_OCTETS_MAX: u64 = 64 * 1024;

/// The message's octets could not be read; why, the source itself has to tell whoever needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message cannot be read")]
pub struct Unreadable;

/// A stored message that can be read in ranges.
pub trait Source {
    /// How many octets it has.
    fn octets(&self) -> u64;

    /// Reads a range that lies within the message and is no longer than [`READ_OCTETS_MAX`].
    fn read(&self, span: Span) -> Result<Vec<u8>, Unreadable>;
}

impl Source for Vec<u8> {
    fn octets(&self) -> u64 {
        self.len() as u64
    }

    fn read(&self, span: Span) -> Result<Vec<u8>, Unreadable> {
        let start = usize::try_from(span.start).map_err(|_| Unreadable)?;
        let end = usize::try_from(span.end).map_err(|_| Unreadable)?;
        self.get(start..end).map(<[u8]>::to_vec).ok_or(Unreadable)
    }
}

/// A source that knows how much was read of it.
pub(crate) struct Counted {
    source: Box<dyn Source>,
    octets_read: Cell<u64>,
}

impl Counted {
    pub(crate) fn new(source: Box<dyn Source>) -> Counted {
        Counted { source, octets_read: Cell::new(0) }
    }

    pub(crate) fn octets_read(&self) -> u64 {
        self.octets_read.get()
    }
}

impl Source for Counted {
    fn octets(&self) -> u64 {
        self.source.octets()
    }

    fn read(&self, span: Span) -> Result<Vec<u8>, Unreadable> {
        self.octets_read.set(self.octets_read.get().saturating_add(span.octets()));
        self.source.read(span)
    }
}

/// Octets of a message as a script left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Octets the script brought in.
    Literal(Arc<[u8]>),
    /// A range of the original message.
    Original(Span),
}

impl Piece {
    /// How many octets it has.
    pub fn octets(&self) -> u64 {
        match self {
            Piece::Literal(octets) => octets.len() as u64,
            Piece::Original(span) => span.octets(),
        }
    }

    /// The part of it between two of its own offsets.
    fn slice(&self, start: u64, end: u64) -> Piece {
        match self {
            Piece::Literal(octets) => {
                let range = (start as usize).min(octets.len())..(end as usize).min(octets.len());
                Piece::Literal(octets.get(range).unwrap_or_default().into())
            }
            Piece::Original(span) => Piece::Original(Span::new(span.start + start, span.start + end)),
        }
    }
}

/// A message, or a part of one, put together from pieces. Cheap to keep: an action holds the one it was taken with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edition {
    pieces: Arc<[Piece]>,
    octets: u64,
}

impl Edition {
    /// Puts pieces together; those that touch become one.
    pub(crate) fn new(pieces: impl IntoIterator<Item = Piece>) -> Edition {
        let mut joined = Joined::default();
        pieces.into_iter().for_each(|piece| joined.push(piece));
        joined.finish()
    }

    /// Its pieces in order; none of them is empty.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// How many octets it has.
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// Whether it is the original of that many octets, untouched.
    pub fn is_original(&self, original_octets: u64) -> bool {
        self.octets == original_octets
            && match &*self.pieces {
                [] => true,
                [Piece::Original(span)] => span.start == 0 && span.end == original_octets,
                _ => false,
            }
    }

    /// Reads a range of it; what lies behind its end is left out.
    pub fn read(&self, source: &dyn Source, span: Span) -> Result<Vec<u8>, Unreadable> {
        let mut octets = Vec::new();
        for piece in self.slice(span) {
            match piece {
                Piece::Literal(literal) => octets.extend_from_slice(&literal),
                Piece::Original(span) => {
                    let mut start = span.start;
                    while start < span.end {
                        let end = span.end.min(start + READ_OCTETS_MAX);
                        octets.extend(source.read(Span::new(start, end))?);
                        start = end;
                    }
                }
            }
        }
        Ok(octets)
    }

    /// Reads it from an offset on in runs of bounded length, until `visit` has enough.
    pub fn visit(
        &self,
        source: &dyn Source,
        span: Span,
        mut visit: impl FnMut(&[u8]) -> bool,
    ) -> Result<(), Unreadable> {
        let mut start = span.start;
        let span_end = span.end.min(self.octets);
        while start < span_end {
            let end = span_end.min(start + READ_OCTETS_MAX);
            if !visit(&self.read(source, Span::new(start, end))?) {
                return Ok(());
            }
            start = end;
        }
        Ok(())
    }

    /// The pieces between two offsets.
    pub(crate) fn slice(&self, span: Span) -> Vec<Piece> {
        let mut slices = Vec::new();
        let mut offset = 0;
        for piece in self.pieces.iter() {
            let end = offset + piece.octets();
            if span.start < end && offset < span.end {
                slices.push(piece.slice(span.start.saturating_sub(offset), span.end.min(end) - offset));
            }
            offset = end;
        }
        slices
    }
}

#[derive(Default)]
struct Joined {
    pieces: Vec<Piece>,
    /// Literal octets that more may join.
    literal: Vec<u8>,
    octets: u64,
}

impl Joined {
    fn push(&mut self, piece: Piece) {
        self.octets += piece.octets();
        match piece {
            Piece::Literal(octets) => self.literal.extend_from_slice(&octets),
            Piece::Original(span) if span.is_empty() => {}
            Piece::Original(span) => {
                self.end_literal();
                match self.pieces.last_mut() {
                    Some(Piece::Original(before)) if before.end == span.start => before.end = span.end,
                    _ => self.pieces.push(Piece::Original(span)),
                }
            }
        }
    }

    fn end_literal(&mut self) {
        if !self.literal.is_empty() {
            self.pieces.push(Piece::Literal(std::mem::take(&mut self.literal).into()));
        }
    }

    fn finish(mut self) -> Edition {
        self.end_literal();
        Edition { pieces: self.pieces.into(), octets: self.octets }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(text: &str) -> Piece {
        Piece::Literal(text.as_bytes().into())
    }

    fn read(edition: &Edition, start: u64, end: u64) -> String {
        let source = b"0123456789".to_vec();
        String::from_utf8(edition.read(&source, Span::new(start, end)).expect("readable")).expect("text")
    }

    #[test]
    fn pieces_that_touch_become_one() {
        let original = |start, end| Piece::Original(Span::new(start, end));
        let edition =
            Edition::new([original(0, 2), original(2, 2), original(2, 5), literal("a"), literal("b")]);
        assert_eq!(edition.pieces(), [original(0, 5), literal("ab")]);
        assert!(Edition::new([original(0, 4), original(4, 10)]).is_original(10));
        assert!(!edition.is_original(7));
        assert!(Edition::new([]).is_original(0));
        assert!(!Edition::new([]).is_original(1));
    }

    #[test]
    fn ranges_cross_pieces() {
        let pieces = [literal("ab"), Piece::Original(Span::new(3, 6)), literal("cd")];
        let edition = Edition::new(pieces);
        assert_eq!(edition.octets(), 7);
        assert_eq!(read(&edition, 0, 7), "ab345cd");
        assert_eq!(read(&edition, 1, 4), "b34");
        assert_eq!(read(&edition, 4, 6), "5c");
        assert_eq!(read(&edition, 6, 100), "d");
        assert_eq!(read(&edition, 7, 100), "");
        assert_eq!(read(&edition, 3, 3), "");
    }

    #[test]
    fn a_source_that_ends_early_is_unreadable() {
        let edition = Edition::new([Piece::Original(Span::new(0, 11))]);
        assert_eq!(edition.read(&b"0123456789".to_vec(), Span::new(0, 11)), Err(Unreadable));
    }

    #[test]
    fn long_pieces_are_read_in_runs() {
        struct Counted(std::cell::Cell<u64>);
        impl Source for Counted {
            fn octets(&self) -> u64 {
                u64::MAX
            }
            fn read(&self, span: Span) -> Result<Vec<u8>, Unreadable> {
                assert!(span.octets() <= READ_OCTETS_MAX);
                self.0.set(self.0.get() + 1);
                Ok(vec![b'x'; span.octets() as usize])
            }
        }
        for (octets, runs) in [(READ_OCTETS_MAX - 1, 1), (READ_OCTETS_MAX, 1), (READ_OCTETS_MAX + 1, 2)] {
            let source = Counted(std::cell::Cell::new(0));
            let edition = Edition::new([Piece::Original(Span::new(0, octets))]);
            let mut seen = 0;
            let visited = edition.visit(&source, Span::new(0, octets), |run| {
                seen += run.len() as u64;
                true
            });
            assert_eq!((visited, seen, source.0.get()), (Ok(()), octets, runs));
        }
    }
}

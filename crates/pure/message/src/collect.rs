//! Takes the header off a message that is still arriving, so that it can be looked at and changed before it is stored while the
//! body streams on (RFC 6409 §8: Date, Message-ID, Bcc).

use memchr::memchr;

use crate::header::blank_line_octets;

/// Collects a header, its blank line included, up to a bound.
#[derive(Clone, Debug)]
pub struct HeaderCollector {
    header: Vec<u8>,
    line_start: usize,
    octets_max: usize,
    is_complete: bool,
}

/// How collecting went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collected {
    /// All octets belong to the header, and there is more to come.
    More,
    /// The blank line was seen; so many of the given octets belong to the header, the others to the body.
    Complete {
        /// Octets taken.
        taken: usize,
    },
    /// The header is longer than the bound: nothing of these octets was taken.
    TooLong,
}

impl HeaderCollector {
    /// A collector at the first octet of a message.
    pub fn new(octets_max: usize) -> HeaderCollector {
        HeaderCollector { header: Vec::new(), line_start: 0, octets_max, is_complete: false }
    }

    /// Takes the next octets.
    pub fn feed(&mut self, octets: &[u8]) -> Collected {
        if self.is_complete {
            return Collected::Complete { taken: 0 };
        }
        let before = (self.header.len(), self.line_start);
        let mut taken = 0;
        while let Some(line_feed) = memchr(b'\n', octets.get(taken..).unwrap_or_default()) {
            let end = taken + line_feed + 1;
            self.header.extend_from_slice(octets.get(taken..end).unwrap_or_default());
            taken = end;
            if self.header.len() > self.octets_max {
                break;
            }
            let line = self.header.get(self.line_start..).unwrap_or_default();
            if blank_line_octets(line) == Some(line.len()) {
                self.is_complete = true;
                return Collected::Complete { taken };
            }
            self.line_start = self.header.len();
        }
        let rest = octets.get(taken..).unwrap_or_default();
        if self.header.len().saturating_add(rest.len()) > self.octets_max {
            self.header.truncate(before.0);
            self.line_start = before.1;
            return Collected::TooLong;
        }
        self.header.extend_from_slice(rest);
        Collected::More
    }

    /// What was collected; without a blank line if none was seen.
    pub fn into_header(self) -> Vec<u8> {
        self.header
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_taken_off_in_any_chunks() {
        for message in ["A: b\r\nC: d\r\n\r\nbody\r\n", "A: b\n\nbody", "\nbody", "\r\n"] {
            let header_octets =
                message.find("\r\n\r\n").map(|at| at + 4).or(message.find("\n\n").map(|at| at + 2));
            let header_octets = header_octets.unwrap_or_else(|| message.find('\n').map_or(0, |at| at + 1));
            for chunk in 1..=message.len() {
                let mut collector = HeaderCollector::new(100);
                let mut fed = 0;
                for octets in message.as_bytes().chunks(chunk) {
                    match collector.feed(octets) {
                        Collected::More => fed += octets.len(),
                        Collected::Complete { taken } => fed += taken,
                        Collected::TooLong => panic!("not too long"),
                    }
                }
                assert_eq!(fed, header_octets, "{message} in chunks of {chunk}");
                assert_eq!(collector.into_header(), &message.as_bytes()[..header_octets]);
            }
        }
    }

    #[test]
    fn headers_are_bounded() {
        let message = b"A: b\r\n\r\nbody";
        for (octets_max, expected) in [
            (7, Collected::TooLong),
            (8, Collected::Complete { taken: 8 }),
            (9, Collected::Complete { taken: 8 }),
        ] {
            assert_eq!(HeaderCollector::new(octets_max).feed(message), expected);
        }
        for (octets_max, expected) in [(9, Collected::TooLong), (10, Collected::More)] {
            assert_eq!(HeaderCollector::new(octets_max).feed(b"A: b\r\nC: d"), expected);
        }
        let mut collector = HeaderCollector::new(6);
        assert_eq!(collector.feed(b"A: b"), Collected::More);
        assert_eq!(collector.feed(b"\r\nC"), Collected::TooLong);
        assert_eq!(collector.into_header(), b"A: b");
    }
}

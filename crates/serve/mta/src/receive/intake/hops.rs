//! Loop detection: counts the Received fields of a header while it passes (RFC 5321 §6.3).

/// Counts the servers a message has passed.
pub(crate) struct Hops {
    counted: u32,
    most: u32,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// So many octets of the field's name match from the start of the line.
    Name(usize),
    /// In a line that is of no interest from here on.
    Line,
    /// After a CR at the start of a line: the header may end here.
    EmptyLine,
    /// The header has ended.
    Over,
}

const NAME: &[u8] = b"received:";

impl Hops {
    /// A counter for a message that may have passed so many servers.
    pub(crate) fn new(received_max: u32) -> Self {
        Self { counted: 0, most: received_max, state: State::Name(0) }
    }

    /// Looks at the next octets of the message.
    pub(crate) fn look(&mut self, mut octets: &[u8]) {
        while let Some((&first, rest)) = octets.split_first() {
            octets = rest;
            self.state = match (self.state, first) {
                (State::Over, _) => return,
                (State::Name(0) | State::EmptyLine, b'\n') => State::Over,
                (State::Name(_) | State::Line, b'\n') => State::Name(0),
                (State::Name(0), b'\r') => State::EmptyLine,
                (State::Name(matched), octet) if NAME.get(matched) == Some(&octet.to_ascii_lowercase()) => {
                    self.after_match(matched + 1)
                }
                (State::Name(_) | State::EmptyLine | State::Line, _) => {
                    let end = memchr::memchr(b'\n', octets).unwrap_or(octets.len());
                    octets = octets.get(end..).unwrap_or_default();
                    State::Line
                }
            };
        }
    }

    fn after_match(&mut self, matched: usize) -> State {
        if matched < NAME.len() {
            return State::Name(matched);
        }
        self.counted = self.counted.saturating_add(1);
        State::Line
    }

    /// Whether the message goes round in a circle.
    pub(crate) fn are_too_many(&self) -> bool {
        self.counted > self.most
    }

    /// Whether the header has ended.
    pub(crate) fn are_counted(&self) -> bool {
        self.state == State::Over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(message: &str, chunk: usize) -> (u32, bool) {
        let mut hops = Hops::new(2);
        for piece in message.as_bytes().chunks(chunk) {
            hops.look(piece);
        }
        (hops.counted, hops.are_counted())
    }

    #[test]
    fn only_fields_of_the_header_count() {
        for (message, expected) in [
            ("Received: a\r\nRECEIVED: b\r\n\tReceived: folded\r\n\r\nReceived: body\r\n", (2, true)),
            ("X-Received: a\r\nReceived-SPF: pass\r\nReceive: x\r\n\r\n", (0, true)),
            ("Received: a\r\nSubject: no end", (1, false)),
            ("\r\nReceived: body\r\n", (0, true)),
            ("received: a\n\nreceived: body\n", (1, true)),
            ("\rReceived: a\r\n\r\n", (0, true)),
            ("", (0, false)),
        ] {
            for chunk in [1, 2, 3, 7, 1_000] {
                assert_eq!(count(message, chunk), expected, "{message:?} by {chunk}");
            }
        }
    }

    #[test]
    fn one_more_than_the_most_is_a_loop() {
        let mut hops = Hops::new(2);
        hops.look(b"Received: a\r\nReceived: b\r\n");
        assert!(!hops.are_too_many());
        hops.look(b"Received: c\r\n");
        assert!(hops.are_too_many());
    }
}

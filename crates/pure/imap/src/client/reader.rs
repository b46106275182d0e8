//! A server's responses out of the octets as they arrive: lines, and the literals within them.

use memchr::memchr;

use super::response::Response;
use crate::framing;

/// How much a server may send before it is not believed any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClientLimits {
    /// Most octets of one response, literals included: a whole message may be in it.
    pub response_octets_max: usize,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self { response_octets_max: 134_217_728 }
    }
}

/// Why a server's octets are no responses. The connection is of no use any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReadError {
    /// A response is longer than allowed.
    #[error("the server's response is too long")]
    TooLong,
    /// A response that cannot be read.
    #[error("the server's response cannot be read")]
    Malformed,
}

/// The receiving half of a client.
#[derive(Debug)]
pub struct ResponseReader {
    limits: ClientLimits,
    gathered: Vec<u8>,
    line_start: usize,
    literal_octets_left: usize,
}

impl ResponseReader {
    /// Starts to read.
    #[must_use]
    pub fn new(limits: ClientLimits) -> Self {
        Self { limits, gathered: Vec::new(), line_start: 0, literal_octets_left: 0 }
    }

    /// Takes octets from the front of `input` until a response is complete; `None` when more octets are needed.
    ///
    /// # Errors
    /// [`ReadError`] when the server cannot be followed.
    pub fn receive(&mut self, input: &mut &[u8]) -> Result<Option<Response>, ReadError> {
        while !input.is_empty() {
            if self.literal_octets_left > 0 {
                let octets = self.literal_octets_left.min(input.len());
                self.gather(input, octets)?;
                self.literal_octets_left -= octets;
                self.line_start = self.gathered.len();
                continue;
            }
            let Some(end) = memchr(b'\n', input) else {
                self.gather(input, input.len())?;
                return Ok(None);
            };
            self.gather(input, end + 1)?;
            if let Some(response) = self.end_of_line()? {
                return Ok(Some(response));
            }
        }
        Ok(None)
    }

    fn gather(&mut self, input: &mut &[u8], octets: usize) -> Result<(), ReadError> {
        let (piece, rest) = input.split_at_checked(octets).unwrap_or((input, &[]));
        if self.gathered.len() + piece.len() > self.limits.response_octets_max {
            return Err(ReadError::TooLong);
        }
        self.gathered.extend_from_slice(piece);
        *input = rest;
        Ok(())
    }

    /// At a line's end: a literal follows, or the response is complete.
    fn end_of_line(&mut self) -> Result<Option<Response>, ReadError> {
        let line = framing::without_line_end(self.gathered.get(self.line_start..).unwrap_or_default());
        let line_end = self.line_start + line.len();
        let is_text = is_status_text(&self.gathered, self.line_start);
        if let Some(announcement) = framing::announcement(line, self.line_start).filter(|_| !is_text) {
            self.literal_octets_left =
                usize::try_from(announcement.octets).map_err(|_| ReadError::TooLong)?;
            self.gathered.truncate(line_end);
            self.gathered.extend_from_slice(b"\r\n");
            self.line_start = self.gathered.len();
            return Ok(None);
        }
        self.gathered.truncate(line_end);
        let response = Response::parse(&self.gathered).ok_or(ReadError::Malformed);
        self.gathered.clear();
        self.line_start = 0;
        response.map(Some)
    }
}

/// Whether the line is text for people, which may end as an announcement does: `* OK a set is written {1}`.
fn is_status_text(gathered: &[u8], line_start: usize) -> bool {
    let mut words = gathered.splitn(3, |&octet| octet == b' ');
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let is_condition =
        ["OK", "NO", "BAD", "BYE", "PREAUTH"].iter().any(|word| second.eq_ignore_ascii_case(word.as_bytes()));
    line_start == 0 && (first == b"+" || is_condition)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESPONSES: &[u8] = b"* OK [CAPABILITY IMAP4rev1] hi {3}\r\n* 1 FETCH (BODY[] {4}\r\n\r\n)( UID 2)\r\n+ go on\r\nA1 OK done\r\n";

    fn read(pieces: &[&[u8]]) -> Vec<Response> {
        let mut reader = ResponseReader::new(ClientLimits::default());
        let mut responses = Vec::new();
        for piece in pieces {
            let mut input = *piece;
            while let Some(response) = reader.receive(&mut input).unwrap() {
                responses.push(response);
            }
        }
        responses
    }

    #[test]
    fn responses_are_the_same_however_they_arrive() {
        let whole = read(&[RESPONSES]);
        assert_eq!(whole.len(), 4);
        assert_eq!(whole[1].item("BODY[]").unwrap().as_octets().unwrap(), b"\r\n)(");
        for size in 1..20 {
            assert_eq!(read(&RESPONSES.chunks(size).collect::<Vec<_>>()), whole, "pieces of {size}");
        }
    }

    #[test]
    fn long_responses_are_refused() {
        let mut reader = ResponseReader::new(ClientLimits { response_octets_max: 9 });
        assert!(reader.receive(&mut &b"* A BCD\r\n"[..]).unwrap().is_some());
        assert_eq!(reader.receive(&mut &b"* A BCDE\r\n"[..]), Err(ReadError::TooLong));
    }
}

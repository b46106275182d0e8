//! A message's octets on their way into DATA: dots stuffed, lone CR and LF made CRLF (RFC 5321 §4.5.2, §2.3.8).
//!
//! A dot is doubled at the start of each line as *anyone* may see lines. Were a dot after a lone CR or LF left as it
//! is, a lax receiver could take it for the end of the message and the rest for commands.

/// Writes one message. Chunks may be cut anywhere.
#[derive(Debug, Default)]
pub struct DataWriter {
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Place {
    #[default]
    LineStart,
    Within,
    /// A CR is held back until it is known what follows.
    AfterCr,
}

impl DataWriter {
    /// Writes a piece of the message.
    pub fn write(&mut self, mut octets: &[u8], out: &mut Vec<u8>) {
        while let Some((&first, rest)) = octets.split_first() {
            match (self.place, first) {
                (Place::AfterCr, b'\n') => {
                    self.end_line(out);
                    octets = rest;
                }
                (Place::AfterCr, _) => self.end_line(out),
                (_, b'\r') => {
                    self.place = Place::AfterCr;
                    octets = rest;
                }
                (_, b'\n') => {
                    self.end_line(out);
                    octets = rest;
                }
                (place, _) => {
                    if place == Place::LineStart && first == b'.' {
                        out.push(b'.');
                    }
                    let run = memchr::memchr2(b'\r', b'\n', octets).unwrap_or(octets.len());
                    let (text, rest) = octets.split_at(run);
                    out.extend_from_slice(text);
                    self.place = Place::Within;
                    octets = rest;
                }
            }
        }
    }

    /// Ends the message: its last line and the dot.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        if self.place != Place::LineStart {
            self.end_line(out);
        }
        out.extend_from_slice(b".\r\n");
    }

    fn end_line(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\r\n");
        self.place = Place::LineStart;
    }
}

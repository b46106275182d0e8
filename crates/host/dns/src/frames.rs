//! How large an answer may be, judged by its first octets, before anything is made of it (RFC 1035 §4.1.1, §4.2.2).
//!
//! The library keeps whole messages in its caches, counted and not measured: this bound makes the count a measure.

use std::io;

/// Octets of one answer over TCP. What mail needs fits ten times over; 64 KiB would be 4000 records.
pub(crate) const RESPONSE_OCTETS_MAX: usize = 16 * 1024;
/// Records in all sections of one answer.
pub(crate) const RESPONSE_RECORDS_MAX: usize = 256;

/// Octets of a message's header.
const HEADER_OCTETS: usize = 12;
/// Octets of the length before each message on a stream.
const LENGTH_OCTETS: usize = 2;

/// Refuses a message whose header promises too many records. A message without a whole header is left to the parser.
pub(crate) fn check_counts(message: &[u8]) -> io::Result<()> {
    let Some(header) = message.first_chunk::<HEADER_OCTETS>() else { return Ok(()) };
    let [_, _, _, _, _, _, a, b, c, d, e, f] = *header;
    let records: usize =
        [[a, b], [c, d], [e, f]].into_iter().map(|count| usize::from(u16::from_be_bytes(count))).sum();
    if records > RESPONSE_RECORDS_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "an answer of too many records"));
    }
    Ok(())
}

/// Follows the messages on a stream, in whatever pieces they come.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frames {
    /// The length and the header of the message that comes, as far as they have come.
    head: Vec<u8>,
    /// Octets of the message that are still to come after its head.
    body: usize,
}

impl Frames {
    /// Takes the next octets.
    ///
    /// # Errors
    /// When a message is larger than [`RESPONSE_OCTETS_MAX`] or promises more than [`RESPONSE_RECORDS_MAX`] records.
    pub(crate) fn pass(&mut self, mut octets: &[u8]) -> io::Result<()> {
        while let [first, rest @ ..] = octets {
            if self.body > 0 {
                let passed = self.body.min(octets.len());
                self.body -= passed;
                octets = &octets[passed..];
                continue;
            }
            self.head.push(*first);
            octets = rest;
            let Some((length, header)) = self.head.split_first_chunk::<LENGTH_OCTETS>() else { continue };
            let length = usize::from(u16::from_be_bytes(*length));
            if length > RESPONSE_OCTETS_MAX {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "an answer of too many octets"));
            }
            if header.len() == length.min(HEADER_OCTETS) {
                check_counts(header)?;
                self.body = length - header.len();
                self.head.clear();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(octets: usize, records: [u16; 3]) -> Vec<u8> {
        let mut message = vec![0; octets];
        for (at, count) in records.into_iter().enumerate() {
            message[6 + 2 * at..8 + 2 * at].copy_from_slice(&count.to_be_bytes());
        }
        message
    }

    fn framed(message: &[u8]) -> Vec<u8> {
        let mut framed = u16::try_from(message.len()).unwrap().to_be_bytes().to_vec();
        framed.extend_from_slice(message);
        framed
    }

    fn pass(stream: &[u8], piece: usize) -> io::Result<()> {
        let mut frames = Frames::default();
        stream.chunks(piece).try_for_each(|piece| frames.pass(piece))
    }

    #[test]
    fn records_are_bounded_over_all_sections() {
        for (counts, fits) in [([255, 0, 0], true), ([200, 50, 6], true), ([200, 50, 7], false)] {
            let message = message(100, counts);
            assert_eq!(check_counts(&message).is_ok(), fits);
            for piece in [1, 7, 1000] {
                assert_eq!(pass(&framed(&message), piece).is_ok(), fits, "{counts:?} by {piece}");
            }
        }
        assert!(check_counts(&[0xff; HEADER_OCTETS - 1]).is_ok());
    }

    #[test]
    fn octets_are_bounded_for_each_message() {
        for (octets, fits) in
            [(RESPONSE_OCTETS_MAX - 1, true), (RESPONSE_OCTETS_MAX, true), (RESPONSE_OCTETS_MAX + 1, false)]
        {
            let mut stream = framed(&message(40, [1, 0, 0]));
            stream.extend(framed(&[]));
            stream.extend(framed(&[1, 2, 3]));
            stream.extend(framed(&message(octets, [1, 1, 1])));
            for piece in [1, 13, 4096] {
                assert_eq!(pass(&stream, piece).is_ok(), fits, "{octets} by {piece}");
            }
        }
    }

    #[test]
    fn a_later_message_is_judged_like_the_first() {
        let mut stream = framed(&message(500, [1, 0, 0]));
        stream.extend(framed(&message(500, [257, 0, 0])));
        assert!(pass(&stream, 3).is_err());
    }
}

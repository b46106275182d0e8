//! clamd's protocol: a message in pieces, an answer that ends with NUL.

use crate::Nonsense;

/// Longest answer; names of signatures have some dozens of octets.
pub const ANSWER_OCTETS_MAX: usize = 4_096;
/// Longest name of a signature that is kept.
const NAME_OCTETS_MAX: usize = 200;

/// Asks whether it is there.
pub const PING: &[u8] = b"zPING\0";
/// Asks for the version of its program and of its signatures.
pub const VERSION: &[u8] = b"zVERSION\0";
/// What goes in front of a message's pieces.
pub const BEGIN: &[u8] = b"zINSTREAM\0";
/// What follows a message's last piece.
pub const END: [u8; 4] = [0; 4];

/// Writes a piece of a message.
pub fn write_piece(octets: &[u8], out: &mut Vec<u8>) {
    // An empty one would end the message, one beyond 4 GiB is in nobody's memory.
    if let Ok(length) = u32::try_from(octets.len())
        && length > 0
    {
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(octets);
    }
}

/// What clamd said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It found nothing.
    Clean,
    /// It found this.
    Found(String),
    /// The message is larger than it takes (`StreamMaxLength`).
    TooLarge,
    /// It could not look.
    Failed(String),
    /// It is there.
    Pong,
    /// The versions of its program and signatures.
    Version(String),
}

/// Takes octets of one answer as they come.
#[derive(Debug, Default)]
pub struct AnswerReader {
    octets: Vec<u8>,
}

impl AnswerReader {
    /// Takes what came; the answer, when it is whole.
    ///
    /// # Errors
    /// [`Nonsense`].
    pub fn take(&mut self, input: &[u8]) -> Result<Option<Answer>, Nonsense> {
        let end = input.iter().position(|&octet| octet == 0);
        let piece = input.get(..end.unwrap_or(input.len())).unwrap_or_default();
        if self.octets.len() + piece.len() > ANSWER_OCTETS_MAX {
            return Err(Nonsense::TooLong);
        }
        self.octets.extend_from_slice(piece);
        end.map(|_| read(&self.octets)).transpose()
    }
}

fn read(octets: &[u8]) -> Result<Answer, Nonsense> {
    let text = std::str::from_utf8(octets).map_err(|_| Nonsense::Malformed)?.trim();
    if text == "PONG" {
        return Ok(Answer::Pong);
    }
    if text.starts_with("ClamAV ") {
        return Ok(Answer::Version(text.to_owned()));
    }
    if let Some(error) = text.strip_suffix(" ERROR") {
        let is_size = error.contains("size limit exceeded");
        return Ok(if is_size { Answer::TooLarge } else { Answer::Failed(error.to_owned()) });
    }
    let (_, result) = text.split_once(": ").ok_or(Nonsense::Malformed)?;
    match result.strip_suffix(" FOUND") {
        Some(name) => Ok(Answer::Found(name.chars().take(NAME_OCTETS_MAX).collect())),
        None if result == "OK" => Ok(Answer::Clean),
        None => Err(Nonsense::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(wire: &[u8]) -> Result<Option<Answer>, Nonsense> {
        AnswerReader::default().take(wire)
    }

    #[test]
    fn answers_are_read() {
        for (wire, expected) in [
            (&b"stream: OK\0"[..], Answer::Clean),
            (b"stream: Eicar-Test-Signature FOUND\0", Answer::Found("Eicar-Test-Signature".into())),
            (b"INSTREAM size limit exceeded. ERROR\0", Answer::TooLarge),
            (
                b"stream: Can't allocate memory ERROR\0",
                Answer::Failed("stream: Can't allocate memory".into()),
            ),
            (b"PONG\0", Answer::Pong),
            (b"ClamAV 1.4.3/27/now\0", Answer::Version("ClamAV 1.4.3/27/now".into())),
        ] {
            assert_eq!(answer(wire), Ok(Some(expected)));
        }
        for nonsense in [&b"\0"[..], b"OK\0", b"stream: FINE\0", b"\xff\0", b"HTTP/1.1 400 Bad\0"] {
            assert_eq!(answer(nonsense), Err(Nonsense::Malformed), "{nonsense:?}");
        }
        assert_eq!(answer(b"stream: OK"), Ok(None));
    }

    #[test]
    fn an_answer_has_a_bound() {
        let take = |octets| AnswerReader::default().take(&vec![b'x'; octets]);
        assert_eq!((take(ANSWER_OCTETS_MAX - 1), take(ANSWER_OCTETS_MAX)), (Ok(None), Ok(None)));
        assert_eq!(take(ANSWER_OCTETS_MAX + 1), Err(Nonsense::TooLong));
    }

    #[test]
    fn no_piece_ends_the_message() {
        let mut out = Vec::new();
        write_piece(b"", &mut out);
        write_piece(b"abc", &mut out);
        assert_eq!(out, b"\0\0\0\x03abc");
    }
}

//! SASL messages on the lines of SMTP, IMAP and POP3: base64 both ways, `=` for an empty initial response, `*` to give
//! up (RFC 4954 §4, RFC 9051 §6.2.2, RFC 5034 §4).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::error::AuthenticationError;

/// Longest line of an exchange, without CRLF (RFC 4954 §4).
pub const LINE_OCTETS_MAX: usize = 12_288;

/// Where a client's message stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Response {
    /// Behind the mechanism's name in the AUTH command.
    Initial,
    /// On a line of its own, after a challenge.
    Following,
}

/// Reads a client's message.
///
/// # Errors
/// Cancelled for `*`; Malformed for a line that is too long or not base64.
pub fn read_line(line: &[u8], place: Response) -> Result<Vec<u8>, AuthenticationError> {
    match (line, place) {
        (b"=", Response::Initial) => Ok(Vec::new()),
        (b"*", Response::Following) => Err(AuthenticationError::Cancelled),
        _ if line.len() > LINE_OCTETS_MAX => Err(AuthenticationError::Malformed),
        _ => STANDARD.decode(line).map_err(|_| AuthenticationError::Malformed),
    }
}

/// Writes a challenge, without the `334 ` or `+ ` before it.
#[must_use]
pub fn challenge_line(challenge: &[u8]) -> String {
    STANDARD.encode(challenge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_and_cancelled_are_told_apart_by_place() {
        assert_eq!(read_line(b"=", Response::Initial), Ok(Vec::new()));
        assert_eq!(read_line(b"=", Response::Following), Err(AuthenticationError::Malformed));
        assert_eq!(read_line(b"", Response::Following), Ok(Vec::new()));
        assert_eq!(read_line(b"*", Response::Following), Err(AuthenticationError::Cancelled));
        assert_eq!(read_line(b"*", Response::Initial), Err(AuthenticationError::Malformed));
    }

    #[test]
    fn only_strict_base64_is_read() {
        assert_eq!(read_line(b"AGFubg==", Response::Following), Ok(b"\0ann".to_vec()));
        assert_eq!(challenge_line(b"\0ann"), "AGFubg==");
        for bad in [&b"AGFubg"[..], b"AGFu\tbg==", b"AGFubg== ", b"\xff", b"AGFubh=="] {
            assert_eq!(read_line(bad, Response::Following), Err(AuthenticationError::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn lines_are_bounded() {
        assert!(read_line(&[b'A'; LINE_OCTETS_MAX - 4], Response::Following).is_ok());
        assert!(read_line(&[b'A'; LINE_OCTETS_MAX], Response::Following).is_ok());
        let above = read_line(&[b'A'; LINE_OCTETS_MAX + 4], Response::Following);
        assert_eq!(above, Err(AuthenticationError::Malformed));
    }
}

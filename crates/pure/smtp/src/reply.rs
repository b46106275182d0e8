//! Replies: written by the server, read by the client (RFC 5321 §4.2; enhanced status codes RFC 2034).
//!
//! Step 10 of a message's way in; on the way out, the words of the remote host that decide a delivery.

use std::borrow::Cow;

use mail_types::{EnhancedCode, ReplyCode, Severity, Verdict};

/// Longest reply line we write, CRLF included (RFC 5321 §4.5.3.1.5).
pub const REPLY_LINE_OCTETS_MAX: usize = 512;
/// Longest reply line we read, CRLF included. Four times what RFC 5321 §4.5.3.1.5 allows: real hosts write essays.
pub const REPLY_LINE_READ_OCTETS_MAX: usize = 2_048;
/// Most lines of one reply we read. The longest real ones, EHLO replies, have about 25.
pub const REPLY_LINES_MAX: usize = 128;

/// Code, hyphen or space, `5.999.999 ` and CRLF around the text of a line.
const LINE_FRAME_OCTETS: usize = 4 + 10 + 2;
const TEXT_OCTETS_MAX: usize = REPLY_LINE_OCTETS_MAX - LINE_FRAME_OCTETS;

/// One reply: code, enhanced status code where one belongs, and text whose lines are parted by `\n`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// The three digits.
    pub code: ReplyCode,
    /// The enhanced status code; none in greetings, in replies to EHLO and in 3yz (RFC 2034 §4).
    pub enhanced: Option<EnhancedCode>,
    /// What people read.
    pub text: Cow<'static, str>,
}

impl Reply {
    /// A fixed sentence with its codes.
    ///
    /// # Panics
    /// At compile time, when used in a `const` with a code outside 200–599.
    #[must_use]
    pub const fn fixed(code: u16, enhanced: (u8, u16, u16), text: &'static str) -> Self {
        Self {
            code: ReplyCode::new(code),
            enhanced: Some(EnhancedCode::new(enhanced.0, enhanced.1, enhanced.2)),
            text: Cow::Borrowed(text),
        }
    }

    /// A fixed sentence without enhanced code: greeting, EHLO, 3yz.
    ///
    /// # Panics
    /// At compile time, when used in a `const` with a code outside 200–599.
    #[must_use]
    pub const fn plain(code: u16, text: &'static str) -> Self {
        Self { code: ReplyCode::new(code), enhanced: None, text: Cow::Borrowed(text) }
    }

    /// The same codes with another text.
    #[must_use]
    pub fn with_text(self, text: String) -> Self {
        Self { text: Cow::Owned(text), ..self }
    }

    /// What the reply asks of the peer.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        self.code.severity()
    }

    /// What the reply decides about the recipient it was said of.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        self.code.verdict()
    }

    /// The enhanced status code: the one it came with, else what the three digits say for certain.
    #[must_use]
    pub fn status(&self) -> EnhancedCode {
        self.enhanced.unwrap_or(EnhancedCode::of_reply(self.code))
    }

    /// Writes the reply, one wire line for each line of text, long lines parted.
    ///
    /// Whatever the text holds, no octet of it can end a line or leave ASCII: such octets become `?`.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        let mut lines = self.text.split('\n').flat_map(parted).peekable();
        while let Some(line) = lines.next() {
            let separator = if lines.peek().is_some() { b'-' } else { b' ' };
            self.write_line(separator, line, out);
        }
    }

    fn write_line(&self, separator: u8, line: &str, out: &mut Vec<u8>) {
        write_code(self.code, out);
        out.push(separator);
        if let Some(enhanced) = self.enhanced {
            out.extend_from_slice(enhanced.to_string().as_bytes());
            out.push(b' ');
        }
        out.extend(
            line.chars()
                .map(|char| if (' '..='~').contains(&char) || char == '\t' { char as u8 } else { b'?' }),
        );
        out.extend_from_slice(b"\r\n");
    }
}

/// The three digits, without the formatting machinery: every reply passes here.
fn write_code(code: ReplyCode, out: &mut Vec<u8>) {
    let value = code.value();
    for digit in [value / 100, value / 10 % 10, value % 10] {
        out.push(b'0' + u8::try_from(digit).unwrap_or(0));
    }
}

/// The pieces of one line of text that fit into reply lines.
fn parted(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let text = rest?;
        let mut end = text.len().min(TEXT_OCTETS_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let (piece, remaining) = text.split_at(end);
        rest = (!remaining.is_empty()).then_some(remaining);
        Some(piece)
    })
}

/// Why what the peer sent is no reply. The connection cannot go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReplyError {
    /// A line that does not begin with three digits and a space, a hyphen or its end.
    #[error("a reply line begins with three digits from 200 to 599")]
    Malformed,
    /// The lines of one reply have different codes (RFC 5321 §4.2.1).
    #[error("the lines of one reply have different codes")]
    CodesDiffer,
    /// Longer lines or more of them than anyone needs.
    #[error("the reply is longer than any that makes sense")]
    TooLong,
}

/// Puts replies together from octets as they arrive.
#[derive(Debug, Default)]
pub struct ReplyReader {
    line: Vec<u8>,
    lines: usize,
    code: Option<ReplyCode>,
    text: String,
    enhanced: Option<EnhancedCode>,
}

impl ReplyReader {
    /// Takes octets from the front of `input`, up to the end of one reply; the number says how many it took.
    ///
    /// # Errors
    /// [`ReplyError`] when the peer does not speak SMTP; the connection is then of no further use.
    pub fn next(&mut self, input: &[u8]) -> Result<(usize, Option<Reply>), ReplyError> {
        let mut taken = 0;
        while let Some(rest) = input.get(taken..).filter(|rest| !rest.is_empty()) {
            let end = memchr::memchr(b'\n', rest);
            let piece = rest.get(..end.map_or(rest.len(), |at| at + 1)).unwrap_or(rest);
            if self.line.len() + piece.len() > REPLY_LINE_READ_OCTETS_MAX {
                return Err(ReplyError::TooLong);
            }
            self.line.extend_from_slice(piece);
            taken += piece.len();
            if end.is_some()
                && let Some(reply) = self.take_line()?
            {
                return Ok((taken, Some(reply)));
            }
        }
        Ok((taken, None))
    }

    /// Whether a reply has begun and not ended.
    #[must_use]
    pub fn is_within_reply(&self) -> bool {
        self.lines > 0 || !self.line.is_empty()
    }

    fn take_line(&mut self) -> Result<Option<Reply>, ReplyError> {
        let line = std::mem::take(&mut self.line);
        let mut line = line.as_slice();
        while let [rest @ .., b'\r' | b'\n'] = line {
            line = rest;
        }
        let (code, last, text) = split_line(line)?;
        if self.code.is_some_and(|first| first != code) {
            return Err(ReplyError::CodesDiffer);
        }
        self.lines += 1;
        if self.lines > REPLY_LINES_MAX {
            return Err(ReplyError::TooLong);
        }
        self.take_text(code, &String::from_utf8_lossy(text));
        self.code = Some(code);
        Ok(last.then(|| self.finish(code)))
    }

    fn take_text(&mut self, code: ReplyCode, text: &str) {
        let (first_word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let enhanced = EnhancedCode::parse(first_word)
            .filter(|enhanced| u16::from(enhanced.class) == code.value() / 100);
        if self.lines > 1 {
            self.text.push('\n');
        }
        if self.lines == 1 {
            self.enhanced = enhanced;
        }
        // Later lines repeat the code (RFC 2034 §4); a line without it is text as it stands.
        let repeats = enhanced.is_some() && enhanced == self.enhanced;
        self.text.push_str(if repeats { rest } else { text });
    }

    fn finish(&mut self, code: ReplyCode) -> Reply {
        let whole = std::mem::take(self);
        Reply { code, enhanced: whole.enhanced, text: Cow::Owned(whole.text) }
    }
}

/// Code, whether the line is the reply's last, text.
fn split_line(line: &[u8]) -> Result<(ReplyCode, bool, &[u8]), ReplyError> {
    let (digits, rest) = line.split_at_checked(3).ok_or(ReplyError::Malformed)?;
    let code = digits
        .iter()
        .try_fold(0_u16, |value, digit| digit.is_ascii_digit().then(|| value * 10 + u16::from(digit - b'0')));
    let code = code.and_then(ReplyCode::parse).ok_or(ReplyError::Malformed)?;
    match rest {
        [] => Ok((code, true, rest)),
        [b' ', text @ ..] => Ok((code, true, text)),
        [b'-', text @ ..] => Ok((code, false, text)),
        _ => Err(ReplyError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(reply: &Reply) -> String {
        let mut out = Vec::new();
        reply.write_to(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn read_all(mut input: &[u8]) -> Result<Vec<Reply>, ReplyError> {
        let mut reader = ReplyReader::default();
        let mut replies = Vec::new();
        while !input.is_empty() {
            let (taken, reply) = reader.next(input)?;
            input = &input[taken..];
            replies.extend(reply);
        }
        Ok(replies)
    }

    #[test]
    fn every_line_carries_both_codes() {
        let reply = Reply::fixed(550, (5, 7, 1), "one\ntwo");
        assert_eq!(written(&reply), "550-5.7.1 one\r\n550 5.7.1 two\r\n");
        assert_eq!(written(&Reply::plain(354, "Go on")), "354 Go on\r\n");
        assert_eq!(written(&Reply::plain(250, "")), "250 \r\n");
    }

    #[test]
    fn text_cannot_break_out_of_its_line() {
        let reply = Reply::fixed(550, (5, 1, 1), "").with_text("a\rb\0c ü\x7f".to_owned());
        assert_eq!(written(&reply), "550 5.1.1 a?b?c ??\r\n");
    }

    #[test]
    fn lines_stay_within_the_limit() {
        for octets in [TEXT_OCTETS_MAX - 1, TEXT_OCTETS_MAX, TEXT_OCTETS_MAX + 1, 5_000] {
            let reply = Reply::fixed(550, (5, 999, 999), "").with_text("x".repeat(octets));
            let wire = written(&reply);
            assert!(wire.split_inclusive("\r\n").all(|line| line.len() <= REPLY_LINE_OCTETS_MAX));
            assert_eq!(wire.matches('x').count(), octets);
        }
    }

    #[test]
    fn replies_are_read_whatever_the_chunks() {
        let wire = b"250-mail.example.org\r\n250-SIZE 1000\r\n250 HELP\r\n550 5.1.1 No such user\r\n354\r\n";
        let whole = read_all(wire).unwrap();
        assert_eq!(whole.len(), 3);
        assert_eq!(whole[0].text, "mail.example.org\nSIZE 1000\nHELP");
        assert_eq!(whole[1].enhanced, Some(EnhancedCode::new(5, 1, 1)));
        assert_eq!(whole[1].text, "No such user");
        assert_eq!(whole[2].text, "");
        let mut reader = ReplyReader::default();
        let single: Vec<Reply> =
            wire.iter().filter_map(|octet| reader.next(std::slice::from_ref(octet)).unwrap().1).collect();
        assert_eq!(single, whole);
        assert!(!reader.is_within_reply());
    }

    #[test]
    fn every_reply_has_a_status() {
        let replies = read_all(b"550 5.1.1 no\r\n550 no\r\n452 full\r\n250 4.2.2 odd\r\n").unwrap();
        let judged: Vec<_> =
            replies.iter().map(|reply| (reply.status().to_string(), reply.verdict())).collect();
        let expected = [
            ("5.1.1", Verdict::Never),
            ("5.0.0", Verdict::Never),
            ("4.3.1", Verdict::Later),
            ("2.0.0", Verdict::Accepted),
        ];
        assert_eq!(judged, expected.map(|(status, verdict)| (status.to_owned(), verdict)));
    }

    #[test]
    fn an_enhanced_code_of_another_class_is_text() {
        let replies = read_all(b"250 5.1.1 odd\r\n").unwrap();
        assert_eq!((replies[0].enhanced, replies[0].text.as_ref()), (None, "5.1.1 odd"));
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        for (wire, error) in [
            (&b"HTTP/1.1 400 Bad Request\r\n"[..], ReplyError::Malformed),
            (b"25\r\n", ReplyError::Malformed),
            (b"199 x\r\n", ReplyError::Malformed),
            (b"600 x\r\n", ReplyError::Malformed),
            (b"250_x\r\n", ReplyError::Malformed),
            (b"250-a\r\n251 b\r\n", ReplyError::CodesDiffer),
        ] {
            assert_eq!(read_all(wire), Err(error));
        }
    }

    #[test]
    fn endless_replies_are_cut_off() {
        let mut line = b"250 ".to_vec();
        line.resize(REPLY_LINE_READ_OCTETS_MAX - 2, b'x');
        assert!(read_all(&[&line[..], b"\r\n"].concat()).is_ok());
        assert_eq!(read_all(&[&line[..], b"x\r\n"].concat()), Err(ReplyError::TooLong));
        let lines = b"250-x\r\n".repeat(REPLY_LINES_MAX - 1);
        assert!(read_all(&[&lines[..], b"250 x\r\n"].concat()).is_ok());
        assert_eq!(read_all(&[&lines[..], b"250-x\r\n250 x\r\n"].concat()), Err(ReplyError::TooLong));
    }
}

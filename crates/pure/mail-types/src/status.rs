//! Reply codes and enhanced status codes (RFC 5321 §4.2, RFC 3463).

use std::fmt;

/// A three-digit SMTP reply code (RFC 5321 §4.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ReplyCode(u16);

/// What a reply's first digit asks of the peer (RFC 5321 §4.2.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Severity {
    /// 2yz: done.
    Done,
    /// 3yz: go on.
    Continue,
    /// 4yz: try again later.
    Transient,
    /// 5yz: do not try again so.
    Permanent,
}

impl ReplyCode {
    /// A code known to be right where it is written.
    ///
    /// # Panics
    /// At compile time, when used in a `const`, for a code outside 200–599.
    #[must_use]
    pub const fn new(code: u16) -> Self {
        assert!(code >= 200 && code <= 599);
        Self(code)
    }

    /// A code read from the wire: `None` outside 200–599.
    #[must_use]
    pub const fn parse(code: u16) -> Option<Self> {
        if code >= 200 && code <= 599 { Some(Self(code)) } else { None }
    }

    /// The number.
    #[must_use]
    pub const fn value(self) -> u16 {
        self.0
    }

    /// What the first digit asks of the peer.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self.0 / 100 {
            2 => Severity::Done,
            3 => Severity::Continue,
            4 => Severity::Transient,
            _ => Severity::Permanent,
        }
    }
}

impl ReplyCode {
    /// What the reply decides about whoever it was said of. A 3yz where none belongs decides nothing.
    #[must_use]
    pub const fn verdict(self) -> Verdict {
        match self.severity() {
            Severity::Done => Verdict::Accepted,
            Severity::Continue | Severity::Transient => Verdict::Later,
            Severity::Permanent => Verdict::Never,
        }
    }
}

/// What a host's reply means for one recipient.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Verdict {
    /// The host has taken responsibility.
    Accepted,
    /// Try again.
    Later,
    /// The sender has to be told.
    Never,
}

impl fmt::Display for ReplyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// An enhanced mail system status code: class, subject, detail (RFC 3463 §2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct EnhancedCode {
    /// 2 success, 4 transient, 5 permanent.
    pub class: u8,
    /// What the status is about, 0–999.
    pub subject: u16,
    /// Which condition exactly, 0–999.
    pub detail: u16,
}

impl EnhancedCode {
    /// A code as the RFC's registry writes it: `EnhancedCode::new(5, 1, 1)` for 5.1.1.
    #[must_use]
    pub const fn new(class: u8, subject: u16, detail: u16) -> Self {
        Self { class, subject, detail }
    }

    /// The code for a reply that came without one (RFC 2034 is not spoken everywhere): what the three digits say for
    /// certain, else the class with 0.0 (RFC 3463 §3.1). 450, 550 and 552 mean too many things.
    #[must_use]
    pub const fn of_reply(code: ReplyCode) -> Self {
        let (subject, detail) = match code.value() {
            // RFC 5321 §4.2.3, each with the code that RFC 5248 §2.4 registers for it.
            421 => (3, 2),
            422 | 452 => (3, 1),
            432 => (7, 12),
            454 => (7, 0),
            455 | 501 | 504 | 555 => (5, 4),
            500 => (5, 2),
            502 | 503 => (5, 1),
            521 => (3, 2),
            530 => (7, 0),
            535 => (7, 8),
            538 => (7, 11),
            551 => (1, 6),
            553 => (1, 3),
            // RFC 7504 §4, RFC 7505 §4.
            556 => (1, 10),
            _ => (0, 0),
        };
        let class = match code.severity() {
            Severity::Done => 2,
            Severity::Continue | Severity::Transient => 4,
            Severity::Permanent => 5,
        };
        Self { class, subject, detail }
    }

    /// The same condition in the class that fits a verdict: a report says 5.x.x of what failed for good and 4.x.x of
    /// what is delayed (RFC 3464 §2.3.4).
    #[must_use]
    pub const fn with_verdict(self, verdict: Verdict) -> Self {
        let class = match verdict {
            Verdict::Accepted => 2,
            Verdict::Later => 4,
            Verdict::Never => 5,
        };
        Self { class, ..self }
    }

    /// Reads `class.subject.detail` from the start of a reply's text (RFC 2034 §4).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '.');
        let class = parts.next()?.parse().ok().filter(|class| matches!(class, 2 | 4 | 5))?;
        let subject = number(parts.next()?)?;
        let detail = number(parts.next()?)?;
        Some(Self { class, subject, detail })
    }
}

fn number(text: &str) -> Option<u16> {
    let digits = (1..=3).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

impl fmt::Display for EnhancedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enhanced_codes_read_back_as_written() {
        for text in ["2.0.0", "4.7.100", "5.999.999"] {
            assert_eq!(EnhancedCode::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "3.1.1", "5.1", "5.1.", "5..1", "5.1.1000", "5.+1.1", "55.1.1"] {
            assert_eq!(EnhancedCode::parse(text), None, "{text}");
        }
    }

    #[test]
    fn replies_without_enhanced_codes_are_judged_by_their_digits() {
        for (code, enhanced, verdict) in [
            (250, "2.0.0", Verdict::Accepted),
            (354, "4.0.0", Verdict::Later),
            (421, "4.3.2", Verdict::Later),
            (450, "4.0.0", Verdict::Later),
            (452, "4.3.1", Verdict::Later),
            (499, "4.0.0", Verdict::Later),
            (500, "5.5.2", Verdict::Never),
            (550, "5.0.0", Verdict::Never),
            (556, "5.1.10", Verdict::Never),
        ] {
            let code = ReplyCode::new(code);
            assert_eq!(EnhancedCode::of_reply(code).to_string(), enhanced, "{code}");
            assert_eq!(code.verdict(), verdict, "{code}");
        }
        for value in 200..=599 {
            let code = ReplyCode::new(value);
            let enhanced = EnhancedCode::of_reply(code);
            assert_eq!(enhanced, enhanced.with_verdict(code.verdict()), "{code}");
            assert_eq!(EnhancedCode::parse(&enhanced.to_string()), Some(enhanced));
        }
    }

    #[test]
    fn reply_codes_have_bounds() {
        assert!(ReplyCode::parse(199).is_none());
        assert_eq!(ReplyCode::parse(200).unwrap().severity(), Severity::Done);
        assert_eq!(ReplyCode::parse(599).unwrap().severity(), Severity::Permanent);
        assert!(ReplyCode::parse(600).is_none());
    }
}

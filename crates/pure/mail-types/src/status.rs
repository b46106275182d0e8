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
    fn reply_codes_have_bounds() {
        assert!(ReplyCode::parse(199).is_none());
        assert_eq!(ReplyCode::parse(200).unwrap().severity(), Severity::Done);
        assert_eq!(ReplyCode::parse(599).unwrap().severity(), Severity::Permanent);
        assert!(ReplyCode::parse(600).is_none());
    }
}

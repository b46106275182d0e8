//! How urgent a message is among others (RFC 6710).

use std::fmt;

/// MT-PRIORITY: from -9 to 9, 0 for ordinary mail; higher goes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Priority(i8);

impl Priority {
    /// The least urgent.
    pub const MIN: Self = Self(-9);
    /// The most urgent.
    pub const MAX: Self = Self(9);
    /// Ordinary mail.
    pub const ORDINARY: Self = Self(0);

    /// A priority; `None` beyond the bounds.
    #[must_use]
    pub const fn new(value: i8) -> Option<Self> {
        if value >= Self::MIN.0 && value <= Self::MAX.0 { Some(Self(value)) } else { None }
    }

    /// Reads the parameter's value: one digit, a minus before it where it is not zero (RFC 6710 §7).
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        match value.as_bytes() {
            [digit @ b'0'..=b'9'] => Self::new((digit - b'0') as i8),
            [b'-', digit @ b'1'..=b'9'] => Self::new(-((digit - b'0') as i8)),
            _ => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn value(self) -> i8 {
        self.0
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_are_read_as_written_and_bounded() {
        for value in -9..=9 {
            let priority = Priority::new(value).unwrap();
            assert_eq!(Priority::parse(&priority.to_string()), Some(priority));
        }
        assert_eq!((Priority::new(-10), Priority::new(10)), (None, None));
        for value in ["", "-", "-0", "+1", "10", "-10", "1 ", "x", "00"] {
            assert_eq!(Priority::parse(value), None, "{value}");
        }
        assert!(Priority::MAX > Priority::ORDINARY && Priority::ORDINARY > Priority::MIN);
    }
}

//! By when a message has to be delivered, and what then (RFC 2852).

use std::fmt;

/// Farthest deadline in seconds, before or behind us: nine digits (RFC 2852 §4).
pub const DELIVER_BY_SECONDS_MAX: i32 = 999_999_999;

/// What happens when the time has passed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DeadlineMode {
    /// N: the sender is told that it takes longer.
    Notify,
    /// R: the message goes back.
    Return,
}

/// BY of MAIL.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct DeliverBy {
    seconds: i32,
    mode: DeadlineMode,
    trace: bool,
}

impl DeliverBy {
    /// A deadline so many seconds from the command on. `trace` asks every host on the way to report.
    ///
    /// `None` beyond [`DELIVER_BY_SECONDS_MAX`], and where a message were to go back at once (RFC 2852 §4: zero and
    /// less make sense for [`DeadlineMode::Notify`] only, where the time passed on the way).
    #[must_use]
    pub const fn new(seconds: i32, mode: DeadlineMode, trace: bool) -> Option<Self> {
        let is_over = seconds <= 0 && matches!(mode, DeadlineMode::Return);
        if is_over || seconds < -DELIVER_BY_SECONDS_MAX || seconds > DELIVER_BY_SECONDS_MAX {
            return None;
        }
        Some(Self { seconds, mode, trace })
    }

    /// Reads the parameter's value, `120;R` or `-60;NT`.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let (time, mode) = value.split_once(';')?;
        let (sign, digits) = match time.as_bytes().first()? {
            b'-' => (-1, time.get(1..)?),
            b'+' => (1, time.get(1..)?),
            _ => (1, time),
        };
        if !(1..=9).contains(&digits.len()) || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
            return None;
        }
        let (mode, trace) = match mode.to_ascii_uppercase().as_str() {
            "N" => (DeadlineMode::Notify, false),
            "NT" => (DeadlineMode::Notify, true),
            "R" => (DeadlineMode::Return, false),
            "RT" => (DeadlineMode::Return, true),
            _ => return None,
        };
        Self::new(sign * digits.parse::<i32>().ok()?, mode, trace)
    }

    /// Seconds from the command on; less than zero if the time has passed.
    #[must_use]
    pub const fn seconds(self) -> i32 {
        self.seconds
    }

    /// What happens then.
    #[must_use]
    pub const fn mode(self) -> DeadlineMode {
        self.mode
    }

    /// Whether each host that passes the message on reports it (RFC 2852 §4).
    #[must_use]
    pub const fn is_traced(self) -> bool {
        self.trace
    }
}

impl fmt::Display for DeliverBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            DeadlineMode::Notify => "N",
            DeadlineMode::Return => "R",
        };
        write!(f, "{};{mode}{}", self.seconds, if self.trace { "T" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_read_as_written() {
        for value in ["120;R", "1;RT", "0;N", "-60;NT", "999999999;R", "-999999999;N"] {
            assert_eq!(DeliverBy::parse(value).unwrap().to_string(), value);
        }
        assert_eq!(DeliverBy::parse("+5;n").unwrap().to_string(), "5;N");
    }

    #[test]
    fn bad_deadlines_are_refused() {
        for value in [
            "",
            "120",
            ";R",
            "120;",
            "120;X",
            "120;T",
            "120;TR",
            "0;R",
            "-1;R",
            "1000000000;N",
            "+;N",
            "-;N",
            "1 ;N",
            "--1;N",
        ] {
            assert_eq!(DeliverBy::parse(value), None, "{value}");
        }
        assert!(DeliverBy::new(DELIVER_BY_SECONDS_MAX + 1, DeadlineMode::Return, false).is_none());
        assert!(DeliverBy::new(-DELIVER_BY_SECONDS_MAX - 1, DeadlineMode::Notify, false).is_none());
    }
}

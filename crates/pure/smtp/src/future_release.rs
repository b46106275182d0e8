//! FUTURERELEASE of submissions: mail that is to leave later (RFC 4865), and the date-times it is told in (RFC 3339).

use message::Civil;

/// Longest hold that can be written: nine digits (RFC 4865 §3).
pub const HOLD_SECONDS_MAX: u32 = 999_999_999;

/// HOLDFOR or HOLDUNTIL of MAIL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hold {
    /// So many seconds from the command on, at least one.
    For(u32),
    /// Until this moment, in seconds since 1970-01-01T00:00:00Z. One that has passed holds nothing up.
    Until(i64),
}

impl Hold {
    /// Reads the value of HOLDFOR.
    #[must_use]
    pub fn parse_for(value: &str) -> Option<Self> {
        let is_number = (1..=9).contains(&value.len()) && value.bytes().all(|octet| octet.is_ascii_digit());
        let seconds = is_number.then(|| value.parse().ok())?.filter(|&seconds| seconds > 0)?;
        Some(Self::For(seconds))
    }

    /// Reads the value of HOLDUNTIL.
    #[must_use]
    pub fn parse_until(value: &str) -> Option<Self> {
        read_date_time(value).map(Self::Until)
    }

    /// When the message is free to leave, in seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn release(self, now_unix_seconds: i64) -> i64 {
        match self {
            Self::For(seconds) => now_unix_seconds.saturating_add(i64::from(seconds)),
            Self::Until(moment) => moment,
        }
    }
}

/// Reads a date-time of RFC 3339 §5.6; fractions of a second are dropped.
pub(crate) fn read_date_time(text: &str) -> Option<i64> {
    let (date, time) = text.split_at_checked(10)?;
    let (year, month_day) = date.split_once('-')?;
    let (month, day) = month_day.split_once('-')?;
    let time = time.strip_prefix(['T', 't'])?;
    let (clock, rest) = time.split_at_checked(8)?;
    let mut clock = clock.split(':');
    let (hour, minute, second) = (clock.next()?, clock.next()?, clock.next()?);
    let civil = Civil {
        year: i32::from(digits(year, 4)?),
        month: u8::try_from(digits(month, 2)?).ok()?,
        day: u8::try_from(digits(day, 2)?).ok()?,
        hour: u8::try_from(digits(hour, 2)?).ok()?,
        minute: u8::try_from(digits(minute, 2)?).ok()?,
        second: u8::try_from(digits(second, 2)?).ok()?,
    };
    // A leap second is the next minute's first.
    let checked = Civil { second: civil.second.min(59), ..civil };
    if civil.second > 60 || civil.year == 0 || Civil::from_unix_seconds(checked.unix_seconds()) != checked {
        return None;
    }
    let zone = match rest.strip_prefix('.') {
        None => rest,
        Some(fraction) => {
            let zone = fraction.trim_start_matches(|char: char| char.is_ascii_digit());
            (zone.len() < fraction.len()).then_some(zone)?
        }
    };
    Some(civil.unix_seconds() - read_zone(zone)?)
}

/// Seconds that the zone is ahead of UTC.
fn read_zone(zone: &str) -> Option<i64> {
    let sign = match zone.as_bytes().first()? {
        b'Z' | b'z' if zone.len() == 1 => return Some(0),
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    let fits = hours < 24 && minutes < 60;
    fits.then(|| sign * i64::from(hours * 60 + minutes) * 60)
}

fn digits(text: &str, count: usize) -> Option<u16> {
    let is_number = text.len() == count && text.bytes().all(|octet| octet.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

/// Writes a date-time in UTC.
pub(crate) fn write_date_time(unix_seconds: i64) -> String {
    let Civil { year, month, day, hour, minute, second } = Civil::from_unix_seconds(unix_seconds);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_written() {
        for (text, unix_seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2026-11-25T21:00:00Z", 1_795_640_400),
            ("2026-11-25t22:00:00.123+01:00", 1_795_640_400),
            ("2026-11-25T15:30:00-05:30", 1_795_640_400),
            ("2016-12-31T23:59:60Z", 1_483_228_800),
        ] {
            assert_eq!(read_date_time(text), Some(unix_seconds), "{text}");
            assert_eq!(read_date_time(&write_date_time(unix_seconds)), Some(unix_seconds));
        }
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "2026-11-25",
            "2026-11-25T21:00:00",
            "2026-11-25 21:00:00Z",
            "2026-11-25T21:00:00.Z",
            "2026-11-25T21:00:00ZZ",
            "2026-11-25T21:00:61Z",
            "2026-11-25T24:00:00Z",
            "2026-13-25T21:00:00Z",
            "2026-00-25T21:00:00Z",
            "2026-02-29T21:00:00Z",
            "2026-11-31T21:00:00Z",
            "0000-01-01T00:00:00Z",
            "26-11-25T21:00:00Z00",
            "2026-11-25T21:00:00+24:00",
            "2026-11-25T21:00:00+0100",
            "2026-11-25T+1:00:00Z",
            "2026-11-2ä",
        ] {
            assert_eq!(read_date_time(text), None, "{text}");
        }
    }

    #[test]
    fn holds_have_bounds() {
        assert_eq!(Hold::parse_for("1"), Some(Hold::For(1)));
        assert_eq!(Hold::parse_for("999999999"), Some(Hold::For(HOLD_SECONDS_MAX)));
        for value in ["", "0", "-1", "+1", "1000000000", "1s"] {
            assert_eq!(Hold::parse_for(value), None, "{value}");
        }
        assert_eq!(Hold::For(10).release(100), 110);
        assert_eq!(Hold::Until(10).release(100), 10);
    }
}

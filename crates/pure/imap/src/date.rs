//! Dates in commands and responses: `1-Feb-1994`, `"17-Jul-1996 02:44:25 -0700"` (RFC 9051 §9 date, date-time).

use message::{Civil, DAY_SECONDS, MONTH_NAMES, days_since_epoch};

/// A day of the calendar as SEARCH names it, without a zone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Day {
    /// Days since 1 January 1970.
    pub since_epoch: i32,
}

/// A moment and the zone it is told in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct DateTime {
    /// Seconds since the start of 1970 in UTC.
    pub unix_seconds: i64,
    /// Minutes east of Greenwich, within a day.
    pub zone_minutes: i16,
}

impl Day {
    /// The day on which a moment falls in its own zone.
    #[must_use]
    pub fn of(moment: DateTime) -> Self {
        let local = moment.unix_seconds.saturating_add(i64::from(moment.zone_minutes) * 60);
        let days = local.div_euclid(DAY_SECONDS).clamp(i64::from(i32::MIN), i64::from(i32::MAX));
        // Clamped to the range just before.
        Self { since_epoch: days as i32 }
    }

    /// Reads `date-text`: a day of one or two digits, month and year: `1-Feb-1994`.
    #[must_use]
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let mut parts = text.splitn(3, |&octet| octet == b'-');
        let day = parts.next().filter(|digits| matches!(digits.len(), 1 | 2)).and_then(number)?;
        let month = month(parts.next()?)?;
        let year = parts.next().filter(|digits| digits.len() == 4).and_then(number)?;
        Self::of_calendar(i32::from(year), month, u8::try_from(day).ok()?)
    }

    /// The day of the Gregorian calendar, if there is one.
    fn of_calendar(year: i32, month: u8, day: u8) -> Option<Self> {
        let days = days_since_epoch(year, month, day);
        let civil = Civil::from_unix_seconds(days * DAY_SECONDS);
        // The 31st of a shorter month would run over into the next.
        if (civil.year, civil.month, civil.day) != (year, month, day) {
            return None;
        }
        i32::try_from(days).ok().map(|since_epoch| Self { since_epoch })
    }
}

impl DateTime {
    /// Reads `date-time` without its quotes: `17-Jul-1996 02:44:25 -0700`. The day may have a space or, as some clients
    /// write it, nothing before a single digit.
    #[must_use]
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let text = text.strip_prefix(b" ").unwrap_or(text);
        let mut parts = text.splitn(3, |&octet| octet == b' ');
        let day = Day::parse(parts.next()?)?;
        let seconds = time_of_day(parts.next()?)?;
        let zone_minutes = zone(parts.next()?)?;
        let local = i64::from(day.since_epoch) * DAY_SECONDS + i64::from(seconds);
        Some(Self { unix_seconds: local - i64::from(zone_minutes) * 60, zone_minutes })
    }

    /// Writes `date-time` with its quotes.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        let zone_minutes = i64::from(self.zone_minutes);
        // Years of four digits only, whatever a caller gives: 0000 to 9999.
        let local =
            (self.unix_seconds.saturating_add(zone_minutes * 60)).clamp(-62_167_219_200, 253_402_300_799);
        let civil = Civil::from_unix_seconds(local);
        out.push(b'"');
        if civil.day < 10 {
            out.push(b' ');
            push_digits(out, civil.day.into(), 1);
        } else {
            push_digits(out, civil.day.into(), 2);
        }
        out.push(b'-');
        out.extend_from_slice(civil.month_name().as_bytes());
        out.push(b'-');
        push_digits(out, civil.year.into(), 4);
        for (between, value) in [(b' ', civil.hour), (b':', civil.minute), (b':', civil.second)] {
            out.push(between);
            push_digits(out, value.into(), 2);
        }
        out.extend_from_slice(if zone_minutes < 0 { b" -" } else { b" +" });
        push_digits(out, zone_minutes.abs() / 60 % 100, 2);
        push_digits(out, zone_minutes.abs() % 60, 2);
        out.push(b'"');
    }
}

fn push_digits(out: &mut Vec<u8>, value: i64, count: u32) {
    for place in (0..count).rev() {
        out.push(b'0' + (value / 10_i64.pow(place) % 10) as u8);
    }
}

/// A month by its English name in any case, from 1.
fn month(text: &[u8]) -> Option<u8> {
    (1..)
        .zip(MONTH_NAMES)
        .find(|(_, name)| text.eq_ignore_ascii_case(name.as_bytes()))
        .map(|(number, _)| number)
}

/// Up to four digits.
fn number(digits: &[u8]) -> Option<u16> {
    if digits.is_empty() || digits.len() > 4 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |number, digit| number * 10 + u16::from(digit - b'0')))
}

/// Seconds since midnight of `02:44:25`; 60 for a leap second reads as 59.
fn time_of_day(text: &[u8]) -> Option<u32> {
    let mut parts = text.split(|&octet| octet == b':');
    let mut two_digits = || parts.next().filter(|digits| digits.len() == 2).and_then(number);
    let (hour, minute, second) = (two_digits()?, two_digits()?, two_digits()?);
    let is_time = parts.next().is_none() && hour < 24 && minute < 60 && second <= 60;
    is_time.then(|| u32::from(hour) * 3_600 + u32::from(minute) * 60 + u32::from(second.min(59)))
}

/// Minutes east of Greenwich of `-0700`.
fn zone(text: &[u8]) -> Option<i16> {
    let (sign, digits) = match text.split_first()? {
        (b'+', digits) => (1, digits),
        (b'-', digits) => (-1, digits),
        _ => return None,
    };
    let hours_minutes = number(digits).filter(|_| digits.len() == 4)?;
    let (hours, minutes) = (hours_minutes / 100, hours_minutes % 100);
    if hours > 23 || minutes > 59 {
        return None;
    }
    i16::try_from(hours * 60 + minutes).ok().map(|minutes| sign * minutes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(date: DateTime) -> String {
        let mut out = Vec::new();
        date.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_examples_of_the_rfc_are_read_and_written() {
        let date = DateTime::parse(b"17-Jul-1996 02:44:25 -0700").unwrap();
        assert_eq!(date, DateTime { unix_seconds: 837_596_665, zone_minutes: -420 });
        assert_eq!(written(date), "\"17-Jul-1996 02:44:25 -0700\"");
        assert_eq!(Day::parse(b"1-Feb-1994").unwrap().since_epoch, 8_797);
        assert_eq!(Day::parse(b"01-FEB-1994"), Day::parse(b"1-Feb-1994"));
    }

    #[test]
    fn the_day_may_lose_its_space() {
        let padded = DateTime::parse(b" 7-Feb-1994 21:52:25 +0530").unwrap();
        assert_eq!(DateTime::parse(b"7-Feb-1994 21:52:25 +0530"), Some(padded));
        assert_eq!(DateTime::parse(b"07-Feb-1994 21:52:25 +0530"), Some(padded));
        assert_eq!(written(padded), "\" 7-Feb-1994 21:52:25 +0530\"");
    }

    #[test]
    fn leap_days_are_known() {
        assert!(Day::parse(b"29-Feb-2000").is_some());
        assert!(Day::parse(b"29-Feb-2024").is_some());
        assert!(Day::parse(b"29-Feb-1900").is_none());
        assert!(Day::parse(b"29-Feb-2023").is_none());
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in
            ["", "1-Feb", "0-Feb-1994", "32-Jan-1994", "1-Foo-1994", "1-Feb-94", "+1-Feb-1994", "1-Feb-19944"]
        {
            assert_eq!(Day::parse(text.as_bytes()), None, "{text}");
        }
        for text in [
            "",
            "17-Jul-1996",
            "17-Jul-1996 02:44:25",
            "17-Jul-1996 24:00:00 +0000",
            "17-Jul-1996 02:60:25 +0000",
            "17-Jul-1996 2:44:25 +0000",
            "17-Jul-1996 02:44:25 0000",
            "17-Jul-1996 02:44:25 +2400",
            "17-Jul-1996 02:44:25 +000",
            "17-Jul-1996 02:44:25:00 +0000",
        ] {
            assert_eq!(DateTime::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn the_day_is_that_of_the_zone() {
        let date = DateTime::parse(b"31-Dec-1999 23:30:00 -0100").unwrap();
        assert_eq!(Some(Day::of(date)), Day::parse(b"31-Dec-1999"));
        assert_eq!(Some(Day::of(DateTime { zone_minutes: 0, ..date })), Day::parse(b"1-Jan-2000"));
    }

    proptest! {
        #[test]
        fn dates_read_back_as_written(unix_seconds in -62_167_132_800_i64..=253_402_214_399, zone_minutes in -1_439_i16..=1_439) {
            let date = DateTime { unix_seconds, zone_minutes };
            let text = written(date);
            prop_assert_eq!(DateTime::parse(text.trim_matches('"').as_bytes()), Some(date));
        }

        #[test]
        fn any_moment_can_be_written(unix_seconds: i64, zone_minutes in -1_439_i16..=1_439) {
            prop_assert_eq!(written(DateTime { unix_seconds, zone_minutes }).len(), 28);
        }
    }
}

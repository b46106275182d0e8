//! Dates of header fields: written as RFC 5322 §3.3 says, read as people write them (§4.3 and the wild: two-digit
//! years, missing zones, asctime, ISO 8601, 12-hour clocks).

use crate::civil::{Civil, month_number};

/// A moment with the zone it was written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub unix_seconds: i64,
    /// Minutes the written local time is ahead of UTC.
    pub zone_minutes: i16,
}

/// Words and numbers of a date that are looked at; a real one has up to 16.
const TOKENS_MAX: usize = 40;

/// Farthest zone from UTC that is believed, in minutes; the widest in use is +14:00.
const ZONE_MINUTES_MAX: i16 = 24 * 60 - 1;

impl Date {
    /// Reads a Date field's value; `None` if no day, month and year can be found in it.
    pub fn parse(value: &[u8]) -> Option<Date> {
        let mut found = Found::default();
        let tokens = tokens(value);
        let mut rest = tokens.as_slice();
        while let Some(remaining) = found.take(rest) {
            rest = remaining;
        }
        found.date()
    }

    /// Writes it as RFC 5322 §3.3 does: `Mon, 2 Sep 2002 12:00:00 +0200`.
    pub fn format(self) -> String {
        let civil = self.local();
        let zone = i32::from(self.zone_minutes).abs();
        format!(
            "{}, {} {} {:04} {:02}:{:02}:{:02} {}{:02}{:02}",
            civil.day_name(),
            civil.day,
            civil.month_name(),
            civil.year,
            civil.hour,
            civil.minute,
            civil.second,
            if self.zone_minutes < 0 { '-' } else { '+' },
            zone / 60,
            zone % 60
        )
    }

    /// The day and time as written. SENTBEFORE, SENTON and SENTSINCE compare its day (RFC 9051 §6.4.4).
    pub fn local(self) -> Civil {
        Civil::from_unix_seconds(self.unix_seconds.saturating_add(i64::from(self.zone_minutes) * 60))
    }

    /// The day as written, in days since 1970-01-01.
    pub fn local_day(self) -> i64 {
        self.unix_seconds
            .saturating_add(i64::from(self.zone_minutes) * 60)
            .div_euclid(crate::civil::DAY_SECONDS)
    }
}

#[derive(Clone, Copy, Debug)]
enum Token<'a> {
    Number { value: u32, digits: usize },
    Word(&'a [u8]),
    Mark(u8),
}

/// Splits a value into numbers, words and marks; blanks and comments fall away.
fn tokens(value: &[u8]) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = value;
    let mut comment_depth = 0_u32;
    while let Some(&octet) = rest.first() {
        if tokens.len() >= TOKENS_MAX {
            break;
        }
        let class = |octet: u8| (octet.is_ascii_digit(), octet.is_ascii_alphabetic());
        let run = match octet {
            b if b.is_ascii_alphanumeric() => {
                rest.iter().take_while(|&&next| class(next) == class(octet)).count()
            }
            _ => 1,
        };
        let (token, remaining) = rest.split_at(run);
        rest = remaining;
        match octet {
            b'(' => comment_depth += 1,
            b')' => comment_depth = comment_depth.saturating_sub(1),
            _ if comment_depth > 0 => {}
            b if b.is_ascii_digit() => tokens.push(number(token)),
            b if b.is_ascii_alphabetic() => tokens.push(Token::Word(token)),
            b'+' | b'-' | b':' | b'.' | b'/' => tokens.push(Token::Mark(octet)),
            _ => {}
        }
    }
    tokens
}

fn number(digits: &[u8]) -> Token<'_> {
    let value = digits.iter().fold(0_u32, |value, digit| {
        value.saturating_mul(10).saturating_add(u32::from(digit.wrapping_sub(b'0')))
    });
    Token::Number { value, digits: digits.len() }
}

/// What has been found in a date so far.
#[derive(Default)]
struct Found {
    day: Option<u8>,
    month: Option<u8>,
    year: Option<i32>,
    time: Option<(u8, u8, u8)>,
    zone_minutes: Option<i16>,
}

impl Found {
    /// Understands the first tokens; gives the rest, `None` when there are no more.
    fn take<'t, 'a>(&mut self, tokens: &'t [Token<'a>]) -> Option<&'t [Token<'a>]> {
        use Token::{Mark, Number, Word};
        match tokens {
            // ISO 8601: year-month-day.
            [
                Number { value: year, digits: 4 },
                Mark(b'-' | b'/' | b'.'),
                Number { value: month, digits: 1 | 2 },
                Mark(b'-' | b'/' | b'.'),
                Number { value: day, digits: 1 | 2 },
                rest @ ..,
            ] if self.year.is_none() && self.month.is_none() => {
                self.year = i32::try_from(*year).ok();
                self.month = u8::try_from(*month).ok().filter(|month| (1..=12).contains(month));
                self.day = u8::try_from(*day).ok().filter(|day| (1..=31).contains(day));
                Some(rest)
            }
            [
                Number { value: hour, .. },
                Mark(b':'),
                Number { value: minute, .. },
                Mark(b':' | b'.'),
                Number { value: second, .. },
                rest @ ..,
            ] if self.time.is_none() => {
                self.set_time(*hour, *minute, *second);
                Some(without_fraction(rest))
            }
            [Number { value: hour, .. }, Mark(b':'), Number { value: minute, .. }, rest @ ..]
                if self.time.is_none() =>
            {
                self.set_time(*hour, *minute, 0);
                Some(rest)
            }
            // Some write 12.30.00.
            [
                Number { value: hour, digits: 1 | 2 },
                Mark(b'.'),
                Number { value: minute, digits: 2 },
                Mark(b'.'),
                Number { value: second, digits: 2 },
                rest @ ..,
            ] if self.time.is_none() && self.day.is_some() => {
                self.set_time(*hour, *minute, *second);
                Some(rest)
            }
            [Mark(sign @ (b'+' | b'-')), Number { value, digits }, rest @ ..] if self.time.is_some() => {
                Some(self.take_zone(*sign, *value, *digits, rest))
            }
            [Number { value, digits }, rest @ ..] => {
                self.take_number(*value, *digits);
                Some(rest)
            }
            [Word(word), rest @ ..] => {
                self.take_word(word);
                Some(rest)
            }
            [Mark(_), rest @ ..] => Some(rest),
            [] => None,
        }
    }

    fn set_time(&mut self, hour: u32, minute: u32, second: u32) {
        if hour <= 24 && minute <= 59 && second <= 60 {
            self.time = Some((hour as u8, minute as u8, second as u8));
        }
    }

    /// `+0200`, `+02:00`, `+02`, `+200`.
    fn take_zone<'t, 'a>(
        &mut self,
        sign: u8,
        value: u32,
        digits: usize,
        rest: &'t [Token<'a>],
    ) -> &'t [Token<'a>] {
        let (hours, minutes, rest) = match (digits, rest) {
            (1 | 2, [Token::Mark(b':'), Token::Number { value: minutes, .. }, rest @ ..]) => {
                (value, *minutes, rest)
            }
            (1 | 2, rest) => (value, 0, rest),
            (_, rest) => (value / 100, value % 100, rest),
        };
        let minutes = i16::try_from(hours.saturating_mul(60).saturating_add(minutes)).unwrap_or(i16::MAX);
        let is_believable = minutes <= ZONE_MINUTES_MAX;
        // A name before it ("GMT+0200") gives way to the number; a second number is ignored.
        if self.zone_minutes.is_none_or(|zone| zone == 0) && is_believable {
            self.zone_minutes = Some(if sign == b'-' { -minutes } else { minutes });
        }
        rest
    }

    fn take_number(&mut self, value: u32, digits: usize) {
        match digits {
            1 | 2 if self.day.is_none() && (1..=31).contains(&value) => self.day = u8::try_from(value).ok(),
            2..=4 if self.year.is_none() && self.day.is_some() => {
                // RFC 5322 §4.3: two digits below 50 are of this century, others and three digits count from 1900.
                let value = value as i32;
                self.year = Some(match (digits, value) {
                    (2, 0..50) => value + 2_000,
                    (2 | 3, _) => value + 1_900,
                    _ => value,
                });
            }
            // A zone whose plus sign was forgotten.
            4 if self.time.is_some() && self.zone_minutes.is_none() => {
                self.take_zone(b'+', value, digits, &[]);
            }
            _ => {}
        }
    }

    fn take_word(&mut self, word: &[u8]) {
        if self.month.is_none()
            && let Some(month) = month_number(word)
        {
            self.month = Some(month);
        } else if word.eq_ignore_ascii_case(b"pm") {
            self.time = self
                .time
                .map(|(hour, minute, second)| (if hour < 12 { hour + 12 } else { hour }, minute, second));
        } else if word.eq_ignore_ascii_case(b"am") {
            self.time =
                self.time.map(|(hour, minute, second)| (if hour == 12 { 0 } else { hour }, minute, second));
        } else if self.time.is_some() && self.zone_minutes.is_none() {
            self.zone_minutes = zone_by_name(word);
        }
    }

    fn date(self) -> Option<Date> {
        let (hour, minute, second) = self.time.unwrap_or_default();
        let civil = Civil { year: self.year?, month: self.month?, day: self.day?, hour, minute, second };
        let zone_minutes = self.zone_minutes.unwrap_or(0);
        let date = Date { unix_seconds: civil.unix_seconds() - i64::from(zone_minutes) * 60, zone_minutes };
        // A year has four digits (RFC 5322 §3.3); 24:00 of the last day would need a fifth.
        (0..=9_999).contains(&date.local().year).then_some(date)
    }
}

fn without_fraction<'t, 'a>(tokens: &'t [Token<'a>]) -> &'t [Token<'a>] {
    match tokens {
        [Token::Mark(b'.'), Token::Number { .. }, rest @ ..] => rest,
        _ => tokens,
    }
}

/// Zones with names: RFC 5322 §4.3, and the European ones that old software wrote. Of single letters only Z is
/// trustworthy; the RFC says to read the others as -0000.
fn zone_by_name(name: &[u8]) -> Option<i16> {
    const NAMES: [(&str, i16); 17] = [
        ("EST", -300),
        ("EDT", -240),
        ("CST", -360),
        ("CDT", -300),
        ("MST", -420),
        ("MDT", -360),
        ("PST", -480),
        ("PDT", -420),
        ("BST", 60),
        ("WEST", 60),
        ("CET", 60),
        ("MET", 60),
        ("CEST", 120),
        ("MEST", 120),
        ("EET", 120),
        ("EEST", 180),
        ("JST", 540),
    ];
    if let Some((_, minutes)) = NAMES.iter().find(|(zone, _)| zone.as_bytes().eq_ignore_ascii_case(name)) {
        return Some(*minutes);
    }
    let is_utc = [&b"UT"[..], b"UTC", b"GMT", b"WET"].iter().any(|utc| utc.eq_ignore_ascii_case(name));
    (is_utc || name.len() == 1 && !name.eq_ignore_ascii_case(b"T")).then_some(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expected: &str) {
        let read = Date::parse(value.as_bytes()).map(Date::format);
        assert_eq!(read.as_deref(), Some(expected), "{value}");
    }

    #[test]
    fn dates_as_the_rfc_writes_them() {
        check("Fri, 21 Nov 1997 09:55:06 -0600", "Fri, 21 Nov 1997 09:55:06 -0600");
        check("Thu, 13 Feb 1969 23:32:54 -0330", "Thu, 13 Feb 1969 23:32:54 -0330");
        check("1 Apr 2020 00:00 +0000", "Wed, 1 Apr 2020 00:00:00 +0000");
        // RFC 5322 appendix A.5 and A.6.2.
        check(
            "Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n               -0330 (Newfoundland Time)",
            "Thu, 13 Feb 1969 23:32:00 -0330",
        );
        check("21 Nov 97 09:55:06 GMT", "Fri, 21 Nov 1997 09:55:06 +0000");
        check("Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", "Fri, 21 Nov 1997 09:55:06 -0600");
    }

    #[test]
    fn dates_as_people_write_them() {
        check("Mon Sep  2 12:00:00 2002", "Mon, 2 Sep 2002 12:00:00 +0000");
        check("Mon Sep  2 12:00:00 EDT 2002", "Mon, 2 Sep 2002 12:00:00 -0400");
        check("Mon Sep  2 12:00:00 +0200 2002", "Mon, 2 Sep 2002 12:00:00 +0200");
        check("2002-09-02T12:00:00Z", "Mon, 2 Sep 2002 12:00:00 +0000");
        check("2002-09-02 12:00:00.123+02:00", "Mon, 2 Sep 2002 12:00:00 +0200");
        check("02-Sep-2002 12:00:00 +0200", "Mon, 2 Sep 2002 12:00:00 +0200");
        check("Monday, 2 September 2002 12:00:00 PM", "Mon, 2 Sep 2002 12:00:00 +0000");
        check("Mon, 2 Sep 2002 12:05 AM -0700", "Mon, 2 Sep 2002 00:05:00 -0700");
        check("Mon, 2 Sep 2002 1:05 pm", "Mon, 2 Sep 2002 13:05:00 +0000");
        check("Mon, 2 Sep 102 12:00:00 GMT+0200", "Mon, 2 Sep 2002 12:00:00 +0200");
        check("Mon, 2 Sep 2002 12:00:00 -0500EST", "Mon, 2 Sep 2002 12:00:00 -0500");
        check("Fri, 02 Aug 2002 23:37:59 0530", "Fri, 2 Aug 2002 23:37:59 +0530");
        check("Mon, 16 Sep 2002 13:12:50 GMT+1", "Mon, 16 Sep 2002 13:12:50 +0100");
        check("Thu, 29 Aug 2002 15:36:58 +-0500", "Thu, 29 Aug 2002 15:36:58 -0500");
        check("2002/09/14 Sat 02:29:32 CDT", "Sat, 14 Sep 2002 02:29:32 -0500");
        check("2 Sep 02", "Mon, 2 Sep 2002 00:00:00 +0000");
        check("Mon, 2 Sep 2002 12.30.15 +0100", "Mon, 2 Sep 2002 12:30:15 +0100");
        check("Mon, 2 Sep 2002 12:00:00 +9999", "Mon, 2 Sep 2002 12:00:00 +0000");
        check("Sun, 31 Feb 2002 12:00:00 A", "Sun, 3 Mar 2002 12:00:00 +0000");
        check("Sat, 31 Dec 2016 23:59:60 +0000", "Sun, 1 Jan 2017 00:00:00 +0000");
    }

    #[test]
    fn no_date_at_all() {
        for value in ["", "yesterday", "Mon", "12:00:00", "1 2 3 4", "99 Foo 2002", "Sep 2002", "2002-09-00"]
        {
            assert_eq!(Date::parse(value.as_bytes()), None, "{value}");
        }
    }

    #[test]
    fn years_have_four_digits() {
        check("0000-01-01", "Sat, 1 Jan 0000 00:00:00 +0000");
        check("9999-12-31 23:59:59", "Fri, 31 Dec 9999 23:59:59 +0000");
        for value in ["0000-01-00", "9999-12-31 24:00", "9999-12-31 23:59:60"] {
            assert_eq!(Date::parse(value.as_bytes()), None, "{value}");
        }
    }

    #[test]
    fn days_are_those_written() {
        let late = Date::parse(b"2 Sep 2002 23:30:00 -0700").expect("a date");
        assert_eq!(late.local_day(), crate::civil::days_since_epoch(2002, 9, 2));
        assert_eq!(late.local().hour, 23);
    }

    #[test]
    fn tokens_beyond_the_bound_are_not_read() {
        let filler = |count: usize| format!("{}2 Sep 2002", "- ".repeat(count));
        assert!(Date::parse(filler(TOKENS_MAX - 4).as_bytes()).is_some());
        assert!(Date::parse(filler(TOKENS_MAX - 3).as_bytes()).is_some());
        assert!(Date::parse(filler(TOKENS_MAX - 2).as_bytes()).is_none());
    }
}

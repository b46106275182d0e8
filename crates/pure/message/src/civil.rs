//! Days and hours of the Gregorian calendar from seconds and back. No time zones, no leap seconds.

/// Seconds of a day.
pub const DAY_SECONDS: i64 = 86_400;

/// A moment of the calendar in some fixed zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Civil {
    /// Year, astronomical (0 is 1 BC).
    pub year: i32,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day of the month, 1 to 31.
    pub day: u8,
    /// Hour, 0 to 23.
    pub hour: u8,
    /// Minute, 0 to 59.
    pub minute: u8,
    /// Second, 0 to 59.
    pub second: u8,
}

/// Day names as RFC 5322 writes them, Sunday first.
pub const DAY_NAMES: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/// Month names as RFC 5322 and IMAP write them.
pub const MONTH_NAMES: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Earliest and latest second a `Civil` can be made from: the years ±30,000. Beyond, the border is taken.
const SECONDS_MAX: i64 = 30_000 * 366 * DAY_SECONDS;

impl Civil {
    /// The calendar's view of the seconds since 1970-01-01T00:00:00.
    pub fn from_unix_seconds(seconds: i64) -> Civil {
        let seconds = seconds.clamp(-SECONDS_MAX, SECONDS_MAX);
        let days = seconds.div_euclid(DAY_SECONDS);
        let second_of_day = seconds.rem_euclid(DAY_SECONDS);
        let (year, month, day) = date_of_day(days);
        Civil {
            year,
            month,
            day,
            hour: (second_of_day / 3_600) as u8,
            minute: (second_of_day / 60 % 60) as u8,
            second: (second_of_day % 60) as u8,
        }
    }

    /// Seconds since 1970-01-01T00:00:00. Days and times beyond their month or day run over into the next.
    pub fn unix_seconds(self) -> i64 {
        days_since_epoch(self.year, self.month, self.day) * DAY_SECONDS
            + i64::from(self.hour) * 3_600
            + i64::from(self.minute) * 60
            + i64::from(self.second)
    }

    /// Index into [`DAY_NAMES`].
    pub fn weekday(self) -> usize {
        // 1970-01-01 was a Thursday.
        (days_since_epoch(self.year, self.month, self.day) + 4).rem_euclid(7) as usize
    }

    /// The name of the weekday.
    pub fn day_name(self) -> &'static str {
        DAY_NAMES.get(self.weekday()).copied().unwrap_or("Sun")
    }

    /// The name of the month.
    pub fn month_name(self) -> &'static str {
        MONTH_NAMES.get(usize::from(self.month).wrapping_sub(1)).copied().unwrap_or("Jan")
    }
}

/// The month (1 to 12) a name begins with, in any letter case: `Sep`, `Sept` and `September` are the same.
pub fn month_number(name: &[u8]) -> Option<u8> {
    let start = name.get(..3)?;
    let index = MONTH_NAMES.iter().position(|month| month.as_bytes().eq_ignore_ascii_case(start))?;
    u8::try_from(index + 1).ok()
}

/// Days since 1970-01-01. Years are counted from March, so that the leap day is a year's last; an era is 400 years.
pub fn days_since_epoch(year: i32, month: u8, day: u8) -> i64 {
    let month = i64::from(month.clamp(1, 12));
    let year = i64::from(year) - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    era * 146_097 + day_of_era - 719_468
}

fn date_of_day(days: i64) -> (i32, u8, u8) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year as i32, month as u8, day as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        for (seconds, text) in [
            (0, "Thu 1970-01-01 00:00:00"),
            (951_782_400, "Tue 2000-02-29 00:00:00"),
            (1_030_982_399, "Mon 2002-09-02 15:59:59"),
            (-1, "Wed 1969-12-31 23:59:59"),
            (4_107_542_400, "Mon 2100-03-01 00:00:00"),
            (-62_135_596_800, "Mon 0001-01-01 00:00:00"),
        ] {
            let civil = Civil::from_unix_seconds(seconds);
            let written = format!(
                "{} {:04}-{:02}-{:02} {:02}:{:02}:{:02}",
                civil.day_name(),
                civil.year,
                civil.month,
                civil.day,
                civil.hour,
                civil.minute,
                civil.second
            );
            assert_eq!(written, text);
            assert_eq!(civil.unix_seconds(), seconds);
        }
    }

    #[test]
    fn every_day_of_eight_centuries_comes_back() {
        for day in -150_000..150_000 {
            let civil = Civil::from_unix_seconds(day * DAY_SECONDS);
            assert_eq!(days_since_epoch(civil.year, civil.month, civil.day), day);
        }
    }

    #[test]
    fn far_away_seconds_are_clamped() {
        assert_eq!(Civil::from_unix_seconds(i64::MAX), Civil::from_unix_seconds(SECONDS_MAX));
        assert_eq!(Civil::from_unix_seconds(i64::MIN), Civil::from_unix_seconds(-SECONDS_MAX));
    }

    #[test]
    fn months_by_name() {
        assert_eq!(month_number(b"sept"), Some(9));
        assert_eq!(month_number(b"DECEMBER"), Some(12));
        assert_eq!(month_number(b"Ju"), None);
        assert_eq!(month_number(b"Foo"), None);
    }
}

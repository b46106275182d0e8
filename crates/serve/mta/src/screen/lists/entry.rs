//! A list as the operator names it: its zone, which of its answers count, for how much, and whether they refuse mail.
//!
//! `zen.spamhaus.org=127.0.0.[2..11]*3.5 refuse`: all but the zone may be left out.

use std::fmt;
use std::net::Ipv4Addr;

use dns::Name;

/// What a hit is worth where the entry does not say.
pub const POINTS_DEFAULT: f32 = 3.0;
/// The most points, for or against.
pub const POINTS_MAX: f32 = 100.0;
/// Ranges of one octet.
const RANGES_MAX: usize = 16;

/// One entry. Several may name the same zone, with other answers.
#[derive(Clone, PartialEq, Debug)]
pub struct ListEntry {
    /// The list.
    pub zone: Name,
    /// Which answers count; none: all.
    pub codes: Option<Codes>,
    /// What a hit is worth.
    pub points: f32,
    /// What a hit does.
    pub action: ListAction,
}

/// What follows from a hit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ListAction {
    /// Points.
    Points,
    /// The mail is refused, naming the list.
    Refuse,
}

/// Answers, octet by octet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Codes([Vec<(u8, u8)>; 4]);

/// Why a text is no entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ListEntryError {
    /// The zone is no DNS name.
    #[error("the list's zone is no DNS name")]
    Zone,
    /// The codes are none.
    #[error("codes are written like 127.0.0.2 or 127.0.[2..3].[1;4..6]")]
    Codes,
    /// The points are no number within bounds.
    #[error("points are a number from -100 to 100")]
    Points,
    /// There is another word than `refuse`.
    #[error("behind the points only `refuse` may stand")]
    Action,
}

impl ListEntry {
    /// Reads an entry.
    ///
    /// # Errors
    /// [`ListEntryError`].
    pub fn parse(text: &str) -> Result<Self, ListEntryError> {
        let mut words = text.split_whitespace();
        let head = words.next().ok_or(ListEntryError::Zone)?;
        let action = match (words.next(), words.next()) {
            (None, _) => ListAction::Points,
            (Some("refuse"), None) => ListAction::Refuse,
            _ => return Err(ListEntryError::Action),
        };
        let (head, points) = match head.split_once('*') {
            Some((head, points)) => (head, points.parse().map_err(|_| ListEntryError::Points)?),
            None => (head, POINTS_DEFAULT),
        };
        // NaN is in no range.
        if !(-POINTS_MAX..=POINTS_MAX).contains(&points) {
            return Err(ListEntryError::Points);
        }
        let (zone, codes) = match head.split_once('=') {
            Some((zone, codes)) => (zone, Some(Codes::parse(codes).ok_or(ListEntryError::Codes)?)),
            None => (head, None),
        };
        let zone = Name::parse(zone).map_err(|_| ListEntryError::Zone)?;
        if zone.is_root() {
            return Err(ListEntryError::Zone);
        }
        Ok(Self { zone, codes, points, action })
    }

    /// Which of a list's answers count for this entry.
    pub(crate) fn counts(&self, answer: Ipv4Addr) -> bool {
        self.codes.as_ref().is_none_or(|codes| codes.have(answer))
    }
}

impl Codes {
    fn parse(text: &str) -> Option<Self> {
        // Dots stand within brackets too.
        let mut octets: [Vec<(u8, u8)>; 4] = Default::default();
        let mut rest = text;
        for (at, ranges) in octets.iter_mut().enumerate() {
            let end = match rest.strip_prefix('[') {
                Some(_) => rest.find(']')? + 1,
                None => rest.find('.').unwrap_or(rest.len()),
            };
            *ranges = read_octet(rest.get(..end)?)?;
            rest = rest.get(end..)?;
            rest = match (at, rest.strip_prefix('.')) {
                (0..=2, Some(rest)) => rest,
                (3, None) => rest,
                _ => return None,
            };
        }
        rest.is_empty().then_some(Self(octets))
    }

    fn have(&self, answer: Ipv4Addr) -> bool {
        let is_in = |(ranges, octet): (&Vec<(u8, u8)>, u8)| {
            ranges.iter().any(|&(first, last)| (first..=last).contains(&octet))
        };
        self.0.iter().zip(answer.octets()).all(is_in)
    }
}

/// `2`, or `[2;4..6]`.
fn read_octet(text: &str) -> Option<Vec<(u8, u8)>> {
    let Some(inner) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) else {
        let one = text.parse().ok()?;
        return Some(vec![(one, one)]);
    };
    let ranges = inner.split(';').map(|range| {
        let (first, last) = range.split_once("..").unwrap_or((range, range));
        let (first, last) = (first.trim().parse::<u8>().ok()?, last.trim().parse::<u8>().ok()?);
        (first <= last).then_some((first, last))
    });
    let ranges: Vec<_> = ranges.take(RANGES_MAX + 1).collect::<Option<_>>()?;
    (ranges.len() <= RANGES_MAX).then_some(ranges)
}

impl fmt::Display for ListEntry {
    /// Its zone and what a hit does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let refuses = if self.action == ListAction::Refuse { " refuse" } else { "" };
        write!(f, "{} {:+.1}{refuses}", self.zone, self.points)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_say_zone_codes_points_and_action() {
        let entry = ListEntry::parse("zen.spamhaus.org=127.0.0.[2..11]*3.5 refuse").unwrap();
        assert_eq!((entry.zone.as_str(), entry.points), ("zen.spamhaus.org", 3.5));
        assert_eq!(entry.action, ListAction::Refuse);
        for (last, expected) in [(1, false), (2, true), (11, true), (12, false)] {
            assert_eq!(entry.counts(Ipv4Addr::new(127, 0, 0, last)), expected, "{last}");
        }
        let entry = ListEntry::parse("list.dnswl.org=127.0.[2..20].[1;3]*-2").unwrap();
        assert_eq!(entry.points, -2.0);
        for (answer, expected) in [
            ([127, 0, 2, 1], true),
            ([127, 0, 20, 3], true),
            ([127, 0, 20, 2], false),
            ([127, 0, 21, 1], false),
        ] {
            assert_eq!(entry.counts(answer.into()), expected, "{answer:?}");
        }
        let entry = ListEntry::parse("bl.example").unwrap();
        assert_eq!((entry.points, entry.action, entry.codes), (POINTS_DEFAULT, ListAction::Points, None));
    }

    #[test]
    fn what_is_no_entry_is_told() {
        for (text, error) in [
            ("", ListEntryError::Zone),
            (".", ListEntryError::Zone),
            ("a b", ListEntryError::Action),
            ("bl.example refuse now", ListEntryError::Action),
            ("bl.example*", ListEntryError::Points),
            ("bl.example*NaN", ListEntryError::Points),
            ("bl.example*100.5", ListEntryError::Points),
            ("bl.example*-101", ListEntryError::Points),
            ("bl.example=127.0.0", ListEntryError::Codes),
            ("bl.example=127.0.0.1.2", ListEntryError::Codes),
            ("bl.example=127.0.0.[3..2]", ListEntryError::Codes),
            ("bl.example=127.0.0.[2", ListEntryError::Codes),
            ("bl.example=127.0.0.256", ListEntryError::Codes),
            ("bl.example=", ListEntryError::Codes),
        ] {
            assert_eq!(ListEntry::parse(text), Err(error), "{text}");
        }
        assert!(ListEntry::parse("bl.example*100").is_ok() && ListEntry::parse("bl.example*-100").is_ok());
    }

    #[test]
    fn an_octet_has_so_many_ranges() {
        let code = |ranges: usize| format!("bl.example=127.0.0.[{}]", vec!["2"; ranges].join(";"));
        for (ranges, expected) in [(RANGES_MAX - 1, true), (RANGES_MAX, true), (RANGES_MAX + 1, false)] {
            assert_eq!(ListEntry::parse(&code(ranges)).is_ok(), expected, "{ranges}");
        }
    }
}

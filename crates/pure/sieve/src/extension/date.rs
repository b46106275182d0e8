//! `date` and `currentdate` (RFC 5260).

use message::{Civil, DAY_SECONDS, Date};

use super::index::{self, INDEX};
use crate::compiler::Compiler;
use crate::dialect::Extension as E;
use crate::matching::{self, MATCH, Matching, Value};
use crate::node::{Arg, Node};
use crate::run::{Run, Stop};
use crate::spec::{COMMAND, Does, Kind, Positional, Spec, Tag};
use crate::text::Text;

pub(super) static SPECS: &[Spec] = &[
    Spec {
        name: "date",
        need: Some(E::Date),
        tags: &[MATCH, ZONE, ORIGINAL_ZONE, INDEX],
        arguments: &[
            Positional::new("header name", Kind::String),
            Positional::new("date part", Kind::String),
            Positional::new("key list", Kind::Strings),
        ],
        check: check_date,
        action: Does::Test(date),
        ..COMMAND
    },
    Spec {
        name: "currentdate",
        need: Some(E::Date),
        tags: &[MATCH, ZONE],
        arguments: &[Positional::new("date part", Kind::String), Positional::new("key list", Kind::Strings)],
        check: check_current,
        action: Does::Test(current_date),
        ..COMMAND
    },
];

pub(super) const ZONE: &[Tag] = &[Tag::valued("zone", Kind::String).of("zone")];
const ORIGINAL_ZONE: &[Tag] = &[Tag::plain("originalzone").of("zone")];

/// What each octet of a field costs in which a date is looked for.
const SYNTAX_COST: u64 = 8;

/// RFC 5260 §4.2.
const PARTS: [&str; 13] = [
    "year", "month", "day", "date", "julian", "hour", "minute", "second", "time", "iso8601", "std11", "zone",
    "weekday",
];
/// The day that Modified Julian Days count from, 17 November 1858, in days before 1970.
const JULIAN_EPOCH_DAYS: i64 = 40_587;

fn check_date(compiler: &mut Compiler<'_>, node: &mut Node) {
    index::check(compiler, node);
    check(compiler, node, 1);
}

fn check_current(compiler: &mut Compiler<'_>, node: &mut Node) {
    check(compiler, node, 0);
}

fn check(compiler: &mut Compiler<'_>, node: &mut Node, part: usize) {
    if let Some(part) = node.arg(part).text().and_then(Text::constant_str)
        && !PARTS.iter().any(|known| known.eq_ignore_ascii_case(part))
    {
        compiler.fault(node.place, format!("unknown date part \"{}\"", part.escape_debug()));
        return;
    }
    if check_zone(compiler, node) {
        matching::check(compiler, node);
    }
}

/// Whether the zone that a test's tags name is one; a fault if not.
pub(super) fn check_zone(compiler: &mut Compiler<'_>, node: &Node) -> bool {
    let Some(zone) = node.tag("zone").and_then(Arg::text).and_then(Text::constant_str) else { return true };
    let is_one = zone_minutes(zone).is_some();
    if !is_one {
        compiler.fault(node.place, format!("\"{}\" is no time zone like \"+0200\"", zone.escape_debug()));
    }
    is_one
}

/// `+hhmm` or `-hhmm`.
fn zone_minutes(zone: &str) -> Option<i16> {
    let sign = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits =
        zone.get(1..).filter(|digits| digits.len() == 4 && digits.bytes().all(|d| d.is_ascii_digit()))?;
    let number: i16 = digits.parse().ok()?;
    let (hours, minutes) = (number / 100, number % 100);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes))
}

/// The zone that a test's tags ask for; `None` for the one the date was written in.
pub(super) fn zone(run: &Run<'_>, node: &Node) -> Result<Option<i16>, Stop> {
    match node.tag("zone").and_then(Arg::text) {
        Some(text) => {
            let zone = run.string(text);
            let minutes = zone_minutes(&zone);
            let words = || Stop::fault(format!("\"{}\" is no time zone like \"+0200\"", zone.escape_debug()));
            Ok(Some(minutes.ok_or_else(words)?))
        }
        None if node.has("originalzone") => Ok(None),
        None => Ok(Some(run.world.now().zone_minutes)),
    }
}

fn date(run: &mut Run<'_>, node: &Node) -> Result<bool, Stop> {
    let mut matching = Matching::new(run, node)?;
    let zone = zone(run, node)?;
    let name = run.arg_string(node.arg(0));
    let part = run.arg_string(node.arg(1));
    let mut is_found = false;
    for field in run.message.header().chosen(&name, index::occurrence(node)) {
        run.charge(field.raw().len() as u64 * SYNTAX_COST)?;
        // Trace fields have their date behind the last semicolon (RFC 5322 §3.6.7).
        let value = field.raw().rsplit(|&octet| octet == b';').next().unwrap_or_default();
        let Some(date) = Date::parse(value) else { continue };
        let date = Date { zone_minutes: zone.unwrap_or(date.zone_minutes), ..date };
        let Some(text) = part_of(date, &part) else { continue };
        if matching.feed(run, Value::new(text.as_bytes()))? {
            is_found = true;
            break;
        }
    }
    Ok(matching.finish(run, is_found))
}

fn current_date(run: &mut Run<'_>, node: &Node) -> Result<bool, Stop> {
    let mut matching = Matching::new(run, node)?;
    let now = run.world.now();
    let zone_minutes = zone(run, node)?.unwrap_or(now.zone_minutes);
    let part = run.arg_string(node.arg(0));
    let date = Date { unix_seconds: now.unix_seconds, zone_minutes };
    let is_found = match part_of(date, &part) {
        Some(text) => matching.feed(run, Value::new(text.as_bytes()))?,
        None => false,
    };
    Ok(matching.finish(run, is_found))
}

/// One part of a date, in its zone.
pub(super) fn part_of(date: Date, part: &str) -> Option<String> {
    let civil: Civil = date.local();
    let zone = i32::from(date.zone_minutes).abs();
    let sign = if date.zone_minutes < 0 { '-' } else { '+' };
    let day = format!("{:04}-{:02}-{:02}", civil.year, civil.month, civil.day);
    let time = format!("{:02}:{:02}:{:02}", civil.hour, civil.minute, civil.second);
    Some(match part.to_ascii_lowercase().as_str() {
        "year" => format!("{:04}", civil.year),
        "month" => format!("{:02}", civil.month),
        "day" => format!("{:02}", civil.day),
        "date" => day,
        "julian" => {
            let local = date.unix_seconds.saturating_add(i64::from(date.zone_minutes) * 60);
            (local.div_euclid(DAY_SECONDS) + JULIAN_EPOCH_DAYS).to_string()
        }
        "hour" => format!("{:02}", civil.hour),
        "minute" => format!("{:02}", civil.minute),
        "second" => format!("{:02}", civil.second),
        "time" => time,
        "iso8601" => format!("{day}T{time}{sign}{:02}:{:02}", zone / 60, zone % 60),
        "std11" => date.format(),
        "zone" => format!("{sign}{:02}{:02}", zone / 60, zone % 60),
        "weekday" => civil.weekday().to_string(),
        _ => return None,
    })
}

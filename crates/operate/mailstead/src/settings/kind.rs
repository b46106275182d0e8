//! What kinds of values a setting can have, how each is written, and what is wrong with one that does not fit.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use mail_types::DomainName;
use platform::network::Network;

/// The kind of a setting, with its bounds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// `true` or `false`.
    Switch,
    /// A whole number within bounds, both included.
    Number { min: u64, max: u64 },
    /// An amount of octets within bounds: `52428800`, `"50M"`.
    Octets { min: u64, max: u64 },
    /// A time span within bounds, in seconds: `30`, `"5m"`, `"2h"`.
    Seconds { min: u64, max: u64 },
    /// Points of the content filter, with a fraction or without: `6.31`.
    Points,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Any text.
    Text,
    /// A file or directory; a relative one is taken from the configuration file's directory.
    Path,
    /// A DNS host name.
    Host,
    /// A list of IP addresses.
    Addresses,
    /// A list of networks such as `"192.0.2.0/24"`.
    Networks,
    /// A text that fits, or none.
    Fitting(Fit),
    /// A list of texts, each of which fits.
    List(Fit),
    /// A list of certificate and key files: `[{ certificate = "…", key = "…" }]`.
    Certificates,
}

/// What a text has to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fit {
    /// As the manual says it.
    pub(crate) what: &'static str,
    pub(crate) fits: fn(&str) -> bool,
}

/// A setting's value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Value {
    Switch(bool),
    Number(u64),
    Octets(u64),
    Seconds(Duration),
    Text(String),
    Path(PathBuf),
    List(Vec<String>),
    Certificates(Vec<(PathBuf, PathBuf)>),
}

/// A value as it is written, in the file or in the environment, before its kind is known.
pub(crate) enum Written<'a> {
    Switch(bool),
    Number(i64),
    /// A number with a fraction, as it is written.
    Fraction(&'a str),
    Text(&'a str),
    List(Vec<&'a str>),
    Pairs(Vec<(&'a str, &'a str)>),
    Other(&'static str),
}

impl Kind {
    /// What a reader of the manual is told.
    pub(crate) fn describe(self) -> String {
        match self {
            Self::Switch => "true or false".into(),
            Self::Number { min, max } => format!("a number from {min} to {max}"),
            Self::Octets { min, max } => format!("octets, from {} to {}", show_octets(min), show_octets(max)),
            Self::Seconds { min, max } => {
                format!("a time, from {} to {}", show_seconds(min), show_seconds(max))
            }
            Self::Points => format!("points such as 6.31, from -{0} to {0}", mta::POINTS_MAX),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
            Self::Text => "text".into(),
            Self::Path => "a path".into(),
            Self::Host => "a host name".into(),
            Self::Addresses => "a list of IP addresses".into(),
            Self::Networks => "a list of networks such as \"192.0.2.0/24\"".into(),
            Self::Fitting(fit) => fit.what.into(),
            Self::List(fit) => format!("a list of {}", fit.what),
            Self::Certificates => "a list of { certificate = \"FILE\", key = \"FILE\" }".into(),
        }
    }

    /// Reads a value of this kind.
    pub(crate) fn read(self, written: &Written<'_>) -> Result<Value, String> {
        let value = match (self, written) {
            (Self::Switch, Written::Switch(on)) => Some(Value::Switch(*on)),
            (Self::Number { min, max }, Written::Number(number)) => {
                within(u64::try_from(*number).ok(), min, max).map(Value::Number)
            }
            (Self::Octets { min, max }, Written::Number(number)) => {
                within(u64::try_from(*number).ok(), min, max).map(Value::Octets)
            }
            (Self::Octets { min, max }, Written::Text(text)) => {
                within(read_octets(text), min, max).map(Value::Octets)
            }
            (Self::Seconds { min, max }, Written::Number(number)) => {
                within(u64::try_from(*number).ok(), min, max).map(|s| Value::Seconds(Duration::from_secs(s)))
            }
            (Self::Seconds { min, max }, Written::Text(text)) => {
                within(read_seconds(text), min, max).map(|s| Value::Seconds(Duration::from_secs(s)))
            }
            (Self::Points, Written::Number(number)) => read_points(&number.to_string()),
            (Self::Points, Written::Text(text) | Written::Fraction(text)) => read_points(text),
            (Self::Choice(words), Written::Text(text)) => {
                words.contains(text).then(|| Value::Text((*text).to_owned()))
            }
            (Self::Text, Written::Text(text)) => Some(Value::Text((*text).to_owned())),
            (Self::Path, Written::Text(text)) => (!text.is_empty()).then(|| Value::Path(text.into())),
            (Self::Host, Written::Text(text)) => {
                DomainName::parse(text).ok().map(|name| Value::Text(name.as_str().to_owned()))
            }
            (Self::Addresses, Written::List(items)) => {
                read_list(items, |item| item.parse::<IpAddr>().is_ok())
            }
            (Self::Networks, Written::List(items)) => {
                read_list(items, |item| item.parse::<Network>().is_ok())
            }
            (Self::Fitting(fit), Written::Text(text)) => {
                (text.is_empty() || (fit.fits)(text)).then(|| Value::Text((*text).to_owned()))
            }
            (Self::List(fit), Written::List(items)) => read_list(items, fit.fits),
            (Self::Certificates, Written::Pairs(pairs)) => Some(Value::Certificates(
                pairs.iter().map(|&(certificate, key)| (certificate.into(), key.into())).collect(),
            )),
            (Self::Certificates, Written::List(items)) if items.is_empty() => {
                Some(Value::Certificates(Vec::new()))
            }
            _ => None,
        };
        value.ok_or_else(|| format!("{} is not {}", written.show(), self.describe()))
    }

    /// Reads a value from an environment variable: lists are parted by commas, certificate and key by a colon.
    pub(crate) fn read_environment(self, text: &str) -> Result<Value, String> {
        let items = || text.split(',').map(str::trim).filter(|item| !item.is_empty());
        let written = match self {
            Self::Switch => match text {
                "true" | "1" | "yes" | "on" => Written::Switch(true),
                "false" | "0" | "no" | "off" => Written::Switch(false),
                _ => Written::Text(text),
            },
            Self::Number { .. } => text.parse().map_or(Written::Text(text), Written::Number),
            Self::Addresses | Self::Networks | Self::List(_) => Written::List(items().collect()),
            Self::Certificates => match items().map(|item| item.split_once(':')).collect() {
                Some(pairs) => Written::Pairs(pairs),
                None => Written::Text(text),
            },
            _ => Written::Text(text),
        };
        self.read(&written)
    }
}

impl Written<'_> {
    fn show(&self) -> String {
        match self {
            Self::Switch(on) => on.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Fraction(text) => (*text).to_owned(),
            Self::Text(text) => format!("{text:?}"),
            Self::List(items) => format!("{items:?}"),
            Self::Pairs(_) => "a list of certificates".into(),
            Self::Other(what) => (*what).into(),
        }
    }
}

impl Value {
    /// The value as it is written in the configuration file.
    pub(crate) fn to_toml(&self) -> String {
        let quote = |text: &str| toml::Value::from(text).to_string();
        match self {
            Self::Switch(on) => on.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Octets(octets) => quote(&show_octets(*octets)),
            Self::Seconds(time) => quote(&show_seconds(time.as_secs())),
            Self::Text(text) => quote(text),
            Self::Path(path) => quote(&path.to_string_lossy()),
            Self::List(items) => {
                format!("[{}]", items.iter().map(|item| quote(item)).collect::<Vec<_>>().join(", "))
            }
            Self::Certificates(pairs) => {
                let show = |(certificate, key): &(PathBuf, PathBuf)| {
                    let (certificate, key) = (certificate.to_string_lossy(), key.to_string_lossy());
                    format!("{{ certificate = {}, key = {} }}", quote(&certificate), quote(&key))
                };
                format!("[{}]", pairs.iter().map(show).collect::<Vec<_>>().join(", "))
            }
        }
    }

    /// The value for machines.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Switch(on) => (*on).into(),
            Self::Number(number) | Self::Octets(number) => (*number).into(),
            Self::Seconds(time) => time.as_secs().into(),
            Self::Text(text) => text.as_str().into(),
            Self::Path(path) => path.to_string_lossy().into(),
            Self::List(items) => items.clone().into(),
            Self::Certificates(pairs) => pairs
                .iter()
                .map(|(certificate, key)| serde_json::json!({ "certificate": certificate, "key": key }))
                .collect(),
        }
    }
}

fn within(number: Option<u64>, min: u64, max: u64) -> Option<u64> {
    number.filter(|number| (min..=max).contains(number))
}

fn read_points(text: &str) -> Option<Value> {
    mta::points(text).map(|_| Value::Text(text.trim().to_owned()))
}

fn read_list(items: &[&str], fits: impl Fn(&str) -> bool) -> Option<Value> {
    items
        .iter()
        .all(|item| fits(item))
        .then(|| Value::List(items.iter().map(|&item| item.to_owned()).collect()))
}

const OCTET_UNITS: [(&str, u64); 4] = [("T", 1 << 40), ("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10)];

/// Reads `1500`, `64K`, `50M`, `5G`, `2T` and the same with `B` or `iB` behind; units are powers of 1,024.
pub(crate) fn read_octets(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_uppercase();
    let text = text.strip_suffix("IB").or_else(|| text.strip_suffix('B')).unwrap_or(&text);
    let (digits, unit) = OCTET_UNITS
        .iter()
        .find_map(|&(name, unit)| Some((text.strip_suffix(name)?, unit)))
        .unwrap_or((text, 1));
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

/// Writes an amount in the largest unit that keeps it whole.
pub(crate) fn show_octets(octets: u64) -> String {
    OCTET_UNITS
        .iter()
        .find(|&&(_, unit)| octets >= unit && octets.is_multiple_of(unit))
        .map_or_else(|| octets.to_string(), |&(name, unit)| format!("{}{name}", octets / unit))
}

const TIME_UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];

/// Reads `30`, `30s`, `5m`, `2h`, `7d`.
pub(crate) fn read_seconds(text: &str) -> Option<u64> {
    let text = text.trim();
    let (digits, unit) = TIME_UNITS
        .iter()
        .find_map(|&(name, unit)| Some((text.strip_suffix(name)?, unit)))
        .unwrap_or((text, 1));
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

fn show_seconds(seconds: u64) -> String {
    TIME_UNITS
        .iter()
        .find(|&&(_, unit)| seconds >= unit && seconds.is_multiple_of(unit))
        .map_or_else(|| format!("{seconds}s"), |&(name, unit)| format!("{}{name}", seconds / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_back_as_written() {
        for text in ["0", "1023", "1K", "50M", "5G", "2T", "1025"] {
            assert_eq!(show_octets(read_octets(text).unwrap()), text);
        }
        assert_eq!(read_octets("50 MiB".replace(' ', "").as_str()), Some(50 << 20));
        for text in ["", "M", "-1", "1.5G", "99999999999T", "1Q"] {
            assert_eq!(read_octets(text), None, "{text}");
        }
    }

    #[test]
    fn times_read_back_as_written() {
        for text in ["1s", "90s", "5m", "36h", "7d", "0s"] {
            assert_eq!(show_seconds(read_seconds(text).unwrap()), text);
        }
        for text in ["", "s", "5 minutes", "-1s"] {
            assert_eq!(read_seconds(text), None, "{text}");
        }
    }

    #[test]
    fn bounds_hold() {
        let kind = Kind::Octets { min: 10, max: 20 };
        for (number, fits) in [(9, false), (10, true), (20, true), (21, false)] {
            assert_eq!(kind.read(&Written::Number(number)).is_ok(), fits, "{number}");
        }
    }
}

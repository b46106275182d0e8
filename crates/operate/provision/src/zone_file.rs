//! Records as they stand in a zone file (RFC 1035 §5.1), ready to be pasted into one or included by it.

use std::fmt::Write as _;

use dns::{Name, RecordData};

use crate::record::{Keeper, TTL_SECONDS, Wanted};

/// Octets of one character-string (RFC 1035 §3.3).
const STRING_OCTETS_MAX: usize = 255;

/// The records, each with a line that says why. Those that do not belong into the zone of `origin` are told of in comments.
#[must_use]
pub fn zone_file(origin: &Name, records: &[Wanted]) -> String {
    let mut text =
        format!("; Records of {origin} for its mail: add them to the zone, or $INCLUDE this file.\n");
    let _ = writeln!(text, "$TTL {TTL_SECONDS}");
    for wanted in records {
        let belongs = is_within(&wanted.name, origin) && wanted.purpose.keeper() == Keeper::Zone;
        let _ = writeln!(text, "\n; {}", wanted.why());
        let mark = if belongs { "" } else { "; " };
        let (name, kind) = (&wanted.name, wanted.purpose.kind());
        if wanted.values.is_empty() {
            let _ = writeln!(text, "; {name}. IN {kind} the server's address");
        }
        for value in &wanted.values {
            let value = match value {
                RecordData::Text(octets) => text_strings(octets),
                other => other.to_string(),
            };
            let _ = writeln!(text, "{mark}{name}. IN {kind} {value}");
        }
    }
    text
}

/// A text as the character-strings of a TXT record, quoted, none longer than it may be.
#[must_use]
pub fn text_strings(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len() + 8);
    for string in octets.chunks(STRING_OCTETS_MAX) {
        text.push_str(if text.is_empty() { "\"" } else { " \"" });
        for octet in string {
            match octet {
                b'"' | b'\\' => {
                    text.push('\\');
                    text.push(char::from(*octet));
                }
                b' '..=b'~' => text.push(char::from(*octet)),
                _ => {
                    let _ = write!(text, "\\{octet:03}");
                }
            }
        }
        text.push('"');
    }
    if text.is_empty() { "\"\"".to_owned() } else { text }
}

/// Whether a name is `origin` or below it.
#[must_use]
pub fn is_within(name: &Name, origin: &Name) -> bool {
    let above = |rest: &str| rest.is_empty() || rest.ends_with('.');
    origin.is_root() || name.as_str().strip_suffix(origin.as_str()).is_some_and(above)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_split_at_their_longest() {
        for (octets, strings) in [(254, 1), (255, 1), (256, 2), (510, 2), (511, 3)] {
            let text = text_strings(&vec![b'x'; octets]);
            assert_eq!(text.matches("\" \"").count() + 1, strings, "{octets}");
            assert_eq!(text.matches('x').count(), octets);
        }
        assert_eq!(text_strings(b""), "\"\"");
        assert_eq!(text_strings(b"a \"b\" \\ \xff\n"), r#""a \"b\" \\ \255\010""#);
    }

    #[test]
    fn names_lie_within_or_not() {
        let name = |text: &str| Name::parse(text).unwrap();
        for (inner, outer, within) in [
            ("example.org", "example.org", true),
            ("a.example.org", "example.org", true),
            ("badexample.org", "example.org", false),
            ("org", "example.org", false),
            ("example.org", ".", true),
        ] {
            assert_eq!(is_within(&name(inner), &name(outer)), within, "{inner} in {outer}");
        }
    }
}

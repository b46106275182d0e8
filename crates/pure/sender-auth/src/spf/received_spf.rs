//! Writing Received-SPF, which tells later readers what was checked and found (RFC 7208 §9.1).

use mail_types::ReversePath;

use super::{Identity, Outcome, Query, SpfResult};

/// Longest value in octets that the field repeats; the client chose some of them.
const VALUE_OCTETS_MAX: usize = 320;

/// Appends the field, a line for each thing it tells.
pub fn write_received_spf(identity: Identity, query: &Query<'_>, outcome: &Outcome, header: &mut Vec<u8>) {
    let helo = in_ascii(query.helo);
    let mut pairs = vec![
        ("client-ip", query.address.to_canonical().to_string()),
        (
            "envelope-from",
            match query.reverse_path {
                ReversePath::Null => format!("postmaster@{helo}"),
                ReversePath::Address(address) => address.to_string(),
            },
        ),
        ("helo", helo),
        ("receiver", query.receiver.to_owned()),
        (
            "identity",
            match identity {
                Identity::Helo => "helo".to_owned(),
                Identity::MailFrom => "mailfrom".to_owned(),
            },
        ),
    ];
    if let Some(problem) = &outcome.problem {
        pairs.push(("problem", problem.to_string()));
    }
    match &outcome.matched {
        Some(matched) => pairs.push(("mechanism", matched.directive.clone())),
        None if outcome.result == SpfResult::Neutral => pairs.push(("mechanism", "default".to_owned())),
        None => {}
    }
    let mut field = format!("Received-SPF: {} ({})", outcome.result, reading(outcome.result));
    for (index, (key, value)) in pairs.iter().enumerate() {
        let semicolon = if index == 0 { "" } else { ";" };
        field += &format!("{semicolon}\r\n\t{key}={}", quoted_as_needed(value));
    }
    field += "\r\n";
    header.extend_from_slice(field.as_bytes());
}

/// What the result means, for people.
fn reading(result: SpfResult) -> &'static str {
    match result {
        SpfResult::None => "the domain has no SPF record",
        SpfResult::Neutral => "the domain says nothing about the client",
        SpfResult::Pass => "the domain lets the client send",
        SpfResult::Fail => "the domain does not let the client send",
        SpfResult::SoftFail => "the domain probably does not let the client send",
        SpfResult::TempError => "DNS failed",
        SpfResult::PermError => "the domain's SPF record is wrong",
    }
}

/// Only an internationalised reverse-path shows that a message may have more than ASCII in its header (RFC 6532).
fn in_ascii(text: &str) -> String {
    text.chars().map(|character| if character.is_ascii() { character } else { '?' }).collect()
}

/// A dot-atom, else a quoted string without anything that could end it or its line (RFC 5322 §3.2.3, §3.2.4).
fn quoted_as_needed(value: &str) -> String {
    let end = value.floor_char_boundary(VALUE_OCTETS_MAX);
    let value = value.get(..end).unwrap_or_default();
    let is_atom = |atom: &str| {
        !atom.is_empty()
            && atom
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&octet))
    };
    if value.split('.').all(is_atom) {
        return value.to_owned();
    }
    let mut quoted = String::from('"');
    for character in value.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            other if other.is_control() => quoted.push('?'),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_atoms_or_quoted_and_have_an_end() {
        for (value, expected) in [
            ("192.0.2.1", "192.0.2.1"),
            ("2001:db8::1", "\"2001:db8::1\""),
            ("", "\"\""),
            ("a..b", "\"a..b\""),
            ("a\"\\\r\n b", "\"a\\\"\\\\?? b\""),
        ] {
            assert_eq!(quoted_as_needed(value), expected);
        }
        for octets in [VALUE_OCTETS_MAX - 1, VALUE_OCTETS_MAX, VALUE_OCTETS_MAX + 1] {
            assert_eq!(quoted_as_needed(&"x".repeat(octets)).len(), octets.min(VALUE_OCTETS_MAX));
        }
    }
}

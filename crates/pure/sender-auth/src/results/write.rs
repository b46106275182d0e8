//! Writing Authentication-Results (RFC 8601 §2.2).

use mail_types::DomainName;

use super::MethodResult;

/// Longest value that is told: an address with the longest local part and domain.
pub const VALUE_OCTETS_MAX: usize = 320;
/// Columns a line should not exceed, line end not counted (RFC 5322 §2.1.1).
const LINE_COLUMNS: usize = 78;

/// Appends the field.
pub fn write_results(authserv_id: &DomainName, results: &[MethodResult], header: &mut Vec<u8>) {
    header.extend_from_slice(b"Authentication-Results: ");
    header.extend_from_slice(results_value(authserv_id, results).as_bytes());
    header.extend_from_slice(b"\r\n");
}

/// The value of the field, folded: each result begins a line. ARC-Authentication-Results has the same behind its
/// instance (RFC 8617 §4.1.1).
#[must_use]
pub fn results_value(authserv_id: &DomainName, results: &[MethodResult]) -> String {
    let mut value = authserv_id.to_string();
    if results.is_empty() {
        value.push_str("; none");
    }
    for result in results {
        value.push_str(";\r\n\t");
        let mut column = 8;
        for (index, word) in words(result).enumerate() {
            if index > 0 && column + 1 + word.len() > LINE_COLUMNS {
                value.push_str("\r\n\t");
                column = 8;
            } else if index > 0 {
                value.push(' ');
                column += 1;
            }
            column += word.len();
            value.push_str(&word);
        }
    }
    value
}

fn words(result: &MethodResult) -> impl Iterator<Item = String> {
    let verdict = format!("{}={}", result.method.as_str(), result.verdict.as_str());
    let reason = result.reason.as_deref().map(|reason| format!("reason=\"{}\"", harmless(reason, ' ')));
    let properties = result.properties.iter().map(|property| {
        format!("{}.{}={}", property.kind.as_str(), property.name, written_value(&property.value))
    });
    std::iter::once(verdict).chain(reason).chain(properties)
}

/// A value as RFC 8601 §2.2 has it: a token, an address, or else a quoted string, in which nothing needs a backslash.
fn written_value(value: &str) -> String {
    let value = harmless(value, '?');
    let (local_part, domain) = value.split_once('@').unwrap_or(("", &value));
    let is_plain = !value.is_empty() && is_token(local_part) && is_token(domain) && !domain.is_empty();
    if is_plain { value } else { format!("\"{value}\"") }
}

/// What a stranger chose, without what could end a value, begin a result or a comment, or look like one: no
/// semicolons, quotes, brackets, equals signs, no blanks but in reasons. Better a value that is not quite what stood
/// there than a reader who is deceived.
fn harmless(text: &str, blank: char) -> String {
    let harmless = |char: char| match char {
        ' ' => blank,
        '"' | '\\' | '(' | ')' | '<' | '>' | '[' | ']' | ',' | ';' | '=' => '?',
        plain if plain.is_ascii_graphic() => plain,
        _ => '?',
    };
    text.chars().take(VALUE_OCTETS_MAX).map(harmless).collect()
}

/// RFC 2045 §5.1; may be empty, as the local part of `@example.org` is.
fn is_token(text: &str) -> bool {
    text.bytes().all(|octet| octet.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&octet))
}

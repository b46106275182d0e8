//! Finding Authentication-Results that claim to be ours and are not (RFC 8601 §5).

use mail_types::DomainName;

use super::{AuthenticationResults, is_same_name};

/// Whether a field that a message brought along has to be removed: it names one of our servers as its writer, however that
/// is spelled, or some reader could take it to: it cannot be read, or our name stands anywhere before its results.
#[must_use]
pub fn is_forged(value: &[u8], ours: &[DomainName]) -> bool {
    let Ok(read) = AuthenticationResults::parse(value) else { return true };
    let beginning = value.split(|&octet| octet == b';').next().unwrap_or_default();
    let beginning = String::from_utf8_lossy(beginning).to_lowercase();
    ours.iter().any(|ours| {
        is_same_name(&read.authserv_id, ours)
            || has_name(&beginning, ours.as_str())
            || has_name(&beginning, &ours.to_unicode())
    })
}

/// Whether a name stands in a text, not as the end or the beginning of another name.
fn has_name(text: &str, name: &str) -> bool {
    let is_of_name = |char: char| char.is_alphanumeric() || matches!(char, '.' | '-' | '_');
    text.match_indices(name).any(|(start, _)| {
        let before = text.get(..start).and_then(|before| before.chars().next_back());
        let mut behind = text.get(start + name.len()..).unwrap_or_default().chars();
        // A dot behind it may be the name's own.
        let behind = match behind.next() {
            Some('.') => behind.next(),
            other => other,
        };
        !before.is_some_and(is_of_name) && !behind.is_some_and(is_of_name)
    })
}

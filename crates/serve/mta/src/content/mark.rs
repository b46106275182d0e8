//! What the header of a message tells of its judgement, and what is put in front of the subject of spam.

use mailstore::{HeldReader, Holding, Store, StoreError};
use message::{Field, fields};
use spam::is_verdict_field;

/// Octets of a header in which a subject is looked for: a longer one keeps the subject that it has.
const HEADER_OCTETS_MAX: usize = 256 * 1024;

/// Fields that clients put into what they carry between places, so that they find it again: mbsync and offlineimap.
const CARRIERS: [&str; 2] = ["X-TUID", "X-OfflineIMAP"];

fn is_mark(field: &Field<'_>) -> bool {
    is_verdict_field(field.name) || CARRIERS.iter().any(|name| field.is_named(name))
}

/// A message without the fields that we have put in front of it for its judgement, and without those of clients that carried
/// it: what is learned is what was judged.
pub(crate) fn without_marks(octets: Vec<u8>) -> Vec<u8> {
    if !fields(&octets).any(|field| is_mark(&field)) {
        return octets;
    }
    let mut kept = Vec::with_capacity(octets.len());
    let mut all = fields(&octets);
    for field in all.by_ref().filter(|field| !is_mark(field)) {
        kept.extend_from_slice(field.raw);
    }
    kept.extend_from_slice(all.rest());
    kept
}

/// The message with `prefix` in front of its subject.
///
/// # Errors
/// The store's.
pub(crate) async fn with_subject(
    store: &Store,
    held: &HeldReader,
    prefix: &str,
) -> Result<Option<Holding>, StoreError> {
    let mut header = Vec::new();
    while header.len() < HEADER_OCTETS_MAX {
        let piece = held.read(header.len() as u64..u64::MAX).await?;
        if piece.is_empty() {
            break;
        }
        header.extend(piece);
    }
    let Some(changed) = with_prefix(&header, prefix) else { return Ok(None) };
    let mut holding = store.holding()?;
    holding.write(&changed).await?;
    let mut at = header.len() as u64;
    loop {
        let piece = held.read(at..u64::MAX).await?;
        if piece.is_empty() {
            return Ok(Some(holding));
        }
        at += piece.len() as u64;
        holding.write(&piece).await?;
    }
}

/// The beginning of a message with another subject; `None` if it stays as it is.
fn with_prefix(octets: &[u8], prefix: &str) -> Option<Vec<u8>> {
    let mut start = 0;
    let mut all = fields(octets);
    let subject = all.by_ref().find(|field| {
        let is_subject = field.is_named("Subject");
        start += if is_subject { 0 } else { field.raw.len() };
        is_subject
    });
    let Some(subject) = subject else {
        // Where the header's end is not in sight, it may have one.
        let is_whole = all.rest().starts_with(b"\r\n");
        return is_whole.then(|| [format!("Subject: {prefix}\r\n").as_bytes(), octets].concat());
    };
    let value = subject.value.trim_ascii_start();
    if value.starts_with(prefix.as_bytes()) {
        return None;
    }
    let (before, rest) = octets.split_at_checked(start)?;
    let (_, behind) = rest.split_at_checked(subject.raw.len())?;
    Some([before, b"Subject: ", prefix.as_bytes(), b" ", value, b"\r\n", behind].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_stands_in_front_of_the_subject_once() {
        for (before, after) in [
            (
                "To: a\r\nSubject: Hello\r\n World\r\nX: y\r\n\r\nSubject: body\r\n",
                "To: a\r\nSubject: *S* Hello\r\n World\r\nX: y\r\n\r\nSubject: body\r\n",
            ),
            ("To: a\r\n\r\nbody", "Subject: *S*\r\nTo: a\r\n\r\nbody"),
            ("subject:\r\n\r\n", "Subject: *S* \r\n\r\n"),
        ] {
            let changed = with_prefix(before.as_bytes(), "*S*").unwrap();
            assert_eq!(String::from_utf8_lossy(&changed), after);
            assert!(with_prefix(&changed, "*S*").is_none());
        }
    }
}

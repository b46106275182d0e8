//! `tag=value` lists as records in DNS have them: DMARC, MTA-STS, TLS-RPT (RFC 9989 §4.8, RFC 8461 §3.1, RFC 8460 §3).

/// Tags of one record that are read. DMARC has eleven; more is nonsense.
const TAGS_MAX: usize = 64;

/// The tags of a record in their order: a record begins with the version it names, in that very spelling. `None` if it
/// does not, so is another thing's record.
pub(crate) fn tags<'a>(record: &'a [u8], version: &str) -> Option<Vec<(&'a str, &'a str)>> {
    let record = std::str::from_utf8(record).ok()?;
    let mut fields = record.split(';').map(tag);
    if fields.next()? != Some(("v", version)) {
        return None;
    }
    // What is no tag is no reason to drop the others (RFC 9989 §4.7: syntax errors are ignored).
    Some(fields.take(TAGS_MAX).flatten().collect())
}

fn tag(field: &str) -> Option<(&str, &str)> {
    let (name, value) = field.split_once('=')?;
    Some((name.trim_matches(is_blank), value.trim_matches(is_blank)))
}

/// The first value of a tag; names are told apart by their letters, not by their case.
pub(crate) fn value<'a>(tags: &[(&str, &'a str)], name: &str) -> Option<&'a str> {
    tags.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_names_its_version_first() {
        assert_eq!(tags(b"v=X1; a=b", "X1"), Some(vec![("a", "b")]));
        assert_eq!(tags(b" v = X1 ;; A = b=c ;junk; \t", "X1"), Some(vec![("A", "b=c")]));
        for record in [&b"v=X10; a=b"[..], b"v=x1; a=b", b"a=b; v=X1", b"X1; a=b", b"", b"v=X1\xff"] {
            assert_eq!(tags(record, "X1"), None, "{}", String::from_utf8_lossy(record));
        }
        assert_eq!(value(&[("A", "1"), ("a", "2")], "a"), Some("1"));
    }

    #[test]
    fn tags_are_bounded() {
        for count in [TAGS_MAX - 1, TAGS_MAX, TAGS_MAX + 1] {
            let record = format!("v=X1{}", ";a=b".repeat(count));
            assert_eq!(tags(record.as_bytes(), "X1").unwrap().len(), count.min(TAGS_MAX));
        }
    }
}

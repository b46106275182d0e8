//! What holds for the summary of any message.
#![allow(dead_code, reason = "each test file uses some of it")]

use message::{Content, Limits, Part, Scanner, Span, Summary, choose_fields};

/// Scans a message handed over in chunks of this size.
pub(crate) fn scan(message: &[u8], chunk: usize) -> Summary {
    let mut scanner = Scanner::new(Limits::default());
    message.chunks(chunk.max(1)).for_each(|octets| scanner.feed(octets));
    scanner.finish()
}

/// Checks a summary against its message.
pub(crate) fn check(summary: &Summary, message: &[u8]) {
    assert_eq!(summary.octets, message.len() as u64);
    assert_eq!(summary.header_octets, summary.structure.header.octets());
    assert_eq!((summary.structure.header.start, summary.structure.body.end), (0, summary.octets));
    check_part(&summary.structure, Span::new(0, summary.octets), message);
    check_cached_fields(summary, message);
    let stored = summary.encode();
    assert_eq!(Summary::decode(&stored).as_ref(), Ok(summary));
    assert_eq!(Summary::decode_fields(&stored).as_ref(), Ok(&summary.fields));
}

/// Parts lie inside their parents, one behind the other, and count their lines rightly.
fn check_part(part: &Part, outer: Span, message: &[u8]) {
    assert!(outer.contains(part.header) && outer.contains(part.body), "{part:?} leaves {outer:?}");
    assert_eq!(part.header.end, part.body.start);
    let body = octets(message, part.body);
    assert_eq!(part.lines, body.iter().filter(|octet| **octet == b'\n').count() as u64);
    let is_message = part.is_media("message", "rfc822") || part.is_media("message", "global");
    match &part.content {
        Content::Leaf => assert!(part.media_type != b"multipart" && !is_message),
        Content::Multipart(parts) => {
            assert!(part.media_type == b"multipart" && !parts.is_empty());
            let mut end = part.body.start;
            for child in parts {
                assert!(end <= child.header.start);
                end = child.body.end;
                check_part(child, part.body, message);
            }
        }
        Content::Message(embedded) => {
            assert!(is_message);
            assert_eq!(embedded.structure.header.start, part.body.start);
            assert_eq!(embedded.structure.body.end, part.body.end);
            check_part(&embedded.structure, part.body, message);
        }
    }
}

/// What is chosen from the kept fields is what would be chosen from the message.
fn check_cached_fields(summary: &Summary, message: &[u8]) {
    let header = octets(message, summary.structure.header);
    for names in
        [&["From", "to", "CC", "Subject", "Date", "Message-ID"][..], &["X-Mailer", "Received"], &["X-Never"]]
    {
        let mut chosen = Vec::new();
        if summary.fields.choose(names, &mut chosen).is_some() {
            let mut expected = Vec::new();
            choose_fields(header, names, message::Choice::Named, &mut expected);
            assert_eq!(chosen.escape_ascii().to_string(), expected.escape_ascii().to_string(), "{names:?}");
        }
    }
}

/// The octets of a span.
pub(crate) fn octets(message: &[u8], span: Span) -> &[u8] {
    &message[span.start as usize..span.end as usize]
}

//! Any octets, cut anywhere, give the same summary; its parts lie inside each other; its text can be extracted.
#![no_main]

use std::ops::ControlFlow;

use libfuzzer_sys::fuzz_target;
use message::{Content, Limits, Part, Scanner, Span, Summary, TextExtraction, TextScope, visit_text};

/// Limits low enough for small inputs to reach them, which are many times faster than large ones.
const LIMITS: Limits = Limits {
    header_octets_max: 512,
    part_header_octets_max: 160,
    parts_max: 8,
    depth_max: 6,
    parameters_max: 6,
    addresses_max: 12,
    references_max: 4,
    cached_octets_max: 160,
    retained_octets_max: 256,
};

fuzz_target!(|octets: &[u8]| {
    let Some((chunk, message)) = octets.split_first() else { return };
    let summary = scan(message, message.len().max(1));
    assert_eq!(scan(message, usize::from(*chunk).max(1)), summary);
    assert_eq!(scan(message, 1), summary);
    assert_eq!(summary.octets, message.len() as u64);
    let whole = Span::new(0, summary.octets);
    check(&summary.structure, whole, message);
    assert_eq!(Summary::decode(&summary.encode()).as_ref(), Ok(&summary));
    extract(&summary, message);
});

fn scan(message: &[u8], chunk: usize) -> Summary {
    let mut scanner = Scanner::new(LIMITS);
    message.chunks(chunk).for_each(|octets| scanner.feed(octets));
    scanner.finish()
}

fn check(part: &Part, outer: Span, message: &[u8]) {
    assert!(outer.contains(part.header) && outer.contains(part.body));
    assert_eq!(part.header.end, part.body.start);
    let body = &message[part.body.start as usize..part.body.end as usize];
    assert_eq!(part.lines, body.iter().filter(|octet| **octet == b'\n').count() as u64);
    let _ = part.file_name();
    match &part.content {
        Content::Leaf => {
            assert_ne!(part.media_type, b"multipart");
            assert!(!part.is_media("message", "rfc822") && !part.is_media("message", "global"));
        }
        Content::Multipart(parts) => {
            assert!(!parts.is_empty());
            let mut end = part.body.start;
            for child in parts {
                assert!(child.header.start >= end);
                end = child.body.end;
                check(child, part.body, message);
            }
        }
        Content::Message(embedded) => {
            assert_eq!(embedded.structure.header.start, part.body.start);
            assert_eq!(embedded.structure.body.end, part.body.end);
            check(&embedded.structure, part.body, message);
        }
    }
}

fn extract(summary: &Summary, message: &[u8]) {
    for scope in [TextScope::Body, TextScope::HeaderAndBody] {
        let extraction = TextExtraction::new(&summary.structure, scope, 4_096);
        let read = |span: Span| Ok::<_, ()>(message[span.start as usize..span.end as usize].to_vec());
        let visited = visit_text(extraction, read, |_| ControlFlow::Continue(()));
        assert_eq!(visited, Ok(()));
    }
}

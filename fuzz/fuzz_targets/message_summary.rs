//! Any octets as a stored summary: refused or read, never a panic; what is read is written back alike.
#![no_main]

use libfuzzer_sys::fuzz_target;
use message::{SectionText, Summary};

fuzz_target!(|octets: &[u8]| {
    let fields = Summary::decode_fields(octets);
    let Ok(summary) = Summary::decode(octets) else { return };
    assert_eq!(fields.as_ref(), Ok(&summary.fields));
    let written = summary.encode();
    let again = Summary::decode(&written).expect("what was written can be read");
    assert_eq!(again.encode(), written);
    let _ = summary.has_attachment();
    let _ = summary.preview_part();
    let mut chosen = Vec::new();
    let _ = summary.fields.choose(&["From", "X-Other"], &mut chosen);
    for path in [&[][..], &[1], &[1, 1], &[2, 1, 3]] {
        for text in [SectionText::Whole, SectionText::Header, SectionText::Text, SectionText::Mime] {
            let _ = summary.section(path, text);
        }
    }
});

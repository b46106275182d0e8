//! Any octets as header fields, address lists, dates, identifiers; what is written can be read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use message::{
    Addressee, Choice, Collected, Date, Envelope, FieldFilter, HeaderCollector, decode_field_text, fields,
    message_ids, parse_addresses, unfold, write_text_field,
};

const ADDRESSEES_MAX: usize = 10;

fuzz_target!(|octets: &[u8]| {
    let Some((chunk, octets)) = octets.split_first() else { return };
    let chunk = usize::from(*chunk).max(1);
    check_fields(octets, chunk);
    check_values(octets);
    let _ = Envelope::read(octets, ADDRESSEES_MAX);
    check_writing(octets);
});

fn check_fields(octets: &[u8], chunk: usize) {
    let mut all = fields(octets);
    let mut header = Vec::new();
    all.by_ref().for_each(|field| header.extend_from_slice(field.raw));
    let rest = all.rest();
    assert_eq!([header.as_slice(), rest].concat(), octets);
    for choice in [Choice::Named, Choice::Others] {
        let choose = |chunk: usize| {
            let mut filter = FieldFilter::new(&["Subject", "to"], choice);
            let mut chosen = Vec::new();
            octets.chunks(chunk).for_each(|octets| {
                filter.feed(octets, &mut chosen);
            });
            filter.finish(&mut chosen);
            chosen
        };
        assert_eq!(choose(chunk), choose(octets.len().max(1)));
    }
    let collect = |chunk: usize| {
        let mut collector = HeaderCollector::new(octets.len());
        for octets in octets.chunks(chunk) {
            assert_ne!(collector.feed(octets), Collected::TooLong);
        }
        collector.into_header()
    };
    let collected = collect(chunk);
    assert!(octets.starts_with(&collected));
    assert_eq!(collected, collect(1));
}

fn check_values(octets: &[u8]) {
    let found = parse_addresses(octets, ADDRESSEES_MAX);
    assert!(found.len() <= ADDRESSEES_MAX);
    let opened = found.iter().filter(|entry| matches!(entry, Addressee::GroupStart { .. })).count();
    let closed = found.iter().filter(|entry| matches!(entry, Addressee::GroupEnd)).count();
    assert_eq!(opened, closed);
    assert!(!unfold(octets).iter().any(|octet| matches!(octet, b'\r' | b'\n' | 0)));
    message_ids(octets).for_each(|id| assert!(!id.is_empty()));
    let _ = decode_field_text(octets);
    if let Some(date) = Date::parse(octets) {
        let written = date.format();
        assert_eq!(Date::parse(written.as_bytes()), Some(date), "{written}");
    }
}

fn check_writing(octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    let mut header = Vec::new();
    write_text_field("Subject", &text, &mut header);
    assert!(header.is_ascii() && header.split(|octet| *octet == b'\n').all(|line| line.len() <= 999));
    let read: Vec<_> = fields(&header).collect();
    assert_eq!(read.len(), 1);
    let expected: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    assert_eq!(decode_field_text(read[0].value), expected.trim());
}

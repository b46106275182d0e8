//! Any rule file and any message give a verdict within bounds, which can be written and read back. The input is a rule file, a NUL, and
//! a message.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spam::{
    Catalogue, Facts, HITS_MAX, Hit, Language, Ours, RuleReader, Thresholds, ToldVerdict, URIS_MAX, uris, weigh,
};

fuzz_target!(|octets: &[u8]| {
    let (rules, message) = match octets.iter().position(|octet| *octet == 0) {
        Some(at) => (&octets[..at], &octets[at + 1..]),
        None => (octets, octets),
    };
    let mut reader = RuleReader::default();
    reader.read("fuzz.cf", rules, &mut |_| None);
    let mut catalogue = Catalogue::default();
    catalogue.take_files(reader.finish());
    let ours = Ours::new(&[], ["Ann Example"]);
    let wanted: Vec<Language> = Language::parse("en").into_iter().collect();
    let raised = [catalogue.raise("SPF_FAIL", ""), Hit::new("LISTED", 3.0, "listed")];
    let facts = Facts {
        arrived_unix_seconds: Some(0),
        client: Some([192, 0, 2, 1].into()),
        helo: Some("a.example"),
        reverse_path: Some("a@b.example"),
        ours: Some(&ours),
        wanted_languages: &wanted,
        raised: &raised,
        ..Facts::default()
    };
    let verdict = weigh(message, None, &facts, &catalogue);
    assert!(verdict.score().is_finite() && verdict.hits().len() <= HITS_MAX);
    assert!(uris(message).len() <= URIS_MAX);
    let mut header = Vec::new();
    verdict.write_fields(&Thresholds { tag: -1e9, ..Thresholds::default() }, &mut header);
    let told = ToldVerdict::read(&header).expect("what is written can be read");
    assert!((told.score - verdict.score()).abs() < 0.01);
    let _ = ToldVerdict::read(message);
});

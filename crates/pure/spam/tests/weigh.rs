//! Any message and any rule file give a verdict within bounds, and any verdict can be written and read back.

use proptest::prelude::*;
use spam::{
    Catalogue, Facts, HITS_MAX, HITS_TOLD_MAX, Hit, LINKS_MAX, Language, Ours, RuleReader, Thresholds,
    ToldVerdict, URIS_MAX, Verdict, is_verdict_field, uris, weigh,
};

/// Pieces that messages are made of, and some that they should not be.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"From: \"a@b.example\" <p\xd0\xb0ypal@paypa1.com>\n".to_vec()),
        Just(b"Subject: =?utf-8?B?w7zDvMO8?= RE: $1,000!!!\n".to_vec()),
        Just(b"Content-Type: multipart/alternative; boundary=b\n".to_vec()),
        Just(b"Content-Type: text/html; charset=x\nContent-Transfer-Encoding: base64\n".to_vec()),
        Just(b"\n--b\n".to_vec()),
        Just(b"\n\n".to_vec()),
        Just(b"<a href='http://x@xn--pypal-4ve.com:81/%41%42'>https://bank.example".to_vec()),
        Just(b"<div style='display:none;font-size:0'><!-- --><font color=#fff>".to_vec()),
        Just(b"www.\xe2\x80\x8b.example http://[::1]:0/ http://1/ ://".to_vec()),
        prop::collection::vec(any::<u8>(), 0..40),
    ];
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

/// Pieces of rule files.
fn rules() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\nbody A /".to_vec()),
        Just(b"\nheader B From:addr =~ m{".to_vec()),
        Just(b"\nmeta C (A + B) > 1 || !D".to_vec()),
        Just(b"\nreplace_tag T (?:a|<T>)\nreplace_rules A\nuri A /<T>".to_vec()),
        Just(b"(?<!a\\x)[^]\\d-]{2,}+(?=\\b)$".to_vec()),
        Just(b"/i\nif (version > 3)\n".to_vec()),
        Just(b"}xs\nscore A 1 2 3 (4)\ntflags A multiple maxhits=3\n".to_vec()),
        prop::collection::vec(any::<u8>(), 0..20),
    ];
    prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn anything_gets_a_verdict_within_bounds(message in message(), rules in rules()) {
        let mut reader = RuleReader::default();
        reader.read("x.cf", &rules, &mut |_| Some(rules.clone()));
        let mut catalogue = Catalogue::default();
        catalogue.take_files(reader.finish());
        let ours = Ours::new(&[], ["Ann Example"]);
        let wanted = [Language::parse("en").unwrap()];
        let facts = Facts { arrived_unix_seconds: Some(0), ours: Some(&ours), wanted_languages: &wanted, ..Facts::default() };
        let verdict = weigh(&message, None, &facts, &catalogue);
        prop_assert!(verdict.score().is_finite() && verdict.hits().len() <= HITS_MAX);
        prop_assert!(uris(&message).len() <= URIS_MAX.min(LINKS_MAX));
    }

    #[test]
    fn what_is_told_is_read_back(hits in prop::collection::vec((".{0,80}", -20.0..20.0_f32, ".{0,300}"), 0..100)) {
        let hits = hits.iter().map(|(name, points, words)| Hit::new(name, *points, words));
        let verdict = Verdict::new(None, hits.collect());
        let mut header = Vec::new();
        let thresholds = Thresholds { tag: -1e9, ..Thresholds::default() };
        verdict.write_fields(&thresholds, &mut header);
        prop_assert!(header.split(|octet| *octet == b'\n').all(|line| line.len() <= 998));
        let fields: Vec<_> = header.split(|octet| *octet == b'\n').filter(|line| !line.starts_with(b" ") && !line.starts_with(b"\t") && !line.is_empty()).collect();
        prop_assert!(fields.iter().all(|line| is_verdict_field(line.split(|octet| *octet == b':').next().unwrap())));
        let told = ToldVerdict::read(&header).unwrap();
        prop_assert!((told.score - verdict.score()).abs() < 0.01);
        prop_assert_eq!(told.hits.len(), verdict.hits().len().min(HITS_TOLD_MAX));
        for (told, hit) in told.hits.iter().zip(verdict.hits()) {
            prop_assert_eq!(told.name(), hit.name());
        }
    }
}

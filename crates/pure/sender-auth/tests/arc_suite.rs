//! The published ARC test suite (of the drafts of RFC 8617), from `MAILSTEAD_VECTORS`, and chains of our own.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it cannot go on")]

mod mail;

use std::fs;
use std::path::{Path, PathBuf};

use mail::{NOW, Records, chain, crlf, key, read, seal, sign, split};
use proptest::prelude::*;
use sender_auth::arc::{ChainFault, ChainResult, SealError, Sealer};
use sender_auth::dkim::{Fault, SigningKey};
use yaml_rust2::{Yaml, YamlLoader};

/// Published cases in which we differ; docs/internals/dkim.md argues each.
const DEVIATIONS: [(&str, ChainResult); 1] = [("ams_fields_h_empty", ChainResult::Fail)];

/// Loads a file of the suite. YAML has no name twice in a mapping; the suite has, and the second ones are not lost.
fn scenarios(directory: &Path, file: &str) -> Vec<Yaml> {
    let text = fs::read_to_string(directory.join(file)).expect("the published tests");
    let mut seen = std::collections::HashSet::new();
    let mut lines = Vec::new();
    for line in text.lines() {
        let name = line.strip_prefix("  ").and_then(|line| line.strip_suffix(':'));
        match name {
            Some(name) if !name.starts_with(' ') && !seen.insert(name.to_owned()) => {
                lines.push(format!("  {name}_again_{}:", lines.len()));
            }
            _ => lines.push(line.to_owned()),
        }
    }
    YamlLoader::load_from_str(&lines.join("\n")).expect("YAML")
}

fn records(scenario: &Yaml) -> Records {
    let records = scenario["txt-records"].as_hash().expect("records");
    let text = |yaml: &Yaml| yaml.as_str().expect("a text").to_owned();
    Records(records.iter().map(|(name, record)| (text(name), text(record))).collect())
}

fn tests(scenario: &Yaml) -> impl Iterator<Item = (&str, &Yaml)> {
    let tests = scenario["tests"].as_hash().expect("tests");
    tests.iter().map(|(name, test)| (name.as_str().expect("a name"), test))
}

fn vectors() -> Option<PathBuf> {
    let directory = std::env::var_os("MAILSTEAD_VECTORS").map(PathBuf::from);
    if directory.is_none() {
        println!("MAILSTEAD_VECTORS is not set: only our own chains are tested");
    }
    directory
}

#[test]
fn published_chains_are_validated() {
    let Some(directory) = vectors() else { return };
    let mut count = 0;
    let mut wrong = Vec::new();
    for scenario in scenarios(&directory, "arc-draft-validation-tests.yml") {
        let records = records(&scenario);
        for (name, test) in tests(&scenario) {
            count += 1;
            let expected = match test["cv"].as_str().unwrap_or_default().to_lowercase().as_str() {
                "none" => ChainResult::None,
                "pass" => ChainResult::Pass,
                // Nothing stands where the newest seal says "fail": RFC 8617 §5.2 step 2 says what the drafts did not.
                "fail" | "" => ChainResult::Fail,
                other => panic!("what is {other}?"),
            };
            let expected =
                DEVIATIONS.iter().find(|(other, _)| *other == name).map_or(expected, |(_, ours)| *ours);
            let verdict = chain(&crlf(test["message"].as_str().expect("a message")), &records);
            if verdict.result != expected {
                wrong.push(format!("{name}: {expected:?}, not {:?} ({:?})", verdict.result, verdict.fault));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count >= 150, "only {count} tests");
    println!("{count} published chains");
}

/// What the suite wants others to write differs from ours only in the order of tags and in the chosen fields. So its
/// fields have to verify, and ours have to have the same place in the chain, the same hash of the body, and to verify too.
#[test]
fn published_messages_are_sealed() {
    let Some(directory) = vectors() else { return };
    let ours = key("seal.example", "ours", SigningKey::generate_ed25519().unwrap());
    let mut count = 0;
    for scenario in scenarios(&directory, "arc-draft-sign-tests.yml") {
        let mut records = records(&scenario);
        records.0.extend(Records::of(std::slice::from_ref(&ours)).0);
        for (name, test) in tests(&scenario) {
            count += 1;
            let message = crlf(test["message"].as_str().expect("a message"));
            let field = |tag: &str| unfolded(test[tag].as_str().unwrap_or_default());
            if field("AS").is_empty() {
                let (header, _) = split(&message);
                assert_eq!(Sealer::new(header, NOW).err(), Some(SealError::FailedBefore), "{name}");
                continue;
            }
            let theirs = format!(
                "ARC-Seal: {}\r\nARC-Message-Signature: {}\r\nARC-Authentication-Results: {}\r\n",
                field("AS"),
                field("AMS"),
                field("AAR")
            );
            let theirs = [theirs.into_bytes(), message.clone()].concat();
            let verdict = chain(&theirs, &records);
            let has_failed = field("AS").contains("cv=fail");
            if has_failed {
                assert!(matches!(verdict.fault, Some(ChainFault::SealedAsFailed(_))), "{name}");
            } else {
                assert_eq!((verdict.result, verdict.fault), (ChainResult::Pass, None), "{name}");
            }
            let status = if has_failed { ChainResult::Fail } else { chain(&message, &records).result };
            let sealed = seal(&message, &ours, "seal.example; none", status).unwrap();
            assert_eq!(tag(&sealed, "bh"), tag(&theirs, "bh"), "{name}");
            assert_eq!(tag(&sealed, "cv"), tag(&theirs, "cv"), "{name}");
            assert_eq!(tag(&sealed, "i"), tag(&theirs, "i"), "{name}");
            let expected = if has_failed { ChainResult::Fail } else { ChainResult::Pass };
            assert_eq!(chain(&sealed, &records).result, expected, "{name}");
        }
    }
    assert!(count >= 15, "only {count} tests");
}

/// A field as it was sealed: the suite folds it to be read, even inside of signatures.
fn unfolded(field: &str) -> String {
    let tags = field.trim().split(';').map(|tag| match tag.trim_start().strip_prefix("b=") {
        Some(signature) => format!(" b={}", signature.split_whitespace().collect::<String>()),
        None => tag.replace('\n', " "),
    });
    tags.collect::<Vec<_>>().join(";")
}

/// The first value of a tag in the topmost set.
fn tag(message: &[u8], name: &str) -> String {
    let fields = message::fields(message).take(3).flat_map(|field| field.value.to_vec()).collect::<Vec<u8>>();
    let text = String::from_utf8(fields).unwrap();
    let found = text.split([';', ' ', '\t']).find_map(|tag| tag.trim().strip_prefix(&format!("{name}=")));
    found.unwrap_or_default().to_owned()
}

const MAIL: &str = "From: ann@a.example\nTo: list@l.example\nSubject: Hello\n\nHello, all.\n";

fn keys() -> [sender_auth::dkim::KeyFor; 3] {
    ["a.example", "l.example", "f.example"]
        .map(|domain| key(domain, "s", SigningKey::generate_ed25519().unwrap()))
}

/// A signed message to a list, which changes it, and on to a forwarder, which does not.
#[test]
fn a_message_goes_over_a_list() {
    let [author, list, forwarder] = keys();
    let records = Records::of(&[author.clone(), list.clone(), forwarder.clone()]);
    let signed = sign(&crlf(MAIL), &[author]);
    assert_eq!(chain(&signed, &records).result, ChainResult::None);

    let changed = String::from_utf8(signed).unwrap().replace("Subject: Hello", "Subject: [list] Hello")
        + "-- \r\nlist\r\n";
    let at_list = "mx.l.example;\r\n\tdkim=pass header.d=a.example;\r\n\tdmarc=pass header.from=a.example";
    let sealed = seal(changed.as_bytes(), &list, at_list, ChainResult::None).unwrap();
    let verdict = chain(&sealed, &records);
    assert_eq!((verdict.result, verdict.oldest_pass), (ChainResult::Pass, Some(0)));

    let again = seal(&sealed, &forwarder, "mx.f.example; arc=pass", ChainResult::Pass).unwrap();
    let verdict = chain(&again, &records);
    assert_eq!((verdict.result, verdict.oldest_pass), (ChainResult::Pass, Some(0)));
    let hops: Vec<_> =
        verdict.hops.iter().map(|hop| (hop.instance, hop.domain.as_str(), &*hop.selector)).collect();
    assert_eq!(hops, [(1, "l.example", "s"), (2, "f.example", "s")]);
    assert_eq!(
        String::from_utf8_lossy(&verdict.hops[0].authentication_results),
        "mx.l.example;\tdkim=pass header.d=a.example;\tdmarc=pass header.from=a.example"
    );
}

#[test]
fn oldest_pass_says_since_when_a_message_is_unchanged() {
    let [first, second, third] = keys();
    let records = Records::of(&[first.clone(), second.clone(), third.clone()]);
    let message = seal(&crlf(MAIL), &first, "one.example; none", ChainResult::None).unwrap();
    let changed = [&message[..], b"PS: more\r\n"].concat();
    assert_eq!(chain(&changed, &records).fault, Some(ChainFault::Message(1, Fault::BodyChanged)));
    let message = seal(&changed, &second, "two.example; arc=pass", ChainResult::Pass).unwrap();
    let message = seal(&message, &third, "three.example; arc=pass", ChainResult::Pass).unwrap();
    let verdict = chain(&message, &records);
    assert_eq!((verdict.result, verdict.oldest_pass), (ChainResult::Pass, Some(2)));
}

#[test]
fn chains_cannot_be_tampered_with() {
    let [first, second, third] = keys();
    let records = Records::of(&[first.clone(), second.clone()]);
    let message = seal(&crlf(MAIL), &first, "one.example; dmarc=fail", ChainResult::None).unwrap();
    let message = seal(&message, &second, "two.example; arc=pass", ChainResult::Pass).unwrap();
    let text = String::from_utf8(message.clone()).unwrap();
    let fault = |text: &str| chain(text.as_bytes(), &records).fault;
    assert_eq!(fault(&text), None);
    // What somebody saw, and what everybody sees.
    let results = text.replace("dmarc=fail", "dmarc=pass");
    assert_eq!(fault(&results), Some(ChainFault::Seal(2, Fault::HeaderChanged)));
    let subject = text.replace("Subject: Hello", "Subject: Other");
    assert_eq!(fault(&subject), Some(ChainFault::Message(2, Fault::HeaderChanged)));
    assert_eq!(
        fault(&format!("From: eve@a.example\r\n{text}")),
        Some(ChainFault::Message(2, Fault::HeaderChanged))
    );
    // A set taken out, half a set, a set twice.
    let sets: Vec<&[u8]> = message::fields(&message).take(6).map(|field| field.raw).collect();
    let rest = message.strip_prefix(&sets.concat()[..]).unwrap();
    let with = |sets: &[&[u8]]| chain(&[&sets.concat()[..], rest].concat(), &records);
    assert_eq!(with(&sets[3..]).result, ChainResult::Pass);
    assert_eq!(with(&sets[..3]).fault, Some(ChainFault::NotWhole(1)));
    assert_eq!(with(&sets[1..]).fault, Some(ChainFault::NotWhole(2)));
    assert_eq!(with(&[&sets[..], &sets[3..]].concat()).fault, Some(ChainFault::NotWhole(1)));
    assert_eq!(with(&[]).result, ChainResult::None);
    let mut turned = sets.clone();
    turned.reverse();
    assert_eq!(with(&turned).result, ChainResult::Pass, "the instances say the order, not the place");
    // A seal whose key nobody knows.
    let unknown = seal(&message, &third, "three.example; arc=pass", ChainResult::Pass).unwrap();
    assert_eq!(chain(&unknown, &records).fault, Some(ChainFault::Message(3, Fault::NoKey)));
}

#[test]
fn a_broken_chain_is_sealed_once_and_stays_broken() {
    let [first, second, _] = keys();
    let records = Records::of(&[first.clone(), second.clone()]);
    let message = seal(&crlf(MAIL), &first, "one.example; none", ChainResult::None).unwrap();
    let changed = [&message[..], b"more\r\n"].concat();
    assert_eq!(
        seal(&changed, &second, "two.example; arc=fail", ChainResult::None).err(),
        Some(SealError::WrongStatus(ChainResult::None))
    );
    let failed = seal(&changed, &second, "two.example; arc=fail", ChainResult::Fail).unwrap();
    assert_eq!(chain(&failed, &records).fault, Some(ChainFault::SealedAsFailed(2)));
    assert_eq!(
        seal(&failed, &first, "one.example; arc=fail", ChainResult::Fail).err(),
        Some(SealError::FailedBefore)
    );
    let plain = crlf(MAIL);
    for status in [ChainResult::Pass, ChainResult::Fail] {
        assert_eq!(seal(&plain, &first, "a; none", status).err(), Some(SealError::WrongStatus(status)));
    }
    assert_eq!(seal(&plain, &first, "a\nBcc: b", ChainResult::None).err(), Some(SealError::BadResults));
}

#[test]
fn a_chain_has_at_most_fifty_sets() {
    let [sealer, ..] = keys();
    let records = Records::of(std::slice::from_ref(&sealer));
    let mut message = crlf(MAIL);
    let mut status = ChainResult::None;
    for _ in 0..50 {
        message = seal(&message, &sealer, "one.example; none", status).unwrap();
        status = ChainResult::Pass;
    }
    let verdict = chain(&message, &records);
    assert_eq!((verdict.result, verdict.oldest_pass, verdict.hops.len()), (ChainResult::Pass, Some(0), 50));
    assert_eq!(seal(&message, &sealer, "one.example; none", status).err(), Some(SealError::ChainFull));
}

proptest! {
    #[test]
    fn no_sealed_octet_can_be_changed(
        place in any::<prop::sample::Index>(), new in b'!'..=b'~', chunk in 1_usize..50
    ) {
        let [first, second, _] = keys();
        let records = Records::of(&[first.clone(), second.clone()]);
        let message = seal(&crlf(MAIL), &first, "one.example; none", ChainResult::None).unwrap();
        let mut message = seal(&message, &second, "two.example; arc=pass", ChainResult::Pass).unwrap();
        // Not line ends and blanks, which are relaxed, and not the last letter of base64, which has bits without meaning.
        let sealed: Vec<usize> = (0..message.len())
            .filter(|&at| message[at].is_ascii_alphanumeric() && !message[at + 1..].starts_with(b"=="))
            .collect();
        let at = sealed[place.index(sealed.len())];
        let is_same = message[at].eq_ignore_ascii_case(&new);
        message[at] = new;
        let verdict = chain(&message, &records);
        prop_assert!(is_same || verdict.result == ChainResult::Fail, "{}", String::from_utf8_lossy(&message));
        let in_chunks = read(&message, chunk);
        prop_assert_eq!(records.settle(|answers| in_chunks.judge_chain(answers, NOW)), verdict);
    }
}

//! ARC under any message: a verdict does not depend on chunks, only whole chains have hops, and a seal of ours on a chain
//! that passes leaves one that passes.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mail_types::DomainName;
use sender_auth::arc::{ChainFault, ChainResult, ChainVerdict, SealError, Sealer};
use sender_auth::dkim::{Fault, KeyFor, Limits, Selector, SigningKey, Verifier};
use sender_auth::{Answers, Needs, Question, Reply};

const NOW: u64 = 4_000_000_000;

static KEY: LazyLock<KeyFor> = LazyLock::new(|| {
    let key = SigningKey::parse("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=").expect("a seed");
    let domain = DomainName::parse("example.org").expect("a name");
    KeyFor::new(domain, Selector::parse("fuzz").expect("a selector"), key).expect("a short name")
});

fuzz_target!(|octets: &[u8]| {
    let Some(([chunk, cut], input)) = octets.split_first_chunk::<2>() else { return };
    let (results, message) = input.split_at(input.len() * usize::from(*cut) / 256);
    let (header, body) = split(message);
    let chunk = usize::from(*chunk) + 1;
    let verdict = validate(header, body, usize::MAX);
    assert_eq!(verdict, validate(header, body, chunk));
    assert_eq!(verdict.fault.is_some(), verdict.result == ChainResult::Fail);
    assert_eq!(!verdict.hops.is_empty(), verdict.result == ChainResult::Pass);
    // A header that begins with a fold would continue whatever stands above it.
    if !header.starts_with(b" ") && !header.starts_with(b"\t") {
        seal(header, body, chunk, &String::from_utf8_lossy(results), verdict);
    }
});

fn seal(header: &[u8], body: &[u8], chunk: usize, results: &str, before: ChainVerdict) {
    let Ok(mut sealer) = Sealer::new(header, NOW) else { return };
    body.chunks(chunk).for_each(|octets| sealer.body(octets));
    let fields = match sealer.finish(&KEY, results, before.result) {
        Ok(fields) => fields,
        Err(SealError::BadResults) => return,
        Err(error) => panic!("{error}"),
    };
    let names: Vec<_> = message::fields(&fields).map(|field| field.name).collect();
    assert_eq!(names, [&b"ARC-Seal"[..], b"ARC-Message-Signature", b"ARC-Authentication-Results"]);
    let after = validate(&[&fields, header].concat(), body, chunk);
    match (before.result, after.fault) {
        (ChainResult::Fail, fault) => assert!(fault.is_some()),
        (_, None) => assert_eq!(after.hops.len(), before.hops.len() + 1),
        (_, Some(fault)) => assert!(matches!(fault, ChainFault::Message(_, Fault::FromAdded)), "{fault:?}"),
    }
}

fn validate(header: &[u8], body: &[u8], chunk: usize) -> ChainVerdict {
    let mut verifier = Verifier::new(header, Limits::default());
    body.chunks(chunk).for_each(|octets| verifier.body(octets));
    let verification = verifier.finish();
    let mut answers = Answers::new();
    let record = KEY.key().public_record().expect("a record");
    for _ in 0..3 {
        match verification.judge_chain(&answers, NOW) {
            Ok(verdict) => return verdict,
            Err(Needs(questions)) => {
                for question in questions {
                    answer(&mut answers, question, record.as_bytes());
                }
            }
        }
    }
    panic!("it asks twice at most");
}

fn answer(answers: &mut Answers, question: Question, record: &[u8]) {
    answers.add(question, Ok(Reply::Txt(vec![record.into()])));
}

fn split(message: &[u8]) -> (&[u8], &[u8]) {
    let mut fields = message::fields(message);
    fields.by_ref().for_each(drop);
    let body = fields.rest();
    (&message[..message.len() - body.len()], &body[message::blank_line_octets(body).unwrap_or(0)..])
}

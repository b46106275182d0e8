//! DKIM under any message and any key record: a verdict does not depend on chunks, a pass keeps its promises, and what we
//! sign verifies.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mail_types::DomainName;
use sender_auth::dkim::{
    DkimResult, Fault, KeyFor, Limits, Selector, SignatureVerdict, Signer, SigningKey, SigningOptions,
    Verifier,
};
use sender_auth::{Answers, Needs, Question, Reply};

const NOW: u64 = 1_800_000_000;

static KEY: LazyLock<KeyFor> = LazyLock::new(|| {
    let key = SigningKey::parse("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=").expect("a seed");
    let domain = DomainName::parse("example.org").expect("a name");
    KeyFor::new(domain, Selector::parse("fuzz").expect("a selector"), key).expect("a short name")
});

fuzz_target!(|octets: &[u8]| {
    let Some(([chunk, cut], input)) = octets.split_first_chunk::<2>() else { return };
    let (record, message) = input.split_at(input.len() * usize::from(*cut) / 256);
    let (header, body) = split(message);
    let verdicts = verify(header, body, usize::MAX, record);
    assert_eq!(verdicts, verify(header, body, usize::from(*chunk) + 1, record));
    for verdict in &verdicts {
        assert_eq!(verdict.result, verdict.fault.map_or(DkimResult::Pass, Fault::result));
        if verdict.result == DkimResult::Pass {
            assert!(
                verdict.passing_domain().is_some()
                    && verdict.signed_fields.iter().any(|name| **name == *"from")
            );
            assert_eq!(verdict.unsigned_body_octets, 0);
        }
    }
    // A header that begins with a fold would continue whatever stands above it.
    if !header.starts_with(b" ") && !header.starts_with(b"\t") {
        sign(header, body, usize::from(*chunk) + 1);
    }
});

fn sign(header: &[u8], body: &[u8], chunk: usize) {
    let options = SigningOptions { now: NOW, good_for_seconds: Some(1) };
    let mut signer = Signer::new(header, std::slice::from_ref(&*KEY), options);
    body.chunks(chunk).for_each(|octets| signer.body(octets));
    let field = signer.finish().expect("a signature");
    assert_eq!(message::fields(&field).count(), 1);
    let record = KEY.key().public_record().expect("a record");
    let verdicts = verify(&[&field, header].concat(), body, chunk, record.as_bytes());
    assert!(matches!(verdicts[0].fault, None | Some(Fault::FromAdded)), "{:?}", verdicts[0]);
}

fn verify(header: &[u8], body: &[u8], chunk: usize, record: &[u8]) -> Vec<SignatureVerdict> {
    let mut verifier = Verifier::new(header, Limits::default());
    body.chunks(chunk).for_each(|octets| verifier.body(octets));
    let verification = verifier.finish();
    let mut answers = Answers::new();
    match verification.judge(&answers, NOW) {
        Ok(verdicts) => verdicts,
        Err(Needs(questions)) => {
            questions.into_iter().for_each(|question| answer(&mut answers, question, record));
            verification.judge(&answers, NOW).expect("it asks for all keys at once")
        }
    }
}

fn answer(answers: &mut Answers, question: Question, record: &[u8]) {
    let records = record.split(|octet| *octet == b'\n').map(Into::into).collect();
    answers.add(question, Ok(Reply::Txt(records)));
}

fn split(message: &[u8]) -> (&[u8], &[u8]) {
    let mut fields = message::fields(message);
    fields.by_ref().for_each(drop);
    let body = fields.rest();
    (&message[..message.len() - body.len()], &body[message::blank_line_octets(body).unwrap_or(0)..])
}

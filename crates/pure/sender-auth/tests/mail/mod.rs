//! What the tests of signatures share: messages from text, keys in memory, checks to their end.
#![allow(dead_code, reason = "each test binary uses what it needs")]

use mail_types::DomainName;
use sender_auth::arc::{ChainResult, ChainVerdict, SealError, Sealer};
use sender_auth::dkim::{
    KeyFor, Limits, Selector, SignatureVerdict, Signer, SigningKey, SigningOptions, Verification, Verifier,
};
use sender_auth::{Answers, Needs, QueryName, Question, Reply, ReplyError};

/// When we sign, in seconds since 1970: a time that others take for the past.
pub(crate) const SIGNED_AT: u64 = 1_700_000_000;
/// When we verify: a time for which what others sign today is the past.
pub(crate) const NOW: u64 = 4_000_000_000;

/// Records in memory.
#[derive(Default, Clone)]
pub(crate) struct Records(pub(crate) Vec<(String, String)>);

impl Records {
    /// The records of these keys.
    pub(crate) fn of(keys: &[KeyFor]) -> Self {
        let record = |key: &KeyFor| (key.record_name().to_string(), key.key().public_record().unwrap());
        Self(keys.iter().map(record).collect())
    }

    fn answer(&self, question: &Question) -> Result<Reply, ReplyError> {
        let Question::Txt(name) = question else { panic!("{question:?} is no question for a key") };
        let found = self.0.iter().filter(|(owner, _)| QueryName::parse(owner).unwrap() == *name);
        let texts: Vec<Box<[u8]>> = found.map(|(_, text)| text.as_bytes().into()).collect();
        if texts.is_empty() { Err(ReplyError::NoSuchName) } else { Ok(Reply::Txt(texts)) }
    }

    /// Runs a check until it has all answers.
    pub(crate) fn settle<T>(&self, check: impl Fn(&Answers) -> Result<T, Needs>) -> T {
        let mut answers = Answers::new();
        for _ in 0..4 {
            match check(&answers) {
                Ok(verdict) => return verdict,
                Err(Needs(questions)) => {
                    assert!(questions.iter().all(|question| !answers.knows(question)));
                    for question in questions {
                        let reply = self.answer(&question);
                        answers.add(question, reply);
                    }
                }
            }
        }
        panic!("a check that never ends asking");
    }
}

/// A text with the line ends that mail has.
pub(crate) fn crlf(text: &str) -> Vec<u8> {
    text.replace("\r\n", "\n").replace('\n', "\r\n").into_bytes()
}

/// The header and the body of a message.
pub(crate) fn split(message: &[u8]) -> (&[u8], &[u8]) {
    let mut fields = message::fields(message);
    fields.by_ref().for_each(drop);
    let body = fields.rest();
    (&message[..message.len() - body.len()], &body[message::blank_line_octets(body).unwrap_or(0)..])
}

pub(crate) fn read(message: &[u8], chunk: usize) -> Verification {
    let (header, body) = split(message);
    let mut verifier = Verifier::new(header, Limits::default());
    body.chunks(chunk).for_each(|octets| verifier.body(octets));
    verifier.finish()
}

pub(crate) fn signatures(message: &[u8], records: &Records) -> Vec<SignatureVerdict> {
    let verification = read(message, 8_192);
    records.settle(|answers| verification.judge(answers, NOW))
}

pub(crate) fn chain(message: &[u8], records: &Records) -> ChainVerdict {
    let verification = read(message, 8_192);
    records.settle(|answers| verification.judge_chain(answers, NOW))
}

pub(crate) fn key(domain: &str, selector: &str, key: SigningKey) -> KeyFor {
    KeyFor::new(DomainName::parse(domain).unwrap(), Selector::parse(selector).unwrap(), key).unwrap()
}

pub(crate) fn sign(message: &[u8], keys: &[KeyFor]) -> Vec<u8> {
    let (header, body) = split(message);
    let mut signer = Signer::new(header, keys, SigningOptions { now: SIGNED_AT, good_for_seconds: None });
    signer.body(body);
    [signer.finish().unwrap(), message.to_vec()].concat()
}

pub(crate) fn seal(
    message: &[u8],
    key: &KeyFor,
    results: &str,
    status: ChainResult,
) -> Result<Vec<u8>, SealError> {
    let (header, body) = split(message);
    let mut sealer = Sealer::new(header, SIGNED_AT)?;
    sealer.body(body);
    Ok([sealer.finish(key, results, status)?, message.to_vec()].concat())
}

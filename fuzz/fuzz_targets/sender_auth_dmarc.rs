//! DMARC under any header and any records: it ends within its questions, never passes a message whose author is in
//! doubt, and asks for nothing where a message passes.
#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use mail_types::DomainName;
use sender_auth::dmarc::{
    AuthorDomains, Identifier, IdentifierOutcome, Identifiers, Outcome, Policy, Record, evaluate,
};
use sender_auth::reports::ReportAddress;
use sender_auth::{Answers, Needs, Question, Reply, ReplyError};

fuzz_target!(|octets: &[u8]| {
    // Header, identifiers and records, parted by lines of `%`.
    let text = String::from_utf8_lossy(octets);
    let mut pieces = text.split("\n%\n");
    let header = pieces.next().unwrap_or_default();
    let identifiers = identifiers(pieces.next().unwrap_or_default());
    let records: Vec<&str> = pieces.collect();
    for record in &records {
        let _ = Record::parse(record.as_bytes());
        let _ = ReportAddress::parse_list(record);
    }
    let authors = AuthorDomains::of_header(header.as_bytes());
    let mut answers = Answers::new();
    let mut asked = HashSet::new();
    let evaluation = loop {
        match evaluate(&authors, &identifiers, &answers) {
            Ok(evaluation) => break evaluation,
            Err(Needs(questions)) => {
                assert!(!questions.is_empty());
                for question in questions {
                    let reply = reply(&records, asked.len());
                    assert!(asked.insert(question.clone()), "asked twice: {question:?}");
                    answers.add(question, reply);
                }
            }
        }
    };
    assert!(asked.len() <= 4 * (8 + 1) + 17 * 8);
    assert!(evaluation.outcome == Outcome::Fail || evaluation.disposition == Policy::None);
    if evaluation.outcome == Outcome::Pass {
        assert!(evaluation.fault.is_none());
        assert!(evaluation.has_aligned_spf() || evaluation.has_aligned_dkim());
    }
    assert!(asked.iter().all(|question| matches!(question, Question::Txt(_) | Question::A(_))));
});

/// The records take turns; a few words stand for what else DNS says.
fn reply(records: &[&str], turn: usize) -> Result<Reply, ReplyError> {
    let Some(record) = records.get(turn % records.len().max(1)) else { return Err(ReplyError::NoSuchName) };
    match *record {
        "failure" => Err(ReplyError::Failure),
        "none" => Err(ReplyError::NoData),
        "" => Err(ReplyError::NoSuchName),
        text => Ok(Reply::Txt(text.split('\n').map(|text| text.as_bytes().into()).collect())),
    }
}

fn identifiers(text: &str) -> Identifiers {
    let mut words = text.split_whitespace().take(40).filter_map(|word| {
        let (outcome, domain) = match word.split_at_checked(1)? {
            ("-", domain) => (IdentifierOutcome::Fail, domain),
            ("?", domain) => (IdentifierOutcome::TempError, domain),
            _ => (IdentifierOutcome::Pass, word),
        };
        Some(Identifier { domain: DomainName::parse(domain).ok()?, outcome })
    });
    Identifiers { spf: words.next(), dkim: words.collect() }
}

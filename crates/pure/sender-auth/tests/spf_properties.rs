//! What holds of SPF whatever anybody publishes: records read back as written, and checks end, soon, with few questions.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail as tests do")]

use std::collections::HashSet;
use std::net::IpAddr;

use mail_types::{Address, ReversePath};
use proptest::prelude::*;
use sender_auth::spf::{self, Identity, Limits, NAMES_PER_TERM_MAX, Query, Record, SpfResult, is_record};
use sender_auth::{Answers, Needs, QueryName, Question, Reply, ReplyError};

/// One record more than the limit of terms, each term with its name and ten more; the same for an explanation, whose
/// text is one more question.
fn questions_max(limits: Limits) -> usize {
    let lookups = usize::from(limits.lookups);
    1 + lookups * (1 + NAMES_PER_TERM_MAX) + 1 + 1 + NAMES_PER_TERM_MAX
}

/// Times a check is called: for the record, for each term at most twice (its name, and the others that this led to), for
/// the client's names and their addresses, for the explanation, and once when all is known.
fn rounds_max(limits: Limits) -> usize {
    1 + usize::from(limits.lookups) * 2 + 2 + 1 + 1
}

fn domain_spec() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-d]\\.example\\.?",
        2 => "%\\{[slodipvhSLODIPVH][1-9]?r?[-.+,/_=]{0,2}\\}(\\.[a-d]\\.example)?",
        1 => "[a-d]{1,3}(%%|%_|%-|%\\{d\\})\\.example",
        1 => "[!-~]{0,12}",
        1 => "[a-z]{60,66}\\.[a-d]\\.example",
    ]
}

fn term() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => ("[-+~?]?", "(include|exists|a|mx|ptr|INCLUDE|Mx):", domain_spec(), "(/[0-9]{1,2})?(//[0-9]{1,3})?")
            .prop_map(|(qualifier, name, spec, prefix)| match name.as_str() {
                "a:" | "mx:" | "Mx:" => format!("{qualifier}{name}{spec}{prefix}"),
                _ => format!("{qualifier}{name}{spec}"),
            }),
        2 => "[-+~?]?(a|mx|ptr|all)",
        1 => "ip4:192\\.0\\.2\\.[0-9]{1,3}(/[0-9]{1,2})?",
        1 => "ip6:2001:db8::[0-9a-f]{1,4}(/[0-9]{1,3})?",
        2 => ("(redirect|exp|other)=", domain_spec()).prop_map(|(name, spec)| format!("{name}{spec}")),
    ]
}

fn record() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => prop::collection::vec(term(), 0..14).prop_map(|terms| format!("v=spf1 {}", terms.join(" "))),
        1 => "v=spf1 [ -~]{0,40}",
        1 => "\\PC{0,40}",
    ]
}

/// A name in a small world, so that records lead to each other.
fn known_name() -> impl Strategy<Value = QueryName> {
    "[a-d]\\.example".prop_map(|name| QueryName::parse(&name).unwrap())
}

fn error() -> impl Strategy<Value = ReplyError> {
    prop_oneof![
        3 => Just(ReplyError::NoSuchName),
        3 => Just(ReplyError::NoData),
        1 => Just(ReplyError::Failure),
    ]
}

/// What an adversary's DNS says to a question; chosen anew for each.
#[derive(Clone, Debug)]
struct World {
    records: Vec<String>,
    names: Vec<QueryName>,
    errors: Vec<ReplyError>,
    choices: Vec<u8>,
}

fn world() -> impl Strategy<Value = World> {
    (
        prop::collection::vec(record(), 1..6),
        prop::collection::vec(known_name(), 1..14),
        prop::collection::vec(error(), 1..4),
        prop::collection::vec(any::<u8>(), 1..200),
    )
        .prop_map(|(records, names, errors, choices)| World { records, names, errors, choices })
}

impl World {
    fn answer(&self, question: &Question, number: usize) -> Result<Reply, ReplyError> {
        let choice = usize::from(self.choices[number % self.choices.len()]);
        if choice % 5 == 0 {
            return Err(self.errors[choice % self.errors.len()]);
        }
        Ok(match question {
            Question::Txt(_) => {
                let record = &self.records[choice % self.records.len()];
                Reply::Txt(vec![record.as_bytes().into()])
            }
            Question::A(_) => Reply::A(vec![[192, 0, 2, self.choices[0]].into()]),
            Question::Aaaa(_) => Reply::Aaaa(vec!["2001:db8::1".parse().unwrap()]),
            Question::Mx(_) => Reply::Mx(self.names.iter().map(|name| (10, name.clone())).collect()),
            Question::Ptr(_) => Reply::Ptr(self.names.clone()),
        })
    }
}

proptest! {
    #[test]
    fn records_read_back_as_written(text in record()) {
        if !is_record(text.as_bytes()) {
            return Ok(());
        }
        if let Ok(record) = Record::parse(text.as_bytes()) {
            let written = record.to_string();
            prop_assert!(is_record(written.as_bytes()));
            prop_assert_eq!(Record::parse(written.as_bytes()), Ok(record), "{}", written);
        }
    }

    #[test]
    fn any_octets_are_a_record_or_not(text in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Record::parse(&text);
        let _ = Record::parse(&[b"v=spf1 ".as_slice(), &text].concat());
    }

    #[test]
    fn checks_end_with_few_questions(
        world in world(),
        address in any::<IpAddr>(),
        is_near in any::<bool>(),
        helo in "\\PC{0,80}|[a-d]\\.example",
        local_part in "[a-z.+=-]{1,20}",
        lookups in 0_u8..12,
        voids in 0_u8..4,
    ) {
        let path = ReversePath::Address(Address::parse(&format!("{local_part}@a.example")).unwrap());
        let address = if is_near { [192, 0, 2, 1].into() } else { address };
        let query = Query { address, helo: &helo, reverse_path: &path, receiver: "mx.example", now_seconds: 0 };
        let limits = Limits { lookups, voids };
        let (mut answers, mut asked, mut rounds) = (Answers::new(), HashSet::new(), 0);
        let outcome = loop {
            rounds += 1;
            match spf::check(Identity::MailFrom, &query, limits, &answers) {
                Ok(outcome) => break outcome,
                Err(Needs(questions)) => {
                    prop_assert!(!questions.is_empty());
                    for question in questions {
                        prop_assert!(asked.insert(question.clone()), "{:?} asked again", question);
                        let reply = world.answer(&question, asked.len());
                        answers.add(question, reply);
                    }
                }
            }
        };
        prop_assert!(asked.len() <= questions_max(limits), "{} questions", asked.len());
        prop_assert!(rounds <= rounds_max(limits), "{rounds} rounds");
        let is_error = matches!(outcome.result, SpfResult::TempError | SpfResult::PermError);
        prop_assert_eq!(outcome.problem.is_some(), is_error);
        if let Some(explanation) = &outcome.explanation {
            prop_assert!(explanation.len() <= spf::EXPLANATION_OCTETS_MAX);
            prop_assert!(explanation.bytes().all(|octet| matches!(octet, b' '..=b'~')));
        }
        let mut field = Vec::new();
        spf::write_received_spf(Identity::MailFrom, &query, &outcome, &mut field);
        prop_assert!(is_one_field(&field), "{}", String::from_utf8_lossy(&field));
    }
}

/// Whether octets are one field and no more: each line but the first begins with a blank, and none is endless.
fn is_one_field(field: &[u8]) -> bool {
    let Some(lines) = field.strip_suffix(b"\r\n") else { return false };
    let mut lines = lines.split(|octet| *octet == b'\n');
    let is_line = |line: &[u8]| line.len() < 998 && line.iter().filter(|octet| **octet == b'\r').count() <= 1;
    lines.next().is_some_and(|first| first.starts_with(b"Received-SPF: ") && is_line(first))
        && lines.all(|line| line.starts_with(b"\t") && is_line(line))
}

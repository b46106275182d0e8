//! The published test suite of RFC 7208, from `MAILSTEAD_VECTORS`, and cases of our own in the same form: zones, queries
//! and the results that are allowed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail as tests do")]

use std::path::Path;

use mail_types::ReversePath;
use sender_auth::spf::{self, Limits, Outcome, Query, Sender};
use sender_auth::{Answers, Needs, QueryName, Question, Reply, ReplyError};
use yaml_rust2::{Yaml, YamlLoader};

/// More questions than any check may ask: ten terms with eleven each, an explanation and a `%{p}`.
const QUESTIONS_MAX: usize = 130;

/// Cases of the published suite in which we differ, and why; docs/internals/sender-auth.md argues each.
const DEVIATIONS: [(&str, &str); 0] = [];

/// Names and their entries in the suite's form: a type with a value, or the word TIMEOUT.
struct Zone(Vec<(String, Vec<Entry>)>);

enum Entry {
    Timeout,
    Record(String, Yaml),
}

impl Zone {
    fn read(zone: &Yaml) -> Self {
        let names = zone.as_hash().expect("zonedata is a mapping");
        Self(names.iter().map(|(name, entries)| (text(name).to_lowercase(), read_entries(entries))).collect())
    }

    /// What DNS would say, CNAMEs followed.
    fn ask(&self, question: &Question) -> Result<Reply, ReplyError> {
        let mut name = match question {
            Question::Txt(name) | Question::A(name) | Question::Aaaa(name) | Question::Mx(name) => {
                name.to_string()
            }
            Question::Ptr(address) => reverse_name(*address),
        };
        for _ in 0..8 {
            let entries = match self.0.iter().find(|(owner, _)| *owner == name) {
                Some((_, entries)) => entries,
                None => return Err(ReplyError::NoSuchName),
            };
            let Some(target) = records(entries, "CNAME").next() else { return answer(entries, question) };
            name = text(target).trim_end_matches('.').to_lowercase();
        }
        Err(ReplyError::Failure)
    }
}

fn read_entries(entries: &Yaml) -> Vec<Entry> {
    let mut read = Vec::new();
    for entry in entries.as_vec().expect("a name has a list") {
        match entry {
            Yaml::String(word) if word == "TIMEOUT" => read.push(Entry::Timeout),
            Yaml::Hash(record) => {
                read.extend(record.iter().map(|(kind, value)| Entry::Record(text(kind), value.clone())));
            }
            other => panic!("what is {other:?}?"),
        }
    }
    read
}

fn records<'e>(entries: &'e [Entry], wanted: &str) -> impl Iterator<Item = &'e Yaml> {
    entries.iter().filter_map(move |entry| match entry {
        Entry::Record(kind, value) if kind == wanted => Some(value),
        _ => None,
    })
}

fn answer(entries: &[Entry], question: &Question) -> Result<Reply, ReplyError> {
    let is_none = |value: &&Yaml| value.as_str() != Some("NONE");
    // The suite's README: records of the obsolete type SPF stand for TXT where a name has no TXT of its own.
    let of_type = |kind: &str| -> Vec<&Yaml> { records(entries, kind).filter(is_none).collect() };
    let found = match question {
        Question::Txt(_) if records(entries, "TXT").next().is_none() => of_type("SPF"),
        Question::Txt(_) => of_type("TXT"),
        Question::A(_) => of_type("A"),
        Question::Aaaa(_) => of_type("AAAA"),
        Question::Mx(_) => of_type("MX"),
        Question::Ptr(_) => of_type("PTR"),
    };
    if found.is_empty() {
        let times_out = entries.iter().any(|entry| matches!(entry, Entry::Timeout));
        return Err(if times_out { ReplyError::Failure } else { ReplyError::NoData });
    }
    let reply = match question {
        Question::Txt(_) => Reply::Txt(found.into_iter().map(octets).collect()),
        Question::A(_) => Reply::A(found.into_iter().map(|value| text(value).parse().unwrap()).collect()),
        Question::Aaaa(_) => {
            Reply::Aaaa(found.into_iter().map(|value| text(value).parse().unwrap()).collect())
        }
        Question::Ptr(_) => {
            Reply::Ptr(found.into_iter().map(|value| QueryName::parse(&text(value)).unwrap()).collect())
        }
        Question::Mx(_) => {
            // The empty name is RFC 7505's: no mail here.
            let exchangers: Vec<(u16, QueryName)> = found
                .into_iter()
                .filter_map(|value| Some((0, QueryName::parse(&text(&value[1])).ok()?)))
                .collect();
            if exchangers.is_empty() {
                return Err(ReplyError::NoData);
            }
            Reply::Mx(exchangers)
        }
    };
    Ok(reply)
}

fn reverse_name(address: std::net::IpAddr) -> String {
    match address {
        std::net::IpAddr::V4(four) => {
            let [a, b, c, d] = four.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        std::net::IpAddr::V6(six) => {
            let halves = six.octets().into_iter().rev().flat_map(|octet| [octet & 15, octet >> 4]);
            let digits: Vec<String> = halves.map(|half| format!("{half:x}")).collect();
            format!("{}.ip6.arpa", digits.join("."))
        }
    }
}

fn text(value: &Yaml) -> String {
    match value {
        Yaml::String(text) | Yaml::Real(text) => text.clone(),
        Yaml::Integer(number) => number.to_string(),
        Yaml::BadValue | Yaml::Null => String::new(),
        other => panic!("no text: {other:?}"),
    }
}

/// A text record: strings joined; the suite writes octets as characters below 256.
fn octets(value: &Yaml) -> Box<[u8]> {
    let strings: Vec<String> = match value {
        Yaml::Array(strings) => strings.iter().map(text).collect(),
        single => vec![text(single)],
    };
    strings.concat().chars().map(|character| u8::try_from(u32::from(character)).unwrap()).collect()
}

fn check(case: &Yaml, zone: &Zone) -> Outcome {
    let helo = text(&case["helo"]);
    let mail_from = text(&case["mailfrom"]);
    let sender = match mail_from.rsplit_once('@') {
        Some((local_part, domain)) => Sender { local_part: local_part.to_owned(), domain: domain.to_owned() },
        None => Sender { local_part: "postmaster".to_owned(), domain: helo.clone() },
    };
    let query = Query {
        address: text(&case["host"]).parse().unwrap(),
        helo: &helo,
        reverse_path: &ReversePath::Null,
        receiver: "mx.example.net",
        now_seconds: 1_795_651_200,
    };
    let mut answers = Answers::new();
    let mut asked = 0;
    loop {
        match spf::check_host(&sender, &query, Limits::default(), &answers) {
            Ok(outcome) => return outcome,
            Err(Needs(questions)) => {
                for question in questions {
                    assert!(!answers.knows(&question), "{question:?} asked again");
                    asked += 1;
                    assert!(asked <= QUESTIONS_MAX);
                    let reply = zone.ask(&question);
                    answers.add(question, reply);
                }
            }
        }
    }
}

/// Runs a file's cases; returns how many there were and what went wrong.
fn run(suite: &str) -> (usize, Vec<String>) {
    let (mut cases, mut faults) = (0, Vec::new());
    for section in YamlLoader::load_from_str(suite).unwrap() {
        let zone = Zone::read(&section["zonedata"]);
        for (name, case) in section["tests"].as_hash().expect("a section has tests") {
            cases += 1;
            let outcome = check(case, &zone);
            let allowed = match &case["result"] {
                Yaml::Array(results) => results.iter().map(text).collect(),
                result => vec![text(result)],
            };
            let deviation = DEVIATIONS.iter().find(|(deviant, _)| *deviant == text(name));
            let allowed: Vec<String> = deviation.map_or(allowed, |(_, result)| vec![(*result).to_owned()]);
            if !allowed.contains(&outcome.result.to_string()) {
                faults.push(format!(
                    "{}: {} instead of {allowed:?}: {:?}",
                    text(name),
                    outcome.result,
                    outcome.problem
                ));
            }
            let expected = match case["explanation"].as_str() {
                None => continue,
                Some("DEFAULT") => None,
                Some(explanation) => Some(explanation),
            };
            if outcome.explanation.as_deref() != expected {
                faults.push(format!("{}: explains {:?}", text(name), outcome.explanation));
            }
        }
    }
    (cases, faults)
}

#[test]
fn every_case_of_the_published_suite_passes() {
    let Some(directory) = std::env::var_os("MAILSTEAD_VECTORS") else {
        println!("skipped: MAILSTEAD_VECTORS is not set");
        return;
    };
    let suite = std::fs::read_to_string(Path::new(&directory).join("rfc7208-tests.yml")).unwrap();
    let (cases, faults) = run(&suite);
    assert!(faults.is_empty(), "{} of {cases}:\n{}", faults.len(), faults.join("\n"));
    assert!(cases > 190, "only {cases} cases");
    println!("{cases} cases pass");
}

#[test]
fn our_own_cases_pass() {
    let (cases, faults) = run(include_str!("spf/cases.yml"));
    assert!(faults.is_empty(), "{} of {cases}:\n{}", faults.len(), faults.join("\n"));
    assert!(cases > 0);
}

#[test]
fn a_case_can_fail() {
    let suite = include_str!("spf/cases.yml").replace("result: pass", "result: fail");
    assert!(!run(&suite).1.is_empty());
}

//! Stories of checks: who asks for what, and what comes of it.

use std::net::IpAddr;

use mail_types::{Address, ReversePath};

use super::*;
use crate::lookup::{Question, Reply, ReplyError};

/// A zone as lines `name TYPE value`; the value `FAIL` is a DNS that fails.
struct Zone(Vec<(Question, Result<Reply, ReplyError>)>);

fn name(text: &str) -> QueryName {
    QueryName::parse(text).unwrap()
}

impl Zone {
    fn read(text: &str) -> Self {
        let mut zone = Self(Vec::new());
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let mut words = line.splitn(3, ' ');
            let (owner, kind, value) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
            let question = match kind {
                "TXT" => Question::Txt(name(owner)),
                "A" => Question::A(name(owner)),
                "AAAA" => Question::Aaaa(name(owner)),
                "MX" => Question::Mx(name(owner)),
                "PTR" => Question::Ptr(owner.parse().unwrap()),
                other => panic!("no type {other}"),
            };
            let reply = match kind {
                _ if value == "FAIL" => Err(ReplyError::Failure),
                "TXT" => Ok(Reply::Txt(vec![value.as_bytes().into()])),
                "A" => Ok(Reply::A(value.split(' ').map(|word| word.parse().unwrap()).collect())),
                "AAAA" => Ok(Reply::Aaaa(value.split(' ').map(|word| word.parse().unwrap()).collect())),
                "MX" => Ok(Reply::Mx(value.split(' ').map(|word| (10, name(word))).collect())),
                _ => Ok(Reply::Ptr(value.split(' ').map(name).collect())),
            };
            zone.0.push((question, reply));
        }
        zone
    }

    fn ask(&self, question: &Question) -> Result<Reply, ReplyError> {
        let found = self.0.iter().find(|(asked, _)| asked == question);
        found.map_or(Err(ReplyError::NoSuchName), |(_, reply)| reply.clone())
    }
}

/// What a check says of ann@example.org from a client, and the questions it asked.
fn check_from(client: &str, zone: &str) -> (Outcome, Vec<Question>) {
    let path = ReversePath::Address(Address::parse("ann@example.org").unwrap());
    let query = Query {
        address: client.parse::<IpAddr>().unwrap(),
        helo: "client.example",
        reverse_path: &path,
        receiver: "mx.example.net",
        now_seconds: 1_795_651_200,
    };
    check_with(Identity::MailFrom, &query, Limits::default(), &Zone::read(zone))
}

fn check_with(
    identity: Identity,
    query: &Query<'_>,
    limits: Limits,
    zone: &Zone,
) -> (Outcome, Vec<Question>) {
    let mut answers = Answers::new();
    let mut asked = Vec::new();
    loop {
        match check(identity, query, limits, &answers) {
            Ok(outcome) => return (outcome, asked),
            Err(Needs(questions)) => {
                assert!(!questions.is_empty());
                for question in questions {
                    assert!(!answers.knows(&question), "{question:?} asked again");
                    let reply = zone.ask(&question);
                    asked.push(question.clone());
                    answers.add(question, reply);
                }
            }
        }
    }
}

fn result_from(client: &str, zone: &str) -> SpfResult {
    check_from(client, zone).0.result
}

fn fault_from(client: &str, zone: &str) -> String {
    check_from(client, zone).0.problem.unwrap().to_string()
}

#[test]
fn a_result_says_what_decided_it() {
    let zone = "
        example.org TXT v=spf1 ip4:192.0.2.0/24 redirect=_spf.example.org
        _spf.example.org TXT v=spf1 include:mailer.example -all exp=why.example.org
        mailer.example TXT v=spf1 ip4:198.51.100.0/24 -all exp=ours.mailer.example
        why.example.org TXT %{c} is no host of %{o} (%{s}, %{d}, %{h}, %{r}, %{t})
    ";
    let (passed, asked) = check_from("192.0.2.7", zone);
    let matched = passed.matched.unwrap();
    assert_eq!((passed.result, matched.directive.as_str()), (SpfResult::Pass, "ip4:192.0.2.0/24"));
    assert_eq!(matched.record_of, name("example.org"));
    assert_eq!(asked.len(), 1);

    let (passed, asked) = check_from("::ffff:198.51.100.1", zone);
    let matched = passed.matched.unwrap();
    assert_eq!((passed.result, matched.directive.as_str()), (SpfResult::Pass, "include:mailer.example"));
    assert_eq!(matched.record_of, name("_spf.example.org"));
    assert_eq!(asked.len(), 3);

    let (failed, _) = check_from("203.0.113.1", zone);
    assert_eq!((failed.result, failed.domain.as_str()), (SpfResult::Fail, "example.org"));
    assert_eq!(
        failed.explanation.unwrap(),
        "203.0.113.1 is no host of example.org (ann@example.org, _spf.example.org, client.example, \
         mx.example.net, 1795651200)"
    );
}

#[test]
fn each_identity_is_checked_for_itself() {
    let zone = Zone::read(
        "
        client.example TXT v=spf1 exists:%{l}.%{o}.ok.example -all
        postmaster.client.example.ok.example A 127.0.0.2
        example.org TXT v=spf1 -all
        ",
    );
    let ann = ReversePath::Address(Address::parse("ann@example.org").unwrap());
    let literal = ReversePath::Address(Address::parse("ann@[192.0.2.1]").unwrap());
    for (identity, path, helo, result, domain) in [
        (Identity::Helo, &ann, "client.example", SpfResult::Pass, "client.example"),
        (Identity::MailFrom, &ann, "client.example", SpfResult::Fail, "example.org"),
        (Identity::MailFrom, &ReversePath::Null, "Client.Example.", SpfResult::Pass, "Client.Example."),
        (Identity::MailFrom, &literal, "client.example", SpfResult::None, "[192.0.2.1]"),
        (Identity::Helo, &ann, "[192.0.2.1]", SpfResult::None, "[192.0.2.1]"),
        (Identity::Helo, &ann, "192.0.2.1", SpfResult::None, "192.0.2.1"),
        (Identity::Helo, &ann, "printer", SpfResult::None, "printer"),
        (Identity::Helo, &ann, "", SpfResult::None, ""),
    ] {
        let address = "192.0.2.1".parse().unwrap();
        let query = Query { address, helo, reverse_path: path, receiver: "", now_seconds: 0 };
        let (outcome, _) = check_with(identity, &query, Limits::default(), &zone);
        assert_eq!((outcome.result, outcome.domain.as_str()), (result, domain), "{identity:?} {helo}");
    }
}

#[test]
fn terms_that_ask_are_counted() {
    let zone = |terms: usize| {
        format!(
            "example.org TXT v=spf1 {} redirect=b.example
            example.org A 192.0.2.1
            b.example TXT v=spf1 ip4:192.0.2.9 all",
            "a ".repeat(terms)
        )
    };
    assert_eq!(result_from("192.0.2.9", &zone(8)), SpfResult::Pass);
    assert_eq!(result_from("192.0.2.9", &zone(9)), SpfResult::Pass);
    assert_eq!(result_from("192.0.2.9", &zone(10)), SpfResult::PermError);
    assert!(fault_from("192.0.2.9", &zone(10)).starts_with("too many terms that ask DNS"));
    let looped = "example.org TXT v=spf1 include:b.example
        b.example TXT v=spf1 include:example.org";
    assert!(fault_from("192.0.2.9", looped).starts_with("too many terms that ask DNS (record of "));
}

#[test]
fn terms_that_find_nothing_are_counted() {
    let zone =
        |terms: &str| format!("example.org TXT v=spf1 {terms} ip4:192.0.2.9 -all\na.example A 192.0.2.1");
    assert_eq!(result_from("192.0.2.9", &zone("a")), SpfResult::Pass);
    assert_eq!(result_from("192.0.2.9", &zone("a mx")), SpfResult::Pass);
    assert_eq!(result_from("192.0.2.9", &zone("a mx exists:b.example")), SpfResult::PermError);
    // The client's own zone cannot bring a domain to its limit.
    assert_eq!(result_from("192.0.2.9", &zone("a mx ptr ptr:b.example")), SpfResult::Pass);
    // Nor can exchangers of which some have addresses of the client's family.
    let mixed = "example.org TXT v=spf1 mx mx:b.example mx:b.example ip4:192.0.2.9 -all
        example.org MX x.example y.example z.example
        b.example MX y.example x.example
        y.example A 192.0.2.1";
    assert_eq!(result_from("192.0.2.9", mixed), SpfResult::Pass);
    let query_limits = Limits { voids: 0, ..Limits::default() };
    let path = ReversePath::Address(Address::parse("ann@example.org").unwrap());
    let address = "192.0.2.9".parse().unwrap();
    let query = Query { address, helo: "c.example", reverse_path: &path, receiver: "", now_seconds: 0 };
    let outcome = check_with(Identity::MailFrom, &query, query_limits, &Zone::read(&zone("a"))).0;
    assert_eq!(outcome.problem.unwrap().fault, Fault::TooManyVoids);
}

#[test]
fn names_of_a_term_are_counted() {
    let names =
        |count: usize| (0..count).map(|each| format!("m{each}.example")).collect::<Vec<_>>().join(" ");
    let mx = |count: usize| {
        format!("example.org TXT v=spf1 mx -all\nexample.org MX {}\nm8.example A 192.0.2.9", names(count))
    };
    assert_eq!(result_from("192.0.2.9", &mx(9)), SpfResult::Pass);
    assert_eq!(result_from("192.0.2.9", &mx(10)), SpfResult::Pass);
    assert_eq!(result_from("192.0.2.9", &mx(11)), SpfResult::PermError);
    let ptr = |place: usize| {
        format!(
            "example.org TXT v=spf1 ptr:m{place}.example -all
            192.0.2.9 PTR {}
            m{place}.example A 192.0.2.9",
            names(12)
        )
    };
    assert_eq!(result_from("192.0.2.9", &ptr(8)), SpfResult::Pass);
    assert_eq!(result_from("192.0.2.9", &ptr(9)), SpfResult::Pass);
    assert_eq!(result_from("192.0.2.9", &ptr(10)), SpfResult::Fail);
    let (_, asked) = check_from("192.0.2.9", &ptr(10));
    assert_eq!(asked.len(), 12, "a record, names, ten addresses");
}

#[test]
fn the_worst_record_asks_for_no_more_than_this() {
    let term = |each: usize| format!("mx:%{{p}}.m{each}.example");
    let terms: Vec<String> = (0..10).map(term).collect();
    let mut zone = format!(
        "example.org TXT v=spf1 {} -all exp=%{{p}}.why.example\n192.0.2.9 PTR {}\n",
        terms.join(" "),
        (0..12).map(|each| format!("p{each}.example")).collect::<Vec<_>>().join(" ")
    );
    for term in 0..10 {
        let hosts: Vec<String> = (0..10).map(|each| format!("h{each}.m{term}.example")).collect();
        zone += &format!("unknown.m{term}.example MX {}\n", hosts.join(" "));
        hosts.iter().for_each(|host| zone += &format!("{host} A 192.0.2.1\n"));
    }
    let (outcome, asked) = check_from("192.0.2.9", &zone);
    assert_eq!(outcome.result, SpfResult::Fail);
    // The record, ten terms with eleven questions each, the client's names and ten addresses, the explanation.
    assert_eq!(asked.len(), 1 + 10 * 11 + 11 + 1);
}

#[test]
fn dns_that_fails_is_no_verdict() {
    for zone in [
        "example.org TXT FAIL",
        "example.org TXT v=spf1 a all\nexample.org A FAIL",
        "example.org TXT v=spf1 mx all\nexample.org MX FAIL",
        "example.org TXT v=spf1 mx all\nexample.org MX b.example\nb.example A FAIL",
        "example.org TXT v=spf1 exists:b.example all\nb.example A FAIL",
        "example.org TXT v=spf1 include:b.example all\nb.example TXT FAIL",
        "example.org TXT v=spf1 redirect=b.example\nb.example TXT FAIL",
    ] {
        assert_eq!(result_from("192.0.2.9", zone), SpfResult::TempError, "{zone}");
        assert!(fault_from("192.0.2.9", zone).starts_with("DNS fails for "));
    }
    for zone in [
        "example.org TXT v=spf1 ptr -all\n192.0.2.9 PTR FAIL",
        "example.org TXT v=spf1 ptr -all\n192.0.2.9 PTR example.org\nexample.org A FAIL",
        "example.org TXT v=spf1 -all exp=b.example\nb.example TXT FAIL",
    ] {
        let (outcome, _) = check_from("192.0.2.9", zone);
        assert_eq!((outcome.result, outcome.explanation), (SpfResult::Fail, None), "{zone}");
    }
    // A host that has matched already needs no other.
    let zone = "example.org TXT v=spf1 mx -all\nexample.org MX b.example c.example
        b.example A 192.0.2.9\nc.example A FAIL";
    assert_eq!(result_from("192.0.2.9", zone), SpfResult::Pass);
}

#[test]
fn the_clients_best_name_is_taken() {
    let zone = |names: &str| {
        format!(
            "example.org TXT v=spf1 -all exp=why.example.org
            why.example.org TXT %{{p}}
            192.0.2.9 PTR {names}
            a.example A 192.0.2.9
            mail.example.org A 192.0.2.9
            example.org A 192.0.2.9"
        )
    };
    for (names, expected) in [
        ("a.example mail.example.org example.org", "example.org"),
        ("a.example mail.example.org", "mail.example.org"),
        ("myexample.org a.example", "a.example"),
        ("b.example", "unknown"),
    ] {
        assert_eq!(check_from("192.0.2.9", &zone(names)).0.explanation.as_deref(), Some(expected), "{names}");
    }
}

#[test]
fn explanations_are_short_and_printable() {
    let zone = |octets: usize| {
        format!("example.org TXT v=spf1 -all exp=b.example\nb.example TXT {}%{{h}}", "x".repeat(octets - 1))
    };
    let explained = |octets: usize, helo: &str| {
        let path = ReversePath::Address(Address::parse("ann@example.org").unwrap());
        let query = Query {
            address: "192.0.2.9".parse().unwrap(),
            helo,
            reverse_path: &path,
            receiver: "",
            now_seconds: 0,
        };
        check_with(Identity::MailFrom, &query, Limits::default(), &Zone::read(&zone(octets)))
            .0
            .explanation
            .unwrap()
    };
    for octets in [EXPLANATION_OCTETS_MAX - 1, EXPLANATION_OCTETS_MAX, EXPLANATION_OCTETS_MAX + 1] {
        assert_eq!(explained(octets, "y").len(), octets.min(EXPLANATION_OCTETS_MAX));
    }
    assert_eq!(explained(2, "a\r\nb\u{7f}ü"), "xa??b??");
}

#[test]
fn received_spf_says_what_was_found() {
    let path = ReversePath::Address(Address::parse("\"ann \\\" lee\"@example.org").unwrap());
    let query = Query {
        address: "2001:db8::9".parse().unwrap(),
        helo: "a\r\nb",
        reverse_path: &path,
        receiver: "mx.example.net",
        now_seconds: 0,
    };
    let zone = Zone::read("example.org TXT v=spf1 ip6:2001:db8::/32 -all");
    let (outcome, _) = check_with(Identity::MailFrom, &query, Limits::default(), &zone);
    let mut header = Vec::new();
    write_received_spf(Identity::MailFrom, &query, &outcome, &mut header);
    assert_eq!(
        String::from_utf8(header).unwrap(),
        "Received-SPF: pass (the domain lets the client send)\r\n\
         \tclient-ip=\"2001:db8::9\";\r\n\
         \tenvelope-from=\"\\\"ann \\\\\\\" lee\\\"@example.org\";\r\n\
         \thelo=\"a??b\";\r\n\
         \treceiver=mx.example.net;\r\n\
         \tidentity=mailfrom;\r\n\
         \tmechanism=\"ip6:2001:db8::/32\"\r\n"
    );
    let broken = Zone::read("example.org TXT v=spf1 ip6:2001:db8::/129");
    let (outcome, _) = check_with(Identity::MailFrom, &query, Limits::default(), &broken);
    let mut header = Vec::new();
    write_received_spf(Identity::Helo, &query, &outcome, &mut header);
    let field = String::from_utf8(header).unwrap();
    assert!(field.starts_with("Received-SPF: permerror ("), "{field}");
    assert!(
        field.ends_with(
            "\tidentity=helo;\r\n\
             \tproblem=\"bad term \\\"ip6:2001:db8::/129\\\" (record of example.org)\"\r\n"
        ),
        "{field}"
    );
}

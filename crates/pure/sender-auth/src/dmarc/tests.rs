//! Messages, records and what follows from them.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::lookup::Reply;

/// A little DNS: records at `_dmarc.NAME`, names that exist without one, and names that fail.
#[derive(Default)]
struct Zone {
    records: Vec<(&'static str, &'static str)>,
    existing: Vec<&'static str>,
    failing: Vec<&'static str>,
}

impl Zone {
    fn with(records: &[(&'static str, &'static str)]) -> Self {
        Self { records: records.to_vec(), ..Self::default() }
    }

    fn reply(&self, question: &Question) -> Result<Reply, ReplyError> {
        let (Question::Txt(name) | Question::A(name)) = question else { panic!("{question:?}") };
        if self.failing.contains(&name.as_str()) {
            return Err(ReplyError::Failure);
        }
        if let Question::A(name) = question {
            let is_there = self.existing.contains(&name.as_str());
            return Err(if is_there { ReplyError::NoData } else { ReplyError::NoSuchName });
        }
        let texts: Vec<Box<[u8]>> = self
            .records
            .iter()
            .filter(|(at, _)| name.as_str() == format!("_dmarc.{at}"))
            .map(|(_, text)| text.as_bytes().into())
            .collect();
        if texts.is_empty() { Err(ReplyError::NoSuchName) } else { Ok(Reply::Txt(texts)) }
    }

    fn evaluate(&self, header: &str, identifiers: &Identifiers) -> (Evaluation, BTreeSet<Question>) {
        let authors = AuthorDomains::of_header(header.as_bytes());
        let mut answers = Answers::new();
        let mut asked = BTreeSet::new();
        loop {
            match evaluate(&authors, identifiers, &answers) {
                Ok(evaluation) => return (evaluation, asked),
                Err(Needs(questions)) => {
                    assert!(!questions.is_empty());
                    for question in questions {
                        assert!(asked.insert(question.clone()), "asked again: {question:?}");
                        let reply = self.reply(&question);
                        answers.add(question, reply);
                    }
                }
            }
        }
    }

    fn check(
        &self,
        header: &str,
        identifiers: &Identifiers,
        outcome: Outcome,
        disposition: Policy,
    ) -> Evaluation {
        let (evaluation, _) = self.evaluate(header, identifiers);
        assert_eq!((evaluation.outcome, evaluation.disposition), (outcome, disposition), "{header}");
        evaluation
    }
}

fn domain(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

fn identifier(text: &str, outcome: IdentifierOutcome) -> Identifier {
    Identifier { domain: domain(text), outcome }
}

fn spf(text: &str) -> Identifiers {
    Identifiers { spf: Some(identifier(text, IdentifierOutcome::Pass)), dkim: Vec::new() }
}

fn dkim(text: &str) -> Identifiers {
    Identifiers { spf: None, dkim: vec![identifier(text, IdentifierOutcome::Pass)] }
}

fn nothing() -> Identifiers {
    Identifiers::default()
}

const FROM: &str = "From: Ann <ann@example.org>\r\n";
const FROM_BELOW: &str = "From: Ann <ann@news.example.org>\r\n";

#[test]
fn an_identifier_of_the_author_s_organisation_passes() {
    let zone = Zone::with(&[("example.org", "v=DMARC1; p=reject")]);
    let same = zone.check(FROM, &dkim("example.org"), Outcome::Pass, Policy::None);
    assert_eq!(same.dkim, [Some(Alignment::Same)]);
    let below = zone.check(FROM, &spf("bounces.example.org"), Outcome::Pass, Policy::None);
    assert_eq!(below.spf, Some(Alignment::Organisation));
    assert!(below.has_aligned_spf() && !below.has_aligned_dkim());
    zone.check(FROM_BELOW, &dkim("example.org"), Outcome::Pass, Policy::None);
    zone.check(FROM_BELOW, &dkim("other.example.org"), Outcome::Pass, Policy::None);
    for stranger in ["example.net", "example.org.evil.org", "evilexample.org", "org"] {
        let fail = zone.check(FROM, &dkim(stranger), Outcome::Fail, Policy::Reject);
        assert_eq!(fail.dkim, [Some(Alignment::Different)], "{stranger}");
    }
}

#[test]
fn strict_means_the_same() {
    let zone = Zone::with(&[("example.org", "v=DMARC1; p=quarantine; adkim=s; aspf=s")]);
    zone.check(FROM, &dkim("example.org"), Outcome::Pass, Policy::None);
    zone.check(FROM, &dkim("mail.example.org"), Outcome::Fail, Policy::Quarantine);
    zone.check(FROM, &spf("mail.example.org"), Outcome::Fail, Policy::Quarantine);
    let mixed = Zone::with(&[("example.org", "v=DMARC1; p=quarantine; adkim=s")]);
    mixed.check(FROM, &spf("mail.example.org"), Outcome::Pass, Policy::None);
}

#[test]
fn without_a_record_dmarc_has_nothing_to_say() {
    let none = Zone::default().check(FROM, &dkim("example.org"), Outcome::None, Policy::None);
    assert_eq!((none.published, none.author), (None, Some(domain("example.org"))));
    let other = Zone::with(&[("example.org", "v=spf1 -all"), ("example.net", "v=DMARC1; p=reject")]);
    other.check(FROM, &nothing(), Outcome::None, Policy::None);
    let twice = Zone::with(&[("example.org", "v=DMARC1; p=reject"), ("example.org", "v=DMARC1; p=none")]);
    twice.check(FROM, &nothing(), Outcome::None, Policy::None);
}

#[test]
fn the_policy_is_the_one_for_the_author() {
    let mut zone = Zone::with(&[("example.org", "v=DMARC1; p=reject; sp=quarantine; np=none")]);
    zone.existing.push("news.example.org");
    zone.check(FROM, &nothing(), Outcome::Fail, Policy::Reject);
    let below = zone.check(FROM_BELOW, &nothing(), Outcome::Fail, Policy::Quarantine);
    let published = below.published.unwrap();
    assert_eq!((published.domain, published.standing), (domain("example.org"), Standing::Organisation));
    zone.check("From: x@invented.example.org", &nothing(), Outcome::Fail, Policy::None);
    // Its own record comes first, and its sp does not count for itself.
    zone.records.push(("news.example.org", "v=DMARC1; p=none; sp=reject"));
    zone.check(FROM_BELOW, &nothing(), Outcome::Fail, Policy::None);
}

#[test]
fn without_sp_and_np_the_policy_holds_for_all() {
    let zone = Zone::with(&[("example.org", "v=DMARC1; p=reject")]);
    let (evaluation, asked) = zone.evaluate(FROM_BELOW, &nothing());
    assert_eq!(evaluation.disposition, Policy::Reject);
    assert!(asked.iter().all(|question| matches!(question, Question::Txt(_))), "{asked:?}");
    let np = Zone::with(&[("example.org", "v=DMARC1; p=none; np=reject")]);
    np.check(FROM_BELOW, &nothing(), Outcome::Fail, Policy::Reject);
    np.check(FROM, &nothing(), Outcome::Fail, Policy::None);
}

#[test]
fn a_registry_speaks_for_those_who_say_nothing() {
    let zone = Zone::with(&[("example", "v=DMARC1; p=reject; psd=y"), ("own.example", "v=DMARC1; p=none")]);
    let fail = zone.check("From: a@shop.example", &nothing(), Outcome::Fail, Policy::Reject);
    assert_eq!(fail.published.unwrap().standing, Standing::Registry);
    zone.check("From: a@www.shop.example", &dkim("shop.example"), Outcome::Pass, Policy::None);
    // Neighbours below a registry have nothing to do with each other.
    zone.check("From: a@shop.example", &dkim("evil.example"), Outcome::Fail, Policy::Reject);
    zone.check("From: a@own.example", &nothing(), Outcome::Fail, Policy::None);
}

#[test]
fn departments_may_stand_alone() {
    let zone = Zone::with(&[
        ("example.org", "v=DMARC1; p=reject"),
        ("lab.example.org", "v=DMARC1; p=quarantine; psd=n"),
    ]);
    zone.check("From: a@lab.example.org", &dkim("example.org"), Outcome::Fail, Policy::Quarantine);
    zone.check("From: a@x.lab.example.org", &dkim("lab.example.org"), Outcome::Pass, Policy::None);
    zone.check(FROM, &dkim("lab.example.org"), Outcome::Fail, Policy::Reject);
}

#[test]
fn who_tests_is_treated_a_step_milder() {
    for (record, policy) in [
        ("v=DMARC1; p=reject; t=y", Policy::Quarantine),
        ("v=DMARC1; p=quarantine; t=y", Policy::None),
        ("v=DMARC1; p=reject; pct=0", Policy::Quarantine),
        ("v=DMARC1; p=reject; pct=50", Policy::Reject),
    ] {
        Zone::with(&[("example.org", record)]).check(FROM, &nothing(), Outcome::Fail, policy);
    }
}

#[test]
fn a_broken_record_is_harmless() {
    let broken = Zone::with(&[("example.org", "v=DMARC1; p=refuse")]);
    broken.check(FROM, &nothing(), Outcome::PermError, Policy::None);
    broken.check(FROM, &dkim("example.org"), Outcome::PermError, Policy::None);
    let reported = Zone::with(&[("example.org", "v=DMARC1; p=reject; sp=x; rua=mailto:a@example.org")]);
    reported.check(FROM, &nothing(), Outcome::Fail, Policy::None);
}

#[test]
fn failing_dns_never_decides() {
    let records = [("example.org", "v=DMARC1; p=reject"), ("x.example.org", "v=DMARC1; p=none")];
    let failing = |names: &[&'static str]| Zone { failing: names.to_vec(), ..Zone::with(&records) };
    failing(&["_dmarc.example.org"]).check(FROM, &dkim("example.org"), Outcome::TempError, Policy::None);
    failing(&["_dmarc.org"]).check(FROM_BELOW, &nothing(), Outcome::TempError, Policy::None);
    // Who aligns without a question passes without an answer.
    failing(&["_dmarc.org"]).check(FROM, &dkim("example.org"), Outcome::Pass, Policy::None);
    failing(&["_dmarc.org"]).check(FROM, &dkim("x.example.org"), Outcome::TempError, Policy::None);
    failing(&["_dmarc.x.example.org"]).check(FROM, &dkim("x.example.org"), Outcome::TempError, Policy::None);
    failing(&["_dmarc.org"]).check(FROM, &dkim("example.com"), Outcome::Fail, Policy::Reject);
    let np = Zone {
        failing: vec!["news.example.org"],
        ..Zone::with(&[("example.org", "v=DMARC1; p=none; np=reject")])
    };
    np.check(FROM_BELOW, &nothing(), Outcome::TempError, Policy::None);
}

#[test]
fn a_check_that_could_not_be_made_leaves_it_open() {
    let zone = Zone::with(&[("example.org", "v=DMARC1; p=reject")]);
    let failed = |text| identifier(text, IdentifierOutcome::TempError);
    let open = Identifiers { spf: Some(failed("example.org")), dkim: Vec::new() };
    let evaluation = zone.check(FROM, &open, Outcome::TempError, Policy::None);
    assert!(!evaluation.has_aligned_spf());
    let elsewhere = Identifiers { spf: Some(failed("example.net")), dkim: Vec::new() };
    zone.check(FROM, &elsewhere, Outcome::Fail, Policy::Reject);
    let passed = Identifiers { spf: Some(failed("example.org")), ..dkim("example.org") };
    zone.check(FROM, &passed, Outcome::Pass, Policy::None);
    let refused = identifier("example.org", IdentifierOutcome::Fail);
    let refused = Identifiers { spf: Some(refused), dkim: Vec::new() };
    zone.check(FROM, &refused, Outcome::Fail, Policy::Reject);
}

#[test]
fn several_authors_have_to_pass_each() {
    let zone = Zone::with(&[("one.example", "v=DMARC1; p=quarantine"), ("two.test", "v=DMARC1; p=reject")]);
    let both = Identifiers { spf: spf("one.example").spf, ..dkim("two.test") };
    let header = "From: a@one.example, b@two.test";
    zone.check(header, &both, Outcome::Pass, Policy::None);
    let fail = zone.check(header, &dkim("one.example"), Outcome::Fail, Policy::Reject);
    assert_eq!(fail.author, Some(domain("two.test")));
    zone.check(header, &dkim("two.test"), Outcome::Fail, Policy::Quarantine);
    zone.check(header, &nothing(), Outcome::Fail, Policy::Reject);
    zone.check("From: a@one.example, b@free.test", &both, Outcome::None, Policy::None);
    // The forged author cannot hide behind the forger's own domain, wherever it stands.
    zone.check("From: evil@free.test, b@two.test", &dkim("free.test"), Outcome::Fail, Policy::Reject);
}

#[test]
fn several_from_fields_never_pass() {
    // CVE-2019-16378, CVE-2019-20790: one reader judges the first field and another shows the last.
    let zone = Zone::with(&[("bank.example", "v=DMARC1; p=reject"), ("evil.test", "v=DMARC1; p=none")]);
    for header in [
        "From: a@bank.example\r\nFrom: b@evil.test\r\n",
        "From: b@evil.test\r\nFrom: a@bank.example\r\n",
        "From: b@evil.test\r\nFROM : a@bank.example\r\n",
    ] {
        zone.check(header, &dkim("evil.test"), Outcome::Fail, Policy::Reject);
    }
    let twice = "From: b@evil.test\r\nFrom: ceo@evil.test\r\n";
    let evaluation = zone.check(twice, &dkim("evil.test"), Outcome::PermError, Policy::None);
    assert_eq!(evaluation.fault, Some(AuthorFault::SeveralFields));
    zone.check("From: a@free.test\nFrom: b@free.test", &nothing(), Outcome::PermError, Policy::None);
}

#[test]
fn authors_nobody_can_read_never_pass() {
    let zone = Zone::with(&[("evil.test", "v=DMARC1; p=none"), ("one.example", "v=DMARC1; p=reject")]);
    for header in ["", "To: a@b", "From:", "From: x:;", "From: a@[192.0.2.1]", "From: a@b..c"] {
        let evaluation = zone.check(header, &dkim("evil.test"), Outcome::PermError, Policy::None);
        assert!(evaluation.fault.is_some() && evaluation.author.is_none(), "{header}");
    }
    zone.check("From: a@evil.test, b@c..d", &dkim("evil.test"), Outcome::PermError, Policy::None);
    zone.check("From: a@one.example, b@c..d", &dkim("evil.test"), Outcome::Fail, Policy::Reject);
    let crowd: Vec<String> = (0..=AUTHOR_DOMAINS_MAX).map(|number| format!("a@d{number}.test")).collect();
    let crowd = format!("From: {}, b@one.example", crowd.join(", "));
    zone.check(&crowd, &dkim("evil.test"), Outcome::PermError, Policy::None);
}

#[test]
fn international_authors_are_found_under_their_a_label() {
    let zone = Zone::with(&[("xn--bcher-kva.example", "v=DMARC1; p=reject")]);
    zone.check("From: a@b\u{fc}cher.example", &dkim("xn--bcher-kva.example"), Outcome::Pass, Policy::None);
    zone.check("From: a@B\u{dc}CHER.example", &nothing(), Outcome::Fail, Policy::Reject);
}

#[test]
fn what_is_asked_is_bounded() {
    let long = vec!["a"; 60].join(".");
    let mut identifiers = Identifiers::default();
    for number in 0..DKIM_IDENTIFIERS_MAX + 10 {
        let text = format!("s{number}.{long}.example.org");
        identifiers.dkim.push(identifier(&text, IdentifierOutcome::Pass));
    }
    let header =
        format!("From: a@x.{long}.example.org, b@{long}.example.org, c@example.org, d@y.example.org");
    let zone = Zone::with(&[("org", "v=DMARC1; p=none")]);
    let (evaluation, asked) = zone.evaluate(&header, &identifiers);
    assert_eq!(evaluation.dkim.len(), DKIM_IDENTIFIERS_MAX);
    assert!(asked.len() <= 8 * (AUTHOR_DOMAINS_MAX + DKIM_IDENTIFIERS_MAX), "{}", asked.len());
    for (count, told) in [(15, 15), (16, 16), (17, 16)] {
        let identifiers =
            Identifiers { spf: None, dkim: vec![identifier("example.org", IdentifierOutcome::Pass); count] };
        assert_eq!(zone.evaluate(FROM, &identifiers).0.dkim.len(), told);
    }
}

#[test]
fn usual_mail_costs_few_questions() {
    let zone = Zone::with(&[("example.org", "v=DMARC1; p=reject")]);
    let (_, asked) = zone.evaluate(FROM, &dkim("example.org"));
    assert_eq!(asked.len(), 1);
    let (_, asked) = zone.evaluate(FROM, &spf("bounce.example.net"));
    assert_eq!(asked.len(), 1);
    let (_, asked) = zone.evaluate(FROM, &spf("bounce.example.org"));
    assert_eq!(asked.len(), 3);
}

const NAMES: [&str; 8] = [
    "example.org",
    "news.example.org",
    "a.news.example.org",
    "evil.org",
    "org",
    "bank.test",
    "x.bank.test",
    "b\u{fc}cher.test",
];

const RECORDS: [&str; 8] = [
    "v=DMARC1; p=reject",
    "v=DMARC1; p=reject; psd=y",
    "v=DMARC1; p=quarantine; sp=reject; np=none; psd=n",
    "v=DMARC1; p=x",
    "v=DMARC1; adkim=s; aspf=s; t=y; p=reject",
    "v=DMARC1; p=none; np=reject",
    "v=spf1 -all",
    "",
];

fn headers() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        select(vec![
            "From: ", "\nFrom: ", "\nfrom :", "a@", "<", ">", ", ", "(", ")", "\"", ":", ";", "[::1]",
            "Ann ", "@"
        ])
        .prop_map(str::to_owned),
        select(NAMES.to_vec()).prop_map(|name| format!("a@{name}")),
        select(NAMES.to_vec()).prop_map(|name| format!("\nFrom: Ann <a@{name}>")),
    ];
    vec(piece, 0..8).prop_map(|pieces| format!("From: {}\n\nFrom: body@evil.org", pieces.concat()))
}

fn identifiers() -> impl Strategy<Value = Identifiers> {
    let outcomes =
        select(vec![IdentifierOutcome::Pass, IdentifierOutcome::Fail, IdentifierOutcome::TempError]);
    let one = (select(NAMES.to_vec()), outcomes).prop_map(|(name, outcome)| identifier(name, outcome));
    vec(one, 0..4).prop_map(|mut all| Identifiers { spf: all.pop(), dkim: all })
}

proptest! {
    #[test]
    fn no_doubtful_message_passes(
        header in headers(),
        identifiers in identifiers(),
        records in vec((select(NAMES.to_vec()), select(RECORDS.to_vec())), 0..6),
        failing in select(vec!["", "_dmarc.org", "_dmarc.example.org", "news.example.org"]),
    ) {
        let zone = Zone { records, existing: vec!["news.example.org"], failing: vec![failing] };
        let (evaluation, asked) = zone.evaluate(&header, &identifiers);
        prop_assert!(asked.len() <= 9 * (AUTHOR_DOMAINS_MAX + identifiers.dkim.len() + 1));
        prop_assert!(evaluation.outcome == Outcome::Fail || evaluation.disposition == Policy::None);
        let authors = AuthorDomains::of_header(header.as_bytes());
        if evaluation.outcome == Outcome::Pass {
            prop_assert_eq!(authors.fault(), None);
            prop_assert!(!authors.domains().is_empty());
            // Each author's domain has somebody of its own organisation who vouches for it.
            let passed = identifiers.spf.iter().chain(&identifiers.dkim);
            let passed: Vec<&str> = passed
                .filter(|identifier| identifier.outcome == IdentifierOutcome::Pass)
                .map(|identifier| identifier.domain.as_str())
                .collect();
            for author in authors.domains() {
                prop_assert!(passed.iter().any(|name| share_a_root(name, author.as_str())), "{author} {passed:?}");
            }
        }
    }

    #[test]
    fn any_record_is_survived(octets in vec(any::<u8>(), 0..80), text in "v=DMARC1;[a-z=;:!%,@. 0-9-]{0,80}") {
        let _ = Record::parse(&octets);
        prop_assert!(Record::parse(text.as_bytes()).is_some());
    }
}

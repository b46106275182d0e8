//! Results written, read, and what strangers try to make of them.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::dmarc::{AuthorDomains, Identifiers, evaluate};
use crate::lookup::{Answers, QueryName, Question, Reply};

fn name(text: &str) -> DomainName {
    DomainName::parse(text).unwrap()
}

fn written(results: &[MethodResult]) -> String {
    let mut header = Vec::new();
    write_results(&name("mx.example.org"), results, &mut header);
    String::from_utf8(header).unwrap()
}

fn read(field: &str) -> AuthenticationResults {
    AuthenticationResults::parse(field.split_once(':').unwrap().1.as_bytes()).unwrap()
}

fn failing_dmarc() -> Evaluation {
    let mut answers = Answers::new();
    let question = Question::Txt(QueryName::parse("_dmarc.example.net").unwrap());
    answers.add(question, Ok(Reply::Txt(vec![b"v=DMARC1; p=reject"[..].into()])));
    evaluate(&AuthorDomains::of_header(b"From: a@example.net"), &Identifiers::default(), &answers).unwrap()
}

#[test]
fn all_checks_of_a_message() {
    let signature = DkimSignature {
        domain: "example.net",
        selector: "2026a",
        identity: Some("@news.example.net"),
        algorithm: Some("rsa-sha256"),
        signature: Some("dGhl c2ln/bmF0dXJl=="),
    };
    let results = [
        MethodResult::iprev(Verdict::Pass, "2001:db8::25".parse().unwrap()),
        MethodResult::spf_helo(Verdict::None, "mail.example.net"),
        MethodResult::spf_mail_from(Verdict::SoftFail, "example.net"),
        MethodResult::dkim(Verdict::Pass, &signature),
        MethodResult::no_dkim().because("no signature"),
        MethodResult::dmarc(&failing_dmarc()),
        MethodResult::arc(Verdict::Pass, Some(0), Some("192.0.2.1".parse().unwrap())),
        MethodResult::auth(Verdict::Pass, "ann smith"),
    ];
    let field = written(&results);
    assert_eq!(
        field,
        "Authentication-Results: mx.example.org;\r\n\
         \tiprev=pass policy.iprev=\"2001:db8::25\";\r\n\
         \tspf=none smtp.helo=mail.example.net;\r\n\
         \tspf=softfail smtp.mailfrom=example.net;\r\n\
         \tdkim=pass header.d=example.net header.s=2026a\r\n\
         \theader.i=@news.example.net header.a=rsa-sha256 header.b=dGhlc2ln;\r\n\
         \tdkim=none reason=\"no signature\";\r\n\
         \tdmarc=fail header.from=example.net policy.dmarc=reject;\r\n\
         \tarc=pass header.oldest-pass=0 smtp.remote-ip=192.0.2.1;\r\n\
         \tauth=pass smtp.auth=\"ann?smith\"\r\n"
    );
    let read = read(&field);
    assert_eq!((read.authserv_id.as_str(), read.version, read.results.len()), ("mx.example.org", 1, 8));
    assert_eq!(read.results[3].properties[2].value, "@news.example.net");
    assert_eq!(written(&[]), "Authentication-Results: mx.example.org; none\r\n");
}

/// What strangers put into d=, s=, i=, HELO, MAIL FROM and names of users.
const ATTACKS: [&str; 16] = [
    "evil.example; dkim=pass header.d=bank.example",
    "evil.example(;dkim=pass header.d=bank.example;)",
    "evil.example\"; dkim=pass header.d=\"bank.example",
    "evil.example\r\n\tdkim=pass header.d=bank.example",
    "evil.example\r\nAuthentication-Results: mx.example.org; dkim=pass header.d=bank.example",
    "bank.example(.evil.example",
    "bank.example).evil.example",
    "bank.example\".evil.example",
    "bank.example\\\".evil.example",
    "bank.example .evil.example",
    "bank.example\0.evil.example",
    "bank.example/*,evil",
    "=?utf-8?Q?=3B_dkim=3Dpass?=",
    "dkim=pass",
    "\u{201c}; dkim=pass\u{201d}\u{202e}",
    "",
];

#[test]
fn what_is_not_known_of_a_signature_is_not_told() {
    let broken =
        MethodResult::dkim(Verdict::PermError, &DkimSignature { signature: Some(""), ..Default::default() });
    assert_eq!(
        written(&[broken.because("not a list of tags")]),
        "Authentication-Results: mx.example.org;\r\n\tdkim=permerror reason=\"not a list of tags\"\r\n"
    );
}

#[test]
fn no_result_gets_in_through_a_value() {
    // CVE-2019-16378, CVE-2020-12272.
    for attack in ATTACKS {
        let signature =
            DkimSignature { domain: attack, selector: attack, identity: Some(attack), ..Default::default() };
        let results = [
            MethodResult::spf_helo(Verdict::Fail, attack),
            MethodResult::spf_mail_from(Verdict::Fail, attack).because(attack),
            MethodResult::dkim(Verdict::Fail, &signature),
            MethodResult::auth(Verdict::Fail, attack),
        ];
        let field = written(&results);
        check_harmless(&field, 4);
    }
}

/// Whoever reads it, with or without knowledge of quotes and comments, sees as many results as were written, and no pass.
fn check_harmless(field: &str, results: usize) {
    assert!(field.is_ascii() && field.ends_with("\r\n"), "{field:?}");
    assert!(field.lines().all(|line| line.len() <= 998 && !line.trim().is_empty()), "{field:?}");
    assert!(field.lines().skip(1).all(|line| line.starts_with('\t')), "{field:?}");
    assert_eq!(field.matches(';').count(), results, "{field:?}");
    for method in ["spf", "dkim", "dmarc", "arc", "iprev"] {
        assert!(!field.contains(&format!("{method}=pass")), "{field:?}");
    }
    assert!(!field.contains(['(', ')', '\\', '<', '>']), "{field:?}");
    assert!(field.matches('"').count().is_multiple_of(2), "{field:?}");
    let read = read(field);
    assert_eq!(read.results.len(), results, "{field:?}");
    assert!(read.results.iter().all(|result| result.result == "fail"), "{field:?}");
}

#[test]
fn values_are_bounded() {
    for octets in [VALUE_OCTETS_MAX - 1, VALUE_OCTETS_MAX, VALUE_OCTETS_MAX + 1] {
        let field = written(&[MethodResult::spf_helo(Verdict::Fail, &"x".repeat(octets))]);
        let value = &read(&field).results[0].properties[0].value;
        assert_eq!(value.len(), octets.min(VALUE_OCTETS_MAX));
    }
}

#[test]
fn fields_of_the_rfc_are_read() {
    // RFC 8601 appendix B.
    assert!(read("A: example.org 1; none").results.is_empty());
    let one = read("A: example.com;\r\n          spf=pass smtp.mailfrom=example.net");
    assert_eq!((one.results[0].method.as_str(), one.results[0].result.as_str()), ("spf", "pass"));
    let comments = read(
        "A: foo.example.net (foobar) 1 (baz);\r\n dkim (Because I like it) / 1 (One yay) = (wait for it) fail\r\n\
         policy (A dot can go here) . (like that) expired\r\n (this surprised me) = (as I wasn't expecting it) 1362471462",
    );
    assert_eq!((comments.authserv_id.as_str(), comments.version), ("foo.example.net", 1));
    let result = &comments.results[0];
    assert_eq!((result.method.as_str(), result.result.as_str()), ("dkim", "fail"));
    let property = ReadProperty { name: "policy.expired".into(), value: "1362471462".into() };
    assert_eq!(result.properties, [property]);
    let two = read(
        "A: example.com;\r\n  dkim=pass reason=\"good signature\"\r\n  header.i=@mail-router.example.net;\r\n\
         DKIM=Fail reason=\"bad \\\"signature\\\"; (x)\" header.b=ab/c== header.i=\"a b\"@newyork.example.com;",
    );
    assert_eq!(two.results[0].reason.as_deref(), Some("good signature"));
    assert_eq!(two.results[1].reason.as_deref(), Some("bad \"signature\"; (x)"));
    assert_eq!(two.results[1].properties[0].value, "ab/c==");
    assert_eq!(two.results[1].properties[1].value, "a b@newyork.example.com");
}

#[test]
fn broken_fields_are_not_read() {
    for value in [
        "",
        ";",
        "; spf=pass",
        "a b c; spf=pass",
        "a x; spf=pass",
        "a; spf",
        "a; =pass",
        "a; spf=",
        "a; spf==pass",
        "a; spf pass=x",
        "a; (spf=pass",
        "a; spf=\"pass",
        "a; spf=pass)",
        "a\0; spf=pass",
        "a=b; spf=pass",
    ] {
        let read = AuthenticationResults::parse(value.as_bytes());
        assert_eq!(read, Err(ResultsError::Malformed), "{value}");
    }
    assert_eq!(AuthenticationResults::parse(b"a\xff; none"), Err(ResultsError::Malformed));
}

#[test]
fn the_bounds_hold() {
    let parse = |value: String| AuthenticationResults::parse(value.as_bytes());
    for count in [RESULTS_MAX - 1, RESULTS_MAX, RESULTS_MAX + 1] {
        assert_eq!(parse(format!("a{}", ";b=c".repeat(count))).is_ok(), count <= RESULTS_MAX);
    }
    for count in [PROPERTIES_MAX - 1, PROPERTIES_MAX, PROPERTIES_MAX + 1] {
        assert_eq!(parse(format!("a; b=c{}", " d.e=f".repeat(count))).is_ok(), count <= PROPERTIES_MAX);
    }
    for depth in [COMMENT_DEPTH_MAX - 1, COMMENT_DEPTH_MAX, COMMENT_DEPTH_MAX + 1] {
        let comment = format!("{}{}", "(".repeat(depth), ")".repeat(depth));
        assert_eq!(parse(format!("a {comment}; none")).is_ok(), depth <= COMMENT_DEPTH_MAX);
    }
    for octets in [FIELD_OCTETS_MAX - 1, FIELD_OCTETS_MAX, FIELD_OCTETS_MAX + 1] {
        assert_eq!(parse(format!("{}; none", "a".repeat(octets - 6))).is_ok(), octets <= FIELD_OCTETS_MAX);
    }
}

#[test]
fn fields_with_our_name_are_forged() {
    let ours = [name("mx.example.org"), name("xn--bcher-kva.example")];
    for value in [
        "mx.example.org; dkim=pass",
        "MX.Example.ORG; dkim=pass",
        "mx.example.org.; dkim=pass",
        " \r\n\tmx.example.org\r\n\t1; dkim=pass",
        "mx.example.org(x);dkim=pass",
        "(x(y)) mx.example.org (z); dkim=pass",
        "(x;y) mx.example.org; dkim=pass",
        "\"mx.example.org\"; dkim=pass",
        "\"mx\\.example.org\"; dkim=pass",
        "\"mx.example.\r\n org\"; dkim=pass",
        "mx.example.org",
        "mx.example.org/1; dkim=pass",
        "evil.example (mx.example.org); dkim=pass",
        "mx.example.\r\n org; dkim=pass",
        "\u{ff4d}x.example.org; dkim=pass",
        "b\u{fc}cher.example; dkim=pass",
        "B\u{dc}CHER.example; dkim=pass",
        "xn--bcher-kva.example; dkim=pass",
        "=?utf-8?Q?mx.example.org?=; dkim=pass",
        "evil.example mx.example.org; dkim=pass",
        "evil.example; (dkim=pass",
        "mx.example.org\0; dkim=pass",
        "",
    ] {
        assert!(is_forged(value.as_bytes(), &ours), "{value:?}");
    }
    assert!(is_forged(b"mx.example.org\xff; dkim=pass", &ours));
    assert!(is_forged(&vec![b'a'; FIELD_OCTETS_MAX + 1], &ours));
}

#[test]
fn fields_of_others_may_stay() {
    let ours = [name("mx.example.org")];
    for value in [
        "example.org; dkim=pass",
        "other.mx.example.org; dkim=pass",
        "mx.example.org.evil.example; dkim=pass",
        "xmx.example.org; dkim=pass",
        "mx.example.net; spf=pass smtp.mailfrom=mx.example.org",
        "mx.example.net 1; none",
        "mx.example.net (reported by me); spf=fail (mx.example.org)",
    ] {
        assert!(!is_forged(value.as_bytes(), &ours), "{value:?}");
    }
    assert!(!is_forged(b"mx.example.org; none", &[]));
}

fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        select(ATTACKS.to_vec()).prop_map(str::to_owned),
        ".{0,6}",
        select(vec![
            ";",
            "(",
            ")",
            "\"",
            "\\",
            "=",
            "@",
            ".",
            " ",
            "\r\n",
            "\t",
            "mx.example.org",
            "dkim",
            "pass",
            "1"
        ])
        .prop_map(str::to_owned),
    ];
    vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn whatever_strangers_choose_is_harmless(domain in pieces(), identity in pieces(), reason in pieces()) {
        let signature = DkimSignature { domain: &domain, selector: "s", identity: Some(&identity), ..Default::default() };
        let results = [
            MethodResult::dkim(Verdict::Fail, &signature).because(&reason),
            MethodResult::spf_mail_from(Verdict::Fail, &domain),
        ];
        let field = written(&results);
        check_harmless(&field, 2);
    }

    #[test]
    fn results_read_back_as_written(
        verdict in select(vec![Verdict::Pass, Verdict::Neutral, Verdict::TempError]),
        domain in "[a-z0-9]{1,10}(\\.[a-z0-9]{1,10}){0,3}",
        local_part in "[a-z.+-]{0,10}",
    ) {
        let identity = format!("{local_part}@{domain}");
        let signature = DkimSignature { domain: &domain, selector: "s", identity: Some(&identity), ..Default::default() };
        let field = written(&[MethodResult::dkim(verdict, &signature)]);
        let read = read(&field);
        prop_assert_eq!(&read.results[0].result, verdict.as_str());
        prop_assert_eq!(&read.results[0].properties[0].value, &domain);
        prop_assert_eq!(&read.results[0].properties[2].value, &identity);
    }

    #[test]
    fn any_octets_are_survived(value in pieces(), octets in vec(any::<u8>(), 0..60)) {
        let ours = [name("mx.example.org")];
        let _ = is_forged(&octets, &ours);
        if let Ok(read) = AuthenticationResults::parse(value.as_bytes())
            && is_same_name(&read.authserv_id, &ours[0])
        {
            prop_assert!(is_forged(value.as_bytes(), &ours));
        }
    }
}

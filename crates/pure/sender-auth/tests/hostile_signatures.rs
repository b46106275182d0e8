//! Headers and bodies that an attacker might choose to make verifying slow: each is read in time that grows with its
//! length alone. Quadratic reading of so many octets takes minutes.
#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod mail;

use std::time::{Duration, Instant};

use mail::{Records, chain, signatures};
use sender_auth::dkim::{Limits, Verifier};

/// A bit less than the longest header that is looked at.
const HEADER_OCTETS: usize = 1_000_000;
const BODY_OCTETS: usize = 4 * 1024 * 1024;
/// Debug build and busy machine included.
const TIME_MAX: Duration = Duration::from_secs(20);

const HASH: &str = "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=";

fn check(what: &str, header: &str, body: &[u8], chunk: usize) {
    assert!(header.len() <= Limits::default().header_octets_max);
    let started = Instant::now();
    let mut verifier = Verifier::new(header.as_bytes(), Limits::default());
    body.chunks(chunk).for_each(|octets| verifier.body(octets));
    let verification = verifier.finish();
    let records = Records::default();
    records.settle(|answers| verification.judge(answers, mail::NOW));
    records.settle(|answers| verification.judge_chain(answers, mail::NOW));
    assert!(started.elapsed() < TIME_MAX, "{what} took {:?}", started.elapsed());
}

/// Signatures that name a field hundreds of times, over fields that are there thousands of times.
#[test]
fn headers() {
    let names = "a:".repeat(500);
    let signature = |number: usize| {
        format!(
            "DKIM-Signature: v=1; a=rsa-sha256; d=d{number}.example; s=s; h={names}from; b=AAAA; bh={HASH}; c=relaxed\r\n"
        )
    };
    let set = |number: usize| {
        let status = if number == 1 { "none" } else { "pass" };
        format!(
            "ARC-Seal: i={number}; a=rsa-sha256; d=example.org; s=s{number}; cv={status}; b=AAAA\r\n\
             ARC-Message-Signature: i={number}; a=rsa-sha256; d=example.org; s=s{number}; h={names}from; b=AAAA; bh={HASH}\r\n\
             ARC-Authentication-Results: i={number}; example.org\r\n"
        )
    };
    let signed = (0..20).map(signature).collect::<String>() + &(1..=50).map(set).collect::<String>();
    for filler in [
        "a:\r\n",
        "a: \t\r\n \r\n \r\n",
        "\r",
        "a",
        " ",
        ":",
        "DKIM-Signature:\r\n",
        "DKIM-Signature: v=1;\r\n",
        "ARC-Seal: i=1;\r\n",
        "ARC-Authentication-Results: i=1;\r\n",
        "From: a\r\n",
        "x;=",
        "\r\n\t",
    ] {
        let room = HEADER_OCTETS - signed.len();
        let filled = filler.repeat(room / filler.len());
        check(filler, &format!("{signed}{filled}"), b"", 1);
        check(filler, &format!("{filled}{signed}"), b"", 1);
    }
}

#[test]
fn tags_and_lists() {
    for piece in ["a=1;", ";", "=", "a=", " ", "\r\n ", "h=a:", ":", "b=", "x", "\u{e9}", "i=1;", "b=AAAA;"] {
        for name in ["DKIM-Signature", "ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results"] {
            for octets in [16_000, HEADER_OCTETS] {
                let field = format!("{name}: v=1; i=1; {}\r\n", piece.repeat((octets - 100) / piece.len()));
                check(piece, &field.repeat(HEADER_OCTETS / octets), b"", 1);
            }
        }
    }
}

#[test]
fn bodies() {
    let signature = |number: usize, form: &str| {
        format!(
            "DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=s; h=from; b=AAAA; bh={HASH}; c={form}; l={}\r\n",
            number * 100_000
        )
    };
    let header: String = (0..8)
        .map(|number| signature(number, if number % 2 == 0 { "simple/simple" } else { "simple/relaxed" }))
        .collect();
    for piece in ["\r\n", " ", "\t \t", "\r", "\n", "a", "a ", " \r\n", "\r\r\n", "a\r\n\r\n"] {
        let body = piece.repeat(BODY_OCTETS / piece.len());
        for chunk in [1_000, BODY_OCTETS] {
            check(piece, &header, format!("{body}x").as_bytes(), chunk);
        }
    }
}

/// However many sets there are, each key is asked for once, and for all at once.
#[test]
fn questions_are_bounded() {
    let header: String = (0..100)
        .map(|number| {
            let body = "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=";
            format!(
                "DKIM-Signature: v=1; a=rsa-sha256; d=d{number}.example; s=s; h=from; b=AAAA; bh={body}\r\n"
            )
        })
        .collect();
    let mut verifier = Verifier::new(header.as_bytes(), Limits::default());
    verifier.body(b"");
    let verification = verifier.finish();
    let sender_auth::Needs(questions) =
        verification.judge(&sender_auth::Answers::new(), mail::NOW).unwrap_err();
    assert_eq!(questions.len(), Limits::default().signatures_max);
    assert_eq!(
        signatures(header.as_bytes(), &Records::default()).len(),
        Limits::default().signatures_max + 1
    );
    assert!(chain(header.as_bytes(), &Records::default()).hops.is_empty());
}

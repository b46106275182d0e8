//! How fast scripts are compiled and run: `cargo run --release -p sieve --example speed`.
//!
//! 1,000 rules on a message of 50 KB must take less than a millisecond, compiling 100 KB less than 20 of them.
#![allow(clippy::unwrap_used, reason = "it may fail in the open")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sieve::message::{Message, MessageLimits};
use sieve::{Detail, Dialect, EmptyWorld, Stage, compile, run};

/// Rounds of each measurement; the middle one is told.
const ROUNDS: usize = 101;

fn main() {
    let message = message();
    let kinds: [(&str, &str); 6] = [
        ("header :contains, one field", "if header :contains \"subject\" \"nothing {}\" { discard; }"),
        (
            "header :contains, three fields",
            "if header :contains [\"from\", \"to\", \"cc\"] \"nobody{}@\" { discard; }",
        ),
        ("header :contains, all Received", "if header :contains \"received\" \"nowhere{}\" { discard; }"),
        ("header :matches", "if header :matches \"subject\" \"*no*thing*{}*\" { discard; }"),
        ("header :is", "if header :is \"list-id\" \"<list{}.example.org>\" { discard; }"),
        ("address :is", "if address :is [\"from\", \"to\"] \"nobody{}@example.org\" { discard; }"),
    ];
    println!("message of {} octets", message.len());
    for (name, rule) in kinds {
        let rules: String = (0..1_000).map(|number| rule.replace("{}", &number.to_string()) + "\n").collect();
        measure(name, &rules, &message);
    }
    let mut script = String::from("require [\"fileinto\", \"variables\", \"imap4flags\"];\n");
    let mut number = 0;
    while script.len() < 100 * 1024 {
        number += 1;
        script.push_str(&format!(
            "if anyof (header :contains [\"subject\", \"from\"] \"word {number}\", address :domain \"to\" \"d{number}.example\") {{\n  set \"x\" \"v{number}\";\n  addflag \"$f{number}\";\n  fileinto \"Folder/${{x}}\";\n}}\n"
        ));
    }
    let few: String = (0..200)
        .map(|number| format!("if header :regex \"subject\" \"no(thing|body) {number}\" {{ discard; }}\n"))
        .collect();
    measure("header :regex, 200 of them", &format!("require \"regex\";\n{few}"), &message);
    spend_all();
    measure("mixed, 100 KB", &script, &message);
}

/// How long scripts take that spend all they may: the longest that one run can last.
fn spend_all() {
    let huge = format!("Subject: {}\r\n\r\n", "ab".repeat(500_000));
    let big = "x".repeat(60_000);
    let scripts: [(&str, String); 6] = [
        (
            ":matches with ?",
            "if header :matches \"subject\" \"*a?a?a?a?a?a?b*\" { discard; }\n".repeat(20_000),
        ),
        (":matches with *", "if header :matches \"subject\" \"*b*b*b*b*c*\" { discard; }\n".repeat(20_000)),
        (":contains", "if header :contains \"subject\" \"abac\" { discard; }\n".repeat(30_000)),
        (
            ":regex",
            format!(
                "require \"regex\";\n{}",
                "if header :regex \"subject\" \"(a|b|ab)*c\" { discard; }\n".repeat(200)
            ),
        ),
        (
            "variables",
            format!(
                "require \"variables\";\nset \"a\" \"{big}\";\n{}",
                "set \"b\" \"${a}\"; if string :contains \"${b}\" \"yy\" { discard; }\n".repeat(15_000)
            ),
        ),
        (
            "regex of variables",
            format!(
                "require [\"variables\", \"regex\"];\nset \"a\" \"(a|b)\";\n{}",
                "if header :regex \"from\" \"${a}${a}${a}{9}\" { discard; }\n".repeat(20_000)
            ),
        ),
    ];
    let mut dialect = Dialect::default();
    dialect.bounds.script_octets_max = 8 << 20;
    for (name, script) in scripts {
        let script = compile(script.as_bytes(), &dialect).unwrap();
        let stages = [Stage { name: "user".to_owned(), script: Arc::new(script) }];
        let mut message = Message::from_octets(huge.as_bytes(), MessageLimits::default()).unwrap();
        let start = Instant::now();
        let outcome = run(&stages, &mut message, &EmptyWorld, &dialect, Detail::Actions);
        println!("all spent on {name:20} {:>10.3?}, cost {}", start.elapsed(), outcome.cost);
    }
}

fn measure(name: &str, script: &str, message: &[u8]) {
    let dialect = Dialect::default();
    let compiling = middle(|| drop(black_box(compile(script.as_bytes(), &dialect).unwrap())));
    let stage =
        Stage { name: "user".to_owned(), script: Arc::new(compile(script.as_bytes(), &dialect).unwrap()) };
    let stages = [stage];
    let running = middle(|| {
        let mut message = Message::from_octets(message, MessageLimits::default()).unwrap();
        let outcome = run(&stages, &mut message, &EmptyWorld, &dialect, Detail::Actions);
        assert_eq!(outcome.faults, []);
        black_box(outcome);
    });
    println!("{name:32} compile {compiling:>10.3?} ({} octets)   run {running:>10.3?}", script.len());
}

fn middle(mut work: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[ROUNDS / 2]
}

fn message() -> Vec<u8> {
    let mut message = String::new();
    for hop in 0..8 {
        message.push_str(&format!(
            "Received: from mx{hop}.example.net (mx{hop}.example.net [192.0.2.{hop}])\r\n\tby mail.example.org with ESMTPS id abc{hop};\r\n\tThu, 26 Nov 2026 10:0{hop}:00 +0000\r\n"
        ));
    }
    for number in 0..24 {
        message.push_str(&format!("X-Some-Field-{number}: {}\r\n", "value ".repeat(12)));
    }
    message.push_str("From: =?utf-8?q?J=C3=BCrgen?= <juergen@example.net>\r\nTo: ann@example.org, bob@example.org\r\nCc: list@lists.example.org\r\n");
    message.push_str("Subject: =?utf-8?q?Mittagessen_am_Freitag_=E2=80=93?= and some more of it\r\nList-Id: <list.example.org>\r\nDate: Thu, 26 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.net>\r\n\r\n");
    while message.len() < 50 * 1024 {
        message.push_str("A line of the body, which no header test looks at.\r\n");
    }
    message.into_bytes()
}

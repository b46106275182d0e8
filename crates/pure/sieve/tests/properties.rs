//! Whatever a script says: compiling it and running it ends, without a panic; and what is printed is the same program.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod story;

use std::sync::Arc;

use proptest::prelude::*;
use sieve::message::{Message, MessageLimits};
use sieve::{Detail, Dialect, EmptyWorld, Stage, compile, run};

/// Words that scripts are made of.
const WORDS: &[&str] = &[
    "require",
    "if",
    "elsif",
    "else",
    "stop",
    "keep",
    "discard",
    "redirect",
    "fileinto",
    "reject",
    "vacation",
    "set",
    "string",
    "header",
    "address",
    "envelope",
    "exists",
    "size",
    "true",
    "false",
    "not",
    "anyof",
    "allof",
    "addflag",
    "hasflag",
    "include",
    "return",
    "global",
    "notify",
    "denotify",
    "date",
    "currentdate",
    "duplicate",
    "spamtest",
    "environment",
    "ihave",
    "error",
    "mailboxexists",
    "execute",
    "filter",
    "pipe",
    ":is",
    ":contains",
    ":matches",
    ":regex",
    ":value",
    ":count",
    ":comparator",
    ":all",
    ":localpart",
    ":domain",
    ":user",
    ":detail",
    ":over",
    ":under",
    ":copy",
    ":create",
    ":flags",
    ":index",
    ":last",
    ":lower",
    ":length",
    ":quotewildcard",
    ":days",
    ":subject",
    ":mime",
    ":handle",
    ":zone",
    ":originalzone",
    ":message",
    ":importance",
    ":fcc",
    ";",
    ";",
    ";",
    ",",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "1",
    "10K",
    "99999999999999999999",
    "\"subject\"",
    "\"from\"",
    "\"*a*\"",
    "\"${1}\"",
    "\"${x}\"",
    "\"x\"",
    "\"i;octet\"",
    "\"i;ascii-numeric\"",
    "\"gt\"",
    "\"variables\"",
    "\"(a+)+\"",
    "\"${hex:ff}\"",
    "\"${unicode:40}\"",
    "\"mailto:a@b.example\"",
    "\"a@b.example\"",
    "\"date\"",
    "text:\nlong\n.\n",
    "# comment\n",
    "/* comment */",
    "$",
    "\"",
    "\u{0}",
    "\\",
];

const EVERYTHING: &str = "require [\"variables\", \"encoded-character\", \"fileinto\", \"reject\", \"ereject\", \"envelope\", \"copy\", \"vacation-seconds\", \"relational\", \"imap4flags\", \"subaddress\", \"spamtestplus\", \"virustest\", \"date\", \"index\", \"ihave\", \"mailbox\", \"mboxmetadata\", \"servermetadata\", \"environment\", \"include\", \"extlists\", \"duplicate\", \"special-use\", \"fcc\", \"mailboxid\", \"regex\", \"enotify\", \"vnd.dovecot.debug\", \"vnd.dovecot.report\", \"vnd.dovecot.environment\", \"vnd.dovecot.pipe\", \"vnd.dovecot.filter\", \"vnd.dovecot.execute\", \"comparator-i;ascii-numeric\", \"comparator-i;unicode-casemap\"];\n";

fn soup() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        8 => prop::sample::select(WORDS).prop_map(str::to_owned),
        1 => "[ -~]{0,8}".prop_map(|text| format!("\"{}\"", text.replace(['"', '\\'], ""))),
        1 => "\\PC{0,4}",
    ];
    (any::<bool>(), prop::collection::vec(word, 0..60)).prop_map(|(requires, words)| {
        format!("{}{}", if requires { EVERYTHING } else { "" }, words.join(" "))
    })
}

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(&["${a}", "${1}", "*", "?", "x", "subject", "${hex:24}", "${hex:ff}", "${unicode:e9}", "$", "{", "\\", "a@b.example", "\r\n", "\r", "${hex:0a}", "${hex:0d}", "${hex:24 7b 61 7d}"][..])
            .prop_map(str::to_owned),
        1 => "\\PC{0,3}",
    ];
    prop::collection::vec(piece, 0..4)
        .prop_map(|pieces| format!("\"{}\"", pieces.concat().replace('\\', "\\\\").replace('"', "\\\"")))
}

fn list() -> impl Strategy<Value = String> {
    prop::collection::vec(text(), 1..4).prop_map(|texts| format!("[{}]", texts.join(", ")))
}

fn comparison() -> impl Strategy<Value = &'static str> {
    prop::sample::select(
        &[
            "",
            ":is",
            ":contains",
            ":matches",
            ":matches :comparator \"i;octet\"",
            ":count \"ge\"",
            ":value \"lt\"",
            ":comparator \"i;unicode-casemap\" :contains",
            ":is :comparator \"i;ascii-numeric\"",
        ][..],
    )
}

fn test() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("true".to_owned()),
        Just("false".to_owned()),
        (comparison(), list(), list()).prop_map(|(how, names, keys)| format!("header {how} {names} {keys}")),
        (comparison(), list(), list())
            .prop_map(|(how, values, keys)| format!("string {how} {values} {keys}")),
        (comparison(), prop::sample::select(&["", ":localpart", ":domain", ":user", ":detail"][..]), list())
            .prop_map(|(how, part, keys)| format!("address {how} {part} [\"from\", \"to\"] {keys}")),
        (any::<bool>(), 0_u32..5_000)
            .prop_map(|(over, size)| format!("size {} {size}", if over { ":over" } else { ":under" })),
        list().prop_map(|names| format!("exists {names}")),
        (comparison(), list()).prop_map(|(how, keys)| format!("hasflag {how} {keys}")),
        (comparison(), list()).prop_map(|(how, keys)| format!("date {how} \"date\" \"iso8601\" {keys}")),
        (comparison(), list()).prop_map(|(how, keys)| format!("currentdate {how} \"weekday\" {keys}")),
        text().prop_map(|value| format!("duplicate :uniqueid {value}")),
        list().prop_map(|names| format!("mailboxexists {names}")),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|test| format!("not {test}")),
            (any::<bool>(), prop::collection::vec(inner, 1..4)).prop_map(|(any, tests)| {
                format!("{} ({})", if any { "anyof" } else { "allof" }, tests.join(", "))
            }),
        ]
    })
}

fn script() -> impl Strategy<Value = String> {
    let command = prop_oneof![
        Just("keep;".to_owned()),
        Just("discard;".to_owned()),
        Just("stop;".to_owned()),
        text().prop_map(|value| format!("set \"a\" {value};")),
        text().prop_map(|value| format!("set :upperfirst :lower :quotewildcard \"b\" {value};")),
        list().prop_map(|flags| format!("addflag {flags};")),
        text().prop_map(|name| format!("fileinto :copy \"x/${{a}}\"; debug_log {name};")),
        text().prop_map(|reason| format!("vacation :subject {reason} {reason};")),
        Just("redirect :copy \"a@b.example\";".to_owned()),
    ];
    let command = command.prop_recursive(4, 40, 6, |inner| {
        (test(), prop::collection::vec(inner.clone(), 0..4), prop::collection::vec(inner, 0..3)).prop_map(
            |(test, yes, no)| format!("if {test} {{\n{}\n}} else {{\n{}\n}}", yes.join("\n"), no.join("\n")),
        )
    });
    prop::collection::vec(command, 0..8).prop_map(|commands| format!("{EVERYTHING}{}", commands.join("\n")))
}

const MESSAGE: &str = "From: Ann <ann+x@example.org>\r\nTo: a@b.example, c@d.example\r\nSubject: =?utf-8?q?=C3=A9t=C3=A9?= xx\r\nDate: Thu, 26 Nov 2026 11:05:06 +0100\r\nMessage-ID: <1@a>\r\n\r\nbody\r\n";

/// Little fuel: ends are reached soon.
fn dialect() -> Dialect {
    let mut dialect = story::everything();
    dialect.bounds.cost_max = 3_000_000;
    dialect
}

fn run_it(script: sieve::Script) {
    let mut message = Message::from_octets(MESSAGE.as_bytes(), MessageLimits::default()).unwrap();
    let stage = Stage { name: "script".to_owned(), script: Arc::new(script) };
    let dialect = dialect();
    let outcome = run(&[stage], &mut message, &EmptyWorld, &dialect, Detail::Steps);
    // Far beyond its end no run goes: one step of it is bounded too.
    assert!(outcome.cost <= dialect.bounds.cost_max * 20, "{}", outcome.cost);
    assert!(outcome.actions.len() <= dialect.bounds.actions_max + 1);
}

proptest! {
    #[test]
    fn no_words_make_it_stumble(script in soup()) {
        if let Ok(script) = compile(script.as_bytes(), &dialect()) {
            let printed = script.print();
            let again = compile(printed.as_bytes(), &dialect());
            prop_assert!(again.is_ok(), "{printed}\n{again:?}");
            prop_assert_eq!(again.map(|script| script.print()).unwrap_or_default(), printed);
            run_it(script);
        }
    }

    #[test]
    fn no_octets_make_it_stumble(script in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = compile(&script, &dialect());
    }

    #[test]
    fn what_is_printed_is_the_same_program(script in script()) {
        let compiled = compile(script.as_bytes(), &dialect());
        prop_assert!(compiled.is_ok(), "{script}\n{compiled:?}");
        if let Ok(compiled) = compiled {
            let printed = compiled.print();
            let again = compile(printed.as_bytes(), &dialect());
            prop_assert!(again.is_ok(), "{printed}\n{again:?}");
            if let Ok(again) = again {
                prop_assert!(again.is_same_program(&compiled), "{script}\n{printed}");
            }
            run_it(compiled);
        }
    }
}

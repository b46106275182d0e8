//! Scripts among scripts: one after the other, one inside the other, and what is asked before it is used.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod story;

use std::collections::BTreeMap;
use std::sync::Arc;

use sieve::{Bounds, Detail, EmptyWorld, Script, Stage, StepResult, check_includes, compile, run};
use story::town::Town;
use story::{compiled, everything, everything_for, faults, run_bounded, run_stages, story, story_in, words};

const MESSAGE: &str = "From: a@b.example\nSubject: lunch\n\nHi.\n";

fn stages(scripts: &[&str]) -> Vec<Stage> {
    let stage =
        |(number, script): (usize, &&str)| Stage { name: format!("s{number}"), script: compiled(script) };
    scripts.iter().enumerate().map(stage).collect()
}

#[track_caller]
fn check(scripts: &[&str], expected: &str) {
    assert_eq!(words(&run_stages(&EmptyWorld, &stages(scripts), MESSAGE)), expected);
}

/// The next script runs as long as the message is to be kept.
#[test]
fn scripts_run_one_after_the_other() {
    let after = "require \"fileinto\"; fileinto \"after\";";
    check(&["", after], "fileinto after");
    check(&["keep;", after], "fileinto after");
    check(&["stop;", after], "fileinto after");
    check(&["discard;", after], "discard");
    check(
        &["redirect :copy \"x@y.example\";", after].map(|s| {
            if s.starts_with("redirect") { "require \"copy\"; redirect :copy \"x@y.example\";" } else { s }
        }),
        "redirect x@y.example fileinto after",
    );
    check(
        &["require \"imap4flags\"; setflag \"$x\";", "require \"fileinto\"; fileinto \"y\";"],
        "fileinto y [$x]",
    );
    check(&["require \"imap4flags\"; keep :flags \"$x\";", ""], "keep [$x]");
    check(&[], "keep");
}

/// A script that fails has decided nothing; what comes after it still runs.
#[test]
fn a_script_that_fails_keeps_the_message_and_the_rest_runs() {
    let broken = "require [\"ihave\", \"reject\"]; discard; error \"no\";";
    check(&[broken, "require \"fileinto\"; fileinto \"after\";"], "fileinto after | line 1: no");
    let outcome = run_stages(&EmptyWorld, &stages(&["", broken]), MESSAGE);
    assert_eq!(outcome.faults[0].script, "s1");
    assert_eq!(words(&outcome), "keep | line 1: no");
}

/// RFC 5429 §2.4: refusing and delivering exclude each other.
#[test]
fn a_refused_message_is_not_delivered() {
    for other in
        ["keep;", "redirect \"a@b.example\";", "fileinto \"x\";", "ereject \"no\";", "vacation \"away\";"]
    {
        let script =
            format!("require [\"reject\", \"ereject\", \"fileinto\", \"vacation\"]; reject \"no\"; {other}");
        let outcome = story::outcome(&script, MESSAGE);
        assert!(outcome.starts_with("keep | line 1: the message is refused"), "{outcome}");
    }
    story("require \"reject\"; reject \"no\";", MESSAGE, "reject no");
}

fn library(scripts: &[(&'static str, &str)]) -> Town {
    let scripts = scripts.iter().map(|(name, script)| (*name, compiled(script)));
    Town { scripts: scripts.collect::<BTreeMap<&'static str, Arc<Script>>>(), ..Town::default() }
}

/// RFC 6609 §3.
#[test]
fn scripts_include_scripts() {
    let town = library(&[
        (
            "spam",
            "require [\"include\", \"variables\", \"fileinto\"]; global \"folder\"; fileinto \"${folder}/${global.folder}${local}\"; return; discard;",
        ),
        (":global lists", "require [\"include\", \"variables\"]; set \"global.folder\" \"lists\";"),
    ]);
    let script = "require [\"include\", \"variables\"]; global \"folder\"; set \"local\" \"x\"; include :global \"lists\"; include \"spam\"; include :once \"spam\"; include :optional \"none\";";
    story_in(&town, script, MESSAGE, "fileinto lists/lists");
    story_in(
        &town,
        "require \"include\"; include \"none\";",
        MESSAGE,
        "keep | line 1: there is no script 'none' to include",
    );
}

#[test]
fn circles_of_scripts_end() {
    let town = library(&[
        ("one", "require \"include\"; include \"two\";"),
        ("two", "require \"include\"; include \"one\";"),
    ]);
    let script = "require \"include\"; include \"one\";";
    story_in(&town, script, MESSAGE, "keep | line 1: the script 'one' includes itself");
    let faults = check_includes(&compiled(script), &town, &Bounds::default());
    let words: Vec<&str> = faults.iter().map(|fault| fault.words.as_str()).collect();
    assert_eq!(
        words,
        [
            "the script 'one' includes itself",
            "the included script 'two' is faulty",
            "the included script 'one' is faulty"
        ]
    );
}

/// Each script is looked at once, however many ways lead to it.
#[test]
fn many_ways_to_a_script_are_one() {
    let twice = |next: &str| format!("require \"include\"; {}", format!("include \"{next}\";").repeat(200));
    let scripts: Vec<String> = ["b", "c", "d", "e", "f"].iter().map(|next| twice(next)).collect();
    let mut all: Vec<(&'static str, &str)> =
        ["a", "b", "c", "d", "e"].into_iter().zip(scripts.iter().map(String::as_str)).collect();
    all.push(("f", "require \"include\";\ninclude \"none\";"));
    let faults = check_includes(
        &compiled("require \"include\";\n\ninclude \"a\";"),
        &library(&all),
        &Bounds::default(),
    );
    assert_eq!(faults.len(), 7);
    assert!(faults.iter().all(|fault| fault.place.line == 3));
}

#[test]
fn includes_are_bounded_in_depth_and_number() {
    let names = ["a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "a9", "a10", "a11"];
    let chain: Vec<(&str, String)> = names
        .iter()
        .enumerate()
        .map(|(number, name)| (*name, format!("require \"include\"; include :optional \"a{}\";", number + 1)))
        .collect();
    let deep = |depth: usize| {
        let scripts: Vec<(&'static str, &str)> =
            chain.iter().take(depth).map(|(n, s)| (*n, s.as_str())).collect();
        let town = library(&scripts);
        let script = "require \"include\"; include \"a0\";";
        let outcome = words(&story::run_in(&town, script, MESSAGE));
        let faults = check_includes(&compiled(script), &town, &Bounds::default()).len();
        (outcome, faults)
    };
    assert_eq!(deep(9), ("keep".to_owned(), 0));
    assert_eq!(deep(10).0, "keep | line 1: scripts are included deeper than 10");
    let many: String = "include \"x\";".repeat(256);
    let town = library(&[("x", "")]);
    let script = format!("require \"include\"; {many}");
    story_in(&town, &script, MESSAGE, "keep | line 1: more than 255 scripts are included");
    story_in(&town, &script.replacen("include \"x\";", "", 1), MESSAGE, "keep");
}

/// RFC 5463.
#[test]
fn what_is_not_there_is_asked_for() {
    story(
        "require \"ihave\"; if ihave \"nonsense\" { nonsense_command :x 1; } else { discard; }",
        MESSAGE,
        "discard",
    );
    story(
        "require \"ihave\"; if ihave [\"fileinto\", \"copy\"] { fileinto :copy \"x\"; }",
        MESSAGE,
        "fileinto x :copy keep",
    );
    story(
        "require \"ihave\"; if anyof (ihave \"variables\", ihave \"encoded-character\") { discard; }",
        MESSAGE,
        "keep",
    );
    story(
        "require \"ihave\"; if not ihave \"nonsense\" { error \"it is needed\"; }",
        MESSAGE,
        "keep | line 1: it is needed",
    );
    faults("require \"ihave\"; if not ihave \"x\" { nonsense; }", &["1:37: unknown command 'nonsense'"]);
}

#[test]
fn every_step_can_be_told() {
    let script =
        "if header \"subject\" \"dinner\" {\n  discard;\n} elsif header \"subject\" \"lunch\" {\n  keep;\n}";
    let mut message =
        sieve::message::Message::from_octets(MESSAGE.as_bytes(), sieve::message::MessageLimits::default())
            .unwrap();
    let outcome = run(&stages(&[script]), &mut message, &EmptyWorld, &everything(), Detail::Steps);
    let steps: Vec<(u32, &str, StepResult)> =
        outcome.steps.iter().map(|step| (step.line, step.name, step.result)).collect();
    assert_eq!(
        steps,
        [(1, "header", StepResult::False), (3, "header", StepResult::True), (4, "keep", StepResult::Done)]
    );
}

#[test]
fn bounds_of_scripts_hold() {
    let mut dialect = everything();
    dialect.bounds.script_octets_max = 100;
    let script = |octets: usize| format!("keep;{}", " ".repeat(octets - 5));
    assert!(compile(script(99).as_bytes(), &dialect).is_ok());
    assert!(compile(script(100).as_bytes(), &dialect).is_ok());
    assert!(compile(script(101).as_bytes(), &dialect).is_err());
    dialect = everything();
    dialect.bounds.nodes_max = 10;
    assert!(compile("keep;".repeat(9).as_bytes(), &dialect).is_ok());
    assert!(compile("keep;".repeat(10).as_bytes(), &dialect).is_ok());
    assert!(compile("keep;".repeat(11).as_bytes(), &dialect).is_err());
    dialect = everything();
    dialect.bounds.strings_max = 3;
    let strings = |count: usize| format!("if exists [{}] {{}}", vec!["\"x\""; count].join(","));
    assert!(compile(strings(2).as_bytes(), &dialect).is_ok());
    assert!(compile(strings(3).as_bytes(), &dialect).is_ok());
    assert!(compile(strings(4).as_bytes(), &dialect).is_err());
    let nested = |depth: usize| format!("{}keep;{}", "if true {".repeat(depth), "}".repeat(depth));
    assert!(compile(nested(31).as_bytes(), &everything()).is_ok());
    assert!(compile(nested(32).as_bytes(), &everything()).is_ok());
    assert!(compile(nested(33).as_bytes(), &everything()).is_err());
    let tests = |depth: usize| format!("if {} true {{}}", "not ".repeat(depth));
    assert!(compile(tests(31).as_bytes(), &everything()).is_ok());
    assert!(compile(tests(32).as_bytes(), &everything()).is_err());
    // However much is wrong, what is told has an end.
    let nonsense: String = (0..1_000).map(|number| format!("nonsense{number};")).collect();
    let faults = compile(nonsense.as_bytes(), &everything()).err().unwrap_or_default();
    assert_eq!(faults.len(), sieve::FAULTS_MAX);
}

#[test]
fn actions_are_bounded() {
    let many = |count: usize| {
        let files: String = (0..count).map(|number| format!("fileinto \"x{number}\";")).collect();
        story::outcome(&format!("require \"fileinto\"; {files}"), MESSAGE)
    };
    assert!(many(31).ends_with("x30"));
    assert!(many(32).ends_with("x31"));
    assert!(many(33).ends_with("total number of actions exceeds policy limit (32)"));
}

/// Class 15 of the threats: what is included spends what its includer may spend, not as much again.
#[test]
fn scripts_that_are_included_share_one_purse() {
    let costly = "require \"variables\"; set \"a\" \"x\"; if header :matches \"subject\" \"*a?????????b\" { discard; }\n";
    let town = library(&[("costly", costly)]);
    let message = format!("Subject: {}\n\n", "ac".repeat(250_000));
    let script = |count: usize| format!("require \"include\"; {}", "include \"costly\";".repeat(count));
    let runs = |count: usize| {
        let stages = stages(&[&script(count)]);
        words(&run_bounded(&town, &stages, &message, &everything_for(50_000_000)))
    };
    assert_eq!(runs(1), "keep");
    assert_eq!(runs(100), "keep | line 1: the script takes too long: it may not cost more than its limit");
}

/// RFC 6785 §3.
#[test]
fn nobody_is_answered_for_what_is_done_over_imap() {
    let mut dialect = everything();
    dialect.occasion = sieve::Occasion::Imap;
    for command in ["reject \"no\";", "ereject \"no\";", "vacation \"away\";"] {
        let script = format!("require [\"reject\", \"ereject\", \"vacation\"];\n{command}");
        let mut message = sieve::message::Message::from_octets(
            MESSAGE.as_bytes(),
            sieve::message::MessageLimits::default(),
        )
        .unwrap();
        let outcome = run(&stages(&[&script]), &mut message, &EmptyWorld, &dialect, Detail::Actions);
        assert!(words(&outcome).ends_with("command is for messages that arrive"), "{}", words(&outcome));
    }
}

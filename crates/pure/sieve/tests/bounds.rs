//! What scripts and messages made to be costly cost: all work is paid for, however it is asked for.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail")]

mod story;

use sieve::{EmptyWorld, Outcome, Stage, compile};
use story::{compiled, everything, faults, run_bounded, run_in, words};

const LETTER: &str = "Subject: x\r\nA: b\r\n\r\nhi\r\n";

fn cost(script: &str, letter: &str) -> u64 {
    let outcome = run_in(&EmptyWorld, script, letter);
    assert_eq!(outcome.faults, [], "{}", words(&outcome));
    outcome.cost
}

fn run_for(cost_max: u64, script: &str, letter: &str) -> Outcome {
    let stage = Stage { name: "user".to_owned(), script: compiled(script) };
    run_bounded(&EmptyWorld, &[stage], letter, &story::everything_for(cost_max))
}

fn letter_of_parts(count: usize) -> String {
    let parts = "--b\r\n\r\nx\r\n".repeat(count);
    format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{parts}--b--\r\n")
}

#[test]
fn strings_and_keys_are_paid_for_even_where_nothing_is_compared() {
    let long = "x".repeat(400_000);
    let many = ["\"a\""; 10_000].join(",");
    for (script, least) in [
        (format!("require \"variables\"; set :length \"b\" \"{long}\";"), 400_000),
        (format!("if header \"{long}\" \"x\" {{}}"), 100_000),
        (format!("if header \"none\" [{many}] {{}}"), 60_000),
        (
            format!("if header :count \"eq\" \"none\" [{many}] {{}}")
                .replace("if", "require \"relational\"; if"),
            260_000,
        ),
        (format!("if header [{many}] \"x\" {{}}"), 1_000_000),
        (format!("if address :all [{}] \"x\" {{}}", ["\"to\""; 10_000].join(",")), 1_000_000),
        (format!("if exists [{many}] {{}}"), 1_000_000),
        (
            format!("require \"mailbox\"; if not mailboxexists [{}] {{}}", ["\"INBOX\""; 1_000].join(",")),
            10_000_000,
        ),
    ] {
        let paid = cost(&script, LETTER);
        assert!(paid >= least, "{paid}: {:.80}", script);
    }
}

#[test]
fn what_is_encoded_and_what_syntax_is_read_of_is_paid_for() {
    let some = "x".repeat(10_000);
    let script = format!("require [\"variables\", \"enotify\"]; set :encodeurl \"b\" \"{some}\";");
    assert!(cost(&script, LETTER) > 120_000);
    let script = "require \"mime\"; if header :mime :type \"content-type\" \"x\" {}";
    assert!(cost(script, &format!("Content-Type: text/plain; a=\"{some}\"\r\n\r\n")) > 30_000);
    let script = "require \"date\"; if date \"date\" \"year\" \"x\" {}";
    assert!(cost(script, &format!("Date: {}\r\n\r\n", "(".repeat(10_000))) > 80_000);
}

#[test]
fn each_part_that_is_looked_at_is_paid_for() {
    let letter = letter_of_parts(500);
    let once = cost("require \"body\"; if body :content \"image\" \"x\" {}", &letter);
    let twice = cost(
        "require \"body\"; if body :content \"image\" \"x\" {} if body :content \"image\" \"x\" {}",
        &letter,
    );
    assert!(twice - once >= 100_000, "{once} {twice}");
    let names = ["\"z\""; 1_000].join(",");
    let script = format!("require \"mime\"; if header :mime :anychild [{names}] \"x\" {{}}");
    assert!(cost(&script, &letter) >= 50_000_000);
    // It ends where the limit is, not behind the last part.
    let outcome = run_for(1_000_000, &script, &letter);
    assert!(outcome.cost < 1_200_000, "{}", outcome.cost);
    assert!(words(&outcome).contains("takes too long"), "{}", words(&outcome));
}

#[test]
fn long_pieces_of_patterns_are_paid_for_wherever_they_may_be_tried() {
    let text = "a".repeat(10_000);
    for pattern in [format!("*{}?b*", "a".repeat(5_000)), format!("*?{}b*", "a".repeat(5_000))] {
        let script = format!(
            "require \"variables\"; set \"a\" \"{text}\"; if string :matches \"${{a}}\" \"{pattern}\" {{}}"
        );
        assert!(cost(&script, LETTER) > 3_000_000);
    }
}

#[test]
fn editions_of_a_message_are_compared_for_what_they_have_in_pieces() {
    let letter = format!("{}\r\nx", "A:\r\nB:\r\n".repeat(1_000));
    let script = "require [\"editheader\", \"fileinto\"]; deleteheader \"a\"; fileinto \"x\"; addheader \"c\" \"d\"; fileinto \"y\";";
    let again = |count: usize| cost(&format!("{script}{}", "fileinto \"y\";".repeat(count)), &letter);
    assert!(again(1) - again(0) >= 4_000);
}

#[test]
fn a_script_has_so_many_commands_and_tests_known_or_not() {
    let mut dialect = everything();
    dialect.bounds.nodes_max = 4;
    let told = |script: &str| {
        let faults = compile(script.as_bytes(), &dialect).err().unwrap_or_default();
        faults.into_iter().map(|fault| format!("{}: {}", fault.place.column, fault.words)).collect::<Vec<_>>()
    };
    assert_eq!(told("if true { keep; }"), [""; 0]);
    assert_eq!(told("if true { keep; stop; }"), [""; 0]);
    let words = "the script has more than 4 commands and tests";
    assert_eq!(told("if true { keep; stop; stop; }"), [format!("23: {words}")]);
    assert_eq!(told("if anyof(true,true,true) { x y z"), [format!("20: {words}")]);
    assert_eq!(told("keep;keep;keep;keep;x;y;z;"), [format!("21: {words}")]);
    let many = "a;".repeat(100_001);
    faults(&many, &["1:200001: the script has more than 100000 commands and tests"]);
}

/// RFC 7352 §3: an identifier is remembered once a script has ended well.
#[test]
fn a_script_that_fails_has_nothing_remembered() {
    let script =
        |end: &str| format!("require [\"duplicate\", \"ihave\"]; if duplicate :uniqueid \"1\" {{}} {end}");
    assert_eq!(run_in(&EmptyWorld, &script("keep;"), LETTER).marks.len(), 1);
    assert_eq!(run_in(&EmptyWorld, &script("error \"x\";"), LETTER).marks, []);
    let stage = |name: &str, end: &str| Stage { name: name.to_owned(), script: compiled(&script(end)) };
    let stages = [stage("before", "keep;"), stage("user", "error \"x\";")];
    assert_eq!(story::run_stages(&EmptyWorld, &stages, LETTER).marks.len(), 1);
}

#[test]
fn what_wildcards_stand_for_is_no_longer_than_a_variable() {
    let held = |octets: usize| {
        let script = "require [\"variables\", \"vnd.dovecot.debug\"]; if header :matches \"subject\" \"*\" { set :length \"n\" \"${1}\"; debug_log \"${n}\"; }";
        run_in(&EmptyWorld, script, &format!("Subject: {}\r\n\r\n", "x".repeat(octets))).debug.concat()
    };
    assert_eq!([65_535, 65_536, 65_537].map(held), ["65535", "65536", "65536"]);
}

#[test]
fn lists_of_long_variables_do_not_fill_the_memory() {
    let value = "x".repeat(65_536);
    let told = |count: usize, test: &str| {
        let list = ["\"${a}\""].repeat(count).join(",");
        let requires = "require [\"variables\", \"imap4flags\", \"enotify\"]; ";
        let script = format!("{requires}set \"a\" \"{value}\"; {}", test.replace("LIST", &list));
        let script = compile(script.as_bytes(), &everything()).expect("valid");
        let stage = Stage { name: "user".to_owned(), script: std::sync::Arc::new(script) };
        let outcome = run_bounded(&EmptyWorld, &[stage], LETTER, &everything());
        outcome.faults.into_iter().map(|fault| fault.words).collect::<String>()
    };
    // As much as a script may have, and one value more.
    for test in ["addflag [LIST];", "if string :contains \"y\" [LIST] {}", "if valid_notify_method [LIST] {}"]
    {
        for (count, expected) in [(16, ""), (17, ""), (18, "the strings of one list are too long together")] {
            assert_eq!(told(count, test), expected, "{test}");
        }
    }
    for (words, expected) in
        [(4_095, ""), (4_096, ""), (4_097, "the strings of one list are too long together")]
    {
        let test = format!("if hasflag \"{}\" {{}}", "a ".repeat(words));
        assert_eq!(told(1, &test), expected);
    }
}

#[test]
fn all_variables_together_are_bounded() {
    let told = |count: usize| {
        let sets: String = (0..count).map(|number| format!("set \"v{number}\" \"${{a}}\"; ")).collect();
        let script = format!("require \"variables\"; set \"a\" \"{}\"; {sets}", "x".repeat(65_536));
        words(&run_in(&EmptyWorld, &script, LETTER))
    };
    let fits = sieve::VALUES_OCTETS_MAX / 65_536 - 1;
    assert_eq!([fits - 1, fits].map(told), ["keep", "keep"]);
    assert!(told(fits + 1).contains("variables hold more than 8388608 octets together"));
}

#[test]
fn comparing_costs_what_the_comparator_does() {
    let requires = "require [\"variables\", \"relational\", \"comparator-i;unicode-casemap\"];";
    let value = "é".repeat(10_000);
    let paid = |test: &str| cost(&format!("{requires} {test}"), LETTER) - cost(requires, LETTER);
    let plain = paid(&format!("if string :contains \"{value}\" \"x\" {{}}"));
    let unicode =
        paid(&format!("if string :contains :comparator \"i;unicode-casemap\" \"{value}\" \"x\" {{}}"));
    assert!(plain < 20_000 && unicode > 120_000, "{plain} {unicode}");
    // Long keys too, wherever they are put in form again for each value.
    assert!(paid(&format!("if string :value \"gt\" \"x\" \"{value}\" {{}}")) > 5_000);
    assert!(paid(&format!("if string :count \"gt\" \"x\" \"{value}\" {{}}")) > 5_000);
}

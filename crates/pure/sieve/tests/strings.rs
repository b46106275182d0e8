//! What strings are and how they are compared: encoded characters, variables, relations, comparators, expressions.

mod story;

use story::{faults, outcome, story};

const LUNCH: &str = "\
From: coyote@desert.example.org
To: coyote@ACME.Example.COM
Subject: [acme-users] [fwd] version 1.0 is out
List-Id: Dovecot Mailing List <dovecot@dovecot.org>
X-Priority: 2
Date: Sun, 31 Mar 2002 22:20:11 +0000

Lunch?
";

/// Whether a test is true.
#[track_caller]
fn check(requires: &str, test: &str, expected: bool) {
    let script = format!("require [{requires}, \"fileinto\"];\nif {test} {{ discard; }}");
    story(&script, LUNCH, if expected { "discard" } else { "keep" });
}

/// RFC 5228 §2.4.2.4: the examples.
#[test]
fn encoded_characters_are_decoded_once() {
    let same = |left: &str, right: &str| {
        check(
            "\"variables\", \"encoded-character\"",
            &format!("string :comparator \"i;octet\" {left} {right}"),
            true,
        );
    };
    same(r#""$${hex:40}""#, r#""$@""#);
    same(r#""${hex: 40 }""#, r#""@""#);
    same(r#""${HEX: 40}""#, r#""@""#);
    same(r#""${hex:40""#, r#""${hex:24}{hex:40""#);
    same(r#""${hex:400}""#, r#""${hex:24}{hex:400}""#);
    same(r#""${hex:4${hex:30}}""#, r#""${hex:24}{hex:40}""#);
    same(r#""${unicode:40}""#, r#""@""#);
    same(r#""${UNICODE:40}""#, r#""@""#);
    same(r#""${UnICoDE:0000040}""#, r#""@""#);
    same(r#""${Unicode:Cool}""#, r#""${hex:24}{Unicode:Cool}""#);
    same(r#""${unicode:fc 4e03}""#, "\"ü七\"");
}

#[test]
fn characters_that_do_not_exist_are_faults() {
    for code in ["D800", "DFFF", "110000", "200000"] {
        faults(
            &format!("require [\"encoded-character\", \"fileinto\"];\nfileinto \"${{unicode:{code}}}\";"),
            &[&format!("2:10: there is no character U+{code}")],
        );
    }
}

/// RFC 5229 §3: the examples.
#[test]
fn variables_stand_for_their_values() {
    let same = |left: &str, right: &str| {
        let script = format!(
            "require \"variables\"; set \"company\" \"ACME\"; set \"dollar\" \"$\";\nif string {left} {right} {{ discard; }}"
        );
        story(&script, LUNCH, "discard");
    };
    same(r#""${full}""#, r#""""#);
    same(r#""${company}""#, r#""ACME""#);
    same(r#""${COMPANY}""#, r#""ACME""#);
    same(r#""${BAD${Company}""#, r#""${dollar}{BADACME""#);
    same(r#""${President, ${Company} Inc.}""#, r#""${dollar}{President, ACME Inc.}""#);
    // One pass.
    same(r#""${dollar}{company}""#, r#""${dollar}{company}""#);
    same(r#""${fo\o}""#, r#""""#);
}

/// RFC 5229 §4.1: the modifiers, by precedence whatever their order.
#[test]
fn values_are_modified() {
    let set = |modifiers: &str, value: &str, expected: &str| {
        let script = format!(
            "require [\"variables\", \"regex\", \"enotify\"]; set {modifiers} \"b\" \"{value}\";\nif string :comparator \"i;octet\" \"${{b}}\" \"{expected}\" {{ discard; }}"
        );
        story(&script, LUNCH, "discard");
    };
    set("", "juMBlEd lETteRS", "juMBlEd lETteRS");
    set(":length", "juMBlEd lETteRS", "15");
    set(":lower", "juMBlEd lETteRS", "jumbled letters");
    set(":upperfirst", "juMBlEd lETteRS", "JuMBlEd lETteRS");
    set(":upperfirst :lower", "juMBlEd lETteRS", "Jumbled letters");
    set(":quotewildcard", "Rock*", "Rock\\\\*");
    set(":length", "möglich", "7");
    set(":quoteregex", "a.b", "a\\\\.b");
    set(":encodeurl", "a b/ü", "a%20b%2F%C3%BC");
}

/// RFC 5229 §3.2: match variables.
#[test]
fn what_wildcards_found_is_at_hand() {
    let script = r#"
        require ["fileinto", "variables"];
        if header :matches "List-ID" "*<*@*" { fileinto "INBOX/lists/${2}"; }
        if header :matches "Subject" "[*] *" { fileinto "${1}"; fileinto "${2}"; }
        if address :matches ["To", "Cc"] ["coyote@**.com", "wile@**.com"] { fileinto "${0}/x${1}${2}"; }
    "#;
    story(
        script,
        LUNCH,
        "fileinto INBOX/lists/dovecot fileinto acme-users fileinto [fwd] version 1.0 is out fileinto coyote@ACME.Example.COM/xACME.Example",
    );
}

#[test]
fn what_does_not_match_leaves_match_variables_alone() {
    let script = r#"
        require ["fileinto", "variables"];
        if string :matches "cat:table" "*:*" {}
        if string :matches "dog" "*:*" {}
        fileinto "${1}-${2}";
    "#;
    story(script, LUNCH, "fileinto cat-table");
}

#[test]
fn values_are_cut_where_they_become_too_long() {
    let script = format!(
        "require \"variables\"; set \"a\" \"{}\"; set \"a\" \"${{a}}${{a}}${{a}}${{a}}\"; set \"a\" \"${{a}}${{a}}${{a}}${{a}}ü\"; set :length \"b\" \"${{a}}\"; if string \"${{b}}\" \"{}\" {{ discard; }}",
        "x".repeat(4_096),
        65_536
    );
    story(&script, LUNCH, "discard");
    // A character that fits only in part is left out.
    let script =
        script.replace(&"x".repeat(4_096), &format!("{}y", "x".repeat(4_094))).replace("65536", "65521");
    story(&script, LUNCH, "discard");
}

#[test]
fn there_are_many_variables_but_not_too_many() {
    let script = |count: usize| {
        let sets: String = (0..count).map(|number| format!("set \"v{number}\" \"\";")).collect();
        format!("require \"variables\"; {sets}")
    };
    assert_eq!(outcome(&script(254), LUNCH), "keep");
    assert_eq!(outcome(&script(255), LUNCH), "keep");
    assert_eq!(sieve::compile(script(256).as_bytes(), &story::everything()).err().map(|f| f.len()), Some(1));
}

/// RFC 5231 §6: the examples.
#[test]
fn numbers_are_compared() {
    let requires = "\"relational\", \"comparator-i;ascii-numeric\"";
    check(requires, "header :value \"lt\" :comparator \"i;ascii-numeric\" [\"x-priority\"] [\"3\"]", true);
    check(requires, "header :value \"gt\" :comparator \"i;ascii-numeric\" [\"x-priority\"] [\"3\"]", false);
    check(requires, "address :count \"ge\" :comparator \"i;ascii-numeric\" [\"to\", \"from\"] [\"2\"]", true);
    check(
        requires,
        "address :count \"gt\" :comparator \"i;ascii-numeric\" [\"to\", \"from\"] [\"2\"]",
        false,
    );
    check(requires, "header :count \"eq\" \"x-nothing\" \"0\"", true);
    check(
        requires,
        "header :value \"ge\" :comparator \"i;ascii-numeric\" \"subject\" \"99999999999999999999999999\"",
        true,
    );
}

#[test]
fn comparators_say_what_is_equal() {
    check("\"variables\"", "string \"LUNCH\" \"lunch\"", false);
    check("\"variables\"", "string :comparator \"i;octet\" \"LUNCH\" \"lunch\"", false);
    check("\"variables\"", "string \"Ä\" \"ä\"", false);
    check(
        "\"variables\", \"comparator-i;unicode-casemap\"",
        "string :comparator \"i;unicode-casemap\" :contains \"GRÖSSE\" \"grö\"",
        true,
    );
    check(
        "\"variables\", \"comparator-i;ascii-numeric\"",
        "string :comparator \"i;ascii-numeric\" \"010\" \"10\"",
        true,
    );
    faults(
        "require \"comparator-i;ascii-numeric\";\nif header :contains :comparator \"i;ascii-numeric\" \"from\" \"x\" { keep; }",
        &["2:4: the header test: \"i;ascii-numeric\" cannot look for texts inside others"],
    );
    faults(
        "if header :comparator \"i;ascii-numeric\" \"from\" \"x\" { keep; }",
        &["1:4: the header test uses \"i;ascii-numeric\" without require \"comparator-i;ascii-numeric\""],
    );
}

#[test]
fn expressions_find_and_keep_what_they_found() {
    check("\"regex\"", "header :regex \"subject\" \"version [[:digit:]]+\\\\.[0-9]\"", true);
    let script = r#"require ["regex", "variables", "fileinto"];
        if header :regex "subject" "^\\[([^]]*)\\] (\\[(x)?fwd\\])" { fileinto "${1}/${2}/x${3}x"; }"#;
    story(script, LUNCH, "fileinto acme-users/[fwd]/xx");
    faults(
        "require \"regex\";\nif header :regex \"subject\" \"(\" { keep; }",
        &["2:4: the header test has an invalid regular expression: unclosed group"],
    );
}

/// Class 28 of the threats: an expression that makes others try for ever.
#[test]
fn expressions_take_time_in_proportion_to_the_text() {
    let message = format!("Subject: {}!\n\n", "a".repeat(100_000));
    for pattern in ["^(a+)+$", "^(a|aa)+$", "(a*)*b", "^(([a-z])+.)+[A-Z]([a-z])+$"] {
        let script = format!("require \"regex\"; if header :regex \"subject\" \"{pattern}\" {{ discard; }}");
        story(&script, &message, "keep");
    }
    // One that would take too much memory is a fault of the script, not of the server.
    let script =
        "require \"regex\"; if header :regex \"subject\" \"((a{1,200}){1,200}){1,200}\" { discard; }";
    faults(script, &["1:21: the header test has an invalid regular expression: it is too large"]);
}

#[test]
fn a_script_has_few_expressions() {
    let script = |count: usize| {
        let tests = "if header :regex \"subject\" \"^x\" { keep; }\n".repeat(count);
        sieve::compile(format!("require \"regex\";\n{tests}").as_bytes(), &story::everything())
    };
    assert!(script(199).is_ok());
    assert!(script(200).is_ok());
    assert_eq!(script(201).err().map(|faults| faults[0].place.line), Some(202));
}

/// Class 28 of the threats: expressions that are large, each within its bound.
#[test]
fn expressions_are_bounded_together() {
    let script = |count: usize| {
        let tests = "if header :regex \"subject\" \"x{1,999}\" { keep; }\n".repeat(count);
        sieve::compile(format!("require \"regex\";\n{tests}").as_bytes(), &story::everything()).err()
    };
    // Each may have some 9,000 states, and following one counts four.
    let most = 2_000_000 / (9 * 999 * 4);
    assert_eq!(script(most - 1), None);
    assert_eq!(script(most), None);
    let words = script(most + 1).map(|faults| faults[0].words.clone());
    assert_eq!(words.as_deref(), Some("the regular expressions of the script are too large together"));
}

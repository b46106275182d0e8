//! The language itself (RFC 5228): what scripts say and what comes of it.

mod story;

use sieve::{EmptyWorld, Stage};
use story::{compiled, everything_for, faults, run_bounded, story, words};

const COYOTE: &str = "\
From: coyote@desert.example.org
To: roadrunner@acme.example.com
Subject: I have a present for you
X-Caffeine: C8H10N4O2

Look, I'm sorry about the whole anvil thing.
";

#[test]
fn a_message_no_rule_is_about_is_kept() {
    story("", COYOTE, "keep");
    story("if header \"subject\" \"nonsense\" { discard; }", COYOTE, "keep");
    story("discard;", COYOTE, "discard");
    story("stop; discard;", COYOTE, "keep");
}

/// RFC 5228 §5.1: the examples of the address test.
#[test]
fn addresses_are_looked_at_part_by_part() {
    story("if address :is :all \"from\" \"coyote@desert.example.org\" { discard; }", COYOTE, "discard");
    story("if address :domain \"from\" \"DESERT.example.org\" { discard; }", COYOTE, "discard");
    story("if address :localpart :contains [\"to\", \"cc\"] \"road\" { discard; }", COYOTE, "discard");
}

/// RFC 5228 §5.7: X-Caffeine.
#[test]
fn the_empty_key_is_in_every_field_that_is_there() {
    story("if header :is \"X-Caffeine\" \"\" { discard; }", COYOTE, "keep");
    story("if header :contains \"X-Caffeine\" \"\" { discard; }", COYOTE, "discard");
    story("if header :contains \"X-Nonsense\" \"\" { discard; }", COYOTE, "keep");
    story("if not exists [\"from\", \"date\"] { discard; }", COYOTE, "discard");
}

/// RFC 5228 §9: the extended example, as its first message goes.
#[test]
fn the_extended_example_files_mail_where_it_belongs() {
    let script = r#"
        require ["fileinto"];
        if header :is "Sender" "owner-ietf-mta-filters@imc.org" {
            fileinto "filter";
        } elsif address :DOMAIN :is ["From", "To"] "example.com" {
            keep;
        } elsif anyof (not address :all :contains ["To", "Cc", "Bcc"] "me@example.com",
                       header :matches "subject" ["*make*money*fast*", "*university*dipl*mas*"]) {
            fileinto "spam";
        } else {
            fileinto "personal";
        }"#;
    let sent =
        |from: &str, to: &str, subject: &str| format!("From: {from}\nTo: {to}\nSubject: {subject}\n\nHi.\n");
    story(script, &sent("a@b.example", "c@d.example", "x"), "fileinto spam");
    story(script, &sent("boss@example.com", "c@d.example", "x"), "keep");
    story(script, &sent("a@b.example", "someone@all.example", "$$$ make money FAST! $$$"), "fileinto spam");
    story(script, &sent("a@b.example", "Me <me@example.com>", "lunch"), "keep");
}

#[test]
fn sizes_are_compared_with_units() {
    let message = format!("Subject: x\n\n{}", "x".repeat(2_000));
    story("if size :over 1K { discard; }", &message, "discard");
    story("if size :under 1M { discard; }", &message, "discard");
    story("if size :over 1M { discard; }", &message, "keep");
}

#[test]
fn redirects_of_one_run_are_few_and_differ() {
    story("redirect \"a@b.example\"; redirect \"a@b.example\";", COYOTE, "redirect a@b.example");
    let many: String = (0..5).map(|n| format!("redirect \"a{n}@b.example\";")).collect();
    story(&many, COYOTE, "keep | line 1: number of redirect actions exceeds policy limit (4)");
}

/// RFC 5228 §2.10.6: after an error the message is kept.
#[test]
fn a_script_that_costs_too_much_ends_in_a_keep() {
    let rule = "if header :matches \"subject\" \"*a?????x*\" { discard; }\n";
    let script = format!("redirect \"a@b.example\";{}", rule.repeat(1_000));
    let message = format!("Subject: {}\n\n", "abcx".repeat(200_000));
    let stage = Stage { name: "user".to_owned(), script: compiled(&script) };
    let outcome = words(&run_bounded(&EmptyWorld, &[stage], &message, &everything_for(20_000_000)));
    assert!(outcome.starts_with("keep | line "), "{outcome}");
    assert!(outcome.ends_with("the script takes too long: it may not cost more than its limit"), "{outcome}");
}

#[test]
fn faults_say_where_and_what() {
    faults("keep\ndiscard;", &["2:1: missing semicolon after the keep command (before 'discard')"]);
    faults(
        "fileinto \"x\";\n  nonsense 1;",
        &[
            "1:1: unknown command 'fileinto' (it needs require \"fileinto\")",
            "2:3: unknown command 'nonsense'",
        ],
    );
    // One that is missing at many places is told of once.
    faults(
        "addflag \"x\";\naddflag \"y\";",
        &["1:1: unknown command 'addflag' (it needs require \"imap4flags\")"],
    );
    faults("if true { keep; ", &["1:9: this block is never closed by '}'"]);
    faults("keep; \"ö\" ;", &["1:7: a command was expected here, but a string was found"]);
    faults("/* é */ $;", &["1:9: unexpected characters: $", "1:9: a command was expected here"]);
    faults(
        "keep \"never closed",
        &["1:6: this string is never closed by a quote", "1:6: ';' was expected behind the keep command"],
    );
}

#[test]
fn faults_repeat_long_strings_only_in_part() {
    let words = |octets: usize| {
        let script = format!("redirect \"{}\";", "x".repeat(octets));
        let faults = sieve::compile(script.as_bytes(), &story::everything()).err().unwrap_or_default();
        faults.first().map(|fault| fault.words.len())
    };
    let own = words(0).unwrap_or_default();
    let most = sieve::WORDS_OCTETS_MAX;
    assert_eq!(words(most - own - 1), Some(most - 1));
    assert_eq!(words(most - own), Some(most));
    assert_eq!(words(most - own + 1), Some(most));
    assert_eq!(words(100_000), Some(most));
    faults(
        "require \"regex\";\nif header :regex \"x\" \"[[:alph\n:]]\" {}",
        &["2:4: the header test has an invalid regular expression: there is no class of characters 'alph  '"],
    );
}

//! Where messages go: mailboxes, flags, metadata, special uses, identifiers; and what the world knows.

mod story;

use std::collections::BTreeMap;

use sieve::{EmptyWorld, Envelope, Now, Score};
use story::town::Town;
use story::{faults, run_in, story, story_in};

const MESSAGE: &str = "\
From: coyote@desert.example.org
To: ann+lists@example.com
Message-ID: <1@desert.example.org>
Received: from a by b; Tue, 02 Apr 2002 10:00:00 -0500
Received: from c by d; Mon, 01 Apr 2002 09:00:00 -0500
Date: Sun, 31 Mar 2002 22:20:11 -0800

Hi.
";

/// RFC 3894, RFC 5490 §3.2, RFC 5232 §5, RFC 8579 §4, RFC 9042.
#[test]
fn files_go_where_their_tags_say() {
    story(
        "require [\"fileinto\", \"copy\"]; fileinto :copy \"Work\"; redirect :copy \"a@b.example\";",
        MESSAGE,
        "fileinto Work :copy redirect a@b.example keep",
    );
    story(
        "require [\"fileinto\", \"mailbox\", \"special-use\", \"mailboxid\", \"imap4flags\"]; fileinto :create :specialuse \"\\\\Junk\" :mailboxid \"F6\" :flags \"\\\\Seen\" \"Spam\";",
        MESSAGE,
        "fileinto Spam :create :specialuse \\Junk :mailboxid F6 [\\Seen]",
    );
    faults(
        "require [\"fileinto\", \"special-use\"]; fileinto :specialuse \"Junk\" \"Spam\";",
        &["1:38: 'Junk' is no special use like '\\\\Junk'"],
    );
}

/// RFC 5232 §3 and §5: the examples.
#[test]
fn flags_are_set_added_and_removed() {
    story(
        "require [\"fileinto\", \"imap4flags\"]; setflag \"\\\\Seen\"; addflag [\"$Work $Later\", \"\\\\seen\"]; removeflag \"$later\"; fileinto \"Work\"; keep :flags [\"\\\\Flagged\"];",
        MESSAGE,
        "fileinto Work [\\Seen $Work] keep [\\Flagged]",
    );
    story(
        "require [\"imap4flags\", \"variables\"]; addflag \"MyFlags\" \"\\\\Deleted \\\\Answered\"; if hasflag \"MyFlags\" \"\\\\answered\" { setflag \"${MyFlags}\"; }",
        MESSAGE,
        "keep [\\Deleted \\Answered]",
    );
    story(
        "require [\"imap4flags\", \"variables\", \"relational\", \"comparator-i;ascii-numeric\"]; set \"MyVar\" \"NonJunk Junk gnus-forward $Forwarded NotJunk JunkRecorded $Junk $NotJunk\"; if allof (hasflag :contains \"MyVar\" \"Junk\", hasflag :contains \"MyVar\" [\"label\", \"forward\"], not hasflag :contains \"MyVar\" [\"label1\", \"label2\"], hasflag :count \"ge\" :comparator \"i;ascii-numeric\" \"MyVar\" \"8\") { discard; }",
        MESSAGE,
        "discard",
    );
    // What is no flag is left out.
    story("require \"imap4flags\"; keep :flags \"a(b \\\\Nonsense ok\";", MESSAGE, "keep [ok]");
    story("require \"imapflags\"; mark; addflag \"x\";", MESSAGE, "keep [\\Flagged x]");
}

#[test]
fn questions_about_mailboxes_have_answers() {
    let town = Town {
        mailboxes: vec!["Work"],
        ids: BTreeMap::from([("F6", "Work")]),
        uses: BTreeMap::from([("\\Junk", "Spam")]),
        metadata: vec![("INBOX", "/private/vacation", "on"), ("", "/shared/comment", "hello")],
        ..Town::default()
    };
    for (requires, test, expected) in [
        ("mailbox", "mailboxexists \"Work\"", true),
        ("mailbox", "mailboxexists [\"Work\", \"Play\"]", false),
        ("mailboxid", "mailboxidexists \"F6\"", true),
        ("mailboxid", "mailboxidexists [\"F6\", \"F7\"]", false),
        ("special-use", "specialuse_exists \"\\\\Junk\"", true),
        ("special-use", "specialuse_exists \"Spam\" \"\\\\Junk\"", true),
        ("special-use", "specialuse_exists \"Work\" \"\\\\Junk\"", false),
        ("mboxmetadata", "metadata \"INBOX\" \"/private/vacation\" \"on\"", true),
        ("mboxmetadata", "metadataexists \"INBOX\" [\"/private/vacation\", \"/private/x\"]", false),
        ("servermetadata", "servermetadata :contains \"/shared/comment\" \"ell\"", true),
        ("servermetadata", "servermetadataexists \"/shared/comment\"", true),
    ] {
        let script = format!("require \"{requires}\"; if {test} {{ discard; }}");
        story_in(&town, &script, MESSAGE, if expected { "discard" } else { "keep" });
    }
}

/// RFC 5260: dates of fields and the present one, in the zone that is asked for.
#[test]
fn dates_are_taken_apart() {
    // Thursday, 26 November 2026, 10:05:06 UTC.
    let now = Now { unix_seconds: 1_795_687_506, zone_minutes: 60 };
    let town = Town { now, ..Town::default() };
    for (test, expected) in [
        ("date :originalzone \"date\" \"date\" \"2002-03-31\"", true),
        ("date \"date\" \"iso8601\" \"2002-04-01T07:20:11+01:00\"", true),
        ("date :zone \"+0000\" \"date\" \"hour\" \"06\"", true),
        ("date :index 1 :originalzone \"received\" \"day\" \"02\"", true),
        ("date :index 1 :last :originalzone \"received\" \"day\" \"01\"", true),
        ("date :originalzone \"date\" \"julian\" \"52364\"", true),
        ("date :originalzone \"date\" \"weekday\" \"0\"", true),
        ("currentdate \"iso8601\" \"2026-11-26T11:05:06+01:00\"", true),
        ("currentdate :zone \"-0500\" \"std11\" \"Thu, 26 Nov 2026 05:05:06 -0500\"", true),
        ("currentdate :value \"ge\" \"date\" \"2026-11-27\"", false),
        (
            "allof (currentdate :value \"ge\" \"date\" \"2026-11-26\", currentdate :value \"le\" \"date\" \"2026-12-01\")",
            true,
        ),
    ] {
        let script = format!("require [\"date\", \"index\", \"relational\"]; if {test} {{ discard; }}");
        story_in(&town, &script, MESSAGE, if expected { "discard" } else { "keep" });
    }
    faults(
        "require \"date\"; if currentdate \"fortnight\" \"1\" {}",
        &["1:20: unknown date part \"fortnight\""],
    );
}

/// RFC 5228 §5.4, RFC 5233 and RFC 6009.
#[test]
fn envelopes_are_read() {
    let envelope = Envelope {
        from: Some("<>".to_owned()),
        to: Some("<ann+lists@example.com>".to_owned()),
        notify: Some("SUCCESS,DELAY".to_owned()),
        ret: Some("HDRS".to_owned()),
        orcpt: Some("rfc822;bob@example.net".to_owned()),
        by_unix_seconds: Some(100),
        by_mode: Some('R'),
        ..Envelope::default()
    };
    let now = Now { unix_seconds: 40, zone_minutes: 0 };
    let town = Town { envelope, now, ..Town::default() };
    for (test, expected) in [
        ("envelope \"from\" \"\"", true),
        ("envelope :domain \"from\" \"\"", true),
        ("envelope :localpart \"to\" \"ann+lists\"", true),
        ("envelope :user \"to\" \"ann\"", true),
        ("envelope :detail \"to\" \"lists\"", true),
        ("envelope \"notify\" \"delay\"", true),
        ("envelope \"ret\" \"full\"", false),
        ("envelope :localpart \"orcpt\" \"bob\"", true),
        ("envelope \"bymode\" \"R\"", true),
        ("envelope \"bytimeabsolute\" \"1970-01-01T00:01:40+00:00\"", true),
        ("envelope :zone \"+0130\" \"bytimeabsolute\" \"1970-01-01T01:31:40+01:30\"", true),
        ("envelope \"bytimerelative\" \"60\"", true),
        ("envelope :count \"eq\" \"bytrace\" \"0\"", true),
    ] {
        let script = format!(
            "require [\"envelope\", \"subaddress\", \"envelope-dsn\", \"envelope-deliverby\", \"relational\"]; if {test} {{ discard; }}"
        );
        story_in(&town, &script, MESSAGE, if expected { "discard" } else { "keep" });
    }
    faults(
        "require \"envelope\"; if envelope \"notify\" \"x\" {}",
        &["1:24: unknown envelope part \"notify\""],
    );
    faults(
        "require \"envelope\"; if envelope :zone \"+0000\" \"from\" \"x\" {}",
        &["1:24: unknown tagged argument ':zone' for the envelope test"],
    );
    faults(
        "require [\"envelope\", \"envelope-deliverby\"]; if envelope :zone \"UTC\" \"bymode\" \"x\" {}",
        &["1:48: \"UTC\" is no time zone like \"+0200\""],
    );
}

/// RFC 5183 §4, RFC 6785 §4.9.
#[test]
fn the_environment_is_known_or_not() {
    let items = BTreeMap::from([("domain", "mail.example.com"), ("imap.cause", "APPEND")]);
    let town = Town { items, ..Town::default() };
    story_in(
        &town,
        "require \"environment\"; if environment :matches \"domain\" \"*.com\" { discard; }",
        MESSAGE,
        "discard",
    );
    story_in(
        &town,
        "require \"imapsieve\"; if environment \"imap.cause\" \"append\" { discard; }",
        MESSAGE,
        "discard",
    );
    story_in(
        &town,
        "require \"environment\"; if environment :contains \"nonsense\" \"\" { discard; }",
        MESSAGE,
        "keep",
    );
    story_in(
        &town,
        "require [\"vnd.dovecot.environment\", \"variables\", \"fileinto\"]; fileinto \"${env.imap.cause}\";",
        MESSAGE,
        "fileinto APPEND",
    );
}

/// RFC 5235: the values of the tables.
#[test]
fn filters_of_spam_and_viruses_are_asked() {
    let says = |spam: Score, test: &str, expected: bool| {
        let town = Town { spam, virus: Some(4), ..Town::default() };
        let script = format!(
            "require [\"spamtestplus\", \"virustest\", \"relational\", \"comparator-i;ascii-numeric\"]; if {test} {{ discard; }}"
        );
        story_in(&town, &script, MESSAGE, if expected { "discard" } else { "keep" });
    };
    says(Score::Untested, "spamtest \"0\"", true);
    says(Score::Part(0.0), "spamtest \"1\"", true);
    says(Score::Part(0.2), "spamtest :value \"eq\" :comparator \"i;ascii-numeric\" \"2\"", true);
    says(Score::Part(1.0), "spamtest \"10\"", true);
    says(Score::Part(0.29), "spamtest :percent \"29\"", true);
    says(Score::Untested, "spamtest :percent :count \"eq\" \"0\"", true);
    says(Score::Part(0.0), "spamtest :percent :count \"eq\" \"1\"", true);
    says(Score::Part(0.0), "virustest :value \"ge\" :comparator \"i;ascii-numeric\" \"4\"", true);
}

/// RFC 7352: the identifier is marked once all is done.
#[test]
fn duplicates_are_known_by_their_identifiers() {
    let script = "require \"duplicate\"; if duplicate { discard; }";
    let fresh = run_in(&EmptyWorld, script, MESSAGE);
    assert_eq!(fresh.marks.len(), 1);
    let identifier = fresh.marks[0].identifier.clone();
    let town = Town { seen: vec![identifier.clone()], ..Town::default() };
    story_in(&town, script, MESSAGE, "discard");
    assert!(run_in(&town, script, MESSAGE).marks.is_empty());
    // With :last it is marked again.
    let again = run_in(&town, "require \"duplicate\"; if duplicate :last { discard; }", MESSAGE);
    assert_eq!(again.marks[0].identifier, identifier);
    // Another handle is another identifier; a message without the field is none.
    story_in(&town, "require \"duplicate\"; if duplicate :handle \"x\" { discard; }", MESSAGE, "keep");
    assert!(
        run_in(&town, "require \"duplicate\"; if duplicate :header \"x-none\" {}", MESSAGE).marks.is_empty()
    );
    faults(
        "require [\"duplicate\", \"vnd.dovecot.duplicate\"];",
        &["1:1: the extensions \"duplicate\" and \"vnd.dovecot.duplicate\" exclude each other"],
    );
}

/// RFC 6134.
#[test]
fn lists_are_asked() {
    let lists = BTreeMap::from([(":addrbook:default", vec!["coyote@desert.example.org"])]);
    let town = Town { lists, ..Town::default() };
    let script = "require [\"extlists\"]; if address :list \"from\" \":addrbook:default\" { redirect :list \":addrbook:default\"; }";
    story_in(&town, script, MESSAGE, "redirect :list :addrbook:default");
    story_in(&EmptyWorld, script, MESSAGE, "keep");
    story_in(
        &town,
        "require \"extlists\"; if valid_ext_list [\":addrbook:default\", \"tag:x\"] { discard; }",
        MESSAGE,
        "keep",
    );
}

#[test]
fn programs_change_and_answer() {
    let town = Town::default();
    story_in(
        &town,
        "require [\"vnd.dovecot.execute\", \"variables\", \"fileinto\"]; execute :input \"abc\" :output \"x\" \"shout\"; fileinto \"${x}\";",
        MESSAGE,
        "fileinto ABC",
    );
    story_in(
        &town,
        "require \"vnd.dovecot.filter\"; filter \"shout\"; if header :comparator \"i;octet\" \"from\" \"COYOTE@DESERT.EXAMPLE.ORG\" { discard; }",
        MESSAGE,
        "discard",
    );
    assert!(run_in(&town, "require \"vnd.dovecot.filter\"; filter \"shout\";", MESSAGE).is_edited);
    story_in(
        &town,
        "require \"vnd.dovecot.filter\"; if not filter \"fail\" { discard; }",
        MESSAGE,
        "discard",
    );
    story_in(
        &town,
        "require \"vnd.dovecot.execute\"; redirect \"a@b.example\"; execute \"none\";",
        MESSAGE,
        "keep | line 1: the program 'none' could not be run: there is no such program",
    );
    story_in(
        &town,
        "require [\"vnd.dovecot.pipe\", \"copy\"]; pipe :copy \"print\" [\"a\", \"b\"];",
        MESSAGE,
        "pipe print a b keep",
    );
    faults(
        "require \"vnd.dovecot.pipe\"; pipe \"../x\"; pipe \"x\" [\"a\nb\"];",
        &["1:29: invalid program name '../x'", "1:42: a program has at most 16 arguments, each of one line"],
    );
}

/// What variables bring may be anything: it is left out, told of, and the message is kept.
#[test]
fn what_cannot_be_filed_is_kept() {
    story(
        "require [\"variables\", \"fileinto\"]; set \"x\" \"\"; fileinto \"a/${x}/b\"; redirect \"a@b.example\";",
        MESSAGE,
        "keep redirect a@b.example | line 1: failed to store into mailbox 'a//b': a mailbox name has no empty levels",
    );
    story(
        "require [\"variables\", \"fileinto\"]; set \"x\" \"\"; fileinto \"a/${x}/b\";",
        MESSAGE,
        "keep | line 1: failed to store into mailbox 'a//b': a mailbox name has no empty levels",
    );
    story(
        "require [\"variables\", \"regex\"]; set \"x\" \"(\"; if not header :regex \"from\" [\"${x}\"] { discard; }",
        MESSAGE,
        "discard | line 1: invalid regular expression: unclosed group",
    );
}

//! Scripts as the RFCs have them in their examples, each with what comes of it: that the language is whole.

mod story;

use std::collections::BTreeMap;

use sieve::{Envelope, Now, Score};
use story::town::Town;
use story::{compiled, story, story_in};

const MAIL: &str = "\
From: Mary <mary@example.com>
To: George <george+friends@example.org>
Cc: boss@example.org
Subject: Rule 9: version 1.0 of $$$
List-Id: <sieve.lists.example.org>
X-Priority: 1
Message-ID: <7@example.com>
Date: Fri, 29 Jun 2007 15:10:00 +0200

Let's have dinner.
";

fn town() -> Town {
    Town {
        // Friday, 29 June 2007, 15:30 in the zone of the sender.
        now: Now { unix_seconds: 1_183_123_800, zone_minutes: 120 },
        envelope: Envelope {
            from: Some("mary@example.com".to_owned()),
            to: Some("george+friends@example.org".to_owned()),
            ..Envelope::default()
        },
        items: BTreeMap::from([("name", "mailstead"), ("domain", "imap.example.org")]),
        mailboxes: vec!["Partners", "INBOX"],
        ids: BTreeMap::from([("F6352ae03", "Partners")]),
        uses: BTreeMap::from([("\\Junk", "Spam")]),
        metadata: vec![("INBOX", "/private/vacation", "on"), ("INBOX", "/private/message", "Gone fishing.")],
        lists: BTreeMap::from([("tag:example.com,2009-05-28:mylist", vec!["mary@example.com"])]),
        spam: Score::Part(0.9),
        ..Town::default()
    }
}

#[track_caller]
fn check(script: &str, expected: &str) {
    story_in(&town(), script, MAIL, expected);
}

/// RFC 5228 §2.10.2, §3.1, §4.1, §5.1–5.9.
#[test]
fn rfc_5228() {
    check("if header :contains \"from\" \"mary\" { discard; }", "discard");
    check(
        "if header :contains [\"From\"] [\"coyote\"] { redirect \"acm@example.edu\"; } elsif header :contains \"Subject\" \"$$$\" { redirect \"postmaster@example.edu\"; } else { redirect \"field@example.edu\"; }",
        "redirect postmaster@example.edu",
    );
    check(
        "require \"fileinto\"; if header :contains [\"from\"] \"mary\" { fileinto \"INBOX/harassment\"; }",
        "fileinto INBOX/harassment",
    );
    check("if size :over 500K { discard; }", "keep");
    check("if not exists [\"From\", \"Date\"] { discard; }", "keep");
    check("require \"envelope\"; if envelope :all :is \"from\" \"mary@example.com\" { discard; }", "discard");
    check(
        "if allof (address :contains :domain [\"from\"] \"example.com\", header :matches \"Subject\" \"*version ?.? of*\") { discard; }",
        "discard",
    );
}

/// RFC 3894 §2, RFC 5429 §2.
#[test]
fn rfc_3894_and_5429() {
    check("require \"copy\"; redirect :copy \"archive@example.org\";", "redirect archive@example.org keep");
    check(
        "require [\"fileinto\", \"copy\"]; fileinto :copy \"incoming\"; discard;",
        "fileinto incoming :copy discard",
    );
    check(
        "require \"reject\"; if header :contains \"from\" \"mary\" { reject \"I am not taking mail from you.\"; }",
        "reject I am not taking mail from you.",
    );
    check("require \"ereject\"; ereject \"AntiVirus\";", "ereject AntiVirus");
}

/// RFC 5229 §4, RFC 5231 §6, RFC 5233 §4.
#[test]
fn rfc_5229_5231_and_5233() {
    check(
        "require [\"variables\", \"fileinto\"]; set :upperfirst :lower \"name\" \"jOHN\"; fileinto \"${name}\";",
        "fileinto John",
    );
    check(
        "require [\"variables\", \"fileinto\"]; if header :matches \"List-Id\" \"<*.lists.*>\" { fileinto \"lists/${1}\"; }",
        "fileinto lists/sieve",
    );
    check(
        "require [\"relational\", \"comparator-i;ascii-numeric\", \"fileinto\"]; if header :value \"lt\" :comparator \"i;ascii-numeric\" [\"x-priority\"] [\"3\"] { fileinto \"Priority\"; }",
        "fileinto Priority",
    );
    check(
        "require [\"relational\", \"comparator-i;ascii-numeric\", \"fileinto\"]; if address :count \"gt\" :comparator \"i;ascii-numeric\" [\"to\", \"cc\"] [\"5\"] { fileinto \"SPAM\"; }",
        "keep",
    );
    check(
        "require [\"envelope\", \"subaddress\", \"fileinto\"]; if envelope :detail \"to\" \"friends\" { fileinto \"inbox/friends\"; }",
        "fileinto INBOX/friends",
    );
    check("require [\"subaddress\"]; if address :user \"to\" \"george\" { discard; }", "discard");
}

/// RFC 5232 §3, §5.
#[test]
fn rfc_5232() {
    check(
        "require [\"fileinto\", \"imap4flags\", \"relational\"]; if size :over 10 { addflag \"Big\"; } setflag [\"\\\\Seen\", \"$Done\"]; removeflag \"$done\"; fileinto \"x\";",
        "fileinto x [\\Seen]",
    );
    check(
        "require [\"imap4flags\", \"fileinto\"]; fileinto :flags [\"\\\\Deleted \\\\Flagged\"] \"x\"; keep :flags \"\\\\Flagged\";",
        "fileinto x [\\Deleted \\Flagged] keep [\\Flagged]",
    );
}

/// RFC 5230 §4, RFC 6131 §2: compiled and decided. What is answered is another story.
#[test]
fn rfc_5230_and_6131() {
    check(
        "require \"vacation\"; vacation :days 23 :addresses [\"george@example.net\", \"george@example.org\"] \"I'm away until October 19.\";",
        "vacation I'm away until October 19. keep",
    );
    check(
        "require \"vacation\"; if header :matches \"subject\" \"*\" { vacation :mime :handle \"gone\" text:\nContent-Type: text/plain\n\nGone.\n.\n; }",
        "vacation Content-Type: text/plain\r\n\r\nGone.\r\n keep",
    );
    check(
        "require \"vacation-seconds\"; vacation :seconds 1800 \"I am in a meeting.\";",
        "vacation I am in a meeting. keep",
    );
}

/// RFC 5260 §4, §5, §6.
#[test]
fn rfc_5260() {
    check(
        "require [\"date\", \"relational\", \"fileinto\"]; if allof (header :is \"from\" \"Mary <mary@example.com>\", date :value \"ge\" :originalzone \"date\" \"hour\" \"09\", date :value \"lt\" :originalzone \"date\" \"hour\" \"17\") { fileinto \"urgent\"; }",
        "fileinto urgent",
    );
    check(
        "require [\"date\", \"relational\"]; if anyof (currentdate :is \"weekday\" \"0\", currentdate :is \"weekday\" \"6\", currentdate :value \"lt\" \"hour\" \"09\") { discard; }",
        "keep",
    );
    check(
        "require [\"date\", \"relational\", \"vacation\"]; if allof (currentdate :value \"ge\" \"date\" \"2007-06-30\", currentdate :value \"le\" \"date\" \"2007-07-07\") { vacation :days 7 \"I'm away.\"; }",
        "keep",
    );
    check(
        "require [\"date\", \"fileinto\", \"variables\"]; if currentdate :matches \"month\" \"*\" { set \"month\" \"${1}\"; } if currentdate :matches \"year\" \"*\" { set \"year\" \"${1}\"; } fileinto \"${month}-${year}\";",
        "fileinto 06-2007",
    );
    check("require [\"index\"]; if header :index 1 :last \"x-priority\" \"1\" { discard; }", "discard");
}

/// RFC 5235 §3, §4; RFC 5183; RFC 5463.
#[test]
fn rfc_5183_5235_and_5463() {
    check(
        "require [\"spamtest\", \"fileinto\", \"relational\", \"comparator-i;ascii-numeric\"]; if spamtest :value \"eq\" :comparator \"i;ascii-numeric\" \"0\" { fileinto \"unclassified\"; } elsif spamtest :value \"ge\" :comparator \"i;ascii-numeric\" \"3\" { fileinto \"spam-trap\"; }",
        "fileinto spam-trap",
    );
    check(
        "require [\"spamtestplus\", \"relational\", \"comparator-i;ascii-numeric\"]; if spamtest :percent :value \"gt\" :comparator \"i;ascii-numeric\" \"37\" { discard; }",
        "discard",
    );
    check(
        "require [\"virustest\", \"relational\", \"comparator-i;ascii-numeric\"]; if virustest :value \"eq\" :comparator \"i;ascii-numeric\" \"0\" { discard; }",
        "discard",
    );
    check("require \"environment\"; if environment :matches \"domain\" \"imap.*\" { discard; }", "discard");
    check(
        "require \"ihave\"; if ihave [\"fileinto\", \"mailbox\"] { fileinto :create \"x\"; } else { redirect \"a@b.example\"; }",
        "fileinto x :create",
    );
    check(
        "require \"ihave\"; if not ihave \"vnd.nobody.has\" { error \"Please install it.\"; }",
        "keep | line 1: Please install it.",
    );
}

/// RFC 5435 §3, §4, §5; RFC 8580.
#[test]
fn rfc_5435_and_8580() {
    check(
        "require [\"enotify\", \"fileinto\", \"variables\"]; if header :contains \"from\" \"mary\" { notify :importance \"1\" :message \"This is probably very important\" \"mailto:alm@example.com\"; stop; }",
        "notify mailto:alm@example.com keep",
    );
    check(
        "require [\"enotify\", \"variables\"]; set :encodeurl \"body\" \"Safe body&evil=evilbody\"; notify \"mailto:tim@example.com?body=${body}\";",
        "notify mailto:tim@example.com?body=Safe%20body%26evil%3Devilbody keep",
    );
    check(
        "require \"enotify\"; if not valid_notify_method [\"mailto:\", \"http://gw.example.net/notify?test\"] { stop; } discard;",
        "keep",
    );
    check(
        "require \"enotify\"; if notify_method_capability \"mailto:tim@example.com\" \"Online\" \"maybe\" { discard; }",
        "discard",
    );
    let script = compiled(
        "require [\"vacation\", \"fcc\", \"mailbox\", \"imap4flags\"]; vacation :days 7 :fcc \"INBOX/Sent\" :create :flags [\"\\\\Seen\"] \"Gone.\";",
    );
    assert!(script.print().contains(":fcc \"INBOX/Sent\""));
    story::faults(
        "require [\"vacation\", \"mailbox\"]; vacation :create \"Gone.\";",
        &["1:34: the vacation command has :create without :fcc"],
    );
}

/// RFC 5490, RFC 8579, RFC 9042.
#[test]
fn rfc_5490_8579_and_9042() {
    check(
        "require [\"fileinto\", \"reject\", \"mailbox\"]; if mailboxexists \"Partners\" { fileinto \"Partners\"; } else { reject \"This message was not accepted.\"; }",
        "fileinto Partners",
    );
    check(
        "require [\"mboxmetadata\", \"variables\", \"fileinto\"]; if metadata :contains \"INBOX\" \"/private/vacation\" \"on\" { if metadata :matches \"INBOX\" \"/private/message\" \"*\" { set \"m\" \"${1}\"; } fileinto \"${m}\"; }",
        "fileinto Gone fishing.",
    );
    check(
        "require [\"fileinto\", \"special-use\"]; if specialuse_exists \"\\\\Junk\" { fileinto :specialuse \"\\\\Junk\" \"INBOX/Spam\"; }",
        "fileinto INBOX/Spam :specialuse \\Junk",
    );
    check(
        "require [\"fileinto\", \"mailboxid\"]; if mailboxidexists \"F6352ae03\" { fileinto :mailboxid \"F6352ae03\" \"INBOX/harassment\"; }",
        "fileinto INBOX/harassment :mailboxid F6352ae03",
    );
}

/// RFC 6009 §6, §7; RFC 6134 §2.
#[test]
fn rfc_6009_and_6134() {
    check(
        "require [\"redirect-dsn\", \"copy\"]; redirect :copy :notify \"SUCCESS,FAILURE\" :ret \"FULL\" \"a@example.com\";",
        "redirect a@example.com keep",
    );
    check(
        "require [\"redirect-deliverby\"]; redirect :bytimerelative 120 :bymode \"return\" :bytrace \"a@example.com\";",
        "redirect a@example.com",
    );
    story::faults(
        "require [\"redirect-dsn\"]; redirect :notify \"SOMETIMES\" \"a@example.com\";",
        &["1:27: the redirect command has an invalid :notify \"SOMETIMES\""],
    );
    check(
        "require [\"envelope\", \"extlists\", \"fileinto\"]; if envelope :list \"from\" \"tag:example.com,2009-05-28:mylist\" { fileinto \"friends\"; } else { fileinto \"junk\"; }",
        "fileinto friends",
    );
    check(
        "require \"extlists\"; redirect :list \"tag:example.com,2009-05-28:mylist\";",
        "redirect :list tag:example.com,2009-05-28:mylist",
    );
}

/// RFC 7352 §3 and §5.
#[test]
fn rfc_7352() {
    check(
        "require [\"duplicate\", \"fileinto\", \"mailbox\"]; if duplicate { fileinto :create \"Trash/Duplicate\"; }",
        "keep",
    );
    check(
        "require [\"duplicate\", \"variables\", \"imap4flags\", \"fileinto\"]; if header :matches \"message-id\" \"*\" { if duplicate :handle \"x\" :seconds 1800 :uniqueid \"${0}\" { setflag \"\\\\seen\"; } fileinto \"Notifications\"; }",
        "fileinto Notifications",
    );
}

/// What people's scripts of other servers look like.
#[test]
fn scripts_of_the_field() {
    story(
        "require [\"fileinto\",\"mailbox\"];\r\n\r\n# rule:[Spam]\r\nif header :contains \"X-Spam-Flag\" \"YES\"\r\n{\r\n\tfileinto :create \"Junk\";\r\n\tstop;\r\n}\r\n",
        "X-Spam-Flag: YES\r\n\r\n",
        "fileinto Junk :create",
    );
    story("\u{feff}require [\"fileinto\"]; if false # nothing\n{ discard; }", MAIL, "keep");
    story("IF TRUE { KEEP; } ELSE { DISCARD; }", MAIL, "keep");
}

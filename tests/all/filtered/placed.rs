//! Where scripts put mail.

use anyhow::{Result, ensure};

use super::{ANN, BOB, EVE, House, Plan, letter};

#[test]
fn mail_is_filed_where_a_script_says_with_its_flags() -> Result<()> {
    let house = House::new(&[(
        ANN,
        r#"require ["fileinto", "mailbox", "imap4flags", "copy", "subaddress", "envelope", "variables"];
if header :contains "subject" "list" { fileinto :create :flags ["\\Seen", "$Important"] "Lists/Rust"; stop; }
if header :contains "subject" "both" { fileinto :create "One"; fileinto :create :copy "Two"; keep; stop; }
if header :contains "subject" "nowhere" { fileinto "Nowhere"; stop; }
if header :contains "subject" "gone" { discard; stop; }
if envelope :detail :matches "to" "*" { set :upperfirst "box" "${1}"; fileinto :create "${box}"; }
"#,
    )])?;
    for subject in ["list", "both", "nowhere", "gone", "plain"] {
        house.take(EVE, &[ANN], &letter(EVE, ANN, subject))?;
    }
    house.take(EVE, &["ann+news@example.test"], &letter(EVE, ANN, "detail"))?;
    let listed = house.lying(ANN, "Lists/Rust")?;
    ensure!(
        listed.len() == 1 && listed[0].0.contains("\\Seen") && listed[0].0.contains("$Important"),
        "{listed:?}"
    );
    for (mailbox, expected) in [
        ("One", &["both"][..]),
        ("Two", &["both"]),
        ("News", &["detail"]),
        ("Nowhere", &[]),
        ("INBOX", &["both", "nowhere", "plain"]),
    ] {
        let subjects = house.subjects(ANN, mailbox)?;
        ensure!(subjects == expected, "{mailbox}: {subjects:?}\n{}", house.server.log());
    }
    house.take(EVE, &[ANN], &letter(EVE, ANN, "nowhere"))?;
    let record = house.record(EVE)?;
    ensure!(record == "fileinto Nowhere: no such mailbox, kept (seeded, line 4)", "{record}");
    // Bob has no script.
    house.take(EVE, &[BOB], &letter(EVE, BOB, "list"))?;
    ensure!(house.subjects(BOB, "INBOX")? == ["list"]);
    Ok(())
}

#[test]
fn scripts_ask_for_annotations() -> Result<()> {
    let house = House::new(&[(
        ANN,
        r#"require ["fileinto", "mboxmetadata", "servermetadata"];
if metadata "Archive" "/private/comment" "on" { fileinto "Archive"; }
elsif servermetadata :contains "/shared/comment" "hol" { fileinto "Trash"; }
elsif metadataexists "Junk" ["/private/specialuse", "/private/never"] { fileinto "Sent"; }
elsif metadata "Junk" "/private/specialuse" "\\Junk" { keep; }
else { discard; }
"#,
    )])?;
    house.take(EVE, &[ANN], &letter(EVE, ANN, "first"))?;
    let mut imap = house.server.imap(ANN)?;
    imap.ok("SETMETADATA \"\" (/shared/comment \"holidays\")")?;
    house.take(EVE, &[ANN], &letter(EVE, ANN, "second"))?;
    imap.ok("SETMETADATA Archive (/private/comment \"on\")")?;
    house.take(EVE, &[ANN], &letter(EVE, ANN, "third"))?;
    for (mailbox, expected) in [("INBOX", "first"), ("Trash", "second"), ("Archive", "third")] {
        let subjects = house.subjects(ANN, mailbox)?;
        ensure!(subjects == [expected], "{mailbox}: {subjects:?}");
    }
    Ok(())
}

#[test]
fn scripts_of_the_operator_stand_around_everybodys_own() -> Result<()> {
    let house = House::build(Plan {
        scripts: &[(
            ANN,
            "require \"fileinto\"; if header :is \"subject\" \"mine\" { fileinto \"Archive\"; }",
        )],
        sieve: "before = \"PLACE/before\"\nafter = \"PLACE/after.sieve\"",
        files: &[
            ("before/1.sieve", "require [\"imap4flags\"]; addflag \"$First\";"),
            (
                "before/2.sieve",
                "require [\"fileinto\", \"imap4flags\"]; if header :is \"subject\" \"ours\" { fileinto \"Trash\"; }",
            ),
            (
                "after.sieve",
                "require [\"fileinto\", \"mailbox\", \"imap4flags\"]; if header :is \"subject\" \"rest\" { fileinto :create \"Rest\"; }",
            ),
        ],
        ..Plan::default()
    })?;
    for subject in ["mine", "ours", "rest", "other"] {
        house.take(EVE, &[ANN], &letter(EVE, ANN, subject))?;
    }
    for (mailbox, subject) in [("Archive", "mine"), ("Trash", "ours"), ("Rest", "rest"), ("INBOX", "other")] {
        let lying = house.lying(ANN, mailbox)?;
        ensure!(house.subjects(ANN, mailbox)? == [subject], "{mailbox}: {lying:?}");
        ensure!(lying[0].0.contains("$First"), "{mailbox}: {lying:?}");
    }
    Ok(())
}

#[test]
fn what_a_script_has_changed_is_its_owners_alone() -> Result<()> {
    let house = House::new(&[(
        ANN,
        "require [\"editheader\", \"fileinto\", \"mailbox\"];
addheader \"X-Seen-By\" \"ann\"; deleteheader \"X-Noise\"; fileinto :create \"Edited\"; keep;",
    )])?;
    let message = letter(EVE, ANN, "edit me").replacen("Subject", "X-Noise: loud\r\nSubject", 1);
    let (code, text) = house.bring(EVE, &[ANN, BOB], &message)?;
    ensure!(code == "250", "{text}");
    for mailbox in ["Edited", "INBOX"] {
        let lying = house.lying(ANN, mailbox)?;
        let text = &lying[0].1;
        ensure!(text.contains("X-Seen-By: ann\r\n") && !text.contains("X-Noise"), "{text}");
        ensure!(text.ends_with("\r\n\r\nThis is edit me.\r\n"), "{text}");
    }
    let bobs = &house.lying(BOB, "INBOX")?[0].1;
    ensure!(bobs.contains("X-Noise: loud\r\n") && !bobs.contains("X-Seen-By"), "{bobs}");
    ensure!(house.server.command(&["verify"])?.contains(": 0 faults"), "the store is sound");
    Ok(())
}

#[test]
fn a_duplicate_is_known_over_a_restart() -> Result<()> {
    let mut house = House::new(&[(ANN, "require \"duplicate\"; if duplicate { discard; }")])?;
    let message = letter(EVE, ANN, "twice");
    house.take(EVE, &[ANN], &message)?;
    house.server.kill()?;
    house.server.up()?;
    house.take(EVE, &[ANN], &message)?;
    house.take(EVE, &[ANN], &letter(EVE, ANN, "other"))?;
    ensure!(house.subjects(ANN, "INBOX")? == ["twice", "other"]);
    Ok(())
}

#[test]
fn junk_goes_to_junk_else_to_spam_else_junk_is_made() -> Result<()> {
    let internet = testkit::Internet::start()?;
    let forged = "disowned.example";
    internet.names.add(forged, &testkit::Record::Text("v=spf1 ip4:192.0.2.1 -all".to_owned()));
    let policy = testkit::Record::Text("v=DMARC1; p=quarantine".to_owned());
    internet.names.add(&format!("_dmarc.{forged}"), &policy);
    let house = House::build(Plan {
        tables: &format!("{}[senders]\nunchecked_networks = []\n", internet.settings("", "")),
        ..Plan::default()
    })?;
    let from = format!("eve@{forged}");
    let bring = |subject: &str| house.take(&from, &[ANN], &letter(&from, ANN, subject));
    bring("first")?;
    let junk = house.lying(ANN, "Junk")?;
    ensure!(junk.len() == 1 && junk[0].0.contains("$Junk"), "{junk:?}");
    let mut imap = house.server.imap(ANN)?;
    imap.ok("DELETE Junk")?;
    imap.ok("CREATE Spam")?;
    bring("second")?;
    ensure!(house.subjects(ANN, "Spam")? == ["second"], "{}", house.server.log());
    imap.ok("DELETE Spam")?;
    bring("third")?;
    ensure!(house.subjects(ANN, "Junk")? == ["third"]);
    let listed = imap.ok("LIST (SPECIAL-USE) \"\" \"*\"")?;
    ensure!(listed.of("LIST").any(|line| line.contains("\\Junk")), "{listed:?}");
    Ok(())
}

#[test]
fn mailboxes_are_found_by_their_use_and_their_id() -> Result<()> {
    let mut house = House::new(&[])?;
    let mut imap = house.server.imap(ANN)?;
    imap.ok("CREATE Projects")?;
    let status = imap.ok("STATUS Projects (MAILBOXID)")?;
    let line = status.of("STATUS").next().unwrap_or_default().to_owned();
    let id = line.split(['(', ')']).find(|word| word.starts_with('F')).unwrap_or_default().to_owned();
    ensure!(!id.is_empty(), "{line}");
    imap.ok("RENAME Projects Work")?;
    let script = format!(
        "require [\"fileinto\", \"mailboxid\", \"special-use\", \"mailbox\"];
if header :is \"subject\" \"id\" {{ fileinto :mailboxid \"{id}\" \"Gone\"; }}
elsif header :is \"subject\" \"no id\" {{ fileinto :mailboxid \"F0\" \"Trash\"; }}
elsif specialuse_exists \"\\\\Archive\" {{ fileinto :specialuse \"\\\\Archive\" \"Elsewhere\"; }}
"
    );
    let file = house.world.path().join("new");
    std::fs::write(&file, script)?;
    let path = file.display().to_string();
    house.server.command(&["sieve", "put", ANN, "main", &path, "--activate"])?;
    for subject in ["id", "no id", "use"] {
        house.take(EVE, &[ANN], &letter(EVE, ANN, subject))?;
    }
    for (mailbox, subject) in [("Work", "id"), ("Trash", "no id"), ("Archive", "use")] {
        ensure!(house.subjects(ANN, mailbox)? == [subject], "{mailbox}\n{}", house.record(EVE)?);
    }
    // Another text of the same script holds from the next message on.
    std::fs::write(&file, "discard;")?;
    house.server.command(&["sieve", "put", ANN, "main", &path])?;
    house.take(EVE, &[ANN], &letter(EVE, ANN, "use"))?;
    house.server.command(&["sieve", "deactivate", ANN])?;
    house.server.stop()?;
    house.server.up()?;
    house.take(EVE, &[ANN], &letter(EVE, ANN, "kept"))?;
    ensure!(house.subjects(ANN, "Archive")? == ["use"] && house.subjects(ANN, "INBOX")? == ["kept"]);
    Ok(())
}

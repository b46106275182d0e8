//! Scripts that run on what a client of IMAP does to messages (RFC 6785).

use anyhow::{Result, ensure};
use testkit::Internet;

use super::{ANN, BOB, EVE, House, Plan, field, letter};
use crate::attacks::wait_for_lines;
use crate::clients::imaplib;

/// Looks again and again until something lies in a mailbox.
fn wait_for(
    house: &House,
    who: &str,
    mailbox: &str,
    is_so: impl Fn(&[(String, String)]) -> bool,
) -> Result<()> {
    house.wait_for(mailbox, || Ok(is_so(&house.lying(who, mailbox)?)))
}

/// Lets the script of this name run on what is done in a mailbox; everywhere, if it is the empty one.
fn name_script(house: &House, mailbox: &str, script: &str) -> Result<()> {
    let mut imap = house.server.imap(ANN)?;
    imap.ok(&format!("SETMETADATA \"{mailbox}\" (/shared/imapsieve/script \"{script}\")")).map(drop)
}

const LEARN: &str = r#"require ["imapsieve", "environment", "variables", "fileinto", "copy", "imap4flags", "mailbox"];
if not environment "location" "MS" { stop; }
if allof (environment "imap.cause" "COPY", environment "imap.mailbox" "Junk", environment "imap.user" "ann@example.test") {
    fileinto :copy :create "Learn";
    addflag "$Learned";
    removeflag "\\Flagged";
}
"#;

const MOVE: &str = r#"
import time
assert any(c.startswith("IMAPSIEVE=sieve://") for c in m.capabilities) or b"IMAPSIEVE=sieve://" in ok(m.capability())[0]
ok(m._simple_command("SETMETADATA", "Junk", '(/shared/imapsieve/script "seeded")'))
ok(m.append("INBOX", "(\\Flagged \\Seen)", None, b"Subject: offer\r\n\r\nBuy.\r\n"))
assert ok(m.select("INBOX")) == [b"1"]
ok(m._simple_command("MOVE", "1", "Junk"))
deadline = time.monotonic() + 60
while True:
    ok(m.select("Junk"))
    flags = ok(m.fetch("1", "FLAGS"))[0]
    if b"$Learned" in flags:
        break
    assert time.monotonic() < deadline, flags
assert b"\\Seen" in flags and b"\\Flagged" not in flags and b"\\Deleted" not in flags, flags
assert ok(m.select("Learn")) == [b"1"]
assert b"Subject: offer" in ok(m.fetch("1", "BODY[HEADER]"))[0][1]
"#;

#[test]
fn what_pythons_imaplib_moves_to_junk_is_copied_and_flagged() -> Result<()> {
    let house = House::new(&[(ANN, LEARN)])?;
    imaplib(&house.server, ANN, MOVE, &[])
}

#[test]
fn appended_discarded_and_flagged_mail_meets_the_script_of_the_account() -> Result<()> {
    let mut internet = Internet::start()?;
    let far = internet.domain("far.example")?;
    let script = r#"require ["imapsieve", "environment", "fileinto", "copy", "imap4flags", "mailbox", "enotify"];
if not environment "location" "MS" { keep; stop; }
if environment "imap.cause" "APPEND" {
    if header "subject" "gone" { discard; }
    if header "subject" "filed" { fileinto :create "Filed"; }
} elsif allof (environment "imap.cause" "FLAG", environment :contains "imap.changedflags" "\\Flagged", hasflag "\\Flagged") {
    redirect :copy "pal@far.example";
    notify :message "Starred" "mailto:bob@example.test";
}
"#;
    let house = House::build(Plan {
        scripts: &[(ANN, script)],
        tables: &internet.settings("", ""),
        ..Plan::default()
    })?;
    name_script(&house, "", "seeded")?;
    let mut imap = house.server.imap(ANN)?;
    for subject in ["gone", "filed", "kept"] {
        imap.append("INBOX", "(\\Seen)", letter(EVE, ANN, subject).as_bytes())?;
    }
    let has_deleted = |lying: &[(String, String)], subject: &str| {
        let found = lying.iter().find(|(_, text)| field(text, "Subject") == Some(subject));
        found.is_some_and(|(flags, _)| flags.contains("\\Deleted"))
    };
    wait_for(&house, ANN, "INBOX", |lying| has_deleted(lying, "gone") && has_deleted(lying, "filed"))?;
    let filed = house.lying(ANN, "Filed")?;
    ensure!(
        filed.len() == 1 && filed[0].0.contains("\\Seen") && !filed[0].0.contains("\\Deleted"),
        "{filed:?}"
    );
    imap.ok("SELECT INBOX")?;
    imap.ok("STORE 3 +FLAGS (\\Flagged)")?;
    let sent = far.wait_for(1)?.swap_remove(0);
    ensure!(sent.addresses() == ["pal@far.example"] && sent.text().contains("This is kept."), "{sent:?}");
    wait_for(&house, BOB, "INBOX", |lying| lying.len() == 1)?;
    let inbox = house.lying(ANN, "INBOX")?;
    ensure!(!has_deleted(&inbox, "kept") && inbox.len() == 3, "{inbox:?}");
    Ok(())
}

#[test]
fn nobody_sends_more_by_flags_than_by_mail() -> Result<()> {
    let mut internet = Internet::start()?;
    let far = internet.domain("far.example")?;
    let script = r#"require ["imapsieve", "environment", "imap4flags"];
if environment "imap.cause" "APPEND" { addflag "$Tried"; redirect "pal@far.example"; }
"#;
    let house = House::build(Plan {
        scripts: &[(ANN, script)],
        tables: &format!("{}[submission]\nmessages_an_hour = 1\n", internet.settings("", "")),
        ..Plan::default()
    })?;
    name_script(&house, "Drafts", "seeded")?;
    let mut imap = house.server.imap(ANN)?;
    imap.append("Drafts", "", letter(ANN, EVE, "first").as_bytes())?;
    ensure!(far.wait_for(1)?.swap_remove(0).text().contains("This is first."));
    imap.append("Drafts", "", letter(ANN, EVE, "second").as_bytes())?;
    wait_for_lines(&house.server, "it has sent enough", 1)?;
    let drafts = house.lying(ANN, "Drafts")?;
    ensure!(drafts[0].0.contains("\\Deleted") && !drafts[1].0.contains("\\Deleted"), "{drafts:?}");
    ensure!(far.received().len() == 1);
    Ok(())
}

#[test]
fn a_script_that_refuses_or_fails_changes_nothing_and_its_owner_is_told() -> Result<()> {
    let script = r#"require ["imapsieve", "environment", "reject", "imap4flags"];
if not environment "location" "MS" { stop; }
addflag "$Lost";
reject "Too late.";
"#;
    let house = House::new(&[(ANN, script)])?;
    name_script(&house, "Archive", "seeded")?;
    name_script(&house, "Trash", "not there")?;
    let mut imap = house.server.imap(ANN)?;
    imap.append("Trash", "", letter(EVE, ANN, "no script").as_bytes())?;
    imap.append("Archive", "(\\Seen)", letter(EVE, ANN, "late").as_bytes())?;
    wait_for(&house, ANN, "INBOX", |lying| lying.len() == 1)?;
    let told = house.lying(ANN, "INBOX")?.swap_remove(0).1;
    ensure!(told.contains("neither refused nor answered"), "{told}");
    let kept = house.lying(ANN, "Archive")?;
    ensure!(kept.len() == 1 && !kept[0].0.contains("$Lost") && !kept[0].0.contains("\\Deleted"), "{kept:?}");
    Ok(())
}

#[test]
fn scripts_of_the_operator_run_on_what_everybody_does() -> Result<()> {
    let house = House::build(Plan {
        sieve: "imap_events = \"PLACE/events\"",
        files: &[(
            "events/mark.sieve",
            "require [\"imapsieve\", \"environment\", \"imap4flags\"];\nif environment \"imap.cause\" \"COPY\" { addflag \"$Seen-By-Us\"; }",
        )],
        ..Plan::default()
    })?;
    let mut imap = house.server.imap(BOB)?;
    imap.append("INBOX", "", letter(EVE, BOB, "one").as_bytes())?;
    imap.ok("SELECT INBOX")?;
    imap.ok("COPY 1 Archive")?;
    wait_for(&house, BOB, "Archive", |lying| {
        lying.len() == 1 && lying[0].0.to_lowercase().contains("$seen-by-us")
    })?;
    ensure!(!house.lying(BOB, "INBOX")?[0].0.to_lowercase().contains("$seen-by-us"));
    Ok(())
}

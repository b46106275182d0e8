//! Where mail goes for what it says, and what its header and its record tell.

use anyhow::{Result, ensure};

use super::{ANN, BOB, EVE, GTUBE, House, field, letter};

#[test]
fn spam_is_marked_and_filed_as_junk() -> Result<()> {
    let house = House::new("")?;
    let forged =
        letter(EVE, ANN, "plain", "Shall we meet at noon? The minutes of the meeting are in the wiki.")
            .replacen(
                "To: ",
                "X-Spam-Flag: YES\r\nX-Spam-Status: Yes, score=99\r\nX-Mailstead-Why: none\r\nTo: ",
                1,
            );
    house.take(EVE, &[ANN], &forged)?;
    house.take(EVE, &[ANN], &letter(EVE, ANN, "test", GTUBE))?;
    let inbox = house.lying(ANN, "INBOX")?;
    ensure!(house.subjects(ANN, "INBOX")? == ["plain"], "{inbox:?}\n{}", house.record(EVE)?);
    ensure!(!inbox[0].1.contains("score=99") && !inbox[0].1.contains("X-Mailstead-Why: none"), "{inbox:?}");
    ensure!(field(&inbox[0].1, "X-Spam-Flag") != Some("YES"), "{inbox:?}");
    let junk = house.lying(ANN, "Junk")?;
    ensure!(house.subjects(ANN, "Junk")? == ["test"], "{junk:?}\n{}", house.record(EVE)?);
    let (flags, text) = &junk[0];
    ensure!(flags.contains("$Junk") && !flags.contains("\\Seen"), "{flags}");
    ensure!(field(text, "X-Spam-Flag") == Some("YES"), "{text}");
    ensure!(field(text, "X-Spam-Status").is_some_and(|status| status.starts_with("Yes, score=")), "{text}");
    let record = house.record(EVE)?;
    ensure!(record.contains("content: score ") && record.contains("+1000.00 GTUBE"), "{record}");
    Ok(())
}

#[test]
fn what_becomes_of_spam_is_the_operators_choice() -> Result<()> {
    for (spam, inbox, junk, refused) in [
        ("at_tag2 = \"tag\"\nkill = 1000", &["***SPAM*** test"][..], &[][..], false),
        ("mark_as_read = true", &[], &["***SPAM*** test"], false),
        ("at_kill = \"quarantine\"", &[], &[], false),
        ("at_kill = \"reject\"", &[], &[], true),
        ("check = false", &["test"], &[], false),
        ("points = [\"GTUBE=0\"]", &["test"], &[], false),
    ] {
        let house = House::new(&format!("subject_prefix = \"***SPAM***\"\n{spam}"))?;
        let (code, text) = house.bring(EVE, &[ANN], &letter(EVE, ANN, "test", GTUBE))?;
        ensure!((code == "550") == refused, "{spam}: {code} {text}\n{}", house.server.log());
        ensure!(house.subjects(ANN, "INBOX")? == inbox, "{spam}: {}", house.record(EVE)?);
        ensure!(house.subjects(ANN, "Junk")? == junk, "{spam}: {}", house.record(EVE)?);
        let is_read = house.lying(ANN, "Junk")?.iter().any(|(flags, _)| flags.contains("\\Seen"));
        ensure!(is_read == spam.contains("mark_as_read"), "{spam}");
        ensure!(house.server.command(&["verify"])?.contains(": 0 faults"), "{spam}: the store is sound");
    }
    Ok(())
}

#[test]
fn one_message_has_one_header_and_goes_where_each_recipient_wants_it() -> Result<()> {
    let house = House::new("domains = [\"example.test at_kill=reject\"]")?;
    // Refused for none, since one of two wants it.
    house.server.command(&["spam", "settings", BOB, "check=off"])?;
    house.take(EVE, &[ANN, BOB], &letter(EVE, ANN, "both", GTUBE))?;
    ensure!(house.subjects(BOB, "INBOX")? == ["both"]);
    ensure!(house.subjects(ANN, "INBOX")?.is_empty() && house.subjects(ANN, "Junk")?.is_empty());
    let apart = house.server.command(&["quarantine", "list", ANN])?;
    ensure!(apart.contains("both"), "{apart}");
    let (code, text) = house.bring(EVE, &[ANN], &letter(EVE, ANN, "one", GTUBE))?;
    ensure!(code == "550" && text.contains("looks like spam"), "{code} {text}");
    house.server.command(&["spam", "settings", BOB, "check=on", "at_kill=junk", "kill=2000", "tag2=900"])?;
    house.take(EVE, &[BOB], &letter(EVE, BOB, "two", GTUBE))?;
    ensure!(house.subjects(BOB, "Junk")? == ["two"], "{}", house.record(EVE)?);
    house.server.command(&["spam", "settings", BOB, "tag2=1999", "kill=2000"])?;
    house.server.command(&["spam", "settings", BOB, "tag2=1001", "kill=2000"]).expect_err("beyond the bound");
    Ok(())
}

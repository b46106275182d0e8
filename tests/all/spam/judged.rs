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
        ("at_tag2 = \"tag\"\nkill = 5000", &["***SPAM*** test"][..], &[][..], false),
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
    house.server.command(&["spam", "settings", BOB, "tag2=10001"]).expect_err("beyond the bound");
    Ok(())
}

#[test]
fn the_header_tells_an_only_recipient_what_holds_for_them() -> Result<()> {
    let house = House::new("")?;
    let bring = |subject: &str| -> Result<String> {
        house.take(EVE, &[BOB], &letter(EVE, BOB, subject, GTUBE))?;
        let inbox = house.lying(BOB, "INBOX")?;
        Ok(inbox.last().map(|(_, text)| text.clone()).unwrap_or_default())
    };
    // Programs that sort by the header would put it away, although its reader wants all mail.
    house.server.command(&["spam", "settings", BOB, "check=off"])?;
    ensure!(!bring("all")?.contains("X-Spam"), "{}", house.record(EVE)?);
    house.server.command(&["spam", "settings", BOB, "check=on", "tag2=1100", "kill=1200"])?;
    ensure!(bring("high")?.contains("X-Spam-Status: No, "), "{}", house.record(EVE)?);
    house.server.command(&["spam", "settings", BOB, "--reset"])?;
    house.server.command(&["spam", "settings", BOB, "deny=strangers.example"])?;
    house.take(EVE, &[BOB], &letter(EVE, BOB, "denied", "Shall we meet at noon?"))?;
    let junk = house.lying(BOB, "Junk")?.remove(0).1;
    ensure!(junk.contains("BLOCK_LIST=100.0") && junk.contains("its author is never welcome"), "{junk}");
    Ok(())
}

#[test]
fn who_asks_for_reports_does_not_learn_what_is_thought_of_them() -> Result<()> {
    let mut house = House::new("tag = \"-1000\"")?;
    let far = house.world.domain("far.example")?;
    let home = house.world.domain("curious.example")?;
    house.world.names.add("curious.example", &testkit::Record::Text("v=spf1 ip4:127.0.0.1 -all".to_owned()));
    far.refuse("gone@far.example", "550 5.1.1 Nobody of that name");
    house.server.command(&["alias", "add", "old@example.test", "gone@far.example"])?;
    house.server.command(&["spam", "settings", ANN, "deny=curious.example"])?;
    let from = "eve@curious.example";
    let bring = |subject: &str, recipient: &str| -> Result<()> {
        let mut smtp = house.server.smtp()?;
        smtp.command(&format!("MAIL FROM:<{from}> RET=FULL"), "250")?;
        smtp.command(&format!("RCPT TO:{recipient}"), "250")?;
        smtp.command("DATA", "354")?;
        let message = letter(from, ANN, subject, "Shall we meet at noon?");
        smtp.dialogue.send_octets(format!("{message}.\r\n").as_bytes())?;
        ensure!(smtp.reply()?.0 == "250", "{}", house.server.log());
        Ok(())
    };
    bring("here", &format!("<{ANN}> NOTIFY=SUCCESS"))?;
    let report = home.wait_for(1)?.swap_remove(0).text();
    ensure!(house.lying(ANN, "Junk")?[0].1.contains("BLOCK_LIST=100.0"), "{}", house.record(from)?);
    ensure!(report.contains("Action: delivered") && report.contains("Subject: here"), "{report}");
    ensure!(!report.contains("X-Spam") && !report.contains("X-Mailstead"), "{report}");
    bring("elsewhere", "<old@example.test>")?;
    let report = home.wait_for(2)?.swap_remove(1).text();
    ensure!(report.contains("Action: failed") && report.contains("Shall we meet at noon?"), "{report}");
    ensure!(!report.contains("X-Spam") && !report.contains("X-Mailstead"), "{report}");
    Ok(())
}

#[test]
fn whom_one_reader_denies_is_not_theirs_because_everybody_welcomes_them() -> Result<()> {
    let house = House::new("allow = [\"known.example\"]")?;
    house.world.names.add("known.example", &testkit::Record::Text("v=spf1 ip4:127.0.0.1 -all".to_owned()));
    house.server.command(&["spam", "settings", BOB, "deny=known.example"])?;
    let friend = "friend@known.example";
    house.take(friend, &[ANN, BOB], &letter(friend, ANN, "offer", "Shall we meet at noon?"))?;
    let record = house.record(friend)?;
    ensure!(
        house.subjects(ANN, "INBOX")? == ["offer"] && record.contains("-100.00 WELCOME_LIST"),
        "{record}"
    );
    ensure!(
        house.subjects(BOB, "Junk")? == ["offer"] && house.subjects(BOB, "INBOX")?.is_empty(),
        "{record}"
    );
    Ok(())
}

#[test]
fn who_wants_junk_read_finds_it_so() -> Result<()> {
    let house = House::new("mark_as_read = true\ndomains = [\"example.test mark_as_read=off\"]")?;
    house.server.command(&["spam", "settings", BOB, "mark_as_read=on"])?;
    house.take(EVE, &[ANN, BOB], &letter(EVE, ANN, "both", GTUBE))?;
    for (who, is_read) in [(ANN, false), (BOB, true)] {
        let junk = house.lying(who, "Junk")?;
        ensure!(junk.len() == 1 && junk[0].0.contains("\\Seen") == is_read, "{who}: {junk:?}");
    }
    Ok(())
}

#[test]
fn a_message_is_refused_where_all_its_recipients_want_that() -> Result<()> {
    let house = House::new("")?;
    let kept = |who: &str| house.server.command(&["--json", "quarantine", "list", who]);
    house.server.command(&["spam", "settings", ANN, "at_kill=reject"])?;
    // SMTP has one answer: who wants it refused does not see it, who does not has it as junk.
    house.take(EVE, &[ANN, BOB], &letter(EVE, ANN, "one of two", GTUBE))?;
    ensure!(kept(ANN)?.contains("one of two") && house.subjects(ANN, "Junk")?.is_empty(), "{}", kept(ANN)?);
    ensure!(house.subjects(BOB, "Junk")? == ["one of two"], "{}", house.record(EVE)?);
    house.server.command(&["spam", "settings", BOB, "at_tag2=quarantine", "at_kill=reject"])?;
    let (code, text) = house.bring(EVE, &[ANN, BOB], &letter(EVE, ANN, "both", GTUBE))?;
    ensure!(code == "550" && text.contains("looks like spam"), "{code} {text}");
    ensure!(!kept(ANN)?.contains("both") && !kept(BOB)?.contains("both"));
    Ok(())
}

/// The file that every scanner takes for a virus, in two pieces, so that nobody takes this source for one.
fn eicar() -> String {
    ["X5O!P%@AP[4\\PZX54(P^)7CC)7}$", "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"].concat()
}

fn with_attachment(subject: &str, name: &str, content: &str) -> String {
    let body = format!(
        "--b\r\nContent-Type: text/plain\r\n\r\nPlease see the file.\r\n--b\r\nContent-Type: application/octet-stream; \
         name={name}\r\nContent-Disposition: attachment; filename={name}\r\n\r\n{content}\r\n--b--"
    );
    let head = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nTo: ";
    letter(EVE, ANN, subject, &body).replacen("To: ", head, 1)
}

#[test]
fn what_is_attached_decides_whatever_the_score() -> Result<()> {
    let house = House::new("")?;
    let (code, text) = house.bring(EVE, &[ANN, BOB], &with_attachment("virus", "note.com", &eicar()))?;
    ensure!(code == "550" && text.contains("attached"), "{code} {text}");
    house.take(EVE, &[ANN], &with_attachment("note", "note.txt", "Nothing but words."))?;
    ensure!(house.subjects(ANN, "INBOX")? == ["note"], "{}", house.record(EVE)?);
    let house = House::build(
        "",
        "[attachments]\nactions = [\"test-virus=quarantine\", \"program=quarantine\", \"refused=quarantine\"]\nrefuse = [\"xyz\"]",
    )?;
    house.take(EVE, &[ANN], &with_attachment("virus", "note.com", &eicar()))?;
    house.take(EVE, &[ANN], &with_attachment("odd", "note.xyz", "Nothing but words."))?;
    ensure!(house.subjects(ANN, "INBOX")?.is_empty() && house.subjects(ANN, "Junk")?.is_empty());
    let apart = house.server.command(&["quarantine", "list"])?;
    ensure!(apart.contains("virus") && apart.contains("odd"), "{apart}\n{}", house.record(EVE)?);
    Ok(())
}

#[test]
fn what_is_on_a_list_is_refused_as_long_as_it_is_there() -> Result<()> {
    let place = tempfile::TempDir::new()?;
    let (text, list, file) =
        (place.path().join("bad.txt"), place.path().join("known.list"), place.path().join("leaked plan.txt"));
    let plan = "The plan that left the house.\r\n";
    std::fs::write(&file, plan)?;
    let summed = std::process::Command::new("sha256sum").arg(&file).output()?.stdout;
    let other = "44d88612fea8a8f36de82e1278abb02f:68:Eicar-Test-Signature";
    std::fs::write(&text, [summed.as_slice(), other.as_bytes(), b"\nno digest\n"].concat())?;
    let shown = |path: &std::path::Path| path.display().to_string();
    let (text_name, list_name, file_name) = (shown(&text), shown(&list), shown(&file));
    let house = House::build("", "")?;
    let build = || house.server.try_command(&["spam", "hashes", "build", &list_name, &text_name]);
    let built = build()?;
    let (told, skipped) = (String::from_utf8_lossy(&built.stdout), String::from_utf8_lossy(&built.stderr));
    ensure!(told.contains("2 digests (1 MD5, 0 SHA-1, 1 SHA-256)"), "{told}");
    ensure!(skipped.contains("bad.txt:3: no digest"), "{skipped}");
    let checked = house
        .server
        .try_command(&["spam", "hashes", "check", "--list", &list_name, &file_name, &text_name])?;
    let told = String::from_utf8_lossy(&checked.stdout).into_owned();
    ensure!(checked.status.code() == Some(1), "{told}");
    ensure!(told.contains("plan.txt: listed as ") && told.contains("bad.txt: not listed"), "{told}");
    ensure!(!house.server.try_command(&["spam", "hashes", "show"])?.status.success(), "none is configured");

    // The server takes it up by a reload, and what becomes of it by another.
    let letter = with_attachment("plan", "plan.txt", plan.trim_end_matches("\r\n"));
    // The line end before a boundary is the boundary's.
    let letter = letter.replace("house.\r\n--b--", "house.\r\n\r\n--b--");
    house.take(EVE, &[ANN], &letter)?;
    let settings = std::fs::read_to_string(house.server.config())?;
    std::fs::write(
        house.server.config(),
        format!("{settings}\n[attachments]\nhash_lists = [\"{list_name}\"]\n"),
    )?;
    reload(&house)?;
    ensure!(house.server.log().contains("a list of known content is in use"), "{}", house.server.log());
    let (code, reply) = house.bring(EVE, &[ANN], &letter)?;
    ensure!(code == "550" && reply.contains("attached"), "{code} {reply}");
    ensure!(house.record(EVE)?.contains("is on a list of known content as"), "{}", house.record(EVE)?);
    let configured = house.server.command(&["--json", "spam", "hashes", "show"])?;
    let configured: serde_json::Value = serde_json::from_str(&configured)?;
    ensure!(configured[0]["sha256"] == 1 && configured[0]["is_built"] == true, "{configured}");
    std::fs::write(&text, other)?;
    ensure!(build()?.status.success());
    let (code, _) = house.bring(EVE, &[ANN], &letter)?;
    ensure!(code == "550", "the old list is in use until the reload: {code}");
    reload(&house)?;
    house.take(EVE, &[ANN], &letter)?;
    ensure!(house.subjects(ANN, "INBOX")? == ["plan", "plan"], "{}", house.record(EVE)?);
    Ok(())
}

/// Sends SIGHUP and waits until the log says that it was heeded once more.
fn reload(house: &House) -> Result<()> {
    let heeded = |log: &str| log.matches("configuration reloaded").count();
    let before = heeded(&house.server.log());
    house.server.signal("HUP")?;
    house.wait_for("not reloaded", || Ok(heeded(&house.server.log()) != before))
}

#[test]
fn scripts_see_the_score_and_what_is_attached() -> Result<()> {
    let place = tempfile::TempDir::new()?;
    let script = "require [\"fileinto\", \"mailbox\", \"spamtestplus\", \"spamtest\", \"virustest\", \"relational\", \
        \"comparator-i;ascii-numeric\", \"variables\", \"imap4flags\"];\n\
        if virustest :value \"eq\" :comparator \"i;ascii-numeric\" \"1\" { addflag \"$Clean\"; }\n\
        if spamtest :value \"ge\" :comparator \"i;ascii-numeric\" \"10\" { fileinto :create \"Ten\"; }\n\
        elsif spamtest :value \"ge\" :comparator \"i;ascii-numeric\" \"2\" { fileinto :create \"Some\"; }\n";
    std::fs::write(place.path().join(format!("{ANN}.sieve")), script)?;
    let sieve = format!("[sieve]\nseeds = \"{}\"", place.path().display());
    let house = House::build("", &sieve)?;
    house.take(EVE, &[ANN], &letter(EVE, ANN, "test", GTUBE))?;
    house.take(EVE, &[ANN], &letter(EVE, ANN, "plain", "Shall we meet at noon?"))?;
    ensure!(house.subjects(ANN, "Ten")? == ["test"], "{}", house.record(EVE)?);
    let some = house.lying(ANN, "Some")?;
    ensure!(some.len() == 1 && some[0].0.contains("$Clean"), "{some:?} {}", house.record(EVE)?);
    Ok(())
}

#[test]
fn what_is_kept_apart_comes_back_when_it_is_asked_for() -> Result<()> {
    let mut house = House::new("at_kill = \"quarantine\"")?;
    house.take(EVE, &[ANN, BOB], &letter(EVE, ANN, "apart", GTUBE))?;
    house.take(EVE, &[ANN], &letter(EVE, ANN, "gone", GTUBE))?;
    house.server.kill()?;
    house.server.up()?;
    let list = |who: &str| -> Result<Vec<serde_json::Value>> {
        let told = house.server.command(&["--json", "quarantine", "list", who])?;
        Ok(serde_json::from_str(&told)?)
    };
    let anns = list(ANN)?;
    ensure!(anns.len() == 2 && list(BOB)?.len() == 1, "{anns:?}");
    let id = |subject: &str| -> String {
        let found = anns.iter().find(|one| one["subject"] == subject);
        found.and_then(|one| one["id"].as_str()).unwrap_or_default().to_owned()
    };
    let shown = house.server.command(&["quarantine", "show", &id("apart")])?;
    ensure!(shown.contains("Subject: apart") && shown.contains("X-Spam-Flag: YES"), "{shown}");
    house.server.command(&["quarantine", "release", &id("apart")])?;
    house.server.command(&["quarantine", "drop", &id("gone")])?;
    ensure!(house.subjects(ANN, "INBOX")? == ["apart"] && house.subjects(BOB, "INBOX")?.is_empty());
    ensure!(list(ANN)?.is_empty() && list(BOB)?.len() == 1);
    ensure!(house.server.try_command(&["quarantine", "release", &id("gone")])?.status.code() == Some(1));
    let mut imap = house.server.imap(ANN)?;
    let listed = imap.ok("LIST \"\" \"*\"")?;
    ensure!(!listed.of("LIST").any(|line| line.to_lowercase().contains("quarantine")), "{listed:?}");
    ensure!(house.server.command(&["verify"])?.contains(": 0 faults"), "the store is sound");
    Ok(())
}

#[test]
fn what_is_kept_apart_of_an_account_goes_with_it() -> Result<()> {
    let house = House::new("at_kill = \"quarantine\"")?;
    for who in [ANN, BOB] {
        house.take(EVE, &[who], &letter(EVE, who, "kept", GTUBE))?;
    }
    house.server.command(&["account", "remove", ANN])?;
    let kept: serde_json::Value =
        serde_json::from_str(&house.server.command(&["--json", "quarantine", "list"])?)?;
    let whose: Vec<_> = kept.as_array().into_iter().flatten().map(|one| &one["address"]).collect();
    ensure!(whose == [BOB], "{kept}");
    Ok(())
}

#[test]
fn of_what_the_record_does_not_have_the_header_tells() -> Result<()> {
    let house = House::new("")?;
    house.take(EVE, &[ANN], &letter(EVE, ANN, "test", GTUBE))?;
    let old = house.lying(ANN, "Junk")?[0].1.replace("<test@strangers.example>", "<old@strangers.example>");
    house.server.imap(ANN)?.append("Junk", "", old.as_bytes())?;
    let why = house.server.command(&["spam", "explain", "old@strangers.example"])?;
    ensure!(
        why.starts_with(&format!("{ANN}, Junk, 2, of ")) && why.contains("was spam when it came"),
        "{why}"
    );
    ensure!(why.contains("+1000.00  GTUBE"), "{why}");
    let told = house.server.command(&["--json", "spam", "explain", "<old@strangers.example>"])?;
    let told: serde_json::Value = serde_json::from_str(&told)?;
    ensure!(told[0]["uid"] == 2 && told[0]["told"]["hits"][0]["rule"] == "GTUBE", "{told}");
    for other in ["<nowhere@strangers.example>", "old@strangers", ""] {
        ensure!(house.server.command(&["spam", "explain", other]).is_err(), "{other:?}");
    }
    Ok(())
}

#[test]
fn people_are_told_why_and_what_if() -> Result<()> {
    let house = House::new("")?;
    house.take(EVE, &[ANN], &letter(EVE, ANN, "test", GTUBE))?;
    house.take(EVE, &[ANN], &letter(EVE, ANN, "plain", "Shall we meet at noon?"))?;
    let why = house.server.command(&["spam", "explain", "<test@strangers.example>"])?;
    ensure!(why.contains("+1000.00 GTUBE it holds the line"), "{why}");
    let whom =
        [format!(" from {EVE}\n"), format!("content for {ANN}: junk"), format!("{ANN}: fileinto Junk")];
    ensure!(whom.iter().all(|words| why.contains(words)), "{why}");
    let file = house.server.directory().join("test.eml");
    std::fs::write(&file, &house.lying(ANN, "Junk")?[0].1)?;
    let path = file.display().to_string();
    let why = house.server.command(&["spam", "explain", &path])?;
    ensure!(
        why.contains("was spam when it came") && why.contains("today:") && why.contains("GTUBE"),
        "{why}"
    );
    let checked = house.server.command(&["--json", "spam", "check", &path])?;
    let checked: serde_json::Value = serde_json::from_str(&checked)?;
    ensure!(checked[0]["action"] == "junk" && checked[0]["score"].as_f64() > Some(1000.0), "{checked}");
    let alone = house.server.command(&["spam", "check", "--model-only", &path])?;
    ensure!(alone.contains("% unwanted") && !alone.contains("GTUBE"), "{alone}");
    // A lower threshold would take a letter for spam that is kept with the mail.
    let replay = |arguments: &[&str]| -> Result<serde_json::Value> {
        let all = [&["--json", "spam", "replay", "--last", "90d"], arguments].concat();
        Ok(serde_json::from_str(&house.server.command(&all)?)?)
    };
    let now = replay(&[])?;
    ensure!(now["messages"] == 2 && now["false_positives"] == 0 && now["missed"] == 0, "{now}");
    for (most, is_cut) in [("1", true), ("2", false), ("3", false)] {
        let told = replay(&["--most", most])?;
        ensure!(told["is_cut"] == is_cut && told["messages"] == most.parse::<u32>()?.min(2), "{told}");
    }
    let low = replay(&["--tag2=-5", ANN])?;
    ensure!(low["false_positives"] == 1 && low["changes"][0]["subject"] == "plain", "{low}");
    let rules = house.server.directory().join("local.cf");
    std::fs::write(&rules, "body NOON /meet at noon/i\nscore NOON 20\ndescribe NOON it wants to meet\n")?;
    let ruled = replay(&["--rules", &rules.display().to_string()])?;
    ensure!(ruled["false_positives"] == 1 && ruled["changes"][0]["subject"] == "plain", "{ruled}");
    ensure!(replay(&["--rules", "/nowhere"]).is_err());
    Ok(())
}

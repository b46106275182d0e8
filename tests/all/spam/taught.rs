//! What people do with their mail teaches the filter.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use testkit::Server;

use super::{ANN, BOB, EVE, House, letter};
use crate::clients::imaplib;

/// Moves what lies in one mailbox to another, by Python's imaplib.
const MOVE: &str = r#"
source, target, how = sys.argv[5:8]
ok(m.select(source))
if how == "MOVE":
    ok(m._simple_command("MOVE", "1:*", target))
else:
    ok(m.copy("1:*", target))
    ok(m.store("1:*", "+FLAGS.SILENT", "\\Deleted"))
    ok(m.expunge())
"#;

impl House {
    fn move_all(&self, who: &str, from: &str, to: &str) -> Result<()> {
        self.move_all_by(who, from, to, "MOVE")
    }

    /// By MOVE, or as clients do that do not know it.
    fn move_all_by(&self, who: &str, from: &str, to: &str, how: &str) -> Result<()> {
        imaplib(&self.server, who, MOVE, &[from, to, how])
    }

    /// How many lessons were learned.
    pub(super) fn lessons(&self) -> usize {
        self.server.log().matches("a lesson of the content filter").count()
    }
}

fn offer(number: usize) -> String {
    let text =
        format!("Garden gnomes at half the price, offer {number}! Order today, our gnomes are the finest.");
    letter("sales@gnomes.example", ANN, &format!("gnomes {number}"), &text)
}

#[test]
fn what_is_moved_to_junk_is_unwanted_for_who_moved_it() -> Result<()> {
    let mut house = House::new("")?;
    for number in 0..12 {
        house.take("sales@gnomes.example", &[ANN], &offer(number))?;
    }
    let came = house.subjects(ANN, "INBOX")?.len();
    ensure!(came > 0, "nothing to teach: {}", house.record("sales@gnomes.example")?);
    house.move_all(ANN, "INBOX", "Junk")?;
    house.wait_for("the lessons are learned", || Ok(house.lessons() >= came))?;
    // Twice is once.
    let before = house.lessons();
    house.move_all(ANN, "Junk", "Archive")?;
    house.wait_for("minds are changed", || Ok(house.lessons() >= before + came))?;
    house.move_all(ANN, "Archive", "Junk")?;
    house.wait_for("and changed again", || Ok(house.lessons() >= before + 2 * came))?;
    house.server.stop()?;
    house.server.up()?;
    house.take("sales@gnomes.example", &[ANN, BOB], &offer(99))?;
    let record = house.record("sales@gnomes.example")?;
    ensure!(house.subjects(ANN, "Junk")?.contains(&"gnomes 99".to_owned()), "{record}");
    ensure!(house.subjects(BOB, "INBOX")? == ["gnomes 99"], "{record}");
    ensure!(
        record.contains(&format!("content for {ANN}: +")) && record.contains("AUTHOR_TAUGHT"),
        "{record}"
    );
    // Who alone gets it reads there why it lies in Junk.
    house.take("sales@gnomes.example", &[ANN], &offer(100))?;
    let junk = house.lying(ANN, "Junk")?;
    let why = "its recipient has put its author's mail into junk";
    let told = |text: &String| text.replace("\r\n ", " ").contains(why) && text.contains("X-Spam-Flag: YES");
    ensure!(junk.iter().any(|(_, text)| told(text)), "{junk:?}");
    Ok(())
}

#[test]
fn who_copies_and_expunges_teaches_as_who_moves() -> Result<()> {
    let house = House::new("")?;
    house.take(EVE, &[ANN], &letter(EVE, ANN, "first", "Garden gnomes are the finest."))?;
    house.move_all_by(ANN, "INBOX", "Junk", "COPY")?;
    house.wait_for("a copy into junk is heard", || Ok(house.lessons() == 1))?;
    house.move_all_by(ANN, "Junk", "INBOX", "COPY")?;
    house.wait_for("a copy out of junk is heard", || Ok(house.lessons() == 2))?;
    ensure!(house.server.log().contains("class=Wanted"), "{}", house.server.log());
    Ok(())
}

/// Moves the only message of one mailbox at home into another, and lets mbsync carry that.
fn carry(house: &House, from: &str, to: &str) -> Result<()> {
    let home = house.server.directory().join("home");
    mbsync(house)?;
    let at_home = |mailbox: &str, part: &str| home.join(mailbox).join(part);
    let files = ["new", "cur"].map(|part| std::fs::read_dir(at_home(from, part)));
    let mut files = files.into_iter().flatten().flatten();
    let file = files.next().with_context(|| format!("nothing in {from}"))??.path();
    // As programs do that keep Maildirs: a name of its own, without mbsync's number.
    std::fs::rename(&file, at_home(to, "cur").join(format!("1700000000.{from}-{to}.home:2,S")))?;
    mbsync(house)
}

fn mbsync(house: &House) -> Result<()> {
    let (server, home) = (&house.server, house.server.directory().join("home"));
    std::fs::create_dir_all(&home)?;
    let config = server.directory().join("mbsyncrc");
    let text = format!(
        "IMAPAccount us\nHost localhost\nPort {}\nUser {ANN}\nPass \"{}\"\nSSLType IMAPS\nCertificateFile {}\n\n\
         IMAPStore far\nAccount us\n\nMaildirStore near\nPath {}/\nInbox {}/INBOX\nSubFolders Verbatim\n\n\
         Channel all\nFar :far:\nNear :near:\nPatterns INBOX Junk\nCreate Both\nExpunge Both\nSync All\nSyncState *\n",
        server.address(993).port(),
        Server::PASSWORD,
        server.certificate().display(),
        home.display(),
        home.display(),
    );
    std::fs::write(&config, text)?;
    let output = Command::new("mbsync").arg("-c").arg(&config).arg("-a").output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[test]
fn what_mbsync_carries_to_junk_and_back_teaches() -> Result<()> {
    let house = House::new("")?;
    house.server.imap(ANN)?.command("CREATE Junk")?;
    house.take(EVE, &[ANN], &letter(EVE, ANN, "first", "Garden gnomes are the finest."))?;
    carry(&house, "INBOX", "Junk")?;
    house.wait_for("what came into junk is heard of", || Ok(house.lessons() == 1))?;
    ensure!(house.subjects(ANN, "Junk")? == ["first"] && house.subjects(ANN, "INBOX")?.is_empty());
    carry(&house, "Junk", "INBOX")?;
    house.wait_for("what came out of junk is heard of", || Ok(house.lessons() == 2))?;
    ensure!(house.subjects(ANN, "INBOX")? == ["first"] && house.subjects(ANN, "Junk")?.is_empty());
    // What the filter has put there is taken out as well, and nothing else that comes is a lesson.
    house.take(EVE, &[BOB], &letter(EVE, BOB, "other", "Nothing."))?;
    house.take(EVE, &[ANN], &letter(EVE, ANN, "second", super::GTUBE))?;
    ensure!(house.subjects(ANN, "Junk")? == ["second"], "{}", house.record(EVE)?);
    carry(&house, "Junk", "INBOX")?;
    house.wait_for("a mistake of the filter's is heard of", || Ok(house.lessons() == 3))?;
    ensure!(house.server.log().matches("class=Wanted").count() == 2, "{}", house.server.log());
    Ok(())
}

/// Saves the only message of a mailbox into another, by neomutt, as its user does with a key.
fn save_by_neomutt(house: &House, from: &str, to: &str) -> Result<()> {
    let (server, home) = (&house.server, house.server.directory());
    let (rc, port) = (home.join("muttrc"), server.address(993).port());
    std::fs::create_dir_all(home.join("Mail"))?;
    let text = format!(
        "set imap_user = \"{ANN}\"\nset imap_pass = \"{}\"\nset certificate_file = \"{}\"\nset ssl_force_tls = yes\nset ssl_verify_host = no\n\
         set folder = \"imaps://localhost:{port}/\"\nset imap_check_subscribed = no\nset header_cache = \"\"\nset confirmcreate = no\nset confirmappend = no\n\
         set quit = yes\nset delete = yes\nset wait_key = no\n",
        Server::PASSWORD,
        server.certificate().display(),
    );
    std::fs::write(&rc, text)?;
    let keys = format!("push <save-message><kill-line>={to}<enter><sync-mailbox><quit>");
    let neomutt = format!("neomutt -n -F {} -f =\"{from}\" -e \"{keys}\"", rc.display());
    let mut command = Command::new("timeout");
    command.args(["60", "script", "-qec", &neomutt, "/dev/null"]).env("TERM", "xterm").env("HOME", home);
    let output = command.stdin(std::process::Stdio::null()).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    Ok(())
}

#[test]
fn what_neomutt_saves_to_junk_and_back_teaches() -> Result<()> {
    let house = House::new("")?;
    house.server.imap(ANN)?.command("CREATE Junk")?;
    house.take(EVE, &[ANN], &letter(EVE, ANN, "first", "Garden gnomes are the finest."))?;
    save_by_neomutt(&house, "INBOX", "Junk")?;
    house.wait_for("what came into junk is heard of", || Ok(house.lessons() == 1))?;
    save_by_neomutt(&house, "Junk", "INBOX")?;
    house.wait_for("what came out of junk is heard of", || Ok(house.lessons() == 2))?;
    ensure!(house.subjects(ANN, "INBOX")? == ["first"] && house.subjects(ANN, "Junk")?.is_empty());
    Ok(())
}

#[test]
fn what_a_command_has_told_as_learned_survives_the_process() -> Result<()> {
    let mut house = House::new("")?;
    let file = house.server.directory().join("offer.eml");
    std::fs::write(&file, offer(1))?;
    let path = file.display().to_string();
    let score = |house: &House| -> Result<f64> {
        let told = house.server.command(&["--json", "spam", "check", &path])?;
        let told: serde_json::Value = serde_json::from_str(&told)?;
        told[0]["score"].as_f64().context("no score")
    };
    let before = score(&house)?;
    house.server.command(&["spam", "learn", "--spam", &path])?;
    let learned = score(&house)?;
    ensure!(learned > before + 1.0, "{before} {learned}");
    house.server.kill()?;
    house.server.up()?;
    ensure!((score(&house)? - learned).abs() < 0.01, "{learned} became {}", score(&house)?);
    // What cannot be written is not told as learned.
    let model = house.server.data().join("spam/shared.model");
    std::fs::remove_file(&model)?;
    std::fs::create_dir(&model)?;
    std::fs::write(&file, offer(2))?;
    let told = house.server.try_command(&["spam", "learn", "--spam", &path])?;
    let said = String::from_utf8_lossy(&told.stderr).into_owned();
    ensure!(!told.status.success() && said.contains("not on disk"), "{said}");
    std::fs::remove_dir(&model)?;
    house.server.command(&["spam", "learn", "--spam", &path])?;
    let learned = score(&house)?;
    house.server.kill()?;
    house.server.up()?;
    ensure!((score(&house)? - learned).abs() < 0.01, "{learned} became {}", score(&house)?);
    Ok(())
}

#[test]
fn a_wanted_authors_name_helps_nobody_who_only_writes_it() -> Result<()> {
    let house = House::new("tag2 = 1000\nkill = 2000\ntag = \"-1000\"")?;
    let (friend, stranger) = ("friend@known.example", "stranger@other.example");
    for domain in ["known.example", "other.example"] {
        house.world.names.add(domain, &testkit::Record::Text("v=spf1 ip4:127.0.0.1 -all".to_owned()));
    }
    house.take(friend, &[ANN], &letter(friend, ANN, "first", "Garden gnomes are the finest."))?;
    house.move_all(ANN, "INBOX", "Junk")?;
    house.wait_for("a move into junk is heard", || Ok(house.lessons() == 1))?;
    house.move_all(ANN, "Junk", "INBOX")?;
    house.wait_for("a move out of junk is heard", || Ok(house.lessons() == 2))?;
    house.take(friend, &[ANN], &letter(friend, ANN, "second", "More gnomes."))?;
    let wanted = house.record(friend)?;
    ensure!(wanted.contains("-5.00 AUTHOR_TAUGHT its recipient has taken its author's mail out"), "{wanted}");
    // Proven is who has sent it, which anybody can be, and not who says to have written it.
    house.take(stranger, &[ANN], &letter(friend, ANN, "forged", "More gnomes."))?;
    let forged = house.record(stranger)?;
    ensure!(forged.contains("SPF_PASS") && !forged.contains("AUTHOR_TAUGHT"), "{forged}");
    Ok(())
}

#[test]
fn buttons_of_clients_teach_too() -> Result<()> {
    let house = House::new("")?;
    house.take(EVE, &[ANN], &letter(EVE, ANN, "first", "Garden gnomes are the finest."))?;
    let mut imap = house.server.imap(ANN)?;
    imap.ok("SELECT INBOX")?;
    imap.ok("STORE 1 +FLAGS ($Junk)")?;
    house.wait_for("the button is heard", || Ok(house.lessons() == 1))?;
    imap.ok("STORE 1 +FLAGS (\\Seen)")?;
    imap.ok("STORE 1 -FLAGS ($Junk)")?;
    imap.ok("STORE 1 +FLAGS ($NotJunk)")?;
    house.wait_for("the other button is heard", || Ok(house.lessons() == 2))?;
    let status = house.server.command(&["--json", "spam", "status"])?;
    let status: serde_json::Value = serde_json::from_str(&status)?;
    ensure!(status["wanted"].as_u64().context("no number")? > 0, "{status}");
    Ok(())
}

#[test]
fn those_to_whom_one_has_written_are_known() -> Result<()> {
    known(Some("v=DMARC1; p=none"))
}

#[test]
fn whose_domain_has_no_policy_is_known_by_spf() -> Result<()> {
    known(None)
}

fn known(policy: Option<&str>) -> Result<()> {
    let house = House::new("tag2 = 1000\nkill = 2000\ntag = \"-1000\"")?;
    let friend = "friend@known.example";
    house.world.names.add("known.example", &testkit::Record::Text("v=spf1 ip4:127.0.0.1 -all".to_owned()));
    if let Some(policy) = policy {
        house.world.names.add("_dmarc.known.example", &testkit::Record::Text(policy.to_owned()));
    }
    house.take(friend, &[ANN], &letter(friend, ANN, "before", "Shall we meet at noon?"))?;
    let before = house.record(friend)?;
    let mut smtp = house.server.submission(ANN)?;
    let (code, text) =
        super::bring_by(&mut smtp, ANN, &[friend, BOB], &letter(ANN, friend, "asked", "Shall we?"))?;
    ensure!(code == "250", "{text}");
    let answer = letter(friend, ANN, "after", "Let us meet at noon.").replacen(
        "To: ",
        "In-Reply-To: <asked@strangers.example>\r\nTo: ",
        1,
    );
    house.take(friend, &[ANN, BOB], &answer)?;
    let after = house.record(friend)?;
    ensure!(!before.contains("REPLY_TO_OURS") && after.contains("REPLY_TO_OURS"), "{before}\n{after}");
    // Who has only read of it, in the archive of a list, proves nothing by naming it.
    let stranger = "stranger@other.example";
    house.world.names.add("other.example", &testkit::Record::Text("v=spf1 ip4:127.0.0.1 -all".to_owned()));
    house.world.names.add("_dmarc.other.example", &testkit::Record::Text("v=DMARC1; p=none".to_owned()));
    house.take(stranger, &[ANN], &answer.replace(friend, stranger))?;
    let quoted = house.record(stranger)?;
    ensure!(quoted.contains("REPLY_UNPROVEN") && !quoted.contains("REPLY_TO_OURS"), "{quoted}");
    // Nor who writes the friend's name.
    house.take(stranger, &[ANN], &answer.replace("after", "forged"))?;
    let forged = house.record(stranger)?;
    let believed = ["REPLY_TO_OURS", "KNOWN_CORRESPONDENT"].iter().any(|rule| forged.contains(rule));
    ensure!(forged.contains("REPLY_UNPROVEN") && !believed, "{forged}");
    let score = |record: &str, account: &str| -> Option<f32> {
        let line = record.split(" | ").find(|line| line.starts_with(&format!("content for {account}:")))?;
        line.split("score ").nth(1)?.split(' ').next()?.parse().ok()
    };
    let (anns, bobs) = (score(&after, ANN).context("ann")?, score(&after, BOB).context("bob")?);
    ensure!(anns <= bobs - 3.0, "ann has written to them, bob has not: {after}");
    let why = format!("content for {ANN}: -4.00 KNOWN_CORRESPONDENT its recipient has written to its author");
    ensure!(after.contains(&why) && !after.contains(&why.replace(ANN, BOB)), "{after}");
    Ok(())
}

#[test]
fn our_own_peoples_spam_is_told_of() -> Result<()> {
    let house = House::new("")?;
    let mut smtp = house.server.submission(ANN)?;
    let spam = letter(ANN, BOB, "test", super::GTUBE);
    let (code, text) = super::bring_by(&mut smtp, ANN, &[BOB], &spam)?;
    ensure!(code == "250", "{text}");
    ensure!(house.subjects(BOB, "INBOX")? == ["test"], "it goes its way");
    ensure!(!house.lying(BOB, "INBOX")?[0].1.contains("X-Spam"), "and is not marked");
    ensure!(house.record(ANN)?.contains("it looks like spam (score "), "{}", house.record(ANN)?);
    ensure!(house.server.log().contains("mail of one of our people is unwanted"));
    Ok(())
}

//! What people do with their mail teaches the filter.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use testkit::Server;

use super::{ANN, BOB, EVE, House, letter};

/// Moves what lies in one mailbox to another, by Python's imaplib.
const MOVE: &str = r#"
import imaplib, ssl, sys
port, cert, user, password, source, target = int(sys.argv[1]), *sys.argv[2:7]
imaplib.Commands["MOVE"] = ("SELECTED",)
m = imaplib.IMAP4("localhost", port)
m.starttls(ssl.create_default_context(cafile=cert))
m.login(user, password)
def ok(answer):
    assert answer[0] == "OK", answer
    return answer[1]
ok(m.select(source))
ok(m._simple_command("MOVE", "1:*", target))
m.logout()
"#;

impl House {
    fn move_all(&self, who: &str, from: &str, to: &str) -> Result<()> {
        let mut python = Command::new("python3");
        python.args(["-c", MOVE, &self.server.address(143).port().to_string()]);
        let output =
            python.arg(self.server.certificate()).args([who, Server::PASSWORD, from, to]).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
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
    let house = House::new("tag2 = 1000\nkill = 2000\ntag = \"-1000\"")?;
    let friend = "friend@known.example";
    house.internet.names.add("known.example", &testkit::Record::Text("v=spf1 ip4:127.0.0.1 -all".to_owned()));
    let policy = testkit::Record::Text("v=DMARC1; p=none".to_owned());
    house.internet.names.add("_dmarc.known.example", &policy);
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
    house.internet.names.add("other.example", &testkit::Record::Text("v=spf1 ip4:127.0.0.1 -all".to_owned()));
    house.internet.names.add("_dmarc.other.example", &testkit::Record::Text("v=DMARC1; p=none".to_owned()));
    house.take(stranger, &[ANN], &answer.replace(friend, stranger))?;
    let quoted = house.record(stranger)?;
    ensure!(quoted.contains("REPLY_UNPROVEN") && !quoted.contains("REPLY_TO_OURS"), "{quoted}");
    let score = |record: &str, account: &str| -> Option<f32> {
        let line =
            record.split(" | ").find(|line| line.starts_with(&format!("content for account {account}:")))?;
        line.split("score ").nth(1)?.split(' ').next()?.parse().ok()
    };
    let (anns, bobs) = (score(&after, "1").context("ann")?, score(&after, "2").context("bob")?);
    ensure!(anns <= bobs - 3.0, "ann has written to them, bob has not: {after}");
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

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
    fn lessons(&self) -> usize {
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
    let mut house = House::new("tag2 = 5\nat_kill = \"junk\"")?;
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

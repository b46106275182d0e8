//! Mail is refused: in the protocol where all agree, by mail where its sender is proven, else nobody is told.

use anyhow::{Result, ensure};
use testkit::{Internet, Record, SmtpClient};

use super::{ANN, BOB, EVE, House, Plan, bring_by, field, letter};
use crate::attacks::wait_for_lines;

const NO: &str = "require \"ereject\"; if header :is \"subject\" \"no\" { ereject \"Not here.\nNever.\"; }";

#[test]
fn a_refusal_is_said_at_once_where_all_agree() -> Result<()> {
    let house = House::new(&[(ANN, NO), (BOB, NO)])?;
    let (code, text) = house.bring(EVE, &[ANN], &letter(EVE, ANN, "no"))?;
    ensure!(code == "550" && text == "5.7.1 Not here.\n5.7.1 Never.", "{code} {text}");
    let (code, _) = house.bring(EVE, &[ANN, BOB], &letter(EVE, ANN, "no"))?;
    ensure!(code == "550");
    let (code, _) = house.bring(EVE, &[ANN, BOB], &letter(EVE, ANN, "yes"))?;
    ensure!(code == "250");
    for who in [ANN, BOB] {
        ensure!(house.subjects(who, "INBOX")? == ["yes"]);
    }
    Ok(())
}

#[test]
fn a_front_server_hears_of_each_recipient() -> Result<()> {
    let house = House::build(Plan {
        scripts: &[(ANN, NO)],
        tables: "[listen.lmtp]\nenabled = true\n",
        ..Plan::default()
    })?;
    let mut lmtp = testkit::Dialogue::connect(house.server.address(24))?;
    lmtp.expect("220")?;
    lmtp.send("LHLO front.example")?;
    while !lmtp.line()?.starts_with("250 ") {}
    for line in [format!("MAIL FROM:<{EVE}>"), format!("RCPT TO:<{ANN}>"), format!("RCPT TO:<{BOB}>")] {
        lmtp.send(&line)?;
        lmtp.expect("250")?;
    }
    lmtp.send("DATA")?;
    lmtp.expect("354")?;
    lmtp.send_octets(format!("{}.\r\n", letter(EVE, ANN, "no")).as_bytes())?;
    lmtp.expect("550-5.7.1 Not here.")?;
    lmtp.expect("550 5.7.1 Never.")?;
    lmtp.expect("250")?;
    ensure!(house.subjects(BOB, "INBOX")? == ["no"] && house.subjects(ANN, "INBOX")?.is_empty());
    Ok(())
}

#[test]
fn who_is_proven_is_told_by_mail_and_nobody_else() -> Result<()> {
    let mut internet = Internet::start()?;
    let home = internet.domain("strangers.example")?;
    let forged = internet.domain("forged.example")?;
    internet.names.add("strangers.example", &Record::Text("v=spf1 ip4:127.0.0.1 -all".to_owned()));
    internet.names.add("forged.example", &Record::Text("v=spf1 ip4:192.0.2.1 ~all".to_owned()));
    let reject = "require \"reject\"; reject \"Nein, danke f\u{fc}r nichts.\";";
    let house = House::build(Plan {
        scripts: &[(ANN, NO), ("carl@example.test", reject)],
        tables: &format!("{}[senders]\nunchecked_networks = []\n", internet.settings("", "")),
        ..Plan::default()
    })?;
    house.server.command(&["account", "add", "carl@example.test", "--password", "correct horse 7"])?;
    house.server.signal("HUP")?;
    // Bob wants it: so the transaction is taken, and Ann's refusal comes by mail.
    let mut smtp: SmtpClient = house.server.smtp()?;
    let (code, text) = bring_by(&mut smtp, EVE, &[ANN, BOB], &letter(EVE, ANN, "no"))?;
    ensure!(code == "250", "{code} {text}");
    let report = home.wait_for(1)?[0].text();
    ensure!(report.contains("report-type=delivery-status") && report.contains("Status: 5.7.1"), "{report}");
    ensure!(report.contains("Not here."), "{report}");
    // The same of a forged sender, and of none: nobody is told.
    for from in ["eve@forged.example", ""] {
        let (code, text) = house.bring(from, &[ANN, BOB], &letter(EVE, ANN, "no"))?;
        ensure!(code == "250", "{code} {text}\n{}", house.server.log());
        let record = house.record(if from.is_empty() { ANN } else { from })?;
        ensure!(record.contains("nobody told"), "{record}");
    }
    ensure!(house.subjects(ANN, "INBOX")?.is_empty() && house.subjects(BOB, "INBOX")?.len() == 3);
    ensure!(forged.received().is_empty() && home.received().len() == 1);
    // Words that the protocol cannot carry go by mail as they were written (RFC 5429 §2.2.1).
    wait_for_script(&house, "carl@example.test")?;
    house.take(EVE, &["carl@example.test"], &letter(EVE, "carl@example.test", "umlaut"))?;
    let notice = home.wait_for(2)?[1].text();
    ensure!(notice.contains("report-type=disposition-notification"), "{notice}");
    ensure!(
        field(&notice, "Auto-Submitted").is_some_and(|value| value.starts_with("auto-replied")),
        "{notice}"
    );
    Ok(())
}

/// Waits until a reload has given somebody a script: it refuses what is not even a letter.
fn wait_for_script(house: &House, who: &str) -> Result<()> {
    wait_for_lines(&house.server, &format!("address={who}"), 1)
}

#[test]
fn where_one_has_answered_nobody_is_refused() -> Result<()> {
    let script = "require [\"ereject\", \"enotify\"];
notify \"mailto:bob@example.test\"; ereject \"No.\";";
    let house = House::new(&[(ANN, script)])?;
    let (code, text) = house.bring(EVE, &[ANN], &letter(EVE, ANN, "told"))?;
    // What was done because of the message cannot be taken back: its sender must not send it elsewhere.
    ensure!(code == "250", "{code} {text}");
    ensure!(house.lying(BOB, "INBOX")?.len() == 1 && house.lying(ANN, "INBOX")?.is_empty());
    ensure!(house.record(EVE)?.contains("nobody told"), "{}", house.server.log());
    Ok(())
}

//! People are told of what is kept apart, and have it by writing to the address that they were told.

use anyhow::{Context, Result, ensure};

use super::{ANN, EVE, GTUBE, House, field, letter};

/// The addresses in a digest by which its messages are had.
fn addresses(digest: &str) -> Vec<String> {
    let links = digest.split("<mailto:").skip(1).filter_map(|rest| rest.split_once('>'));
    links.map(|(address, _)| address.to_owned()).collect()
}

#[test]
fn a_digest_tells_of_what_is_kept_apart_and_an_answer_brings_it() -> Result<()> {
    let house = House::new("at_kill = \"quarantine\"")?;
    let unwanted = |subject: &str| letter(EVE, ANN, subject, GTUBE);
    for subject in ["first", "second", "third"] {
        house.take(EVE, &[ANN], &unwanted(subject))?;
    }
    ensure!(house.subjects(ANN, "INBOX")?.is_empty());
    let told = house.server.command(&["quarantine", "digest"])?;
    ensure!(told.contains("1 people"), "{told}");
    // Once is enough.
    ensure!(house.server.command(&["quarantine", "digest"])?.contains("0 people"));
    let digest = &house.lying(ANN, "INBOX")?[0].1;
    for part in ["Subject: first", "Subject: second", "Subject: third", "Auto-Submitted: auto-generated"] {
        ensure!(digest.contains(part), "{part} is not in {digest}");
    }
    ensure!(digest.starts_with("Return-Path: <>"), "{digest}");
    let links = addresses(digest);
    ensure!(links.len() == 3, "{digest}");
    // Nobody guesses an address, and nothing is taken for one that is none.
    let forged = links[1].replacen('@', "0@", 1);
    let mut smtp = house.server.smtp()?;
    smtp.command(&format!("MAIL FROM:<{EVE}>"), "250")?;
    smtp.command(&format!("RCPT TO:<{forged}>"), "550")?;
    // The second one is wanted.
    house.take(
        "ann@elsewhere.example",
        &[&links[1]],
        &letter("ann@elsewhere.example", &links[1], "please", ""),
    )?;
    house.wait_for("nothing was released", || {
        Ok(house.subjects(ANN, "INBOX")?.contains(&"second".to_owned()))
    })?;
    ensure!(house.subjects(ANN, "INBOX")?.len() == 2);
    // Then all of them.
    let all = field(digest, "Reply-To").context("nobody to answer to")?.to_owned();
    house.take("ann@elsewhere.example", &[&all], &letter("ann@elsewhere.example", &all, "all", ""))?;
    house.wait_for("nothing was released", || Ok(house.subjects(ANN, "INBOX")?.len() == 4))?;
    ensure!(house.server.command(&["--json", "quarantine", "list"])?.trim() == "[]");
    Ok(())
}

#[test]
fn an_order_that_was_answered_outlives_a_crash() -> Result<()> {
    let mut house = House::new("at_kill = \"quarantine\"")?;
    for number in 0..20 {
        house.take(EVE, &[ANN], &letter(EVE, ANN, &format!("letter {number}"), GTUBE))?;
    }
    house.server.command(&["quarantine", "digest"])?;
    let digest = house.lying(ANN, "INBOX")?.remove(0).1;
    let all = field(&digest, "Reply-To").context("nobody to answer to")?.to_owned();
    house.take("ann@elsewhere.example", &[&all], &letter("ann@elsewhere.example", &all, "all", ""))?;
    house.server.kill()?;
    house.server.up()?;
    house.wait_for("not all was released", || {
        Ok(house.server.command(&["--json", "quarantine", "list"])?.trim() == "[]")
    })?;
    // One that was under way when the server died may be there twice.
    let subjects = house.subjects(ANN, "INBOX")?;
    for number in 0..20 {
        ensure!(subjects.contains(&format!("letter {number}")), "{number} is not in {subjects:?}");
    }
    ensure!((21..=22).contains(&subjects.len()), "{subjects:?}");
    Ok(())
}

#[test]
fn the_oldest_leaves_where_too_much_is_kept_apart() -> Result<()> {
    let house = House::new("at_kill = \"quarantine\"\nquarantine_messages_max = 2")?;
    for subject in ["first", "second", "third"] {
        house.take(EVE, &[ANN], &letter(EVE, ANN, subject, GTUBE))?;
    }
    let kept = || house.server.command(&["--json", "quarantine", "list", ANN]);
    house.wait_for("the first one stays", || Ok(!kept()?.contains("\"first\"")))?;
    let kept = kept()?;
    ensure!(kept.contains("\"second\"") && kept.contains("\"third\""), "{kept}");
    ensure!(house.server.log().contains("too much is kept apart"), "{}", house.server.log());
    Ok(())
}

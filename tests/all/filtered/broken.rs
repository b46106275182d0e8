//! Scripts that fail lose no mail: it is kept, recorded, and their owner is told once a day.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::{ANN, EVE, House, Plan, letter};
use crate::attacks::wait_for_lines;
use crate::clock::MovedClock;

#[test]
fn a_script_that_fails_keeps_the_mail_and_tells_its_owner_once_a_day() -> Result<()> {
    let clock = MovedClock::new()?;
    let script = "require [\"fileinto\", \"variables\", \"include\"];
fileinto \"Archive\";
include :personal \"missing\";
";
    let house = House::build(Plan {
        scripts: &[(ANN, script)],
        environment: clock.environment(),
        ..Plan::default()
    })?;
    for subject in ["one", "two"] {
        house.take(EVE, &[ANN], &letter(EVE, ANN, subject))?;
    }
    let record = house.record(EVE)?;
    ensure!(record.contains("fault in seeded, line 3"), "{record}");
    let inbox = house.lying(ANN, "INBOX")?;
    let notices = inbox.iter().filter(|(_, text)| text.contains("Subject: Your mail filter has failed"));
    let notices: Vec<_> = notices.collect();
    ensure!(notices.len() == 1 && notices[0].1.contains("seeded, line 3"), "{inbox:?}");
    ensure!(inbox.len() == 3 && house.subjects(ANN, "Archive")?.is_empty(), "{inbox:?}");
    clock.set(Duration::from_secs(86_400 + 60))?;
    house.take(EVE, &[ANN], &letter(EVE, ANN, "three"))?;
    house.take(EVE, &[ANN], &letter(EVE, ANN, "four"))?;
    ensure!(house.lying(ANN, "INBOX")?.len() == 6);
    Ok(())
}

#[test]
fn a_script_that_would_take_for_ever_ends_and_keeps_the_mail() -> Result<()> {
    // Pattern after pattern that other engines go mad over (class 15 and 28 of what mail servers fell to).
    let pattern = "*a".repeat(50);
    let mut script = "require [\"fileinto\", \"regex\"];\n".to_owned();
    for _ in 0..200 {
        script.push_str(&format!(
            "if header :matches \"subject\" \"{pattern}b\" {{ fileinto \"Archive\"; }}\n"
        ));
        script.push_str("if header :regex \"subject\" \"^(a+)+(a|aa)+b$\" { fileinto \"Archive\"; }\n");
    }
    let house =
        House::build(Plan { scripts: &[(ANN, &script)], sieve: "run_max = 50000000", ..Plan::default() })?;
    let subject = "a".repeat(900);
    let begun = std::time::Instant::now();
    house.take(EVE, &[ANN], &letter(EVE, ANN, &subject))?;
    ensure!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    ensure!(house.subjects(ANN, "INBOX")?.contains(&subject));
    ensure!(house.subjects(ANN, "Archive")?.is_empty());
    Ok(())
}

#[test]
fn a_limit_holds_for_each_message() -> Result<()> {
    // More redirects than may be: the script fails as a whole, and nothing is sent.
    let script = "require \"copy\"; redirect :copy \"bob@example.test\"; redirect :copy \"eve@far.example\";";
    let house =
        House::build(Plan { scripts: &[(ANN, script)], sieve: "redirects_max = 1", ..Plan::default() })?;
    house.take(EVE, &[ANN], &letter(EVE, ANN, "many"))?;
    ensure!(house.subjects(ANN, "INBOX")?.contains(&"many".to_owned()));
    ensure!(house.subjects(super::BOB, "INBOX")?.is_empty());
    Ok(())
}

#[test]
fn a_script_of_the_operators_that_is_none_stops_the_start_and_not_a_reload() -> Result<()> {
    let mut house = House::build(Plan {
        sieve: "before = \"PLACE/before.sieve\"",
        files: &[("before.sieve", "require \"fileinto\"; fileinto \"Archive\";")],
        ..Plan::default()
    })?;
    std::fs::write(house.world.path().join("before.sieve"), "keep;\nfoo;")?;
    house.server.signal("HUP")?;
    wait_for_lines(&house.server, "the former filters stay in use", 1)?;
    house.take(EVE, &[ANN], &letter(EVE, ANN, "still"))?;
    ensure!(house.subjects(ANN, "Archive")? == ["still"]);
    let checked = house.server.try_command(&["config", "check"])?;
    let said = String::from_utf8_lossy(&checked.stderr).into_owned();
    ensure!(!checked.status.success() && said.contains("before.sieve: line 2"), "{said}");
    house.server.stop()?;
    let refused = house.server.up();
    ensure!(refused.is_err_and(|error| error.to_string().contains("before.sieve: line 2")));
    Ok(())
}

#[test]
fn a_script_that_is_none_any_more_keeps_the_mail() -> Result<()> {
    let script = "require [\"reject\", \"fileinto\"]; fileinto \"Archive\";";
    let house =
        House::build(Plan { scripts: &[(ANN, script)], sieve: "extensions_off = []", ..Plan::default() })?;
    house.take(EVE, &[ANN], &letter(EVE, ANN, "before"))?;
    let config = std::fs::read_to_string(house.server.config())?;
    let config = config.replace("extensions_off = []", "extensions_off = [\"reject\"]");
    std::fs::write(house.server.config(), config)?;
    house.server.signal("HUP")?;
    wait_for_lines(&house.server, "configuration reloaded", 1)?;
    house.take(EVE, &[ANN], &letter(EVE, ANN, "after"))?;
    let record = house.record(EVE)?;
    ensure!(record.contains("fault in seeded: line 1"), "{record}");
    ensure!(house.subjects(ANN, "Archive")? == ["before"]);
    ensure!(house.subjects(ANN, "INBOX")?.contains(&"after".to_owned()));
    Ok(())
}

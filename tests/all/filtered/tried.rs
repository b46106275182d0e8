//! `sieve test` says what would happen and why, `sieve replay` what a changed script would have done; neither does it.

use anyhow::{Result, ensure};
use serde_json::Value;

use super::{ANN, EVE, House, letter};

const SCRIPT: &str = "require [\"fileinto\", \"vacation\"];
if header :contains \"subject\" \"invoice\" {
  fileinto \"Archive\";
}
vacation \"Away\";
";

#[test]
fn a_message_is_tried_out_and_nothing_happens() -> Result<()> {
    let mut house = House::new(&[(ANN, SCRIPT)])?;
    let file = house.world.path().join("m.eml");
    std::fs::write(&file, letter(EVE, ANN, "invoice 7"))?;
    let path = file.display().to_string();
    for is_running in [true, false] {
        if !is_running {
            house.server.stop()?;
        }
        let text = house.server.command(&["--json", "sieve", "test", ANN, &path, "--from", EVE])?;
        let told: Value = serde_json::from_str(&text)?;
        ensure!(
            told["actions"][0]["action"] == "fileinto Archive" && told["actions"][0]["line"] == 3,
            "{told}"
        );
        ensure!(told["actions"][1]["action"] == "vacation" && told["actions"][1]["line"] == 5, "{told}");
        ensure!(told["steps"][0]["name"] == "require" || told["steps"][0]["line"] == 2, "{told}");
        let text = house.server.command(&["sieve", "test", ANN, &path])?;
        ensure!(text.contains("fileinto Archive  (seeded, line 3)"), "{text}");
        // Nobody is there to be answered.
        ensure!(text.contains("vacation: nothing sent"), "{text}");
    }
    house.server.up()?;
    ensure!(house.lying(ANN, "Archive")?.is_empty() && house.lying(ANN, "INBOX")?.is_empty());
    let junk = house.server.command(&["sieve", "test", ANN, &path, "--junk", "--script", "/dev/null"])?;
    ensure!(junk.contains("fileinto Junk with $Junk  (junk, line"), "{junk}");
    Ok(())
}

#[test]
fn a_changed_script_is_held_against_mail_that_is_there() -> Result<()> {
    let house = House::new(&[(ANN, SCRIPT)])?;
    for subject in ["invoice 1", "invoice 2", "party", "list"] {
        house.take("", &[ANN], &letter(EVE, ANN, subject))?;
    }
    let new = house.world.path().join("new.sieve");
    let script = SCRIPT.replace("invoice", "party");
    std::fs::write(&new, script)?;
    let replay = |more: &[&str]| -> Result<Value> {
        let mut arguments = vec!["--json", "sieve", "replay", ANN, "--last", "90d"];
        arguments.extend_from_slice(more);
        Ok(serde_json::from_str(&house.server.command(&arguments)?)?)
    };
    let as_it_is = replay(&[])?;
    ensure!(as_it_is["messages"] == 4 && as_it_is["same"] == 4, "{as_it_is}");
    for (most, is_cut) in [("3", true), ("4", false), ("5", false)] {
        let told = replay(&["--most", most])?;
        ensure!(told["is_cut"] == is_cut && told["messages"] == most.parse::<u32>()?.min(4), "{told}");
    }
    let changed = replay(&["--script", &new.display().to_string()])?;
    ensure!(changed["messages"] == 4 && changed["same"] == 1, "{changed}");
    ensure!(changed["counts"]["fileinto Archive"] == 1, "{changed}");
    let differences = changed["differences"].as_array().cloned().unwrap_or_default();
    let party = differences.iter().find(|one| one["subject"] == "party");
    ensure!(
        party.is_some_and(|one| one["mailbox"] == "INBOX" && one["after"][0] == "fileinto Archive"),
        "{changed}"
    );
    Ok(())
}

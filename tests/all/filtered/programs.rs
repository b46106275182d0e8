//! Programs that the operator has named, and nothing else.

use anyhow::{Result, ensure};

use super::{ANN, EVE, House, Plan, letter};

const PIPE: &str = "#!/bin/sh\ncat > \"$1\"; echo \"$USER $SENDER $HOME\" >> \"$1\"\n";
const FILTER: &str = "#!/bin/sh\necho X-Filtered: yes; exec cat\n";

#[test]
fn programs_take_and_change_messages() -> Result<()> {
    let place = tempfile::tempdir()?;
    let out = place.path().join("out");
    let script = format!(
        "require [\"vnd.dovecot.pipe\", \"vnd.dovecot.filter\", \"vnd.dovecot.execute\", \"fileinto\", \"mailbox\", \"copy\", \"variables\"];
if header :is \"subject\" \"pipe\" {{ pipe \"store\" [\"{}\"]; stop; }}
if header :is \"subject\" \"fails\" {{ pipe \"fails\"; stop; }}
if header :is \"subject\" \"slow\" {{ pipe \"slow\"; stop; }}
if execute :output \"word\" \"word\" {{ filter \"mark\"; fileinto :create \"${{word}}\"; }}
",
        out.display()
    );
    let house = House::build(Plan {
        scripts: &[(ANN, &script)],
        sieve: "programs = [\"store=PLACE/store\", \"mark=PLACE/mark\", \"fails=/bin/false\", \"slow=PLACE/slow\", \"word=PLACE/word\"]\nprogram_timeout = \"1s\"",
        files: &[
            ("store", PIPE),
            ("mark", FILTER),
            ("slow", "#!/bin/sh\nexec sleep 1000\n"),
            ("word", "#!/bin/sh\nprintf Marked\n"),
        ],
        ..Plan::default()
    })?;
    for subject in ["pipe", "fails", "slow", "other"] {
        house.take(EVE, &[ANN], &letter(EVE, ANN, subject))?;
    }
    let stored = std::fs::read_to_string(&out)?;
    ensure!(stored.contains("This is pipe.") && stored.ends_with(&format!("{ANN} {EVE} \n")), "{stored}");
    let marked = house.lying(ANN, "Marked")?;
    ensure!(marked.len() == 1 && marked[0].1.starts_with("X-Filtered: yes\n"), "{marked:?}");
    // What a program does not take is kept.
    ensure!(house.subjects(ANN, "INBOX")? == ["fails", "slow"], "{}", house.server.log());
    Ok(())
}

#[test]
fn without_named_programs_no_script_may_ask_for_one() -> Result<()> {
    let house = House::new(&[(ANN, "require \"vnd.dovecot.pipe\"; pipe \"sh\";")])?;
    // Such a script is not even taken.
    let listed = house.server.command(&["--json", "sieve", "list", ANN])?;
    ensure!(listed.trim() == "[]", "{listed}");
    house.take(EVE, &[ANN], &letter(EVE, ANN, "kept"))?;
    ensure!(house.subjects(ANN, "INBOX")? == ["kept"]);
    Ok(())
}

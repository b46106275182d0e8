//! Mail is sent on: marked, sealed, with a sender that brings bounces back, and never in a circle.

use anyhow::{Result, ensure};
use testkit::{Internet, Record, Server};

use super::{ANN, BOB, EVE, House, Plan, field, letter};

#[test]
fn mail_is_sent_on_as_aliases_send_it_and_not_twice() -> Result<()> {
    let mut internet = Internet::start()?;
    let far = internet.domain("far.example")?;
    internet.names.add("strangers.example", &Record::Text("v=spf1 ip4:127.0.0.1 -all".to_owned()));
    let house = House::build(Plan {
        scripts: &[(ANN, "require \"copy\"; redirect :copy \"pal@far.example\";")],
        tables: &format!("{}[senders]\nunchecked_networks = []\n", internet.settings("", "")),
        ..Plan::default()
    })?;
    let sent = letter(EVE, ANN, "onward");
    house.take(EVE, &[ANN], &sent)?;
    let received = far.wait_for(1)?.swap_remove(0);
    ensure!(received.addresses() == ["pal@far.example"], "{received:?}");
    ensure!(received.sender.contains("SRS0=") && received.sender.contains("@example.test"), "{received:?}");
    let text = received.text();
    ensure!(text.contains("X-Sieve-Redirected-From: ann@example.test\r\n"), "{text}");
    ensure!(text.contains("ARC-Seal: i=1;") && !text.contains("Return-Path"), "{text}");
    ensure!(text.ends_with(&sent), "{text}");
    ensure!(house.subjects(ANN, "INBOX")? == ["onward"]);
    // It comes back: it is kept, and goes no further.
    house.take("pal@far.example", &[ANN], &text)?;
    ensure!(house.record("pal@far.example")?.contains("sent on before"), "{}", house.server.log());
    ensure!(house.subjects(ANN, "INBOX")? == ["onward", "onward"]);
    house.take(EVE, &[ANN], &letter(EVE, ANN, "last"))?;
    ensure!(far.wait_for(2)?.len() == 2);
    Ok(())
}

#[test]
fn our_own_people_send_to_each_other_through_their_scripts() -> Result<()> {
    let house = House::new(&[
        (ANN, "redirect \"bob@example.test\";"),
        (BOB, "require [\"fileinto\", \"mailbox\"]; fileinto :create \"From Ann\";"),
    ])?;
    house.take(EVE, &[ANN], &letter(EVE, ANN, "chain"))?;
    ensure!(house.subjects(ANN, "INBOX")?.is_empty());
    ensure!(house.subjects(BOB, "From Ann")? == ["chain"], "{}", house.server.log());
    Ok(())
}

#[test]
fn a_circle_of_redirects_keeps_the_mail() -> Result<()> {
    let house =
        House::new(&[(ANN, "redirect \"bob@example.test\";"), (BOB, "redirect \"ann@example.test\";")])?;
    house.take(EVE, &[ANN], &letter(EVE, ANN, "round"))?;
    ensure!(house.subjects(BOB, "INBOX")? == ["round"] && house.subjects(ANN, "INBOX")?.is_empty());
    let (code, _) = house.bring(EVE, &[ANN, BOB], &letter(EVE, ANN, "both"))?;
    ensure!(code == "250");
    ensure!(house.subjects(BOB, "INBOX")? == ["round", "both"]);
    ensure!(house.subjects(ANN, "INBOX")? == ["both"]);
    Ok(())
}

#[test]
fn what_cannot_be_sent_on_is_kept() -> Result<()> {
    let house = House::new(&[(ANN, "redirect \"nobody@example.test\";")])?;
    house.take(EVE, &[ANN], &letter(EVE, ANN, "lost"))?;
    ensure!(house.subjects(ANN, "INBOX")? == ["lost"]);
    let record = house.record(EVE)?;
    ensure!(record.contains("not possible for all, kept"), "{record}");
    Ok(())
}

#[test]
fn mail_of_our_own_people_keeps_its_sender() -> Result<()> {
    let mut internet = Internet::start()?;
    let far = internet.domain("far.example")?;
    let house = House::build(Plan {
        scripts: &[(BOB, "redirect \"pal@far.example\";")],
        tables: &internet.settings("", ""),
        ..Plan::default()
    })?;
    house.server.submission(Server::ANN)?.send(ANN, &[BOB], letter(ANN, BOB, "ours").as_bytes())?;
    let received = &far.wait_for(1)?[0];
    ensure!(received.sender.starts_with(&format!("<{ANN}>")), "{received:?}");
    ensure!(field(&received.text(), "X-Sieve-Redirected-From") == Some(BOB), "{}", received.text());
    ensure!(house.subjects(BOB, "INBOX")?.is_empty());
    Ok(())
}

#[test]
fn a_script_says_what_is_told_of_what_it_sends_on() -> Result<()> {
    let mut internet = Internet::start()?;
    let far = internet.domain("far.example")?;
    far.set_extensions(&["DSN"]);
    let script = "require [\"redirect-dsn\", \"copy\"];
redirect :copy :notify \"NEVER\" :ret \"HDRS\" \"quiet@far.example\";
redirect \"plain@far.example\";";
    let house = House::build(Plan {
        scripts: &[(ANN, script)],
        tables: &internet.settings("", ""),
        ..Plan::default()
    })?;
    house.take(EVE, &[ANN], &letter(EVE, ANN, "asked"))?;
    let received = far.wait_for(2)?;
    let quiet = received.iter().find(|one| one.addresses() == ["quiet@far.example"]);
    ensure!(quiet.is_some_and(|one| one.recipients[0].contains("NOTIFY=NEVER")), "{received:?}");
    ensure!(quiet.is_some_and(|one| one.sender.contains("RET=HDRS")), "{received:?}");
    let plain = received.iter().find(|one| one.addresses() == ["plain@far.example"]);
    ensure!(plain.is_some_and(|one| !one.recipients[0].contains("NOTIFY=")), "{received:?}");
    Ok(())
}

#[test]
fn a_list_of_the_operators_is_looked_into_and_sent_to() -> Result<()> {
    let script = "require [\"extlists\", \"fileinto\", \"mailbox\", \"copy\"];
if header :list \"from\" \"urn:test:friends\" { fileinto :create \"Friends\"; redirect :copy :list \"urn:test:team\"; }";
    let house = House::build(Plan {
        scripts: &[(ANN, script)],
        sieve: "lists = [\"urn:test:friends=PLACE/friends\", \"urn:test:team=PLACE/team\"]",
        files: &[("friends", "# those\nEve@Strangers.example\n"), ("team", "bob@example.test\n")],
        ..Plan::default()
    })?;
    house.take(EVE, &[ANN], &letter(EVE, ANN, "friend"))?;
    house.take("mal@strangers.example", &[ANN], &letter("mal@strangers.example", ANN, "other"))?;
    ensure!(house.subjects(ANN, "Friends")? == ["friend"], "{}", house.server.log());
    ensure!(house.subjects(BOB, "INBOX")? == ["friend"] && house.subjects(ANN, "INBOX")? == ["other"]);
    Ok(())
}

#[test]
fn an_account_keeps_lists_of_its_own() -> Result<()> {
    let script = "require [\"extlists\", \"fileinto\", \"mailbox\"];
if not valid_ext_list \":addrbook:default\" { discard; }
elsif address :list \"from\" \"urn:ietf:params:sieve:addrbook:default\" { fileinto :create \"Friends\"; }
elsif header :list \"subject\" \"urn:test:words\" { fileinto :create \"Words\"; }";
    let house = House::build(Plan {
        scripts: &[(ANN, script)],
        sieve: "lists = [\"urn:test:words=PLACE/words\"]",
        files: &[
            ("words", "everybody's\n"),
            ("book", "# whom I know\nEVE@strangers.example\n"),
            ("own", "mine\n"),
        ],
        ..Plan::default()
    })?;
    let put = |name: &str, file: &str| {
        let file = house.world.path().join(file);
        house.server.command(&["sieve", "lists", ANN, name, "--put", &file.to_string_lossy()])
    };
    house.take(EVE, &[ANN], &letter(EVE, ANN, "everybody's"))?;
    ensure!(house.subjects(ANN, "Words")? == ["everybody's"], "{}", house.server.log());
    let said = put(":addrbook:default", "book")?;
    ensure!(said.contains("1 entries"), "{said}");
    put("urn:test:words", "own")?;
    house.take(EVE, &[ANN], &letter(EVE, ANN, "a friend's"))?;
    ensure!(house.subjects(ANN, "Friends")? == ["a friend's"], "{}", house.server.log());
    // One's own goes before everybody's.
    for subject in ["everybody's", "mine"] {
        house.take("mal@strangers.example", &[ANN], &letter("mal@strangers.example", ANN, subject))?;
    }
    ensure!(house.subjects(ANN, "Words")? == ["everybody's", "mine"]);
    ensure!(house.subjects(ANN, "INBOX")? == ["everybody's"]);
    let lists = house.server.command(&["--json", "sieve", "lists", ANN])?;
    ensure!(lists.contains(":addrbook:default") && lists.contains("urn:test:words"), "{lists}");
    let entries = house.server.command(&["sieve", "lists", ANN, ":addrbook:default"])?;
    ensure!(entries.trim() == "EVE@strangers.example", "{entries}");
    house.server.command(&["sieve", "lists", ANN, "urn:test:words", "--delete"])?;
    house.take("mal@strangers.example", &[ANN], &letter("mal@strangers.example", ANN, "everybody's"))?;
    ensure!(house.subjects(ANN, "Words")?.len() == 3);
    Ok(())
}

#[test]
fn abuse_is_reported_with_the_message() -> Result<()> {
    let script = "require \"vnd.dovecot.report\"; report \"abuse\" \"This is spam.\" \"bob@example.test\";";
    let house = House::new(&[(ANN, script)])?;
    house.take(EVE, &[ANN], &letter(EVE, ANN, "spam"))?;
    let report = &house.lying(BOB, "INBOX")?[0].1;
    ensure!(report.contains("Feedback-Type: abuse") && report.contains("This is spam."), "{report}");
    ensure!(report.contains("Subject: spam") && field(report, "From") == Some(ANN), "{report}");
    ensure!(house.subjects(ANN, "INBOX")? == ["spam"]);
    Ok(())
}

#[test]
fn a_list_of_a_hundred_is_sent_to_and_a_longer_one_is_not() -> Result<()> {
    let mut internet = Internet::start()?;
    let far = internet.domain("far.example")?;
    let list = |count: usize| (0..count).map(|number| format!("p{number}@far.example\n")).collect::<String>();
    let script = "require [\"extlists\", \"variables\"];
if header :is \"subject\" \"long\" { redirect :list \"urn:test:long\"; }
elsif header :is \"subject\" \"right\" { redirect :list \"urn:test:right\"; }";
    let house = House::build(Plan {
        scripts: &[(ANN, script)],
        sieve: "lists = [\"urn:test:long=PLACE/long\", \"urn:test:right=PLACE/right\"]",
        files: &[("long", &list(101)), ("right", &list(100))],
        tables: &internet.settings("", ""),
        ..Plan::default()
    })?;
    for subject in ["long", "right"] {
        house.take(EVE, &[ANN], &letter(EVE, ANN, subject))?;
    }
    ensure!(house.subjects(ANN, "INBOX")? == ["long"], "{}", house.server.log());
    let received = far.wait_for(1)?;
    ensure!(received[0].addresses().len() == 100, "{}", received[0].addresses().len());
    Ok(())
}

#[test]
fn a_chain_of_redirects_has_eight_links() -> Result<()> {
    let people: Vec<String> = (0..10).map(|number| format!("p{number}@example.test")).collect();
    let scripts: Vec<String> = people[1..].iter().map(|next| format!("redirect \"{next}\";")).collect();
    let scripts: Vec<(&str, &str)> =
        people.iter().zip(&scripts).map(|(who, script)| (who.as_str(), script.as_str())).collect();
    let mut house = House::new(&scripts)?;
    for who in &people {
        house.server.command(&["account", "add", who, "--password", Server::PASSWORD])?;
    }
    house.server.stop()?;
    house.server.up()?;
    for (first, subject) in [(2, "seven"), (1, "eight"), (0, "nine")] {
        house.take(EVE, &[&people[first]], &letter(EVE, &people[first], subject))?;
    }
    ensure!(house.subjects(&people[9], "INBOX")? == ["seven", "eight"], "{}", house.server.log());
    ensure!(house.subjects(&people[8], "INBOX")? == ["nine"]);
    Ok(())
}

#[test]
fn who_has_no_room_is_sent_nothing() -> Result<()> {
    let house = House::new(&[(ANN, "redirect \"bob@example.test\";")])?;
    house.server.command(&["account", "quota", BOB, "4K"])?;
    let large = format!("{}{}", letter(EVE, ANN, "large"), "0123456789\r\n".repeat(400));
    house.take(EVE, &[ANN], &large)?;
    ensure!(house.subjects(BOB, "INBOX")?.is_empty(), "{}", house.server.log());
    ensure!(house.subjects(ANN, "INBOX")? == ["large"]);
    house.take(EVE, &[ANN], &letter(EVE, ANN, "small"))?;
    ensure!(house.subjects(BOB, "INBOX")? == ["small"]);
    Ok(())
}

#[test]
fn more_addresses_than_the_queue_takes_are_sent_nothing() -> Result<()> {
    let internet = Internet::start()?;
    let list: String = (0..5).map(|number| format!("many{number}@example.test\n")).collect();
    let house = House::build(Plan {
        scripts: &[(ANN, "require \"extlists\"; redirect :list \"urn:test:many\";")],
        sieve: "lists = [\"urn:test:many=PLACE/many\"]",
        files: &[("many", &list)],
        tables: &internet.settings("", ""),
        ..Plan::default()
    })?;
    for alias in list.lines() {
        let targets: Vec<String> = (0..500)
            .map(|number| format!("p{number}-{}", alias.replace("example.test", "far.example")))
            .collect();
        let mut command = vec!["alias", "add", alias];
        command.extend(targets.iter().map(String::as_str));
        house.server.command(&command)?;
    }
    let (code, text) = house.bring(EVE, &[ANN, BOB], &letter(EVE, ANN, "many"))?;
    ensure!(code == "250", "{code} {text}");
    ensure!(house.subjects(ANN, "INBOX")? == ["many"] && house.subjects(BOB, "INBOX")? == ["many"]);
    Ok(())
}

#[test]
fn a_script_cannot_take_the_mark_off_and_send_it_on_again() -> Result<()> {
    let mut internet = Internet::start()?;
    let _far = internet.domain("far.example")?;
    let script =
        "require \"editheader\"; deleteheader \"X-Sieve-Redirected-From\"; redirect \"pal@far.example\";";
    let house = House::build(Plan {
        scripts: &[(ANN, script)],
        tables: &internet.settings("", ""),
        ..Plan::default()
    })?;
    let back = format!("X-Sieve-Redirected-From: {ANN}\r\n{}", letter(EVE, ANN, "back"));
    house.take(EVE, &[ANN], &back)?;
    ensure!(house.subjects(ANN, "INBOX")? == ["back"], "{}", house.server.log());
    Ok(())
}

//! The operator's commands, beside a running server and without one.

use anyhow::{Result, ensure};
use testkit::{Server, ServerOptions};

/// Runs the same story with the server up and down.
fn both(story: impl Fn(&Server) -> Result<()>) -> Result<()> {
    let mut server = Server::start(ServerOptions::default())?;
    story(&server)?;
    server.stop()?;
    drop(server);
    story(&Server::make(ServerOptions::default())?)
}

fn json(server: &Server, arguments: &[&str]) -> Result<serde_json::Value> {
    let mut all = vec!["--json"];
    all.extend_from_slice(arguments);
    Ok(serde_json::from_str(&server.command(&all)?)?)
}

#[test]
fn accounts_come_and_go() -> Result<()> {
    both(|server| {
        server.command(&[
            "account",
            "add",
            "carl@example.test",
            "--password",
            "secret words 1",
            "--quota",
            "5M",
        ])?;
        let carl = json(server, &["account", "show", "carl@example.test"])?;
        ensure!(carl[0]["quota"] == 5 << 20 && carl[0]["enabled"] == true, "{carl}");
        server.command(&["account", "quota", "carl@example.test", "none"])?;
        server.command(&["account", "disable", "carl@example.test"])?;
        let list = json(server, &["account", "list"])?;
        let carl =
            list.as_array().and_then(|list| list.iter().find(|one| one["address"] == "carl@example.test"));
        ensure!(carl.is_some_and(|carl| carl["enabled"] == false && carl["quota"].is_null()), "{list}");
        server.command(&["account", "enable", "carl@example.test"])?;
        server.command(&["account", "remove", "carl@example.test"])?;
        ensure!(!server.try_command(&["account", "show", "carl@example.test"])?.status.success());
        Ok(())
    })
}

#[test]
fn docker_mailservers_words_work() -> Result<()> {
    both(|server| {
        server.command(&["setup", "email", "add", "dora@example.test", "secret words 2"])?;
        server.command(&["setup", "email", "update", "dora@example.test", "secret words 3"])?;
        server.command(&["setup", "quota", "set", "dora@example.test", "1G"])?;
        server.command(&["setup", "quota", "del", "dora@example.test"])?;
        server.command(&["setup", "alias", "add", "info@example.test", "dora@example.test"])?;
        ensure!(server.command(&["setup", "alias", "list"])?.contains("info@example.test"));
        ensure!(server.command(&["setup", "email", "list"])?.contains("dora@example.test"));
        server.command(&["setup", "alias", "del", "info@example.test", "dora@example.test"])?;
        server.command(&["setup", "email", "del", "-y", "dora@example.test"])?;
        Ok(())
    })
}

#[test]
fn mailboxes_are_listed_with_their_counts() -> Result<()> {
    both(|server| {
        let list = json(server, &["mailbox", "status", Server::ANN])?;
        let names: Vec<_> =
            list.as_array().into_iter().flatten().filter_map(|one| one["name"].as_str()).collect();
        ensure!(
            ["INBOX", "Drafts", "Sent", "Junk", "Trash", "Archive"].iter().all(|name| names.contains(name)),
            "{list}"
        );
        Ok(())
    })
}

#[test]
fn exit_statuses_tell_wrong_usage_from_failure() -> Result<()> {
    let server = Server::make(ServerOptions::default())?;
    let status =
        |arguments: &[&str]| -> Result<Option<i32>> { Ok(server.try_command(arguments)?.status.code()) };
    ensure!(status(&["account", "show", "nobody@example.test"])? == Some(1));
    ensure!(status(&["account", "sow"])? == Some(2));
    ensure!(status(&["account", "quota", Server::ANN, "many"])? == Some(1));
    ensure!(status(&["verify"])? == Some(0));
    Ok(())
}

#[test]
fn people_from_elsewhere_bring_their_hashes() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    // openssl passwd -6 -salt saltsalt password
    let hash = "{SHA512-CRYPT}$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/";
    server.command(&["account", "add", "eva@example.test", "--password", hash])?;
    // The first login upgrades the hash, the second one shows that the new one holds.
    for _ in 0..2 {
        testkit::ImapClient::login(server.address(143), "eva@example.test", "password")?;
    }
    Ok(())
}

#[test]
fn what_became_of_a_message_can_be_told() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    server.smtp()?.send(
        "eve@elsewhere.example",
        &[Server::ANN],
        b"Message-ID: <way@elsewhere.example>\r\n\r\nx\r\n",
    )?;
    for what in ["way@elsewhere.example", Server::ANN, "eve@elsewhere.example"] {
        ensure!(server.command(&["trace", what])?.contains("eve@elsewhere.example"), "{what}");
    }
    Ok(())
}

#[test]
fn a_reload_takes_up_settings_and_drops_no_session() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    let mut imap = server.imap(Server::ANN)?;
    imap.ok("SELECT INBOX")?;
    let text = std::fs::read_to_string(server.config())?;
    std::fs::write(server.config(), format!("{text}\n[smtp]\nmessage_octets_max = \"1M\"\n"))?;
    server.signal("HUP")?;
    let begun = std::time::Instant::now();
    loop {
        let told = server.smtp()?;
        if told.extensions().iter().any(|line| line == "SIZE 1048576") {
            break;
        }
        ensure!(begun.elapsed() < testkit::WAIT_MAX, "the reload was not taken up:\n{}", server.log());
    }
    imap.ok("NOOP")?;
    Ok(())
}

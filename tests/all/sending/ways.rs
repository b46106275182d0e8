//! Ways that mail leaves by: aliases that lead elsewhere, smart hosts, other people's LMTP, domains and networks that we
//! relay for; and that nobody else gets through us.

use anyhow::{Context, Result, ensure};
use testkit::{Exchanger, Internet, Phase, Record, Server, ServerOptions, Tongue, Whim};

use super::{
    ann_sends, count, inbox, message, parsed, queued, server_in, server_with, wait_until_deferred,
    wait_until_queue_is_empty,
};

const EVE: &str = "eve@elsewhere.example";

#[test]
fn an_alias_keeps_a_copy_here_and_sends_one_on() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    let server = server_in(&internet)?;
    server.command(&["alias", "add", "team@example.test", Server::BOB, "bob.private@far.example"])?;
    server.smtp()?.send(EVE, &["team@example.test"], message("team@elsewhere.example").as_bytes())?;
    let received = host.wait_for(1)?;
    ensure!(received[0].addresses() == ["bob.private@far.example"], "{received:?}");
    ensure!(received[0].recipients[0].contains("ORCPT=rfc822;team@example.test"), "{received:?}");
    let here = &inbox(&server, Server::BOB, 1)?[0];
    ensure!(here.ends_with("This is team@elsewhere.example.\r\n"), "{here}");
    ensure!(!received[0].text().contains("Return-Path:"), "{}", received[0].text());
    wait_until_queue_is_empty(&server)
}

#[test]
fn a_stranger_does_not_learn_where_an_alias_leads() -> Result<()> {
    let mut internet = Internet::start()?;
    let (far, home) = (internet.domain("far.example")?, internet.domain("elsewhere.example")?);
    far.refuse("hidden@far.example", "550 5.1.1 unheard of");
    let server = server_in(&internet)?;
    server.command(&["alias", "add", "mask@example.test", "hidden@far.example"])?;
    server.smtp()?.send(EVE, &["mask@example.test"], message("mask@elsewhere.example").as_bytes())?;
    let report = home.wait_for(1)?[0].text();
    let told = parsed(&report)?;
    ensure!(told["status"][1]["final-recipient"] == "rfc822; mask@example.test", "{told}");
    ensure!(!report.contains("far.example") && !report.contains("unheard of"), "{report}");
    Ok(())
}

#[test]
fn a_message_that_comes_round_and_round_is_found_out() -> Result<()> {
    let mut internet = Internet::start()?;
    internet.names.add("example.test", &Record::MailExchanger(10, "mx.example.test".into()));
    let server = server_with(&internet, "", "", "[smtp]\nreceived_max = 10\n")?;
    // The other host sends everything back to us, as two aliases that point at each other do.
    let host = internet.domain("far.example")?;
    server.command(&["alias", "add", "round@example.test", "round@far.example"])?;
    server.submission(Server::ANN)?.send(
        Server::ANN,
        &["round@example.test"],
        message("round@example.test").as_bytes(),
    )?;
    let mut rounds = 0;
    loop {
        let octets = host.wait_for(rounds + 1)?[rounds].octets.clone();
        rounds += 1;
        let mut smtp = server.smtp()?;
        smtp.command(&format!("MAIL FROM:<{}>", Server::ANN), "250")?;
        smtp.command("RCPT TO:<round@example.test>", "250")?;
        smtp.command("DATA", "354")?;
        smtp.dialogue.send_octets(&octets)?;
        smtp.dialogue.send_octets(b".\r\n")?;
        let (code, texts) = smtp.reply()?;
        if code != "250" {
            ensure!(code == "554" && texts[0].contains("5.4.6"), "{code} {texts:?}");
            break;
        }
        ensure!(rounds < 12, "it goes round for ever");
    }
    ensure!(rounds >= 5, "it was taken for a loop after {rounds} rounds");
    Ok(())
}

#[test]
fn an_exchanger_that_is_ourselves_is_found_out() -> Result<()> {
    let internet = Internet::start()?;
    internet.names.add("mirror.example", &Record::MailExchanger(10, "localhost.example".into()));
    internet.names.add("localhost.example", &Record::Address("127.0.0.1".parse()?));
    let server = server_in(&internet)?;
    ann_sends(&server, &["eve@mirror.example"], "mirror@example.test")?;
    let report = parsed(&inbox(&server, Server::ANN, 1)?[0])?;
    ensure!(report["status"][1]["status"] == "5.4.6", "{report}");
    wait_until_queue_is_empty(&server)
}

/// A smart host at `relay.example` that wants a login, and the lines of `[outbound]` that lead to it.
fn smart_host(internet: &mut Internet, tls: &str) -> Result<(Exchanger, String, tempfile::NamedTempFile)> {
    let host = internet.host("relay.example")?;
    host.set_tls(Some(internet.certified(&["relay.example"])?));
    host.add_login("ann@relay.example", "pass word 7");
    let credentials = tempfile::NamedTempFile::new()?;
    std::fs::write(credentials.path(), "work ann@relay.example pass word 7\n")?;
    let lines = format!(
        "relay = \"relay.example:{} {tls} work\"\ncredentials_file = \"{}\"",
        internet.port(),
        credentials.path().display()
    );
    Ok((host, lines, credentials))
}

#[test]
fn a_smart_host_takes_everything_after_a_login_under_tls() -> Result<()> {
    for tls in ["starttls", "implicit"] {
        let mut internet = Internet::start()?;
        let (host, lines, _credentials) = smart_host(&mut internet, tls)?;
        if tls == "implicit" {
            host.set_implicit_tls();
        }
        let direct = internet.domain("near.example")?;
        let lines = format!("{lines}\ndirect_domains = [\"near.example\"]");
        let server = server_with(&internet, &lines, "", "")?;
        ann_sends(&server, &["eve@anywhere.example", "carl@near.example"], "smart@example.test")?;
        let received = &host.wait_for(1)?[0];
        ensure!(received.is_encrypted && received.user.as_deref() == Some("ann@relay.example"), "{tls}");
        ensure!(received.addresses() == ["eve@anywhere.example"], "{received:?}");
        ensure!(direct.wait_for(1)?[0].addresses() == ["carl@near.example"]);
        wait_until_queue_is_empty(&server)?;
    }
    Ok(())
}

#[test]
fn a_smart_host_with_the_wrong_certificate_never_sees_the_password() -> Result<()> {
    let mut internet = Internet::start()?;
    let (host, lines, _credentials) = smart_host(&mut internet, "starttls")?;
    let server = server_with(&internet, &lines, "", "")?;
    let impostors = [internet.certified(&["other.example"])?, internet.self_signed(&["relay.example"])?];
    for (number, impostor) in (1..).zip(impostors) {
        host.set_tls(Some(impostor));
        ann_sends(&server, &["eve@far.example"], &format!("{number}@example.test"))?;
        wait_until_deferred(&server, "relay.example")?;
    }
    ensure!(host.received().is_empty() && count(&server, Server::ANN)? == 0);
    // A host that offers no TLS at all does not get it either.
    host.set_tls(None);
    server.command(&["queue", "retry", "--all"])?;
    host.wait_for_connections(host.connections() + 1)?;
    ensure!(host.received().is_empty());
    host.set_tls(Some(internet.certified(&["relay.example"])?));
    host.wait_for(2)?;
    wait_until_queue_is_empty(&server)
}

#[test]
fn a_smart_host_that_refuses_the_password_is_no_fault_of_the_sender() -> Result<()> {
    let mut internet = Internet::start()?;
    let (host, lines, _credentials) = smart_host(&mut internet, "starttls")?;
    host.plan(Phase::Login, Whim::Says("535 5.7.8 Wrong".into()), 2);
    let server = server_with(&internet, &lines, "", "")?;
    ann_sends(&server, &["eve@far.example"], "login@example.test")?;
    ensure!(host.wait_for(1)?[0].message_id() == "login@example.test");
    ensure!(count(&server, Server::ANN)? == 0);
    Ok(())
}

#[test]
fn a_domain_may_live_behind_lmtp() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.host("boxes.example")?;
    host.set_tongue(Tongue::Lmtp);
    let lines = format!("transports = [\"corp.example=lmtp {}:{}\"]", host.name(), internet.port());
    let server = server_with(&internet, &lines, "", "")?;
    ann_sends(&server, &["one@corp.example", "two@corp.example"], "boxes@example.test")?;
    let received = &host.wait_for(1)?[0];
    ensure!(received.addresses() == ["one@corp.example", "two@corp.example"], "{received:?}");
    wait_until_queue_is_empty(&server)
}

#[test]
fn one_of_us_takes_mail_from_another_by_lmtp() -> Result<()> {
    let internet = Internet::start()?;
    let inner = Server::start(ServerOptions {
        settings: "[listen.lmtp]\nenabled = true".into(),
        ..ServerOptions::default()
    })?;
    inner.command(&["account", "add", "ann@corp.example", "--password", Server::PASSWORD])?;
    let port = inner.address(24).port();
    let lines = format!(
        "transports = [\"corp.example=lmtp localhost:{port}\", \"second.example=lmtp 127.0.0.1:{port}\"]"
    );
    let outer = server_with(&internet, &lines, "", "")?;
    inner.command(&["account", "add", "ann@second.example", "--password", Server::PASSWORD])?;
    ann_sends(&outer, &["ann@second.example"], "second@example.test")?;
    inbox(&inner, "ann@second.example", 1)?;
    ann_sends(&outer, &["ann@corp.example", "nobody@corp.example"], "inner@example.test")?;
    let here = &inbox(&inner, "ann@corp.example", 1)?[0];
    ensure!(here.ends_with("This is inner@example.test.\r\n") && here.contains("with LMTP"), "{here}");
    // Each recipient has an answer of their own.
    let report = parsed(&inbox(&outer, Server::ANN, 1)?[0])?;
    ensure!(report["status"][1]["final-recipient"] == "rfc822; nobody@corp.example", "{report}");
    wait_until_queue_is_empty(&outer)
}

#[test]
fn we_are_the_lesser_exchanger_of_a_friend() -> Result<()> {
    let mut internet = Internet::start()?;
    let friend = internet.domain("friend.example")?;
    // `localhost` is what the servers of these stories are called.
    internet.names.add("friend.example", &Record::MailExchanger(20, "localhost".into()));
    friend.down()?;
    let server = server_with(&internet, "backup_domains = [\"friend.example\"]", "", "")?;
    server.smtp()?.send(EVE, &["eva@friend.example"], message("kept@elsewhere.example").as_bytes())?;
    wait_until_deferred(&server, "mx.friend.example")?;
    ensure!(queued(&server)?.len() == 1);
    friend.up()?;
    ensure!(friend.wait_for(1)?[0].message_id() == "kept@elsewhere.example");
    // The domains below it are no friends of ours.
    let mut smtp = server.smtp()?;
    smtp.command(&format!("MAIL FROM:<{EVE}>"), "250")?;
    ensure!(smtp.reply_after("RCPT TO:<eva@sub.friend.example>")? == "550");
    wait_until_queue_is_empty(&server)
}

/// Ways to write an address that have led strangers through other servers.
const TRICKS: [&str; 14] = [
    "victim@far.example",
    "@example.test:victim@far.example",
    "victim%far.example@example.test",
    "far.example!victim@example.test",
    "\"victim@far.example\"@example.test",
    "victim@far.example@example.test",
    "victim@far.example%example.test",
    "\"victim@far.example\"",
    "victim@[127.25.0.2]",
    "victim@[IPv6:::1]",
    "victim@FAR.EXAMPLE",
    "victim@far.example.",
    "bounce+victim=far.example@example.test",
    "@example.test,@far.example:victim@far.example",
];

#[test]
fn strangers_get_nothing_through_us_whatever_they_write() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    let server = server_in(&internet)?;
    for sender in [EVE, Server::ANN, "", "postmaster@localhost"] {
        for port in [25, 587] {
            for trick in TRICKS {
                let mut smtp = testkit::SmtpClient::connect(server.address(port))?;
                let begun = smtp.reply_after(&format!("MAIL FROM:<{sender}>"))?;
                let told = smtp.reply_after(&format!("RCPT TO:<{trick}>"))?;
                ensure!(told.starts_with('5'), "{port} {begun}: {sender} to {trick}: {told}");
            }
        }
    }
    ensure!(queued(&server)?.is_empty() && host.connections() == 0);
    Ok(())
}

#[test]
fn hosts_of_our_own_network_may_send_anywhere() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    let server = server_with(&internet, "relay_networks = [\"127.0.0.1/32\"]", "", "")?;
    let printer = message("printer@inside.example");
    server.smtp()?.send("printer@inside.example", &["eve@far.example"], printer.as_bytes())?;
    let received = &host.wait_for(1)?[0];
    ensure!(received.sender.contains("printer@inside.example"), "{received:?}");
    Ok(())
}

#[test]
fn the_hosts_own_names_and_domains_stand_in_its_greeting() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    let lines = "hello = \"mail.example.test\"\nidentities = [\"second.test=mail.second.test\"]";
    let server = server_with(&internet, lines, "", "")?;
    server.command(&["account", "add", "dora@second.test", "--password", Server::PASSWORD])?;
    ann_sends(&server, &["eve@far.example"], "first@example.test")?;
    ensure!(host.wait_for(1)?[0].hello == "mail.example.test");
    let text = message("second@second.test").replace(Server::ANN, "dora@second.test");
    server.submission("dora@second.test")?.send("dora@second.test", &["eve@far.example"], text.as_bytes())?;
    let received = host.wait_for(2)?;
    let second = received.get(1).context("one is missing")?;
    ensure!(second.hello == "mail.second.test", "{}", second.hello);
    Ok(())
}

//! Hosts of every temper get our mail: they hang up, dribble, fall silent, break TLS or slip lines into it; nothing is
//! lost, and doubled only where they had taken it without telling us.

use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use testkit::{Internet, Phase, Record, Server, Whim};

use super::{
    ann_sends, count, inbox, message, parsed, server_in, server_with, wait_until_deferred,
    wait_until_queue_is_empty,
};

#[test]
fn a_host_that_hangs_up_anywhere_gets_the_mail_in_the_end() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    let server = server_in(&internet)?;
    let phases =
        [Phase::Greeting, Phase::Hello, Phase::Sender, Phase::Recipient, Phase::Data, Phase::Message];
    for (number, phase) in (1..).zip(phases) {
        for extensions in [&["8BITMIME"][..], &["8BITMIME", "PIPELINING", "CHUNKING"]] {
            host.set_extensions(extensions);
            host.plan(phase, Whim::HangsUp, 1);
            let id = format!("{phase:?}.{}@example.test", extensions.len());
            ann_sends(&server, &["eve@far.example"], &id)?;
            wait_until_queue_is_empty(&server).with_context(|| format!("{phase:?} {extensions:?}"))?;
            ensure!(host.counts().get(&id) == Some(&1), "{phase:?} {extensions:?}: {:?}", host.counts());
        }
        ensure!(host.received().len() == number * 2);
    }
    ensure!(count(&server, Server::ANN)? == 0);
    Ok(())
}

#[test]
fn a_host_that_takes_it_and_hangs_up_before_saying_so_gets_it_twice() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    host.plan(Phase::End, Whim::HangsUp, 1);
    let server = server_in(&internet)?;
    ann_sends(&server, &["eve@far.example"], "twice@example.test")?;
    wait_until_queue_is_empty(&server)?;
    // RFC 1047: nobody can tell whether it has the message; better twice than never.
    ensure!(host.counts().get("twice@example.test") == Some(&2), "{:?}", host.counts());
    Ok(())
}

#[test]
fn codes_of_both_kinds_are_told_apart_in_every_phase() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    let server = server_in(&internet)?;
    let mut reports = 0;
    for phase in [Phase::Sender, Phase::Recipient, Phase::Data, Phase::End] {
        host.plan(phase, Whim::Says("450 4.2.0 Not now".into()), 1);
        let id = format!("later.{phase:?}@example.test");
        ann_sends(&server, &["eve@far.example"], &id)?;
        wait_until_queue_is_empty(&server)?;
        ensure!(host.counts().get(&id) == Some(&1), "{phase:?}: {:?}", host.counts());

        host.plan(phase, Whim::Says("554 5.7.1 Not ever".into()), 1);
        let id = format!("never.{phase:?}@example.test");
        ann_sends(&server, &["eve@far.example"], &id)?;
        wait_until_queue_is_empty(&server)?;
        reports += 1;
        let told = inbox(&server, Server::ANN, reports)?;
        let told = told.last().context("no report")?;
        ensure!(told.contains("Not ever") && told.contains(&id), "{phase:?}: {told}");
        ensure!(!host.counts().contains_key(&id));
    }
    ensure!(count(&server, Server::ANN)? == reports);
    Ok(())
}

#[test]
fn a_dribbling_host_is_borne_with_and_a_silent_one_holds_nobody_else_up() -> Result<()> {
    let mut internet = Internet::start()?;
    let dribbling = internet.domain("dribbling.example")?;
    for phase in [Phase::Greeting, Phase::Hello, Phase::Sender, Phase::Recipient, Phase::Data] {
        dribbling.plan(phase, Whim::Dribbles, u64::MAX);
    }
    let silent = internet.domain("silent.example")?;
    silent.plan(Phase::Greeting, Whim::IsSilent, u64::MAX);
    let polite = internet.domain("polite.example")?;
    let server = server_with(&internet, "", "connections_max = 8", "")?;
    for number in 0..20 {
        ann_sends(&server, &["eve@silent.example"], &format!("silent.{number}@example.test"))?;
    }
    silent.wait_for_connections(1)?;
    for number in 0..20 {
        ann_sends(&server, &["eve@polite.example"], &format!("polite.{number}@example.test"))?;
    }
    ann_sends(&server, &["eve@dribbling.example"], "dribbling@example.test")?;
    // None of these waits for the silent one, whose timeout is far away.
    ensure!(polite.wait_for(20)?.len() == 20);
    ensure!(dribbling.wait_for(1)?[0].message_id() == "dribbling@example.test");
    ensure!(silent.received().is_empty());
    Ok(())
}

#[test]
fn a_silent_host_is_left_when_its_time_is_over() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    let server = server_with(&internet, "command_timeout = 1\ndata_timeout = 1\nfinal_timeout = 1", "", "")?;
    for phase in [Phase::Greeting, Phase::Hello, Phase::Sender, Phase::Recipient, Phase::Data] {
        host.plan(phase, Whim::IsSilent, 1);
        let id = format!("{phase:?}@example.test");
        ann_sends(&server, &["eve@far.example"], &id)?;
        wait_until_queue_is_empty(&server).with_context(|| format!("{phase:?}"))?;
        ensure!(host.counts().get(&id) == Some(&1), "{phase:?}");
    }
    Ok(())
}

#[test]
fn tls_is_used_where_it_is_offered_whoever_vouches_for_it() -> Result<()> {
    let mut internet = Internet::start()?;
    let server = server_in(&internet)?;
    for (domain, acceptor) in [
        ("good.example", internet.certified(&["mx.good.example"])?),
        ("own.example", internet.self_signed(&["mx.own.example"])?),
        ("wrong.example", internet.certified(&["somebody.else.example"])?),
    ] {
        let host = internet.domain(domain)?;
        host.set_tls(Some(acceptor));
        ann_sends(&server, &[&format!("eve@{domain}")], &format!("tls@{domain}"))?;
        ensure!(host.wait_for(1)?[0].is_encrypted, "{domain}");
    }
    Ok(())
}

#[test]
fn broken_tls_falls_back_to_clear_text() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    host.set_tls(Some(internet.certified(&["mx.far.example"])?));
    let server = server_in(&internet)?;
    // What breaks comes last: such a host is not asked for TLS again for a while.
    let whims =
        [Whim::Says("454 4.7.0 TLS not available".into()), Whim::Says("554 5.7.0 No".into()), Whim::Babbles];
    for (number, whim) in (1..).zip(whims) {
        host.plan(Phase::StartTls, whim.clone(), 1);
        ann_sends(&server, &["eve@far.example"], &format!("{number}@example.test"))?;
        let received = host.wait_for(number)?;
        ensure!(!received[number - 1].is_encrypted, "{whim:?}");
        wait_until_queue_is_empty(&server)?;
        // The next message over a new connection tries TLS again; this one is ended.
        host.down()?;
        host.up()?;
    }
    Ok(())
}

#[test]
fn lines_slipped_in_before_tls_are_never_taken_for_answers() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    host.set_tls(Some(internet.certified(&["mx.far.example"])?));
    host.set_extensions(&["8BITMIME"]);
    let forged =
        "250-mx.far.example\r\n250-CHUNKING\r\n250 PIPELINING\r\n550 5.7.1 Forged\r\n550 5.7.1 Forged";
    host.plan(Phase::StartTls, Whim::Injects(forged.into()), 1);
    let server = server_in(&internet)?;
    ann_sends(&server, &["eve@far.example"], "slipped@example.test")?;
    let received = host.wait_for(1)?;
    // The connection is given up, and another one never goes near TLS: nobody demands it here.
    ensure!(received[0].message_id() == "slipped@example.test" && !received[0].is_encrypted);
    wait_until_queue_is_empty(&server)?;
    ensure!(count(&server, Server::ANN)? == 0 && host.received().len() == 1);
    Ok(())
}

#[test]
fn eight_bit_mail_comes_back_from_a_host_that_cannot_take_it() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("old.example")?;
    host.set_extensions(&["PIPELINING"]);
    let server = server_in(&internet)?;
    let text = "From: ann@example.test\r\nMessage-ID: <8bit@example.test>\r\nMIME-Version: 1.0\r\nSubject: eight\r\n\
                Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGr\u{fc}\u{df}e\r\n";
    server.submission(Server::ANN)?.send_chunk(Server::ANN, &["eve@old.example"], text.as_bytes())?;
    let report = parsed(&inbox(&server, Server::ANN, 1)?[0])?;
    ensure!(report["status"][1]["status"] == "5.6.3", "{report}");
    // What has ASCII alone goes through the same host.
    ann_sends(&server, &["eve@old.example"], "plain@example.test")?;
    ensure!(host.wait_for(1)?[0].message_id() == "plain@example.test");
    wait_until_queue_is_empty(&server)
}

#[test]
fn international_mail_goes_where_it_is_understood_alone() -> Result<()> {
    let mut internet = Internet::start()?;
    let (able, unable) = (internet.domain("able.example")?, internet.domain("unable.example")?);
    able.set_extensions(&["8BITMIME", "SMTPUTF8"]);
    let server = server_in(&internet)?;
    let send = |to: &str| -> Result<()> {
        let mut submission = server.submission(Server::ANN)?;
        submission.command(&format!("MAIL FROM:<{}> BODY=8BITMIME SMTPUTF8", Server::ANN), "250")?;
        submission.command(&format!("RCPT TO:<{to}>"), "250")?;
        submission.command("DATA", "354")?;
        let text = "From: ann@example.test\r\nSubject: Gr\u{fc}\u{df}e\r\nMessage-ID: <utf8@example.test>\r\n\r\nx\r\n.\r\n";
        submission.dialogue.send_octets(text.as_bytes())?;
        submission.reply_of("250").map(drop)
    };
    send("j\u{f6}rg@able.example")?;
    let received = &able.wait_for(1)?[0];
    ensure!(received.sender.contains("SMTPUTF8") && received.addresses() == ["j\u{f6}rg@able.example"]);
    ensure!(received.text().contains("Subject: Gr\u{fc}\u{df}e"), "{}", received.text());
    send("j\u{f6}rg@unable.example")?;
    let report = &inbox(&server, Server::ANN, 1)?[0];
    // RFC 6533 §3: an address as programs of before can carry it.
    ensure!(report.contains("Final-Recipient: utf-8; j\\x{F6}rg@unable.example\r\n"), "{report}");
    ensure!(report.contains("\r\nStatus: 5.6.7\r\n"), "{report}");
    ensure!(unable.received().is_empty());
    wait_until_queue_is_empty(&server)
}

#[test]
fn the_best_exchanger_is_taken_and_the_next_one_where_it_is_down() -> Result<()> {
    let mut internet = Internet::start()?;
    let (best, second, last) = (
        internet.host("mx1.far.example")?,
        internet.host("mx2.far.example")?,
        internet.host("mx3.far.example")?,
    );
    for (preference, host) in [(30, &last), (10, &best), (20, &second)] {
        internet.names.add("far.example", &Record::MailExchanger(preference, host.name().into()));
    }
    let server = server_with(&internet, "idle_wait = 0", "", "")?;
    let arrive_at = |host: &testkit::Exchanger, id: &str| -> Result<()> {
        ann_sends(&server, &["eve@far.example"], id)?;
        wait_until_queue_is_empty(&server)?;
        ensure!(host.counts().contains_key(id), "{id} is not at {}", host.name());
        Ok(())
    };
    arrive_at(&best, "one@example.test")?;
    best.down()?;
    arrive_at(&second, "two@example.test")?;
    second.plan(Phase::Greeting, Whim::Says("421 4.3.2 Going down".into()), 1);
    arrive_at(&last, "three@example.test")?;
    best.up()?;
    arrive_at(&best, "four@example.test")?;
    // One that never takes mail (RFC 7504) is passed over.
    best.plan(Phase::Greeting, Whim::Says("521 5.3.2 No mail here".into()), 1);
    arrive_at(&second, "five@example.test")?;
    ensure!(best.received().len() + second.received().len() + last.received().len() == 5);
    Ok(())
}

#[test]
fn a_dead_address_of_either_family_holds_nothing_up() -> Result<()> {
    let mut internet = Internet::start()?;
    let dead = internet.address()?;
    let host = internet.domain("far.example")?;
    // Nobody listens there: the documentation's prefix of IPv6 leads nowhere, and the other address refuses.
    let six: IpAddr = "2001:db8::25".parse()?;
    internet.names.add("mx.far.example", &Record::Address(six));
    internet.names.add("mx.far.example", &Record::Address("::1".parse()?));
    internet.names.add("mx.far.example", &Record::Address(dead.ip()));
    let server = server_in(&internet)?;
    ann_sends(&server, &["eve@far.example"], "six@example.test")?;
    ensure!(host.wait_for(1)?[0].message_id() == "six@example.test");
    wait_until_queue_is_empty(&server)
}

#[test]
fn a_domain_without_an_exchanger_is_its_own() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.host("bare.example")?;
    let server = server_in(&internet)?;
    ann_sends(&server, &["eve@bare.example"], "bare@example.test")?;
    ensure!(host.wait_for(1)?[0].message_id() == "bare@example.test");
    // So is one that is named by its address.
    let literal = format!("eve@[{}]", host.address().ip());
    ann_sends(&server, &[&literal], "literal@example.test")?;
    ensure!(host.wait_for(2)?[1].message_id() == "literal@example.test");
    Ok(())
}

#[test]
fn names_that_cannot_be_asked_for_put_mail_off_and_do_not_fail_it() -> Result<()> {
    let mut internet = Internet::start()?;
    let zone = internet.names.zone("broken.example", testkit::Signing::Unsigned)?;
    internet.names.set_humour(zone, testkit::Humour::Failing);
    let host = internet.domain("broken.example")?;
    let server = server_in(&internet)?;
    ann_sends(&server, &["eve@broken.example"], "names@example.test")?;
    wait_until_deferred(&server, "")?;
    ensure!(host.received().is_empty() && count(&server, Server::ANN)? == 0);
    internet.names.set_humour(zone, testkit::Humour::Well);
    ensure!(host.wait_for(1)?[0].message_id() == "names@example.test");
    wait_until_queue_is_empty(&server)
}

#[test]
fn many_messages_share_a_connection_and_many_recipients_a_transaction() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    let server = server_in(&internet)?;
    let people: Vec<String> = (0..190).map(|number| format!("p{number}@far.example")).collect();
    let people: Vec<&str> = people.iter().map(String::as_str).collect();
    server.submission(Server::ANN)?.send(Server::ANN, &people, message("crowd@example.test").as_bytes())?;
    let received = host.wait_for(2)?;
    ensure!(received.iter().map(|one| one.recipients.len()).max() == Some(100));
    ensure!(received.iter().map(|one| one.recipients.len()).sum::<usize>() == 190);
    wait_until_queue_is_empty(&server)?;
    let before = host.connections();
    let mut submission = server.submission(Server::ANN)?;
    for number in 0..50 {
        let id = format!("many.{number}@example.test");
        submission.send(Server::ANN, &["eve@far.example"], message(&id).as_bytes())?;
    }
    host.wait_for(52)?;
    ensure!(host.connections() - before < 25, "{} connections for 50 messages", host.connections() - before);
    Ok(())
}

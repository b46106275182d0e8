//! A stolen account: little leaves, the rest is held, its owner hears of it, and nothing is lost.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use testkit::{Exchanger, Internet, Phase, Record, Server, ServerOptions, SmtpClient, Whim};

use super::{json, wait_until};
use crate::clock::MovedClock;

const ANN: &str = Server::ANN;

fn server_in(internet: &Internet, tables: &str) -> Result<Server> {
    let patient = "retry_first = 3600\nretry_longest = 3600";
    let settings = format!("{}{tables}\n", internet.settings("", patient));
    Server::start(ServerOptions { settings, ..ServerOptions::default() })
}

fn strangers(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("p{number}@far.example")).collect()
}

/// Somebody with Ann's password sends to as many of these as the server lets be named; the answer is the code of MAIL FROM
/// and those to whom it was taken.
fn steal(server: &Server, to: &[String], id: &str) -> Result<(String, Vec<String>)> {
    let mut smtp = server.submission(ANN)?;
    let code = smtp.reply_after(&format!("MAIL FROM:<{ANN}>"))?;
    if code != "250" {
        return Ok((code, Vec::new()));
    }
    let mut named = Vec::new();
    for recipient in to {
        match smtp.reply_after(&format!("RCPT TO:<{recipient}>"))?.as_str() {
            "250" => named.push(recipient.clone()),
            "421" => return Ok((code, Vec::new())),
            _ => {}
        }
    }
    if named.is_empty() {
        return Ok((code, named));
    }
    let is_taken = hand_over(&mut smtp, id)?;
    Ok((code, if is_taken { named } else { Vec::new() }))
}

fn hand_over(smtp: &mut SmtpClient, id: &str) -> Result<bool> {
    smtp.command("DATA", "354")?;
    let message = format!("From: {ANN}\r\nMessage-ID: <{id}>\r\nSubject: cheap\r\n\r\nx\r\n.");
    Ok(smtp.reply_after(&message)? == "250")
}

fn stopped(server: &Server) -> Result<serde_json::Value> {
    Ok(json(server, &["account", "show", ANN])?[0]["stopped"].clone())
}

fn queued(server: &Server) -> Result<Vec<serde_json::Value>> {
    json(server, &["queue", "list"])?["messages"].as_array().cloned().context("no list")
}

/// The letter in Ann's inbox.
fn letter(server: &Server) -> Result<Option<String>> {
    let mut imap = server.imap(ANN)?;
    if imap.ok("SELECT INBOX")?.number_of("EXISTS") == Some(0) {
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(&imap.fetch_octets(1)?).into_owned()))
}

/// How often each address got a message.
fn arrivals(host: &Exchanger) -> BTreeMap<String, usize> {
    let mut arrivals = BTreeMap::new();
    for received in host.received() {
        for address in received.addresses() {
            *arrivals.entry(address.to_owned()).or_default() += 1;
        }
    }
    arrivals
}

#[test]
fn little_leaves_the_rest_is_held_and_nothing_is_lost() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    let mut server = server_in(&internet, "")?;
    let people = strangers(5_000);
    let mut taken = Vec::new();
    let mut refused_at = None;
    for (number, some) in people.chunks(20).enumerate() {
        if number == 5 {
            host.wait_for(5)?;
            host.plan(Phase::Sender, Whim::Says("450 4.3.2 Later".into()), 10_000);
        }
        let (code, named) = steal(&server, some, &format!("{number}@stolen.example"))?;
        taken.extend(named);
        if code != "250" {
            ensure!(code == "550", "{code}");
            refused_at = Some(number);
            break;
        }
    }
    // 200 new people in an hour are written to; at 500 that were tried nothing goes any more.
    ensure!(refused_at == Some(25), "stopped after {refused_at:?} messages");
    ensure!(taken.len() == 200, "{} of 5000 were taken", taken.len());
    wait_until("the owner is told", &server, || Ok(letter(&server)?.is_some()))?;
    let told = letter(&server)?.context("no letter")?;
    ensure!(told.contains(&format!("Subject: Sending from {ANN} is stopped")), "{told}");
    ensure!(told.contains("500 addresses never written to before") && told.contains("held: 5."), "{told}");
    ensure!(arrivals(&host).len() == 100, "{} got it", arrivals(&host).len());
    let reason = stopped(&server)?;
    ensure!(reason["reason"].as_str().is_some_and(|reason| reason.starts_with("500 addresses")), "{reason}");
    let shown = server.command(&["account", "show", ANN])?;
    ensure!(
        shown.contains(&format!("{ANN} may not send since ")) && shown.contains(": 500 addresses"),
        "{shown}"
    );

    // It is so after a restart, too, and an hour later; what is held stays held.
    server.stop()?;
    server.up()?;
    host.behave();
    server.command(&["queue", "retry", "--all"])?;
    let held = queued(&server)?;
    ensure!(held.len() == 5 && held.iter().all(|one| one["state"] == "held"), "{held:?}");
    ensure!(steal(&server, &people[..1], "known@stolen.example")?.0 == "550", "to somebody who is known");
    // Bob goes on.
    server.submission(Server::BOB)?.send(
        Server::BOB,
        &["p1@far.example"],
        b"From: bob@example.test\r\nMessage-ID: <bob@example.test>\r\n\r\nx\r\n",
    )?;
    host.wait_for(6)?;

    let answer = server.command(&["account", "unlock", ANN, "--release"])?;
    ensure!(answer.contains("may send again; 5 held messages are released"), "{answer}");
    ensure!(stopped(&server)?.is_null());
    server.command(&["queue", "retry", "--all"])?;
    host.wait_for(11)?;
    wait_until("the queue gets empty", &server, || Ok(queued(&server)?.is_empty()))?;
    let mut arrived = arrivals(&host);
    *arrived.get_mut("p1@far.example").context("nothing for p1")? -= 1;
    ensure!(taken.iter().all(|address| arrived.get(address) == Some(&1)), "not each got it once");
    ensure!(arrived.len() == 200, "{} got it", arrived.len());
    let (code, named) = steal(&server, &people[..1], "again@example.test")?;
    ensure!(code == "250" && named.len() == 1, "{code} {named:?}");
    ensure!(server.log().contains("may send again"));
    Ok(())
}

#[test]
fn a_new_password_ends_it_and_what_the_thief_sent_is_thrown_away() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    // What waits for its sender to think again is held as well.
    let server = server_in(&internet, "[submission]\nundo_window = \"1h\"\n[breaker]\nnew_recipients = 5\n")?;
    let people = strangers(6);
    ensure!(steal(&server, &people[..3], "first@stolen.example")?.1.len() == 3);
    // The fifth stops it while the message is on its way.
    ensure!(steal(&server, &people[3..], "second@stolen.example")?.1.is_empty());
    wait_until("its mail is held", &server, || Ok(letter(&server)?.is_some()))?;
    ensure!(!stopped(&server)?.is_null());
    let answer = server.command(&["account", "password", ANN, "--password", "another horse 8"])?;
    ensure!(answer.contains("it may send again; 1 messages of its are still held"), "{answer}");
    ensure!(stopped(&server)?.is_null());
    server.command(&["queue", "retry", "--all"])?;
    let answer = server.command(&["account", "unlock", ANN, "--drop"])?;
    ensure!(answer.contains("was not stopped; 1 held messages are dropped"), "{answer}");
    ensure!(queued(&server)?.is_empty() && host.received().is_empty());
    Ok(())
}

#[test]
fn the_lock_holds_through_a_crash_and_is_lifted_without_a_server() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    host.plan(Phase::Sender, Whim::Says("450 4.3.2 Later".into()), 10_000);
    let mut server = server_in(&internet, "[breaker]\nnew_recipients = 3\n")?;
    let people = strangers(6);
    ensure!(steal(&server, &people[..2], "first@stolen.example")?.1.len() == 2);
    ensure!(steal(&server, &people[2..], "second@stolen.example")?.1.is_empty());
    wait_until("it is held", &server, || Ok(letter(&server)?.is_some()))?;
    server.kill()?;
    server.up()?;
    ensure!(!stopped(&server)?.is_null());
    ensure!(steal(&server, &people[..1], "third@stolen.example")?.0 == "550");
    server.stop()?;
    host.behave();
    let answer = server.command(&["account", "unlock", ANN])?;
    ensure!(answer.contains("1 messages of its are still held"), "{answer}");
    server.command(&["account", "unlock", ANN, "--release"])?;
    server.up()?;
    server.command(&["queue", "retry", "--all"])?;
    ensure!(host.wait_for(1)?[0].message_id() == "first@stolen.example");
    Ok(())
}

#[test]
fn a_club_writes_to_its_members_and_nobody_minds() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    let server = server_in(&internet, "")?;
    let members = strangers(200);
    for round in 0..4 {
        let (code, named) = steal(&server, &members, &format!("{round}@club.example"))?;
        ensure!(code == "250" && named.len() == 200, "{round}: {code}, {} named", named.len());
    }
    wait_until("all has left", &server, || Ok(queued(&server)?.is_empty()))?;
    ensure!(arrivals(&host).len() == 200 && arrivals(&host).values().all(|count| *count == 4));
    ensure!(stopped(&server)?.is_null());
    Ok(())
}

/// A complaint about a message, as feedback loops send it (RFC 5965).
fn complaint(reporter: &str, message_id: &str) -> String {
    format!(
        "From: <{reporter}>\r\nTo: <postmaster@example.test>\r\nMessage-ID: <{message_id}.arf>\r\nSubject: FW\r\n\
         MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n\
         --b\r\nContent-Type: text/plain\r\n\r\nSpam.\r\n\
         --b\r\nContent-Type: message/feedback-report\r\n\r\n\
         Feedback-Type: abuse\r\nUser-Agent: Loop/1\r\nVersion: 1\r\n\r\n\
         --b\r\nContent-Type: message/rfc822\r\n\r\n\
         From: {ANN}\r\nSubject: cheap\r\nMessage-ID: <{message_id}>\r\n\r\nx\r\n\
         --b--\r\n"
    )
}

#[test]
fn complaints_about_mail_that_it_sent_stop_an_account() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    for reporter in ["provider.example", "far.example"] {
        internet.names.add(reporter, &Record::Text("v=spf1 ip4:127.0.0.1 -all".to_owned()));
    }
    let tables = "[breaker]\ncomplaints = 2\nfeedback_loops = [\"provider.example\"]\n\
                  [senders]\nunchecked_networks = []\n[spam]\ncheck = false\n";
    let server = server_in(&internet, tables)?;
    let people = strangers(2);
    for (id, to) in ["one@stolen.example", "two@stolen.example"].into_iter().zip(people.chunks(1)) {
        ensure!(steal(&server, to, id)?.1.len() == 1);
    }
    host.wait_for(2)?;
    let mut told = 0;
    let mut complain = |reporter: &str, id: &str| -> Result<()> {
        let (to, mail) = ("postmaster@example.test", complaint(reporter, id));
        server.smtp()?.send(reporter, &[to], mail.as_bytes())?;
        told += 1;
        super::wait_for_lines(&server, "a report came", told)
    };
    // Nobody vouches for this one.
    for id in ["one@stolen.example", "two@stolen.example"] {
        complain("anybody@liar.example", id)?;
    }
    super::wait_for_lines(&server, "a complaint is not counted", 2)?;
    // All of one domain are one who complains.
    for id in ["one@stolen.example", "two@stolen.example"] {
        complain("abuse@far.example", id)?;
    }
    // What was never sent here, and the same message twice, is no second complaint.
    for id in ["invented@stolen.example", "one@stolen.example", "one@stolen.example"] {
        complain("fbl@provider.example", id)?;
    }
    ensure!(server.log().matches("a complaint is not counted").count() == 2, "{}", server.log());
    complain("fbl@provider.example", "two@stolen.example")?;
    wait_until("it is stopped", &server, || Ok(!stopped(&server)?.is_null()))?;
    let reason = stopped(&server)?["reason"].to_string();
    ensure!(reason.contains("2 messages that somebody complains about"), "{reason}");
    Ok(())
}

#[test]
fn logins_from_everywhere_at_once_stop_sending_and_nothing_else() -> Result<()> {
    let clock = MovedClock::new()?;
    let mut environment = clock.environment();
    environment.push(("MAILSTEAD_LISTEN_TRUSTED_NETWORKS".to_owned(), String::new()));
    let settings = "[breaker]\nnew_networks = 4\n".to_owned();
    let server = Server::start(ServerOptions { settings, environment, ..ServerOptions::default() })?;
    let log_in = |network: u8, host: u8| -> Result<()> {
        let source = std::net::Ipv4Addr::new(127, network, 0, host);
        let mut imap = testkit::ImapClient::connect_from(source, server.address(143))?;
        imap.ok(&format!("LOGIN {ANN} \"{}\"", Server::PASSWORD)).map(drop)
    };
    // In its first days a server does not know yet from where people come: all are new.
    (10..20).try_for_each(|network| log_in(network, 1))?;
    ensure!(stopped(&server)?.is_null());
    clock.set(Duration::from_secs(8 * 24 * 3_600))?;
    // A telephone on its way through one provider's network.
    (1..=10).try_for_each(|host| log_in(1, host))?;
    (2..=3).try_for_each(|network| log_in(network, 1))?;
    ensure!(stopped(&server)?.is_null());
    log_in(4, 1)?;
    ensure!(stopped(&server)?["reason"].to_string().contains("4 networks"));
    ensure!(steal(&server, &strangers(1), "x@stolen.example")?.0 == "550");
    log_in(5, 1)?;
    wait_until("the owner is told", &server, || Ok(letter(&server)?.is_some()))
}

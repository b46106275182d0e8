//! What a sender hears of mail that did not arrive, and when: in their own INBOX, for people and for programs.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use testkit::{Exchanger, Internet, Phase, Received, Server, Whim};

use super::{
    ann_sends, count, inbox, message, parsed, queued, server_in, server_with, wait_until_deferred,
    wait_until_queue_is_empty,
};

#[test]
fn a_greylisted_message_is_sent_again_and_nobody_hears_of_it() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    host.plan(Phase::Recipient, Whim::Says("451 4.7.1 Greylisted, come again".into()), 1);
    let server = server_in(&internet)?;
    ann_sends(&server, &["eve@far.example"], "grey@example.test")?;
    let received = host.wait_for(1)?;
    ensure!(received[0].message_id() == "grey@example.test");
    wait_until_queue_is_empty(&server)?;
    ensure!(count(&server, Server::ANN)? == 0);
    let told = server.command(&["trace", "grey@example.test"])?;
    ensure!(told.contains("Greylisted, come again") && told.contains("mx.far.example"), "{told}");
    Ok(())
}

#[test]
fn one_of_three_is_refused_and_ann_reads_what_happened() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    host.refuse("nobody@far.example", "550 5.1.1 <nobody@far.example>: unheard of");
    let server = server_in(&internet)?;
    let all = ["eve@far.example", "nobody@far.example", "fred@far.example"];
    ann_sends(&server, &all, "three@example.test")?;
    let received = host.wait_for(1)?;
    ensure!(received[0].addresses() == ["eve@far.example", "fred@far.example"], "{received:?}");
    let report = &inbox(&server, Server::ANN, 1)?[0];
    ensure!(report.starts_with("Return-Path: <>\r\n"), "{report}");
    let parsed = parsed(report)?;
    ensure!(parsed["report_type"] == "delivery-status" && parsed["parts"][1] == "message/delivery-status");
    ensure!(parsed["fields"]["auto-submitted"] == "auto-replied" && parsed["fields"]["to"] == Server::ANN);
    ensure!(parsed["fields"]["in-reply-to"] == "<three@example.test>", "{parsed}");
    let text = parsed["text"].as_str().context("no text")?;
    for words in
        ["nobody@far.example", "There is no such mailbox.", "unheard of", "Check the address for mistakes"]
    {
        ensure!(text.contains(words), "{words:?} is not in: {text}");
    }
    ensure!(!text.contains("fred@far.example"), "{text}");
    let of_message = &parsed["status"][0];
    ensure!(of_message["reporting-mta"] == "dns; localhost", "{of_message}");
    let of_recipient = &parsed["status"][1];
    ensure!(of_recipient["final-recipient"] == "rfc822; nobody@far.example", "{of_recipient}");
    ensure!(of_recipient["action"] == "failed" && of_recipient["status"] == "5.1.1", "{of_recipient}");
    ensure!(of_recipient["remote-mta"] == "dns; mx.far.example", "{of_recipient}");
    ensure!(
        of_recipient["diagnostic-code"].as_str().is_some_and(|code| code.starts_with("smtp; 550 5.1.1 ")),
        "{of_recipient}"
    );
    ensure!(parsed["status"].as_array().is_some_and(|groups| groups.len() == 2));
    ensure!(parsed["returned"].as_str().is_some_and(|text| text.contains("This is three@example.test.")));
    wait_until_queue_is_empty(&server)
}

/// Ann submits with what RFC 3461 has her ask for.
fn ann_asks(server: &Server, mail: &str, recipients: &[(&str, &str)], id: &str) -> Result<()> {
    let mut submission = server.submission(Server::ANN)?;
    submission.command(&format!("MAIL FROM:<{}> {mail}", Server::ANN), "250")?;
    for (recipient, asked) in recipients {
        submission.command(&format!("RCPT TO:<{recipient}> {asked}"), "250")?;
    }
    submission.command("DATA", "354")?;
    submission.dialogue.send_octets(format!("{}.\r\n", message(id)).as_bytes())?;
    submission.reply_of("250").map(drop)
}

#[test]
fn what_a_sender_asked_for_is_honoured() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    host.refuse("no@far.example", "550 5.1.1 no");
    host.refuse("quiet@far.example", "550 5.1.1 no");
    let server = server_in(&internet)?;
    let asked = [
        ("no@far.example", "NOTIFY=FAILURE ORCPT=rfc822;first+2Bname@old.example"),
        ("quiet@far.example", "NOTIFY=NEVER"),
        ("eve@far.example", "NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;eve@far.example"),
    ];
    ann_asks(&server, "RET=HDRS ENVID=QQ+2B314159", &asked, "asked@example.test")?;
    let received = host.wait_for(1)?;
    // The host reports by itself: what was asked goes on to it, and it is the one to tell of success.
    ensure!(received[0].sender.contains("RET=HDRS") && received[0].sender.contains("ENVID=QQ+2B314159"));
    ensure!(
        received[0].recipients.len() == 1 && received[0].recipients[0].contains("NOTIFY=SUCCESS,FAILURE")
    );
    ensure!(received[0].recipients[0].contains("ORCPT=rfc822;eve@far.example"), "{received:?}");
    let report = parsed(&inbox(&server, Server::ANN, 1)?[0])?;
    ensure!(report["status"][0]["original-envelope-id"] == "QQ+314159", "{report}");
    ensure!(report["status"][1]["original-recipient"] == "rfc822; first+name@old.example", "{report}");
    ensure!(report["status"].as_array().is_some_and(|groups| groups.len() == 2), "{report}");
    ensure!(report["parts"][2] == "text/rfc822-headers", "{report}");
    ensure!(!report["returned"].as_str().context("nothing")?.contains("This is asked"), "{report}");
    wait_until_queue_is_empty(&server)?;
    ensure!(count(&server, Server::ANN)? == 1);
    Ok(())
}

#[test]
fn success_is_told_where_the_next_host_does_not_tell_it() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    host.set_extensions(&["8BITMIME"]);
    let server = server_in(&internet)?;
    ann_asks(&server, "", &[("eve@far.example", "NOTIFY=SUCCESS")], "told@example.test")?;
    let report = parsed(&inbox(&server, Server::ANN, 1)?[0])?;
    ensure!(report["status"][1]["action"] == "relayed", "{report}");
    ensure!(host.wait_for(1)?[0].recipients == ["<eve@far.example>"]);
    Ok(())
}

/// A message of a stranger at home.example, whose mail we take as a lesser exchanger of far.example.
fn stranger_sends(server: &Server, sender: &str, id: &str) -> Result<()> {
    server.smtp()?.send(sender, &["eve@far.example"], message(id).as_bytes()).map(drop)
}

#[test]
fn a_stranger_gets_a_report_from_the_null_path_and_a_report_gets_none() -> Result<()> {
    let mut internet = Internet::start()?;
    let (far, home) = (internet.domain("far.example")?, internet.domain("home.example")?);
    far.refuse("eve@far.example", "550 5.7.1 We want nothing of you");
    let server = server_with(&internet, "backup_domains = [\"far.example\"]", "", "")?;
    stranger_sends(&server, "carl@home.example", "first@home.example")?;
    let report: &Received = &home.wait_for(1)?[0];
    ensure!(report.sender.starts_with("<>") && report.addresses() == ["carl@home.example"], "{report:?}");
    let told = parsed(&report.text())?;
    ensure!(told["status"][1]["action"] == "failed" && told["status"][1]["status"] == "5.7.1", "{told}");
    wait_until_queue_is_empty(&server)?;
    // Now nobody takes the report: it is given up, and nobody is told of that.
    home.refuse("carl@home.example", "550 5.1.1 Gone");
    stranger_sends(&server, "carl@home.example", "second@home.example")?;
    wait_until_queue_is_empty(&server)?;
    // And a message that is a report itself has nobody to be told.
    stranger_sends(&server, "", "third@home.example")?;
    wait_until_queue_is_empty(&server)?;
    ensure!(home.received().len() == 1 && far.received().is_empty());
    ensure!(count(&server, Server::ANN)? == 0 && count(&server, Server::BOB)? == 0);
    Ok(())
}

fn only_status(report: &str) -> Result<Value> {
    let parsed = parsed(report)?;
    ensure!(parsed["status"].as_array().is_some_and(|groups| groups.len() == 2), "{parsed}");
    Ok(parsed["status"][1].clone())
}

#[test]
fn a_domain_that_takes_no_mail_and_one_that_is_not_there_are_told_at_once() -> Result<()> {
    let internet = Internet::start()?;
    // RFC 7505.
    internet.names.add("null.example", &testkit::Record::MailExchanger(0, String::new()));
    let server = server_in(&internet)?;
    ann_sends(&server, &["eve@null.example"], "null@example.test")?;
    let status = only_status(&inbox(&server, Server::ANN, 1)?[0])?;
    ensure!(status["status"] == "5.1.10" && status["action"] == "failed", "{status}");
    ann_sends(&server, &["eve@absent.example"], "absent@example.test")?;
    let status = only_status(&inbox(&server, Server::ANN, 2)?[1])?;
    ensure!(status["status"] == "5.1.2" && status["action"] == "failed", "{status}");
    wait_until_queue_is_empty(&server)
}

#[test]
fn mail_that_is_late_is_told_of_and_mail_that_is_too_late_comes_back() -> Result<()> {
    let mut internet = Internet::start()?;
    let host = internet.domain("far.example")?;
    host.plan(Phase::Recipient, Whim::Says("452 4.2.2 Mailbox full".into()), u64::MAX);
    let server = server_with(&internet, "", "warn_after = 2\nlifetime = 8", "")?;
    ann_sends(&server, &["eve@far.example"], "late@example.test")?;
    let status = only_status(&inbox(&server, Server::ANN, 1)?[0])?;
    ensure!(status["action"] == "delayed" && status["status"] == "4.2.2", "{status}");
    ensure!(status["will-retry-until"].is_string(), "{status}");
    let reports = inbox(&server, Server::ANN, 2)?;
    let status = only_status(&reports[1])?;
    ensure!(status["action"] == "failed", "{status}");
    ensure!(parsed(&reports[1])?["text"].as_str().is_some_and(|text| text.contains("Mailbox full")));
    wait_until_queue_is_empty(&server)?;
    ensure!(count(&server, Server::ANN)? == 2 && host.received().is_empty());
    Ok(())
}

#[test]
fn a_host_that_is_down_gets_the_mail_when_it_is_up() -> Result<()> {
    let mut internet = Internet::start()?;
    let host: Exchanger = internet.domain("far.example")?;
    host.down()?;
    let server = server_in(&internet)?;
    ann_sends(&server, &["eve@far.example"], "patient@example.test")?;
    wait_until_deferred(&server, "mx.far.example")?;
    ensure!(queued(&server)?.len() == 1);
    host.up()?;
    ensure!(host.wait_for(1)?[0].message_id() == "patient@example.test");
    wait_until_queue_is_empty(&server)?;
    ensure!(count(&server, Server::ANN)? == 0);
    Ok(())
}

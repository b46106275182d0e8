//! Mail that goes to a real Exim, OpenSMTPD and Dovecot: octet for octet but for the trace fields on top, each recipient
//! with an answer of their own.

use anyhow::{Context, Result, ensure};
use testkit::{Internet, Record, Server};

use super::arrival::{HARD, Looked, ensure_fields, hard};
use super::{
    ann_sends, count, inbox, message, parsed, queued, server_in, server_with, wait_until,
    wait_until_deferred, wait_until_queue_is_empty,
};
use crate::debian::{Dovecot, Exim, EximOptions, Full, OpenSmtpd, TakesMail};

/// An internet where `real.example` has one exchanger, and its address.
fn internet() -> Result<(Internet, std::net::SocketAddr)> {
    let mut internet = Internet::start()?;
    let address = internet.address()?;
    internet.names.add("real.example", &Record::MailExchanger(10, "mx.real.example".into()));
    internet.names.add("mx.real.example", &Record::Address(address.ip()));
    Ok((internet, address))
}

fn ann_sends_octets(server: &Server, to: &[&str], octets: &[u8]) -> Result<()> {
    server.submission(Server::ANN)?.send_chunk(Server::ANN, to, octets).map(drop)
}

#[test]
fn exim_gets_mail_octet_for_octet_in_chunks_and_without() -> Result<()> {
    for main in ["", "chunking_advertise_hosts =\n"] {
        let (internet, address) = internet()?;
        let server = server_in(&internet)?;
        let (certificate, key) = (server.certificate(), server.certificate().with_file_name("key.pem"));
        let exim = Exim::start(address, EximOptions { certificate: Some((&certificate, &key)), main })?;
        let mut looked = Looked::default();
        for octets in [0, 5 << 20] {
            let sent = hard(&format!("exim.{octets}"), octets);
            ann_sends_octets(&server, &["eve@real.example"], &sent)?;
            let trace = looked.arrives(&exim, &server, &sent, &format!("{main}{octets}"))?;
            ensure_fields(&trace, &["Return-path", "Envelope-to", "Received", "Received"])?;
            ensure!(
                trace.contains("Return-path: <ann@example.test>") && trace.contains(" with esmtps "),
                "{trace}"
            );
        }
    }
    Ok(())
}

#[test]
fn exim_that_defers_gets_the_mail_when_it_does_no_more() -> Result<()> {
    let (internet, address) = internet()?;
    let server = server_in(&internet)?;
    let exim = Exim::start(address, EximOptions::default())?;
    exim.set_grey(true)?;
    let sent = hard("grey", 0);
    ann_sends_octets(&server, &["eve@real.example"], &sent)?;
    wait_until_deferred(&server, "Greylisted, come again")?;
    ensure!(exim.kept()?.is_empty() && queued(&server)?.len() == 1);
    exim.set_grey(false)?;
    Looked::default().arrives(&exim, &server, &sent, "grey")?;
    ensure!(exim.kept()?.len() == 1 && count(&server, Server::ANN)? == 0);
    Ok(())
}

#[test]
fn exim_refuses_one_of_three_and_ann_reads_its_words() -> Result<()> {
    let (internet, address) = internet()?;
    let server = server_in(&internet)?;
    let exim = Exim::start(address, EximOptions::default())?;
    let sent = hard("three", 0);
    ann_sends_octets(&server, &["eve@real.example", Exim::NOBODY, "fred@real.example"], &sent)?;
    let trace = Looked::default().arrives(&exim, &server, &sent, "one of three")?;
    let recipients = trace.split("Envelope-to:").nth(1).and_then(|rest| rest.split("\nReceived:").next());
    let mut recipients: Vec<&str> = recipients.context("no Envelope-to")?.split(',').map(str::trim).collect();
    recipients.sort_unstable();
    ensure!(recipients == ["eve@real.example", "fred@real.example"], "{trace}");
    let report = parsed(&inbox(&server, Server::ANN, 1)?[0])?;
    ensure!(report["status"].as_array().is_some_and(|groups| groups.len() == 2), "{report}");
    let status = &report["status"][1];
    ensure!(status["final-recipient"] == format!("rfc822; {}", Exim::NOBODY), "{report}");
    ensure!(status["status"] == "5.1.1" && status["action"] == "failed", "{report}");
    ensure!(
        report["text"].as_str().is_some_and(|text| text.contains("There is nobody of this name")),
        "{report}"
    );
    ensure!(exim.kept()?.len() == 1);
    Ok(())
}

#[test]
fn exim_that_takes_seven_bits_gets_no_eighth() -> Result<()> {
    let (internet, address) = internet()?;
    let server = server_in(&internet)?;
    // RFC 6531 §3.1: what cannot take the eighth bit cannot take such addresses either.
    let main = "accept_8bitmime = false\nsmtputf8_advertise_hosts =\n";
    let exim = Exim::start(address, EximOptions { main, ..EximOptions::default() })?;
    ann_sends_octets(&server, &["eve@real.example"], &hard("eight", 0))?;
    let report = parsed(&inbox(&server, Server::ANN, 1)?[0])?;
    ensure!(report["status"][1]["status"] == "5.6.3", "{report}");
    let sent = message("seven@example.test");
    ann_sends_octets(&server, &["eve@real.example"], sent.as_bytes())?;
    let trace = looked_at_completed(&exim, &server, "seven@example.test")?;
    ensure!(trace.ends_with("\n\nThis is seven@example.test.\n"), "{trace}");
    ensure!(exim.kept()?.len() == 1);
    Ok(())
}

/// The only message that a server has, once it has it; fields that its submission completed may stand in it.
fn looked_at_completed(at: &dyn TakesMail, server: &Server, id: &str) -> Result<String> {
    wait_until(id, server, || Ok(!at.kept()?.is_empty()))?;
    wait_until_queue_is_empty(server)?;
    let file = at.kept()?.pop().context("it is gone")?;
    let text = std::fs::read_to_string(file)?;
    ensure!(text.contains(&format!("\nMessage-ID: <{id}>\n")), "{text}");
    Ok(text)
}

#[test]
fn opensmtpd_gets_mail_octet_for_octet_and_refuses_one_of_three() -> Result<()> {
    let (internet, address) = internet()?;
    let server = server_in(&internet)?;
    let smtpd = OpenSmtpd::start(address)?;
    let mut looked = Looked::default();
    for octets in [0, 5 << 20] {
        let sent = hard(&format!("opensmtpd.{octets}"), octets);
        ann_sends_octets(&server, &["eve@real.example"], &sent)?;
        let trace = looked.arrives(&smtpd, &server, &sent, &octets.to_string())?;
        ensure_fields(&trace, &["Return-Path", "Delivered-To", "Received", "Received"])?;
        ensure!(trace.contains("Return-Path: <ann@example.test>"), "{trace}");
    }
    let all = ["eve@real.example", "nobody@real.example", "fred@real.example"];
    ann_sends(&server, &all, "three@example.test")?;
    let report = parsed(&inbox(&server, Server::ANN, 1)?[0])?;
    ensure!(report["status"].as_array().is_some_and(|groups| groups.len() == 2), "{report}");
    ensure!(report["status"][1]["final-recipient"] == "rfc822; nobody@real.example", "{report}");
    // What it says of a name that it does not have.
    ensure!(report["status"][1]["status"] == "5.2.4", "{report}");
    wait_until("the other two have it", &server, || Ok(smtpd.kept()?.len() == 4))?;
    wait_until_queue_is_empty(&server)?;
    ensure!(smtpd.kept()?.len() == 4 && count(&server, Server::ANN)? == 1);
    Ok(())
}

#[test]
fn lone_carriage_returns_smuggle_nothing_into_any_of_them() -> Result<()> {
    let (internet, address) = internet()?;
    let server = server_in(&internet)?;
    let text = |id: &str| {
        format!(
            "{HARD}Message-ID: <{id}>\r\n\r\nbegin\r.\r\nMAIL FROM:<evil@example.test>\r\nRCPT TO:<fred@real.example>\r\n\
             DATA\r\nsmuggled\r\n\r.\rQUIT\n.\n.\rend\r\n"
        )
    };
    let repaired = |id: &str| {
        text(id)
            .replace("begin\r.\r\n", "begin\r\n.\r\n")
            .replace("\r\n\r.\rQUIT\n.\n.\rend\r\n", "\r\n\r\n.\r\nQUIT\r\n.\r\n.\r\nend\r\n")
    };
    let submit = |id: &str| -> Result<()> {
        let mut submission = server.submission(Server::ANN)?;
        submission.command(&format!("MAIL FROM:<{}> BODY=8BITMIME", Server::ANN), "250")?;
        submission.command("RCPT TO:<eve@real.example>", "250")?;
        submission.command("DATA", "354")?;
        // No line of it begins with a dot as SMTP sees lines.
        submission.dialogue.send_octets(format!("{}.\r\n", text(id)).as_bytes())?;
        submission.reply_of("250").map(drop)
    };
    let smtpd = OpenSmtpd::start(address)?;
    submit("smtpd@example.test")?;
    Looked::default().arrives(&smtpd, &server, repaired("smtpd@example.test").as_bytes(), "OpenSMTPD")?;
    ensure!(smtpd.kept()?.len() == 1, "{}", smtpd.log());
    drop(smtpd);
    // In clear and without chunks, so that the dots are all that tells where the message ends.
    let main = "chunking_advertise_hosts =\n";
    let exim = Exim::start(address, EximOptions { main, ..EximOptions::default() })?;
    submit("exim@example.test")?;
    Looked::default().arrives(&exim, &server, repaired("exim@example.test").as_bytes(), "Exim")?;
    ensure!(exim.kept()?.len() == 1, "{}", exim.log());
    Ok(())
}

/// A server whose mail for `boxes.example` goes to a Dovecot by LMTP, and that Dovecot.
fn before_dovecot(full: Full) -> Result<(Internet, Server, Dovecot)> {
    let mut internet = Internet::start()?;
    let address = internet.address()?;
    let dovecot = Dovecot::start(address, full)?;
    let lines = format!("transports = [\"boxes.example=lmtp {address}\"]");
    let server = server_with(&internet, &lines, "", "")?;
    Ok((internet, server, dovecot))
}

#[test]
fn dovecot_answers_for_each_recipient_and_the_full_one_is_told_of() -> Result<()> {
    let (_internet, server, dovecot) = before_dovecot(Full::Never)?;
    let sent = hard("full", 1 << 20);
    ann_sends_octets(&server, &["eve@boxes.example", "fred@boxes.example"], &sent)?;
    let report = parsed(&inbox(&server, Server::ANN, 1)?[0])?;
    ensure!(report["status"].as_array().is_some_and(|groups| groups.len() == 2), "{report}");
    let status = &report["status"][1];
    ensure!(status["final-recipient"] == "rfc822; fred@boxes.example", "{report}");
    ensure!(status["status"] == "5.2.2" && status["action"] == "failed", "{report}");
    ensure!(report["text"].as_str().is_some_and(|text| text.contains("Quota exceeded")), "{report}");
    wait_until_queue_is_empty(&server)?;
    eve_has(&dovecot, &sent)?;
    ensure!(dovecot.kept("fred")?.len() == 1, "{}", dovecot.log());
    Ok(())
}

#[test]
fn dovecot_that_puts_one_recipient_off_gets_the_message_for_that_one_again() -> Result<()> {
    let (_internet, server, dovecot) = before_dovecot(Full::Later)?;
    let sent = hard("later", 0);
    ann_sends_octets(&server, &["eve@boxes.example", "fred@boxes.example"], &sent)?;
    wait_until_deferred(&server, "Quota exceeded")?;
    eve_has(&dovecot, &sent)?;
    dovecot.fred_tidies_up()?;
    wait_until_queue_is_empty(&server)?;
    ensure!(dovecot.kept("fred")?.len() == 1, "{}", dovecot.log());
    // Who had it did not get it again.
    eve_has(&dovecot, &sent)?;
    ensure!(count(&server, Server::ANN)? == 0);
    Ok(())
}

/// Eve has this message and no other, below the fields that the two servers put on top.
fn eve_has(dovecot: &Dovecot, sent: &[u8]) -> Result<()> {
    let kept = dovecot.kept("eve")?;
    ensure!(kept.len() == 1, "{kept:?}\n{}", dovecot.log());
    let trace = super::arrival::trace_above(&std::fs::read(&kept[0])?, sent)?;
    // Dovecot writes the envelope's sender, we do not leave ours in.
    ensure_fields(&trace, &["Return-Path", "Received", "Received"])
}

//! Logging in under attack: clear text, bent base64, step-downs, guesses at who exists, and what the log must never hold.

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use testkit::{Dialogue, ImapClient, Server, ServerOptions, SmtpClient};

use super::{is_well, log_with, server_with, strict_server};

fn plain(authorization: &str, user: &str, password: &str) -> String {
    STANDARD.encode(format!("{authorization}\0{user}\0{password}"))
}

#[test]
fn passwords_in_clear_are_refused() -> Result<()> {
    let server = strict_server()?;
    let token = plain("", Server::ANN, Server::PASSWORD);
    let mut smtp = SmtpClient::connect(server.address(587))?;
    ensure!(!smtp.extensions().iter().any(|line| line.starts_with("AUTH")), "AUTH is offered in clear");
    smtp.command(&format!("AUTH PLAIN {token}"), "538")?;
    smtp.command("AUTH LOGIN", "538")?;
    smtp.command(&format!("MAIL FROM:<{}>", Server::ANN), "530")?;
    // Nobody logs in where strangers bring mail, encrypted or not.
    let mut relay = SmtpClient::connect(server.address(25))?;
    relay.command(&format!("AUTH PLAIN {token}"), "502")?;
    let mut imap = ImapClient::connect(server.address(143))?;
    let capability = imap.ok("CAPABILITY")?.untagged.concat();
    ensure!(capability.contains("LOGINDISABLED") && !capability.contains("AUTH="), "{capability}");
    for command in [
        format!("LOGIN {} \"{}\"", Server::ANN, Server::PASSWORD),
        format!("AUTHENTICATE PLAIN {token}"),
        "AUTHENTICATE SCRAM-SHA-256".to_owned(),
    ] {
        let told = imap.command(&command)?.tagged;
        ensure!(told.starts_with("NO [PRIVACYREQUIRED]"), "{told}");
    }
    ensure!(imap.command("SELECT INBOX")?.tagged.starts_with("BAD"));
    Ok(())
}

/// An AUTH command with one response, on a connection of its own; the result is the last code.
fn try_auth(server: &Server, mechanism: &str, response: &str) -> Result<String> {
    let mut smtp = SmtpClient::connect(server.address(587))?;
    smtp.dialogue.send(&format!("AUTH {mechanism}"))?;
    let (code, _) = smtp.reply()?;
    ensure!(code == "334", "{mechanism}: {code}");
    smtp.dialogue.send_octets(format!("{response}\r\n").as_bytes())?;
    let (code, _) = smtp.reply()?;
    // Whatever came of it, nobody is logged in.
    ensure!(smtp.reply_after(&format!("MAIL FROM:<{}>", Server::ANN))? == "530", "{response:?} logged in");
    Ok(code)
}

#[test]
fn bent_responses_log_nobody_in() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    let right = plain("", Server::ANN, Server::PASSWORD);
    let (head, tail) = right.split_at(8);
    // base64 that is not written as RFC 4648 §4 says: refused, not guessed at.
    for bent in [
        format!("{head}\t{tail}"),
        format!("{head} {tail}"),
        format!("{head}\0{tail}"),
        format!("{head}\r{tail}"),
        format!("{right}="),
        format!("{right}===="),
        format!("{head}={tail}"),
        format!("{head}-_{tail}"),
        format!("{}\u{85}", right),
        "=".into(),
        String::new(),
    ] {
        let code = try_auth(&server, "PLAIN", &bent)?;
        ensure!(code == "501" || code == "535", "{bent:?}: {code}");
    }
    // Right base64 with octets inside that split or end what others make of it (CVE-2026-33603).
    for (index, bent) in [
        format!("\0{}\0{}\t", Server::ANN, Server::PASSWORD),
        format!("\0{}\t\0{}", Server::ANN, Server::PASSWORD),
        format!("\0{}\0{}\0", Server::ANN, Server::PASSWORD),
        format!("\0{}\0{}\0x", Server::ANN, Server::PASSWORD),
        format!("\0{}\r\0{}", Server::ANN, Server::PASSWORD),
        format!("\0{}\n\0{}", Server::ANN, Server::PASSWORD),
        format!("\0{}\0", Server::ANN),
        format!("\0\0{}", Server::PASSWORD),
        format!("{}\0{}", Server::ANN, Server::PASSWORD),
        format!("{}\0{}\0{}", Server::BOB, Server::ANN, Server::PASSWORD),
        format!("root\0{}\0{}", Server::ANN, Server::PASSWORD),
        "\0\0".into(),
    ]
    .iter()
    .enumerate()
    {
        let code = try_auth(&server, "PLAIN", &STANDARD.encode(bent))?;
        ensure!(code == "501" || code == "535", "number {index}: {code}");
    }
    let invalid = [&b"\0"[..], b"\xff\xfe\xc0\x80", b"\0", Server::PASSWORD.as_bytes()].concat();
    ensure!(try_auth(&server, "PLAIN", &STANDARD.encode(invalid))?.starts_with('5'));
    ensure!(try_auth(&server, "PLAIN", "*")? == "501", "a cancelled exchange");
    ensure!(try_auth(&server, "LOGIN", "*")? == "501", "a cancelled exchange");
    // A response beyond the longest line.
    ensure!(try_auth(&server, "PLAIN", &"A".repeat(20_000))? == "500");
    ensure!(
        try_auth(&server, "PLAIN", &STANDARD.encode("\0a\0".to_owned() + &"p".repeat(8_000)))?
            .starts_with('5')
    );
    // Who says the same in good order gets in.
    server.submission(Server::ANN)?.quit()?;
    is_well(&server)
}

#[test]
fn a_response_in_pieces_is_one_response() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    let mut imap = Dialogue::connect(server.address(143))?;
    imap.expect("* OK ")?;
    imap.send("a AUTHENTICATE PLAIN")?;
    imap.expect("+")?;
    imap.send("*")?;
    imap.expect("a ")?;
    // What follows a cancelled exchange is a command again.
    imap.send("b AUTHENTICATE PLAIN")?;
    imap.expect("+")?;
    for octet in format!("{}\r\n", plain("", Server::ANN, Server::PASSWORD)).bytes() {
        imap.send_octets(&[octet])?;
    }
    imap.expect("b OK ")?;
    imap.send("c LOGIN x y")?;
    imap.expect("c BAD ")?;
    Ok(())
}

#[test]
fn scram_is_not_stepped_down() -> Result<()> {
    let server = strict_server()?;
    let first = |header: &str| STANDARD.encode(format!("{header}n={},r=rOprNGfwEbeRWgbNEkqO", Server::ANN));
    let encrypted = || -> Result<Dialogue> {
        let (mut smtp, _) = Dialogue::connect(server.address(465))?.start_tls()?;
        smtp.expect("220 ")?;
        smtp.send("EHLO client.example")?;
        let mut offer = String::new();
        loop {
            let line = smtp.expect("250")?;
            if line.contains("AUTH ") {
                offer.clone_from(&line);
            }
            if line.starts_with("250 ") {
                break;
            }
        }
        ensure!(offer.contains("SCRAM-SHA-256-PLUS"), "{offer}");
        Ok(smtp)
    };
    // `y`: "I could bind, but you did not offer it". We did: somebody took the offer away (RFC 5802 §6).
    let mut smtp = encrypted()?;
    smtp.send(&format!("AUTH SCRAM-SHA-256 {}", first("y,,")))?;
    smtp.expect("535 ")?;
    for (mechanism, header) in [
        ("SCRAM-SHA-256-PLUS", "n,,"),
        ("SCRAM-SHA-256-PLUS", "y,,"),
        ("SCRAM-SHA-256-PLUS", "p=tls-unique,,"),
        ("SCRAM-SHA-256-PLUS", "p=,,"),
        ("SCRAM-SHA-256", "p=tls-exporter,,"),
        ("SCRAM-SHA-256", "n,a=bob@example.test,"),
    ] {
        let mut smtp = encrypted()?;
        smtp.send(&format!("AUTH {mechanism} {}", first(header)))?;
        let told = smtp.line()?;
        ensure!(told.starts_with('5'), "{mechanism} {header}: {told}");
    }
    // The right first word, but bound to nothing: the proof decides, and no proof fits a foreign channel.
    let (mut smtp, other) = (encrypted()?, Dialogue::connect(server.address(465))?.start_tls()?.1);
    smtp.send(&format!("AUTH SCRAM-SHA-256-PLUS {}", first("p=tls-exporter,,")))?;
    let challenge = STANDARD.decode(smtp.expect("334 ")?.trim_start_matches("334 "))?;
    let challenge = String::from_utf8(challenge)?;
    let nonce = challenge.split(',').find_map(|part| part.strip_prefix("r=")).context("no nonce")?;
    let bound = [&b"p=tls-exporter,,"[..], &other.exporter.context("no exporter")?].concat();
    let last = format!("c={},r={nonce},p={}", STANDARD.encode(bound), STANDARD.encode([7; 32]));
    smtp.send(&STANDARD.encode(last))?;
    smtp.expect("535 ")?;
    Ok(())
}

/// What a server says first in a SCRAM exchange: salt and iterations.
fn scram_challenge(server: &Server, user: &str) -> Result<(String, String)> {
    let mut smtp = SmtpClient::connect(server.address(587))?;
    let first = STANDARD.encode(format!("n,,n={user},r=rOprNGfwEbeRWgbNEkqO"));
    smtp.dialogue.send(&format!("AUTH SCRAM-SHA-256 {first}"))?;
    let line = smtp.dialogue.expect("334 ")?;
    let text = String::from_utf8(STANDARD.decode(line.trim_start_matches("334 "))?)?;
    let part = |name: &str| text.split(',').find_map(|part| part.strip_prefix(name)).map(str::to_owned);
    Ok((part("s=").context("no salt")?, part("i=").context("no iterations")?))
}

#[test]
fn unknown_people_look_like_known_ones() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    let people = [Server::BOB, "nobody@example.test", "bob@elsewhere.example", "bob", "' OR 1=1 --", "../1"];
    let mut answers = Vec::new();
    for person in people {
        let mut smtp = SmtpClient::connect(server.address(587))?;
        smtp.dialogue.send(&format!("AUTH PLAIN {}", plain("", person, "wrong")))?;
        let submission = smtp.reply()?;
        let mut imap = ImapClient::connect(server.address(143))?;
        let login = imap.command(&format!("LOGIN \"{person}\" wrong"))?.tagged;
        let sasl = imap.command(&format!("AUTHENTICATE PLAIN {}", plain("", person, "wrong")))?.tagged;
        answers.push((submission, login, sasl));
    }
    ensure!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    // SCRAM asks back before it knows: the same salt each time, as a real account has.
    let known = scram_challenge(&server, Server::BOB)?;
    let unknown = scram_challenge(&server, "nobody@example.test")?;
    ensure!(unknown == scram_challenge(&server, "nobody@example.test")?, "salts of nobody change");
    ensure!(unknown.1 == known.1 && unknown.0.len() == known.0.len(), "{known:?} {unknown:?}");
    ensure!(unknown.0 != scram_challenge(&server, "nobody2@example.test")?.0);
    Ok(())
}

#[test]
fn guessers_are_slowed_down_and_shut_out() -> Result<()> {
    let server = server_with(&[
        ("MAILSTEAD_LISTEN_TRUSTED_NETWORKS", ""),
        ("MAILSTEAD_BANS_PRIVATE", "true"),
        ("MAILSTEAD_AUTH_FAILURES_MAX", "3"),
    ])?;
    for number in 1..=3 {
        let mut imap = ImapClient::connect(server.address(143))?;
        let told = imap.command(&format!("LOGIN bob@example.test wrong{number}"))?.tagged;
        let expected = if number < 3 { "NO [AUTHENTICATIONFAILED]" } else { "NO [UNAVAILABLE]" };
        ensure!(told.starts_with(expected), "{told}");
    }
    Dialogue::connect(server.address(143))?.expect("* BYE [UNAVAILABLE]")?;
    Dialogue::connect(server.address(587))?.expect("421 ")?;
    log_with(&server, "banned network=127.0.0.1/32").map(drop)
}

#[test]
fn passwords_are_never_logged() -> Result<()> {
    let wrong = "Wr0ng-Passw0rd-Typed";
    let server = Server::start(ServerOptions {
        environment: vec![("MAILSTEAD_LOG_LEVEL".into(), "trace".into())],
        ..ServerOptions::default()
    })?;
    let new = "Br4nd-New-Passw0rd";
    server.command(&["account", "add", "carl@example.test", "--password", new])?;
    server.command(&["account", "password", "carl@example.test", "--password", &format!("{new}2")])?;
    drop(server.submission(Server::ANN)?);
    drop(server.imap(Server::ANN)?);
    let mut imap = ImapClient::connect(server.address(143))?;
    imap.command(&format!("LOGIN bob@example.test {wrong}"))?;
    imap.command(&format!("LOGIN {wrong} {wrong} {wrong}"))?;
    imap.dialogue
        .send_octets(format!("x LOGIN {{3+}}\r\nbob {{{}+}}\r\n{wrong}\r\n", wrong.len()).as_bytes())?;
    imap.dialogue.expect("x NO ")?;
    let mut smtp = SmtpClient::connect(server.address(587))?;
    smtp.reply_after(&format!("AUTH PLAIN {}", plain("", Server::BOB, wrong)))?;
    smtp.reply_after(&format!("AUTH PLAIN {} {wrong}", plain("", Server::BOB, wrong)))?;
    smtp.command("AUTH LOGIN", "334")?;
    smtp.command(&STANDARD.encode(Server::BOB), "334")?;
    smtp.reply_after(&STANDARD.encode(wrong))?;
    // What is logged after all of it.
    let mut last = SmtpClient::connect(server.address(25))?;
    last.command("MAIL FROM:<>", "250")?;
    last.reply_after("RCPT TO:<the-end@example.test>")?;
    let log = log_with(&server, "the-end@example.test")?;
    ensure!(log.contains("login refused"), "the log is not as talkative as it must be for this");
    for secret in [Server::PASSWORD, wrong, new] {
        for form in [
            secret.to_owned(),
            STANDARD.encode(secret),
            plain("", Server::BOB, secret),
            plain("", Server::ANN, secret),
        ] {
            let found = log.lines().find(|line| line.contains(&form));
            ensure!(found.is_none(), "{found:?}");
        }
    }
    Ok(())
}

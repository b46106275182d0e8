//! Port 25 and 587 under attack: smuggling, chunks, PROXY headers, floods, and texts that want to be commands.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use testkit::{Dialogue, ImapClient, Server, ServerOptions, SmtpClient, WAIT_MAX};

use super::{
    EVE, begin_mail, count, ensure_grown_at_most, is_well, log_with, only_message, server_with, weight,
};

/// Commands that would bring Bob a message if anybody took them for commands.
const SMUGGLED: &str = "RSET\r\nMAIL FROM:<admin@example.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n";

#[test]
fn data_after_a_rejection_is_never_commands() -> Result<()> {
    let server = Server::start(ServerOptions {
        settings: "[smtp]\nmessage_octets_max = \"64K\"\nreceived_max = 10".into(),
        ..ServerOptions::default()
    })?;
    // Each is refused while its octets still come.
    let large = format!("Subject: x\r\n\r\n{}{SMUGGLED}", "0123456789\r\n".repeat(7_000));
    let loops =
        format!("{}\r\n{SMUGGLED}", "Received: from x by y; Sun, 9 Sep 2001 01:46:40 +0000\r\n".repeat(12));
    let bare = format!("Subject: x\r\n\r\na\nb\n.\n{SMUGGLED}");
    for (what, message) in [("large", &large), ("loop", &loops), ("bare newline", &bare)] {
        let mut smtp = server.smtp()?;
        begin_mail(&mut smtp, Server::ANN)?;
        smtp.command("DATA", "354")?;
        smtp.dialogue.send_octets(message.as_bytes())?;
        smtp.dialogue.send_octets(b".\r\n")?;
        let (code, _) = smtp.reply()?;
        ensure!(code.starts_with('5'), "{what}: {code}");
        // Exactly one answer: the next one is that of the next command.
        smtp.command("VRFY who", "252")?;
    }
    // A submitted header that is refused as soon as it is whole.
    let mut submission = server.submission(Server::ANN)?;
    submission.command(&format!("MAIL FROM:<{}>", Server::ANN), "250")?;
    submission.command(&format!("RCPT TO:<{}>", Server::ANN), "250")?;
    submission.command("DATA", "354")?;
    let forged = format!("From: bob@example.test\r\nSubject: x\r\n\r\n{SMUGGLED}.\r\n");
    submission.dialogue.send_octets(forged.as_bytes())?;
    ensure!(submission.reply()?.0 == "550");
    submission.command("VRFY who", "252")?;
    for person in [Server::ANN, Server::BOB] {
        ensure!(count(&server, person)? == 0, "{person} has mail");
    }
    Ok(())
}

#[test]
fn chunks_hide_no_commands() -> Result<()> {
    let server = Server::start(ServerOptions {
        settings: "[smtp]\nmessage_octets_max = \"64K\"".into(),
        ..ServerOptions::default()
    })?;
    let chunk = |last: &str| format!("BDAT {}{last}\r\n{SMUGGLED}", SMUGGLED.len());
    // Refused chunks: without a transaction, without a recipient, after a failed one, beyond the limit.
    let mut smtp = server.smtp()?;
    for last in ["", " LAST"] {
        smtp.dialogue.send_octets(chunk(last).as_bytes())?;
        ensure!(smtp.reply()?.0 == "503");
    }
    smtp.command(&format!("MAIL FROM:<{EVE}>"), "250")?;
    ensure!(smtp.reply_after("RCPT TO:<nobody@example.test>")? == "550");
    smtp.dialogue.send_octets(chunk(" LAST").as_bytes())?;
    ensure!(smtp.reply()?.0 == "503");
    smtp.command(&format!("RCPT TO:<{}>", Server::ANN), "250")?;
    smtp.dialogue.send_octets(b"BDAT 65537\r\n")?;
    smtp.dialogue.send_octets(SMUGGLED.repeat(1_000).get(..65_537).context("long enough")?.as_bytes())?;
    ensure!(smtp.reply()?.0 == "552");
    smtp.dialogue.send_octets(chunk(" LAST").as_bytes())?;
    ensure!(smtp.reply()?.0 == "503");
    // DATA within chunks is refused, and what would be the message is only a bad command.
    smtp.command("RSET", "250")?;
    begin_mail(&mut smtp, Server::ANN)?;
    smtp.dialogue.send_octets(b"BDAT 4\r\nab\r\n")?;
    ensure!(smtp.reply()?.0 == "250");
    ensure!(smtp.reply_after("DATA")? == "503");
    // A dot on a line of its own means nothing in a chunk, and a line end may be cut in two.
    smtp.dialogue.send_octets(b"BDAT 4\r\n\r\n.\rBDAT 4 LAST\r\n\nx\r\n")?;
    ensure!(smtp.reply()?.0 == "250");
    ensure!(smtp.reply()?.0 == "250");
    ensure!(only_message(&server, Server::ANN)?.ends_with(b"ab\r\n\r\n.\r\nx\r\n"));
    ensure!(count(&server, Server::BOB)? == 0, "a smuggled message got in");
    Ok(())
}

#[test]
fn chunk_sizes_cannot_be_bent() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    for bent in [
        "-1",
        "+5",
        "0x10",
        "1e3",
        "",
        "5,",
        "5 LAST x",
        "5 FIRST",
        "18446744073709551616",
        "99999999999999999999999 LAST",
        "٣",
    ] {
        let mut smtp = server.smtp()?;
        begin_mail(&mut smtp, Server::ANN)?;
        // Nobody knows where the next command begins: the connection ends.
        smtp.dialogue.send(&format!("BDAT {bent}"))?;
        smtp.dialogue.send_octets(SMUGGLED.as_bytes())?;
        let (code, _) = smtp.reply()?;
        ensure!(code.starts_with('5') && smtp.dialogue.is_closed()?, "BDAT {bent}: {code}");
    }
    // The largest number there is: refused, and read over until the client gives up.
    let before = weight(&server)?;
    for size in [u64::MAX, u64::MAX / 2 + 1, u64::from(u32::MAX) + 1] {
        let mut smtp = server.smtp()?;
        begin_mail(&mut smtp, Server::ANN)?;
        smtp.dialogue.send_octets(b"BDAT 3\r\nabc")?;
        ensure!(smtp.reply()?.0 == "250");
        smtp.dialogue.send(&format!("BDAT {size} LAST"))?;
        smtp.dialogue.send_octets(&vec![b'x'; 1 << 20])?;
    }
    ensure_grown_at_most(&server, before, 16 << 20)?;
    ensure!(count(&server, Server::ANN)? == 0);
    is_well(&server)
}

#[test]
fn floods_of_empty_chunks_come_to_an_end() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    let mut smtp = server.smtp()?;
    begin_mail(&mut smtp, Server::ANN)?;
    // Chunks that bring nothing count as commands that bring nothing.
    smtp.dialogue.send_octets("BDAT 0\r\n".repeat(1_000).as_bytes())?;
    let mut taken = 0;
    loop {
        match smtp.reply()?.0.as_str() {
            "250" => taken += 1,
            code => {
                ensure!(code == "421" && taken <= 200, "{code} after {taken}");
                break;
            }
        }
    }
    ensure!(count(&server, Server::ANN)? == 0);
    is_well(&server)
}

#[test]
fn messages_that_never_end_take_bounded_memory() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    let before = weight(&server)?;
    let piece = b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n".repeat(6_000);
    let mut endless = Vec::new();
    for _ in 0..350 {
        let mut smtp = server.smtp()?;
        begin_mail(&mut smtp, Server::ANN)?;
        smtp.command("DATA", "354")?;
        // As much as the server takes: who gets no place is not read from.
        smtp.dialogue.socket().set_nonblocking(true)?;
        drop(smtp.dialogue.send_octets(&piece));
        endless.push(smtp);
    }
    is_well(&server)?;
    // Half a MiB for each of 256, a quarter for each that waits.
    ensure_grown_at_most(&server, before, 160 << 20)?;
    drop(endless);
    is_well(&server)?;
    ensure!(count(&server, Server::ANN)? == 0);
    Ok(())
}

#[test]
fn a_proxy_header_from_elsewhere_is_a_bad_command() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    let mut smtp = Dialogue::connect(server.address(25))?;
    smtp.send("PROXY TCP4 192.0.2.7 192.0.2.1 1000 25")?;
    smtp.expect("220 ")?;
    smtp.expect("500 ")?;
    drop(smtp);
    let mut binary = Dialogue::connect(server.address(25))?;
    binary.send_octets(&version_2(0x21, 0x11, &[192, 0, 2, 7, 192, 0, 2, 1, 0, 1, 0, 25]))?;
    binary.expect("220 ")?;
    binary.expect("500 ")?;
    drop(binary);
    let mut imap = Dialogue::connect(server.address(143))?;
    imap.send("PROXY TCP4 192.0.2.7 192.0.2.1 1000 143")?;
    imap.expect("* OK ")?;
    let told = imap.line()?;
    ensure!(told.contains(" BAD "), "{told}");
    // Nobody is believed to be elsewhere.
    server.smtp()?.send(EVE, &[Server::ANN], b"Subject: x\r\n\r\nx\r\n")?;
    let message = String::from_utf8(only_message(&server, Server::ANN)?)?;
    ensure!(message.contains("([127.0.0.1])") && !message.contains("192.0.2.7"), "{message}");
    ensure!(!server.log().contains("peer=192.0.2.7"), "{}", server.log());
    Ok(())
}

fn version_2(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
    let mut octets = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    octets.extend([command, family]);
    octets.extend(u16::try_from(payload.len()).unwrap_or(u16::MAX).to_be_bytes());
    octets.extend(payload);
    octets
}

#[test]
fn malformed_proxy_headers_are_hung_up_on() -> Result<()> {
    let server = server_with(&[("MAILSTEAD_LISTEN_PROXY_NETWORKS", "127.0.0.0/8")])?;
    let inet = [192, 0, 2, 7, 192, 0, 2, 1, 3, 232, 0, 25];
    let mut endless = b"PROXY TCP4 ".to_vec();
    endless.resize(200, b'1');
    let mut bent: Vec<Vec<u8>> = [
        "EHLO client.example\r\n",
        "PROXY\r\n",
        "PROXY TCP4\r\nEHLO x\r\nNOOP\r\n",
        "PROXY TCP4 192.0.2.7 192.0.2.1 1000\r\nEHLO x\r\n",
        "PROXY TCP4 192.0.2.7 192.0.2.1 1000 25 x\r\n",
        "PROXY TCP4 192.0.2.7 192.0.2.1 1000 70000\r\n",
        "PROXY TCP4 192.0.2.7 192.0.2.1 -1 25\r\n",
        "PROXY TCP4 ::1 ::1 1000 25\r\n",
        "PROXY TCP6 192.0.2.7 192.0.2.1 1000 25\r\n",
        "PROXY TCP4 0192.0.2.7 192.0.2.1 1000 25\r\n",
        "PROXY TCP4  192.0.2.7 192.0.2.1 1000 25\r\n",
        "proxy TCP4 192.0.2.7 192.0.2.1 1000 25\r\n",
        "PROXY UDP4 192.0.2.7 192.0.2.1 1000 25\r\n",
        "PROXY TCP4 192.0.2.7\n192.0.2.1 1000 25\r\n",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .collect();
    bent.push(endless);
    bent.extend([
        version_2(0x11, 0x11, &inet),
        version_2(0x2f, 0x11, &inet),
        version_2(0x21, 0xff, &inet),
        version_2(0x21, 0x11, &inet[..11]),
        version_2(0x21, 0x21, &inet),
        version_2(0x21, 0x31, &[0; 20]),
        version_2(0x21, 0x11, &[&inet[..], &[4, 255, 255]].concat()),
        version_2(0x21, 0x11, &[0; 65_535]),
    ]);
    for octets in &bent {
        let mut smtp = Dialogue::connect(server.address(25))?;
        // The server may hang up before all is sent.
        let sent = smtp.send_octets(octets);
        let is_closed = sent.is_err() || smtp.is_closed()?;
        ensure!(is_closed, "{} was let in", octets.escape_ascii());
    }
    Ok(())
}

#[test]
fn a_named_proxy_says_who_the_client_is_once() -> Result<()> {
    // Behind the proxy everybody is a stranger, and there is no DNS here to ask about them.
    let server = server_with(&[
        ("MAILSTEAD_LISTEN_PROXY_NETWORKS", "127.0.0.0/8"),
        ("MAILSTEAD_SENDERS_CHECK", "false"),
    ])?;
    let inet = [192, 0, 2, 8, 192, 0, 2, 1, 3, 232, 0, 25];
    for header in [b"PROXY TCP4 192.0.2.8 192.0.2.1 1000 25\r\n".to_vec(), version_2(0x21, 0x11, &inet)] {
        let mut smtp = Dialogue::connect(server.address(25))?;
        // One octet at a time; what follows is the client's.
        for octet in &header {
            smtp.send_octets(&[*octet])?;
        }
        smtp.expect("220 ")?;
        smtp.send("PROXY TCP4 10.0.0.1 192.0.2.1 1000 25")?;
        smtp.expect("500 ")?;
        smtp.send("HELO client.example")?;
        smtp.expect("250 ")?;
        for line in [&format!("MAIL FROM:<{EVE}>"), "RCPT TO:<ann@example.test>"] {
            smtp.send(line)?;
            smtp.expect("250 ")?;
        }
        smtp.send("DATA")?;
        smtp.expect("354 ")?;
        smtp.send("From: eve@elsewhere.example\r\nSubject: x\r\n\r\nx\r\n.")?;
        smtp.expect("250 ")?;
    }
    // Reading goes through the same proxy; a client from elsewhere gives no password in clear.
    let mut imap = Dialogue::connect(server.address(143))?;
    imap.send("PROXY TCP4 192.0.2.8 192.0.2.1 1000 143")?;
    let greeting = imap.expect("* OK ")?;
    ensure!(greeting.contains("LOGINDISABLED"), "{greeting}");
    let log = log_with(&server, "peer=192.0.2.8:1000")?;
    ensure!(!log.contains("peer=10.0.0.1"), "{log}");
    Ok(())
}

#[test]
fn one_address_gets_its_share_of_connections() -> Result<()> {
    let server = server_with(&[
        ("MAILSTEAD_LISTEN_TRUSTED_NETWORKS", ""),
        ("MAILSTEAD_BANS_PRIVATE", "true"),
        ("MAILSTEAD_LISTEN_CONNECTIONS_PER_ADDRESS_MAX", "3"),
    ])?;
    let smtp = server.smtp()?;
    let imap = ImapClient::connect(server.address(143))?;
    let third = Dialogue::connect(server.address(587))?;
    ensure!(greeting_comes(&server, 25, "421 4.7.0")?, "a fourth connection was let in");
    ensure!(greeting_comes(&server, 143, "* BYE [UNAVAILABLE]")?, "a fourth connection was let in");
    drop((third, imap));
    smtp.quit()?;
    ensure!(greeting_comes(&server, 25, "220")?, "places are not given back");
    Ok(())
}

/// Connects until this greeting comes: those before may still be on their way in or out.
fn greeting_comes(server: &Server, port: u16, greeting: &str) -> Result<bool> {
    let begun = Instant::now();
    while begun.elapsed() < WAIT_MAX {
        if Dialogue::connect(server.address(port))?.line()?.starts_with(greeting) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[test]
fn senders_and_recipients_are_never_commands() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    let bait = server.directory().join("bait");
    let bait_text = bait.display().to_string();
    let locals = [
        format!("|touch${{IFS}}{bait_text}"),
        format!("`touch${{IFS}}{bait_text}`"),
        format!("$(touch${{IFS}}{bait_text})"),
        format!("\";touch {bait_text};\""),
        format!("\"| touch {bait_text} #\""),
        "-oQ/tmp".into(),
        "${run{/bin/sh}}".into(),
        "' OR 1=1 --".replace(' ', "/**/"),
        "\"x' UNION SELECT * FROM account --\"".into(),
        "%s%n%x".into(),
    ];
    let mut smtp = server.smtp()?;
    for local in &locals {
        for domain in ["elsewhere.example", "example.test"] {
            smtp.command("RSET", "250")?;
            let sender = smtp.reply_after(&format!("MAIL FROM:<{local}@{domain}>"))?;
            ensure!(sender == "250" || sender.starts_with('5'), "{local}: {sender}");
            if sender != "250" {
                continue;
            }
            let stranger = smtp.reply_after(&format!("RCPT TO:<{local}@example.test>"))?;
            ensure!(stranger == "550", "{local} is nobody's name: {stranger}");
            smtp.command(&format!("RCPT TO:<{}>", Server::ANN), "250")?;
            smtp.command("DATA", "354")?;
            smtp.dialogue.send_octets(b"Subject: x\r\n\r\nx\r\n.\r\n")?;
            smtp.reply_of("250")?;
        }
        smtp = server.smtp()?;
    }
    ensure!(count(&server, Server::ANN)? > 8, "most of these are addresses");
    ensure!(!bait.exists(), "a command was run");
    ensure!(server.command(&["verify"])?.contains(" 0 faults"));
    is_well(&server)
}

#[test]
fn greetings_and_envelopes_inject_no_header() -> Result<()> {
    let server = Server::start(ServerOptions::default())?;
    let mut sent = 0;
    for greeting in [
        "EHLO a\rX-Evil: 1",
        "EHLO a\0b",
        "EHLO a;(X-Evil:1)<x>",
        "EHLO a\u{85}X-Evil:1",
        "EHLO a\u{2028}X-Evil:1",
        "EHLO a\tX-Evil: 1",
        "EHLO [127.0.0.1])\tby",
        "EHLO \u{1b}[2J",
    ] {
        let mut smtp = SmtpClient::connect(server.address(25))?;
        let told = smtp.reply_after(greeting)?;
        ensure!(told == "250" || told.starts_with("50"), "{greeting:?}: {told}");
        for path in ["a\rX-Evil: 1\r@b.example", "\"a\\\rX-Evil: 1\"@b.example", "a@b.example>\tX-Evil:1 <x"]
        {
            let told = smtp.reply_after(&format!("MAIL FROM:<{path}>"))?;
            ensure!(told.starts_with('5'), "{path:?}: {told}");
        }
        smtp.send("\"X-Evil: 1 ; (x\"@elsewhere.example", &[Server::ANN], b"Subject: x\r\n\r\nx\r\n")?;
        sent += 1;
    }
    // A lone LF ends the connection.
    let mut smtp = server.smtp()?;
    smtp.dialogue.send_octets(b"EHLO a\nX-Evil: 1\r\n")?;
    smtp.reply_of("500")?;
    ensure!(smtp.dialogue.is_closed()?);

    let mut imap = server.imap(Server::ANN)?;
    ensure!(imap.ok("SELECT INBOX")?.number_of("EXISTS") == Some(sent));
    for uid in 1..=u32::try_from(sent)? {
        let message = String::from_utf8(imap.fetch_octets(uid)?)?;
        let names: Vec<&str> = message
            .split("\r\n")
            .take_while(|line| !line.is_empty())
            .filter(|line| !line.starts_with([' ', '\t']))
            .filter_map(|line| Some(line.split_once(':')?.0))
            .collect();
        ensure!(names == ["Return-Path", "Received", "Subject"], "{message}");
        ensure!(message.matches("\r\n").count() == message.matches(['\r', '\n']).count() / 2, "{message:?}");
        ensure!(!message.chars().any(|c| c.is_control() && !matches!(c, '\r' | '\n' | '\t')), "{message:?}");
    }
    // Nor a line of the log.
    let log = server.log();
    ensure!(
        !log.lines().any(|line| line.trim_start().starts_with("X-Evil")) && !log.contains('\u{1b}'),
        "{log}"
    );
    Ok(())
}
